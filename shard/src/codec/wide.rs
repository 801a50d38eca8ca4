//! The filters for samples of several bytes: `up` on 16-bit samples, `shuffle`, and `up-shuffle`.
//!
//! All work on bytes, because the buffers of callers need not be aligned. The loops vectorise.

/// Writes the differences of 16-bit samples to the row above. The first row stays as it is.
#[cfg(any(test, feature = "write"))]
pub(super) fn up16(pixels: &[u8], row_bytes: usize, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&pixels[..row_bytes.min(pixels.len())]);
    let pairs = pixels.get(row_bytes..).unwrap_or_default().chunks_exact(2).zip(pixels.chunks_exact(2));
    out.extend(pairs.flat_map(|(below, above)| sample(below).wrapping_sub(sample(above)).to_le_bytes()));
}

/// Undoes [`up16`] in place.
pub(super) fn undo_up16(pixels: &mut [u8], row_bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor supports AVX2, for which the function is compiled.
        #[allow(unsafe_code)]
        unsafe {
            undo_up16_avx2(pixels, row_bytes);
        }
        return;
    }
    add_rows16(pixels, row_bytes);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn undo_up16_avx2(pixels: &mut [u8], row_bytes: usize) {
    add_rows16(pixels, row_bytes);
}

/// Adds to each row the row above it. It is inlined, and so compiled for each instruction set.
#[inline(always)]
fn add_rows16(pixels: &mut [u8], row_bytes: usize) {
    let mut start = row_bytes;
    while row_bytes > 0 && start + row_bytes <= pixels.len() {
        let (above, row) = pixels[start - row_bytes..start + row_bytes].split_at_mut(row_bytes);
        for (below, above) in row.chunks_exact_mut(2).zip(above.chunks_exact(2)) {
            let sum = sample(below).wrapping_add(sample(above));
            below.copy_from_slice(&sum.to_le_bytes());
        }
        start += row_bytes;
    }
}

/// Writes the first bytes of all samples of `width` bytes, then the second bytes, and so on.
#[cfg(any(test, feature = "write"))]
pub(super) fn shuffle(pixels: &[u8], width: usize, out: &mut Vec<u8>) {
    out.clear();
    for byte in 0..width {
        out.extend(pixels.iter().skip(byte).step_by(width));
    }
}

/// Undoes [`shuffle`] into `out`, which has the same length.
pub(super) fn undo_shuffle(shuffled: &[u8], width: usize, out: &mut [u8]) {
    debug_assert!(shuffled.len() == out.len() && out.len().is_multiple_of(width));
    let samples = out.len() / width;
    match width {
        2 => {
            let (low, high) = shuffled.split_at(samples);
            for ((out, &low), &high) in out.chunks_exact_mut(2).zip(low).zip(high) {
                out.copy_from_slice(&[low, high]);
            }
        }
        4 => {
            let (low, high) = shuffled.split_at(2 * samples);
            let ((a, b), (c, d)) = (low.split_at(samples), high.split_at(samples));
            for ((((out, &a), &b), &c), &d) in out.chunks_exact_mut(4).zip(a).zip(b).zip(c).zip(d) {
                out.copy_from_slice(&[a, b, c, d]);
            }
        }
        _ => {
            for (byte, plane) in shuffled.chunks_exact(samples.max(1)).enumerate() {
                for (out, &value) in out.iter_mut().skip(byte).step_by(width).zip(plane) {
                    *out = value;
                }
            }
        }
    }
}

/// Applies `up` to 16-bit samples, folds the differences of both signs to small numbers, and
/// shuffles the bytes.
#[cfg(any(test, feature = "write"))]
pub(super) fn up_shuffle(pixels: &[u8], row_bytes: usize, out: &mut Vec<u8>) {
    let samples = pixels.len() / 2;
    out.clear();
    out.resize(2 * samples, 0);
    let (low, high) = out.split_at_mut(samples);
    let row = row_bytes / 2;
    for (i, ((pixel, low), high)) in pixels.chunks_exact(2).zip(low).zip(high).enumerate() {
        let above = if i < row { 0 } else { sample(&pixels[2 * (i - row)..]) };
        [*low, *high] = fold(sample(pixel).wrapping_sub(above)).to_le_bytes();
    }
}

