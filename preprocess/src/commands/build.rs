//! `ucfpack build`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use clipshard::{Codec, Filter};
use serde_json::{Value, json};
use ucfpack::build::{BuildOptions, BuildReport, DatasetKind, build};
use ucfpack::encode::{Check, Geometry, StreamOptions};
use ucfpack::progress::{Progress, Watch};
use ucfpack::quantity::{show_bytes, show_count};
use ucfpack::source::{Layout, Location};
use ucfpack::{Error, Skipped};

use super::{cancel_on_signals, processors, use_threads};
use crate::cli::{BuildArgs, CheckArg, CodecArg, DatasetArg, FlowSize, LayoutArg};

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
    for note in &report.notes {
        eprintln!("note: {note}");
    }
    let mut out = io::stdout().lock();
    if args.json {
        let mut document = build_json(&report);
        if args.dry_run {
            document["dry_run"] = json!(true);
        }
        writeln!(out, "{document}")?;
    } else {
        show_build(&mut out, &report, args)?;
    }
    Ok(())
}

fn build_options(args: &BuildArgs) -> Result<BuildOptions, Error> {
    let location = match &args.tree {
        Some(root) => Location::Tree(root.clone()),
        None => Location::Apart { rgb: args.rgb.clone(), flow: args.flow.clone() },
    };
    let (rgb_codec, flow_codec) = (codec(args.rgb_codec), codec(args.flow_codec));
    let rgb_geometry = match (args.rgb_short_side, rgb_codec) {
        (None, _) => Geometry::Source,
        (Some(_), Codec::Jpeg) => {
            return Err(Error::Usage(
                "--rgb-short-side resizes pixels, and --rgb-codec jpeg keeps the source files; name --rgb-codec zstd, lz4 or raw".into(),
            ));
        }
        (Some(side), _) => Geometry::ShortSide(side),
    };
    let flow_geometry = match (args.flow_size, flow_codec) {
        (Some(FlowSize::Native), _) | (None, Codec::Jpeg) => Geometry::Source,
        (Some(FlowSize::Square(_)), Codec::Jpeg) => {
            return Err(Error::Usage(
                "--flow-codec jpeg keeps the source files, so it goes with --flow-size native only; to resize, name --flow-codec zstd, lz4 or raw".into(),
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
    Ok(BuildOptions {
        out: args.out.clone(),
        dataset: match args.dataset {
            DatasetArg::Ucf101 => DatasetKind::Ucf101,
            DatasetArg::Hmdb51 => DatasetKind::Hmdb51,
            DatasetArg::Custom => DatasetKind::Custom,
        },
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
        classes: args.classes.clone(),
        rgb: stream(rgb_codec, rgb_geometry),
        flow: stream(flow_codec, flow_geometry),
        check: match args.check {
            CheckArg::Header => Check::Header,
            CheckArg::Decode => Check::Decode,
        },
        shard_bytes: args.shard_size,
        jobs: args.jobs.map_or_else(processors, usize::from),
        keep_going: args.keep_going,
        overwrite: args.overwrite,
        dry_run: args.dry_run,
    })
}

fn check_level(level: i32, codecs: &[Codec]) -> Result<(), Error> {
    let mut used = false;
    for codec in codecs {
        let highest = match codec {
            Codec::Zstd => 22,
            Codec::Lz4 => 12,
            Codec::Raw | Codec::Jpeg => continue,
        };
        used = true;
        if !(1..=highest).contains(&level) {
            return Err(Error::Usage(format!("--level {level}: {} has levels 1 to {highest}", codec.name())));
        }
    }
    if used { Ok(()) } else { Err(Error::Usage("--level goes with the codecs zstd and lz4".into())) }
}

fn codec(arg: CodecArg) -> Codec {
    match arg {
        CodecArg::Jpeg => Codec::Jpeg,
        CodecArg::Zstd => Codec::Zstd,
        CodecArg::Lz4 => Codec::Lz4,
        CodecArg::Raw => Codec::Raw,
    }
}

fn build_json(report: &BuildReport) -> Value {
    json!({
        "clips": report.clips,
        "records": report.records,
        "bytes_in": report.bytes_in,
        "bytes_out": report.bytes_out,
        "seconds": report.seconds,
        "skipped": report.skipped,
    })
}

fn show_build(out: &mut impl Write, report: &BuildReport, args: &BuildArgs) -> io::Result<()> {
    let images: u64 = report.records.values().sum();
    let by_stream = |counts: &BTreeMap<String, u64>| {
        let known =
            ["rgb", "flow"].into_iter().filter_map(|name| Some(format!("{} {name}", show_count(*counts.get(name)?))));
        known.collect::<Vec<_>>().join(", ")
    };
    let (streams, shards) = (by_stream(&report.records), by_stream(&report.shards));
    if args.dry_run {
        writeln!(out, "would pack {} clips, {} images ({streams})", show_count(report.clips), show_count(images))?;
        writeln!(out, "into shards: {shards}; about {}", show_bytes(report.bytes_out))?;
    } else {
        let seconds = report.seconds.max(1e-3);
        let ratio = report.bytes_in as f64 / report.bytes_out.max(1) as f64;
        writeln!(
            out,
            "packed {} clips, {} images ({streams}) into {}",
            show_count(report.clips),
            show_count(images),
            args.out.display()
        )?;
        writeln!(
            out,
            "{} in, {} out (ratio {ratio:.2}), shards: {shards}",
            show_bytes(report.bytes_in),
            show_bytes(report.bytes_out)
        )?;
        let rate = (images as f64 / seconds) as u64;
        writeln!(
            out,
            "{:.1} s, {} images/s, {}/s read",
            report.seconds,
            show_count(rate),
            show_bytes((report.bytes_in as f64 / seconds) as u64)
        )?;
    }
    show_skipped(out, &report.skipped)
}

fn show_skipped(out: &mut impl Write, skipped: &[Skipped]) -> io::Result<()> {
    if skipped.is_empty() {
        return Ok(());
    }
    writeln!(out, "left out {} clips:", show_count(skipped.len() as u64))?;
    for Skipped { clip, reason } in skipped.iter().take(NAMED) {
        writeln!(out, "  {clip}: {reason}")?;
    }
    if skipped.len() > NAMED {
        writeln!(out, "  ... and {} more (--json lists all)", show_count((skipped.len() - NAMED) as u64))?;
    }
    Ok(())
}
