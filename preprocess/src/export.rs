//! Exports a dataset to a frame tree in the feichtenhofer layout, with lists. `jpeg` records come back byte for byte.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clipshard::{
    ClipRecords, Codec, Dataset, Decoder, DecodingBudget, Manifest, SampleType, Stream, StreamSpec, Subset,
};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ImageEncoder, ImageResult};
use rayon::prelude::*;

use crate::error::{Error, Result};
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
        check_name(&data.manifest().clips[clip].id)?;
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
    let lists = staging.path().join("lists");
    report.notes.extend(write_lists(data.manifest(), &clips, &lists)?);
    report.notes.extend(write_groups(data.manifest(), &clips, &lists)?);
    staging.commit()?;
    Ok(report)
}

/// Returns whether image files can hold the records of a stream.
fn is_exported(spec: &StreamSpec) -> bool {
    spec.array.is_none() && matches!(spec.channels, 1 | 3) && matches!(spec.samples, SampleType::U8 | SampleType::U16)
}

/// Checks that a clip id is a plain name. It becomes the name of a folder, which must not lead elsewhere.
pub(crate) fn check_name(id: &str) -> Result<()> {
    if matches!(id, "" | "." | "..") || id.contains(['/', '\\', ':', '\0']) {
        return Err(Error::input(format!("cannot export clip {id:?}: its id is not a plain folder name")));
    }
    Ok(())
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

/// Writes a CSV file with the groups, because UCF101's lists cannot contain them. Returns a note if the splits do not
/// correspond to training, test and validation clips.
fn write_groups(manifest: &Manifest, clips: &[usize], folder: &Path) -> Result<Option<String>> {
    let clips: Vec<_> = clips.iter().map(|&clip| &manifest.clips[clip]).collect();
    if !clips.iter().any(|clip| manifest.groups.contains_key(&clip.id)) {
        return Ok(None);
    }
    fs::create_dir_all(folder).map_err(Error::io(folder, "cannot create the folder"))?;
    let path = folder.join("groups.csv");
    let fault = |error: csv::Error| Error::io(&path, "cannot write the list")(error.into());
    let mut rows = csv::Writer::from_path(&path).map_err(fault)?;
    rows.write_record(["path", "label", "split", "group"]).map_err(fault)?;
    for clip in clips {
        let part = match clip.subsets.as_slice() {
            [Subset::Train] | [Subset::Train, Subset::Train] => "train",
            [Subset::Test] | [Subset::Test, Subset::Unused] => "test",
            [Subset::Unused, Subset::Test] => "val",
            [Subset::Unused] | [Subset::Unused, Subset::Unused] => "unused",
            _ => {
                drop(rows);
                fs::remove_file(&path).map_err(Error::io(&path, "cannot remove the list"))?;
                return Ok(Some(format!(
                    "groups.csv is not written: a CSV file cannot describe the splits of clip {}",
                    clip.id
                )));
            }
        };
        let class = class_name(manifest, clip);
        let group = manifest.groups.get(&clip.id).map_or("", String::as_str);
        rows.write_record([&format!("{class}/{}.avi", clip.id), class, part, group]).map_err(fault)?;
    }
    rows.flush().map_err(Error::io(&path, "cannot write the list"))?;
    Ok(None)
}

/// Returns the class of a clip, or `unlabelled`.
fn class_name<'a>(manifest: &'a Manifest, clip: &clipshard::Clip) -> &'a str {
    clip.label.map_or("unlabelled", |label| &manifest.classes[label as usize])
}

/// Writes split lists in the format of UCF101, so that the tree can be packed again. Returns a note
/// if they cannot contain the names.
fn write_lists(manifest: &Manifest, clips: &[usize], folder: &Path) -> Result<Option<String>> {
    let blank = |name: &String| name.is_empty() || name.contains(char::is_whitespace) || name.contains('/');
    let odd = manifest.classes.iter().find(|name| blank(name));
    let odd = odd.or_else(|| clips.iter().map(|&clip| &manifest.clips[clip].id).find(|id| blank(id)));
    if let Some(name) = odd {
        return Ok(Some(format!(
            "the lists are not written: they cannot contain the name {name:?}; write a CSV file (path,label,split) \
             instead"
        )));
    }
    if manifest.splits.len() > 9 {
        return Ok(Some(format!(
            "the lists are not written: the dataset has {} splits, but lists can have 9",
            manifest.splits.len()
        )));
    }
    fs::create_dir_all(folder).map_err(Error::io(folder, "cannot create the folder"))?;
    let write = |name: &str, lines: Vec<String>| {
        let path = folder.join(name);
        fs::write(&path, lines.concat()).map_err(Error::io(path, "cannot write the list"))
    };
    let classes = manifest.classes.iter().enumerate();
    write("classInd.txt", classes.map(|(label, class)| format!("{} {class}\n", label + 1)).collect())?;
    for split in 0..manifest.splits.len() {
        for (subset, name) in [(Subset::Train, "trainlist"), (Subset::Test, "testlist")] {
            let of_subset =
                clips.iter().map(|&clip| &manifest.clips[clip]).filter(|clip| clip.subsets[split] == subset);
            let line = |clip: &clipshard::Clip| {
                let class = class_name(manifest, clip);
                let label = clip.label.filter(|_| subset == Subset::Train);
                let label = label.map_or_else(String::new, |label| format!(" {}", label + 1));
                format!("{class}/{}.avi{label}\n", clip.id)
            };
            write(&format!("{name}{:02}.txt", split + 1), of_subset.map(line).collect())?;
        }
    }
    Ok(None)
}
