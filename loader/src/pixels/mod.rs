//! Changes pixels between record and batch: mirrors, resizes, changes colours and geometry at random.

mod colour;
mod jitter;
mod mirror;
mod trivial_augment;

use crate::{Error, Result};
use clipshard::{ImageSize, SampleType};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use zerocopy::IntoBytes;

pub use jitter::Jitter;
pub(crate) use mirror::mirror;
pub(crate) use trivial_augment::TrivialAugment;

/// The type of the pixels of an image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pixel {
    pub samples: SampleType,
    pub channels: usize,
}

impl Pixel {
    /// Returns the number of bytes per pixel.
    pub fn bytes(self) -> usize {
        self.samples.bytes() * self.channels
    }

    /// Returns the resizing library's name of these pixels, if it can resize them.
    fn resizable(self) -> Option<PixelType> {
        use PixelType::{F32, F32x2, F32x3, F32x4, U8, U8x2, U8x3, U8x4, U16, U16x2, U16x3, U16x4};
        let types = match self.samples {
            SampleType::U8 => [U8, U8x2, U8x3, U8x4],
            SampleType::U16 => [U16, U16x2, U16x3, U16x4],
            SampleType::F32 => [F32, F32x2, F32x3, F32x4],
            _ => return None,
        };
        types.get(self.channels.checked_sub(1)?).copied()
    }
}

/// Reverses all displacements of a plane of optical flow. Of unsigned samples, the value `v`
/// becomes the largest value minus `v`. Other samples change their sign.
pub(crate) fn reverse(plane: &mut [u8], samples: SampleType) {
    match samples {
        SampleType::I16 => {
            for value in plane.as_chunks_mut::<2>().0 {
                *value = i16::from_le_bytes(*value).saturating_neg().to_le_bytes();
            }
        }
        // The sign is the highest bit of the last byte.
        SampleType::F16 => plane.as_chunks_mut::<2>().0.iter_mut().for_each(|value| value[1] ^= 0x80),
        SampleType::F32 => plane.as_chunks_mut::<4>().0.iter_mut().for_each(|value| value[3] ^= 0x80),
        // Of 16 bits too, the complement of each byte gives the largest value minus `v`.
        _ => plane.iter_mut().for_each(|value| *value = !*value),
    }
}

/// Fills a plane of optical flow with displacements of zero. Of unsigned samples, zero is the value
/// in the middle: 128 for u8.
pub(crate) fn fill_still(plane: &mut [u8], samples: SampleType) {
    match samples {
        SampleType::U8 => plane.fill(128),
        SampleType::U16 => plane.as_chunks_mut::<2>().0.fill(0x8000_u16.to_le_bytes()),
        _ => plane.fill(0),
    }
}

