//! Copies that bypass the caches, for memory that is not read soon.
//!
//! The caches then keep the data that decoding needs, and the overwritten cache lines are not read
//! first.

use crate::geometry::{ImageSize, Window};

/// Number of bytes below which an ordinary copy is used.
#[cfg(target_arch = "x86_64")]
const WORTHWHILE: usize = 4096;

/// Copies a window of an image to `out`. A sample has `sample_bytes` bytes.
pub(super) fn cut(window: Window, pixels: &[u8], (image, sample_bytes): (ImageSize, usize), out: &mut [u8]) {
    if window == image.whole() {
        return copy(pixels, out);
    }
    let pixel_bytes = usize::from(image.channels) * sample_bytes;
    let columns = window.columns().start * pixel_bytes..window.columns().end * pixel_bytes;
    let rows = pixels.chunks_exact(image.row_bytes() * sample_bytes).skip(window.rows().start);
    for (out, row) in out.chunks_exact_mut(columns.len()).zip(rows) {
        out.copy_from_slice(&row[columns.clone()]);
    }
}

/// Copies `from` to `to`, which has the same length.
pub(super) fn copy(from: &[u8], to: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if from.len() >= WORTHWHILE && from.len() == to.len() && is_x86_feature_detected!("avx2") {
        // SAFETY: the processor supports AVX2, for which the function is compiled.
        #[allow(unsafe_code)]
        unsafe {
            copy_avx2(from, to);
        }
        return;
    }
    to.copy_from_slice(from);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[allow(unsafe_code, reason = "streaming stores")]
fn copy_avx2(from: &[u8], to: &mut [u8]) {
    use std::arch::x86_64::{_mm_sfence, _mm256_loadu_si256, _mm256_stream_si256};
    assert_eq!(from.len(), to.len());
    // Streaming stores need aligned addresses.
    let head = to.as_ptr().align_offset(64).min(to.len());
    let body = (to.len() - head) / 64 * 64;
    to[..head].copy_from_slice(&from[..head]);
    let (source, target) = (from[head..].as_ptr(), to[head..].as_mut_ptr());
    let mut at = 0;
    while at < body {
        // SAFETY: `at` + 64 is at most `body`, so it is inside both slices. The target is aligned
        // to 64 bytes.
        unsafe {
            let low = _mm256_loadu_si256(source.add(at).cast());
            let high = _mm256_loadu_si256(source.add(at + 32).cast());
            _mm256_stream_si256(target.add(at).cast(), low);
            _mm256_stream_si256(target.add(at + 32).cast(), high);
        }
        at += 64;
    }
    // The release of a lock does not order streaming stores, so other threads could read old bytes
    // without this fence. SAFETY: every x86-64 processor has SSE. The oldest supported Rust version
    // needs `unsafe` here.
    #[allow(unused_unsafe)]
    unsafe {
        _mm_sfence();
    }
    to[head + body..].copy_from_slice(&from[head + body..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_alignment_is_copied_completely_and_nothing_else_changes() {
        let source: Vec<u8> = (0..9000_u32).map(|i| (i * 7 + i / 256) as u8 | 1).collect();
        for start in [0, 1, 31, 63, 64, 100] {
            for length in [0, 1, 63, 4095, 4096, 4097, 4160, 8191] {
                let mut target = vec![0; 9000];
                copy(&source[start / 2..start / 2 + length], &mut target[start..start + length]);
                assert_eq!(target[start..start + length], source[start / 2..start / 2 + length]);
                assert!(target[..start].iter().chain(&target[start + length..]).all(|&byte| byte == 0));
            }
        }
    }
}
