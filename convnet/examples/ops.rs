//! Times single operations, forward and with their backward pass. `scripts/bench_ops.py` compares
//! the times with PyTorch's.
//!
//!     RAYON_NUM_THREADS=2 cargo run --release --example ops [PART OF THE NAMES]
//!
//! Each line of the output has the name of a case, and the medians of both times in milliseconds. The second
//! time is that of the operation alone: candle also adds each gradient to zeros, which PyTorch does not, so the
//! same graph is timed with an operation whose results are there already, and this time is subtracted.

mod timing;

use candle_convnet::{
    Activation, AvgPool2dConfig, BatchNorm2d, BatchNormConfig, Conv2dConfig, MaxPool2dConfig, SqueezeExcitation,
    avg_pool2d, conv2d, keep_freed_memory, max_pool2d, seeded,
};
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Module, Result, Shape, Tensor, Var};
use candle_nn::VarMap;
use timing::median;

/// Images of a batch.
const N: usize = 16;
/// Timed runs of each case.
const RUNS: usize = 9;

fn main() -> Result<()> {
    keep_freed_memory();
    // Name, height and width, input channels, output channels, kernel, stride, groups.
    for (name, side, c, o, kernel, stride, groups) in [
        ("conv 3x3 64 at 56", 56, 64, 64, 3, 1, 1),
        ("conv 3x3 128 to 256 /2 at 28", 28, 128, 256, 3, 2, 1),
        ("conv 1x1 96 to 576 at 14", 14, 96, 576, 1, 1, 1),
        ("conv 7x7 3 to 64 /2 at 224", 224, 3, 64, 7, 2, 1),
        ("conv 7x7 20 to 64 /2 at 224", 224, 20, 64, 7, 2, 1),
        ("conv 3x3 128 at 28, 32 groups", 28, 128, 128, 3, 1, 32),
        ("depthwise 3x3 64 at 112", 112, 64, 64, 3, 1, 64),
        ("depthwise 3x3 144 at 56", 56, 144, 144, 3, 1, 144),
        ("depthwise 3x3 576 at 14", 14, 576, 576, 3, 1, 576),
        ("depthwise 3x3 144 /2 at 56", 56, 144, 144, 3, 2, 144),
        ("depthwise 5x5 240 at 28", 28, 240, 240, 5, 1, 240),
    ] {
        let config = Conv2dConfig::default().with_stride(stride).with_padding(kernel / 2).with_groups(groups);
        let weight = Var::randn(0f32, 0.1, (o, c / groups, kernel, kernel), &Device::Cpu)?;
        time(name, (N, side, side, c), |x| conv2d(x, &weight, config))?;
    }
    let vb = seeded(&VarMap::new(), 0, &Device::Cpu);
    let norm = BatchNorm2d::new(64, BatchNormConfig::default(), vb.pp("norm"))?;
    time("batch norm 64 at 56", (N, 56, 56, 64), |x| norm.forward_t(x, true))?;
    time("max pool 3x3 /2 64 at 112", (N, 112, 112, 64), |x| {
        max_pool2d(x, MaxPool2dConfig::new(3, 2).with_padding(1))
    })?;
    time("average pool 2x2 /2 64 at 112", (N, 112, 112, 64), |x| avg_pool2d(x, AvgPool2dConfig::new(2, 2)))?;
    time("hard swish 240 at 28", (N, 28, 28, 240), |x| Activation::HardSwish.forward(x))?;
    time("silu 240 at 28", (N, 28, 28, 240), |x| Activation::Silu.forward(x))?;
    let excitation = SqueezeExcitation::new(240, 64, vb.pp("excitation"))?;
    time("squeeze and excitation 240 at 28", (N, 28, 28, 240), |x| excitation.forward(x))
}

/// Times `op` on images of `shape`, and prints a line, if `name` contains the argument of the program.
fn time(name: &str, shape: (usize, usize, usize, usize), op: impl Fn(&Tensor) -> Result<Tensor>) -> Result<()> {
    if std::env::args().nth(1).is_some_and(|part| !name.contains(&part)) {
        return Ok(());
    }
    let x = Var::randn(0f32, 1., shape, &Device::Cpu)?;
    let plain = x.as_detached_tensor();
    let forward = median(RUNS, || op(&plain).map(drop))?;
    // The gradient of each output value is 1.
    let both = median(RUNS, || op(&x)?.backward().map(drop))?;
    let ready = Ready { output: op(&plain)?.shape().clone(), gradient: plain.clone() };
    let graph = median(RUNS, || x.apply_op1(ready.clone())?.backward().map(drop))?;
    println!("{name}\t{forward:.3}\t{:.3}", (both - graph).max(forward));
    Ok(())
}

/// An operation whose output and gradient are there already.
#[derive(Clone)]
struct Ready {
    output: Shape,
    gradient: Tensor,
}

impl CustomOp1 for Ready {
    fn name(&self) -> &'static str {
        "ready"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        // The backward pass reads no value of the output, only its shape.
        Ok((CpuStorage::F32(Vec::new()), self.output.clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(self.gradient.clone()))
    }
}
