//! bf16 values in memory, for vectors of AVX2 and AVX-512.
#![allow(unsafe_code)]

use half::bf16;
use std::arch::x86_64::{
    __m256, __m256bh, __m256i, __m512, __m512bh, __m512i, _CMP_UNORD_Q, _mm_loadu_si128, _mm_storeu_si128,
    _mm_unpackhi_epi16, _mm_unpackhi_epi32, _mm_unpackhi_epi64, _mm_unpacklo_epi16, _mm_unpacklo_epi32,
    _mm_unpacklo_epi64, _mm256_add_epi32, _mm256_and_si256, _mm256_blendv_ps, _mm256_castps_si256, _mm256_castsi256_ps,
    _mm256_castsi256_si128, _mm256_cmp_ps, _mm256_cvtepu16_epi32, _mm256_fmadd_ps, _mm256_loadu_si256, _mm256_or_si256,
    _mm256_packus_epi32, _mm256_permute4x64_epi64, _mm256_set1_epi32, _mm256_slli_epi32, _mm256_srli_epi32,
    _mm256_storeu_si256, _mm512_add_epi32, _mm512_and_si512, _mm512_castps_si512, _mm512_castsi512_ps,
    _mm512_cmp_ps_mask, _mm512_cvtepi32_epi16, _mm512_cvtepu16_epi32, _mm512_cvtneps_pbh, _mm512_dpbf16_ps,
    _mm512_fmadd_ps, _mm512_mask_blend_epi32, _mm512_or_si512, _mm512_set1_epi32, _mm512_slli_epi32, _mm512_srli_epi32,
    _mm512_storeu_si512,
};

/// Implements `Vector::load_bf16` for AVX2.
///
/// # Safety
/// The CPU must have AVX2, and `from` must be valid for reads of 8 values.
#[inline(always)]
pub(super) unsafe fn widened256(from: *const bf16) -> __m256 {
    // SAFETY: guaranteed by the caller.
    unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast())))) }
}

/// Implements `Vector::load_bf16` for AVX-512.
///
/// # Safety
/// The CPU must have AVX-512, and `from` must be valid for reads of 16 values.
#[inline(always)]
pub(super) unsafe fn widened512(from: *const bf16) -> __m512 {
    // SAFETY: guaranteed by the caller.
    unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast())))) }
}

/// Implements `Vector::store_bf16` for AVX2.
///
/// # Safety
/// The CPU must have AVX2, and `to` must be valid for writes of 8 values.
#[inline(always)]
pub(super) unsafe fn rounded256(value: __m256, to: *mut bf16) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let bits = _mm256_castps_si256(value);
        let high = _mm256_srli_epi32::<16>(bits);
        let half = _mm256_add_epi32(_mm256_set1_epi32(0x7fff), _mm256_and_si256(high, _mm256_set1_epi32(1)));
        let nearest = _mm256_srli_epi32::<16>(_mm256_add_epi32(bits, half));
        let quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
        let is_nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(value, value);
        let nearest = _mm256_blendv_ps(_mm256_castsi256_ps(nearest), _mm256_castsi256_ps(quiet), is_nan);
        let nearest = _mm256_castps_si256(nearest);
        // Packing works on each half of the register, so the two results are apart.
        let packed = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi32(nearest, nearest));
        _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(packed));
    }
}

/// Implements `Vector::store_bf16` for AVX-512.
///
/// # Safety
/// The CPU must have AVX-512, and `to` must be valid for writes of 16 values.
#[inline(always)]
pub(super) unsafe fn rounded512(value: __m512, to: *mut bf16) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let bits = _mm512_castps_si512(value);
        let high = _mm512_srli_epi32::<16>(bits);
        let half = _mm512_add_epi32(_mm512_set1_epi32(0x7fff), _mm512_and_si512(high, _mm512_set1_epi32(1)));
        let nearest = _mm512_srli_epi32::<16>(_mm512_add_epi32(bits, half));
        let quiet = _mm512_or_si512(high, _mm512_set1_epi32(0x40));
        let is_nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(value, value);
        let nearest = _mm512_mask_blend_epi32(is_nan, nearest, quiet);
        _mm256_storeu_si256(to.cast(), _mm512_cvtepi32_epi16(nearest));
    }
}

/// Implements `Vector::store_bf16` with one instruction. It stores values below 2^-126 as 0.
///
/// # Safety
/// The CPU must have AVX-512 with bf16, and `to` must be valid for writes of 16 values.
#[inline(always)]
pub(super) unsafe fn rounded512_bf16(value: __m512, to: *mut bf16) {
    // SAFETY: guaranteed by the caller. Both types of vectors have 32 bytes.
    unsafe { _mm256_storeu_si256(to.cast(), std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(value))) }
}

/// Implements `Vector::store_pairs` for AVX2.
///
/// # Safety
/// The CPU must have AVX2, and `to` must be valid for writes of 16 values.
#[inline(always)]
pub(super) unsafe fn pairs256(first: __m256, second: __m256, to: *mut bf16) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let mut values = [[bf16::ZERO; 8]; 2];
        rounded256(first, values[0].as_mut_ptr());
        rounded256(second, values[1].as_mut_ptr());
        let [first, second] = values.map(|values| _mm_loadu_si128(values.as_ptr().cast()));
        _mm_storeu_si128(to.cast(), _mm_unpacklo_epi16(first, second));
        _mm_storeu_si128(to.add(8).cast(), _mm_unpackhi_epi16(first, second));
    }
}

