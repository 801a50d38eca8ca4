//! SIMD vectors of eight numbers.
//!
//! Each operation is a single IEEE 754 operation per number, without fused multiply-add. All
//! implementations therefore give the same bits.
#![allow(unsafe_code, reason = "loads, stores and arithmetic of AVX")]

/// A vector of numbers.
pub(crate) trait Lanes: Copy {
    /// Number of lanes.
    const COUNT: usize;

    fn splat(value: f32) -> Self;
    /// Loads `from[at..at + COUNT]`.
    fn load(from: &[f32], at: usize) -> Self;
    fn store(self, to: &mut [f32], at: usize);
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    fn sqrt(self) -> Self;
    /// Computes `self < other ? self : other`, as `minps` of x86.
    fn min(self, other: Self) -> Self;
    /// Computes `self > other ? self : other`, as `maxps` of x86.
    fn max(self, other: Self) -> Self;
    /// Adds lane `i` to `sums[at + i]`.
    fn add_to(self, sums: &mut [f32; 8], at: usize);
    /// Returns the sum of all lanes. Of eight lanes, adds those four apart first, then those two
    /// apart.
    fn sum(self) -> f32;
}

/// A single number, for the rest at the end of a row.
impl Lanes for f32 {
    const COUNT: usize = 1;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        value
    }
    #[inline(always)]
    fn load(from: &[f32], at: usize) -> Self {
        from[at]
    }
    #[inline(always)]
    fn store(self, to: &mut [f32], at: usize) {
        to[at] = self;
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self + other
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self - other
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self * other
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self / other
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        if self < other { self } else { other }
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self > other { self } else { other }
    }
    #[inline(always)]
    fn add_to(self, sums: &mut [f32; 8], at: usize) {
        sums[at] += self;
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        self
    }
}

/// Eight numbers on any CPU. The compiler uses the vector instructions of its target.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 8]);

/// Applies an operation to each of eight numbers. Compilers do not vectorise the same code with
/// iterators or closures.
macro_rules! each {
    ($a:expr, $b:expr, |$x:ident, $y:ident| $result:expr) => {{
        let (a, b) = ($a.0, $b.0);
        let mut out = [0.0; 8];
        let mut i = 0;
        while i < 8 {
            let ($x, $y) = (a[i], b[i]);
            out[i] = $result;
            i += 1;
        }
        Portable(out)
    }};
}

