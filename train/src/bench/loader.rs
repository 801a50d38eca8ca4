//! `ucftrain bench loader`: how many training samples a second the input pipeline delivers.

use super::{Records, first_split, peak_bytes};
use crate::console::{document, result};
use crate::device::threads_or_all;
use crate::input::{Plan, RING, SampleSource, TestSource, TrainSource, Work, Worker, with_batches};
use crate::io::Io;
use crate::stream::Stream;
use crate::videos::Videos;
use crate::view::View;
use anyhow::{Context, Result};
use candle_core::Device;
use clipshard::Dataset;
use serde_json::json;
use std::path::PathBuf;
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
struct Passes<S>(Vec<S>);

impl<S: SampleSource> SampleSource for Passes<S> {
    fn len(&self) -> usize {
        self.0.len() * self.0[0].len()
    }

    fn sample_bytes(&self) -> usize {
        self.0[0].sample_bytes()
    }

    fn fill(&self, i: usize, worker: &mut Worker, previous: Option<&[u8]>, out: &mut [u8]) -> Result<()> {
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
    let data = args.io.open(&args.data)?;
    let Videos { train, test, .. } = first_split(&data, stream, side)?;
    let videos = if args.pass == Pass::Train { train } else { test };
    let batch_size = args.batch_size.map_or(if stream == Stream::Spatial { 25 } else { 32 }, |n| n as usize);
    let view = View { segments: 1, ..View::seed(stream) };
    let source: Box<dyn SampleSource> = if args.pass == Pass::Train {
        let pass = |epoch| TrainSource::new(&data, &videos, stream, side, 0, epoch).with_view(view);
        Box::new(Passes((0..SAMPLES.div_ceil(videos.len()) as u64).map(pass).collect()))
    } else {
        let pass = |_| {
            let source = TestSource::new(&data, &videos, stream, side);
            if args.each_alone { source.each_alone() } else { source }
        };
        Box::new(Passes((0..SAMPLES.div_ceil(videos.len() * view.test_samples)).map(pass).collect()))
    };
    let plan = Plan { batch_size, first_batch: 0, threads, ring: RING };
    let (mut samples, mut seconds) = (0, 0.);
    let mut work = Work::default();
    while seconds < args.seconds {
        with_batches(&*source, plan, &Device::Cpu, |batches| {
            // The first batches come while the ring fills; the clock starts behind them.
            for _ in 0..plan.ring {
                drop(batches.next_batch()?);
            }
            let start = Instant::now();
            let (mut taken, mut elapsed) = (0, 0.);
            while seconds + elapsed < args.seconds {
                let Some(batch) = batches.next_batch()? else { break };
                taken += batch.samples.len();
                drop(batch);
                elapsed = start.elapsed().as_secs_f64();
            }
            samples += taken;
            work += batches.work();
            seconds += elapsed;
            Ok(())
        })?;
    }
    let rate = samples as f64 / seconds;
    let bytes = bytes_on_disk(&data, stream)?;
    if args.json {
        let json = json!({
            "stream": stream.records(), "samples_per_second": rate, "samples": samples, "seconds": seconds,
            "sample_bytes": source.sample_bytes(), "bytes_on_disk": bytes, "clips": videos.len(),
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
        videos.len(),
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
