//! Times a training step and an evaluation pass of a ResNet-18 that is built from the layers of
//! `candle_nn`. `scripts/bench_step.py --peers candle` compares the times with this crate's.
//!
//!     cargo run --release --example candle_nn -- CHANNELS BATCH SIZE THREADS
//!
//! The output is one JSON document. candle has no gradient for windows that overlap, so the max
//! pooling has windows of 2 x 2 pixels instead of 3 x 3. Linux only.

mod timing;

use anyhow::{Context, Result};
use candle_core::{DType, Device, Module, ModuleT, Tensor};
use candle_nn::{
    BatchNorm, Conv2d, Conv2dConfig, Linear, Optimizer, SGD, VarBuilder, VarMap, batch_norm, conv2d_no_bias, linear,
    loss,
};
use std::collections::HashMap;
use timing::median;

/// Timed runs.
const RUNS: usize = 3;

struct ConvNorm(Conv2d, BatchNorm);

impl ConvNorm {
    fn new(from: usize, to: usize, kernel: usize, stride: usize, vb: &VarBuilder<'_>) -> candle_core::Result<Self> {
        let config = Conv2dConfig { stride, padding: kernel / 2, ..Conv2dConfig::default() };
        Ok(Self(conv2d_no_bias(from, to, kernel, config, vb.pp("conv"))?, batch_norm(to, 1e-5, vb.pp("norm"))?))
    }
}

impl ModuleT for ConvNorm {
    fn forward_t(&self, x: &Tensor, train: bool) -> candle_core::Result<Tensor> {
        self.1.forward_t(&self.0.forward(x)?, train)
    }
}

struct Block {
    first: ConvNorm,
    second: ConvNorm,
    shortcut: Option<ConvNorm>,
}

impl ModuleT for Block {
    fn forward_t(&self, x: &Tensor, train: bool) -> candle_core::Result<Tensor> {
        let y = self.second.forward_t(&self.first.forward_t(x, train)?.relu()?, train)?;
        let shortcut = match &self.shortcut {
            Some(shortcut) => shortcut.forward_t(x, train)?,
            None => x.clone(),
        };
        (y + shortcut)?.relu()
    }
}

struct Network {
    stem: ConvNorm,
    blocks: Vec<Block>,
    head: Linear,
}

impl Network {
    fn new(channels: usize, classes: usize, vb: &VarBuilder<'_>) -> candle_core::Result<Self> {
        let mut blocks = Vec::new();
        let mut from = 64;
        for (at, to) in [64, 64, 128, 128, 256, 256, 512, 512].into_iter().enumerate() {
            let (vb, stride) = (vb.pp(format!("block{at}")), to / from);
            let shortcut = (from != to).then(|| ConvNorm::new(from, to, 1, stride, &vb.pp("shortcut"))).transpose()?;
            let first = ConvNorm::new(from, to, 3, stride, &vb.pp("first"))?;
            blocks.push(Block { first, second: ConvNorm::new(to, to, 3, 1, &vb.pp("second"))?, shortcut });
            from = to;
        }
        let stem = ConvNorm::new(channels, 64, 7, 2, &vb.pp("stem"))?;
        Ok(Self { stem, blocks, head: linear(512, classes, vb.pp("head"))? })
    }
}

impl ModuleT for Network {
    fn forward_t(&self, x: &Tensor, train: bool) -> candle_core::Result<Tensor> {
        let mut x = self.stem.forward_t(x, train)?.relu()?.max_pool2d(2)?;
        for block in &self.blocks {
            x = block.forward_t(&x, train)?;
        }
        self.head.forward(&x.mean((2, 3))?)
    }
}

fn main() -> Result<()> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|word| word.parse()).collect::<Result<_, _>>()?;
    let [channels, batch, size, threads] = numbers[..] else {
        anyhow::bail!("expected CHANNELS BATCH SIZE THREADS");
    };
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let (device, vars) = (Device::Cpu, VarMap::new());
    let net = Network::new(channels, 101, &VarBuilder::from_varmap(&vars, DType::F32, &device))?;
    let mut sgd = SGD::new(vars.all_vars(), 1e-3)?;
    let x = Tensor::randn(0f32, 1., (batch, channels, size, size), &device)?;
    let labels = Tensor::arange(0u32, batch as u32, &device)?;
    let step = median(RUNS, || {
        let loss = loss::cross_entropy(&net.forward_t(&x, true)?, &labels)?;
        sgd.backward_step(&loss)
    })?;
    // Tensors that are not variables record no graph.
    let named = vars.data().lock().map_err(|_| anyhow::anyhow!("a thread panicked"))?;
    let named: HashMap<_, _> = named.iter().map(|(name, var)| (name.clone(), var.as_detached_tensor())).collect();
    let net = Network::new(channels, 101, &VarBuilder::from_tensors(named, DType::F32, &device))?;
    let evaluation = median(RUNS, || net.forward_t(&x, false).map(drop))?;
    println!("{{\"step_ms\":{step},\"eval_ms\":{evaluation},\"peak_bytes\":{}}}", peak_bytes()?);
    Ok(())
}

/// Returns the peak memory of this process.
fn peak_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no peak memory")?;
    Ok(1024 * line.trim().trim_end_matches("kB").trim().parse::<u64>()?)
}
