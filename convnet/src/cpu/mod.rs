//! The operations on the CPU.
//!
//! Only shapes determine how work is split into blocks, so results do not depend on the number of
//! threads.

pub(crate) mod conv;
pub(crate) mod dense;
pub(crate) mod matmul;
pub(crate) mod norm;
pub(crate) mod parallel;
pub(crate) mod pool;
pub(crate) mod product;
pub(crate) mod shift;
pub(crate) mod simd;
pub(crate) mod statistics;
pub(crate) mod unwritten;
