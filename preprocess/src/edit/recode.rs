//! A dataset with one stream in another codec, level or size.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use clipshard::{
    Codec, Dataset, DecodingBudget, EncodeOptions, EncodedRecord, Filter, RecordInfo, Shape, ShardClip, ShardMetadata,
    ShardWriter, StreamSpec,
};

use super::copy::{Copy, shard_bytes, stored_bytes};
use super::encoding::Recoder;
use super::part::refuse_part;
use super::shard_file::shard_file;
use super::stream_description::recoded;
use super::subset::{description, finish, unknown_name};
use crate::error::{Error, Problem, Result, Setting};
use crate::pack::BuildReport;
use crate::pack::pipeline::{Held, Threads, run_ordered};
use crate::place::staging::Staging;
use crate::place::target::Contents;
use crate::progress::{Watch, Work};
use crate::stored::{Geometry, StreamOptions};

/// Options of [`recode()`].
#[derive(Debug, Clone)]
pub struct RecodeOptions {
    /// The dataset to make.
    pub out: PathBuf,
    /// The stream to store again. The others are copied.
    pub stream: String,
    /// Codec: `Zstd`, `Lz4` or `Raw`.
    pub codec: Codec,
    /// Filter. `None` is the one that suits the samples of the stream.
    pub filter: Option<Filter>,
    /// Compression level: zstd 1 to 22, LZ4-HC 1 to 12. Ignored for `raw`.
    pub level: i32,
    /// New size of the images. Only images of u8 samples can be resized.
    pub geometry: Geometry,
    /// Number of encoding threads.
    pub jobs: usize,
    /// Whether to replace an existing dataset.
    pub overwrite: bool,
}

/// A clip of the stream, in the order of its records.
struct Task {
    number: usize,
    /// Stored bytes of its records.
    bytes: u64,
    images: u64,
    /// Bytes that the clip is expected to hold while it is in progress.
    weight: u64,
}

