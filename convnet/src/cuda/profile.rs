//! How long each op takes, and how long it would if the card did nothing but its arithmetic and its traffic (Williams, Waterman
//! and Patterson's roofline, 2009).
#![expect(unsafe_code, reason = "copies on the card")]

use super::gemm::Gemm;
use super::gpu::Gpu;
use super::memory::{fresh, start};
use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::driver::{result, sys::CUevent_flags};
use candle_core::{DType, Device, Result};
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// What an op has to do at least.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Multiplications and additions of convolutions and products; what others compute is nothing beside their traffic.
    pub flops: f64,
    /// Bytes of what is read and written, each once.
    pub bytes: f64,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.flops += other.flops;
        self.bytes += other.bytes;
    }
}

/// All calls of an op.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Of all calls.
    pub milliseconds: f64,
    /// How many.
    pub calls: usize,
    /// Of all calls.
    pub cost: Cost,
}

/// By the ops' names.
pub type Profile = BTreeMap<String, Spent>;

/// What a card does at most, as measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peaks {
    /// Floating-point operations a second, of a large matrix product.
    pub flops: f64,
    /// Bytes a second from and to its memory, of a large copy.
    pub bytes: f64,
}

impl Peaks {
    /// Milliseconds that nothing with this cost can be faster than.
    pub fn milliseconds(&self, cost: &Cost) -> f64 {
        1e3 * (cost.flops / self.flops).max(cost.bytes / self.bytes)
    }
}

/// Runs `work` and says how long each op of this crate took on `device`, alone. The sum is more than `work` takes otherwise:
/// every op waits for the one before.
pub fn profile(device: &Device, work: impl FnOnce() -> Result<()>) -> Result<Profile> {
    let gpu = Gpu::of(device.as_cuda_device()?)?;
    gpu.start_profile();
    let result = work();
    let profile = gpu.take_profile();
    result.map(|()| profile.unwrap_or_default())
}

/// Rows and columns of the product, and bytes of the copy, that are timed: many times what a card's caches hold.
const SIDE: usize = 8192;
const COPY: usize = 512 << 20;
const COPIES: usize = 8;

/// Measures what `device` does at most with images of type `dtype`, f32 or bf16. Takes 1 GB of its memory.
pub fn peaks(device: &Device, dtype: DType) -> Result<Peaks> {
    let cuda = device.as_cuda_device()?;
    let bf16 = dtype == DType::BF16;
    let tf32 = Gpu::of(cuda)?.config.tf32;
    let product = Gemm { rows: SIDE, columns: SIDE, inner: SIDE, transposed: (false, true), bf16, tf32 };
    // SIDE² values take less than COPY bytes.
    let [from, to, third] = [(); 3].map(|()| fresh(cuda, DType::U8, COPY));
    let (from, to, third) = (from?, to?, third?);
    let operands = [&from, &to, &third].map(start);
    for &operand in &operands {
        // SAFETY: fresh memory of as many bytes. Zeros: no product of what happens to lie there.
        unsafe { result::memset_d8_async(operand, 0, COPY, cuda.cuda_stream().cu_stream()) }.w()?;
    }
    let flops = 2.0 * (SIDE as f64).powi(3) / (1e-3 * f64::from(product.milliseconds(cuda, operands)?));

    let stream = cuda.cuda_stream();
    // SAFETY: both are of as many bytes, and are not freed before the copies are done.
    let copy = || unsafe { result::memcpy_dtod_async(operands[1], operands[0], COPY, stream.cu_stream()) }.w();
    let timed = Some(CUevent_flags::CU_EVENT_DEFAULT);
    copy()?;
    let begun = stream.record_event(timed).w()?;
    for _ in 0..COPIES {
        copy()?;
    }
    let ended = stream.record_event(timed).w()?;
    let seconds = 1e-3 * f64::from(begun.elapsed_ms(&ended).w()?);
    Ok(Peaks { flops, bytes: (2 * COPY * COPIES) as f64 / seconds })
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
