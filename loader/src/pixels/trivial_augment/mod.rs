//! TrivialAugment: one random change of an RGB image (Müller and Hutter 2021).

mod affine;
mod levels;
mod sharpness;

use super::colour::{change_brightness, change_contrast, change_saturation};
use affine::Affine;
use clipshard::order::Draws;
use levels::{autocontrast, equalize, posterize, solarize};
use sharpness::change_sharpness;

/// One random operation with a random strength, for a square RGB image.
///
/// The operations are those of the paper's wide space, "TrivialAugment: Tuning-free Yet
/// State-of-the-Art Data Augmentation". The bytes equal those of torchvision's `TrivialAugmentWide` on
/// a PIL image, with its defaults: 31 magnitudes, nearest neighbours, and black outside of the image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrivialAugment {
    op: Op,
    /// Number of the magnitude, below `BINS`. Operations without magnitudes ignore it.
    bin: u16,
    /// Whether the magnitude is negative. Operations without signs ignore it.
    negative: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
}

/// All operations, in the order of torchvision.
const OPS: [Op; 14] = [
    Op::Identity,
    Op::ShearX,
    Op::ShearY,
    Op::TranslateX,
    Op::TranslateY,
    Op::Rotate,
    Op::Brightness,
    Op::Color,
    Op::Contrast,
    Op::Sharpness,
    Op::Posterize,
    Op::Solarize,
    Op::AutoContrast,
    Op::Equalize,
];
/// Number of magnitudes.
const BINS: u16 = 31;

impl TrivialAugment {
    /// Number of draws that a choice takes.
    pub const DRAWS: u64 = 3;

    /// Draws the operation, the magnitude and the sign.
    pub fn draw(draws: &mut Draws) -> Self {
        let op = OPS[draws.below(OPS.len() as u64) as usize];
        Self { op, bin: draws.below(BINS.into()) as u16, negative: draws.coin() }
    }

    /// Changes a square image of interleaved RGB pixels in place. `side` > 0 is its width in pixels.
    /// Uses `scratch` for a copy of the image.
    pub fn apply(self, rgb: &mut [u8], side: usize, scratch: &mut Vec<u8>) {
        let mut transform = |affine: Affine| affine.apply(rgb, side, scratch);
        match self.op {
            Op::Identity => (),
            Op::ShearX => transform(Affine::shear_x(self.signed(0.99))),
            Op::ShearY => transform(Affine::shear_y(self.signed(0.99))),
            Op::TranslateX => transform(Affine::translate(self.signed(32.0).trunc(), 0.0)),
            Op::TranslateY => transform(Affine::translate(0.0, self.signed(32.0).trunc())),
            Op::Rotate => transform(Affine::rotate(self.signed(135.0), side)),
            Op::Brightness => change_brightness(rgb, self.factor()),
            Op::Color => change_saturation(rgb, self.factor()),
            Op::Contrast => change_contrast(rgb, self.factor()),
            Op::Sharpness => change_sharpness(rgb, side, self.factor(), scratch),
            // From 8 to 2 bits. One bit less for every fifth magnitude, rounded.
            Op::Posterize => posterize(rgb, (self.bin + 2) / 5),
            Op::Solarize => solarize(rgb, 255.0 * linspace(1.0, 0.0, self.bin)),
            Op::AutoContrast => autocontrast(rgb),
            Op::Equalize => equalize(rgb),
        }
    }

    /// Returns the signed magnitude, between `-most` and `most`.
    fn signed(self, most: f32) -> f64 {
        let magnitude = linspace(0.0, most, self.bin);
        if self.negative { -magnitude } else { magnitude }
    }

    /// Returns the factor of a change of colours or sharpness, between 0.01 and 1.99.
    fn factor(self) -> f32 {
        (1.0 + self.signed(0.99)) as f32
    }
}

/// Returns element `bin` of `BINS` evenly spaced f32 numbers, as `torch.linspace` rounds them: the
/// second half is computed from its end, with one rounding per element.
fn linspace(start: f32, end: f32, bin: u16) -> f64 {
    let last = BINS - 1;
    let step = f64::from((end - start) / f32::from(last));
    let value = if bin < BINS / 2 {
        f64::from(start) + step * f64::from(bin)
    } else {
        f64::from(end) - step * f64::from(last - bin)
    };
    f64::from(value as f32)
}

#[cfg(test)]
mod tests;
