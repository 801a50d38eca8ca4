//! Batch normalisation over the channels of NHWC images, with an optional ReLU in the same pass.
//!
//! `y = (x - mean) / sqrt(var + eps) · weight + bias`, Ioffe and Szegedy 2015, as
//! [`torch.nn.BatchNorm2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html).
//! The sums are over differences from one value of each channel, and their last step is in f64. A
//! large mean therefore does not hide a small variance.

mod layer;
mod op;
mod sync;

pub use layer::BatchNorm2d;
pub(crate) use op::{Moments, NormBy};
pub use sync::NormSync;
