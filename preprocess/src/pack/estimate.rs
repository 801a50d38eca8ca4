//! Estimates the size and time of a build from a sample of the dataset: a few frames of some clips
//! are read and encoded.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::encode::{ClipEncoder, EncodeSetup, ReadClip};
use super::plan::INDEX_ENTRY_BYTES;
use crate::error::{ClipError, Result};
use crate::progress::{Watch, Work};
use crate::quantity::{show_count, show_duration};
use crate::source::FoundClip;
use crate::stream::StreamKind;

/// Number of clips that a dry run samples.
pub(crate) const CLIPS: usize = 24;
/// Number of clips that are sampled before videos are packed.
const ANNOUNCED_CLIPS: usize = 6;
/// Number of consecutive frames that are sampled from each clip.
const FRAMES: u32 = 8;
/// The estimated size and time of a build.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Estimate {
    /// Bytes of the source images.
    pub bytes_in: u64,
    /// Bytes of the shards.
    pub bytes_out: u64,
    /// Seconds that the build takes on an otherwise idle machine.
    pub seconds: f64,
    /// Number of images that were read and encoded for the estimate.
    pub sampled_images: u64,
    /// Number of sampled clips that cannot be packed.
    pub damaged_clips: u64,
}

/// Measurements of a sample, by stream.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    streams: BTreeMap<&'static str, StreamSample>,
}

#[derive(Debug, Default)]
struct StreamSample {
    images: u64,
    bytes_in: u64,
    bytes_out: u64,
    reading: Duration,
    encoding: Duration,
    damaged_clips: u64,
}

impl StreamSample {
    /// Reads and encodes some frames of one stream of a clip.
    fn of_clip(
        encoder: &mut ClipEncoder<'_>,
        setup: EncodeSetup<'_>,
        stream: usize,
        files: Option<&FoundClip>,
    ) -> Result<Self> {
        let Some(files) = files else { return Ok(Self::default()) };
        let wanted: Vec<bool> = (0..setup.streams.len()).map(|other| other == stream).collect();
        let started = Instant::now();
        let chosen = if matches!(files, FoundClip::Video(_)) { early } else { middle };
        let read = ReadClip::read(files, &wanted, chosen, setup.cancel)?;
        let read_at = Instant::now();
        let encoded = match encoder.encode(read, true) {
            Ok(encoded) => encoded,
            Err(ClipError::Clip(_)) => return Ok(Self { damaged_clips: 1, ..Self::default() }),
            Err(ClipError::Work(error)) => return Err(error),
        };
        let records = encoded.streams.iter().flatten().flatten();
        Ok(Self {
            images: encoded.images,
            bytes_in: encoded.bytes_in,
            bytes_out: records.map(|record| record.bytes().len() as u64 + INDEX_ENTRY_BYTES).sum(),
            reading: read_at - started,
            encoding: read_at.elapsed(),
            damaged_clips: 0,
        })
    }

    fn add(&mut self, other: &Self) {
        self.images += other.images;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.reading += other.reading;
        self.encoding += other.encoding;
        self.damaged_clips += other.damaged_clips;
    }
}

impl Sample {
    /// Reads and encodes some frames of at most `most_clips` clips per stream. This build
    /// packs those for which `makes(stream, clip)` returns true.
    pub fn take(
        setup: EncodeSetup<'_>,
        files: &[Option<FoundClip>],
        makes: impl Fn(usize, usize) -> bool,
        most_clips: usize,
        watch: Watch<'_>,
    ) -> Result<Self> {
        let setup = EncodeSetup { threads: 1, ..setup };
        let mut chosen = Vec::new();
        for stream in 0..setup.streams.len() {
            let made = |clip: &usize| files[*clip].is_some() && makes(stream, *clip);
            let clips: Vec<usize> = (0..files.len()).filter(made).collect();
            chosen.extend(spread(clips.len(), most_clips).map(|i| (stream, clips[i])));
        }
        // A clip is sampled once per stream.
        watch.progress.begin_counting("sampling", Work { images: chosen.len() as u64, ..Work::default() }, "samples");
        let measure = |encoder: &mut ClipEncoder<'_>, (stream, clip): (usize, usize)| {
            let measured = StreamSample::of_clip(encoder, setup, stream, files[clip].as_ref())?;
            watch.progress.add(Work { clips: 0, images: 1, bytes: measured.bytes_in });
            Ok(measured)
        };
        let measured: Vec<StreamSample> = if setup.video.is_some() {
            // Flow takes seconds per clip, so all processors help. Videos hardly wait for the
            // disk, so parallel sampling does not distort the measured times.
            let each = chosen.par_iter().map(|&clip| measure(&mut ClipEncoder::new(setup)?, clip));
            each.collect::<Result<_>>()?
        } else {
            let mut encoder = ClipEncoder::new(setup)?;
            chosen.iter().map(|&clip| measure(&mut encoder, clip)).collect::<Result<_>>()?
        };
        watch.progress.end();
        let mut sample = Self::default();
        for ((stream, _), measured) in chosen.into_iter().zip(measured) {
            sample.streams.entry(setup.streams[stream].0.name()).or_default().add(&measured);
        }
        Ok(sample)
    }

    /// Returns the estimate for a build with this number of `records` in each stream.
    pub fn estimate(&self, records: &BTreeMap<String, u64>, jobs: usize, readers: usize) -> Estimate {
        let (mut bytes_in, mut bytes_out, mut reading, mut encoding) = (0.0, 0.0, 0.0, 0.0);
        for (name, sample) in &self.streams {
            let images = records.get(*name).copied().unwrap_or(0) as f64 / sample.images.max(1) as f64;
            bytes_in += images * sample.bytes_in as f64;
            bytes_out += images * sample.bytes_out as f64;
            reading += images * sample.reading.as_secs_f64();
            encoding += images * sample.encoding.as_secs_f64();
        }
        // Readers and encoders share the processors, but a slow disk makes the readers the limit.
        let seconds = f64::max(reading / readers.max(1) as f64, (reading + encoding) / jobs.max(1) as f64);
        Estimate {
            bytes_in: bytes_in as u64,
            bytes_out: bytes_out as u64,
            seconds,
            sampled_images: self.streams.values().map(|sample| sample.images).sum(),
            damaged_clips: self.streams.values().map(|sample| sample.damaged_clips).sum(),
        }
    }
}