/// Copies the dataset in `dir` with one stream in another codec, level or size.
///
/// The records of other streams are copied as they are. The result does not depend on the number of
/// threads. `build` in the manifest describes how the stream is stored now.
///
/// # Errors
/// Returns [`Error::Usage`] if there is no such stream, the stream does not support the options, or
/// the output must not be replaced. Returns [`Error::Format`] or [`Error::Input`] if a record is
/// damaged, and [`Error::Input`] if the dataset is only a part of a build. Nothing is written then.
///
/// # Examples
///
/// ```no_run
/// use std::path::Path;
/// use std::sync::atomic::AtomicBool;
///
/// use clipshard::Codec;
/// use ucfpack::edit::{RecodeOptions, recode};
/// use ucfpack::progress::{Progress, Watch};
/// use ucfpack::stored::Geometry;
///
/// let options = RecodeOptions {
///     out: "fast.shards".into(),
///     stream: "flow".into(),
///     codec: Codec::Lz4,
///     filter: None,
///     level: 9,
///     geometry: Geometry::Source,
///     jobs: 8,
///     overwrite: false,
/// };
/// let watch = Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) };
/// let report = recode(Path::new("ucf101.shards"), &options, watch)?;
/// println!("{} bytes", report.bytes_out);
/// # Ok::<(), ucfpack::Error>(())
/// ```
pub fn recode(dir: &Path, options: &RecodeOptions, watch: Watch<'_>) -> Result<BuildReport> {
    let started = Instant::now();
    refuse_part(dir, "recode the result")?;
    let data = Dataset::open(dir)?;
    let spec = data.stream(&options.stream).map_err(|error| unknown_name(error, Setting::Stream))?;
    let encode = encode_options(spec, options)?;
    let (tasks, was_jpeg) = tasks(&data, options)?;
    let mut metadata = description(data.manifest());
    let stored =
        StreamOptions { codec: encode.codec, filter: encode.filter, level: encode.level, geometry: options.geometry };
    let described = recoded(metadata.build.get(&options.stream), was_jpeg, &stored);
    metadata.build.insert(options.stream.clone(), described);
    let staging = Staging::new(&options.out, options.overwrite, Contents::Dataset)?;
    let others: Vec<String> =
        data.manifest().streams.iter().map(|other| other.spec.name.clone()).filter(|name| *name != spec.name).collect();
    let clips = data.manifest().clips.iter().map(|clip| Some(ShardClip::from(clip))).collect();
    let copy = Copy { data: &data, metadata: metadata.clone(), clips };
    let plan = copy.plan(&others)?;
    watch.progress.begin("copying", Work { bytes: plan.bytes(), ..Work::default() });
    let copied = copy.write(&plan, staging.path(), watch);
    watch.progress.end();
    copied?;
    let bytes_in = plan.bytes() + tasks.iter().map(|task| task.bytes).sum::<u64>();
    let mut out = Out { data: &data, spec, metadata: &metadata, dir: staging.path(), number: 0, open: None };
    out.recode(&tasks, (encode, options.geometry), options.jobs, watch)?;
    let mut report = BuildReport { bytes_in, ..BuildReport::default() };
    finish(staging, &mut report)?;
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Returns the options of the encoder, after checking that the stream supports them.
fn encode_options(spec: &StreamSpec, options: &RecodeOptions) -> Result<EncodeOptions> {
    let (name, codec) = (&spec.name, options.codec);
    if codec == Codec::Jpeg {
        return Err(Error::usage(Problem::from(Setting::Codec).then(
            " cannot be jpeg: the format only stores existing JPEG files, to lose nothing; use zstd, lz4 or raw",
        )));
    }
    if options.geometry != Geometry::Source && !spec.is_u8_images() {
        return Err(Error::usage(format!(
            "the stream {name} has {}, but only u8 images can be resized; keep its size",
            spec.form()
        )));
    }
    let suited = EncodeOptions::new(codec, Filter::None, options.level).for_samples(spec.samples);
    let encode = options.filter.map_or(suited, |filter| suited.with_filter(filter));
    if !encode.filter.fits(codec, spec.samples) {
        let all = [Filter::None, Filter::Up, Filter::Shuffle, Filter::UpShuffle];
        let fitting: Vec<&str> =
            all.into_iter().filter(|filter| filter.fits(codec, spec.samples)).map(Filter::name).collect();
        return Err(Error::usage(Problem::from(Setting::Filter).then(format!(
            " {} does not fit codec {codec} and {} samples of stream {name}; use {}",
            encode.filter,
            spec.samples,
            fitting.join(", ")
        ))));
    }
    Ok(encode)
}

/// Returns the clips of a stream in the order of its records, and whether a record is a JPEG file.
fn tasks(data: &Dataset, options: &RecodeOptions) -> Result<(Vec<Task>, bool)> {
    let (mut tasks, mut was_jpeg) = (Vec::new(), false);
    for shard in data.shards(&options.stream)? {
        for clip in shard.clips() {
            let clip = clip?;
            // Every clip of an open dataset is in its manifest.
            let Some(number) = data.find_clip(clip.id()) else { continue };
            let (mut images, mut encoded) = (0, 0_u64);
            for frame in 0..clip.frame_count() {
                for plane in 0..clip.planes() {
                    let info = clip.info(frame, plane)?;
                    was_jpeg |= info.codec == Codec::Jpeg;
                    images += 1;
                    encoded = encoded.saturating_add(expected_bytes(&info, options));
                }
            }
            let bytes = stored_bytes(&clip);
            tasks.push(Task { number, bytes, images, weight: bytes.saturating_add(encoded) });
        }
    }
    Ok((tasks, was_jpeg))
}

/// Returns the expected bytes of a record after encoding. It is rather too high, so that clips in
/// progress do not need more memory than expected.
fn expected_bytes(info: &RecordInfo, options: &RecodeOptions) -> u64 {
    let (before, after) = (info.shape.bytes() as u64, resized_bytes(info.shape, options.geometry));
    let growth = match (options.codec, info.codec) {
        (Codec::Raw, _) => return after,
        (_, Codec::Jpeg) => 7,
        _ => 2,
    };
    let scaled = u128::from(info.stored_bytes) * growth * u128::from(after) / u128::from(before.max(1));
    after.min(u64::try_from(scaled).unwrap_or(u64::MAX))
}

fn resized_bytes(shape: Shape, geometry: Geometry) -> u64 {
    let Some(size) = shape.u8_image_size() else { return shape.bytes() as u64 };
    let (width, height) = geometry.extent(size.width, size.height);
    u64::from(width) * u64::from(height) * u64::from(size.channels)
}

/// The shards of the recoded stream.
struct Out<'a> {
    data: &'a Dataset,
    spec: &'a StreamSpec,
    /// The description of the dataset, without clips and groups.
    metadata: &'a ShardMetadata,
    dir: &'a Path,
    /// Number of the next shard.
    number: u64,
    open: Option<(ShardWriter, ShardMetadata, u64)>,
}

