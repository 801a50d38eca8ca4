//! Makes the pixels of a view from the records of a clip: decodes, resizes, mirrors.

use super::reader::ViewOfStream;
use crate::pixels::{self, Pixel};
use crate::view::Placement;
use crate::{Error, Result};
use clipshard::{ClipRecords, Decoder, ImageSize};
use fast_image_resize::Resizer;
use std::fmt;

/// The decoder and scratch memory of a worker thread, used again for each sample.
#[derive(Default)]
pub struct Worker {
    decoder: Option<Decoder>,
    resizer: Resizer,
    /// The decoded part of a frame before it is resized, or a copy of an image while it is changed.
    pub(super) frame: Vec<u8>,
    /// Clip and first frame of the last test sample that the thread wrote.
    pub(super) last: Option<(usize, u32)>,
}

impl Worker {
    /// Returns the decoder of the thread, for your own [`Samples`](crate::Samples).
    ///
    /// # Errors
    /// Returns an error if the decoder cannot be allocated.
    pub fn decoder(&mut self) -> Result<&mut Decoder> {
        prepare(&mut self.decoder)
    }
}

fn prepare(decoder: &mut Option<Decoder>) -> Result<&mut Decoder> {
    match decoder {
        Some(decoder) => Ok(decoder),
        none => Ok(none.insert(Decoder::new()?)),
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("last", &self.last).finish_non_exhaustive()
    }
}

/// Returns the size of a stored image. Its sample type is that of the stream.
pub(super) fn image_size(records: &ClipRecords<'_>, frame: usize, plane: usize) -> Result<ImageSize> {
    let shape = records.shape(frame, plane)?;
    shape.image_size().ok_or_else(|| Error::other(format!("clip {}: {shape} is not an image", records.id())))
}

/// Writes all records of `frames` to `out`, which has the shape
/// `[frames, planes, side, side, channels]`.
///
/// `None` instead of a frame is a frame without motion. `place` returns the part to show of a record
/// of the given size.
pub(super) fn render(
    view: &ViewOfStream,
    records: &ClipRecords<'_>,
    frames: impl ExactSizeIterator<Item = Option<usize>>,
    place: impl Fn(ImageSize) -> Result<Placement>,
    worker: &mut Worker,
    out: &mut [u8],
) -> Result<()> {
    let (planes, side) = (records.planes(), view.view.side);
    let image_bytes = out.len() / (frames.len() * planes).max(1);
    let Worker { decoder, resizer, frame: part_of_frame, .. } = worker;
    let decoder = prepare(decoder)?;
    let images = frames.flat_map(|frame| (0..planes).map(move |plane| (frame, plane)));
    for ((frame, plane), out) in images.zip(out.chunks_exact_mut(image_bytes.max(1))) {
        let Some(frame) = frame else {
            pixels::fill_still(out, view.spec.samples);
            continue;
        };
        let size = image_size(records, frame, plane)?;
        let pixel = Pixel { samples: view.spec.samples, channels: size.channels.into() };
        let Placement { window, mirrored } = place(size)?;
        if (usize::from(window.width), usize::from(window.height)) == (side, side) {
            records.decode_window(frame, plane, window, decoder, out)?;
        } else {
            let part = ImageSize { width: window.width, height: window.height, ..size };
            part_of_frame.resize(part.bytes() * pixel.samples.bytes(), 0);
            records.decode_window(frame, plane, window, decoder, part_of_frame)?;
            pixels::squash(resizer, part_of_frame, part, pixel, side, out)?;
        }
        if mirrored {
            pixels::mirror(out, side, pixel.bytes());
            // Mirroring also reverses the direction of motion in x.
            if view.is_flow() && plane == 0 {
                pixels::reverse(out, pixel.samples);
            }
        }
    }
    Ok(())
}
