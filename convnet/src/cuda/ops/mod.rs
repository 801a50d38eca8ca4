//! The operations on a GPU, with kernels of `kernels.cu` or cuDNN.

pub(crate) mod conv;
pub(crate) mod elementwise;
pub(crate) mod loss;
pub(crate) mod norm;
pub(crate) mod pixels;
pub(crate) mod pool;
pub(crate) mod sgd;
pub(crate) mod shift;
pub(crate) mod space_to_depth;
