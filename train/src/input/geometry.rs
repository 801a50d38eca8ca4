//! Which part of a stored frame a view shows, and the steps from the record to the view: decode, resize, mirror.

use super::source::Worker;
use crate::pixels;
use crate::stream::Stream;
use crate::view::{Crop, TestCrop};
use anyhow::{Result, bail};
use clipshard::order::Draws;
use clipshard::{ClipRecords, ImageSize, Window};
use std::ops::Range;

/// A part of a stored frame, as a view shows it: resized to the input's square, perhaps mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    pub window: Window,
    pub mirrored: bool,
}

/// Sides of multi-scale crops beside the shorter side of the frame (Wang et al. 2015, "Towards Good Practices").
const RGB_SCALES: &[f64] = &[1., 0.875, 0.75, 0.66];
const FLOW_SCALES: &[f64] = &[1., 0.875, 0.75];
/// Where they lie, in quarters of the room that is left to the right and below.
const PLACES: [(u32, u32); 13] =
    [(0, 0), (4, 0), (0, 4), (4, 4), (2, 2), (0, 2), (4, 2), (2, 4), (2, 0), (1, 1), (3, 1), (1, 3), (3, 3)];

/// A training view of a frame of `size`. Draws: random crop row, column; corner crop pair of scales, place; then mirror.
pub(super) fn train_placement(
    (crop, flip): (Crop, bool),
    stream: Stream,
    size: ImageSize,
    side: usize,
    draws: &mut Draws,
) -> Result<Placement> {
    let window = match crop {
        Crop::Whole => size.whole(),
        Crop::Random => {
            check_room(size, side)?;
            let y = draws.below(u64::from(size.height) - side as u64 + 1) as u16;
            let x = draws.below(u64::from(size.width) - side as u64 + 1) as u16;
            Window { x, y, width: side as u16, height: side as u16 }
        }
        Crop::Corners => {
            let scales = if stream == Stream::Spatial { RGB_SCALES } else { FLOW_SCALES };
            // Neighbours in the list of scales at most, so that nothing is distorted by more than that.
            let n = scales.len();
            let pairs = || (0..n * n).map(|pair| (pair / n, pair % n)).filter(|(a, b)| a.abs_diff(*b) <= 1);
            let (a, b) = pairs().nth(draws.below(pairs().count() as u64) as usize).unwrap_or((0, 0));
            let (column, row) = PLACES[draws.below(PLACES.len() as u64) as usize];
            let [width, height] = [scales[a], scales[b]].map(|scale| part_of_side(size, scale));
            window_at(size, width, height, (column, row))
        }
    };
    Ok(Placement { window, mirrored: flip && draws.coin() })
}

/// Whether a square of `side` stored pixels can be cut out.
pub(super) fn check_room(size: ImageSize, side: usize) -> Result<()> {
    if (size.width.min(size.height) as usize) < side {
        bail!(
            "frames of {}x{} are too small to crop {side}x{side}; give a smaller --input-size",
            size.width,
            size.height
        );
    }
    Ok(())
}

/// View number `view` of a test sample.
pub(super) fn test_placement(crop: TestCrop, size: ImageSize, view: usize) -> Placement {
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

/// A window `column` and `row` quarters of the way to the right and to the bottom.
fn window_at(size: ImageSize, width: u16, height: u16, (column, row): (u32, u32)) -> Window {
    let at = |room: u16, quarters: u32| (u32::from(room) * quarters / 4) as u16;
    Window { x: at(size.width - width, column), y: at(size.height - height, row), width, height }
}

/// Writes a view of all records of some frames to `out`, `[frames, planes, side, side, channels]`.
pub(super) fn fill_view(
    records: &ClipRecords<'_>,
    frames: Range<usize>,
    place: impl Fn(ImageSize) -> Result<Placement>,
    side: usize,
    worker: &mut Worker,
    out: &mut [u8],
) -> Result<()> {
    if frames.is_empty() {
        return Ok(());
    }
    let planes = records.planes();
    let image_bytes = out.len() / (frames.len() * planes);
    for (i, out) in out.chunks_exact_mut(image_bytes).enumerate() {
        let (frame, plane) = (frames.start + i / planes, i % planes);
        let size = records.size(frame, plane)?;
        let Placement { window, mirrored } = place(size)?;
        if (usize::from(window.width), usize::from(window.height)) == (side, side) {
            records.decode_window(frame, plane, window, &mut worker.decoder, out)?;
        } else {
            let part = ImageSize { width: window.width, height: window.height, ..size };
            worker.frame.resize(part.bytes(), 0);
            records.decode_window(frame, plane, window, &mut worker.decoder, &mut worker.frame)?;
            pixels::squash(&mut worker.resizer, &worker.frame, part, side, out)?;
        }
        if mirrored {
            pixels::mirror(out, side, size.channels.into());
            // What moves to the right in the mirror moves to the left.
            if planes == 2 && plane == 0 {
                pixels::reverse(out);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: ImageSize = ImageSize { width: 342, height: 256, channels: 3 };

    #[test]
    fn corner_crops_have_the_scales_and_places_of_the_paper() {
        let mut sizes = std::collections::BTreeSet::new();
        let mut mirrored = 0;
        for sample in 0..4000 {
            let mut draws = Draws::new(1, 0, sample);
            let found = train_placement((Crop::Corners, true), Stream::Spatial, FRAME, 224, &mut draws).unwrap();
            let Window { x, y, width, height } = found.window;
            assert!(found.window.is_inside(FRAME));
            let quarters = |at: u16, room: u16| (0..=4).any(|q| u32::from(room) * q / 4 == u32::from(at));
            assert!(quarters(x, 342 - width) && quarters(y, 256 - height));
            sizes.insert((width, height));
            mirrored += usize::from(found.mirrored);
        }
        // 256, 224, 192 and 169 (168.96) with themselves and their neighbours.
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
        assert!((1850..2150).contains(&mirrored), "{mirrored}");
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
        // Flow that is stored as a square keeps the proportions.
        let square = ImageSize { width: 224, height: 224, channels: 1 };
        assert_eq!(
            test_placement(TestCrop::Center, square, 0).window,
            Window { x: 14, y: 14, width: 196, height: 196 }
        );
    }

    #[test]
    fn a_frame_that_is_too_small_for_a_random_crop_says_what_to_do() {
        let mut draws = Draws::new(1, 0, 0);
        let error = train_placement((Crop::Random, true), Stream::Spatial, FRAME, 300, &mut draws).unwrap_err();
        assert!(error.to_string().contains("--input-size"), "{error}");
    }
}
