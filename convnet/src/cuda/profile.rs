//! How long each op takes, and how long it would if the card did nothing but its arithmetic and its traffic (Williams, Waterman
//! and Patterson's roofline, 2009). Operands that lie in cache, and convolutions by Winograd, may be faster than that.
#![expect(unsafe_code, reason = "copies on the card")]

use super::cudnn::Gemm;
use super::device::{Cost, Gpu, Timed, address, fresh, start};
use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::driver::{result, sys::CUevent_flags};
use candle_core::{DType, Device, Result, Storage, Tensor, bail};
use std::collections::BTreeMap;

/// All calls of an op.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Spent {
    /// Of all calls.
    pub milliseconds: f64,
    /// How many.
    pub calls: usize,
    /// Of all calls.
    pub cost: Cost,
}

impl Spent {
    /// `calls` that took `milliseconds` and had to do `cost`, all together.
    pub const fn new(milliseconds: f64, calls: usize, cost: Cost) -> Self {
        Self { milliseconds, calls, cost }
    }
}

/// By the ops' names.
pub type Profile = BTreeMap<String, Spent>;

/// What a card does at most, as measured.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Peaks {
    /// Floating-point operations a second, of a large matrix product.
    pub flops: f64,
    /// Bytes a second from and to its memory, of a large copy.
    pub bytes: f64,
}

impl Peaks {
    /// A GPU that does at most `flops` floating-point operations and moves at most `bytes` a second.
    pub const fn new(flops: f64, bytes: f64) -> Self {
        Self { flops, bytes }
    }

    /// Milliseconds that this cost takes at the peaks.
    pub fn milliseconds(&self, cost: &Cost) -> f64 {
        1e3 * (cost.flops / self.flops).max(cost.bytes / self.bytes)
    }
}

/// Runs `work`, which must not wait for the card, and says how long each op of this crate took on `device`.
pub fn profile(device: &Device, work: impl FnOnce() -> Result<()>) -> Result<Profile> {
    let cuda = device.as_cuda_device()?;
    let gpu = Gpu::of(cuda)?;
    device.synchronize()?;
    // Something to do until all ops are started: else the card would wait for the processor within the times of short ones.
    let filling = fresh(cuda, DType::U8, BYTES)?;
    for _ in 0..FILLINGS {
        // SAFETY: memory of as many bytes, freed in the order of the stream.
        unsafe { result::memset_d8_async(start(&filling), 0, BYTES, cuda.cuda_stream().cu_stream()) }.w()?;
    }
    gpu.timer.start();
    let result = work();
    let timed = gpu.timer.stop();
    result?;
    let mut profile = Profile::new();
    for Timed { name, cost, begun, ended } in timed {
        let spent = profile.entry(name).or_default();
        spent.milliseconds += f64::from(begun.elapsed_ms(&ended).w()?);
        spent.calls += 1;
        spent.cost += cost;
    }
    Ok(profile)
}

/// Rows and columns of the product that is timed.
const SIDE: usize = 8192;
/// Of a matrix of f32, and of what is copied: many times what a card's caches hold.
const BYTES: usize = SIDE * SIDE * size_of::<f32>();
const COPIES: usize = 16;
/// 256 MB each: 20 milliseconds on an H100, in which the processor starts a few thousand kernels.
const FILLINGS: usize = 256;

/// Measures what `device` does at most with images of type `dtype`, f32 or bf16. Takes 1.5 GB of its memory.
pub fn peaks(device: &Device, dtype: DType) -> Result<Peaks> {
    let cuda = device.as_cuda_device()?;
    let stream = cuda.cuda_stream();
    let tf32 = Gpu::of(cuda)?.config.tf32;
    let product =
        Gemm { rows: SIDE, columns: SIDE, inner: SIDE, transposed: (false, true), bf16: dtype == DType::BF16, tf32 };
    // Random values: a card multiplies zeros with less power, and so faster.
    let random = || Tensor::randn(0f32, 1.0, (SIDE, SIDE), device)?.to_dtype(dtype);
    let (left, right, out) = (random()?, random()?, fresh(cuda, DType::U8, BYTES)?);
    let operand = |tensor: &Tensor| {
        let (storage, layout) = tensor.storage_and_layout();
        let Storage::Cuda(storage) = &*storage else { bail!("peaks: expected a tensor on the card") };
        address(storage, layout, dtype, "peaks")
    };
    let operands = [operand(&left)?, operand(&right)?, start(&out)];
    let flops = 2.0 * (SIDE as f64).powi(3) / (1e-3 * f64::from(product.milliseconds(cuda, operands)?));
    drop((left, right));

    let from = fresh(cuda, DType::U8, BYTES)?;
    // SAFETY: both are of as many bytes, and are not freed before the copies are done.
    let copy = || unsafe { result::memcpy_dtod_async(start(&out), start(&from), BYTES, stream.cu_stream()) }.w();
    let timed = Some(CUevent_flags::CU_EVENT_DEFAULT);
    copy()?;
    let begun = stream.record_event(timed).w()?;
    for _ in 0..COPIES {
        copy()?;
    }
    let ended = stream.record_event(timed).w()?;
    let seconds = 1e-3 * f64::from(begun.elapsed_ms(&ended).w()?);
    Ok(Peaks { flops, bytes: (2 * BYTES * COPIES) as f64 / seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_op_is_bound_by_the_slower_of_arithmetic_and_traffic() {
        let peaks = Peaks { flops: 1e12, bytes: 1e11 };
        let milliseconds = |flops, bytes| peaks.milliseconds(&Cost { flops, bytes });
        assert!((milliseconds(4e9, 1e6) - 4.0).abs() < 1e-12);
        assert!((milliseconds(4e9, 1e9) - 10.0).abs() < 1e-12);
    }
}
