//! Arrays as vectors.
#![allow(unsafe_code)]

use super::scalar::{rounded, widened};
use super::vector::Vector;
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
