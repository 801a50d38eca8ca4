//! TV-L1 on an NVIDIA GPU: many pairs at once, with one block of threads per pair.

#[cfg(feature = "cuda")]
mod gpu;
mod plan;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

#[cfg(feature = "cuda")]
pub use gpu::CudaTvL1;
