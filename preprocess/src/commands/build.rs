//! `ucfpack build`.

use std::collections::BTreeMap;
use std::path::Path;

use clipshard::{Codec, Filter};
use serde_json::{Value, json};
use ucfpack::attributes::read_attributes;
use ucfpack::console::{self, Page};
use ucfpack::pack::Estimate;
use ucfpack::pack::{BuildOptions, BuildReport, DatasetKind, build};
use ucfpack::progress::{Progress, Watch};
use ucfpack::quantity::{show_bytes, show_count, show_duration};
use ucfpack::source::{Layout, Location};
use ucfpack::stored::{Check, Geometry, StreamOptions};
use ucfpack::video::{FlowMethod, QUALITY, SHORT_SIDE, VideoOptions};
use ucfpack::{Error, Problem, Skipped, SomeClasses};

use super::common::{clips_of, images_of};
use super::option;
use super::signals::cancel_on_signals;
use super::threads::{processors, use_threads};
use crate::cli::{BuildArgs, CheckArg, CodecArg, DatasetArg, FlowDevice, FlowSize, LayoutArg};

/// Default level of zstd and LZ4-HC.
pub const DEFAULT_LEVEL: i32 = 9;
/// Default side of flow images: the input size of the networks.
const DEFAULT_FLOW_SIDE: u16 = 224;
/// Number of skipped clips that a summary names.
const NAMED: usize = 10;

pub fn run_build(args: &BuildArgs) -> anyhow::Result<()> {
    let options = build_options(args)?;
    use_threads(options.jobs)?;
    let cancel = cancel_on_signals()?;
    let progress = Progress::on_stderr();
    let report = build(&options, Watch { progress: &progress, cancel: &cancel })?;
    console::notes(report.notes.iter().cloned().chain(note_of_classes(report.some_classes.as_ref())));
    if args.json {
        return Ok(console::write_json(&report_json(&report))?);
    }
    match &report.estimate {
        // The plan exists only on stdout, so it is a result.
        Some(estimate) => show_plan(&report, estimate).write_result()?,
        None => show_packed(&report, "packed", &args.out).write_summary(),
    }
    Ok(())
}

fn build_options(args: &BuildArgs) -> Result<BuildOptions, Error> {
    let location = match (&args.videos, &args.tree) {
        (Some(root), _) => Location::Videos(root.clone()),
        (None, Some(root)) => Location::Tree(root.clone()),
        (None, None) => Location::Apart { rgb: args.rgb.clone(), flow: args.flow.clone() },
    };
    let of_videos = args.videos.is_some();
    let flow = args.flow_method.map_or(Some(FlowMethod::TvL1), |choice| choice.0);
    let video = VideoOptions {
        short_side: args.rgb_short_side.unwrap_or(SHORT_SIDE),
        quality: args.rgb_quality.unwrap_or(QUALITY),
        flow,
        gpu: gpu(args.device, if of_videos { flow } else { None })?,
    };
    let (rgb_codec, flow_codec) = (codec(args.rgb_codec), codec(args.flow_codec));
    if !of_videos && args.rgb_quality.is_some() {
        return Err(usage("--rgb-quality needs --videos; the frames of a tree are JPEG files already"));
    }
    if !of_videos && args.flow_method.is_some() {
        return Err(usage("--flow-method needs --videos; no flow is computed for a frame tree"));
    }
    if args.rgb_quality.is_some() && rgb_codec != Codec::Jpeg {
        return Err(usage(format!("--rgb-quality needs --rgb-codec jpeg, but the codec is {}", rgb_codec.name())));
    }
    if of_videos && flow_codec == Codec::Jpeg {
        return Err(usage(
            "--flow-codec jpeg keeps the files of a frame tree, but videos have none; use --flow-codec zstd, lz4 \
             or raw",
        ));
    }
    let rgb_geometry = match (args.rgb_short_side, rgb_codec) {
        _ if of_videos => Geometry::ShortSide(video.short_side),
        (None, _) => Geometry::Source,
        (Some(_), Codec::Jpeg) => {
            return Err(usage(
                "--rgb-short-side cannot resize the source files that --rgb-codec jpeg keeps; use --rgb-codec zstd, \
                 lz4 or raw",
            ));
        }
        (Some(side), _) => Geometry::ShortSide(side),
    };
    let flow_geometry = match (args.flow_size, flow_codec) {
        (Some(FlowSize::Native), _) | (None, Codec::Jpeg) => Geometry::Source,
        (Some(FlowSize::Square(_)), Codec::Jpeg) => {
            return Err(usage(
                "--flow-size cannot resize the source files that --flow-codec jpeg keeps; use --flow-size native, or \
                 --flow-codec zstd, lz4 or raw",
            ));
        }
        (Some(FlowSize::Square(side)), _) => Geometry::Square(side),
        (None, _) => Geometry::Square(DEFAULT_FLOW_SIDE),
    };
    if let Some(level) = args.level {
        check_level(level, &[rgb_codec, flow_codec])?;
    }
    let stream = |codec, geometry| {
        let filter = if matches!(codec, Codec::Zstd | Codec::Lz4) { Filter::Up } else { Filter::None };
        StreamOptions { codec, filter, level: args.level.unwrap_or(DEFAULT_LEVEL), geometry }
    };
    let jobs = args.jobs.map_or_else(processors, usize::from);
    Ok(BuildOptions {
        out: args.out.clone(),
        dataset: dataset(args.dataset),
        lists: args.lists.clone(),
        location,
        layout: layout(args.layout),
        video,
        attributes: args.attributes.as_deref().map(read_attributes).transpose()?.unwrap_or_default(),
        classes: args.classes.clone(),
        rgb: stream(rgb_codec, rgb_geometry),
        flow: stream(flow_codec, flow_geometry),
        check: match args.check {
            CheckArg::Header => Check::Header,
            CheckArg::Decode => Check::Decode,
        },
        shard_bytes: args.shard_size,
        jobs,
        readers: args.readers.map_or(jobs, usize::from),
        part: args.part,
        keep_going: args.keep_going,
        overwrite: args.overwrite,
        resume: args.resume,
        dry_run: args.dry_run,
    })
}

