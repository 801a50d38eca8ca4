//! The operations on the CPU.
//!
//! Only shapes determine how work is split into blocks, so results do not depend on the number of
//! threads.

pub(crate) mod activation;
pub(crate) mod avg_pool;
pub(crate) mod channels;
pub(crate) mod conv;
pub(crate) mod dense;
pub(crate) mod matmul;
pub(crate) mod max_pool;
pub(crate) mod norm;
pub(crate) mod parallel;
pub(crate) mod product;
pub(crate) mod shift;
pub(crate) mod simd;
pub(crate) mod statistics;
pub(crate) mod unwritten;