/// Resizes an image to a square without keeping the aspect ratio.
///
/// Uses the antialiased bilinear filter of PIL: a triangle whose support grows with the shrink
/// factor.
pub(crate) fn squash(
    resizer: &mut Resizer,
    pixels: &[u8],
    size: ImageSize,
    pixel: Pixel,
    side: usize,
    out: &mut [u8],
) -> Result<()> {
    let fault = |fault: &dyn std::fmt::Display| Error::Resize { size, side, fault: fault.to_string() };
    let Some(kind) = pixel.resizable() else {
        let samples = pixel.samples;
        return Err(fault(&format!("only samples of u8, u16 and f32 can be resized, and these are {samples}")));
    };
    // The last of two or four channels is a channel like the others, not an alpha channel.
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
    let (width, height, new) = (size.width.into(), size.height.into(), side as u32);
    let mut resize = |pixels: &[u8], out: &mut [u8]| {
        let source = ImageRef::new(width, height, pixels, kind).map_err(|error| fault(&error))?;
        let mut target = Image::from_slice_u8(new, new, out, kind).map_err(|error| fault(&error))?;
        resizer.resize(&source, &mut target, &options).map_err(|error| fault(&error))
    };
    if pixel.samples == SampleType::U8 {
        return resize(pixels, out);
    }
    // The library needs wider samples at addresses that are multiples of their size.
    let aligned = |bytes: usize| vec![0_u32; bytes.div_ceil(4)];
    let (mut from, mut to) = (aligned(pixels.len()), aligned(out.len()));
    let (from, to) = (&mut from.as_mut_bytes()[..pixels.len()], &mut to.as_mut_bytes()[..out.len()]);
    from.copy_from_slice(pixels);
    resize(from, to)?;
    out.copy_from_slice(to);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displacements_turn_round() {
        let mut plane = [0, 3, 128, 255];
        reverse(&mut plane, SampleType::U8);
        assert_eq!(plane, [255, 252, 127, 0]);
        let mut plane = [5_u16, 65_535];
        reverse(plane.as_mut_bytes(), SampleType::U16);
        assert_eq!(plane, [65_530, 0]);
        let mut plane = [5_i16, i16::MIN];
        reverse(plane.as_mut_bytes(), SampleType::I16);
        assert_eq!(plane, [-5, i16::MAX]);
        let mut plane = [1.5_f32, -2.0];
        reverse(plane.as_mut_bytes(), SampleType::F32);
        assert_eq!(plane.map(f32::to_bits), [-1.5_f32, 2.0].map(f32::to_bits));
        let mut plane = [0x3e00_u16, 0xc000];
        reverse(plane.as_mut_bytes(), SampleType::F16);
        assert_eq!(plane, [0xbe00, 0x4000]);
    }

    #[test]
    fn planes_without_motion_hold_the_displacement_zero() {
        let still = |samples| {
            let mut plane = [7; 4];
            fill_still(&mut plane, samples);
            plane
        };
        assert_eq!((still(SampleType::U8), still(SampleType::U16)), ([128; 4], [0, 0x80, 0, 0x80]));
        for signed in [SampleType::I16, SampleType::F16, SampleType::F32] {
            assert_eq!(still(signed), [0; 4], "{signed}");
        }
    }

    #[test]
    fn squash_equals_pil() {
        // PIL: Image.fromarray(a).resize((3, 3), Image.BILINEAR) for a[y][x] = (x * 37 + y * 91) %
        // 256, 7 wide, 5 high.
        let size = ImageSize { width: 7, height: 5, channels: 1 };
        let pixels: Vec<u8> = (0..35).map(|i| ((i % 7) * 37 + (i / 7) * 91) as u8).collect();
        let mut out = [0; 9];
        let pixel = Pixel { samples: SampleType::U8, channels: 1 };
        squash(&mut Resizer::new(), &pixels, size, pixel, 3, &mut out).unwrap();
        let expected = [71, 144, 143, 127, 99, 128, 101, 137, 113];
        for (found, expected) in out.iter().zip(expected) {
            assert!(found.abs_diff(expected) <= 1, "{out:?}");
        }
    }
    #[test]
    fn each_channel_is_resized_on_its_own() {
        let plane = |channel: usize| (0..35).map(move |i| ((i % 7) * 37 + (i / 7) * 91 + channel * 60) as u8);
        let resized = |pixels: &[u8], channels: usize| {
            let size = ImageSize { width: 7, height: 5, channels: channels as u8 };
            let mut out = vec![0; 9 * channels];
            let pixel = Pixel { samples: SampleType::U8, channels };
            squash(&mut Resizer::new(), pixels, size, pixel, 3, &mut out).unwrap();
            out
        };
        for channels in 2..=4 {
            let planes: Vec<Vec<u8>> = (0..channels).map(|channel| plane(channel).collect()).collect();
            let interleaved: Vec<u8> = (0..35).flat_map(|i| planes.iter().map(move |plane| plane[i])).collect();
            let found = resized(&interleaved, channels);
            for (channel, plane) in planes.iter().enumerate() {
                let of_channel: Vec<u8> = found.iter().skip(channel).step_by(channels).copied().collect();
                assert_eq!(of_channel, resized(plane, 1), "channel {channel} of {channels}");
            }
        }
    }

    #[test]
    fn wider_samples_are_resized_as_floats_are() {
        // A row of 4 pixels becomes 2 pixels: the triangle filter has the weights 3/7, 3/7, 1/7.
        let size = ImageSize { width: 4, height: 2, channels: 1 };
        let (values, expected) = ([7_u16, 700, 70, 14_000, 7, 700, 70, 14_000], [313_u16, 6130]);
        let mut out = [0_u16; 4];
        let pixel = Pixel { samples: SampleType::U16, channels: 1 };
        squash(&mut Resizer::new(), values.as_bytes(), size, pixel, 2, out.as_mut_bytes()).unwrap();
        for (found, expected) in out.iter().zip(expected.iter().cycle()) {
            assert!(found.abs_diff(*expected) <= 1, "{out:?}");
        }
        let floats = values.map(f32::from);
        let mut out = [0_f32; 4];
        let pixel = Pixel { samples: SampleType::F32, channels: 1 };
        squash(&mut Resizer::new(), floats.as_bytes(), size, pixel, 2, out.as_mut_bytes()).unwrap();
        for (found, expected) in out.iter().zip(expected.iter().cycle()) {
            assert!((found - f32::from(*expected)).abs() < 1.0, "{out:?}");
        }
        let pixel = Pixel { samples: SampleType::I16, channels: 1 };
        let error = squash(&mut Resizer::new(), &[0; 16], size, pixel, 2, &mut [0; 8]).unwrap_err();
        assert!(error.to_string().ends_with("and these are i16"), "{error}");
    }
}
