//! `ucftrain spatial`, `ucftrain temporal` and `ucftrain difference`: train one stream.

use super::cure::Uncured;
use super::eval::replaced;
use super::io::IoArgs;
use super::ranks::{RanksArgs, agree, check_share};
use super::weights;
use crate::base::console::{Console, document, hush, quoted, result};
use crate::base::heading::{MODEL, OUTPUT, RUN};
use crate::base::stop::Stop;
use crate::base::usage::Usage;
use crate::compute::device::{Compute, set_threads};
use crate::formats::safetensors_file;
use crate::input::{self, SLOTS, check_geometry, limit, note_omitted};
use crate::ranks::Place;
use crate::report;
use crate::run::folder::{CHECKPOINT_FILE, CONFIG_FILE, Existing, REPORT_FILE, RunFolder};
use crate::run::state::{Seconds, State};
use crate::settings::{Difference, Given, Settings};
use crate::stream::Stream;
use crate::training::printed::plan_lines;
use crate::training::start::{Start, first_model, first_state};
use crate::training::trainer::{End, Trainer};
use anyhow::{Context, Result, bail};
use candle_core::Device;
use clip_loader::{Crop, Split, SplitClip, Work};
use clipshard::Dataset;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Arguments of the commands that train.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag on the command line")]
pub struct TrainArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub given: Given,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub io: IoArgs,
    /// Run folder: the folder for the results
    ///
    /// Required, except with --dry-run. An existing run needs --resume or --overwrite.
    #[arg(long, value_name = "DIR", required_unless_present = "dry_run", help_heading = RUN, display_order = 0)]
    pub run: Option<PathBuf>,
    /// Continue the run in --run from its checkpoint
    ///
    /// The result is the same as without the interruption. Uses the settings of the run. An option
    /// that would change the result is an error.
    #[arg(long, conflicts_with = "overwrite", help_heading = RUN, display_order = 1)]
    pub resume: bool,
    /// Replace the run in --run
    #[arg(long, help_heading = RUN, display_order = 2)]
    pub overwrite: bool,
    /// File with settings, such as config.toml of another run
    ///
    /// Options on the command line override the file.
    #[arg(long, value_name = "FILE.toml", help_heading = RUN, display_order = 3)]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub ranks: RanksArgs,
    /// Stop after N steps in total, including those before --resume
    #[arg(long, value_name = "N", help_heading = RUN)]
    pub limit_steps: Option<u64>,
    /// Print the numbers of clips, steps and epochs without training
    ///
    /// Also checks the sizes of the frames, and the weights file if --weights names one. Writes
    /// nothing.
    #[arg(long, help_heading = RUN)]
    pub dry_run: bool,
    /// Do not download weights; use only files on this machine
    ///
    /// The environment variable `UCFTRAIN_OFFLINE=1` does the same.
    #[arg(long, help_heading = MODEL)]
    pub offline: bool,
    /// Print one JSON document on stdout, and events on stderr
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
}

pub(super) const SPATIAL_EXAMPLES: &str = "Examples:
  ucftrain spatial --data ucf101.shards --run runs/spatial --weights imagenet
  ucftrain spatial --data ucf101.shards --run runs/tsn --weights resnet18.safetensors --recipe tsn
  ucftrain spatial --run runs/spatial --resume
  ucftrain spatial --data ucf101.shards --dry-run";

pub(super) const TEMPORAL_EXAMPLES: &str = "Examples:
  ucftrain temporal --data ucf101.shards --run runs/temporal --weights imagenet
  ucftrain temporal --data ucf101.shards --run runs/tsn --weights resnet18.safetensors --recipe tsn
  ucftrain temporal --run runs/temporal --resume
  ucftrain temporal --data ucf101.shards --dry-run";

pub(super) const DIFFERENCE_EXAMPLES: &str = "Examples:
  ucftrain difference --data ucf101.shards --run runs/difference --weights imagenet
  ucftrain fuse runs/spatial runs/temporal runs/difference --ratio 1:1.5:1
  ucftrain difference --run runs/difference --resume";

/// Runs the command.
pub fn run(stream: Stream, args: &TrainArgs) -> Result<()> {
    // A dry run is the same in any number of processes.
    let place = if args.dry_run { None } else { args.ranks.place()? };
    let result = run_at(stream, args, place.as_ref());
    match place.filter(|place| place.size > 1) {
        Some(place) => result.with_context(|| format!("rank {}", place.rank)),
        None => result,
    }
}

