//! Sharpens or blurs RGB images, with the bytes of PIL's `ImageEnhance.Sharpness`.

use crate::pixels::colour::blend;

/// Blends a square image of interleaved RGB pixels with its smoothed version. Pixels at the border
/// keep their values. Uses `scratch` for a copy of the image.
///
/// The smoothed value is the mean of a pixel and its eight neighbours, where the pixel itself counts
/// five times.
pub(super) fn change_sharpness(rgb: &mut [u8], side: usize, factor: f32, scratch: &mut Vec<u8>) {
    if side < 3 {
        return;
    }
    scratch.clear();
    scratch.extend_from_slice(rgb);
    let row_bytes = 3 * side;
    let inner = row_bytes - 6;
    let blocks = scratch.windows(3 * row_bytes).step_by(row_bytes);
    for (block, out) in blocks.zip(rgb[row_bytes..].chunks_exact_mut(row_bytes)) {
        // Slices of equal lengths, so that the compiler omits checks and uses vector instructions.
        let rows = [0, 1, 2].map(|row| [0, 3, 6].map(|byte| &block[row * row_bytes + byte..][..inner]));
        let middle = rows[1][1];
        let out = &mut out[3..][..inner];
        for (at, out) in out.iter_mut().enumerate() {
            let sum = rows.iter().flatten().map(|values| u16::from(values[at])).sum::<u16>();
            *out = ((sum + 4 * u16::from(middle[at]) + 6) / 13) as u8;
        }
        for (smooth, sharp) in out.iter_mut().zip(middle) {
            *smooth = blend(*smooth, *sharp, factor);
        }
    }
}
