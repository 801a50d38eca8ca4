//! Mirrors images from left to right.
#![allow(unsafe_code)]

/// Mirrors rows of `width` pixels of `pixel_bytes` bytes in place.
pub(crate) fn mirror(pixels: &mut [u8], width: usize, pixel_bytes: usize) {
    for row in pixels.chunks_exact_mut(width * pixel_bytes) {
        match pixel_bytes {
            1 => row.reverse(),
            2 => row.as_chunks_mut::<2>().0.reverse(),
            3 => mirror_rgb(row),
            4 => row.as_chunks_mut::<4>().0.reverse(),
            6 => row.as_chunks_mut::<6>().0.reverse(),
            _ => {
                // Other pixels are rare. Mirroring the bytes turns each pixel round; this turns it back.
                row.reverse();
                row.chunks_exact_mut(pixel_bytes).for_each(<[u8]>::reverse);
            }
        }
    }
}

fn mirror_rgb(row: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    let row = if is_x86_feature_detected!("ssse3") {
        // SAFETY: the processor has ssse3.
        unsafe { ssse3::mirror_ends(row) }
    } else {
        row
    };
    let pixels = row.as_chunks_mut::<3>().0;
    let (left, right) = pixels.split_at_mut(pixels.len() / 2);
    for (left, right) in left.iter_mut().zip(right.iter_mut().rev()) {
        std::mem::swap(left, right);
    }
}

#[cfg(target_arch = "x86_64")]
mod ssse3 {
    use std::arch::x86_64::{
        __m128i, _mm_alignr_epi8, _mm_and_si128, _mm_loadu_si128, _mm_or_si128, _mm_setr_epi8, _mm_shuffle_epi8,
        _mm_storeu_si128,
    };

    /// Number of bytes of five pixels. One register of 16 bytes mirrors five pixels at once.
    const FIVE: usize = 15;

    /// Swaps and mirrors groups of five pixels at both ends of a row, moving inwards. Returns the
    /// middle part that is not yet mirrored: it is too short for two separate registers.
    #[target_feature(enable = "ssse3")]
    pub fn mirror_ends(row: &mut [u8]) -> &mut [u8] {
        // The sixteenth byte of a register is not part of the five pixels. `last` and `first` keep
        // it as it is.
        let turned = _mm_setr_epi8(12, 13, 14, 9, 10, 11, 6, 7, 8, 3, 4, 5, 0, 1, 2, -1);
        let last = _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1);
        let turned_back = _mm_setr_epi8(-1, 12, 13, 14, 9, 10, 11, 6, 7, 8, 3, 4, 5, 0, 1, 2);
        let first = _mm_setr_epi8(-1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        let mut rest = row;
        while rest.len() >= 32 {
            let end = rest.len() - 16;
            // SAFETY: `rest` has at least 32 bytes, so its first and its last 16 bytes are inside
            // and do not overlap.
            unsafe {
                #[allow(clippy::cast_ptr_alignment, reason = "loads and stores of any alignment")]
                let (left, right) = (rest.as_mut_ptr().cast::<__m128i>(), rest.as_mut_ptr().add(end).cast::<__m128i>());
                let (a, b) = (_mm_loadu_si128(left), _mm_loadu_si128(right));
                // The five pixels of `b` start at its second byte.
                let from_right = _mm_shuffle_epi8(_mm_alignr_epi8::<1>(b, b), turned);
                _mm_storeu_si128(left, _mm_or_si128(from_right, _mm_and_si128(a, last)));
                _mm_storeu_si128(right, _mm_or_si128(_mm_shuffle_epi8(a, turned_back), _mm_and_si128(b, first)));
            }
            let inner = rest.len() - FIVE;
            rest = &mut rest[FIVE..inner];
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirror_turns_rows_of_pixels_not_channels() {
        let mut pixels: Vec<u8> = (0..18).collect();
        mirror(&mut pixels, 3, 3);
        assert_eq!(pixels, [6, 7, 8, 3, 4, 5, 0, 1, 2, 15, 16, 17, 12, 13, 14, 9, 10, 11]);
        let mut plane = [1, 2, 3, 4, 5, 6];
        mirror(&mut plane, 3, 1);
        assert_eq!(plane, [3, 2, 1, 6, 5, 4]);
    }

    #[test]
    fn pixels_of_any_size_stay_whole() {
        for bytes in 1..=16 {
            let pixels: Vec<u8> = (0..2 * 5 * bytes).map(|i| i as u8).collect();
            let mut found = pixels.clone();
            mirror(&mut found, 5, bytes);
            let row = |row: &[u8]| row.chunks_exact(bytes).rev().flatten().copied().collect::<Vec<u8>>();
            let expected: Vec<u8> = pixels.chunks_exact(5 * bytes).flat_map(row).collect();
            assert_eq!(found, expected, "{bytes}");
        }
    }

    #[test]
    fn rows_of_any_width_are_mirrored_as_pixel_by_pixel() {
        for width in 1..70 {
            let pixels: Vec<u8> = (0..2 * width * 3).map(|i| (i * 89 % 251) as u8).collect();
            let row = |row: &[u8]| row.as_chunks::<3>().0.iter().rev().flatten().copied().collect::<Vec<u8>>();
            let expected: Vec<u8> = pixels.chunks_exact(3 * width).flat_map(row).collect();
            let mut found = pixels;
            mirror(&mut found, width, 3);
            assert_eq!(found, expected, "{width}");
        }
    }
}