/// Reports how long packing videos will take. `reads(stream, clip)` returns whether the build makes
/// the clip's stream. `can_resume` tells whether an interrupted build can continue.
pub(crate) fn announce(
    setup: EncodeSetup<'_>,
    files: &[Option<FoundClip>],
    reads: impl Fn(usize, usize) -> bool,
    (jobs, can_resume): (usize, bool),
    watch: Watch<'_>,
) -> Result<()> {
    let kinds: Vec<StreamKind> = setup.streams.iter().map(|(kind, _)| *kind).collect();
    let sample = Sample::take(setup, files, &reads, ANNOUNCED_CLIPS, watch)?;
    let (mut records, mut clips) = (BTreeMap::new(), vec![false; files.len()]);
    for (stream, kind) in kinds.iter().enumerate() {
        let mut frames = 0;
        for (clip, file) in files.iter().enumerate().filter(|(clip, _)| reads(stream, *clip)) {
            clips[clip] = true;
            frames += file.as_ref().map_or(0, |file| u64::from(file.frames(&kinds, stream)));
        }
        records.insert(kind.name().to_owned(), frames * u64::from(kind.planes()));
    }
    let resume = if can_resume { "; an interrupted build can continue from its last finished shard" } else { "" };
    watch.progress.tell(&format!(
        "packing will take about {} (clips: {}, jobs: {jobs}){resume}",
        show_duration(sample.estimate(&records, jobs, jobs).seconds),
        show_count(clips.iter().filter(|made| **made).count() as u64)
    ));
    Ok(())
}

/// Returns at most `wanted` evenly spread numbers below `n`.
fn spread(n: usize, wanted: usize) -> impl Iterator<Item = usize> {
    let count = n.min(wanted);
    (0..count).map(move |i| (2 * i + 1) * n / (2 * count))
}

/// Returns some frames in the middle of a clip.
fn middle(frames: u32) -> Range<u32> {
    let start = frames.saturating_sub(FRAMES) / 2;
    start..frames.min(start + FRAMES)
}

/// Returns some frames near the start of a video, because all earlier frames must be decoded too.
fn early(frames: u32) -> Range<u32> {
    let start = frames.saturating_sub(FRAMES).min(FRAMES);
    start..frames.min(start + FRAMES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_over_the_data_set() {
        assert_eq!(spread(3, 24).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(spread(100, 4).collect::<Vec<_>>(), [12, 37, 62, 87]);
        assert_eq!(spread(0, 4).count(), 0);
        assert_eq!((middle(14), middle(5)), (3..11, 0..5));
        assert_eq!((early(200), early(14), early(5)), (8..16, 6..14, 0..5));
    }

    #[test]
    fn amounts_scale_with_the_records() {
        let stream = |images| StreamSample {
            images,
            bytes_in: 1000,
            bytes_out: 500,
            reading: Duration::from_millis(10),
            encoding: Duration::from_millis(90),
            damaged_clips: images / 20,
        };
        let sample = Sample { streams: [("rgb", stream(10)), ("flow", stream(20))].into() };
        let records = BTreeMap::from([("rgb".to_owned(), 100), ("flow".to_owned(), 200)]);
        let estimate = sample.estimate(&records, 4, 1);
        assert_eq!((estimate.bytes_in, estimate.bytes_out, estimate.sampled_images), (20_000, 10_000, 30));
        assert_eq!(estimate.damaged_clips, 1);
        assert!((estimate.seconds - 0.5).abs() < 1e-9, "{}", estimate.seconds);
        // The disk takes longer than the encoders.
        assert!((sample.estimate(&records, 100, 1).seconds - 0.2).abs() < 1e-9);
    }
}
