//! Convolutions with cuDNN. Those that are matrix products can also use cuBLAS.

mod convolutions;
mod gemm;
mod plan;
mod shape;

pub use convolutions::Choices;
pub(super) use convolutions::Convolutions;
pub(super) use gemm::Gemm;
pub(super) use plan::Buffers;
pub(super) use shape::{ConvShape, Direction};
