//! What fills a sample with pixels, and what all sources share.

use super::geometry::check_room;
use crate::stream::Stream;
use crate::videos::Video;
use crate::view::Crop;
use anyhow::{Result, bail};
use clipshard::{ClipRecords, Dataset, Decoder, Shard};
use fast_image_resize::Resizer;

/// What a decode thread keeps between samples.
pub struct Worker {
    pub(super) decoder: Decoder,
    pub(super) resizer: Resizer,
    /// The part of a frame that is to be resized.
    pub(super) frame: Vec<u8>,
    /// Clip and first frame of the test sample that it wrote last.
    pub(super) last: Option<(usize, u32)>,
}

impl Worker {
    /// One for each thread.
    pub fn new() -> Result<Self> {
        Ok(Self { decoder: Decoder::new()?, resizer: Resizer::new(), frame: Vec::new(), last: None })
    }
}

/// The samples of one pass over a split, in order.
pub trait SampleSource: Sync {
    /// Samples of the pass.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Bytes of each sample: u8, `[views, side, side, 3]` for RGB, `[views, 20, side, side]` for flow.
    fn sample_bytes(&self) -> usize;
    /// Writes sample number `i` of the pass. A pure function of `i`: any thread, any order, the same bytes. `previous` has the
    /// pixels of sample `i - 1` where the same thread has just written it.
    fn fill(&self, i: usize, worker: &mut Worker, previous: Option<&[u8]>, out: &mut [u8]) -> Result<()>;
    /// The end of the samples from `i` on that one thread best writes one after the other, having frames in common.
    fn run_end(&self, i: usize) -> usize {
        i + 1
    }
    /// Bytes of each sample as it is stored, about; 0 where nothing is to be read ahead.
    fn stored_bytes(&self) -> u64 {
        0
    }
    /// Tells the system which bytes sample `i` will be read from. Nothing depends on it.
    fn will_need(&self, i: usize) {
        let _ = i;
    }
}

/// Bytes of one view of a stream.
pub(super) fn view_bytes(stream: Stream, side: usize) -> usize {
    stream.channels() * side * side
}

/// Bytes that a sample of `frames` frames takes in its shard, on average.
pub(super) fn stored_bytes(data: &Dataset, stream: Stream, frames: usize) -> u64 {
    let shards = data.shards(stream.records()).unwrap_or_default();
    let sum = |of: fn(&Shard) -> u64| -> u64 { shards.iter().map(of).sum() };
    let planes = shards.first().map_or(1, |shard| u64::from(shard.spec().planes));
    sum(Shard::file_bytes) * frames as u64 * planes / sum(Shard::records).max(1)
}

/// Tells the system that `frames` frames from `start` on will be read.
pub(super) fn will_need(records: &ClipRecords<'_>, start: u32, frames: usize) {
    records.will_need(start as usize..start as usize + frames);
}

/// Says before the first step what the first bad sample would say in the middle of an epoch.
pub fn check_geometry(data: &Dataset, videos: &[Video], stream: Stream, crop: Crop, side: usize) -> Result<()> {
    let spec = data.stream(stream.records())?;
    let channels = spec.planes as usize * spec.channels as usize;
    let expected = if stream == Stream::Spatial { 3 } else { 2 };
    if channels != expected {
        bail!(
            "{}: stream {} has {channels} channels a frame; {expected} are expected",
            data.dir().display(),
            spec.name
        );
    }
    if let (Crop::Random, Some(video)) = (crop, videos.first()) {
        let size = data.clip(stream.records(), video.clip)?.size(0, 0)?;
        check_room(size, side).map_err(|e| crate::usage::Usage(format!("{}: {e}", video.id)))?;
    }
    Ok(())
}