/// Implements `Vector::store_pairs` for AVX-512.
///
/// # Safety
/// The CPU must have AVX-512, and `to` must be valid for writes of 32 values.
#[inline(always)]
pub(super) unsafe fn pairs512(first: __m512, second: __m512, to: *mut bf16) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let mut values = [[bf16::ZERO; 16]; 2];
        rounded512(first, values[0].as_mut_ptr());
        rounded512(second, values[1].as_mut_ptr());
        interleave512(values.map(|values| _mm256_loadu_si256(values.as_ptr().cast())), to);
    }
}

/// Implements `Vector::store_pairs` with the instruction that rounds. It stores values below 2^-126
/// as 0.
///
/// # Safety
/// The CPU must have AVX-512 with bf16, and `to` must be valid for writes of 32 values.
#[inline(always)]
pub(super) unsafe fn pairs512_bf16(first: __m512, second: __m512, to: *mut bf16) {
    // SAFETY: guaranteed by the caller. Both types of vectors have 32 bytes.
    unsafe {
        let rounded = [first, second].map(|value| std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(value)));
        interleave512(rounded, to);
    }
}

/// Writes pairs of values of two vectors.
///
/// # Safety
/// The CPU must have AVX-512, and `to` must be valid for writes of 32 values.
#[inline(always)]
unsafe fn interleave512([first, second]: [__m256i; 2], to: *mut bf16) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let (low, high) = (_mm512_cvtepu16_epi32(first), _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(second)));
        _mm512_storeu_si512(to.cast(), _mm512_or_si512(low, high));
    }
}

/// Implements `Vector::add_products` for AVX2.
///
/// # Safety
/// The CPU must have AVX2 and FMA.
#[inline(always)]
pub(super) unsafe fn products256(sum: __m256, a: __m256i, b: __m256i) -> __m256 {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let high = _mm256_set1_epi32(0xffff_0000_u32 as i32);
        let first = |pairs| _mm256_castsi256_ps(_mm256_slli_epi32::<16>(pairs));
        let second = |pairs| _mm256_castsi256_ps(_mm256_and_si256(pairs, high));
        _mm256_fmadd_ps(second(a), second(b), _mm256_fmadd_ps(first(a), first(b), sum))
    }
}

/// Implements `Vector::add_products` for AVX-512.
///
/// # Safety
/// The CPU must have AVX-512.
#[inline(always)]
pub(super) unsafe fn products512(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let high = _mm512_set1_epi32(0xffff_0000_u32 as i32);
        let first = |pairs| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(pairs));
        let second = |pairs| _mm512_castsi512_ps(_mm512_and_si512(pairs, high));
        _mm512_fmadd_ps(second(a), second(b), _mm512_fmadd_ps(first(a), first(b), sum))
    }
}

/// Implements `Vector::add_products` with one instruction.
///
/// # Safety
/// The CPU must have AVX-512 with bf16.
#[inline(always)]
pub(super) unsafe fn products512_bf16(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
    // SAFETY: guaranteed by the caller. Both types of vectors have 64 bytes.
    unsafe {
        let (a, b) = (std::mem::transmute::<__m512i, __m512bh>(a), std::mem::transmute::<__m512i, __m512bh>(b));
        _mm512_dpbf16_ps(sum, a, b)
    }
}

/// Implements `Vector::transpose`.
///
/// # Safety
/// All rows of `from` must be valid for reads, and all rows of `to` for writes.
#[inline(always)]
pub(super) unsafe fn transpose(from: *const bf16, from_pitch: usize, to: *mut bf16, to_pitch: usize) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let row = |row: usize| _mm_loadu_si128(from.add(row * from_pitch).cast());
        let low = |a: usize, b: usize| _mm_unpacklo_epi16(row(a), row(b));
        let high = |a: usize, b: usize| _mm_unpackhi_epi16(row(a), row(b));
        // Columns 0 to 3 and 4 to 7 of two rows, then of four, then two columns of eight.
        let pairs =
            [[low(0, 1), high(0, 1)], [low(2, 3), high(2, 3)], [low(4, 5), high(4, 5)], [low(6, 7), high(6, 7)]];
        for half in 0..2 {
            let [a, b, c, d] = [pairs[0][half], pairs[1][half], pairs[2][half], pairs[3][half]];
            let top = [_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b)];
            let bottom = [_mm_unpacklo_epi32(c, d), _mm_unpackhi_epi32(c, d)];
            for pair in 0..2 {
                let to = to.add((4 * half + 2 * pair) * to_pitch);
                _mm_storeu_si128(to.cast(), _mm_unpacklo_epi64(top[pair], bottom[pair]));
                _mm_storeu_si128(to.add(to_pitch).cast(), _mm_unpackhi_epi64(top[pair], bottom[pair]));
            }
        }
    }
}
