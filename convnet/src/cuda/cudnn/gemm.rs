//! Row-major matrix products with cuBLAS, for convolutions that are matrix products.
#![expect(unsafe_code, reason = "cuBLAS is a C library")]

use crate::cuda::device::error;
use candle_core::Result;
use candle_core::cuda::cudarc::cublas::{result, sys};
use candle_core::cuda::cudarc::driver::sys::CUevent_flags;
use candle_core::cuda::{CudaDevice, WrapErr};
use std::ffi::c_void;

/// The product `[rows, inner] · [inner, columns]`. Each operand can be stored transposed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gemm {
    pub rows: usize,
    pub columns: usize,
    pub inner: usize,
    /// Whether left is stored as [inner, rows], and right as [columns, inner].
    pub transposed: (bool, bool),
    pub bf16: bool,
    pub tf32: bool,
}

/// Number of timed runs of a product, after one run that is not timed.
const TIMED_RUNS: usize = 3;

impl Gemm {
    /// Computes the product. The addresses are those of left, right and result on the device.
    pub(crate) fn run(&self, device: &CudaDevice, [left, right, result]: [u64; 3]) -> Result<()> {
        let Self { rows, columns, inner, transposed, bf16, tf32 } = *self;
        let op = |transposed| {
            if transposed { sys::cublasOperation_t::CUBLAS_OP_T } else { sys::cublasOperation_t::CUBLAS_OP_N }
        };
        let dtype = if bf16 { sys::cudaDataType_t::CUDA_R_16BF } else { sys::cudaDataType_t::CUDA_R_32F };
        let compute = if tf32 && !bf16 {
            sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32
        } else {
            sys::cublasComputeType_t::CUBLAS_COMPUTE_32F
        };
        let (left_row, right_row) =
            (if transposed.0 { rows } else { inner }, if transposed.1 { inner } else { columns });
        let (one, zero) = (1f32, 0f32);
        // cuBLAS is column-major, where a row-major matrix looks transposed. The product of right
        // and left is therefore the row-major result. SAFETY: the operands of the caller have these
        // sizes, and the scales are f32, as the compute type requires.
        unsafe {
            result::gemm_ex(
                *device.cublas_handle().handle(),
                op(transposed.1),
                op(transposed.0),
                columns as i32,
                rows as i32,
                inner as i32,
                (&raw const one).cast::<c_void>(),
                right as *const c_void,
                dtype,
                right_row as i32,
                left as *const c_void,
                dtype,
                left_row as i32,
                (&raw const zero).cast::<c_void>(),
                result as *mut c_void,
                dtype,
                columns as i32,
                compute,
                sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
            )
        }
        .map_err(|e| error("a matrix product of cuBLAS failed", e))
    }

    /// Returns the time of a run, in milliseconds.
    pub(crate) fn milliseconds(&self, device: &CudaDevice, operands: [u64; 3]) -> Result<f32> {
        let stream = device.cuda_stream();
        let timed = Some(CUevent_flags::CU_EVENT_DEFAULT);
        self.run(device, operands)?;
        let start = stream.record_event(timed).w()?;
        for _ in 0..TIMED_RUNS {
            self.run(device, operands)?;
        }
        let end = stream.record_event(timed).w()?;
        Ok(start.elapsed_ms(&end).w()? / TIMED_RUNS as f32)
    }
}
