//! Batch normalisation. Forward and backward pass each read the images twice: for sums, and to
//! compute the result.
//!
//! Partial sums have fixed places, so results do not depend on scheduling.

use crate::cuda::device::{Arg, Gpu, Operand, address, float_type, fresh, suffix, vector};
use candle_core::cuda::CudaStorage;
use candle_core::{DType, Result};
use std::sync::Arc;

/// The split of rows (pixels) and channels among blocks and threads.
struct Work {
    gpu: Arc<Gpu>,
    dtype: DType,
    rows: usize,
    channels: usize,
    /// Channels per thread.
    vector: usize,
    /// Threads per block, along channels and along rows.
    block: (usize, usize),
    /// Blocks along rows and along channels.
    grid: (usize, usize),
}

/// Threads per block.
const BLOCK: usize = 256;
/// Least number of rows per thread.
const ROWS_PER_THREAD: usize = 8;
/// Largest number of blocks: enough to fill a GPU, but with few partial sums to add.
const MAX_BLOCKS: usize = 792;

impl Work {
    fn new(x: Operand) -> Result<Self> {
        let (n, h, w, channels) = x.1.shape().dims4()?;
        let rows = n * h * w;
        let dtype = float_type(x.0, "batch-norm2d")?;
        let vector = vector(dtype, channels);
        let groups = channels / vector;
        let along_channels = groups.min(BLOCK);
        let along_rows = BLOCK / along_channels;
        let chunks = groups.div_ceil(along_channels);
        let blocks = rows.div_ceil(along_rows * ROWS_PER_THREAD).clamp(1, (MAX_BLOCKS / chunks).max(1));
        let (block, grid) = ((along_channels, along_rows), (blocks, chunks));
        Ok(Self { gpu: Gpu::of(&x.0.device)?, dtype, rows, channels, vector, block, grid })
    }

    fn kernel(&self, name: &str) -> String {
        format!("{name}_{}_v{}", suffix(self.dtype), self.vector)
    }

    /// Returns the bytes of shared memory in which a block adds the sums of its threads.
    fn shared(&self) -> usize {
        2 * self.block.0 * self.block.1 * self.vector * size_of::<f32>()
    }

    fn partial(&self, x: Operand) -> Result<CudaStorage> {
        fresh(&x.0.device, DType::F32, self.grid.0 * 2 * self.channels)
    }

    /// Starts a kernel that adds partial sums. A block has 32 channels and 32 threads per channel.
    fn total(&self, name: &str, args: &[Arg]) -> Result<()> {
        self.gpu.launch(name, (self.channels.div_ceil(32), 1), (32, 32), 0, args)
    }
}

/// Mean and 1 / √(variance + eps) per channel, `[C]` each.
pub(crate) struct Moments {
    pub mean: CudaStorage,
    pub inv_std: CudaStorage,
}

/// Running statistics, and the weight of a new batch in them.
pub(crate) struct Running<'a> {
    pub mean: Operand<'a>,
    pub var: Operand<'a>,
    pub momentum: f32,
}

/// Computes the moments of the batch, and updates the running statistics.
pub(crate) fn batch_moments(x: Operand, eps: f32, running: &Running) -> Result<Moments> {
    let work = Work::new(x)?;
    let images = Arg::tensor(x, work.dtype, "batch-norm2d")?;
    let partial = work.partial(x)?;
    let (count, channels) = (Arg::Int(work.rows), Arg::Int(work.channels));
    let args = [images, Arg::fresh(&partial), count, channels];
    work.gpu.launch(&work.kernel("norm_sums"), work.grid, work.block, work.shared(), &args)?;
    let mean = fresh(&x.0.device, DType::F32, work.channels)?;
    let inv_std = fresh(&x.0.device, DType::F32, work.channels)?;
    let first_pixel = address(x.0, x.1, work.dtype, "batch-norm2d")?;
    let first_pixel = Arg::Memory(first_pixel, work.channels * work.dtype.size_in_bytes());
    let args = [
        Arg::fresh(&partial),
        Arg::Int(work.grid.0),
        first_pixel,
        count,
        channels,
        Arg::Float(eps),
        Arg::Float(running.momentum),
        Arg::fresh(&mean),
        Arg::fresh(&inv_std),
        Arg::tensor(running.mean, DType::F32, "running mean")?,
        Arg::tensor(running.var, DType::F32, "running variance")?,
    ];
    work.total(&format!("norm_statistics_{}", suffix(work.dtype)), &args)?;
    Ok(Moments { mean, inv_std })
}

