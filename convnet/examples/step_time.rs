//! Times a training step and an evaluation forward pass.
//!
//! `cargo run --release -p candle-convnet --example step_time -- --batch 25 --size 224 --channels 3`;
//! `scripts/bench_step.py` runs PyTorch beside it.

use candle_convnet::{Depth, Model, ResNetConfig, Sgd, SgdConfig, cross_entropy};
use candle_core::{Device, Tensor};
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
    /// Steps to time after one that is not counted.
    #[arg(long, default_value_t = 5)]
    steps: usize,
    /// Let the allocator take and give back memory as it does by default.
    #[arg(long)]
    fresh_memory: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if !args.fresh_memory {
        candle_convnet::keep_freed_memory();
    }
    let device = Device::Cpu;
    let config = ResNetConfig { depth: args.net, in_channels: args.channels, classes: 101 };
    let model = Model::random(&config, 1, &device)?;
    let mut sgd = Sgd::new(model.trainable(), SgdConfig { lr: 1e-3, ..SgdConfig::default() });
    let x = Tensor::randn(0f32, 1., (args.batch, args.size, args.size, args.channels), &device)?;
    let labels = Tensor::arange(0u32, args.batch as u32, &device)?;
    let mut times: [Vec<Duration>; 4] = Default::default();
    for step in 0..=args.steps {
        let start = Instant::now();
        let loss = cross_entropy(&model.net.forward_t(&x, true)?, &labels, 0.)?;
        let forward = start.elapsed();
        let grads = loss.backward()?;
        let backward = start.elapsed().saturating_sub(forward);
        sgd.step(&grads)?;
        drop((loss, grads));
        let whole = start.elapsed();
        let start = Instant::now();
        model.net.forward_t(&x, false)?;
        let evaluation = start.elapsed();
        if step > 0 {
            for (times, time) in times.iter_mut().zip([forward, backward, whole, evaluation]) {
                times.push(time);
            }
        }
    }
    println!("{} batch {} x {}x{}x{}", args.net, args.batch, args.size, args.size, args.channels);
    for (name, times) in ["forward", "backward", "training step", "evaluation"].iter().zip(&mut times) {
        times.sort();
        let median = times[times.len() / 2];
        let rate = args.batch as f64 / median.as_secs_f64();
        println!("{name:>14}: median {median:8.3?}, best {:8.3?}, {rate:7.1} images/s", times[0]);
    }
    Ok(())
}
