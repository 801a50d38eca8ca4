//! What is done to u8 pixels between a record and its place in a batch: crop, flip, squash.

use anyhow::{Context, Result};
use clipshard::ImageSize;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

/// Copies a `side` x `side` square out of an image, mirrored if asked.
pub fn crop(pixels: &[u8], size: ImageSize, (x, y): (usize, usize), side: usize, mirror: bool, out: &mut [u8]) {
    let channels = size.channels as usize;
    let rows = pixels.chunks_exact(size.row_bytes()).skip(y);
    for (row, out) in rows.zip(out.chunks_exact_mut(side * channels)) {
        let row = &row[x * channels..(x + side) * channels];
        if mirror {
            for (pixel, out) in row.chunks_exact(channels).rev().zip(out.chunks_exact_mut(channels)) {
                out.copy_from_slice(pixel);
            }
        } else {
            out.copy_from_slice(row);
        }
    }
}

/// Resizes to a square as PIL's antialiased bilinear does (triangle filter, its support scaled by the shrink factor).
/// The aspect ratio is not kept, as in the seed run.
pub fn squash(resizer: &mut Resizer, pixels: &[u8], size: ImageSize, side: usize, out: &mut [u8]) -> Result<()> {
    let kind = if size.channels == 1 { PixelType::U8 } else { PixelType::U8x3 };
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let source = ImageRef::new(size.width.into(), size.height.into(), pixels, kind).context("image to resize")?;
    let mut target = Image::from_slice_u8(side as u32, side as u32, out, kind).context("resized image")?;
    resizer.resize(&source, &mut target, &options).context("resizing an image")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crop_takes_the_square_and_mirrors_pixels_not_channels() {
        let size = ImageSize { width: 3, height: 2, channels: 3 };
        let pixels: Vec<u8> = (0..18).collect();
        let mut out = [0; 12];
        crop(&pixels, size, (1, 0), 2, false, &mut out);
        assert_eq!(out, [3, 4, 5, 6, 7, 8, 12, 13, 14, 15, 16, 17]);
        crop(&pixels, size, (1, 0), 2, true, &mut out);
        assert_eq!(out, [6, 7, 8, 3, 4, 5, 15, 16, 17, 12, 13, 14]);
    }

    #[test]
    fn squash_equals_pil() {
        // PIL: Image.fromarray(a).resize((3, 3), Image.BILINEAR) for a[y][x] = (x * 37 + y * 91) % 256, 7 wide, 5 high.
        let size = ImageSize { width: 7, height: 5, channels: 1 };
        let pixels: Vec<u8> = (0..35).map(|i| ((i % 7) * 37 + (i / 7) * 91) as u8).collect();
        let mut out = [0; 9];
        squash(&mut Resizer::new(), &pixels, size, 3, &mut out).unwrap();
        let expected = [71, 144, 143, 127, 99, 128, 101, 137, 113];
        for (found, expected) in out.iter().zip(expected) {
            assert!(found.abs_diff(expected) <= 1, "{out:?}");
        }
    }
}
