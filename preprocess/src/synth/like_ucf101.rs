//! A packed dataset with the clips, classes, splits and frame counts of UCF101, but small synthetic
//! images. It lets you test a program on a dataset of that scale in seconds, without the real data.
//!
//! Unless images of another dataset are used, each image has a single colour that identifies it, so
//! that tests can see where a sample came from. RGB is (label, frame modulo 256, frame / 256). Flow
//! x is the frame modulo 256, and flow y is frame / 256. Frames count from 0.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use clipshard::{Codec, Dataset, Disk, EncodeOptions, EncodedRecord, Encoder, Filter, ImageSize, ShardMetadata};
use serde_json::json;

use crate::error::{Error, Problem, Result, Setting};
use crate::lists::published_ucf101;
use crate::pack::BuildReport;
use crate::pack::pipeline::{Held, Threads, run_ordered};
use crate::pack::plan::{INDEX_ENTRY_BYTES, assign};
use crate::pack::writer::Writer;
use crate::place::staging::Staging;
use crate::place::target::Contents;
use crate::progress::{Watch, Work};
use crate::stored::{Geometry, StreamOptions};
use crate::stream::StreamKind;

/// Approximate size of shards of single-colour images. Each stream then has several shards.
const PLAIN_SHARD_BYTES: u64 = 64 << 20;
/// Approximate size of shards with images of another dataset.
const SHARD_BYTES: u64 = 1 << 30;
/// Bytes of a record of a single-colour image, with its index entry.
const PLAIN_RECORD_BYTES: u64 = 64;
/// Largest number of frames that are used from another dataset.
const MAX_TAKEN_FRAMES: usize = 2048;
/// Single-colour images compress well at any level, so the fastest one is used.
const OPTIONS: StreamOptions =
    StreamOptions { codec: Codec::Zstd, filter: Filter::None, level: 1, geometry: Geometry::Source };

/// Options of [`make_like_ucf101`].
#[derive(Debug, Clone)]
pub struct LikeOptions {
    /// The dataset to make.
    pub out: PathBuf,
    /// Width of all single-colour images in pixels.
    pub width: u16,
    /// Height of all single-colour images in pixels.
    pub height: u16,
    /// A packed dataset whose images are used instead, again and again. The images then have a
    /// realistic size in pixels and bytes.
    pub images: Option<PathBuf>,
    /// Number of encoding threads.
    pub jobs: usize,
    /// Whether to replace an existing dataset.
    pub overwrite: bool,
}

