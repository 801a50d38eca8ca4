//! The kernels with 256-bit vectors. In the IDCT, a vector is a row of eight values.
//!
//! All functions enable the target feature themselves. They use loops, because iterators and their
//! closures do not have the target feature and would not be inlined.

use super::colour::{BLUE, GREEN, RED};
use super::idct::{CONST_BITS, EVEN, LAST_BIAS, ODD, PASS1_BITS};
use super::kernels::{CHUNK, Kernels};
#[allow(clippy::wildcard_imports, reason = "the names of instructions")]
use std::arch::x86_64::*;

pub(super) struct Avx2;

impl Kernels for Avx2 {
    #[inline(always)]
    fn block(coefficients: &[i32; 64], out: &mut [u8], stride: usize) {
        // SAFETY: only code that is compiled for AVX2 uses this type.
        #[allow(unsafe_code)]
        unsafe {
            block(coefficients, out, stride);
        }
    }

    #[inline(always)]
    fn convert(luma: &[u8; CHUNK], blue: &[u8; CHUNK], red: &[u8; CHUNK], out: &mut [u8; 3 * CHUNK]) {
        // SAFETY: only code that is compiled for AVX2 uses this type.
        #[allow(unsafe_code)]
        unsafe {
            convert(luma, blue, red, out);
        }
    }
}

#[target_feature(enable = "avx2")]
#[inline]
#[allow(clippy::needless_range_loop, reason = "see above")]
fn block(coefficients: &[i32; 64], out: &mut [u8], stride: usize) {
    let coefficients = coefficients.as_chunks::<8>().0;
    let mut rows = [_mm256_setzero_si256(); 8];
    for i in 0..8 {
        rows[i] = load_i32(coefficients[i]);
    }
    one_dimension::<{ (CONST_BITS - PASS1_BITS) as i32 }>(&mut rows, 1 << (CONST_BITS - PASS1_BITS - 1));
    let mut columns = transpose(rows);
    one_dimension::<{ (CONST_BITS + PASS1_BITS + 3) as i32 }>(&mut columns, LAST_BIAS);
    let out = &mut out[..7 * stride + 8];
    let pairs = pack(columns);
    for i in 0..4 {
        let (row, two) = (2 * i, pairs[i]);
        let (low, high) = (_mm_cvtsi128_si64(two), _mm_extract_epi64::<1>(two));
        out[row * stride..row * stride + 8].copy_from_slice(&low.to_le_bytes());
        out[(row + 1) * stride..(row + 1) * stride + 8].copy_from_slice(&high.to_le_bytes());
    }
}

#[inline(always)]
fn load_i32(values: [i32; 8]) -> __m256i {
    // SAFETY: both types have 32 bytes, and every value is valid.
    #[allow(unsafe_code)]
    unsafe {
        std::mem::transmute(values)
    }
}

#[inline(always)]
fn load_u8(values: [u8; 16]) -> __m128i {
    // SAFETY: both types have 16 bytes, and every value is valid.
    #[allow(unsafe_code)]
    unsafe {
        std::mem::transmute(values)
    }
}

#[inline(always)]
fn to_u8(vector: __m128i) -> [u8; 16] {
    // SAFETY: both types have 16 bytes, and every value is valid.
    #[allow(unsafe_code)]
    unsafe {
        std::mem::transmute(vector)
    }
}

/// Combines the lower halves of 32-bit lanes: `a` in the lower and `b` in the upper 16 bits.
#[target_feature(enable = "avx2")]
#[inline]
fn pair(a: __m256i, b: __m256i) -> __m256i {
    _mm256_blend_epi16::<0xaa>(a, _mm256_slli_epi32::<16>(b))
}

/// Returns the sum of a pair's products with two factors, for each pair.
#[target_feature(enable = "avx2")]
#[inline]
fn products(pair: __m256i, a: i32, b: i32) -> __m256i {
    _mm256_madd_epi16(pair, _mm256_set1_epi32(b << 16 | (a & 0xffff)))
}

