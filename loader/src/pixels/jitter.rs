//! Colour jitter: random brightness, contrast and saturation of an RGB image.

use super::colour::{change_brightness, change_contrast, change_saturation};
use clipshard::order::Draws;

/// A random change of brightness, contrast and saturation, the same for all pixels of a view.
///
/// Each adjustment blends the image with another one: black, the mean grey, or the grey version of
/// the image. A factor above 1 extrapolates away from it. The bytes equal those of torchvision's
/// `ColorJitter` on a PIL image, without hue.
#[derive(Clone, Copy, Debug)]
pub struct Jitter {
    /// The adjustments in the order in which they are applied, each with its factor. Factor 1
    /// changes nothing.
    steps: [(Adjustment, f32); 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Adjustment {
    Brightness,
    Contrast,
    Saturation,
}

impl Jitter {
    /// Draws uniform factors in `[max(0, 1 - strength), 1 + strength]` and a random order.
    ///
    /// Takes four draws: the order, then the factors of brightness, contrast and saturation.
    pub fn draw(strength: f64, draws: &mut Draws) -> Self {
        const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let order = ORDERS[draws.below(6) as usize];
        let low = (1.0 - strength).max(0.0);
        let factors = [(); 3].map(|()| (low + draws.unit() * (1.0 + strength - low)) as f32);
        let kinds = [Adjustment::Brightness, Adjustment::Contrast, Adjustment::Saturation];
        Self { steps: order.map(|i| (kinds[i], factors[i])) }
    }

    /// Adjusts interleaved RGB pixels in place.
    pub fn apply(self, rgb: &mut [u8]) {
        for (adjustment, factor) in self.steps {
            match adjustment {
                Adjustment::Brightness => change_brightness(rgb, factor),
                Adjustment::Contrast => change_contrast(rgb, factor),
                Adjustment::Saturation => change_saturation(rgb, factor),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Adjustment::{Brightness, Contrast, Saturation};

    /// Returns an image of 2 x 2 pixels: `rgb[i] = (i * i * 7 + i * 31) % 256`.
    fn image() -> Vec<u8> {
        (0..12).map(|i| ((i * i * 7 + i * 31) % 256) as u8).collect()
    }

    fn check(steps: [(Adjustment, f32); 3], expected: [u8; 12]) {
        let mut rgb = image();
        Jitter { steps }.apply(&mut rgb);
        assert_eq!(rgb, expected, "{steps:?}");
    }

    #[test]
    fn the_bytes_are_pils() {
        // PIL: im = Image.fromarray(a) with the pixels of `image`, then
        // ImageEnhance.Brightness(im).enhance(1.37), and so on.
        check(
            [(Brightness, 1.37), (Contrast, 0.55), (Saturation, 1.8)],
            [49, 101, 171, 180, 223, 70, 253, 71, 255, 84, 231, 199],
        );
        check(
            [(Saturation, 0.25), (Brightness, 0.4), (Contrast, 1.9)],
            [0, 0, 0, 92, 108, 77, 47, 22, 47, 71, 104, 89],
        );
        check(
            [(Contrast, 0.), (Saturation, 1.), (Brightness, 1.)],
            [129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129, 129],
        );
    }

    #[test]
    fn draws_stay_within_the_strength_and_take_every_order() {
        let mut orders = std::collections::BTreeSet::new();
        for sample in 0..500 {
            let Jitter { steps } = Jitter::draw(0.4, &mut Draws::new(3, 1, sample));
            assert!(steps.iter().all(|&(_, factor)| (0.6..=1.4).contains(&factor)), "{steps:?}");
            orders.insert(steps.map(|(adjustment, _)| adjustment as u8));
        }
        assert_eq!(orders.len(), 6);
    }
}
