//! What GPUs offer to this program. This is the one place that knows whether it was built with CUDA: `cuda` and `none` offer the
//! same functions and types, and in a build without CUDA those types have no values.

#[cfg(feature = "cuda")]
mod cuda;
#[cfg(not(feature = "cuda"))]
mod none;

#[cfg(feature = "cuda")]
pub use cuda::*;
#[cfg(not(feature = "cuda"))]
pub use none::*;
