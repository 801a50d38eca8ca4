//! `ucftrain predict`: classifies one clip with one or more networks.

mod answer;
mod packed_video;
mod sheet;
mod training_data;

use crate::base::console::{self, Console};
use crate::base::heading::{INPUT, MODEL, OUTPUT};
use crate::base::stop::Stop;
use crate::base::table::table;
use crate::base::usage::Usage;
use crate::cli::compute::ComputeArgs;
use crate::cli::io::IoArgs;
use crate::compute::device::Compute;
use crate::formats::network::Network;
use crate::input::{MIN_FLOW_FRAMES, Unusable, check_geometry};
use crate::ranks::Alone;
use crate::run::loaded_network::{LoadedNetwork, best_of};
use crate::scores::clip_key;
use crate::stream::Stream;
use crate::training::evaluation::Evaluation;
use answer::{Answer, average, greatest, percent, samples};
use anyhow::{Context, Result, bail};
use clip_loader::{Crop, SplitClip};
use clipshard::{Dataset, Manifest};
use packed_video::PackedVideo;
use serde_json::{Value, json};
use sheet::write_sheet;
use std::path::PathBuf;
use std::sync::Arc;
use training_data::note_differences;
use ucfpack::video::FlowMethod;

/// Number of classes to report.
const TOP: usize = 5;
/// Result of a prediction that a signal stopped.
const LEFT: &str = "no prediction was made";
/// Smallest number of samples per batch.
const BATCH: usize = 25;

/// Arguments of `ucftrain predict`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("networks").required(true).multiple(true).args(["run", "checkpoint"])))]
#[command(group(clap::ArgGroup::new("what").required(true).args(["clip", "video"])))]
pub struct PredictArgs {
    /// Video file, decoded with ffmpeg
    ///
    /// For a temporal network, ucftrain also computes optical flow. Give either a video, or --data
    /// and --clip.
    #[arg(value_name = "VIDEO")]
    pub video: Option<PathBuf>,
    /// Packed dataset with the clip
    #[arg(long, value_name = "DIR", requires = "clip", help_heading = INPUT)]
    pub data: Option<PathBuf>,
    /// Name of the clip in --data
    #[arg(long, value_name = "ID", requires = "data", help_heading = INPUT)]
    pub clip: Option<String>,
    /// Method to compute optical flow from a video
    ///
    /// Use the method with which the training dataset was built.
    #[arg(long, value_enum, default_value_t, conflicts_with = "clip", help_heading = INPUT)]
    pub flow_method: FlowMethod,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub io: IoArgs,
    /// Run folder, to use the network of its best epoch
    ///
    /// Repeat --run and --checkpoint to average the predictions of several networks.
    #[arg(long, value_name = "DIR", help_heading = MODEL)]
    pub run: Vec<PathBuf>,
    /// Network file
    ///
    /// For example best.safetensors or checkpoint.safetensors of a run, or a file that `ucftrain
    /// import` wrote.
    #[arg(long, value_name = "FILE", help_heading = MODEL)]
    pub checkpoint: Vec<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub compute: ComputeArgs,
    /// Picture of all samples with their predictions
    ///
    /// An existing file is replaced.
    #[arg(long, value_name = "FILE.png", help_heading = OUTPUT)]
    pub sheet: Option<PathBuf>,
    /// Print the prediction for each sample as well
    ///
    /// --json always contains the predictions for all samples.
    #[arg(long, help_heading = OUTPUT)]
    pub samples: bool,
    /// Print one JSON document instead of tables
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
}

pub(super) const EXAMPLES: &str = "Examples:
  ucftrain predict --run runs/spatial --run runs/temporal video.mp4
  ucftrain predict --run runs/spatial --data ucf101.shards --clip v_Archery_g01_c01
  ucftrain predict --run runs/spatial video.mp4 --sheet samples.png --json";

