//! Makes the pixels of a view from the records of a clip: decodes, resizes, mirrors.

use crate::pixels;
use crate::split::SplitClip;
use crate::view::{Placement, View};
use crate::{Error, Result};
use clipshard::order::mix64;
use clipshard::{ClipRecords, Dataset, Decoder, ImageSize, Shard, StreamSpec};
use fast_image_resize::Resizer;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The decoder and scratch memory of a worker thread, used again for each sample.
#[derive(Default)]
pub struct Worker {
    decoder: Option<Decoder>,
    resizer: Resizer,
    /// The decoded part of a frame, before it is resized.
    frame: Vec<u8>,
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

/// The clips that a pass reads, with their stream and view.
pub(super) struct Reader {
    pub data: Arc<Dataset>,
    pub clips: Arc<[SplitClip]>,
    pub view: View,
    spec: StreamSpec,
}

impl Reader {
    /// Checks that the stream is open and has images of u8 samples, and that all clips have enough
    /// frames.
    pub fn new(data: &Arc<Dataset>, clips: Arc<[SplitClip]>, view: &View, fewest_flow_frames: u32) -> Result<Self> {
        view.check()?;
        let spec = data.stream(&view.stream)?.clone();
        if !spec.is_u8_images() {
            return Err(Error::NotImages { dir: data.dir().to_owned(), stream: spec.name.clone(), form: spec.form() });
        }
        // An error if the dataset was opened without the stream.
        data.shards(&view.stream)?;
        for clip in &*clips {
            let too_short = |frames, needed| Err(Error::TooShort { clip: clip.id.clone(), frames, needed });
            if (clip.frames as usize) < view.frames {
                return too_short(clip.frames, view.frames as u32);
            }
            if clip.flow_frames < fewest_flow_frames {
                return too_short(clip.flow_frames, fewest_flow_frames);
            }
        }
        Ok(Self { data: Arc::clone(data), clips, view: view.clone(), spec })
    }

    /// Returns whether the stream is optical flow: displacements in x and in y.
    pub fn is_flow(&self) -> bool {
        self.spec.planes == 2 && self.spec.channels == 1
    }

    /// Returns whether a frame is one RGB image.
    pub fn is_rgb(&self) -> bool {
        self.spec.planes == 1 && self.spec.channels == 3
    }

    pub fn frames(&self) -> u32 {
        self.view.frames as u32
    }

    /// Returns the number of bytes of a view.
    pub fn view_bytes(&self) -> usize {
        self.view.bytes(&self.spec)
    }

    /// Returns the shape of a sample of `views` views.
    pub fn shape(&self, views: usize) -> [usize; 6] {
        let side = self.view.side;
        [views, self.view.frames, self.spec.planes as usize, side, side, self.spec.channels as usize]
    }

    /// Opens the records of clip `number` of the pass.
    pub fn records(&self, number: usize) -> Result<ClipRecords<'_>> {
        Ok(self.data.clip(&self.view.stream, self.clips[number].clip)?)
    }

    /// Returns the mean number of stored bytes of a sample of `views` views.
    pub fn stored_bytes(&self, views: usize) -> u64 {
        let shards = self.data.shards(&self.view.stream).unwrap_or_default();
        let sum = |of: fn(&Shard) -> u64| -> u64 { shards.iter().map(of).sum() };
        let records = (views * self.view.frames) as u64 * u64::from(self.spec.planes);
        sum(Shard::file_bytes) * records / sum(Shard::records).max(1)
    }

    /// Asks the system to read the frames of a view.
    pub fn will_need(&self, records: &ClipRecords<'_>, start: u32) {
        records.will_need(start as usize..start as usize + self.view.frames);
    }

    /// Mixes the view and the clips into a fingerprint.
    pub fn fingerprint(&self, mut hash: u64) -> u64 {
        let mut mix = |value: u64| hash = mix64(hash ^ value);
        for byte in self.view.stream.bytes() {
            mix(byte.into());
        }
        for value in [self.view.frames, self.view.side, self.clips.len()] {
            mix(value as u64);
        }
        for clip in &*self.clips {
            mix((clip.clip as u64) << 32 | u64::from(clip.label.unwrap_or(u32::MAX)));
            mix(u64::from(clip.frames) << 32 | u64::from(clip.flow_frames));
        }
        hash
    }

    /// Writes all records of `frames` to `out`, which has the shape
    /// `[frames, planes, side, side, channels]`.
    ///
    /// `place` returns the part to show of a record of the given size.
    pub fn fill(
        &self,
        records: &ClipRecords<'_>,
        frames: Range<usize>,
        place: impl Fn(ImageSize) -> Result<Placement>,
        worker: &mut Worker,
        out: &mut [u8],
    ) -> Result<()> {
        if frames.is_empty() {
            return Ok(());
        }
        let (planes, side) = (records.planes(), self.view.side);
        let image_bytes = out.len() / (frames.len() * planes);
        let Worker { decoder, resizer, frame: part_of_frame, .. } = worker;
        let decoder = prepare(decoder)?;
        for (i, out) in out.chunks_exact_mut(image_bytes).enumerate() {
            let (frame, plane) = (frames.start + i / planes, i % planes);
            let size = records.size(frame, plane)?;
            let Placement { window, mirrored } = place(size)?;
            if (usize::from(window.width), usize::from(window.height)) == (side, side) {
                records.decode_window(frame, plane, window, decoder, out)?;
            } else {
                let part = ImageSize { width: window.width, height: window.height, ..size };
                part_of_frame.resize(part.bytes(), 0);
                records.decode_window(frame, plane, window, decoder, part_of_frame)?;
                pixels::squash(resizer, part_of_frame, part, side, out)?;
            }
            if mirrored {
                pixels::mirror(out, side, size.channels.into());
                // Mirroring also reverses the direction of motion in x.
                if planes == 2 && plane == 0 {
                    pixels::reverse(out);
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dir, clips) = (self.data.dir(), self.clips.len());
        f.debug_struct("Reader")
            .field("dir", &dir)
            .field("clips", &clips)
            .field("view", &self.view)
            .finish_non_exhaustive()
    }
}
