//! The ops' arithmetic on processors. Work is cut into blocks by shapes alone, so that results do not depend on threads.

pub(crate) mod conv;
pub(crate) mod dense;
pub(crate) mod matmul;
pub(crate) mod norm;
pub(crate) mod parallel;
pub(crate) mod pool;
pub(crate) mod product;
pub(crate) mod simd;
pub(crate) mod statistics;
pub(crate) mod unwritten;
