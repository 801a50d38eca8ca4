//! `ucftrain predict`: what networks say of one clip.

mod answer;
mod packed_video;
mod sheet;

use crate::base::console::{self, Console};
use crate::base::stop::Stop;
use crate::base::table::table;
use crate::base::usage::Usage;
use crate::cli::compute::ComputeArgs;
use crate::cli::io::Io;
use crate::compute::device::Compute;
use crate::formats::network::Network;
use crate::input::{MIN_FLOW_FRAMES, check_geometry, is_usable};
use crate::run::loaded_network::{LoadedNetwork, best_of};
use crate::scores::clip_key;
use crate::stream::Stream;
use crate::training::evaluation::Evaluation;
use answer::{Answer, average, greatest, percent, samples};
use anyhow::{Context, Result, bail};
use clip_loader::{Crop, SplitClip};
use clipshard::Dataset;
use packed_video::PackedVideo;
use serde_json::{Value, json};
use sheet::write_sheet;
use std::path::PathBuf;
use std::sync::Arc;
use ucfpack::video::FlowMethod;

/// Classes that are told.
const TOP: usize = 5;
/// What a prediction leaves that a signal ended.
const LEFT: &str = "there is no prediction";
/// Samples a batch, at least.
const BATCH: usize = 25;

/// What is typed after `predict`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("networks").required(true).multiple(true).args(["run", "checkpoint"])))]
#[command(group(clap::ArgGroup::new("what").required(true).args(["clip", "video"])))]
pub struct PredictArgs {
    /// A video file, decoded by ffmpeg; flow is computed where a network needs it
    #[arg(value_name = "VIDEO")]
    pub video: Option<PathBuf>,
    /// Run folder, whose best network is asked; several are asked and averaged
    #[arg(long, value_name = "DIR")]
    pub run: Vec<PathBuf>,
    /// A best.safetensors or checkpoint.safetensors; as many as wanted
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Vec<PathBuf>,
    /// Packed data set that has the clip
    #[arg(long, value_name = "DIR", requires = "clip")]
    pub data: Option<PathBuf>,
    /// The clip's name in --data
    #[arg(long, value_name = "ID", requires = "data")]
    pub clip: Option<String>,
    /// How flow is computed from a video: as the network's data set has it
    #[arg(long, value_enum, default_value_t, conflicts_with = "clip")]
    pub flow_method: FlowMethod,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub compute: ComputeArgs,
    /// Also draw the frames of all samples with what each network says of them
    #[arg(long, value_name = "FILE.png")]
    pub sheet: Option<PathBuf>,
    /// How shards are read
    #[arg(long, value_enum, default_value_t)]
    pub io: Io,
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(args: &PredictArgs) -> Result<()> {
    let console = Console { json: args.json };
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
            packed = PackedVideo::of(file, &seen_by, args.flow_method, &stop)?;
            (Arc::new(Dataset::open(packed.dir())?), None)
        }
        (_, Some(dir), Some(clip)) => {
            let data = Arc::new(args.io.open(dir)?);
            networks[0].1.check_classes(&data)?;
            let found = find(&data, clip)?;
            (data, Some(found))
        }
        _ => bail!(Usage("give --data DIR --clip ID, or a video file".into())),
    };
    let number = found.unwrap_or(0);
    let clip = data.manifest().clips.get(number).context("the data set has no clip")?;
    let label = found.map(|_| classes[clip.label as usize].as_str());
    let mut answers: Vec<Answer> = Vec::with_capacity(networks.len());
    for (name, loaded) in &networks {
        let asked = ask(loaded, name, &data, number, (&compute, threads), (console, &stop));
        answers.push(asked.with_context(|| loaded.path.display().to_string())?);
    }
    let fused = average(&answers);
    if let Some(path) = &args.sheet {
        write_sheet((&data, number, label), (&classes, &answers, &fused), path)?;
    }
    if args.json {
        return Ok(console::document(&document((&clip.id, label), &classes, &answers, &fused))?);
    }
    let of_label = label.map_or(String::new(), |label| format!(" of {label}"));
    let frames = SplitClip::of(&data, number, "rgb").map_or(0, |clip| clip.flow_frames + 1);
    let mut text = format!("{}{of_label}, {frames} frames\n\n", clip.id);
    text += &totals(&classes, &answers, &fused);
    for answer in &answers {
        text += &("\n".to_owned() + &of_samples(&classes, answer));
    }
    Ok(console::result(&text)?)
}

fn find(data: &Dataset, name: &str) -> Result<usize> {
    let key = clip_key(name);
    let clips = &data.manifest().clips;
    let Some(clip) = clips.iter().position(|clip| clip_key(&clip.id) == key) else {
        let example = clips.first().map_or(String::new(), |clip| format!(", such as {}", clip.id));
        bail!(Usage(format!("{} has no clip {name}; it has {} clips{example}", data.dir().display(), clips.len())));
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
    let clip = SplitClip::of(data, number, network.stream.records()).context("the data set has no such clip")?;
    if !is_usable(&clip, network.stream) {
        let rgb = data.manifest().clips[number].frames.get("rgb").copied().unwrap_or(0);
        let (id, flow) = (&clip.id, clip.flow_frames);
        bail!("clip {id} has {rgb} RGB frames and {flow} of flow; at least {MIN_FLOW_FRAMES} of flow are needed");
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
    let Some(outcome) = evaluation.run(&loaded.model.net, console, stop)? else {
        return Err(stop.interrupted(LEFT).context("the test pass has no end")?.into());
    };
    let samples = outcome.samples.context("samples were not kept")?;
    let number = outcome.scores.samples.as_ref().map_or(1, |samples| samples[0]) as f32;
    let logits = outcome.scores.row(0).iter().map(|sum| sum / number).collect();
    if let Some(value) = outcome.scores.row(0).iter().find(|value| !value.is_finite()) {
        bail!(
            "the network gives clip {} a score of {value}: its weights are not those of a trained network",
            clips[0].id
        );
    }
    Ok(Answer { name: name.to_owned(), stream: network.stream, logits, samples })
}

/// The likeliest classes by all networks together, beside what each says.
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
    table(&head, &rows)
}

fn of_samples(classes: &[String], answer: &Answer) -> String {
    let winner = greatest(&answer.logits, 1)[0];
    let row = |(class, probabilities, frame): (usize, Vec<f32>, u32)| {
        vec![frame.to_string(), classes[class].clone(), percent(probabilities[class]), percent(probabilities[winner])]
    };
    let rows: Vec<_> = samples(answer).map(row).collect();
    let of_winner = format!("{} %", classes[winner]);
    let frame = if answer.stream == Stream::Spatial { "frame" } else { "from frame" };
    format!("{} ({}), sample by sample\n\n", answer.name, answer.stream)
        + &table(&[frame, "likeliest", "%", &of_winner], &rows)
}

fn document((id, label): (&str, Option<&str>), classes: &[String], answers: &[Answer], fused: &[f32]) -> Value {
    let top = |probabilities: &[f32]| -> Vec<Value> {
        let told = greatest(probabilities, TOP).into_iter();
        told.map(|class| json!({ "class": classes[class], "probability": probabilities[class] })).collect()
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