/// Runs the command at a place among several processes, or alone.
fn run_at(stream: Stream, args: &TrainArgs, place: Option<&Place>) -> Result<()> {
    let start = Instant::now();
    let is_first = place.is_none_or(|place| place.rank == 0);
    if !is_first {
        hush();
    }
    let console = Console { quiet: !is_first, ..Console::new(args.json) };
    // A dry run writes nothing, not even the lock.
    let resumed_folder = match &args.run {
        Some(dir) if args.resume && !args.dry_run && is_first => Some(RunFolder::open(dir, Existing::Resume)?),
        _ => None,
    };
    let size = place.map_or(1, |place| place.size);
    let mut settings = settings(stream, args, size)?;
    if !args.dry_run {
        check_share(&settings, size)?;
    }
    if let Some(local) = place.and_then(|place| place.local_size)
        && args.given.threads.is_none()
    {
        settings.threads = (settings.threads / local).max(1);
    }
    let data = Arc::new(args.io.io.open(&settings.data, &[stream.records()])?);
    let mut split = input::split(&data, &settings.split, stream)?;
    input::hold_out(&mut split, &data, &settings.val_groups, settings.val_share)?;
    note_omitted(&split.omitted, stream);
    check_geometry(&data, &split.train, stream, settings.view.crop, settings.input_size)?;
    check_geometry(&data, split.validation(), stream, Crop::Whole, settings.input_size)?;
    if args.dry_run {
        let weights = if args.resume { None } else { weights::find(&settings, args.offline)? };
        if weights.is_some() {
            first_model(&settings, weights.as_deref(), data.manifest().classes.len(), &Device::Cpu)?;
        }
        return dry_run(&settings, &data, &split, console);
    }
    let Some(dir) = &args.run else { bail!(Usage("--run DIR is missing: name a folder for the results".into())) };
    let device = device_of(&settings.device, place)?;
    let compute = Compute::open(&device, settings.precision, settings.deterministic)?;
    set_threads(settings.threads)?;
    let fresh = first_state(&settings, &data, &compute)?;
    let stop = Stop::on_signals()?;
    let existing = if args.overwrite { Existing::Overwrite } else { Existing::Refuse };
    if is_first && resumed_folder.is_none() {
        existing.check(dir)?;
    }
    if settings.sync_bn && size > 1 && !compute.device.is_cpu() {
        bail!(Usage("--sync-bn works on the CPU only; add --device cpu, or remove --sync-bn".into()));
    }
    let ranks = args.ranks.meet(place, dir)?;
    if let Some(Place { size, launcher, .. }) = place {
        console.say(&format!("ranks: {size}, started by {launcher}"));
    }
    agree(&*ranks, &settings, &fresh, args.limit_steps, &compute)?;
    let mut weights = None;
    let start_of_run = if !is_first {
        Start::joined(&ranks.gather(Vec::new())?[0], &settings, &compute)?
    } else if let Some(folder) = resumed_folder {
        Start::resumed(folder, &settings, &compute, &fresh)?
    } else {
        weights = weights::obtain(&settings, args.offline, console, &stop)?;
        Start::fresh(dir, existing, &settings, weights.as_deref(), &compute.device, fresh)?
    };
    if is_first && ranks.size() > 1 {
        ranks.gather(start_of_run.to_bytes()?)?;
    }
    let Start { folder, mut model, sgd, average, state } = start_of_run;
    settings.view.shift(&mut model)?;
    if settings.partial_bn {
        model.net = model.net.with_frozen_norms();
    }
    // A run cannot have fewer epochs than it has finished.
    settings.epochs = settings.epochs.max(state.cursor.epoch);
    if let Some(folder) = &folder {
        folder.write_config(&settings)?;
    }
    let began = json!({
        "event": "start", "resumed": args.resume, "cursor": state.cursor, "version": env!("CARGO_PKG_VERSION"),
        "jpeg_decoder": clipshard::jpeg::Decoder::NAME, "threads": settings.threads, "ranks": ranks.size(),
        "device": compute.name,
        "precision": format!("{:?}", compute.dtype).to_lowercase(),
        "weights_file": weights.map(|path| path.display().to_string()), "build": data.manifest().build,
        "clips": { "train": split.train.len(), "val": split.val.len(), "test": split.test.len() },
    });
    let mut trainer = Trainer {
        settings: &settings,
        data: &data,
        split: &split,
        folder: folder.as_ref(),
        compute: &compute,
        console,
        model,
        sgd,
        average,
        state,
        limit_steps: args.limit_steps,
        stop,
        ranks: ranks.clone(),
        stops: false,
        work: None,
    };
    if trainer.is_finished() {
        say_finished(&trainer);
    } else {
        for line in plan_lines(&settings, &split) {
            console.say(&line);
        }
        console.say(&memory_line(&settings));
    }
    trainer.log(&began)?;
    let end = trainer.run().cured(!settings.skip_damaged)?;
    let reported = match &folder {
        None => Ok(()),
        Some(folder) => {
            report::after_training(folder.dir());
            print_end(&trainer, folder.dir(), end, start.elapsed().as_secs_f64())
        }
    };
    // A launcher may kill rank 0 when another rank ends, so the others wait until it has written its files.
    let together = ranks.gather(Vec::new());
    if !is_first {
        together?;
    }
    match trainer.stop.interrupted("the checkpoint was saved").filter(|_| end == End::Stopped) {
        Some(interrupted) => Err(interrupted.into()),
        None => reported,
    }
}