/// Returns the layout of a frame tree, or `None` to recognise it.
pub fn layout(arg: LayoutArg) -> Option<Layout> {
    match arg {
        LayoutArg::Auto => None,
        LayoutArg::Feichtenhofer => Some(Layout::Feichtenhofer),
        LayoutArg::GpuFlow => Some(Layout::GpuFlow),
        LayoutArg::Jeffreyyihuang => Some(Layout::Jeffreyyihuang),
        LayoutArg::Tsn => Some(Layout::Tsn),
        LayoutArg::Mmaction2 => Some(Layout::Mmaction2),
    }
}

pub fn dataset(arg: DatasetArg) -> DatasetKind {
    match arg {
        DatasetArg::Auto => DatasetKind::Auto,
        DatasetArg::Ucf101 => DatasetKind::Ucf101,
        DatasetArg::Hmdb51 => DatasetKind::Hmdb51,
        DatasetArg::Jhmdb => DatasetKind::Jhmdb,
        DatasetArg::Kinetics => DatasetKind::Kinetics,
        DatasetArg::SomethingV1 => DatasetKind::SomethingV1,
        DatasetArg::SomethingV2 => DatasetKind::SomethingV2,
        DatasetArg::Jester => DatasetKind::Jester,
        DatasetArg::Moments => DatasetKind::Moments,
        DatasetArg::Diving48 => DatasetKind::Diving48,
        DatasetArg::Mmaction2 => DatasetKind::Mmaction2,
        DatasetArg::Custom => DatasetKind::Custom,
    }
}

fn usage(what: impl Into<Problem>) -> Error {
    Error::Usage(what.into())
}

/// Returns the GPU that computes flow, or `None` for the CPU.
pub fn gpu(device: FlowDevice, method: Option<FlowMethod>) -> Result<Option<usize>, Error> {
    match (device, method) {
        (FlowDevice::Cpu, _) => Ok(None),
        (FlowDevice::Gpu(gpu), Some(FlowMethod::TvL1)) => Ok(Some(gpu)),
        (FlowDevice::Gpu(_), _) => {
            Err(usage("--device cuda:N can only compute TV-L1 flow from videos; use --videos with --flow-method tvl1"))
        }
    }
}

/// Checks that the codecs have a compression level.
pub fn check_level(level: i32, codecs: &[Codec]) -> Result<(), Error> {
    let mut used = false;
    for codec in codecs {
        let highest = match codec {
            Codec::Zstd => 22,
            Codec::Lz4 => 12,
            _ => continue,
        };
        used = true;
        if !(1..=highest).contains(&level) {
            return Err(usage(format!("--level is {level}, but {} has the levels 1 to {highest}", codec.name())));
        }
    }
    if used { Ok(()) } else { Err(usage("--level needs a codec that has levels: zstd or lz4")) }
}

