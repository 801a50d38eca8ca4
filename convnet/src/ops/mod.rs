//! Operations with gradients, and the layers that hold their parameters. Each operation runs on the
//! CPU and on GPUs.

pub(crate) mod activation;
pub(crate) mod add;
pub(crate) mod avg_pool;
pub(crate) mod batch_norm;
pub(crate) mod conv;
pub(crate) mod conv3d;
pub(crate) mod global_avg_pool;
pub(crate) mod linear;
pub(crate) mod loss;
pub(crate) mod max_pool;
pub(crate) mod pixels;
pub(crate) mod relu;
pub(crate) mod shift;
pub(crate) mod squeeze_excitation;
pub(crate) mod stochastic_depth;
