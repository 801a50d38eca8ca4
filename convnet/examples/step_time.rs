//! Times a training step and an evaluation forward pass.
//!
//! `cargo run --release -p candle-convnet --example step_time -- --batch 25 --size 224 --channels 3`, on an NVIDIA card with
//! `--features cuda` and `--device cuda:0 --precision bf16`; `scripts/bench_step.py` runs PyTorch beside it.

use candle_convnet::{Depth, Model, ResNetConfig, Sgd, SgdConfig, cross_entropy};
use candle_core::{DType, Device, Tensor};
use clap::Parser;
use std::time::{Duration, Instant};

#[derive(Parser)]
struct Args {
    /// Network: resnet18 to resnet152.
    #[arg(long, default_value = "resnet18")]
    net: Depth,
    /// Images in a batch.
    #[arg(long, default_value_t = 25)]
    batch: usize,
    /// Height and width of an image, in pixels.
    #[arg(long, default_value_t = 224)]
    size: usize,
    /// Channels of an image.
    #[arg(long, default_value_t = 3)]
    channels: usize,
    /// cpu or cuda:N.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// f32, on CUDA also tf32 and bf16.
    #[arg(long, default_value = "f32")]
    precision: String,
    /// Steps to time after three that are not counted.
    #[arg(long, default_value_t = 5)]
    steps: usize,
    /// Print how long each op of a training step takes on the card, and stop.
    #[arg(long)]
    profile: bool,
    /// Let the allocator take and give back memory as it does by default.
    #[arg(long)]
    fresh_memory: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if !args.fresh_memory {
        candle_convnet::keep_freed_memory();
    }
    let device = open(&args.device, args.precision == "tf32")?;
    let dtype = if args.precision == "bf16" { DType::BF16 } else { DType::F32 };
    let config = ResNetConfig { depth: args.net, in_channels: args.channels, classes: 101 };
    let model = Model::random(&config, 1, &device)?;
    let mut sgd = Sgd::new(model.trainable(), SgdConfig { lr: 1e-3, ..SgdConfig::default() });
    let x = Tensor::randn(0f32, 1., (args.batch, args.size, args.size, args.channels), &device)?.to_dtype(dtype)?;
    let labels: Vec<u32> = (0..args.batch as u32).map(|i| i % 101).collect();
    let labels = Tensor::new(labels, &device)?;
    let mut step = || {
        let loss = cross_entropy(&model.net.forward_t(&x, true)?, &labels, 0.)?;
        sgd.step(&loss.backward()?)
    };
    if args.profile {
        for _ in 0..3 {
            step()?;
        }
        return print_profile(&device, step);
    }
    let mut times: [Vec<Duration>; 4] = Default::default();
    for step in 0..args.steps + 3 {
        device.synchronize()?;
        let start = Instant::now();
        let loss = cross_entropy(&model.net.forward_t(&x, true)?, &labels, 0.)?;
        device.synchronize()?;
        let forward = start.elapsed();
        let grads = loss.backward()?;
        device.synchronize()?;
        let backward = start.elapsed().saturating_sub(forward);
        sgd.step(&grads)?;
        drop((loss, grads));
        device.synchronize()?;
        let whole = start.elapsed();
        let start = Instant::now();
        model.net.forward_t(&x, false)?;
        device.synchronize()?;
        let evaluation = start.elapsed();
        if step >= 3 {
            for (times, time) in times.iter_mut().zip([forward, backward, whole, evaluation]) {
                times.push(time);
            }
        }
    }
    let Args { net, batch, size, channels, precision, .. } = &args;
    println!("{net} batch {batch} x {size}x{size}x{channels} {precision} on {}", args.device);
    for (name, times) in ["forward", "backward", "training step", "evaluation"].iter().zip(&mut times) {
        times.sort();
        let median = times[times.len() / 2];
        let rate = args.batch as f64 / median.as_secs_f64();
        println!("{name:>14}: median {median:8.3?}, best {:8.3?}, {rate:7.1} images/s", times[0]);
    }
    Ok(())
}

#[cfg(feature = "cuda")]
fn open(name: &str, tf32: bool) -> anyhow::Result<Device> {
    let Some(ordinal) = name.strip_prefix("cuda:") else { return Ok(Device::Cpu) };
    let config = candle_convnet::cuda::CudaConfig { tf32, ..Default::default() };
    Ok(candle_convnet::cuda::open(ordinal.parse()?, config)?)
}

#[cfg(feature = "cuda")]
fn print_profile(device: &Device, step: impl FnOnce() -> candle_core::Result<()>) -> anyhow::Result<()> {
    let profile = candle_convnet::cuda::profile(device, step)?;
    let mut rows: Vec<_> = profile.into_iter().collect();
    rows.sort_by(|a, b| b.1.0.total_cmp(&a.1.0));
    let total: f64 = rows.iter().map(|(_, (milliseconds, _))| milliseconds).sum();
    for (name, (milliseconds, calls)) in rows {
        println!("{milliseconds:8.3} ms {:5.1} % {calls:4} x  {name}", 100. * milliseconds / total);
    }
    println!("{total:8.3} ms in all");
    Ok(())
}

#[cfg(not(feature = "cuda"))]
fn print_profile(_: &Device, _: impl FnOnce() -> candle_core::Result<()>) -> anyhow::Result<()> {
    anyhow::bail!("--profile: only on a card, with the feature cuda")
}

#[cfg(not(feature = "cuda"))]
fn open(name: &str, _: bool) -> anyhow::Result<Device> {
    anyhow::ensure!(name == "cpu", "--device {name}: this program was built without the feature cuda");
    Ok(Device::Cpu)
}
