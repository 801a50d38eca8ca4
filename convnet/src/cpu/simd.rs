//! Vectors of f32, and the instruction sets for them. The program chooses a set when it runs.
#![allow(unsafe_code)]

use std::sync::OnceLock;

/// An instruction set of this CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    /// Plain arrays, which the compiler vectorises for its target.
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// Returns all sets of this CPU, the fastest last.
    pub(crate) fn available() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let has_avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let sets = [
            Some(Self::Portable),
            #[cfg(target_arch = "x86_64")]
            has_avx2.then_some(Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            (has_avx2 && is_x86_feature_detected!("avx512f")).then_some(Self::Avx512),
        ];
        sets.into_iter().flatten().collect()
    }

    /// Returns the fastest set of this CPU, or the one that the environment names.
    ///
    /// `CANDLE_CONVNET_SIMD` can be `portable`, `avx2` or `avx512`, and is read once. Other names,
    /// and sets that the CPU does not have, are ignored.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| {
            let mut sets = Self::available();
            let wanted = std::env::var("CANDLE_CONVNET_SIMD").unwrap_or_default();
            let named = sets.iter().copied().find(|set| format!("{set:?}").eq_ignore_ascii_case(&wanted));
            named.or_else(|| sets.pop()).unwrap_or(Self::Portable)
        })
    }

    /// Returns the number of values in a vector.
    pub(crate) fn lanes(self) -> usize {
        match self {
            Self::Portable => <[f32; 8]>::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => x86::Avx2::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => x86::Avx512::LANES,
        }
    }

    /// Runs `job`, compiled for this set.
    pub(crate) fn run<J: Job>(self, job: J) -> J::Output {
        match self {
            Self::Portable => job.run::<[f32; 8]>(),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: only `available` creates this value, after it has detected AVX2 and FMA.
            Self::Avx2 => unsafe { x86::run_avx2(job) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: only `available` creates this value, after it has detected AVX-512, AVX2 and
            // FMA.
            Self::Avx512 => unsafe { x86::run_avx512(job) },
        }
    }
}

/// Work that has one source for all instruction sets.
///
/// All functions that `run` calls must be `#[inline(always)]`. [`Isa::run`] compiles one function
/// per instruction set, and only code inlined into it uses the set.
pub(crate) trait Job {
    type Output;
    fn run<V: Vector>(self) -> Self::Output;
}

/// A vector of f32.
///
/// Only [`Isa::run`] may choose the type, because the CPU may not have the instructions of its
/// methods.
pub(crate) trait Vector: Copy {
    const LANES: usize;

    fn splat(value: f32) -> Self;

    /// Reads a vector.
    ///
    /// # Safety
    /// `from` must be valid for reads of `LANES` values.
    unsafe fn load(from: *const f32) -> Self;

    /// Writes the vector.
    ///
    /// # Safety
    /// `to` must be valid for writes of `LANES` values.
    unsafe fn store(self, to: *mut f32);

    fn add(self, other: Self) -> Self;

    fn sub(self, other: Self) -> Self;

    fn mul(self, other: Self) -> Self;

    /// Returns `self * factor + sum`, rounded only once if the CPU can do so.
    fn mul_add(self, factor: Self, sum: Self) -> Self;