impl Lanes for Portable {
    const COUNT: usize = 8;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; 8])
    }
    #[inline(always)]
    fn load(from: &[f32], at: usize) -> Self {
        let from = &from[at..at + 8];
        Self([from[0], from[1], from[2], from[3], from[4], from[5], from[6], from[7]])
    }
    #[inline(always)]
    fn store(self, to: &mut [f32], at: usize) {
        let to = &mut to[at..at + 8];
        let mut i = 0;
        while i < 8 {
            to[i] = self.0[i];
            i += 1;
        }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        each!(self, other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        each!(self, other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        each!(self, other, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        each!(self, other, |a, b| a / b)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        each!(self, self, |a, _b| a.sqrt())
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        each!(self, other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        each!(self, other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn add_to(self, sums: &mut [f32; 8], _: usize) {
        Self(*sums).add(self).store(sums, 0);
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self.0;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}

/// The instructions to use. They do not change the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Simd {
    /// The instructions that the program was compiled for.
    Portable,
    /// AVX2, detected on this CPU.
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Simd {
    /// Returns the best instructions of this CPU.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            return Self::Avx2;
        }
        Self::Portable
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use avx::Avx;

#[cfg(target_arch = "x86_64")]
mod avx {
    use std::arch::x86_64::{
        __m256, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehl_ps, _mm_shuffle_ps, _mm256_add_ps,
        _mm256_castps256_ps128, _mm256_div_ps, _mm256_extractf128_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps,
        _mm256_mul_ps, _mm256_set1_ps, _mm256_sqrt_ps, _mm256_storeu_ps, _mm256_sub_ps,
    };

    use super::Lanes;

    /// Eight numbers in a register.
    ///
    /// Only functions that are compiled for AVX2 use it, and they run only on CPUs with AVX2. Each
    /// `SAFETY` comment below relies on this.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx(__m256);

    impl Lanes for Avx {
        const COUNT: usize = 8;

        #[inline(always)]
        fn splat(value: f32) -> Self {
            // SAFETY: the CPU has AVX2.
            Self(unsafe { _mm256_set1_ps(value) })
        }
        #[inline(always)]
        fn load(from: &[f32], at: usize) -> Self {
            let from = &from[at..at + 8];
            // SAFETY: the CPU has AVX2, and the slice has eight numbers.
            Self(unsafe { _mm256_loadu_ps(from.as_ptr()) })
        }
        #[inline(always)]
        fn store(self, to: &mut [f32], at: usize) {
            let to = &mut to[at..at + 8];
            // SAFETY: the CPU has AVX2, and the slice has eight numbers.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), self.0) }
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: the CPU has AVX2.
            Self(unsafe { _mm256_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            // SAFETY: the CPU has AVX2.
            Self(unsafe { _mm256_sub_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            // SAFETY: the CPU has AVX2.
            Self(unsafe { _mm256_mul_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn div(self, other: Self) -> Self {
            // SAFETY: the CPU has AVX2.
            Self(unsafe { _mm256_div_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn sqrt(self) -> Self {
            // SAFETY: the CPU has AVX2.
            Self(unsafe { _mm256_sqrt_ps(self.0) })
        }
        #[inline(always)]
        fn min(self, other: Self) -> Self {
            // SAFETY: the CPU has AVX2.
            Self(unsafe { _mm256_min_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            // SAFETY: the CPU has AVX2.
            Self(unsafe { _mm256_max_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn add_to(self, sums: &mut [f32; 8], _: usize) {
            let lanes = Self::load(sums, 0);
            lanes.add(self).store(sums, 0);
        }
        #[inline(always)]
        fn sum(self) -> f32 {
            // SAFETY: the CPU has AVX2.
            unsafe {
                let four = _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
                let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
                _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_operations<V: Lanes>(a: &[f32], b: &[f32]) -> Vec<u32> {
        let (x, y) = (V::load(a, 0), V::load(b, 0));
        let results =
            [x.add(y), x.sub(y), x.mul(y), x.div(y), x.mul(x).sqrt(), x.min(y), x.max(y), V::splat(0.3).mul(x)];
        let mut bits = Vec::new();
        for result in results {
            let mut out = [0.0; 8];
            result.store(&mut out, 0);
            let mut sums = [1.0; 8];
            result.add_to(&mut sums, 0);
            bits.extend(out.iter().chain(&sums).map(|&value| bits_of(value)));
        }
        if V::COUNT == 8 {
            bits.push(bits_of(x.sum()));
        }
        bits
    }

    /// Returns the bits of a value, with one NaN for all. The compiler chooses the sign of NaN; no
    /// result depends on it.
    fn bits_of(value: f32) -> u32 {
        if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() }
    }

    #[test]
    fn eight_at_a_time_give_the_bits_of_one_at_a_time() {
        let a = [0.0, -0.0, 1.0e-30, 3.7, -19.2, 0.1, 1.0e9, -1.5e-3];
        let b = [-0.0, 0.0, 7.0, -3.7, 0.3, 0.1, 1.0e-9, 2.5];
        let portable = all_operations::<Portable>(&a, &b);
        for lane in 0..8 {
            // The result of each operation is followed by its sum.
            let single = all_operations::<f32>(&a[lane..], &b[lane..]);
            let of_lane: Vec<u32> = portable.chunks_exact(8).map(|lanes| lanes[lane]).collect();
            let of_single: Vec<u32> = single.chunks(8).map(|lanes| lanes[0]).collect();
            assert_eq!(of_lane, of_single, "lane {lane}");
        }
        #[cfg(target_arch = "x86_64")]
        if Simd::detect() == Simd::Avx2 {
            assert_eq!(all_operations::<Avx>(&a, &b), portable);
        }
    }
}
