//! Exports a dataset to a frame tree in the feichtenhofer layout, with lists. `jpeg` records come back byte for byte.

mod lists;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clipshard::{ClipRecords, Codec, Dataset, Decoder, DecodingBudget, SampleType, Stream, StreamSpec};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ImageEncoder, ImageResult};
use rayon::prelude::*;

use self::lists::write_lists;
use crate::error::{Error, Problem, Result, Setting};
use crate::inspect::find_clip;
use crate::place::staging::Staging;
use crate::place::target::Contents;
use crate::progress::{Watch, Work};

/// File format of images that are not stored as JPEG.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PixelFormat {
    /// JPEG of quality 95, with small losses.
    Jpeg,
    /// PNG, lossless. Other programs for frame trees may not read it.
    Png,
}

/// Options of [`export()`].
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// Folder for the tree.
    pub out: PathBuf,
    /// Clips to export. An empty list exports all.
    pub clips: Vec<String>,
    /// Format for records that are not `jpeg`.
    pub pixels: PixelFormat,
    /// Whether to replace a tree that this crate made.
    pub overwrite: bool,
}

/// Result of [`export()`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportReport {
    /// Number of clips.
    pub clips: u64,
    /// Number of files that are byte for byte those that were packed.
    pub untouched: u64,
    /// Number of files that were encoded from pixels.
    pub encoded: u64,
    /// Bytes of all images.
    pub bytes: u64,
    /// Remarks that are no errors.
    pub notes: Vec<String>,
}

/// JPEG quality of images that are not stored as JPEG.
const QUALITY: u8 = 95;

/// Writes the dataset in `dir` to a frame tree. After an error, nothing is left of the tree.
///
/// # Errors
/// Returns [`Error::Usage`] if a clip is unknown or the output exists, [`Error::Format`] if a record is damaged, and
/// [`Error::Interrupted`] if `watch` cancels it.
pub fn export(dir: &Path, options: &ExportOptions, watch: Watch<'_>) -> Result<ExportReport> {
    let data = Dataset::open(dir)?;
    let mut clips = options.clips.iter().map(|id| find_clip(&data, id)).collect::<Result<Vec<_>>>()?;
    if clips.is_empty() {
        clips = (0..data.manifest().clips.len()).collect();
    }
    clips.sort_unstable();
    clips.dedup();
    for &clip in &clips {
        check_name(&data.manifest().clips[clip].id, "cannot export", || {
            Problem::from("choose other clips with ")
                .name(Setting::Clip)
                .then(", or rename it in the lists and build the dataset again")
        })?;
    }
    let staging = Staging::new(&options.out, options.overwrite, Contents::Tree)?;
    let images = |clip: usize| -> u64 {
        let frames = &data.manifest().clips[clip].frames;
        let planes =
            |stream: &Stream| u64::from(stream.spec.planes) * u64::from(*frames.get(&stream.spec.name).unwrap_or(&0));
        data.manifest().streams.iter().filter(|stream| is_exported(&stream.spec)).map(planes).sum()
    };
    let total = Work { clips: clips.len() as u64, images: clips.iter().map(|&clip| images(clip)).sum(), bytes: 0 };
    watch.progress.begin("exporting", total);
    let budget = DecodingBudget::default();
    let reports: Vec<ExportReport> = clips
        .par_iter()
        .map_init(Decoder::new, |decoder, &clip| {
            let decoder = decoder.as_mut().map_err(|e| Error::usage(e.to_string()))?;
            let report = export_clip(&data, clip, staging.path(), options.pixels, (decoder, &budget), watch)?;
            watch.progress.add(Work { clips: 1, images: images(clip), bytes: report.bytes });
            Ok(report)
        })
        .collect::<Result<_>>()?;
    watch.progress.end();
    let mut report = ExportReport::default();
    for clip in reports {
        report.clips += 1;
        report.untouched += clip.untouched;
        report.encoded += clip.encoded;
        report.bytes += clip.bytes;
    }
    for stream in data.manifest().streams.iter().filter(|stream| !is_exported(&stream.spec)) {
        let (name, form) = (&stream.spec.name, stream.spec.form());
        report.notes.push(format!("stream {name} is omitted: no image file holds {form}"));
    }
    report.notes.extend(write_lists(data.manifest(), &clips, &staging.path().join("lists"))?);
    staging.commit()?;
    Ok(report)
}

/// Returns whether image files can hold the records of a stream.
fn is_exported(spec: &StreamSpec) -> bool {
    spec.array.is_none() && matches!(spec.channels, 1 | 3) && matches!(spec.samples, SampleType::U8 | SampleType::U16)
}

