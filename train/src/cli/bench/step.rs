//! `ucftrain bench step`: times a training step and an evaluation of one batch, without the input
//! pipeline.

use super::data::{Records, first_split, peak_bytes};
use super::roofline::Roofline;
use crate::base::console::{document, note, result};
use crate::base::heading::{INPUT, MODEL, OUTPUT, RUN};
use crate::base::table::table;
use crate::base::usage::Usage;
use crate::cli::compute::ComputeArgs;
use crate::cli::cure::Uncured;
use crate::cli::io::Io;
use crate::compute::batches::{DeviceBatches, Plan, SamplePixels};
use crate::compute::device::Compute;
use crate::compute::measure::{RecordedStep, profile};
use crate::input::{self, Choices};
use crate::stream::Stream;
use crate::view::View;
use anyhow::{Context, Result, bail};
use candle_convnet::{Arch, Classifier, ClassifierConfig, Model, Sgd, SgdConfig, cross_entropy};
use candle_core::{DType, Device, Tensor};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Arguments of `ucftrain bench step`.
#[derive(Debug, clap::Args)]
pub struct StepArgs {
    /// Packed dataset, or `synthetic` for random numbers
    ///
    /// Of a dataset, the first training batch is used.
    #[arg(long, value_name = "DIR|synthetic", default_value = "synthetic", help_heading = INPUT)]
    data: String,
    /// Stream that the network reads
    #[arg(long, value_enum, default_value = "rgb", help_heading = INPUT)]
    stream: Records,
    /// Width and height of an image in pixels
    ///
    /// From 32 to 4096.
    #[arg(
        long, value_name = "PIXELS", default_value_t = 224, value_parser = clap::value_parser!(u32).range(32..=4096),
        help_heading = INPUT
    )]
    input_size: u32,
    /// Architecture of the network
    ///
    /// resnet18, resnet34, resnet50, resnet101, resnet152 or `mobilenet_v3_small`.
    #[arg(long, value_name = "NET", default_value = "resnet18", help_heading = MODEL)]
    arch: Arch,
    /// Images per batch [default: 25 for rgb, 32 for flow]
    #[arg(
        long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536), help_heading = RUN
    )]
    batch_size: Option<u32>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    compute: ComputeArgs,
    /// Duration of the measurement
    ///
    /// At least five steps are measured, even if they take longer.
    #[arg(long, value_name = "SECONDS", default_value_t = 10., help_heading = RUN)]
    seconds: f64,
    /// Print one JSON document instead of tables
    #[arg(long, help_heading = OUTPUT)]
    json: bool,
}

pub(super) const EXAMPLES: &str = "Examples:
  ucftrain bench step
  ucftrain bench step --stream flow --arch resnet50 --batch-size 32 --device cuda:0
  ucftrain bench step --data ucf101.shards --stream rgb --json";

/// Number of steps before the measurement, in which memory is allocated and the GPU selects
/// algorithms.
const WARM_UP: usize = 2;
/// Smallest number of measured steps.
const FEWEST: usize = 5;

/// Runs the command.
pub fn run(args: &StepArgs) -> Result<()> {
    let stream = args.stream.stream();
    let (compute, threads) = args.compute.start()?;
    let batch_size = args.batch_size.map_or(if stream == Stream::Spatial { 25 } else { 32 }, |n| n as usize);
    let config = ClassifierConfig::new(args.arch, View::seed(stream).channels(stream), 101);
    let model = Model::random(&config, 0, &compute.device)?;
    let sgd = Sgd::new(model.trainable(), SgdConfig::new(1e-3))?;
    let images = if args.data == "synthetic" {
        let side = args.input_size as usize;
        let shape = (batch_size, side, side, View::seed(stream).channels(stream));
        Tensor::randn(0f32, 1., shape, &compute.device)?.to_dtype(compute.dtype)?
    } else {
        first_batch(args.data.as_ref(), stream, args.input_size as usize, batch_size, threads, &compute)?
    };
    let labels: Vec<u32> = (0..images.dims()[0] as u32).map(|i| i % 101).collect();
    let labels = Tensor::new(labels, &compute.device)?;
    let evaluated = model.net.clone().with_kept_kernels();
    let mut bench = Bench { model, evaluated, sgd, device: compute.device.clone(), images, labels };
    for _ in 0..WARM_UP {
        bench.step()?;
        bench.evaluate()?;
    }
    let start = Instant::now();
    let mut times = Times::default();
    while times.steps.len() < FEWEST || start.elapsed().as_secs_f64() < args.seconds {
        times.steps.push(bench.step()?);
        times.evaluations.push(bench.evaluate()?);
    }
    let ops = bench.ops(compute.dtype);
    // The recorded step comes last, because a recording keeps the tensors of its step.
    times.recorded = bench.recorded(times.steps.len())?;
    report(args, &compute, threads, bench.images.dims(), &times, ops.as_ref())
}

struct Bench {
    model: Model<Classifier>,
    /// Keeps the kernels of the first evaluation, as a test pass does.
    evaluated: Classifier,
    sgd: Sgd,
    device: Device,
    images: Tensor,
    labels: Tensor,
}

impl Bench {
    /// Runs a training step. Returns the times of the forward pass, the backward pass and the
    /// update.
    fn step(&mut self) -> candle_core::Result<[Duration; 3]> {
        self.device.synchronize()?;
        let start = Instant::now();
        let loss = cross_entropy(&self.model.net.forward_t(&self.images, true)?, &self.labels, 0.)?;
        self.device.synchronize()?;
        let forward = start.elapsed();
        let grads = loss.backward()?;
        self.device.synchronize()?;
        let backward = start.elapsed();
        self.sgd.step(&grads)?;
        drop((loss, grads));
        self.device.synchronize()?;
        Ok([forward, backward.saturating_sub(forward), start.elapsed().saturating_sub(backward)])
    }

