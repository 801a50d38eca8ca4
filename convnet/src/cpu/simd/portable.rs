//! Arrays as vectors.
#![allow(unsafe_code)]

use super::Vector;
use half::bf16;

/// Arrays are vectors of the portable set, with 8 lanes. With 1 lane, they are for channels after
/// the last whole vector.
impl<const N: usize> Vector for [f32; N] {
    const LANES: usize = N;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        [value; N]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: guaranteed by the caller. An array of f32 has the alignment of f32.
        unsafe { from.cast::<Self>().read() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: guaranteed by the caller. An array of f32 has the alignment of f32.
        unsafe { to.cast::<Self>().write(self) }
    }

    #[inline(always)]
    fn add(mut self, other: Self) -> Self {
        for i in 0..N {
            self[i] += other[i];
        }
        self
    }

    #[inline(always)]
    fn sub(mut self, other: Self) -> Self {
        for i in 0..N {
            self[i] -= other[i];
        }
        self
    }

    #[inline(always)]
    fn mul(mut self, other: Self) -> Self {
        for i in 0..N {
            self[i] *= other[i];
        }
        self
    }

    #[inline(always)]
    fn mul_add(mut self, factor: Self, sum: Self) -> Self {
        for i in 0..N {
            // If the target has no such instruction, `f32::mul_add` calls a slow function.
            self[i] = if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
                self[i].mul_add(factor[i], sum[i])
            } else {
                self[i] * factor[i] + sum[i]
            };
        }
        self
    }

    #[inline(always)]
    fn above(self, other: Self, yes: Self, no: Self) -> (Self, Self) {
        let (mut maxima, mut chosen) = (other, no);
        for i in 0..N {
            if (self[i] > other[i]) | self[i].is_nan() {
                (maxima[i], chosen[i]) = (self[i], yes[i]);
            }
        }
        (maxima, chosen)
    }

    type Pairs = [[bf16; 2]; N];

    #[inline(always)]
    unsafe fn load_bf16(from: *const bf16) -> Self {
        let mut vector = [0.; N];
        for i in 0..N {
            // SAFETY: guaranteed by the caller.
            vector[i] = widened(unsafe { from.add(i).read() });
        }
        vector
    }

    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut bf16) {
        for i in 0..N {
            // SAFETY: guaranteed by the caller.
            unsafe { to.add(i).write(rounded(self[i])) }
        }
    }

    #[inline(always)]
    unsafe fn load_pairs(from: *const bf16) -> Self::Pairs {
        // SAFETY: guaranteed by the caller. An array of bf16 has the alignment of bf16.
        unsafe { from.cast::<Self::Pairs>().read() }
    }

    #[inline(always)]
    unsafe fn splat_pair(from: *const bf16) -> Self::Pairs {
        // SAFETY: guaranteed by the caller. An array of bf16 has the alignment of bf16.
        [unsafe { from.cast::<[bf16; 2]>().read() }; N]
    }

    #[inline(always)]
    fn add_products(mut self, a: Self::Pairs, b: Self::Pairs) -> Self {
        for i in 0..N {
            self[i] += widened(a[i][0]) * widened(b[i][0]) + widened(a[i][1]) * widened(b[i][1]);
        }
        self
    }
}

#[inline(always)]
pub(crate) fn widened(value: bf16) -> f32 {
    f32::from_bits(u32::from(value.to_bits()) << 16)
}

/// Rounds to the nearest bf16, and to the even one of two. A NaN stays a NaN.
///
/// It has no branch, so that the compiler can vectorise it.
#[inline(always)]
pub(crate) fn rounded(value: f32) -> bf16 {
    let bits = value.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    let quiet = bits >> 16 | 0x40;
    bf16::from_bits(if value.is_nan() { quiet } else { nearest } as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_that_of_the_half_crate() {
        let mut bits = 1u32;
        for _ in 0..200_000 {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = f32::from_bits(bits);
            assert_eq!(rounded(value).to_bits(), bf16::from_f32(value).to_bits(), "{value:e}");
        }
        for bits in [0x3f80_8000, 0x3f81_8000, 0x3f80_7fff, 0x7f7f_ffff, 0x7f80_0000, 0xff80_0000, 0x7f80_0001, 1] {
            let value = f32::from_bits(bits);
            assert_eq!(rounded(value).to_bits(), bf16::from_f32(value).to_bits(), "{value:e}");
        }
    }
}