/// Returns the settings. Those of a new run have a micro-batch for each of `size` ranks, unless they name another
/// number.
fn settings(stream: Stream, args: &TrainArgs, size: usize) -> Result<Settings> {
    let mut given = args.given.clone();
    if let Some(path) = &args.config {
        let file = Given::from_file(path)?;
        check_stream(&file, stream, |other| format!("{}: these settings are for a {other} run", path.display()))?;
        given = given.over(&file)?;
    }
    match &args.run {
        Some(dir) if args.resume => resumed_settings(dir, &given, stream, args.dry_run),
        _ => {
            if size > 1 {
                given.accumulate.get_or_insert(size);
            }
            given.complete(stream, args.dry_run)
        }
    }
}

/// Returns the name of the device. If it is `auto`, ranks on one machine take one GPU each.
fn device_of(name: &str, place: Option<&Place>) -> Result<String> {
    match place {
        Some(place) if name == "auto" && place.size > 1 && Compute::has_gpu()? => {
            Ok(format!("cuda:{}", place.local_rank))
        }
        _ => Ok(name.to_owned()),
    }
}

/// Checks that settings are for this stream. `fault` describes settings for another one.
fn check_stream(given: &Given, stream: Stream, fault: impl Fn(Stream) -> String) -> Result<()> {
    match given.stream.filter(|&other| other != stream) {
        Some(other) => bail!(Usage(format!("{}; use `ucftrain {other}`", fault(other)))),
        None => Ok(()),
    }
}

/// Returns the settings of a resumed run: those in its folder, with the given ones.
///
/// # Errors
/// Lists all settings that decide the result and differ from those that the run used.
fn resumed_settings(dir: &Path, given: &Given, stream: Stream, dry_run: bool) -> Result<Settings> {
    Existing::Resume.check(dir)?;
    let (config, checkpoint) = (dir.join(CONFIG_FILE), dir.join(CHECKPOINT_FILE));
    let file = Given::from_file(&config)?;
    check_stream(&file, stream, |other| format!("{} is a {other} run", dir.display()))?;
    let settings = given.over(&file)?.complete(stream, dry_run)?;
    let state: State = safetensors_file::read_metadata(&checkpoint)?;
    // Checkpoints of older versions do not store settings. For those, config.toml decides.
    let used = state.settings.map_or_else(|| file.complete(stream, dry_run)?.deciding(), Ok)?;
    let (mut lines, mut has_option, mut has_edit) = (Vec::new(), false, false);
    for Difference { option, now, used } in settings.deciding()?.differences(&used) {
        let is_given = given.has(&option)?;
        has_option |= is_given;
        has_edit |= !is_given;
        let source = if is_given { String::new() } else { format!(" (from {})", config.display()) };
        lines.push(format!("--{option} is {now}, but the run used {used}{source}"));
    }
    let config = config.display();
    let cure = match (has_option, has_edit) {
        (false, false) => return Ok(settings),
        (true, false) => "Remove these options".to_owned(),
        (false, true) => format!("Restore these values in {config}"),
        (true, true) => format!("Remove these options and restore the values in {config}"),
    };
    bail!(Usage(format!("cannot resume: {}\n{cure}, or start a new run", lines.join("\n  "))))
}

