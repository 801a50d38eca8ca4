//! Places views in stored frames.

use super::{Crop, TestCrop};
use clipshard::order::Draws;
use clipshard::{ImageSize, Window};

/// The part of a stored frame that a view shows, and whether the part is mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    pub window: Window,
    pub mirrored: bool,
}

/// Sides of multi-scale crops, relative to the shorter side of the frame (Wang et al. 2015,
/// "Towards Good Practices").
const RGB_SCALES: &[f64] = &[1., 0.875, 0.75, 0.66];
const FLOW_SCALES: &[f64] = &[1., 0.875, 0.75];
/// Places of multi-scale crops: column and row, in quarters of the largest offset.
const PLACES: [(u32, u32); 13] =
    [(0, 0), (4, 0), (0, 4), (4, 4), (2, 2), (0, 2), (4, 2), (2, 4), (2, 0), (1, 1), (3, 1), (1, 3), (3, 3)];

/// Places a training view in a frame of `size`. Returns `None` if the frame is too small.
///
/// Takes [`Crop::draws`] draws: row and column of a random crop; the pair of scales and the place of
/// a corner crop; area, aspect ratio, row and column of a random resized crop. The same draws give
/// the same relative place in frames of different sizes.
pub(crate) fn train_window(
    crop: Crop,
    is_flow: bool,
    size: ImageSize,
    side: usize,
    draws: &mut Draws,
) -> Option<Window> {
    let at_random = |width: u16, height: u16, draws: &mut Draws| {
        let y = draws.below(u64::from(size.height - height) + 1) as u16;
        let x = draws.below(u64::from(size.width - width) + 1) as u16;
        Window { x, y, width, height }
    };
    Some(match crop {
        Crop::Whole => size.whole(),
        Crop::Center => test_placement(TestCrop::Center, size, 0).window,
        Crop::Random => {
            check_fits(size, side)?;
            at_random(side as u16, side as u16, draws)
        }
        Crop::RandomResized => {
            let area = f64::from(size.width) * f64::from(size.height) * (0.08 + 0.92 * draws.unit());
            let ratio = ((2.0 * draws.unit() - 1.0) * (4.0_f64 / 3.0).ln()).exp();
            // A rectangle that does not fit is clamped to the frame.
            let within = |side: f64, most: u16| (side.round() as u16).clamp(1, most);
            let (width, height) =
                (within((area * ratio).sqrt(), size.width), within((area / ratio).sqrt(), size.height));
            at_random(width, height, draws)
        }
        Crop::Corners => {
            let scales = if is_flow { FLOW_SCALES } else { RGB_SCALES };
            // Width and height use the same scale or neighbouring scales, which limits the
            // distortion.
            let n = scales.len();
            let pairs = || (0..n * n).map(|pair| (pair / n, pair % n)).filter(|(a, b)| a.abs_diff(*b) <= 1);
            let (a, b) = pairs().nth(draws.below(pairs().count() as u64) as usize).unwrap_or((0, 0));
            let (column, row) = PLACES[draws.below(PLACES.len() as u64) as usize];
            let [width, height] = [scales[a], scales[b]].map(|scale| part_of_side(size, scale));
            window_at(size, width, height, (column, row))
        }
    })
}

/// Returns `None` if a square of `side` pixels is larger than the frame.
pub(crate) fn check_fits(size: ImageSize, side: usize) -> Option<()> {
    (usize::from(size.width.min(size.height)) >= side).then_some(())
}

/// Places view number `view` of a test sample in a frame of `size`.
pub(crate) fn test_placement(crop: TestCrop, size: ImageSize, view: usize) -> Placement {
    const TEN: [(u32, u32); 5] = [(0, 0), (4, 0), (0, 4), (4, 4), (2, 2)];
    let side = part_of_side(size, 0.875);
    let square = |place| window_at(size, side, side, place);
    match crop {
        TestCrop::Whole => Placement { window: size.whole(), mirrored: false },
        TestCrop::Center => Placement { window: square((2, 2)), mirrored: false },
        TestCrop::Three => Placement { window: square((2 * view as u32, 2)), mirrored: false },
        TestCrop::Ten => Placement { window: square(TEN[view % 5]), mirrored: view >= 5 },
    }
}

fn part_of_side(size: ImageSize, scale: f64) -> u16 {
    ((f64::from(size.width.min(size.height)) * scale).round() as u16).max(1)
}

