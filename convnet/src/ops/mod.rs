//! Differentiable ops, and the layers that hold their parameters. Each op computes on the CPU and on a GPU.

pub(crate) mod batch_norm;
pub(crate) mod conv;
pub(crate) mod linear;
pub(crate) mod loss;
pub(crate) mod pixels;
pub(crate) mod pool;
pub(crate) mod relu;