    /// Times each op of a step on a GPU. Returns `None` on the CPU.
    fn ops(&mut self, dtype: DType) -> Option<Roofline> {
        let device = self.device.clone();
        // The memory of a small GPU may be full. The other times are valid without those of the
        // ops.
        let profile = profile(&device, dtype, || self.work());
        let profile = profile.map_err(|error| note(&format!("warning: the ops of a step were not measured: {error}")));
        profile.ok().flatten().map(Roofline::new)
    }

    /// Times steps that are recorded once and started as a whole, as in training on a GPU. Returns
    /// no times on the CPU.
    fn recorded(&mut self, steps: usize) -> candle_core::Result<Vec<Duration>> {
        let device = self.device.clone();
        let Some(recorded) = RecordedStep::record(&device, || self.work())? else { return Ok(Vec::new()) };
        let step = || {
            device.synchronize()?;
            let start = Instant::now();
            recorded.run()?;
            device.synchronize()?;
            Ok(start.elapsed())
        };
        (0..steps).map(|_| step()).collect()
    }

    /// Starts a step without waiting for it.
    fn work(&mut self) -> candle_core::Result<()> {
        let loss = cross_entropy(&self.model.net.forward_t(&self.images, true)?, &self.labels, 0.)?;
        self.sgd.step(&loss.backward()?)
    }

    fn evaluate(&self) -> candle_core::Result<Duration> {
        let start = Instant::now();
        self.evaluated.forward_t(&self.images, false)?;
        self.device.synchronize()?;
        Ok(start.elapsed())
    }
}

#[derive(Default)]
struct Times {
    steps: Vec<[Duration; 3]>,
    evaluations: Vec<Duration>,
    /// Empty on devices that do not record steps.
    recorded: Vec<Duration>,
}

fn report(
    args: &StepArgs,
    compute: &Compute,
    threads: usize,
    images: &[usize],
    times: &Times,
    ops: Option<&Roofline>,
) -> Result<()> {
    let part = |i: usize| median(times.steps.iter().map(|parts| parts[i]).collect());
    let whole = median(times.steps.iter().map(|parts| parts.iter().sum()).collect());
    let [forward, backward, update] = [part(0), part(1), part(2)];
    let evaluation = median(times.evaluations.clone());
    let recorded = (!times.recorded.is_empty()).then(|| median(times.recorded.clone()));
    let rate = |milliseconds: f64| 1e3 * images[0] as f64 / milliseconds;
    let arch = args.arch.to_string();
    if args.json {
        let json = json!({
            "arch": arch, "device": compute.name, "precision": format!("{:?}", compute.dtype).to_lowercase(),
            "threads": threads, "batch_size": images[0], "input_size": images[1], "channels": images[3],
            "images_per_second": rate(whole), "step_ms": whole, "forward_ms": forward, "backward_ms": backward,
            "update_ms": update, "recorded_step_ms": recorded, "eval_ms": evaluation,
            "eval_images_per_second": rate(evaluation), "steps": times.steps.len(), "peak_bytes": peak_bytes(),
            "roofline": ops.map(Roofline::json),
        });
        return Ok(document(&json)?);
    }
    result(&format!(
        "{arch}, batch {} x {} x {} x {}, {:?} on {}, {threads} threads, medians of {} steps",
        images[0],
        images[3],
        images[1],
        images[2],
        compute.dtype,
        compute.name,
        times.steps.len()
    ))?;
    let row = |name: &str, milliseconds: f64| {
        vec![name.to_owned(), format!("{milliseconds:.2}"), format!("{:.1}", rate(milliseconds))]
    };
    let mut rows = vec![
        row("training step", whole),
        row("  forward", forward),
        row("  backward", backward),
        row("  update", update),
    ];
    rows.extend(recorded.map(|recorded| row("recorded step", recorded)));
    rows.push(row("evaluation", evaluation));
    result(table(&["", "ms", "images/s"], &rows).trim_end())?;
    if let Some(ops) = ops {
        result(&format!("\n{}", ops.text().trim_end()))?;
    }
    if let Some(bytes) = peak_bytes() {
        result(&format!("peak memory of this process: {:.2} GB", bytes as f64 / 1e9))?;
    }
    Ok(())
}

/// Returns the median in milliseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// Returns the input of the first batch of the first epoch: the first view of each sample.
fn first_batch(
    dir: &Path,
    stream: Stream,
    side: usize,
    batch_size: usize,
    threads: usize,
    compute: &Compute,
) -> Result<Tensor> {
    let data = Arc::new(Io::default().open(dir, &[stream.records()])?);
    let clips = first_split(&data, stream, side)?.train;
    if clips.len() < batch_size {
        let (dir, clips) = (dir.display(), clips.len());
        bail!(Usage(format!("{dir}: only {clips} training clips; use --batch-size {clips} or less")));
    }
    let view = View { segments: 1, ..View::seed(stream) };
    let samples = input::training_samples(&data, &clips, (stream, view, side), Choices::default()).cured(false)?;
    let plan = Plan { batch_size, first_sample: 0, threads };
    let pixels =
        SamplePixels { stream, stack: view.stack(stream), side, views: view.segments, range: view.range(stream) };
    let mut batches = DeviceBatches::start(compute, samples, plan, pixels).cured(false)?;
    let input = batches.next(|batch| {
        let input = batch.inputs()?.swap_remove(0);
        compute.device.synchronize()?;
        Ok(input)
    })?;
    input.context("the dataset has no training batch")
}
