//! Changes u8 pixels between record and batch: mirrors, resizes, jitters colours.

mod jitter;
mod mirror;

use crate::{Error, Result};
use clipshard::ImageSize;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

pub use jitter::Jitter;
pub(crate) use mirror::mirror;

/// Reverses all displacements of a plane of optical flow: `v` becomes `255 - v`.
pub(crate) fn reverse(plane: &mut [u8]) {
    for value in plane {
        *value = 255 - *value;
    }
}

/// Resizes an image to a square without keeping the aspect ratio.
///
/// Uses the antialiased bilinear filter of PIL: a triangle whose support grows with the shrink
/// factor.
pub(crate) fn squash(resizer: &mut Resizer, pixels: &[u8], size: ImageSize, side: usize, out: &mut [u8]) -> Result<()> {
    let kind = if size.channels == 1 { PixelType::U8 } else { PixelType::U8x3 };
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let fault = |fault: &dyn std::fmt::Display| Error::Resize { size, side, fault: fault.to_string() };
    let source = ImageRef::new(size.width.into(), size.height.into(), pixels, kind).map_err(|error| fault(&error))?;
    let mut target = Image::from_slice_u8(side as u32, side as u32, out, kind).map_err(|error| fault(&error))?;
    resizer.resize(&source, &mut target, &options).map_err(|error| fault(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displacements_turn_round() {
        let mut plane = [0, 3, 128, 255];
        reverse(&mut plane);
        assert_eq!(plane, [255, 252, 127, 0]);
    }

    #[test]
    fn squash_equals_pil() {
        // PIL: Image.fromarray(a).resize((3, 3), Image.BILINEAR) for a[y][x] = (x * 37 + y * 91) %
        // 256, 7 wide, 5 high.
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
