//! `ucfpack build`.

use std::collections::BTreeMap;
use std::path::Path;

use clipshard::{Codec, Filter};
use serde_json::{Value, json};
use ucfpack::console::{self, Page};
use ucfpack::pack::Estimate;
use ucfpack::pack::{BuildOptions, BuildReport, DatasetKind, build};
use ucfpack::progress::{Progress, Watch};
use ucfpack::quantity::{show_bytes, show_count, show_duration};
use ucfpack::source::{Layout, Location};
use ucfpack::stored::{Check, Geometry, StreamOptions};
use ucfpack::video::{FlowMethod, QUALITY, SHORT_SIDE, VideoOptions};
use ucfpack::{Error, Problem, Skipped};

use super::signals::cancel_on_signals;
use super::threads::{processors, use_threads};
use crate::cli::{BuildArgs, CheckArg, CodecArg, DatasetArg, FlowDevice, FlowSize, LayoutArg};

/// Level of zstd and LZ4-HC where none is asked for.
const DEFAULT_LEVEL: i32 = 9;
/// Side of flow images where none is asked for: what the network takes.
const DEFAULT_FLOW_SIDE: u16 = 224;
/// Left-out clips that a summary names.
const NAMED: usize = 10;

pub fn run_build(args: &BuildArgs) -> anyhow::Result<()> {
    let options = build_options(args)?;
    use_threads(options.jobs)?;
    let cancel = cancel_on_signals()?;
    let progress = Progress::on_stderr();
    let report = build(&options, Watch { progress: &progress, cancel: &cancel })?;
    console::notes(&report.notes);
    if args.json {
        return Ok(console::write_json(&report_json(&report))?);
    }
    match &report.estimate {
        // A plan exists nowhere else.
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
        card: card(args.device, if of_videos { flow } else { None })?,
    };
    let (rgb_codec, flow_codec) = (codec(args.rgb_codec), codec(args.flow_codec));
    if !of_videos && (args.rgb_quality.is_some() || args.flow_method.is_some()) {
        return Err(usage("--rgb-quality and --flow-method go with --videos; a tree has its frames and flow"));
    }
    if args.rgb_quality.is_some() && rgb_codec != Codec::Jpeg {
        return Err(usage("--rgb-quality goes with --rgb-codec jpeg"));
    }
    if of_videos && flow_codec == Codec::Jpeg {
        return Err(usage(
            "--flow-codec jpeg keeps source files, and flow of videos is stored without loss; name zstd, lz4 or raw",
        ));
    }
    let rgb_geometry = match (args.rgb_short_side, rgb_codec) {
        _ if of_videos => Geometry::ShortSide(video.short_side),
        (None, _) => Geometry::Source,
        (Some(_), Codec::Jpeg) => {
            return Err(usage(
                "--rgb-short-side resizes pixels, and --rgb-codec jpeg keeps the source files; name --rgb-codec zstd, lz4 or raw",
            ));
        }
        (Some(side), _) => Geometry::ShortSide(side),
    };
    let flow_geometry = match (args.flow_size, flow_codec) {
        (Some(FlowSize::Native), _) | (None, Codec::Jpeg) => Geometry::Source,
        (Some(FlowSize::Square(_)), Codec::Jpeg) => {
            return Err(usage(
                "--flow-codec jpeg keeps the source files, so it goes with --flow-size native only; to resize, name --flow-codec zstd, lz4 or raw",
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
        layout: match args.layout {
            LayoutArg::Auto => None,
            LayoutArg::Feichtenhofer => Some(Layout::Feichtenhofer),
            LayoutArg::GpuFlow => Some(Layout::GpuFlow),
            LayoutArg::Jeffreyyihuang => Some(Layout::Jeffreyyihuang),
            LayoutArg::Tsn => Some(Layout::Tsn),
            LayoutArg::Mmaction2 => Some(Layout::Mmaction2),
        },
        video,
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

pub fn dataset(arg: DatasetArg) -> DatasetKind {
    match arg {
        DatasetArg::Ucf101 => DatasetKind::Ucf101,
        DatasetArg::Hmdb51 => DatasetKind::Hmdb51,
        DatasetArg::Custom => DatasetKind::Custom,
    }
}

fn usage(what: impl Into<Problem>) -> Error {
    Error::Usage(what.into())
}

/// The card that computes flow, if one is asked for.
pub fn card(device: FlowDevice, method: Option<FlowMethod>) -> Result<Option<usize>, Error> {
    match (device, method) {
        (FlowDevice::Cpu, _) => Ok(None),
        (FlowDevice::Card(card), Some(FlowMethod::TvL1)) => Ok(Some(card)),
        (FlowDevice::Card(_), _) => {
            Err(usage("--device cuda:N goes with --videos and --flow-method tvl1, which it computes"))
        }
    }
}

fn check_level(level: i32, codecs: &[Codec]) -> Result<(), Error> {
    let mut used = false;
    for codec in codecs {
        let highest = match codec {
            Codec::Zstd => 22,
            Codec::Lz4 => 12,
            _ => continue,
        };
        used = true;
        if !(1..=highest).contains(&level) {
            return Err(usage(format!("--level {level}: {} has levels 1 to {highest}", codec.name())));
        }
    }
    if used { Ok(()) } else { Err(usage("--level goes with the codecs zstd and lz4")) }
}

fn codec(arg: CodecArg) -> Codec {
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

/// `84 rgb, 156 flow`.
fn by_stream(counts: &BTreeMap<String, u64>) -> String {
    let known = ["rgb", "flow"].into_iter().filter_map(|name| Some((name, *counts.get(name)?)));
    known.map(|(name, count)| format!("{} {name}", show_count(count))).collect::<Vec<_>>().join(", ")
}

fn show_plan(report: &BuildReport, estimate: &Estimate) -> Page {
    let mut page = Page::default();
    let images: u64 = report.records.values().sum();
    let (clips, streams) = (show_count(report.clips), by_stream(&report.records));
    page.line(format_args!("would pack {clips} clips, {} images ({streams})", show_count(images)));
    page.line(format_args!(
        "{} in, about {} out, shards: {}; about {} (from {} sampled images)",
        show_bytes(estimate.bytes_in),
        show_bytes(estimate.bytes_out),
        by_stream(&report.shards),
        show_duration(estimate.seconds),
        show_count(estimate.sampled_images)
    ));
    if estimate.damaged_clips > 0 {
        page.line(format_args!("{} clips of the sample are damaged", show_count(estimate.damaged_clips)));
    }
    show_skipped(&mut page, &report.skipped);
    page
}

/// What was made of how much, in which time.
pub fn show_packed(report: &BuildReport, verb: &str, place: &Path) -> Page {
    let mut page = Page::default();
    let images: u64 = report.records.values().sum();
    let seconds = report.seconds.max(1e-3);
    let ratio = report.bytes_in as f64 / report.bytes_out.max(1) as f64;
    let (clips, streams) = (show_count(report.clips), by_stream(&report.records));
    page.line(format_args!("{verb} {clips} clips, {} images ({streams}) into {}", show_count(images), place.display()));
    page.line(format_args!(
        "{} in, {} out (ratio {ratio:.2}), shards: {}",
        show_bytes(report.bytes_in),
        show_bytes(report.bytes_out),
        by_stream(&report.shards)
    ));
    page.line(format_args!(
        "{:.1} s, {} images/s, {}/s read",
        report.seconds,
        show_count((images as f64 / seconds) as u64),
        show_bytes((report.bytes_in as f64 / seconds) as u64)
    ));
    show_skipped(&mut page, &report.skipped);
    page
}

pub fn show_skipped(page: &mut Page, skipped: &[Skipped]) {
    if skipped.is_empty() {
        return;
    }
    page.line(format_args!("left out {} clips:", show_count(skipped.len() as u64)));
    for Skipped { clip, reason } in skipped.iter().take(NAMED) {
        page.line(format_args!("  {clip}: {reason}"));
    }
    if skipped.len() > NAMED {
        page.line(format_args!("  ... and {} more (--json lists all)", show_count((skipped.len() - NAMED) as u64)));
    }
}
