//! Applies and undoes filters, and has the code of filter 1, `up`, for bytes: each row except for the
//! first holds its difference to the row above, modulo 256.
//!
//! It turns smooth images into small numbers. Applying and undoing it both vectorise.

use super::kinds::Filter;
use super::wide;
use crate::shape::Shape;

/// Writes the filtered samples of a record to `out`.
#[cfg(feature = "write")]
pub(super) fn apply<'a>(filter: Filter, pixels: &'a [u8], shape: Shape, out: &'a mut Vec<u8>) -> &'a [u8] {
    match (filter, shape.samples().bytes()) {
        (Filter::None, _) => return pixels,
        (Filter::Up, 1) => up(pixels, shape.row_bytes(), out),
        (Filter::Up, _) => wide::up16(pixels, shape.row_bytes(), out),
        (Filter::Shuffle, width) => wide::shuffle(pixels, width, out),
        (Filter::UpShuffle, _) => wide::up_shuffle(pixels, shape.row_bytes(), out),
    }
    out
}

/// Undoes the filter of a record. Returns true if the result is in `out`, which is given if the
/// whole record is wanted. Otherwise the result is in `plain` if the filter is shuffled, and in
/// `filtered` if it is not.
pub(super) fn undo_into(
    filter: Filter,
    filtered: &mut [u8],
    shape: Shape,
    out: Option<&mut [u8]>,
    plain: &mut Vec<u8>,
) -> bool {
    let (row_bytes, width) = (shape.row_bytes(), shape.samples().bytes());
    if let Some(out) = out {
        match filter {
            Filter::Up if width == 1 && undo_up_to(filtered, row_bytes, out) => return true,
            Filter::Shuffle => {
                wide::undo_shuffle(filtered, width, out);
                return true;
            }
            Filter::UpShuffle => {
                wide::undo_up_shuffle(filtered, row_bytes, out);
                return true;
            }
            Filter::None | Filter::Up => {}
        }
    }
    match filter {
        Filter::None => {}
        Filter::Up if width == 1 => undo_up(filtered, row_bytes),
        Filter::Up => wide::undo_up16(filtered, row_bytes),
        Filter::Shuffle => {
            plain.resize(filtered.len(), 0);
            wide::undo_shuffle(filtered, width, plain);
        }
        Filter::UpShuffle => {
            plain.resize(filtered.len(), 0);
            wide::undo_up_shuffle(filtered, row_bytes, plain);
        }
    }
    false
}

impl Filter {
    /// Returns whether the filter moves bytes to other places.
    pub(super) fn is_shuffled(self) -> bool {
        matches!(self, Self::Shuffle | Self::UpShuffle)
    }
}

/// Writes the filtered image to `out`. `pixels` has one or more rows of `row_bytes`.
#[cfg(any(test, feature = "write"))]
pub(super) fn up(pixels: &[u8], row_bytes: usize, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&pixels[..row_bytes]);
    out.extend(pixels[row_bytes..].iter().zip(pixels).map(|(below, above)| below.wrapping_sub(*above)));
}

/// Undoes the filter in place.
pub(super) fn undo_up(pixels: &mut [u8], row_bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor supports AVX2, for which the function is compiled.
        #[allow(unsafe_code)]
        unsafe {
            undo_up_avx2(pixels, row_bytes);
        }
        return;
    }
    add_rows(pixels, row_bytes);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn undo_up_avx2(pixels: &mut [u8], row_bytes: usize) {
    add_rows(pixels, row_bytes);
}

/// Undoes the filter while writing to `out` past the caches, see [`super::uncached`].
///
/// Returns false, and does nothing, if the sizes or the processor do not allow that.
#[cfg(target_arch = "x86_64")]
pub(super) fn undo_up_to(filtered: &[u8], row_bytes: usize, out: &mut [u8]) -> bool {
    if row_bytes.is_multiple_of(32)
        && out.as_ptr().align_offset(16) == 0
        && filtered.len() == out.len()
        && out.len().is_multiple_of(row_bytes)
        && is_x86_feature_detected!("avx2")
    {
        // SAFETY: the processor supports AVX2, for which the functions are compiled.
        #[allow(unsafe_code)]
        unsafe {
            match row_bytes / 32 {
                1 => add_to::<1>(filtered, out),
                2 => add_to::<2>(filtered, out),
                3 => add_to::<3>(filtered, out),
                4 => add_to::<4>(filtered, out),
                5 => add_to::<5>(filtered, out),
                6 => add_to::<6>(filtered, out),
                7 => add_to::<7>(filtered, out),
                8 => add_to::<8>(filtered, out),
                _ => return false,
            }
        }
        return true;
    }
    false
}

