//! The SGD step: one kernel updates all variables.
//!
//! The learning rates are in GPU memory. A recorded step reads them each time it runs, so it can be
//! used with other rates.

use crate::cuda::device::{Arg, Gpu, Table, VARIABLES, address};
use candle_core::cuda::cudarc::driver::{CudaSlice, CudaStream, DevicePtr};
use candle_core::cuda::{CudaDevice, WrapErr};
use candle_core::{DType, Result, Storage, Tensor, bail};
use std::sync::Arc;

/// A variable, its momentum (`None` without momentum) and its gradient. All are f32, contiguous and
/// of the same shape.
pub(crate) struct Moved<'a> {
    pub var: &'a Tensor,
    pub momentum: Option<&'a Tensor>,
    pub grad: &'a Tensor,
}

/// Settings of the update.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub momentum: f64,
    pub weight_decay: f64,
    pub nesterov: bool,
}

/// Learning rates in GPU memory, one per factor of the variables.
#[derive(Debug)]
pub(crate) struct Rates {
    factors: Vec<f64>,
    memory: CudaSlice<f32>,
    stream: Arc<CudaStream>,
}

impl Rates {
    /// Creates the rates for variables on `device` that have these factors.
    pub(crate) fn new(device: &CudaDevice, factors: Vec<f64>, lr: f64) -> Result<Self> {
        let stream = device.cuda_stream();
        let mut rates = Self { memory: stream.alloc_zeros(factors.len()).w()?, factors, stream };
        rates.set(lr)?;
        Ok(rates)
    }

    /// Sets the learning rate for all work that is started from now on.
    pub(crate) fn set(&mut self, lr: f64) -> Result<()> {
        // Copies of so few bytes do not wait for the GPU.
        let rates: Vec<f32> = self.factors.iter().map(|factor| (lr * factor) as f32).collect();
        self.stream.memcpy_htod(&rates, &mut self.memory).w()
    }

    fn of(&self, factor: f64) -> Result<Arg<'static>> {
        let Some(i) = self.factors.iter().position(|known| known.to_bits() == factor.to_bits()) else {
            bail!("sgd: there is no learning rate for the factor {factor}")
        };
        let bytes = size_of::<f32>();
        Ok(Arg::Memory(self.memory.device_ptr(&self.stream).0 + (i * bytes) as u64, bytes))
    }
}

/// Updates variables in place. All have the same factor, and `rates` has their learning rate.
pub(crate) fn step(moved: &[Moved], rates: &Rates, factor: f64, rule: Rule) -> Result<()> {
    let Some(first) = moved.first() else { return Ok(()) };
    let gpu = Gpu::of(first.var.device().as_cuda_device()?)?;
    for moved in moved.chunks(VARIABLES) {
        let mut table: Table = [[0; 4]; VARIABLES];
        for (entry, Moved { var, momentum, grad }) in table.iter_mut().zip(moved) {
            if grad.shape() != var.shape() {
                bail!("sgd: a gradient has shape {:?}, but its variable has shape {:?}", grad.shape(), var.shape());
            }
            let momentum = momentum.map(place).transpose()?.unwrap_or(0);
            *entry = [place(var)?, momentum, place(grad)?, var.elem_count() as u64];
        }
        let args = [
            Arg::Table(&table),
            rates.of(factor)?,
            Arg::Float(rule.momentum as f32),
            Arg::Float(rule.weight_decay as f32),
            Arg::Int(rule.nesterov.into()),
        ];
        gpu.launch("sgd", (64, moved.len()), (256, 1), 0, &args)?;
    }
    Ok(())
}

fn place(tensor: &Tensor) -> Result<u64> {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else { bail!("sgd: variables and gradients are on different devices") };
    address(storage, layout, DType::F32, "sgd")
}
