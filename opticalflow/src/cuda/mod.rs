//! TV-L1 on an NVIDIA card: many pairs at once, a block of threads each.

#[cfg(feature = "cuda")]
mod card;
mod plan;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

#[cfg(feature = "cuda")]
pub use card::CudaTvL1;
