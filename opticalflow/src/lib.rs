#![doc = include_str!("../README.md")]
#![allow(clippy::inline_always, reason = "what is not inlined is not compiled for the instructions of its caller")]

#[cfg(any(test, feature = "cuda"))]
mod cuda;
mod dis;
mod error;
mod field;
mod lanes;
mod plane;
mod pyramid;
mod quantise;
mod tvl1;

#[cfg(feature = "cuda")]
pub use cuda::CudaTvL1;
pub use dis::{Dis, DisParams};
pub use error::{Error, Result};
pub use field::Flow;
pub use quantise::{BOUND, NO_MOTION, quantise, quantise_value};
pub use tvl1::{TvL1, TvL1Params};
