//! The GPU functions of this program. Only this module depends on the feature `cuda`: `cuda` and
//! `none` have the same functions and types, and in a build without CUDA these types have no
//! values.

#[cfg(feature = "cuda")]
mod cuda;
#[cfg(not(feature = "cuda"))]
mod none;

#[cfg(feature = "cuda")]
pub use cuda::*;
#[cfg(not(feature = "cuda"))]
pub use none::*;