/// Transforms eight columns at a time, like the function in `idct.rs`. Multiplies pairs of 16-bit
/// numbers.
#[target_feature(enable = "avx2")]
#[inline]
fn one_dimension<const SHIFT: i32>(x: &mut [__m256i; 8], bias: i32) {
    let bias = _mm256_set1_epi32(bias);
    let p26 = pair(x[2], x[6]);
    let (tmp3, tmp2) = (products(p26, EVEN[0][0], EVEN[0][1]), products(p26, EVEN[1][0], EVEN[1][1]));
    let sum = _mm256_slli_epi32::<{ CONST_BITS as i32 }>(_mm256_add_epi32(x[0], x[4]));
    let difference = _mm256_slli_epi32::<{ CONST_BITS as i32 }>(_mm256_sub_epi32(x[0], x[4]));
    let (tmp0, tmp1) = (_mm256_add_epi32(sum, bias), _mm256_add_epi32(difference, bias));
    let even = [
        _mm256_add_epi32(tmp0, tmp3),
        _mm256_add_epi32(tmp1, tmp2),
        _mm256_sub_epi32(tmp1, tmp2),
        _mm256_sub_epi32(tmp0, tmp3),
    ];
    let (p13, p57) = (pair(x[1], x[3]), pair(x[5], x[7]));
    for i in 0..4 {
        let [a, b, c, d] = ODD[i];
        let odd = _mm256_add_epi32(products(p13, a, b), products(p57, c, d));
        x[i] = _mm256_srai_epi32::<SHIFT>(_mm256_add_epi32(even[i], odd));
        x[7 - i] = _mm256_srai_epi32::<SHIFT>(_mm256_sub_epi32(even[i], odd));
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn transpose(r: [__m256i; 8]) -> [__m256i; 8] {
    // Interleaves pairs of rows, then groups of four rows, inside each half. Then it exchanges the
    // halves.
    let mut pairs = r;
    let mut fours = r;
    let mut out = r;
    for i in [0, 4] {
        pairs[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
        pairs[i + 1] = _mm256_unpacklo_epi32(r[i + 2], r[i + 3]);
        pairs[i + 2] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
        pairs[i + 3] = _mm256_unpackhi_epi32(r[i + 2], r[i + 3]);
    }
    for i in [0, 2, 4, 6] {
        fours[i] = _mm256_unpacklo_epi64(pairs[i], pairs[i + 1]);
        fours[i + 1] = _mm256_unpackhi_epi64(pairs[i], pairs[i + 1]);
    }
    for i in 0..4 {
        out[i] = _mm256_permute2x128_si256::<0x20>(fours[i], fours[i + 4]);
        out[i + 4] = _mm256_permute2x128_si256::<0x31>(fours[i], fours[i + 4]);
    }
    out
}

/// Converts columns of values to rows of clamped pixels, with two rows per vector.
#[target_feature(enable = "avx2")]
#[inline]
fn pack(c: [__m256i; 8]) -> [__m128i; 4] {
    let words = |i: usize| _mm256_packs_epi32(c[i], c[i + 1]);
    // Each half has four rows of column 0, then of columns 1, 2 and 3.
    let (left, right) = (_mm256_packus_epi16(words(0), words(2)), _mm256_packus_epi16(words(4), words(6)));
    let order = _mm256_broadcastsi128_si256(load_u8([0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15]));
    let (left, right) = (_mm256_shuffle_epi8(left, order), _mm256_shuffle_epi8(right, order));
    let (even, odd) = (_mm256_unpacklo_epi32(left, right), _mm256_unpackhi_epi32(left, right));
    [
        _mm256_castsi256_si128(even),
        _mm256_castsi256_si128(odd),
        _mm256_extracti128_si256::<1>(even),
        _mm256_extracti128_si256::<1>(odd),
    ]
}

/// For each third of 16 RGB pixels and each colour, the source byte of each position; 128 for other
/// colours.
const ORDER: [[[u8; 16]; 3]; 3] = {
    let mut order = [[[128; 16]; 3]; 3];
    let mut at = 0;
    while at < 48 {
        order[at / 16][at % 3][at % 16] = (at / 3) as u8;
        at += 1;
    }
    order
};

/// Converts sixteen pixels at a time, like the function in `colour.rs`.
#[target_feature(enable = "avx2")]
#[inline]
#[allow(clippy::needless_range_loop, reason = "see above")]
fn convert(luma: &[u8; CHUNK], blue: &[u8; CHUNK], red: &[u8; CHUNK], out: &mut [u8; 3 * CHUNK]) {
    let middle = _mm256_set1_epi16(128);
    let one = _mm256_set1_epi16(1);
    let factors = _mm256_set1_epi32(GREEN[1] << 16 | (GREEN[0] & 0xffff));
    let half = _mm256_set1_epi32(1 << 15);
    let (luma, blue, red) = (luma.as_chunks::<16>().0, blue.as_chunks::<16>().0, red.as_chunks::<16>().0);
    let out = out.as_chunks_mut::<16>().0;
    for i in 0..CHUNK / 16 {
        let y = _mm256_cvtepu8_epi16(load_u8(luma[i]));
        let cb = _mm256_sub_epi16(_mm256_cvtepu8_epi16(load_u8(blue[i])), middle);
        let cr = _mm256_sub_epi16(_mm256_cvtepu8_epi16(load_u8(red[i])), middle);
        let more_red = _mm256_mulhi_epi16(_mm256_add_epi16(cr, cr), _mm256_set1_epi16(RED));
        let more_red = _mm256_srai_epi16::<1>(_mm256_add_epi16(more_red, one));
        let more_blue = _mm256_mulhi_epi16(_mm256_add_epi16(cb, cb), _mm256_set1_epi16(BLUE));
        let more_blue = _mm256_srai_epi16::<1>(_mm256_add_epi16(more_blue, one));
        let low = _mm256_madd_epi16(_mm256_unpacklo_epi16(cb, cr), factors);
        let high = _mm256_madd_epi16(_mm256_unpackhi_epi16(cb, cr), factors);
        let low = _mm256_srai_epi32::<16>(_mm256_add_epi32(low, half));
        let high = _mm256_srai_epi32::<16>(_mm256_add_epi32(high, half));
        let r = _mm256_add_epi16(_mm256_add_epi16(y, cr), more_red);
        let g = _mm256_add_epi16(_mm256_sub_epi16(y, cr), _mm256_packs_epi32(low, high));
        let b = _mm256_add_epi16(_mm256_add_epi16(y, _mm256_add_epi16(cb, cb)), more_blue);
        let r = _mm_packus_epi16(_mm256_castsi256_si128(r), _mm256_extracti128_si256::<1>(r));
        let g = _mm_packus_epi16(_mm256_castsi256_si128(g), _mm256_extracti128_si256::<1>(g));
        let b = _mm_packus_epi16(_mm256_castsi256_si128(b), _mm256_extracti128_si256::<1>(b));
        for third in 0..3 {
            let r = _mm_shuffle_epi8(r, load_u8(ORDER[third][0]));
            let g = _mm_shuffle_epi8(g, load_u8(ORDER[third][1]));
            let b = _mm_shuffle_epi8(b, load_u8(ORDER[third][2]));
            out[3 * i + third] = to_u8(_mm_or_si128(_mm_or_si128(r, g), b));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::jpeg::baseline::idct::Portable;
    use crate::order::Draws;

    /// Number of blocks to test. Miri needs milliseconds per block.
    const BLOCKS: u64 = if cfg!(miri) { 50 } else { 20_000 };

    fn has_avx2() -> bool {
        is_x86_feature_detected!("avx2")
    }

    #[test]
    fn blocks_equal_those_of_portable_rust_for_all_coefficients() {
        if !has_avx2() {
            return;
        }
        for number in 0..BLOCKS {
            let mut draws = Draws::new(3, 0, number);
            let (largest, share) = (1 << draws.below(16), draws.below(64));
            let mut coefficients = [0; 64];
            for coefficient in &mut coefficients {
                if draws.below(64) <= share {
                    *coefficient = draws.below(2 * largest) as i32 - largest as i32;
                }
            }
            let (mut expected, mut found) = ([0; 80], [0; 80]);
            Portable::block(&coefficients, &mut expected, 10);
            Avx2::block(&coefficients, &mut found, 10);
            assert_eq!(found, expected, "{coefficients:?}");
        }
    }

    #[test]
    fn colours_equal_those_of_portable_rust() {
        if !has_avx2() {
            return;
        }
        for number in 0..BLOCKS {
            let mut draws = Draws::new(4, 0, number);
            let mut random = || std::array::from_fn(|_| draws.bits() as u8);
            let (luma, blue, red) = (random(), random(), random());
            let (mut expected, mut found) = ([0; 96], [0; 96]);
            Portable::convert(&luma, &blue, &red, &mut expected);
            Avx2::convert(&luma, &blue, &red, &mut found);
            assert_eq!(found, expected);
        }
    }
}
