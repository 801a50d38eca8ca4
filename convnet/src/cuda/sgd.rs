//! One kernel moves all variables.

use super::gpu::{Arg, Gpu};
use super::memory::address;
use crate::SgdConfig;
use candle_core::{DType, Result, Storage, Tensor, bail};

/// A variable, its momentum (none where there is no momentum) and its gradient, all f32 and contiguous, of one shape.
pub(crate) struct Moved<'a> {
    pub var: &'a Tensor,
    pub momentum: Option<&'a Tensor>,
    pub grad: &'a Tensor,
}

/// Variables that one launch moves: `MOVED` of the kernel.
const VARIABLES: usize = 120;

/// Addresses of variable, momentum and gradient, and the number of values; the kernel's `Table`.
pub(crate) type Table = [[u64; 4]; VARIABLES];

/// One step, in place.
pub(crate) fn step(moved: &[Moved], config: &SgdConfig) -> Result<()> {
    let Some(first) = moved.first() else { return Ok(()) };
    let gpu = Gpu::of(first.var.device().as_cuda_device()?)?;
    for moved in moved.chunks(VARIABLES) {
        let mut table: Table = [[0; 4]; VARIABLES];
        for (entry, Moved { var, momentum, grad }) in table.iter_mut().zip(moved) {
            if grad.shape() != var.shape() {
                bail!("sgd: a gradient of shape {:?} for a variable of shape {:?}", grad.shape(), var.shape());
            }
            let momentum = momentum.map(place).transpose()?.unwrap_or(0);
            *entry = [place(var)?, momentum, place(grad)?, var.elem_count() as u64];
        }
        let args = [
            Arg::Table(&table),
            Arg::Float(config.lr as f32),
            Arg::Float(config.momentum as f32),
            Arg::Float(config.weight_decay as f32),
            Arg::Int(config.nesterov.into()),
        ];
        gpu.launch("sgd", (64, moved.len()), (256, 1), 0, &args)?;
    }
    Ok(())
}

fn place(tensor: &Tensor) -> Result<u64> {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else { bail!("sgd: variables and gradients on different devices") };
    address(storage, layout, DType::F32, "sgd")
}