/// Returns the moments of the running statistics.
pub(crate) fn running_moments(mean: Operand, var: Operand, eps: f32) -> Result<Moments> {
    let channels = mean.1.shape().elem_count();
    let device = &mean.0.device;
    let moments = Moments { mean: fresh(device, DType::F32, channels)?, inv_std: fresh(device, DType::F32, channels)? };
    let args = [
        Arg::tensor(mean, DType::F32, "running mean")?,
        Arg::tensor(var, DType::F32, "running variance")?,
        Arg::Int(channels),
        Arg::Float(eps),
        Arg::fresh(&moments.mean),
        Arg::fresh(&moments.inv_std),
    ];
    Gpu::of(device)?.launch_over("norm_running", channels, &args)?;
    Ok(moments)
}

/// Moments, weight and bias of the channels, f32 `[C]` each.
#[derive(Clone, Copy)]
pub(crate) struct Affine<'a> {
    pub mean: Operand<'a>,
    pub inv_std: Operand<'a>,
    pub weight: Operand<'a>,
    pub bias: Operand<'a>,
}

impl Affine<'_> {
    fn args(&self) -> Result<[Arg<'static>; 4]> {
        let of = |operand| Arg::tensor(operand, DType::F32, "batch-norm2d");
        Ok([of(self.mean)?, of(self.inv_std)?, of(self.weight)?, of(self.bias)?])
    }
}

/// Normalises `x`, adds the residual, if there is one, and applies ReLU if `relu`.
pub(crate) fn apply(x: Operand, residual: Option<Operand>, affine: &Affine, relu: bool) -> Result<CudaStorage> {
    let work = Work::new(x)?;
    let y = fresh(&x.0.device, work.dtype, work.rows * work.channels)?;
    let mut args = vec![Arg::tensor(x, work.dtype, "batch-norm2d")?];
    args.push(match residual {
        Some(residual) => Arg::tensor(residual, work.dtype, "batch-norm2d residual")?,
        None => Arg::NONE,
    });
    args.extend(affine.args()?);
    args.extend([Arg::fresh(&y), Arg::Int(work.rows), Arg::Int(work.channels), Arg::Int(relu.into())]);
    work.gpu.launch(&work.kernel("norm_apply"), work.grid, work.block, 0, &args)?;
    Ok(y)
}

/// Gradients of a batch normalisation.
pub(crate) struct Gradients {
    pub input: CudaStorage,
    pub weight: CudaStorage,
    pub bias: CudaStorage,
}

/// Returns the gradients of input, weight and bias.
///
/// If `relu`, a ReLU follows the norm, and the kernels recompute its input. `fixed` tells whether
/// the moments were those of the running statistics.
pub(crate) fn gradients(x: Operand, grad: Operand, affine: &Affine, relu: bool, fixed: bool) -> Result<Gradients> {
    let work = Work::new(x)?;
    let device = &x.0.device;
    let images = Arg::tensor(x, work.dtype, "batch-norm2d-gradient")?;
    let grad = Arg::tensor(grad, work.dtype, "batch-norm2d-gradient")?;
    let shape = [Arg::Int(work.rows), Arg::Int(work.channels), Arg::Int(relu.into())];
    let partial = work.partial(x)?;
    let affine_args = affine.args()?;
    let mut args = vec![images, grad];
    args.extend(affine_args);
    args.push(Arg::fresh(&partial));
    args.extend(shape);
    work.gpu.launch(&work.kernel("norm_grad_sums"), work.grid, work.block, work.shared(), &args)?;

    let [weight, bias, mean_g, slope] = [(); 4].map(|()| fresh(device, DType::F32, work.channels));
    let (weight, bias, mean_g, slope) = (weight?, bias?, mean_g?, slope?);
    let args = [
        Arg::fresh(&partial),
        Arg::Int(work.grid.0),
        Arg::Int(work.rows),
        Arg::Int(work.channels),
        Arg::Int(fixed.into()),
        affine_args[1],
        Arg::fresh(&weight),
        Arg::fresh(&bias),
        Arg::fresh(&mean_g),
        Arg::fresh(&slope),
    ];
    work.total("norm_grad_totals", &args)?;

    let input = fresh(device, work.dtype, work.rows * work.channels)?;
    let mut args = vec![images, grad];
    args.extend(affine_args);
    args.extend([Arg::fresh(&mean_g), Arg::fresh(&slope), Arg::fresh(&input)]);
    args.extend(shape);
    work.gpu.launch(&work.kernel("norm_grad_apply"), work.grid, work.block, 0, &args)?;
    Ok(Gradients { input, weight, bias })
}