/// Makes the dataset. If this fails, no files remain.
///
/// # Errors
/// Returns [`Error::Usage`] if the output must not be replaced, or if the dataset in `images` has
/// no frames.
pub fn make_like_ucf101(options: &LikeOptions, watch: Watch<'_>) -> Result<BuildReport> {
    let started = Instant::now();
    let (lists, flow_frames) = published_ucf101();
    let streams = [(StreamKind::Rgb, OPTIONS), (StreamKind::Flow, OPTIONS)];
    let frames = |kind: StreamKind, flow: u32| if kind == StreamKind::Rgb { flow + 1 } else { flow };
    let records = |kind: StreamKind, flow: u32| u64::from(frames(kind, flow)) * u64::from(kind.planes());
    let taken = options.images.as_deref().map(TakenImages::open).transpose()?;
    let shard_bytes = if taken.is_some() { SHARD_BYTES } else { PLAIN_SHARD_BYTES };
    let record_bytes = |kind| taken.as_ref().map_or(PLAIN_RECORD_BYTES, |taken| taken.mean_record_bytes(kind));
    let plans = streams
        .map(|(kind, _)| assign(flow_frames.iter().map(|&flow| records(kind, flow) * record_bytes(kind)), shard_bytes));
    let images = |flow: u32| streams.iter().map(|&(kind, _)| records(kind, flow)).sum::<u64>();
    let weights: Vec<u64> = flow_frames.iter().map(|&flow| images(flow) * record_bytes(StreamKind::Rgb)).collect();
    let mut metadata = ShardMetadata::new("ucf101", lists.classes.clone(), lists.splits.clone());
    metadata.build = BTreeMap::from([
        ("packer".to_owned(), json!(concat!("ucfpack ", env!("CARGO_PKG_VERSION")))),
        (
            "layout".to_owned(),
            json!(match taken {
                Some(_) => "synthetic: names, splits and frame counts of UCF101, images of another dataset",
                None => "synthetic: names, splits and frame counts of UCF101, single-colour images",
            }),
        ),
    ]);
    let staging = Staging::new(&options.out, options.overwrite, Contents::Dataset)?;
    let mut writer = Writer::new(Arc::new(Disk), staging.path(), streams.map(|(kind, _)| kind), &plans, &metadata);
    let total =
        Work { clips: lists.clips.len() as u64, images: flow_frames.iter().map(|&flow| images(flow)).sum(), bytes: 0 };
    watch.progress.begin("making", total);
    run_ordered(
        &weights,
        Threads { readers: 1, jobs: options.jobs },
        watch.cancel,
        |clip| Ok(Held { value: (), bytes: weights[clip] }),
        || PlainImages::new(options.width, options.height),
        |images, clip, ()| {
            if watch.cancel.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let value = match &taken {
                Some(taken) => taken.clip(clip, flow_frames[clip]),
                None => images.clip(lists.clips[clip].label.unwrap_or_default(), flow_frames[clip])?,
            };
            Ok(Held { value, bytes: weights[clip] })
        },
        |clip, records| {
            let listed = &lists.clips[clip];
            writer.add(clip, listed, &listed.attributes, &records)?;
            let images = records.iter().flatten().map(|stream| stream.len() as u64).sum();
            watch.progress.add(Work { clips: 1, images, bytes: 0 });
            Ok(())
        },
    )?;
    watch.progress.end();
    let manifest = writer.finish()?;
    manifest.write(staging.path())?;
    staging.commit()?;
    let mut report = BuildReport::default();
    report.count(&manifest);
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Records of another dataset, which are used again and again.
struct TakenImages {
    rgb: Vec<EncodedRecord>,
    /// The x and y components of each frame.
    flow: Vec<[EncodedRecord; 2]>,
}

impl TakenImages {
    fn open(dir: &Path) -> Result<Self> {
        let data = Dataset::open(dir)?;
        let mut taken = Self { rgb: Vec::new(), flow: Vec::new() };
        for clip in 0..data.manifest().clips.len() {
            let records = data.clip("rgb", clip)?;
            for frame in 0..records.frame_count().min(MAX_TAKEN_FRAMES - taken.rgb.len()) {
                taken.rgb.push(records.record(frame, 0)?.into());
            }
            let records = data.clip("flow", clip)?;
            for frame in 0..records.frame_count().min(MAX_TAKEN_FRAMES - taken.flow.len()) {
                taken.flow.push([records.record(frame, 0)?.into(), records.record(frame, 1)?.into()]);
            }
        }
        if taken.rgb.is_empty() || taken.flow.is_empty() {
            return Err(Error::usage(
                Problem::from(Setting::Images).then(format!(" {}: the dataset has no frames", dir.display())),
            ));
        }
        Ok(taken)
    }

    fn mean_record_bytes(&self, kind: StreamKind) -> u64 {
        let mean = |sizes: &mut dyn ExactSizeIterator<Item = usize>| {
            let count = sizes.len() as u64;
            sizes.map(|size| size as u64).sum::<u64>() / count
        };
        INDEX_ENTRY_BYTES
            + match kind {
                StreamKind::Rgb => mean(&mut self.rgb.iter().map(|record| record.bytes().len())),
                StreamKind::Flow => mean(&mut self.flow.iter().map(|[x, _]| x.bytes().len())),
            }
    }

    /// Returns records for a clip. Each clip starts at another frame.
    fn clip(&self, clip: usize, flow_frames: u32) -> Vec<Option<Vec<EncodedRecord>>> {
        let frames = flow_frames as usize;
        let rgb = self.rgb.iter().cycle().skip(clip * 131 % self.rgb.len()).take(frames + 1).cloned().collect();
        let flow =
            self.flow.iter().cycle().skip(clip * 131 % self.flow.len()).take(frames).flatten().cloned().collect();
        vec![Some(rgb), Some(flow)]
    }
}

/// Encodes images of a single colour.
struct PlainImages {
    encoder: Encoder,
    rgb: ImageSize,
    pixels: Vec<u8>,
    /// All 256 grey images.
    grey: Vec<EncodedRecord>,
}

impl PlainImages {
    fn new(width: u16, height: u16) -> Result<Self> {
        let StreamOptions { codec, filter, level, .. } = OPTIONS;
        let mut encoder = Encoder::new(EncodeOptions::new(codec, filter, level))?;
        let (rgb, grey) = (ImageSize { width, height, channels: 3 }, ImageSize { width, height, channels: 1 });
        let grey = (0..=255).map(|level| encoder.encode(&vec![level; grey.bytes()], grey)).collect::<Result<_, _>>()?;
        Ok(Self { encoder, rgb, pixels: Vec::new(), grey })
    }

    fn clip(&mut self, label: u32, flow_frames: u32) -> Result<Vec<Option<Vec<EncodedRecord>>>> {
        let pixels = usize::from(self.rgb.width) * usize::from(self.rgb.height);
        let mut rgb = Vec::with_capacity(flow_frames as usize + 1);
        for frame in 0..=flow_frames {
            let colour = [label as u8, frame as u8, (frame >> 8) as u8];
            self.pixels.clear();
            self.pixels.extend(std::iter::repeat_n(colour, pixels).flatten());
            rgb.push(self.encoder.encode(&self.pixels, self.rgb)?);
        }
        let planes = (0..flow_frames).flat_map(|frame| [frame as u8, (frame >> 8) as u8]);
        let flow = planes.map(|level| self.grey[usize::from(level)].clone()).collect();
        Ok(vec![Some(rgb), Some(flow)])
    }
}
