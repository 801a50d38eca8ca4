//! Convolutions by cuDNN, and those that are matrix products by cuBLAS.

mod convolutions;
mod gemm;
mod plan;
mod shape;

pub use convolutions::Choices;
pub(super) use convolutions::Convolutions;
pub(super) use gemm::Gemm;
pub(super) use plan::Buffers;
pub(super) use shape::{ConvShape, Direction};
