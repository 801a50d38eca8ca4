//! The clips that a pass reads, and the views of each sample.

use super::short::Short;
use crate::ring::MAX_PARTS;
use crate::sampling::Sampling;
use crate::split::SplitClip;
use crate::view::View;
use crate::{Error, Result};
use clipshard::order::mix64;
use clipshard::{ClipRecords, Dataset, Shard, StreamSpec};
use std::fmt;
use std::sync::Arc;

/// A view, and the stream that it shows.
#[derive(Debug)]
pub(super) struct ViewOfStream {
    pub view: View,
    pub spec: StreamSpec,
}

impl ViewOfStream {
    /// Checks that the stream is open and holds images.
    fn new(data: &Dataset, view: &View) -> Result<Self> {
        view.check()?;
        let spec = data.stream(&view.stream)?.clone();
        if spec.array.is_some() {
            return Err(Error::NotImages { dir: data.dir().to_owned(), stream: spec.name.clone(), form: spec.form() });
        }
        // An error if the dataset was opened without the stream.
        data.shards(&view.stream)?;
        Ok(Self { view: view.clone(), spec })
    }

    /// Returns whether the stream is optical flow: displacements in x and in y.
    pub fn is_flow(&self) -> bool {
        self.spec.planes == 2 && self.spec.channels == 1
    }

    /// Returns whether a frame is one RGB image of u8 samples.
    pub fn is_rgb(&self) -> bool {
        self.spec.planes == 1 && self.spec.channels == 3 && self.spec.is_u8_images()
    }

    /// Returns the number of bytes of the view.
    pub fn bytes(&self) -> usize {
        self.view.bytes(&self.spec)
    }

    /// Returns the shape of `views` of these views.
    pub fn shape(&self, views: usize) -> [usize; 6] {
        let side = self.view.side;
        [views, self.view.frames, self.spec.planes as usize, side, side, self.spec.channels as usize]
    }

    /// Returns the frames of the view in a sample that starts with frame `start`, in a clip of
    /// `frames` frames.
    pub fn frames(&self, start: u32, frames: usize, short: Short) -> impl ExactSizeIterator<Item = usize> {
        let View { frames: count, stride, offset, .. } = self.view;
        (0..count).map(move |i| short.frame(start as usize + offset + i * stride, frames))
    }
}

/// The clips that a pass reads, and the views of each sample.
pub(super) struct Reader {
    pub data: Arc<Dataset>,
    pub clips: Arc<[SplitClip]>,
    pub views: Vec<ViewOfStream>,
    pub short: Short,
    /// For each clip the number of frames at which a sample can start.
    starts: Vec<u32>,
}

impl Reader {
    /// Checks the views, and that all clips have enough frames.
    pub fn new(
        data: &Arc<Dataset>,
        clips: Arc<[SplitClip]>,
        views: &[View],
        sampling: Sampling,
        short: Short,
    ) -> Result<Self> {
        let wrong = || Error::option("views", views.len(), format!("between 1 and {MAX_PARTS}"));
        if views.len() > MAX_PARTS {
            return Err(wrong());
        }
        let of_stream = |view| ViewOfStream::new(data, view);
        let Some(first) = views.first() else { return Err(wrong()) };
        let is_plain = first.span() == first.frames;
        let views = views.iter().map(of_stream).collect::<Result<Vec<_>>>()?;
        if sampling == Sampling::Seed && (views.len() > 1 || !is_plain) {
            return Err(Error::option("sampling", "seed", "allowed for several views, strides or offsets"));
        }
        let mut starts = Vec::with_capacity(clips.len());
        for clip in &*clips {
            let mut least = u32::MAX;
            for (number, ViewOfStream { view, .. }) in views.iter().enumerate() {
                let listed = data.manifest().clips.get(clip.clip);
                let of_stream = || listed.and_then(|clip| clip.frames.get(&view.stream)).copied().unwrap_or(0);
                let frames = if number == 0 { clip.frames } else { of_stream() };
                let span = view.span() as u32;
                if frames == 0 || (frames < span && short == Short::Error) {
                    return Err(Error::TooShort { clip: clip.id.clone(), frames, needed: span });
                }
                least = least.min((frames + 1).saturating_sub(span).max(1));
            }
            let needed = sampling.fewest_flow_frames();
            if clip.flow_frames < needed {
                return Err(Error::TooShort { clip: clip.id.clone(), frames: clip.flow_frames, needed });
            }
            starts.push(least);
        }
        Ok(Self { data: Arc::clone(data), clips, views, short, starts })
    }

    /// Returns the number of frames of the first view.
    pub fn frames(&self) -> u32 {
        self.views[0].view.frames as u32
    }

    /// Returns the number of frames at which a sample of clip `number` of the pass can start.
    pub fn starts(&self, number: usize) -> u32 {
        self.starts[number]
    }

    /// Opens the records of clip `number` of the pass for one view.
    pub fn records(&self, number: usize, view: &ViewOfStream) -> Result<ClipRecords<'_>> {
        Ok(self.data.clip(&view.view.stream, self.clips[number].clip)?)
    }

    /// Returns the mean number of stored bytes of a sample of `views` views of each stream.
    pub fn stored_bytes(&self, views: usize) -> u64 {
        let of_view = |view: &ViewOfStream| {
            let shards = self.data.shards(&view.view.stream).unwrap_or_default();
            let sum = |of: fn(&Shard) -> u64| -> u64 { shards.iter().map(of).sum() };
            let records = (views * view.view.frames) as u64 * u64::from(view.spec.planes);
            sum(Shard::file_bytes).saturating_mul(records) / sum(Shard::records).max(1)
        };
        self.views.iter().map(of_view).sum()
    }

    /// Asks the system to read the frames of a sample that starts with frame `start`.
    pub fn will_need(&self, number: usize, start: u32) {
        for view in &self.views {
            if let Ok(records) = self.records(number, view) {
                let first = start as usize + view.view.offset;
                records.will_need(first..first + view.view.span() - view.view.offset);
            }
        }
    }

    /// Mixes the views and the clips into a fingerprint.
    pub fn fingerprint(&self, mut hash: u64) -> u64 {
        let mut mix = |value: u64| hash = mix64(hash ^ value);
        for ViewOfStream { view, .. } in &self.views {
            view.stream.bytes().for_each(|byte| mix(byte.into()));
            for value in [view.frames, view.stride, view.offset, view.side, view.crop as usize, view.flip.into()] {
                mix(value as u64);
            }
            mix(view.jitter.to_bits());
            // Later options change the number only if they are used, so that older states stay valid.
            if view.trivial_augment {
                mix(1);
            }
            if view.frame_dropout > 0.0 {
                mix(view.frame_dropout.to_bits());
            }
        }
        mix(self.short as u64);
        mix(self.clips.len() as u64);
        for clip in &*self.clips {
            mix((clip.clip as u64) << 32 | u64::from(clip.label.unwrap_or(u32::MAX)));
            mix(u64::from(clip.frames) << 32 | u64::from(clip.flow_frames));
        }
        hash
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dir, clips) = (self.data.dir(), self.clips.len());
        f.debug_struct("Reader")
            .field("dir", &dir)
            .field("clips", &clips)
            .field("views", &self.views)
            .finish_non_exhaustive()
    }
}
