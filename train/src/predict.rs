//! `ucftrain predict`: what networks say of one clip.

mod packed_video;
mod sheet;

use crate::checkpoint::Network;
use crate::console::{self, Console};
use crate::device::{Compute, ComputeArgs};
use crate::evaluate::Evaluation;
use crate::fusion::softmax;
use crate::input::check_geometry;
use crate::io::Io;
use crate::sampler::MIN_FLOW_FRAMES;
use crate::scores::{SampleScores, clip_key};
use crate::stop::Stop;
use crate::stream::Stream;
use crate::table::table;
use crate::trained::{Trained, best_of};
use crate::usage::Usage;
use crate::videos::Video;
use crate::view::Crop;
use anyhow::{Context, Result, bail};
use clipshard::Dataset;
use packed_video::PackedVideo;
use serde_json::{Value, json};
use sheet::write_sheet;
use std::path::PathBuf;
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

/// What one network says of the clip.
struct Answer {
    /// The run's or the file's name.
    name: String,
    stream: Stream,
    /// Mean of the samples' logits, `[classes]`.
    logits: Vec<f32>,
    samples: SampleScores,
}

impl Answer {
    fn probabilities(&self) -> Vec<f32> {
        softmax(&self.logits, self.logits.len(), &[1])
    }
}

/// Runs the command.
pub fn run(args: &PredictArgs) -> Result<()> {
    let console = Console { json: args.json };
    let (compute, threads) = args.compute.start()?;
    let stop = Stop::on_signals()?;
    let mut files = args.run.iter().map(|dir| Ok((best_of(dir)?, dir))).collect::<Result<Vec<_>>>()?;
    files.extend(args.checkpoint.iter().map(|file| (file.clone(), file)));
    let mut networks: Vec<(String, Trained)> = Vec::with_capacity(files.len());
    for (file, named) in files {
        let trained = Trained::load(&file, &compute)?;
        let name = named.file_name().map_or_else(|| named.display().to_string(), |n| n.to_string_lossy().into_owned());
        if let Some((_, first)) = networks.first() {
            first.check_same_classes(&trained)?;
        }
        networks.push((name, trained));
    }
    let classes = networks[0].1.network.classes.clone();
    let packed;
    let (data, video) = match (&args.video, &args.data, &args.clip) {
        (Some(file), ..) => {
            let seen_by: Vec<&Network> = networks.iter().map(|(_, trained)| &trained.network).collect();
            packed = PackedVideo::of(file, &seen_by, args.flow_method, &stop)?;
            (Dataset::open(packed.dir())?, None)
        }
        (_, Some(dir), Some(clip)) => {
            let data = Dataset::open_with(dir, args.io.access())?;
            networks[0].1.check_classes(&data)?;
            let video = find(&data, clip)?;
            (data, Some(video))
        }
        _ => bail!(Usage("give --data DIR --clip ID, or a video file".into())),
    };
    let label = video.as_ref().map(|video| classes[video.label as usize].as_str());
    let video = video.as_ref().map_or_else(|| Video::of(&data, 0), Video::clone);
    let mut answers: Vec<Answer> = Vec::with_capacity(networks.len());
    for (name, trained) in &networks {
        let asked = ask(trained, name, &data, &video, (&compute, threads), (console, &stop));
        answers.push(asked.with_context(|| trained.path.display().to_string())?);
    }
    let fused = average(&answers);
    if let Some(path) = &args.sheet {
        write_sheet((&data, &video, label), (&classes, &answers, &fused), path)?;
    }
    if args.json {
        return Ok(console::document(&document((&video, label), &classes, &answers, &fused))?);
    }
    let of_label = label.map_or(String::new(), |label| format!(" of {label}"));
    let mut text = format!("{}{of_label}, {} frames\n\n", video.id, video.flow_frames + 1);
    text += &totals(&classes, &answers, &fused);
    for answer in &answers {
        text += &("\n".to_owned() + &of_samples(&classes, answer));
    }
    Ok(console::result(&text)?)
}

fn find(data: &Dataset, name: &str) -> Result<Video> {
    let key = clip_key(name);
    let clips = &data.manifest().clips;
    let Some(clip) = clips.iter().position(|clip| clip_key(&clip.id) == key) else {
        let example = clips.first().map_or(String::new(), |clip| format!(", such as {}", clip.id));
        bail!(Usage(format!("{} has no clip {name}; it has {} clips{example}", data.dir().display(), clips.len())));
    };
    Ok(Video::of(data, clip))
}

fn ask(
    trained: &Trained,
    name: &str,
    data: &Dataset,
    video: &Video,
    (compute, threads): (&Compute, usize),
    (console, stop): (Console, &Stop),
) -> Result<Answer> {
    let network = &trained.network;
    data.stream(network.stream.records())?;
    if !video.is_usable(network.stream) {
        let (id, flow, rgb) = (&video.id, video.flow_frames, video.rgb_frames);
        bail!("clip {id} has {rgb} RGB frames and {flow} of flow; at least {MIN_FLOW_FRAMES} of flow are needed");
    }
    let videos = std::slice::from_ref(video);
    check_geometry(data, videos, network.stream, Crop::Whole, network.input_size)?;
    let evaluation = Evaluation {
        data,
        videos,
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
    let Some(outcome) = evaluation.run(&trained.model.net, console, stop)? else {
        return Err(stop.interrupted(LEFT).context("the test pass has no end")?.into());
    };
    let samples = outcome.samples.context("samples were not kept")?;
    let number = outcome.scores.samples.as_ref().map_or(1, |samples| samples[0]) as f32;
    let logits = outcome.scores.row(0).iter().map(|sum| sum / number).collect();
    if let Some(value) = outcome.scores.row(0).iter().find(|value| !value.is_finite()) {
        bail!("the network gives clip {} a score of {value}: its weights are not those of a trained network", video.id);
    }
    Ok(Answer { name: name.to_owned(), stream: network.stream, logits, samples })
}

/// Probabilities of the mean of all networks' mean logits.
fn average(answers: &[Answer]) -> Vec<f32> {
    let mut sum = vec![0_f32; answers[0].logits.len()];
    for answer in answers {
        sum.iter_mut().zip(&answer.logits).for_each(|(sum, logit)| *sum += logit);
    }
    softmax(&sum, sum.len(), &[answers.len() as u32])
}

/// Places of the greatest values, greatest first.
fn greatest(values: &[f32], number: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    order.truncate(number);
    order
}

fn percent(probability: f32) -> String {
    format!("{:.1}", 100.0 * probability)
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

/// Likeliest class, probabilities and frame, from 1, of each sample.
fn samples(answer: &Answer) -> impl Iterator<Item = (usize, Vec<f32>, u32)> {
    answer.samples.frames_of(0).iter().enumerate().map(|(sample, frame)| {
        let probabilities = softmax(answer.samples.row(0, sample), answer.logits.len(), &[answer.samples.views]);
        (greatest(&probabilities, 1)[0], probabilities, frame + 1)
    })
}

fn document((video, label): (&Video, Option<&str>), classes: &[String], answers: &[Answer], fused: &[f32]) -> Value {
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
        "clip": video.id, "label": label, "top5": top(fused), "networks": networks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_come_first_and_of_equals_the_first() {
        assert_eq!(greatest(&[0.1, 0.4, 0.4, -1.0], 3), [1, 2, 0]);
    }
}
