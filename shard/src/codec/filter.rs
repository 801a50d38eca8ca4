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
    let mut rows = pixels.chunks_exact_mut(row_bytes);
    let Some(mut above) = rows.next() else { return };
    for row in rows {
        for (pixel, up) in row.iter_mut().zip(above.iter()) {
            *pixel = pixel.wrapping_add(*up);
        }
        above = row;
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
