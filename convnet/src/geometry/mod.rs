//! Sizes and settings that the operations share with the CPU and GPU code. This module depends on
//! no other module of the crate.

mod activation;
mod avg_pool;
mod conv;
mod conv3d;
mod hw;
mod max_pool;
mod norm;
mod pixels;
mod shift;

pub use activation::Activation;
pub use avg_pool::AvgPool2dConfig;
pub(crate) use avg_pool::{AvgWindows, Window};
pub use conv::Conv2dConfig;
pub(crate) use conv::{Geometry, Images};
pub use conv3d::{Conv3dConfig, Thw};
pub use hw::Hw;
pub use max_pool::MaxPool2dConfig;
pub use norm::BatchNormConfig;
pub(crate) use pixels::images;
pub use pixels::{Normalisation, PixelLayout};
pub(crate) use shift::{Clips, TemporalShift};
