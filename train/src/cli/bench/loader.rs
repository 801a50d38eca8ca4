//! `ucftrain bench loader`: measures how many samples per second the input pipeline delivers.

use super::data::{Records, first_split, peak_bytes};
use crate::base::console::{document, result};
use crate::base::heading::{INPUT, OUTPUT, RUN};
use crate::cli::compute::threads_or_all;
use crate::cli::cure::Uncured;
use crate::cli::io::IoArgs;
use crate::input::{self, Choices, SLOTS};
use crate::stream::Stream;
use crate::view::View;
use anyhow::{Context, Result};
use clip_loader::{Loader, Samples, Work};
use clipshard::Dataset;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// Arguments of `ucftrain bench loader`.
#[derive(Debug, clap::Args)]
pub struct LoaderArgs {
    /// Packed dataset
    #[arg(long, value_name = "DIR", help_heading = INPUT)]
    data: PathBuf,
    /// Stream to read
    #[arg(long, value_enum, help_heading = INPUT)]
    stream: Records,
    /// Samples to read
    #[arg(long, value_enum, default_value_t, help_heading = INPUT)]
    pass: Pass,
    /// In a test pass, decode the frames of each sample separately instead of each frame once
    #[arg(long, hide = true)]
    each_alone: bool,
    #[command(flatten)]
    io: IoArgs,
    /// Width and height of a sample in pixels
    ///
    /// From 32 to 4096.
    #[arg(
        long, value_name = "PIXELS", default_value_t = 224, value_parser = clap::value_parser!(u32).range(32..=4096),
        help_heading = INPUT
    )]
    input_size: u32,
    /// Samples per batch [default: 25 for rgb, 32 for flow]
    #[arg(
        long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536), help_heading = RUN
    )]
    batch_size: Option<u32>,
    /// Threads that decode [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024), help_heading = RUN)]
    threads: Option<u32>,
    /// Duration of the measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 10., help_heading = RUN)]
    seconds: f64,
    /// Print one JSON document instead of text
    #[arg(long, help_heading = OUTPUT)]
    json: bool,
}

pub(super) const EXAMPLES: &str = "Examples:
  ucftrain bench loader --data ucf101.shards --stream rgb
  ucftrain bench loader --data ucf101.shards --stream flow --threads 4 --seconds 30 --json";

/// The samples to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Pass {
    /// Training samples: random crops of RGB frames with flip, or stacks of flow at random starts
    #[default]
    Train,
    /// Test samples, 19 per clip
    Test,
}

/// Number of samples after which the benchmark starts again from the first pass.
const SAMPLES: usize = 200_000;

/// Runs the command.
pub fn run(args: &LoaderArgs) -> Result<()> {
    let (stream, side, threads) = (args.stream.stream(), args.input_size as usize, threads_or_all(args.threads));
    let data = Arc::new(args.io.io.open(&args.data, &[stream.records()])?);
    let split = first_split(&data, stream, side)?;
    let clips = Arc::clone(if args.pass == Pass::Train { &split.train } else { split.validation() });
    let batch_size = args.batch_size.map_or(if stream == Stream::Spatial { 25 } else { 32 }, |n| n as usize);
    let view = View { segments: 1, ..View::seed(stream) };
    // Several passes of a small dataset in a row, so that the pipeline does not drain between them.
    let source: Arc<dyn Samples> = if args.pass == Pass::Train {
        let choices = Choices { repeat: SAMPLES.div_ceil(clips.len()), ..Choices::default() };
        input::training_samples(&data, &clips, (stream, view, side), choices).cured(false)?
    } else {
        let options = input::test_options(view).shares_frames(!args.each_alone);
        let options = options.repeat(SAMPLES.div_ceil(clips.len() * view.test_samples));
        input::test_samples(&data, &clips, (stream, view, side), options).cured(false)?
    };
    let (mut samples, mut seconds) = (0, 0.);
    let mut work = Work::default();
    while seconds < args.seconds {
        let builder = Loader::builder(Arc::clone(&source)).batch_size(batch_size).threads(threads).slots(SLOTS);
        let mut loader = builder.start().cured(false)?;
        // The first batches arrive while the ring fills. They are not measured.
        for _ in 0..SLOTS {
            drop(loader.next_batch()?);
        }
        let start = Instant::now();
        let (mut taken, mut elapsed) = (0, 0.);
        while seconds + elapsed < args.seconds {
            let Some(batch) = loader.next_batch()? else { break };
            taken += batch.len();
            drop(batch);
            elapsed = start.elapsed().as_secs_f64();
        }
        samples += taken;
        work += loader.work();
        seconds += elapsed;
    }
    let rate = samples as f64 / seconds;
    let bytes = bytes_on_disk(&data, stream)?;
    if args.json {
        let json = json!({
            "stream": stream.records(), "samples_per_second": rate, "samples": samples, "seconds": seconds,
            "sample_bytes": source.sample_bytes(), "bytes_on_disk": bytes, "clips": clips.len(),
            "threads": threads, "batch_size": batch_size, "input_size": side, "peak_bytes": peak_bytes(),
            "decoding": work,
        });
        return Ok(document(&json)?);
    }
    result(&format!(
        "{} samples/s of {} x {side} x {side} ({:.2} GB/s of pixels), {threads} threads, batches of {batch_size}",
        rate.round(),
        view.channels(stream),
        rate * source.sample_bytes() as f64 / 1e9
    ))?;
    Ok(result(&format!(
        "{samples} samples in {seconds:.1} s from {} clips; size of all {} shards: {:.2} GB",
        clips.len(),
        stream.records(),
        bytes as f64 / 1e9
    ))?)
}

/// Returns the number of bytes in the shards of a stream.
fn bytes_on_disk(data: &Dataset, stream: Stream) -> Result<u64> {
    let streams = &data.manifest().streams;
    let found = streams.iter().find(|found| found.spec.name == stream.records());
    let shards = &found
        .with_context(|| {
            format!("{}: no stream {}; name a dataset that has it", data.dir().display(), stream.records())
        })?
        .shards;
    Ok(shards.iter().map(|shard| shard.bytes).sum())
}