fn dry_run(settings: &Settings, data: &Dataset, split: &Split, console: Console) -> Result<()> {
    let train_steps = settings.steps(split.train.len());
    let samples = |clips: &[SplitClip]| clips.len() * settings.view.test_samples;
    let steps = |clips: &[SplitClip]| samples(clips).div_ceil(settings.batch_size);
    if console.json {
        let plan = json!({
            "stream": settings.stream, "split": settings.split,
            "train_clips": split.train.len(), "val_clips": split.val.len(), "test_clips": split.test.len(),
            "val_samples": samples(&split.val), "test_samples": samples(&split.test),
            "train_steps": train_steps, "val_steps": steps(&split.val), "test_steps": steps(&split.test),
            "epochs": settings.epochs,
            "val": split.val.iter().map(|clip| &clip.id).collect::<Vec<_>>(),
            "omitted": split.omitted.iter().map(|clip| &clip.id).collect::<Vec<_>>(),
        });
        return Ok(document(&plan)?);
    }
    let mut lines = plan_lines(settings, split);
    lines.extend(input::val_lines(split, data));
    Ok(result(&lines.join("\n"))?)
}

/// Describes the memory of the input pipeline, which does not depend on the size of the dataset.
fn memory_line(settings: &Settings) -> String {
    let side = settings.input_size;
    let sample = settings.view.segments * settings.stream.bytes(settings.view.stack(settings.stream)) * side * side;
    let megabytes = (SLOTS * settings.batch_size * sample) as f64 / 1e6;
    format!(
        "input: {} decoding threads, {SLOTS} batches of {} samples ahead ({megabytes:.1} MB)",
        settings.threads, settings.batch_size
    )
}

/// Prints that a resumed run is complete, and how to train longer.
fn say_finished(trainer: &Trainer<'_>) {
    let (settings, console) = (trainer.settings, trainer.console);
    let epochs = settings.epochs;
    console.say(&format!("the run has finished: {epochs} of {epochs} epochs"));
    if !settings.epochs_decide() {
        console.say(&format!("to train longer, add --epochs N with N above {epochs}"));
    }
}

/// Returns the result of the best network on the test clips, or the reason why it has none. Returns
/// none if the test clips chose the best epoch.
fn test_line(trainer: &Trainer<'_>) -> Option<String> {
    let (split, clips) = (trainer.split, trainer.split.test.len());
    if split.val.is_empty() {
        return None;
    }
    if clips == 0 {
        return Some(format!("no test of the best epoch: split {} has no test clips", trainer.settings.split));
    }
    Some(match trainer.state.test() {
        Some(test) => {
            format!("test of the best epoch: top-1 {:.2} %, top-5 {:.2} % on {clips} test clips", test.top1, test.top5)
        }
        None => format!("no test of the best epoch yet: the run tests on the {clips} test clips when it has finished"),
    })
}

/// Prints the summary at the end of a run.
fn print_end(trainer: &Trainer<'_>, dir: &Path, end: End, seconds: f64) -> Result<()> {
    let (state, console) = (&trainer.state, trainer.console);
    let sum = |of: fn(&Seconds) -> f64| -> f64 { state.history.iter().map(|e| of(&e.train_seconds)).sum() };
    let (batch, data) = (sum(|s| s.batch.get()), sum(|s| s.data.get()));
    let data_percent = if batch > 0.0 { 100.0 * data / batch } else { 0.0 };
    let mut decoding = Work::default();
    state.history.iter().for_each(|epoch| decoding += epoch.train_decode_seconds);
    let limit = limit(batch, data, sum(|s| s.copy.get()), decoding);
    if console.json {
        let json = json!({
            "run": dir, "finished": end == End::Finished, "steps": state.cursor.steps_done,
            "epochs": state.history.len(), "best": state.best(), "test": state.test(),
            "history": state.history, "data_wait_percent": data_percent, "limit": limit, "ranks": trainer.work,
            "damaged_samples": state.damaged, "seconds": seconds,
        });
        return Ok(document(&json)?);
    }
    if let Some(best) = state.best() {
        console.say(&format!(
            "\nbest epoch: {} of {}, top-1 {:.2} %, top-5 {:.2} % on {} {} clips",
            best.epoch,
            state.history.len(),
            best.eval.scored().top1,
            best.eval.scored().top5,
            trainer.split.validation().len(),
            trainer.judges(),
        ));
        if let Some(line) = test_line(trainer) {
            console.say(&line);
        }
        console.say(&format!("time of training steps: {limit}"));
    }
    if let Some(work) = &trainer.work {
        console.say(&format!("\n{}", work.text()));
    }
    if state.damaged > 0 {
        console.say(&replaced(state.damaged));
    }
    let page = dir.join(REPORT_FILE);
    if page.is_file() {
        console.say(&format!("report: {}", page.display()));
    }
    if end == End::Stopped {
        console.say(&format!(
            "stopped after {} steps; to continue: ucftrain {} --run {} --resume",
            state.cursor.steps_done,
            trainer.settings.stream,
            quoted(dir)
        ));
    }
    Ok(())
}
