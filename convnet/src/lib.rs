#![doc = include_str!("../README.md")]
#![allow(clippy::inline_always, reason = "only what is compiled into `Isa::run` may use an instruction set's vectors")]
#![allow(clippy::needless_range_loop, reason = "in vector code: iterators were not always compiled into `Isa::run`")]

mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
mod geometry;
mod heap;
mod network;
mod ops;
mod optim;
mod weights;

// So that tests start without NVIDIA's libraries.
#[cfg(test)]
use cuda_delayload as _;

pub use geometry::{BatchNormConfig, Conv2dConfig, MaxPool2dConfig, Normalisation, PixelLayout};
pub use heap::keep_freed_memory;
pub use network::{Depth, Model, ParseDepthError, ResNet, ResNetConfig};
pub use ops::batch_norm::BatchNorm2d;
pub use ops::conv::{Conv2d, conv2d};
pub use ops::linear::{Linear, linear};
pub use ops::loss::cross_entropy;
pub use ops::pixels::normalise;
pub use ops::pool::{global_avg_pool, max_pool2d};
pub use ops::relu::{add_relu, relu};
pub use optim::{Decay, Sgd, SgdConfig, SgdError};
pub use weights::{Origin, Problem, WeightsError, check_values, find_weights, read_weights, torchvision_names};
