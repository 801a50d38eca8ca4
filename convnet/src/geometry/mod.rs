//! Sizes and settings that the ops share with the CPU's and the GPU's code. They depend on nothing else of this crate.

mod conv;
mod norm;
mod pixels;
mod pool;

pub use conv::Conv2dConfig;
pub(crate) use conv::{Geometry, Images};
pub use norm::BatchNormConfig;
pub(crate) use pixels::images;
pub use pixels::{Normalisation, PixelLayout};
pub use pool::MaxPool2dConfig;
