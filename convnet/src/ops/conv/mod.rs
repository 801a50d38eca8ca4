//! 2-D convolution of NHWC images with OIHW weights, with gradients.

mod fused;
mod kept;
mod layer;
mod op;

pub(crate) use fused::{FixedNorm, Kept, forward, forward_with_norm};
pub(crate) use kept::KeptKernels;
pub use layer::Conv2d;
pub(crate) use layer::INIT;
pub use op::{conv2d, conv2d_with_bias};