pub fn codec(arg: CodecArg) -> Codec {
    match arg {
        CodecArg::Jpeg => Codec::Jpeg,
        CodecArg::Zstd => Codec::Zstd,
        CodecArg::Lz4 => Codec::Lz4,
        CodecArg::Raw => Codec::Raw,
    }
}

pub fn report_json(report: &BuildReport) -> Value {
    let mut document = json!({
        "clips": report.clips,
        "records": report.records,
        "bytes_in": report.bytes_in,
        "bytes_out": report.bytes_out,
        "seconds": report.seconds,
        "skipped": report.skipped,
    });
    if let Some(estimate) = &report.estimate {
        document["dry_run"] = json!(true);
        document["estimate"] = json!(estimate);
    }
    document
}

/// Returns the counts as text, such as `84 rgb, 156 flow`.
fn by_stream(counts: &BTreeMap<String, u64>) -> String {
    let known = ["rgb", "flow"].into_iter().filter_map(|name| Some((name, *counts.get(name)?)));
    known.map(|(name, count)| format!("{} {name}", show_count(count))).collect::<Vec<_>>().join(", ")
}

fn show_plan(report: &BuildReport, estimate: &Estimate) -> Page {
    let mut page = Page::default();
    let images: u64 = report.records.values().sum();
    let (clips, streams) = (clips_of(report.clips), by_stream(&report.records));
    page.line(format_args!("would pack {clips}, {} ({streams})", images_of(images)));
    page.line(format_args!(
        "reads {}, writes about {}, shards: {}; takes about {} (estimated from {})",
        show_bytes(estimate.bytes_in),
        show_bytes(estimate.bytes_out),
        by_stream(&report.shards),
        show_duration(estimate.seconds),
        images_of(estimate.sampled_images)
    ));
    if estimate.damaged_clips > 0 {
        page.line(format_args!("damaged in the sample: {}", clips_of(estimate.damaged_clips)));
    }
    show_skipped(&mut page, &report.skipped, true);
    page
}

/// Returns the summary of a build or a merge: the counts, sizes and rates.
pub fn show_packed(report: &BuildReport, verb: &str, place: &Path) -> Page {
    let mut page = Page::default();
    let images: u64 = report.records.values().sum();
    let seconds = report.seconds.max(1e-3);
    let times = report.bytes_out as f64 / report.bytes_in as f64;
    // A build that was already complete reads nothing.
    let times = if report.bytes_in == 0 { String::new() } else { format!(" ({times:.1} times the size)") };
    let (clips, streams) = (clips_of(report.clips), by_stream(&report.records));
    page.line(format_args!("{verb} {clips}, {} ({streams}) into {}", images_of(images), place.display()));
    page.line(format_args!(
        "read {}, wrote {}{times}, shards: {}",
        show_bytes(report.bytes_in),
        show_bytes(report.bytes_out),
        by_stream(&report.shards)
    ));
    let rates = if report.bytes_in == 0 {
        String::new()
    } else {
        let read = show_bytes((report.bytes_in as f64 / seconds) as u64);
        format!(", {} images/s, reading {read}/s", show_count((images as f64 / seconds) as u64))
    };
    page.line(format_args!("{:.1} s{rates}", report.seconds));
    show_skipped(&mut page, &report.skipped, true);
    page
}

/// Returns a note about classes without clips that stay in the class list.
pub fn note_of_classes(classes: Option<&SomeClasses>) -> Option<String> {
    classes.map(|classes| classes.note().named(&option))
}

/// Adds the skipped clips. `has_json` tells whether the command has the option `--json`, which lists all.
pub fn show_skipped(page: &mut Page, skipped: &[Skipped], has_json: bool) {
    if skipped.is_empty() {
        return;
    }
    let hint = if has_json && skipped.len() > NAMED { " (--json lists all)" } else { "" };
    page.line(format_args!("skipped {}{hint}:", clips_of(skipped.len() as u64)));
    for Skipped { clip, reason } in skipped.iter().take(NAMED) {
        page.line(format_args!("  {clip}: {reason}"));
    }
    if skipped.len() > NAMED {
        page.line(format_args!("  ... and {} more", show_count((skipped.len() - NAMED) as u64)));
    }
}