    /// Returns `(self, yes)` in lanes where `self > other` or `self` is NaN, and `(other, no)` in
    /// the other lanes.
    fn above(self, other: Self, yes: Self, no: Self) -> (Self, Self);
}

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
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Job, Vector};
    use std::arch::x86_64::{
        __m256, __m512, _CMP_GT_OQ, _CMP_UNORD_Q, _mm256_add_ps, _mm256_blendv_ps, _mm256_cmp_ps, _mm256_fmadd_ps,
        _mm256_loadu_ps, _mm256_mul_ps, _mm256_or_ps, _mm256_set1_ps, _mm256_storeu_ps, _mm256_sub_ps, _mm512_add_ps,
        _mm512_cmp_ps_mask, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_blend_ps, _mm512_mul_ps, _mm512_set1_ps,
        _mm512_storeu_ps, _mm512_sub_ps,
    };

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn run_avx2<J: Job>(job: J) -> J::Output {
        job.run::<Avx2>()
    }

    #[target_feature(enable = "avx512f,avx2,fma")]
    pub(super) fn run_avx512<J: Job>(job: J) -> J::Output {
        job.run::<Avx512>()
    }

    /// Implements [`Vector::above`] for AVX2.
    ///
    /// # Safety
    /// The CPU must have AVX2.
    #[inline(always)]
    unsafe fn above256(a: __m256, b: __m256, yes: __m256, no: __m256) -> (__m256, __m256) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let above = _mm256_or_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a, b), _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a));
            (_mm256_blendv_ps(b, a, above), _mm256_blendv_ps(no, yes, above))
        }
    }

    /// Implements [`Vector::above`] for AVX-512.
    ///
    /// # Safety
    /// The CPU must have AVX-512.
    #[inline(always)]
    unsafe fn above512(a: __m512, b: __m512, yes: __m512, no: __m512) -> (__m512, __m512) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let above = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) | _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a);
            (_mm512_mask_blend_ps(above, b, a), _mm512_mask_blend_ps(above, no, yes))
        }
    }

    macro_rules! vector {
        (
            $name:ident, $inner:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident,
            $add:ident, $sub:ident, $mul:ident, $fma:ident, $above:ident
        ) => {
            #[derive(Clone, Copy)]
            pub(super) struct $name($inner);

            impl Vector for $name {
                const LANES: usize = $lanes;

                #[inline(always)]
                fn splat(value: f32) -> Self {
                    // SAFETY: only `Isa::run` chooses this type, on a CPU that has the set.
                    Self(unsafe { $splat(value) })
                }

                #[inline(always)]
                unsafe fn load(from: *const f32) -> Self {
                    // SAFETY: only `Isa::run` chooses this type, on a CPU that has the set. The
                    // caller guarantees the pointer.
                    Self(unsafe { $load(from) })
                }

                #[inline(always)]
                unsafe fn store(self, to: *mut f32) {
                    // SAFETY: only `Isa::run` chooses this type, on a CPU that has the set. The
                    // caller guarantees the pointer.
                    unsafe { $store(to, self.0) }
                }

                #[inline(always)]
                fn add(self, other: Self) -> Self {
                    // SAFETY: only `Isa::run` chooses this type, on a CPU that has the set.
                    Self(unsafe { $add(self.0, other.0) })
                }

                #[inline(always)]
                fn sub(self, other: Self) -> Self {
                    // SAFETY: only `Isa::run` chooses this type, on a CPU that has the set.
                    Self(unsafe { $sub(self.0, other.0) })
                }

                #[inline(always)]
                fn mul(self, other: Self) -> Self {
                    // SAFETY: only `Isa::run` chooses this type, on a CPU that has the set.
                    Self(unsafe { $mul(self.0, other.0) })
                }

                #[inline(always)]
                fn mul_add(self, factor: Self, sum: Self) -> Self {
                    // SAFETY: only `Isa::run` chooses this type, on a CPU that has the set.
                    Self(unsafe { $fma(self.0, factor.0, sum.0) })
                }

                #[inline(always)]
                fn above(self, other: Self, yes: Self, no: Self) -> (Self, Self) {
                    // SAFETY: only `Isa::run` chooses this type, on a CPU that has the set.
                    let (maxima, chosen) = unsafe { $above(self.0, other.0, yes.0, no.0) };
                    (Self(maxima), Self(chosen))
                }
            }
        };
    }

    vector!(
        Avx2,
        __m256,
        8,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_add_ps,
        _mm256_sub_ps,
        _mm256_mul_ps,
        _mm256_fmadd_ps,
        above256
    );
    vector!(
        Avx512,
        __m512,
        16,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_add_ps,
        _mm512_sub_ps,
        _mm512_mul_ps,
        _mm512_fmadd_ps,
        above512
    );
}
