//! Computes dense optical flow between two grey images, and quantises it to bytes.
//!
//! The results follow OpenCV's `DualTVL1OpticalFlow` and `DISOpticalFlow`. The crate does not read
//! videos or files, and it starts no threads.
//!
//! # How the types fit together
//!
//! ```text
//! two grey images, &[u8] of shape [height, width]
//!     │
//!     ▼
//! TvL1, or Dis (faster)           solvers, made once per image size
//!     ▼
//! Flow                            x and y motion of each pixel, in pixels, f32
//!     │ quantise
//!     ▼
//! Vec<u8>                         one byte per pixel and component, 128 is no motion
//! ```
//!
//! * A solver holds all memory that it needs. Use it again for each pair of images of the same
//!   size.
//! * [`Dis`] needs a tenth of the time of [`TvL1`] or less.
//! * With the Cargo feature `cuda`, `CudaTvL1` computes many pairs at once on an NVIDIA GPU.
//!
//! # Compute the flow of a pair
//!
//! ```
//! use clip_flow::{Flow, TvL1, TvL1Params, quantise};
//!
//! // A pattern that moves two pixels to the right.
//! let (width, height) = (64, 48);
//! let image = |shift: f32| -> Vec<u8> {
//!     let grey = |x: f32, y: f32| 128.0 + 60.0 * (0.3 * x).sin() + 50.0 * (0.2 * y + 0.1 * x).cos();
//!     (0..width * height).map(|i| grey((i % width) as f32 - shift, (i / width) as f32) as u8).collect()
//! };
//!
//! let mut solver = TvL1::new(width, height, TvL1Params::default())?;
//! let mut flow = Flow::default();
//! solver.compute(&image(0.0), &image(2.0), &mut flow)?;
//!
//! let middle = height / 2 * width + width / 2;
//! assert!((flow.x[middle] - 2.0).abs() < 0.2 && flow.y[middle].abs() < 0.2);
//!
//! let mut bytes = Vec::new();
//! quantise(&flow.x, &mut bytes);
//! assert_eq!(bytes.len(), width * height);
//! # Ok::<(), clip_flow::Error>(())
//! ```
//!
//! # Reproducible results
//!
//! The result depends only on the two images and the parameters. It does not depend on earlier
//! pairs or on the CPU. The solvers use AVX2 if the CPU has it. Each operation is a single IEEE 754
//! operation in a fixed order, without fused multiply-add, so CPUs without AVX2 give the same bits.
//!
//! # Threads
//!
//! A solver runs on the thread that calls it. To use more cores, make one solver per thread and
//! give each thread its own pairs.
#![allow(clippy::inline_always, reason = "code that is not inlined is not compiled for the instructions of its caller")]

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

/// The example of the README, which must compile and pass.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