/// Runs the command.
pub fn run(args: &PredictArgs) -> Result<()> {
    let console = Console::new(args.json);
    let (compute, threads) = args.compute.start()?;
    let stop = Stop::on_signals()?;
    let mut files = args.run.iter().map(|dir| Ok((best_of(dir)?, dir))).collect::<Result<Vec<_>>>()?;
    files.extend(args.checkpoint.iter().map(|file| (file.clone(), file)));
    let mut networks: Vec<(String, LoadedNetwork)> = Vec::with_capacity(files.len());
    for (file, named) in files {
        let loaded = LoadedNetwork::load(&file, &compute)?;
        let name = named.file_name().map_or_else(|| named.display().to_string(), |n| n.to_string_lossy().into_owned());
        if let Some((_, first)) = networks.first() {
            first.check_same_classes(&loaded)?;
        }
        networks.push((name, loaded));
    }
    let classes = networks[0].1.network.classes.clone();
    let packed;
    let (data, found) = match (&args.video, &args.data, &args.clip) {
        (Some(file), ..) => {
            let seen_by: Vec<&Network> = networks.iter().map(|(_, loaded)| &loaded.network).collect();
            for (_, loaded) in &networks {
                note_differences(&loaded.path, loaded.network.stream, args.flow_method);
            }
            packed = PackedVideo::of(file, &seen_by, args.flow_method, &stop)?;
            (Arc::new(Dataset::open(packed.dir())?), None)
        }
        (_, Some(dir), Some(clip)) => {
            let mut streams: Vec<&str> = networks.iter().map(|(_, loaded)| loaded.network.stream.records()).collect();
            if args.sheet.is_some() {
                // A sheet shows all pictures that the dataset has.
                let manifest = Manifest::read(dir).ok();
                let has = |stream: &&str| manifest.as_ref().is_some_and(|manifest| manifest.stream(stream).is_some());
                streams.extend(["rgb", "flow"].into_iter().filter(has));
            }
            let data = Arc::new(args.io.io.open(dir, &streams)?);
            networks[0].1.check_classes(&data)?;
            let found = find(&data, clip)?;
            (data, Some(found))
        }
        _ => bail!(Usage("no clip is given; add --data DIR --clip ID, or name a video file".into())),
    };
    let number = found.unwrap_or(0);
    let clip = data.manifest().clips.get(number).context("the dataset is empty")?;
    let label = found.and(clip.label).and_then(|label| classes.get(label as usize)).map(String::as_str);
    let mut answers: Vec<Answer> = Vec::with_capacity(networks.len());
    for (name, loaded) in &networks {
        let asked = ask(loaded, name, &data, number, (&compute, threads), (console, &stop));
        answers.push(asked.with_context(|| loaded.path.display().to_string())?);
    }
    let fused = average(&answers);
    if let Some(path) = &args.sheet {
        write_sheet((&data, number, label), (&classes, &answers, &fused), path)?;
        console.say(&format!("contact sheet: {}", path.display()));
    }
    if args.json {
        return Ok(console::document(&document((&clip.id, label), &classes, &answers, &fused))?);
    }
    let of_label = label.map_or(String::new(), |label| format!(" of {label}"));
    let count = |stream: Stream| clip.frames.get(stream.records()).copied().filter(|&frames| frames > 0);
    let frames = match (count(Stream::Spatial), count(Stream::Temporal)) {
        (Some(rgb), _) => format!("{rgb} frames"),
        (None, flow) => format!("{} flow frames", flow.unwrap_or(0)),
    };
    let mut text = format!("{}{of_label}, {frames}\n\n", clip.id);
    text += &totals(&classes, &answers, &fused);
    for answer in answers.iter().filter(|_| args.samples) {
        text += &("\n".to_owned() + &of_samples(&classes, answer));
    }
    text += &("\n".to_owned() + &last_line(&classes, answers.len(), &fused));
    Ok(console::result(&text)?)
}

fn find(data: &Dataset, name: &str) -> Result<usize> {
    let key = clip_key(name);
    let clips = &data.manifest().clips;
    let Some(clip) = clips.iter().position(|clip| clip_key(&clip.id) == key) else {
        let example = clips.first().map_or(String::new(), |clip| format!(", such as {}", clip.id));
        bail!(Usage(format!(
            "{}: no clip {name}; name one of its {} clips{example}",
            data.dir().display(),
            clips.len()
        )));
    };
    Ok(clip)
}

