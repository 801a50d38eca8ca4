//! `ucftrain spatial` and `ucftrain temporal`.

use crate::average::Average;
use crate::checkpoint::{self, Cursor, Network, Seconds, State, TrainMeters};
use crate::console::{Console, document, note, quoted, result};
use crate::device::{Compute, set_threads};
use crate::engine::{End, Engine, seed_lines};
use crate::input::{RING, Work, check_geometry, limit};
use crate::io::Io;
use crate::plateau::Plateau;
use crate::run_folder::{CHECKPOINT_FILE, CONFIG_FILE, Existing, RunFolder};
use crate::scores::Scores;
use crate::settings::{Difference, Given, Settings};
use crate::stop::Stop;
use crate::stream::Stream;
use crate::usage::Usage;
use crate::videos::Videos;
use crate::view::Crop;
use crate::weights;
use anyhow::{Context, Result, anyhow, bail};
use candle_convnet::{Decay, Model, ResNetConfig, Sgd, SgdConfig};
use candle_core::Device;
use clipshard::{Dataset, MANIFEST_FILE, read_regular};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What is typed after `spatial` or `temporal`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag on the command line")]
pub struct TrainArgs {
    /// Folder for the run's results
    #[arg(long, value_name = "DIR", required_unless_present = "dry_run")]
    pub run: Option<PathBuf>,
    /// Settings from a file, for example another run's config.toml; options that are typed win
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub given: Given,
    /// How shards are read: mmap, or pread where files cannot be mapped or a failing disk must not end the program
    #[arg(long, value_enum, default_value_t)]
    pub io: Io,
    /// Stop after so many steps of the whole run, resumed ones included
    #[arg(long, value_name = "N")]
    pub limit_steps: Option<u64>,
    /// Go on with the run in --run as if it had never stopped
    #[arg(long, conflicts_with = "overwrite")]
    pub resume: bool,
    /// Replace the run in --run
    #[arg(long)]
    pub overwrite: bool,
    /// Print what would be done: clips, samples, steps an epoch
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(stream: Stream, args: &TrainArgs) -> Result<()> {
    let start = Instant::now();
    let console = Console { json: args.json };
    // A dry run changes nothing, not even a lock.
    let resumed_folder = match &args.run {
        Some(dir) if args.resume && !args.dry_run => Some(RunFolder::open(dir, Existing::Resume)?),
        _ => None,
    };
    let settings = settings(stream, args)?;
    let data = args.io.open(&settings.data)?;
    let mut videos = Videos::of(&data, &settings.split, stream)?;
    videos.hold_out(&data, &settings.val_groups)?;
    if !videos.left_out.is_empty() {
        let (n, ids) = (videos.left_out.len(), videos.left_out.join(", "));
        note(&format!("{n} clips are left out, having fewer than 10 flow frames: {ids}"));
    }
    if args.dry_run {
        return dry_run(&settings, &videos, console);
    }
    let Some(dir) = &args.run else { bail!(Usage("give --run DIR, a folder for the results".into())) };
    check_geometry(&data, &videos.train, stream, settings.view.crop, settings.input_size)?;
    check_geometry(&data, &videos.test, stream, Crop::Whole, settings.input_size)?;
    let compute = Compute::open(&settings.device, settings.precision, settings.deterministic)?;
    set_threads(settings.threads)?;
    let mut deciding = settings.deciding()?;
    deciding.set_precision(compute.precision);
    let state = State {
        network: Network {
            stream,
            arch: settings.arch.clone(),
            classes: data.manifest().classes.clone(),
            input_size: settings.input_size,
            split: settings.split.clone(),
            view: Some(settings.view),
        },
        settings: Some(deciding),
        manifest_crc32: manifest_crc32(&data)?,
        cursor: Cursor::default(),
        plateau: Plateau::new(settings.lr),
        meters: TrainMeters::default(),
        seconds: Seconds::default(),
        decode_seconds: Work::default(),
        damaged: 0,
        history: Vec::new(),
        tested: None,
    };
    let stop = Stop::on_signals()?;
    let (folder, mut model, sgd, average, state) = if let Some(folder) = resumed_folder {
        let (model, sgd, average, state) = resumed(&folder, &settings, &compute.device, &state)?;
        #[cfg(feature = "cuda")]
        crate::algorithms::restore(&folder, &compute)?;
        folder.rebuild_logs(&state)?;
        (folder, model, sgd, average, state)
    } else {
        // The weights are read before the folder is touched: a wrong path must not cost an older run.
        let model = first_model(&settings, state.network.classes.len(), &compute.device)?;
        let existing = if args.overwrite { Existing::Overwrite } else { Existing::Refuse };
        let folder = RunFolder::open(dir, existing)?;
        let sgd = optimiser(&settings, &model);
        let average = Average::new(settings.ema, &model)?;
        (folder, model, sgd, average, state)
    };
    if settings.partial_bn {
        model.net.freeze_norms();
    }
    folder.write_config(&settings)?;
    let began = json!({
        "event": "start", "resumed": args.resume, "cursor": state.cursor, "version": env!("CARGO_PKG_VERSION"),
        "jpeg_decoder": clipshard::jpeg::Decoder::NAME, "threads": settings.threads, "device": compute.name,
        "precision": format!("{:?}", compute.dtype).to_lowercase(),
        "build": data.manifest().build,
    });
    for line in seed_lines(&settings, &videos) {
        console.say(&line);
    }
    console.say(&memory_line(&settings));
    let mut engine = Engine {
        settings: &settings,
        data: &data,
        videos: &videos,
        folder: &folder,
        compute: &compute,
        console,
        model,
        sgd,
        average,
        state,
        limit_steps: args.limit_steps,
        stop,
    };
    engine.log(&began)?;
    let end = engine.run()?;
    crate::report::after_training(folder.dir());
    let reported = report(&engine, end, start.elapsed().as_secs_f64());
    match engine.stop.interrupted("the checkpoint is written").filter(|_| end == End::Stopped) {
        Some(interrupted) => Err(interrupted.into()),
        None => reported,
    }
}

fn settings(stream: Stream, args: &TrainArgs) -> Result<Settings> {
    let mut given = args.given.clone();
    if let Some(path) = &args.config {
        given = given.over(&Given::from_file(path)?)?;
    }
    match &args.run {
        Some(dir) if args.resume => resumed_settings(dir, &given, stream, args.dry_run),
        _ => given.complete(stream, args.dry_run),
    }
}

/// The settings of a run that goes on: those that its folder holds, and what is typed over them. An error names all that differ
/// from those that the run used so far and that decide its result.
fn resumed_settings(dir: &Path, given: &Given, stream: Stream, dry_run: bool) -> Result<Settings> {
    Existing::Resume.check(dir)?;
    let (config, checkpoint) = (dir.join(CONFIG_FILE), dir.join(CHECKPOINT_FILE));
    let file = Given::from_file(&config)?;
    let settings = given.over(&file)?.complete(stream, dry_run)?;
    let state: State = checkpoint::read_metadata(&checkpoint)?;
    // A checkpoint from before it kept settings: config.toml is all there is.
    let used = state.settings.map_or_else(|| file.complete(stream, dry_run)?.deciding(), Ok)?;
    let name = |Difference { option, now, used }: Difference| {
        let edited = if given.has(&option)? { String::new() } else { format!(" (edited in {})", config.display()) };
        Ok(format!("--{option} is {now}, but the run used {used}{edited}"))
    };
    let differences = settings.deciding()?.differences(&used);
    let differences = differences.into_iter().map(name).collect::<Result<Vec<_>>>()?;
    if !differences.is_empty() {
        let differences = differences.join("\n  ");
        bail!(Usage(format!(
            "cannot resume: {differences}\nUse the run's values, on the command line and in {}, or start a new run",
            config.display()
        )));
    }
    Ok(settings)
}

fn dry_run(settings: &Settings, videos: &Videos, console: Console) -> Result<()> {
    let train_steps = videos.train.len().div_ceil(settings.batch_size);
    let test_samples = videos.validation().len() * settings.view.test_samples;
    let test_steps = test_samples.div_ceil(settings.batch_size);
    if console.json {
        let plan = json!({
            "stream": settings.stream, "split": settings.split,
            "train_clips": videos.train.len(), "test_clips": videos.test.len(), "held_out_clips": videos.held_out.len(), "test_samples": test_samples,
            "train_steps": train_steps, "test_steps": test_steps, "left_out": videos.left_out,
        });
        return Ok(document(&plan)?);
    }
    let lines = seed_lines(settings, videos).join("\n");
    Ok(result(&format!(
        "{lines}\nan epoch: {train_steps} training steps of {} clips, {test_steps} test steps of {} samples",
        settings.batch_size, settings.batch_size
    ))?)
}

/// What the input pipeline of a training epoch holds at most, whatever the data set's size.
fn memory_line(settings: &Settings) -> String {
    let side = settings.input_size;
    let sample = settings.view.segments * settings.stream.channels() * side * side;
    let megabytes = (RING * settings.batch_size * sample) as f64 / 1e6;
    format!(
        "==> Training input : {RING} batches of {} samples ahead, {megabytes:.1} MB, {} decode threads",
        settings.batch_size, settings.threads
    )
}

fn optimiser(settings: &Settings, model: &Model) -> Sgd {
    let config = SgdConfig {
        lr: settings.lr,
        weight_decay: settings.weight_decay,
        // Biases and norms are spared: weight decay on them does harm (He et al. 2018).
        decay: Decay::Weights,
        clip_norm: (settings.clip_grad > 0.0).then_some(settings.clip_grad),
        ..SgdConfig::default()
    };
    let mut sgd = Sgd::new(model.trainable(), config);
    sgd.scale_lr("conv1.weight", settings.conv1_lr);
    sgd
}

/// A network of these settings with weights to start from.
fn first_model(settings: &Settings, classes: usize, device: &Device) -> Result<Model> {
    let config = ResNetConfig { depth: settings.depth()?, in_channels: settings.stream.channels(), classes };
    if settings.weights == "none" {
        return Ok(Model::random(&config, settings.seed, device)?);
    }
    let path = Path::new(&settings.weights);
    Ok(Model::from_weights(&config, (path, weights::read(path)?), settings.seed, device)?)
}

/// No manifest is larger.
const MOST_MANIFEST_BYTES: u64 = 1 << 30;

/// Checksum of the manifest, by which a run knows its data again.
fn manifest_crc32(data: &Dataset) -> Result<u32> {
    let path = data.dir().join(MANIFEST_FILE);
    let bytes =
        read_regular(&path, MOST_MANIFEST_BYTES).with_context(|| format!("{}: cannot read it", path.display()))?;
    Ok(crc32fast::hash(&bytes))
}

/// A run as its checkpoint holds it. `fresh` says what it must be.
fn resumed(
    folder: &RunFolder,
    settings: &Settings,
    device: &Device,
    fresh: &State,
) -> Result<(Model, Sgd, Option<Average>, State)> {
    let path = folder.checkpoint();
    let (mut state, tensors) = checkpoint::load(&path)?;
    let precision = |state: &State| state.settings.as_ref().and_then(|s| s.precision().map(str::to_owned));
    if let (Some(now), Some(used)) = (precision(fresh), precision(&state))
        && now != used
    {
        bail!(Usage(format!(
            "cannot resume: this device computes in {now}, but the run used {used}; add --precision {used}"
        )));
    }
    check_best(folder, settings, &state)?;
    state.settings.clone_from(&fresh.settings);
    if state.network != fresh.network {
        bail!("{}: it is of another network or data set than these settings say", path.display());
    }
    if state.manifest_crc32 != fresh.manifest_crc32 {
        bail!(
            "{}: the run read another data set than {} holds now; give --data the one that it began with, or start a new run",
            path.display(),
            settings.data.display()
        );
    }
    let config = ResNetConfig {
        depth: settings.depth()?,
        in_channels: settings.stream.channels(),
        classes: fresh.network.classes.len(),
    };
    let model = Model::random(&config, 0, device)?;
    model.load_tensors(&tensors.model).with_context(|| path.display().to_string())?;
    let mut sgd = optimiser(settings, &model);
    sgd.load_state(&tensors.momentum).map_err(|e| anyhow!("{}: {e}", path.display()))?;
    let average = Average::resumed(settings.ema, &model, &tensors.average, state.cursor.steps_done)
        .with_context(|| path.display().to_string())?;
    Ok((model, sgd, average, state))
}

/// Checks that the files of the best epoch so far are there: no later epoch need write them again.
fn check_best(folder: &RunFolder, settings: &Settings, state: &State) -> Result<()> {
    let Some(best) = state.best() else { return Ok(()) };
    let scores = if settings.val_groups.is_empty() { folder.scores() } else { folder.validation_scores() };
    let network = checkpoint::load_network(&folder.best()).map(drop);
    network.and_then(|()| Scores::load(&scores).map(drop)).with_context(|| {
        format!(
            "cannot resume: the results of the best epoch, {}, are not whole; restore them, or start a new run from this one with --weights {}",
            best.epoch,
            quoted(&folder.checkpoint())
        )
    })
}

/// The last words of a run.
fn report(engine: &Engine<'_>, end: End, seconds: f64) -> Result<()> {
    let (state, console, dir) = (&engine.state, engine.console, engine.folder.dir());
    let sum = |of: fn(&Seconds) -> f64| -> f64 { state.history.iter().map(|e| of(&e.train_seconds)).sum() };
    let (batch, data) = (sum(|s| s.batch.get()), sum(|s| s.data.get()));
    let data_percent = if batch > 0.0 { 100.0 * data / batch } else { 0.0 };
    let mut decoding = Work::default();
    state.history.iter().for_each(|epoch| decoding += epoch.train_decode_seconds);
    let limit = limit(batch, data, sum(|s| s.copy.get()), decoding);
    if console.json {
        let json = json!({
            "run": dir, "finished": end == End::Finished, "steps": state.cursor.steps_done, "epochs": state.history.len(),
            "best": state.best(), "test": state.tested.map(|(_, test)| test), "history": state.history, "data_wait_percent": data_percent, "limit": limit, "damaged_samples": state.damaged, "seconds": seconds,
        });
        return Ok(document(&json)?);
    }
    if let Some(best) = state.best() {
        console.say(&format!(
            "best epoch {} of {}: Prec@1 {:.3}, Prec@5 {:.3} on {} {} clips",
            best.epoch,
            state.history.len(),
            best.test.top1,
            best.test.top5,
            engine.videos.validation().len(),
            engine.judges(),
        ));
        if let Some((_, test)) = state.tested {
            let (top1, top5, clips) = (test.top1, test.top5, engine.videos.test.len());
            console.say(&format!("its test: Prec@1 {top1:.3}, Prec@5 {top5:.3} on {clips} test clips"));
        }
        console.say(&format!("training steps: {limit}"));
    }
    if state.damaged > 0 {
        console.say(&format!(
            "{} damaged samples were replaced by others; ucfpack verify names the records",
            state.damaged
        ));
    }
    if end == End::Stopped {
        console.say(&format!(
            "stopped after {} steps; go on with: ucftrain {} --run {} --resume",
            state.cursor.steps_done,
            engine.settings.stream,
            quoted(dir)
        ));
    }
    Ok(())
}
