//! What the typed commands mean, and how their results are shown.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::Context;
use clipshard::{Codec, Filter};
use serde_json::{Value, json};
use ucfpack::build::{BuildOptions, BuildReport, build};
use ucfpack::encode::{Check, Geometry, StreamOptions};
use ucfpack::progress::{Progress, Watch};
use ucfpack::quantity::{show_bytes, show_count};
use ucfpack::source::{Layout, Location};
use ucfpack::synth::{TreeOptions, make_tree};
use ucfpack::{Error, Skipped};

use crate::cli::{BuildArgs, CheckArg, Cli, CodecArg, Command, DatasetArg, FlowSize, LayoutArg, SynthArgs};

/// Level of zstd and LZ4-HC where none is asked for.
const DEFAULT_LEVEL: i32 = 9;
/// Side of flow images where none is asked for: what the network takes.
const DEFAULT_FLOW_SIDE: u16 = 224;
/// Left-out clips that a summary names.
const NAMED: usize = 10;

/// Runs the command that was typed.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Build(args) => run_build(&args),
        Command::Synth(args) => run_synth(&args),
    }
}

fn run_build(args: &BuildArgs) -> anyhow::Result<()> {
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

fn run_synth(args: &SynthArgs) -> anyhow::Result<()> {
    use_threads(args.jobs.map_or_else(processors, usize::from))?;
    let cancel = cancel_on_signals()?;
    let progress = Progress::on_stderr();
    let watch = Watch { progress: &progress, cancel: &cancel };
    let (width, height) = args.size.unwrap_or((96, 72));
    let options = TreeOptions {
        out: args.out.clone(),
        classes: args.classes.unwrap_or(9) as usize,
        clips: args.clips.unwrap_or(24) as usize,
        width,
        height,
        seed: args.seed.unwrap_or(0),
        overwrite: args.overwrite,
    };
    let report = make_tree(&options, watch)?;
    let mut out = io::stdout().lock();
    let (appearances, motions) = report.factors;
    writeln!(
        out,
        "made {} clips, {} images of {width}x{height}, {} in {}",
        show_count(report.clips),
        show_count(report.images),
        show_bytes(report.bytes),
        args.out.display()
    )?;
    writeln!(
        out,
        "{} classes: {appearances} appearances (seen in RGB) x {motions} motions (seen in flow)",
        report.classes.len()
    )?;
    let tree = args.out.display();
    writeln!(out, "pack them: ucfpack build --tree {tree} --lists {tree}/lists --out DIR")?;
    Ok(())
}

fn build_options(args: &BuildArgs) -> Result<BuildOptions, Error> {
    let DatasetArg::Ucf101 = args.dataset;
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
        lists: args.lists.clone(),
        location,
        layout: match args.layout {
            LayoutArg::Auto => None,
            LayoutArg::Feichtenhofer => Some(Layout::Feichtenhofer),
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
    let streams: Vec<String> = report.records.iter().map(|(name, n)| format!("{} {name}", show_count(*n))).collect();
    let shards: Vec<String> = report.shards.iter().map(|(name, n)| format!("{n} {name}")).collect();
    let (streams, shards) = (streams.join(", "), shards.join(", "));
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

fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Lets everything that runs in parallel use this many threads.
fn use_threads(jobs: usize) -> anyhow::Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(jobs).build_global().context("cannot start threads")
}

/// A flag that Ctrl-C and termination set: work ends at the next image and takes its files away.
fn cancel_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let cancel = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&cancel);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).context("cannot watch for Ctrl-C")?;
    Ok(cancel)
}
