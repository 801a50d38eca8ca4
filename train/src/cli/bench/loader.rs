//! `ucftrain bench loader`: how many training samples a second the input pipeline delivers.

use super::data::{Records, first_split, peak_bytes};
use crate::base::console::{document, result};
use crate::cli::compute::threads_or_all;
use crate::cli::cure::Uncured;
use crate::cli::io::Io;
use crate::input::{self, Choices, SLOTS};
use crate::stream::Stream;
use crate::view::View;
use anyhow::{Context, Result};
use clip_loader::{Loader, Samples, Split, Work, Worker};
use clipshard::Dataset;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// What is typed after `bench loader`.
#[derive(Debug, clap::Args)]
pub struct LoaderArgs {
    /// Packed data set
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// rgb: 3 x 224 x 224 random crops with flip; flow: stacks of 20 x 224 x 224 at random starts
    #[arg(long, value_enum)]
    stream: Records,
    /// train: one pass of training samples after the other; test: test passes, 19 samples a clip
    #[arg(long, value_enum, default_value_t)]
    pass: Pass,
    /// In a test pass, decode each sample for itself instead of each frame once
    #[arg(long, hide = true)]
    each_alone: bool,
    /// How shards are read: mmap, or pread where files cannot be mapped
    #[arg(long, value_enum, default_value_t)]
    io: Io,
    /// Samples a batch [default: 25 for rgb, 32 for flow]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    batch_size: Option<u32>,
    /// Height and width of a sample, in pixels
    #[arg(long, value_name = "N", default_value_t = 224, value_parser = clap::value_parser!(u32).range(32..=4096))]
    input_size: u32,
    /// Threads that decode [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// Time to measure for
    #[arg(long, value_name = "N", default_value_t = 10.)]
    seconds: f64,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// Which samples are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Pass {
    #[default]
    Train,
    Test,
}

/// Samples before passes over a small data set are begun anew.
const SAMPLES: usize = 200_000;

/// Passes one after the other, so that a small data set does not stop and start.
struct Passes<S>(Vec<Arc<S>>);

impl<S: Samples> Samples for Passes<S> {
    fn len(&self) -> usize {
        self.0.len() * self.0[0].len()
    }

    fn sample_bytes(&self) -> usize {
        self.0[0].sample_bytes()
    }

    fn fill(&self, i: usize, worker: &mut Worker, previous: Option<&[u8]>, out: &mut [u8]) -> clip_loader::Result<()> {
        let each = self.0[0].len();
        self.0[i / each].fill(i % each, worker, previous, out)
    }

    fn run_end(&self, i: usize) -> usize {
        let each = self.0[0].len();
        i / each * each + self.0[i / each].run_end(i % each)
    }

    fn stored_bytes(&self) -> u64 {
        self.0[0].stored_bytes()
    }

    fn will_need(&self, i: usize) {
        let each = self.0[0].len();
        self.0[i / each].will_need(i % each);
    }
}

/// Runs the command.
pub fn run(args: &LoaderArgs) -> Result<()> {
    let (stream, side, threads) = (args.stream.stream(), args.input_size as usize, threads_or_all(args.threads));
    let data = Arc::new(args.io.open(&args.data)?);
    let Split { train, test, .. } = first_split(&data, stream, side)?;
    let clips = if args.pass == Pass::Train { train } else { test };
    let batch_size = args.batch_size.map_or(if stream == Stream::Spatial { 25 } else { 32 }, |n| n as usize);
    let view = View { segments: 1, ..View::seed(stream) };
    let source: Arc<dyn Samples> = if args.pass == Pass::Train {
        let pass = |epoch| {
            let choices = Choices { epoch, ..Choices::default() };
            input::training_samples(&data, &clips, (stream, view, side), choices)
        };
        let passes = (0..SAMPLES.div_ceil(clips.len()) as u64).map(pass);
        Arc::new(Passes(passes.collect::<clip_loader::Result<_>>().cured(false)?))
    } else {
        let options = input::test_options(view).shares_frames(!args.each_alone);
        let pass = input::test_samples(&data, &clips, (stream, side), options).cured(false)?;
        Arc::new(Passes(vec![pass; SAMPLES.div_ceil(clips.len() * view.test_samples)]))
    };
    let (mut samples, mut seconds) = (0, 0.);
    let mut work = Work::default();
    while seconds < args.seconds {
        let builder = Loader::builder(Arc::clone(&source)).batch_size(batch_size).threads(threads).slots(SLOTS);
        let mut loader = builder.start().cured(false)?;
        // The first batches come while the ring fills; the clock starts behind them.
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
        "{} samples of {} x {side} x {side} a second ({:.2} GB/s of pixels), {threads} threads, batches of {batch_size}",
        rate.round(),
        stream.channels(),
        rate * source.sample_bytes() as f64 / 1e9
    ))?;
    Ok(result(&format!(
        "{samples} samples in {seconds:.1} s from {} clips; all {} shards: {:.2} GB",
        clips.len(),
        stream.records(),
        bytes as f64 / 1e9
    ))?)
}

/// Bytes of a stream's shards.
fn bytes_on_disk(data: &Dataset, stream: Stream) -> Result<u64> {
    let streams = &data.manifest().streams;
    let found = streams.iter().find(|found| found.spec.name == stream.records());
    let shards = &found.with_context(|| format!("{}: no {} records", data.dir().display(), stream.records()))?.shards;
    Ok(shards.iter().map(|shard| shard.bytes).sum())
}