impl Out<'_> {
    fn recode(
        &mut self,
        tasks: &[Task],
        (encode, geometry): (EncodeOptions, Geometry),
        jobs: usize,
        watch: Watch<'_>,
    ) -> Result<()> {
        let (data, stream) = (self.data, self.spec.name.clone());
        let (budget, cancel): (DecodingBudget, &AtomicBool) = (DecodingBudget::default(), watch.cancel);
        let total = Work { clips: tasks.len() as u64, images: tasks.iter().map(|task| task.images).sum(), bytes: 0 };
        watch.progress.begin("recoding", total);
        let weights: Vec<u64> = tasks.iter().map(|task| task.weight).collect();
        let outcome = run_ordered(
            &weights,
            Threads { readers: 1, jobs },
            cancel,
            // Workers read the records themselves, one at a time.
            |task| Ok(Held { value: (), bytes: weights[task] }),
            || Recoder::new(encode, geometry, &budget, cancel),
            |recoder, task, ()| {
                let records = recoder.clip(&data.clip(&stream, tasks[task].number)?)?;
                Ok(Held { bytes: bytes_of(&records), value: records })
            },
            |task, records| {
                self.add(tasks[task].number, &records)?;
                watch.progress.add(Work { clips: 1, images: tasks[task].images, bytes: tasks[task].bytes });
                Ok(())
            },
        );
        watch.progress.end();
        outcome?;
        self.close()
    }

    /// Adds the records of a clip. Starts another shard before one becomes too large.
    fn add(&mut self, number: usize, records: &[EncodedRecord]) -> Result<()> {
        let bytes = bytes_of(records);
        let limit = shard_bytes(self.metadata);
        if self.open.as_ref().is_some_and(|(.., filled)| filled.saturating_add(bytes) > limit) {
            self.close()?;
        }
        let (writer, metadata, filled) = match &mut self.open {
            Some(open) => open,
            none => {
                let path = self.dir.join(shard_file(&self.spec.name, self.number));
                self.number += 1;
                none.insert((ShardWriter::create(path, self.spec)?, self.metadata.clone(), 0))
            }
        };
        let manifest = self.data.manifest();
        let clip = &manifest.clips[number];
        writer.add_clip(&clip.id, records)?;
        metadata.clips.push(ShardClip::from(clip));
        metadata.groups.extend(manifest.groups.get(&clip.id).map(|group| (clip.id.clone(), group.clone())));
        *filled += bytes;
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        if let Some((writer, metadata, _)) = self.open.take() {
            writer.finish(&metadata)?;
        }
        Ok(())
    }
}

fn bytes_of(records: &[EncodedRecord]) -> u64 {
    records.iter().map(|record| record.bytes().len() as u64).sum()
}
