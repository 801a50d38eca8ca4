//! Filter 1, `up`: each row holds its difference to the row above, modulo 256; the first row is as it was.
//! Smooth images become small numbers, and both directions vectorise.

/// Writes the filtered image to `out`. `pixels` is a whole number of rows of `row_bytes`.
pub(super) fn up(pixels: &[u8], row_bytes: usize, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&pixels[..row_bytes]);
    out.extend(pixels[row_bytes..].iter().zip(pixels).map(|(below, above)| below.wrapping_sub(*above)));
}

/// Restores an image in place.
pub(super) fn undo_up(pixels: &mut [u8], row_bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function is compiled for.
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

/// Compiled for each set of instructions; loops count, because iterators would not be compiled for it too.
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
}
