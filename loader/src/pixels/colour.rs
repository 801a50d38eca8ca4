//! Changes of brightness, contrast and saturation, with the bytes of PIL's `ImageEnhance`.
//!
//! Each change blends the image with another one: black, the mean grey, or the grey version of the
//! image. Factor 1 changes nothing. A factor above 1 extrapolates away from the other image.

/// Blends interleaved RGB pixels with black.
pub(super) fn change_brightness(rgb: &mut [u8], factor: f32) {
    away_from(rgb, 0, factor);
}

/// Blends interleaved RGB pixels with the mean grey of all of them.
pub(super) fn change_contrast(rgb: &mut [u8], factor: f32) {
    let sum: u64 = rgb.as_chunks().0.iter().map(|pixel| u64::from(luma(*pixel))).sum();
    let pixels = (rgb.len() / 3).max(1);
    away_from(rgb, (sum as f64 / pixels as f64 + 0.5) as u8, factor);
}

/// Blends each interleaved RGB pixel with its grey.
pub(super) fn change_saturation(rgb: &mut [u8], factor: f32) {
    for pixel in rgb.as_chunks_mut::<3>().0 {
        let grey = luma(*pixel);
        *pixel = pixel.map(|v| blend(grey, v, factor));
    }
}

fn away_from(rgb: &mut [u8], degenerate: u8, factor: f32) {
    let table: [u8; 256] = std::array::from_fn(|v| blend(degenerate, v as u8, factor));
    for v in rgb {
        *v = table[usize::from(*v)];
    }
}

/// Blends two values. Truncates the result instead of rounding it, as PIL does.
pub(super) fn blend(from: u8, to: u8, factor: f32) -> u8 {
    (f32::from(from) + factor * (f32::from(to) - f32::from(from))) as u8
}

/// Returns the ITU-R 601 luma of a pixel, in the fixed-point arithmetic of PIL.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 19_595 + u32::from(g) * 38_470 + u32::from(b) * 7_471 + 0x8000) >> 16) as u8
}
