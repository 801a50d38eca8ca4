//! Operations with gradients, and the layers that hold their parameters. Each operation runs on the
//! CPU and on GPUs.

pub(crate) mod batch_norm;
pub(crate) mod conv;
pub(crate) mod linear;
pub(crate) mod loss;
pub(crate) mod pixels;
pub(crate) mod pool;
pub(crate) mod relu;
pub(crate) mod shift;
pub(crate) mod stochastic_depth;
