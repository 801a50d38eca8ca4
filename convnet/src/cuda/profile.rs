//! Measures the time of each operation, and the peaks of the GPU for a roofline (Williams, Waterman
//! and Patterson 2009).
#![expect(unsafe_code, reason = "copies in GPU memory")]

use super::cudnn::Gemm;
use super::device::{Cost, Gpu, Timed, address, fresh, start};
use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::driver::{result, sys::CUevent_flags};
use candle_core::{DType, Device, Result, Storage, Tensor, bail};
use std::collections::BTreeMap;

/// Time and cost of all calls of an operation together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Spent {
    /// Time of all calls, in milliseconds.
    pub milliseconds: f64,
    /// Number of calls.
    pub calls: usize,
    /// Cost of all calls.
    pub cost: Cost,
}

impl Spent {
    /// Returns a value for `calls` that took `milliseconds` and had the cost `cost`, all together.
    pub const fn new(milliseconds: f64, calls: usize, cost: Cost) -> Self {
        Self { milliseconds, calls, cost }
    }
}

/// Time and cost of each operation, by its name.
pub type Profile = BTreeMap<String, Spent>;

/// Measured limits of a GPU.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Peaks {
    /// Floating-point operations per second in a large matrix product.
    pub flops: f64,
    /// Bytes per second that a large copy reads and writes in GPU memory.
    pub bytes: f64,
}

impl Peaks {
    /// Returns the limits of a GPU: `flops` floating-point operations and `bytes` of memory
    /// traffic, both per second.
    pub const fn new(flops: f64, bytes: f64) -> Self {
        Self { flops, bytes }
    }

    /// Returns the time in milliseconds that `cost` takes at these limits.
    ///
    /// The slower of arithmetic and memory traffic counts. An operation can be faster if its
    /// operands are in cache, or if cuDNN uses Winograd's algorithm.
    pub fn milliseconds(&self, cost: &Cost) -> f64 {
        1e3 * (cost.flops / self.flops).max(cost.bytes / self.bytes)
    }
}

/// Runs `work`, and returns the time of each operation of this crate on `device`.
///
/// `work` must not wait for the GPU.
///
/// # Errors
/// Returns the error of `work`, or an error if `device` is not a GPU.
pub fn profile(device: &Device, work: impl FnOnce() -> Result<()>) -> Result<Profile> {
    let cuda = device.as_cuda_device()?;
    let gpu = Gpu::of(cuda)?;
    device.synchronize()?;
    // The GPU is busy with these while the CPU starts the operations. Otherwise the times of short
    // operations would include waiting for the CPU.
    let filling = fresh(cuda, DType::U8, BYTES)?;
    for _ in 0..FILLINGS {
        // SAFETY: the memory has `BYTES` bytes, and is freed in the order of the stream.
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

/// Rows and columns of the matrix product that is timed.
const SIDE: usize = 8192;
/// Bytes of an f32 matrix, and of each copy. This is much larger than the caches of a GPU.
const BYTES: usize = SIDE * SIDE * size_of::<f32>();
const COPIES: usize = 16;
/// Number of fillings of `BYTES` bytes. The CPU can start a few thousand kernels before they end.
const FILLINGS: usize = 256;

/// Measures the limits of `device` for images of type `dtype`, f32 or bf16.
///
/// Needs up to 1.5 GB of GPU memory.
///
/// # Errors
/// Returns an error if `device` is not a GPU, or if its memory is too small.
pub fn peaks(device: &Device, dtype: DType) -> Result<Peaks> {
    let cuda = device.as_cuda_device()?;
    let stream = cuda.cuda_stream();
    let tf32 = Gpu::of(cuda)?.config.tf32;
    let product =
        Gemm { rows: SIDE, columns: SIDE, inner: SIDE, transposed: (false, true), bf16: dtype == DType::BF16, tf32 };
    // The values are random, because a GPU needs less power for zeros and is then faster.
    let random = || Tensor::randn(0f32, 1.0, (SIDE, SIDE), device)?.to_dtype(dtype);
    let (left, right, out) = (random()?, random()?, fresh(cuda, DType::U8, BYTES)?);
    let operand = |tensor: &Tensor| {
        let (storage, layout) = tensor.storage_and_layout();
        let Storage::Cuda(storage) = &*storage else { bail!("peaks: the tensor is not on the GPU") };
        address(storage, layout, dtype, "peaks")
    };
    let operands = [operand(&left)?, operand(&right)?, start(&out)];
    let flops = 2.0 * (SIDE as f64).powi(3) / (1e-3 * f64::from(product.milliseconds(cuda, operands)?));
    drop((left, right));

    let from = fresh(cuda, DType::U8, BYTES)?;
    // SAFETY: both have `BYTES` bytes, and are not freed before the copies end.
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
