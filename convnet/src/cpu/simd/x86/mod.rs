//! Vectors of AVX2 and AVX-512.
#![allow(unsafe_code)]

mod bf16_values;

use super::vector::{Job, Vector};
use bf16_values::{
    pairs256, pairs512, pairs512_bf16, products256, products512, products512_bf16, rounded256, rounded512,
    rounded512_bf16, transpose, widened256, widened512,
};
use half::bf16;
use std::arch::x86_64::{
    __m256, __m256i, __m512, __m512i, _CMP_GT_OQ, _CMP_UNORD_Q, _mm_sfence, _mm256_add_ps, _mm256_blendv_ps,
    _mm256_cmp_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_mul_ps, _mm256_or_ps,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_storeu_ps, _mm256_stream_ps, _mm256_sub_ps, _mm512_add_ps,
    _mm512_cmp_ps_mask, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_blend_ps, _mm512_mul_ps,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_storeu_ps, _mm512_stream_ps, _mm512_sub_ps,
};

#[target_feature(enable = "avx2,fma")]
pub(super) fn run_avx2<J: Job>(job: J) -> J::Output {
    job.run::<Avx2>()
}

#[target_feature(enable = "avx512f,avx2,fma")]
pub(super) fn run_avx512<J: Job>(job: J) -> J::Output {
    job.run::<Avx512>()
}

#[target_feature(enable = "avx512f,avx512bf16,avx2,fma")]
pub(super) fn run_avx512_bf16<J: Job>(job: J) -> J::Output {
    job.run::<Avx512Bf16>()
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
        $name:ident, $inner:ty, $pairs:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident,
        $stream:ident,
        $add:ident, $sub:ident, $mul:ident, $fma:ident, $above:ident,
        $load_bf16:ident, $store_bf16:ident, $store_pairs:ident, $load_pairs:ident, $splat_pair:ident, $products:ident
    ) => {
        #[derive(Clone, Copy)]
        pub(super) struct $name($inner);

        impl Vector for $name {
            const LANES: usize = $lanes;

            type Pairs = $pairs;

            #[inline(always)]
            fn splat(value: f32) -> Self {
                // SAFETY: only `Isa::run` chooses this type, on a CPU that has the set.
                Self(unsafe { $splat(value) })
            }

            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                // SAFETY: only `Isa::run` chooses this type, on a CPU that has the set. The caller
                // guarantees the pointer.
                Self(unsafe { $load(from) })
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                // SAFETY: only `Isa::run` chooses this type, on a CPU that has the set. The caller
                // guarantees the pointer.
                unsafe { $store(to, self.0) }
            }

            #[inline(always)]
            unsafe fn stream(self, to: *mut f32) {
                // SAFETY: only `Isa::run` chooses this type, on a CPU that has the set. The caller
                // guarantees the pointer.
                unsafe { $stream(to, self.0) }
            }

            #[inline(always)]
            fn fence() {
                // SAFETY: all processors of this architecture have SSE.
                unsafe { _mm_sfence() }
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

            #[inline(always)]
            unsafe fn load_bf16(from: *const bf16) -> Self {
                // SAFETY: only `Isa::run` chooses this type, on a CPU that has the set. The caller
                // guarantees the pointer.
                Self(unsafe { $load_bf16(from) })
            }

            #[inline(always)]
            unsafe fn store_bf16(self, to: *mut bf16) {
                // SAFETY: only `Isa::run` chooses this type, on a CPU that has the set. The caller
                // guarantees the pointer.
                unsafe { $store_bf16(self.0, to) }
            }

            #[inline(always)]
            unsafe fn store_pairs(self, second: Self, to: *mut bf16) {
                // SAFETY: only `Isa::run` chooses this type, on a CPU that has the set. The caller
                // guarantees the pointer.
                unsafe { $store_pairs(self.0, second.0, to) }
            }

            #[inline(always)]
            unsafe fn load_pairs(from: *const bf16) -> $pairs {
                // SAFETY: only `Isa::run` chooses this type, on a CPU that has the set. The caller
                // guarantees the pointer.
                unsafe { $load_pairs(from.cast()) }
            }

            #[inline(always)]
            unsafe fn splat_pair(from: *const bf16) -> $pairs {
                // SAFETY: only `Isa::run` chooses this type, on a CPU that has the set. The caller
                // guarantees the pointer.
                unsafe { $splat_pair(from.cast::<i32>().read_unaligned()) }
            }

            #[inline(always)]
            fn add_products(self, a: $pairs, b: $pairs) -> Self {
                // SAFETY: only `Isa::run` chooses this type, on a CPU that has the set.
                Self(unsafe { $products(self.0, a, b) })
            }

            #[inline(always)]
            unsafe fn transpose(from: *const bf16, from_pitch: usize, to: *mut bf16, to_pitch: usize) {
                // SAFETY: guaranteed by the caller. All processors of this architecture have SSE2.
                unsafe { transpose(from, from_pitch, to, to_pitch) }
            }
        }
    };
}

vector!(
    Avx2,
    __m256,
    __m256i,
    8,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_stream_ps,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_mul_ps,
    _mm256_fmadd_ps,
    above256,
    widened256,
    rounded256,
    pairs256,
    _mm256_loadu_si256,
    _mm256_set1_epi32,
    products256
);
vector!(
    Avx512,
    __m512,
    __m512i,
    16,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_stream_ps,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_mul_ps,
    _mm512_fmadd_ps,
    above512,
    widened512,
    rounded512,
    pairs512,
    _mm512_loadu_si512,
    _mm512_set1_epi32,
    products512
);
vector!(
    Avx512Bf16,
    __m512,
    __m512i,
    16,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_stream_ps,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_mul_ps,
    _mm512_fmadd_ps,
    above512,
    widened512,
    rounded512_bf16,
    pairs512_bf16,
    _mm512_loadu_si512,
    _mm512_set1_epi32,
    products512_bf16
);