/// Checks that a clip id is a plain name. It becomes the name of a folder, which must not lead elsewhere. `cannot` is
/// the start of the error, such as `cannot export`, and `cure` its end.
pub(crate) fn check_name(id: &str, cannot: &str, cure: impl FnOnce() -> Problem) -> Result<()> {
    let unusable = if matches!(id, "" | "." | "..") {
        String::new()
    } else if let Some(found) = id.chars().find(|c| ['/', '\\', ':', '\0'].contains(c)) {
        let shown = if found == '\0' { "NUL".to_owned() } else { format!("`{found}`") };
        format!(", because it contains {shown}")
    } else {
        return Ok(());
    };
    let fault = format!("{cannot} clip {id:?}: its id is not a plain folder name{unusable}; ");
    Err(Error::input(Problem::from(fault).with(cure())))
}

fn export_clip(
    data: &Dataset,
    clip: usize,
    root: &Path,
    pixels: PixelFormat,
    (decoder, budget): (&mut Decoder, &DecodingBudget),
    watch: Watch<'_>,
) -> Result<ExportReport> {
    let mut report = ExportReport::default();
    let listed = &data.manifest().clips[clip];
    for stream in data.manifest().streams.iter().filter(|stream| is_exported(&stream.spec)) {
        let name = &stream.spec.name;
        if !listed.frames.contains_key(name) {
            continue;
        }
        let records = data.clip(name, clip)?;
        for plane in 0..records.planes() {
            let folder = root.join(plane_folder(name, records.planes(), plane)).join(&listed.id);
            fs::create_dir_all(&folder).map_err(Error::io(&folder, "cannot create the folder"))?;
            for frame in 0..records.frame_count() {
                if watch.cancel.load(Ordering::Relaxed) {
                    return Err(Error::Interrupted);
                }
                let stem = folder.join(format!("frame{:06}", frame + 1));
                report.bytes += export_record(&records, (frame, plane), &stem, pixels, (decoder, budget), &mut report)?;
            }
        }
    }
    Ok(report)
}

/// Returns the folder of a plane in the feichtenhofer layout. Streams that the layout lacks get their own names.
fn plane_folder(stream: &str, planes: usize, plane: usize) -> String {
    match (stream, planes, plane) {
        ("rgb", 1, _) => "jpegs_256".into(),
        ("flow", 2, 0) => "tvl1_flow/u".into(),
        ("flow", 2, _) => "tvl1_flow/v".into(),
        (_, 1, _) => stream.into(),
        _ => format!("{stream}/{plane}"),
    }
}

/// Writes one image and returns its bytes.
fn export_record(
    records: &ClipRecords<'_>,
    (frame, plane): (usize, usize),
    stem: &Path,
    format: PixelFormat,
    (decoder, budget): (&mut Decoder, &DecodingBudget),
    report: &mut ExportReport,
) -> Result<u64> {
    let record = records.record(frame, plane)?;
    if record.codec == Codec::Jpeg {
        report.untouched += 1;
        return write(&stem.with_extension("jpg"), &record.bytes);
    }
    report.encoded += 1;
    let reserved = budget.reserve(record.shape, record.codec);
    let mut pixels = vec![0; record.shape.bytes()];
    records.decode(frame, plane, decoder, &mut pixels)?;
    let unusable =
        || Error::input(format!("cannot export clip {}: no image file holds {}", records.id(), record.shape));
    let size = record.shape.image_size().ok_or_else(unusable)?;
    let (colour, format) = match (size.channels, record.shape.samples()) {
        (1, SampleType::U8) => (ExtendedColorType::L8, format),
        (3, SampleType::U8) => (ExtendedColorType::Rgb8, format),
        // JPEG files have 8 bits only.
        (1, SampleType::U16) => (ExtendedColorType::L16, PixelFormat::Png),
        (3, SampleType::U16) => (ExtendedColorType::Rgb16, PixelFormat::Png),
        _ => return Err(unusable()),
    };
    if record.shape.samples() == SampleType::U16 {
        // The encoder takes the order of bytes of this processor.
        for sample in pixels.chunks_exact_mut(2) {
            let value = u16::from_le_bytes([sample[0], sample[1]]);
            sample.copy_from_slice(&value.to_ne_bytes());
        }
    }
    let path = stem.with_extension(if format == PixelFormat::Png { "png" } else { "jpg" });
    let (width, height) = (size.width.into(), size.height.into());
    let mut bytes = Vec::new();
    let encoded: ImageResult<()> = match format {
        PixelFormat::Jpeg => {
            JpegEncoder::new_with_quality(&mut bytes, QUALITY).write_image(&pixels, width, height, colour)
        }
        PixelFormat::Png => PngEncoder::new(&mut bytes).write_image(&pixels, width, height, colour),
    };
    encoded.map_err(|reason| Error::Image { path: path.clone(), reason })?;
    if reserved.is_large() {
        *decoder = Decoder::new()?;
    }
    write(&path, &bytes)
}

fn write(path: &Path, bytes: &[u8]) -> Result<u64> {
    fs::write(path, bytes).map_err(Error::io(path, "cannot write the image"))?;
    Ok(bytes.len() as u64)
}