/// Returns false, because only x86-64 has streaming stores here.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn undo_up_to(_filtered: &[u8], _row_bytes: usize, _out: &mut [u8]) -> bool {
    false
}

/// Undoes the filter for rows of `N` vectors of 32 bytes. Their sums stay in registers from row to
/// row.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[allow(unsafe_code, reason = "streaming stores")]
fn add_to<const N: usize>(filtered: &[u8], out: &mut [u8]) {
    use std::arch::x86_64::{
        _mm_sfence, _mm_stream_si128, _mm256_add_epi8, _mm256_castsi256_si128, _mm256_extracti128_si256,
        _mm256_loadu_si256, _mm256_setzero_si256,
    };
    let mut sums = [_mm256_setzero_si256(); N];
    for (row, to) in filtered.chunks_exact(32 * N).zip(out.chunks_exact_mut(32 * N)) {
        for (i, sum) in sums.iter_mut().enumerate() {
            // SAFETY: both rows have `N` vectors, and the vectors of `to` are aligned to 16 bytes.
            unsafe {
                *sum = _mm256_add_epi8(*sum, _mm256_loadu_si256(row.as_ptr().add(32 * i).cast()));
                let to = to.as_mut_ptr().add(32 * i);
                _mm_stream_si128(to.cast(), _mm256_castsi256_si128(*sum));
                _mm_stream_si128(to.add(16).cast(), _mm256_extracti128_si256::<1>(*sum));
            }
        }
    }
    // The release of a lock does not order streaming stores, so other threads could read old bytes
    // without this fence. SAFETY: every x86-64 processor has SSE. The oldest supported Rust version
    // needs `unsafe` here.
    #[allow(unused_unsafe)]
    unsafe {
        _mm_sfence();
    }
}

/// Adds to each row the row above it.
///
/// The function is inlined, and so compiled for each instruction set. It uses loops, because the
/// closures of iterators are not compiled for the instruction set of their caller.
#[inline(always)]
fn add_rows(pixels: &mut [u8], row_bytes: usize) {
    let mut start = row_bytes;
    while start + row_bytes <= pixels.len() {
        let (above, row) = pixels[start - row_bytes..start + row_bytes].split_at_mut(row_bytes);
        for i in 0..row_bytes {
            row[i] = row[i].wrapping_add(above[i]);
        }
        start += row_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_subtracts_the_row_above() {
        let mut out = Vec::new();
        up(&[1, 2, 3, 5, 0, 255], 2, &mut out);
        assert_eq!(out, [1, 2, 2, 3, 253, 250]);
        undo_up(&mut out, 2);
        assert_eq!(out, [1, 2, 3, 5, 0, 255]);
    }

    #[test]
    fn what_is_restored_elsewhere_is_what_is_restored_in_place() {
        let mut done = 0;
        for row_bytes in (1..=10).map(|n| 32 * n).chain([16, 33, 200]) {
            for (rows, start) in [(1, 0), (2, 16), (9, 32), (224, 5), (3, 0)] {
                let filtered: Vec<u8> = (0..row_bytes * rows).map(|i| crate::order::mix64(i as u64) as u8).collect();
                let mut expected = filtered.clone();
                undo_up(&mut expected, row_bytes);
                let mut out = vec![7; expected.len() + 200];
                let first = out.as_ptr().align_offset(64) + start;
                if undo_up_to(&filtered, row_bytes, &mut out[first..first + expected.len()]) {
                    done += 1;
                    assert_eq!(out[first..first + expected.len()], expected, "{row_bytes}, {rows}, {start}");
                }
                let is_rest_unchanged =
                    out[..first].iter().chain(&out[first + expected.len()..]).all(|&byte| byte == 7);
                assert!(is_rest_unchanged, "{row_bytes}, {rows}, {start}");
            }
        }
        #[cfg(target_arch = "x86_64")]
        assert_eq!(done, if is_x86_feature_detected!("avx2") { 8 * 4 } else { 0 });
        #[cfg(not(target_arch = "x86_64"))]
        assert_eq!(done, 0);
    }
}