/// Returns a window at `column` and `row` quarters of the largest offset to the right and to the
/// bottom.
fn window_at(size: ImageSize, width: u16, height: u16, (column, row): (u32, u32)) -> Window {
    let at = |largest: u16, quarters: u32| (u32::from(largest) * quarters / 4) as u16;
    Window { x: at(size.width - width, column), y: at(size.height - height, row), width, height }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: ImageSize = ImageSize { width: 342, height: 256, channels: 3 };

    #[test]
    fn corner_crops_have_the_scales_and_places_of_the_paper() {
        let mut sizes = std::collections::BTreeSet::new();
        for sample in 0..4000 {
            let mut draws = Draws::new(1, 0, sample);
            let found = train_window(Crop::Corners, false, FRAME, 224, &mut draws).unwrap();
            let Window { x, y, width, height } = found;
            assert!(found.is_inside(FRAME));
            let quarters = |at: u16, largest: u16| (0..=4).any(|q| u32::from(largest) * q / 4 == u32::from(at));
            assert!(quarters(x, 342 - width) && quarters(y, 256 - height));
            sizes.insert((width, height));
        }
        // Sides of 256, 224, 192 and 169 (168.96), each combined with itself and its neighbours.
        let expected = [
            (256, 256),
            (256, 224),
            (224, 256),
            (224, 224),
            (224, 192),
            (192, 224),
            (192, 192),
            (192, 169),
            (169, 192),
            (169, 169),
        ];
        assert_eq!(sizes, expected.into());
    }

    #[test]
    fn random_resized_crops_have_the_areas_and_aspect_ratios_of_the_paper() {
        let (mut areas, mut ratios) = (Vec::new(), Vec::new());
        for sample in 0..4000 {
            let found = train_window(Crop::RandomResized, false, FRAME, 224, &mut Draws::new(1, 0, sample)).unwrap();
            assert!(found.is_inside(FRAME));
            let (width, height) = (f64::from(found.width), f64::from(found.height));
            areas.push(width * height / (342.0 * 256.0));
            // Clamped rectangles fill the width or the height.
            if found.width < 342 && found.height < 256 {
                ratios.push(width / height);
            }
        }
        assert!(areas.iter().all(|area| (0.078..=1.0).contains(area)));
        // A clamped rectangle is smaller than its area. Without clamping, the mean would be 0.54.
        let mean = areas.iter().sum::<f64>() / 4000.0;
        assert!((0.49..0.54).contains(&mean), "{mean}");
        assert!(ratios.iter().all(|ratio| (0.74..=1.35).contains(ratio)));
        let wide = ratios.iter().filter(|ratio| **ratio > 1.0).count() as f64 / ratios.len() as f64;
        assert!((0.45..0.6).contains(&wide), "{wide}");
    }

    #[test]
    fn every_crop_takes_as_many_draws_as_it_says_and_the_same_place_in_frames_of_another_size() {
        let half = ImageSize { width: 171, height: 128, channels: 1 };
        for crop in Crop::ALL {
            for sample in 0..200 {
                let (mut large, mut small) = (Draws::new(1, 0, sample), Draws::new(1, 0, sample));
                let of_large = train_window(crop, false, FRAME, 112, &mut large).unwrap();
                let of_small = train_window(crop, false, half, 56, &mut small).unwrap();
                assert_eq!((large.taken(), small.taken()), (crop.draws(), crop.draws()));
                let pairs = [(of_large.x, of_small.x), (of_large.y, of_small.y), (of_large.width, of_small.width)];
                assert!(pairs.iter().all(|(a, b)| a.abs_diff(2 * b) <= 3), "{crop}: {of_large:?} {of_small:?}");
            }
        }
    }

    #[test]
    fn test_crops_are_where_their_names_say() {
        let place = |crop, view| {
            let Placement { window, mirrored } = test_placement(crop, FRAME, view);
            (window.x, window.y, window.width, window.height, mirrored)
        };
        assert_eq!(place(TestCrop::Whole, 0), (0, 0, 342, 256, false));
        assert_eq!(place(TestCrop::Center, 0), (59, 16, 224, 224, false));
        assert_eq!([0, 1, 2].map(|view| place(TestCrop::Three, view).0), [0, 59, 118]);
        assert_eq!(place(TestCrop::Ten, 3), (118, 32, 224, 224, false));
        assert_eq!(place(TestCrop::Ten, 8), (118, 32, 224, 224, true));
        // In a square frame, the crop is a square at the same relative place.
        let square = ImageSize { width: 224, height: 224, channels: 1 };
        assert_eq!(
            test_placement(TestCrop::Center, square, 0).window,
            Window { x: 14, y: 14, width: 196, height: 196 }
        );
    }

    #[test]
    fn a_frame_that_is_too_small_has_no_random_crop() {
        let mut draws = Draws::new(1, 0, 0);
        assert_eq!(train_window(Crop::Random, false, FRAME, 300, &mut draws), None);
        assert!(check_fits(FRAME, 256).is_some() && check_fits(FRAME, 257).is_none());
    }
}
