#![doc = include_str!("../README.md")]
#![allow(clippy::inline_always, reason = "only what is compiled into `Isa::run` may use an instruction set's vectors")]
#![allow(clippy::needless_range_loop, reason = "in vector code: iterators were not always compiled into `Isa::run`")]

mod batch_norm;
mod conv;
mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
mod dense;
mod heap;
mod init;
mod linear;
mod loss;
mod matmul;
mod model;
mod parallel;
mod pixels;
mod pool;
mod relu;
mod resnet;
mod sgd;
mod weights;

// So that tests start without NVIDIA's libraries.
#[cfg(test)]
use cuda_delayload as _;

pub use batch_norm::{BatchNorm2d, BatchNormConfig};
pub use conv::{Conv2d, Conv2dConfig, conv2d};
pub use heap::keep_freed_memory;
pub use linear::{Linear, linear};
pub use loss::cross_entropy;
pub use model::Model;
pub use pixels::{PixelLayout, Range, normalise};
pub use pool::{MaxPool2dConfig, global_avg_pool, max_pool2d};
pub use relu::{add_relu, relu};
pub use resnet::{Depth, ParseDepthError, ResNet, ResNetConfig};
pub use sgd::{Decay, Sgd, SgdConfig};
pub use weights::{Origin, Problem, WeightsError, check_values, find_weights, read_weights, torchvision_names};
