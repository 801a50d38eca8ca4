//! Sizes and settings that the operations share with the CPU and GPU code. This module depends on
//! no other module of the crate.

mod conv;
mod norm;
mod pixels;
mod pool;
mod shift;

pub use conv::Conv2dConfig;
pub(crate) use conv::{Geometry, Images};
pub use norm::BatchNormConfig;
pub(crate) use pixels::images;
pub use pixels::{Normalisation, PixelLayout};
pub use pool::MaxPool2dConfig;
pub(crate) use shift::{TemporalShift, check_clips};