/// Undoes [`up_shuffle`] into `out`, which has the same length.
pub(super) fn undo_up_shuffle(shuffled: &[u8], row_bytes: usize, out: &mut [u8]) {
    debug_assert!(shuffled.len() == out.len() && out.len().is_multiple_of(2));
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor supports AVX2, for which the function is compiled.
        #[allow(unsafe_code)]
        unsafe {
            undo_up_shuffle_avx2(shuffled, row_bytes, out);
        }
        return;
    }
    join_and_add(shuffled, row_bytes, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn undo_up_shuffle_avx2(shuffled: &[u8], row_bytes: usize, out: &mut [u8]) {
    join_and_add(shuffled, row_bytes, out);
}

/// Joins the bytes of each difference, and adds the row above. It is inlined, and so compiled for
/// each instruction set.
#[inline(always)]
fn join_and_add(shuffled: &[u8], row_bytes: usize, out: &mut [u8]) {
    let samples = out.len() / 2;
    let row = row_bytes / 2;
    let (low, high) = shuffled.split_at(samples);
    let mut start = 0;
    while row > 0 && start + row <= samples {
        let (before, rest) = out.split_at_mut(2 * start);
        let now = rest[..2 * row].chunks_exact_mut(2);
        let bytes = low[start..start + row].iter().zip(&high[start..start + row]);
        if start == 0 {
            for (out, (&low, &high)) in now.zip(bytes) {
                out.copy_from_slice(&unfold(u16::from_le_bytes([low, high])).to_le_bytes());
            }
        } else {
            let above = before[2 * (start - row)..].chunks_exact(2);
            for ((out, above), (&low, &high)) in now.zip(above).zip(bytes) {
                let value = unfold(u16::from_le_bytes([low, high])).wrapping_add(sample(above));
                out.copy_from_slice(&value.to_le_bytes());
            }
        }
        start += row;
    }
}

#[inline(always)]
fn sample(bytes: &[u8]) -> u16 {
    u16::from_le_bytes([bytes[0], bytes[1]])
}

/// Maps the signed numbers 0, -1, 1, -2, ... to 0, 1, 2, 3, ...
#[cfg(any(test, feature = "write"))]
#[inline(always)]
fn fold(difference: u16) -> u16 {
    (difference << 1) ^ (difference.cast_signed() >> 15).cast_unsigned()
}

#[inline(always)]
fn unfold(folded: u16) -> u16 {
    (folded >> 1) ^ (folded & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        (0..len).map(|i| crate::order::mix64(i as u64) as u8).collect()
    }

    #[test]
    fn differences_of_16_bits_carry_into_the_high_byte() {
        let words = |values: &[u16]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let pixels = words(&[0x00ff, 5, 0x0100, 3]);
        let mut out = Vec::new();
        up16(&pixels, 4, &mut out);
        assert_eq!(out, words(&[0x00ff, 5, 1, 0xfffe]));
        undo_up16(&mut out, 4);
        assert_eq!(out, pixels);
        // The folded differences are 2 * 255, 10, 2 and 2 * 2 - 1.
        up_shuffle(&pixels, 4, &mut out);
        assert_eq!(out, [0xfe, 10, 2, 3, 1, 0, 0, 0]);
    }

    #[test]
    fn bytes_are_shuffled_by_their_place_in_the_sample() {
        let mut out = Vec::new();
        shuffle(&[1, 2, 3, 4, 5, 6, 7, 8], 4, &mut out);
        assert_eq!(out, [1, 5, 2, 6, 3, 7, 4, 8]);
        shuffle(&[1, 2, 3, 4, 5, 6, 7, 8], 2, &mut out);
        assert_eq!(out, [1, 3, 5, 7, 2, 4, 6, 8]);
    }

    #[test]
    fn every_filter_is_undone_for_every_size() {
        assert!((0..=u16::MAX).all(|value| unfold(fold(value)) == value));
        for row in [1, 2, 7, 16, 33, 320] {
            for rows in [1, 2, 5, 64] {
                let pixels = noise(2 * row * rows);
                let (mut filtered, mut out) = (Vec::new(), vec![0; pixels.len()]);
                up16(&pixels, 2 * row, &mut filtered);
                undo_up16(&mut filtered, 2 * row);
                assert_eq!(filtered, pixels);
                add_rows16(&mut filtered, 2 * row);
                up16(&filtered.clone(), 2 * row, &mut filtered);
                assert_eq!(filtered, pixels, "the portable code equals the other");
                up_shuffle(&pixels, 2 * row, &mut filtered);
                undo_up_shuffle(&filtered, 2 * row, &mut out);
                assert_eq!(out, pixels);
                out.fill(0);
                join_and_add(&filtered, 2 * row, &mut out);
                assert_eq!(out, pixels);
                for width in [2, 4] {
                    let pixels = noise(width * row * rows);
                    let mut out = vec![0; pixels.len()];
                    shuffle(&pixels, width, &mut filtered);
                    undo_shuffle(&filtered, width, &mut out);
                    assert_eq!(out, pixels);
                }
            }
        }
    }
}