fn ask(
    loaded: &LoadedNetwork,
    name: &str,
    data: &Arc<Dataset>,
    number: usize,
    (compute, threads): (&Compute, usize),
    (console, stop): (Console, &Stop),
) -> Result<Answer> {
    let network = &loaded.network;
    data.stream(network.stream.records())?;
    let clip = SplitClip::of(data, number, network.stream.records()).context("the dataset does not have this clip")?;
    let id = &clip.id;
    match Unusable::by_frames(&clip, network.stream) {
        Some(Unusable::NoFrames) => {
            let kind = network.stream.kind();
            bail!("clip {id} has no {kind} frames, which the network needs; restore lost shards, or name another clip");
        }
        Some(_) => {
            let rgb = data.manifest().clips[number].frames.get("rgb").copied().unwrap_or(0);
            let flow = clip.flow_frames;
            bail!(
                "clip {id} is too short: it has {rgb} RGB frames and {flow} flow frames, but the network needs \
                 {MIN_FLOW_FRAMES} flow frames"
            );
        }
        None => {}
    }
    let clips: Arc<[SplitClip]> = [clip].into();
    check_geometry(data, &clips, network.stream, Crop::Whole, network.input_size)?;
    let evaluation = Evaluation {
        data,
        clips: &clips,
        stream: network.stream,
        side: network.input_size,
        view: network.view(),
        classes: network.classes.len(),
        batch_size: BATCH,
        threads,
        compute,
        skip_damaged: false,
        keeps_samples: true,
    };
    let Some(outcome) = evaluation.run(&loaded.model.net, console, stop, &Alone)? else {
        return Err(stop.interrupted(LEFT).context("the test pass stopped without a signal")?.into());
    };
    let samples = outcome.samples.context("the test pass did not keep its samples")?;
    let number = outcome.scores.samples.as_ref().map_or(1, |samples| samples[0]) as f32;
    let logits = outcome.scores.row(0).iter().map(|sum| sum / number).collect();
    if let Some(value) = outcome.scores.row(0).iter().find(|value| !value.is_finite()) {
        bail!(
            "a score of clip {} is {value}: the training diverged or the file is damaged; use another network",
            clips[0].id
        );
    }
    let (stream, stack) = (network.stream, network.view().stack(network.stream));
    Ok(Answer { name: name.to_owned(), stream, stack, logits, samples })
}

/// Formats the most likely classes of all networks together, with the probabilities of each
/// network.
fn totals(classes: &[String], answers: &[Answer], fused: &[f32]) -> String {
    let each: Vec<Vec<f32>> = answers.iter().map(Answer::probabilities).collect();
    let mut head = vec!["class"];
    head.extend(answers.iter().map(|answer| answer.name.as_str()));
    let is_fused = answers.len() > 1;
    if is_fused {
        head.push("average");
    }
    let row = |class: usize| {
        let mut row = vec![classes[class].clone()];
        row.extend(each.iter().map(|of| percent(of[class])));
        if is_fused {
            row.push(percent(fused[class]));
        }
        row
    };
    let rows: Vec<_> = greatest(fused, TOP).into_iter().map(row).collect();
    let columns = if is_fused { "according to each network, and to their average" } else { "according to the network" };
    format!("probability of each class in %, {columns}\n\n{}", table(&head, &rows))
}

/// Returns the prediction in one line.
fn last_line(classes: &[String], networks: usize, fused: &[f32]) -> String {
    let winner = greatest(fused, 1)[0];
    let source = if networks > 1 { format!(" (average of {networks} networks)") } else { String::new() };
    format!("prediction: {}, {} %{source}", classes[winner], percent(fused[winner]))
}

fn of_samples(classes: &[String], answer: &Answer) -> String {
    let winner = greatest(&answer.logits, 1)[0];
    let row = |(class, probabilities, frame): (usize, Vec<f32>, u32)| {
        vec![frame.to_string(), classes[class].clone(), percent(probabilities[class]), percent(probabilities[winner])]
    };
    let rows: Vec<_> = samples(answer).map(row).collect();
    let (winner, of_winner) = (&classes[winner], format!("{} %", classes[winner]));
    let stack = answer.stack;
    let (frame, sample) = match answer.stream {
        Stream::Spatial => ("frame", "RGB frame".to_owned()),
        Stream::Temporal => ("from frame", format!("stack of {stack} flow frames")),
        Stream::Difference => ("from frame", format!("stack of {stack} differences of RGB frames")),
    };
    format!(
        "{}, each {sample}: the most likely class with its probability in %, and the probability of {winner}\n\n",
        answer.name
    ) + &table(&[frame, "most likely", "%", &of_winner], &rows)
}

fn document((id, label): (&str, Option<&str>), classes: &[String], answers: &[Answer], fused: &[f32]) -> Value {
    let top = |probabilities: &[f32]| -> Vec<Value> {
        let classes_of = greatest(probabilities, TOP).into_iter();
        classes_of.map(|class| json!({ "class": classes[class], "probability": probabilities[class] })).collect()
    };
    let networks: Vec<Value> = answers
        .iter()
        .map(|answer| {
            let samples: Vec<Value> = samples(answer)
                .map(|(class, p, frame)| json!({ "frame": frame, "class": classes[class], "probability": p[class] }))
                .collect();
            json!({
                "name": answer.name, "stream": answer.stream, "top5": top(&answer.probabilities()), "samples": samples,
            })
        })
        .collect();
    json!({
        "clip": id, "label": label, "top5": top(fused), "networks": networks,
    })
}
