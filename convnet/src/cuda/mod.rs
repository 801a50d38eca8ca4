//! The ops on NVIDIA cards: convolutions by cuDNN, the rest by the kernels of `kernels.cu`.
//!
//! Activations are bf16 or f32, parameters and their gradients f32; sums are f32 or better. All work of a device goes to the
//! one stream of its candle device, so that order alone keeps data safe and nothing waits for the host.

mod cards;
pub(crate) mod conv;
mod convolutions;
mod download;
pub(crate) mod elementwise;
pub(crate) mod fold;
mod gemm;
mod gpu;
pub(crate) mod loss;
mod memory;
pub(crate) mod norm;
pub(crate) mod pixels;
mod plan;
pub(crate) mod pool;
mod profile;
mod recording;
pub(crate) mod sgd;
mod shape;
mod upload;

pub use cards::{Capability, Card, cards};
pub use convolutions::{Choices, choices, cudnn_version, follow};
pub use download::{Download, Downloads};
pub use gpu::{CudaConfig, open};
pub use profile::{Cost, Peaks, Profile, Spent, peaks, profile};
pub use recording::{Recording, record, rehearse};
pub use upload::{Pinned, Upload, Uploads};

use candle_core::cuda::CudaStorage;
use candle_core::op::BackpropOp;
use candle_core::{Shape, Storage, Tensor};

/// A tensor, outside the autograd graph, of memory that kernels fill.
pub(crate) fn tensor(storage: CudaStorage, shape: impl Into<Shape>) -> Tensor {
    Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false)
}
