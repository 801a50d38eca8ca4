//! Convolution on processors.

pub(crate) mod direct;
pub(crate) mod finish;
pub(crate) mod images;
pub(crate) mod pack;
pub(crate) mod product;
pub(crate) mod simd;
pub(crate) mod weight_grad;
pub(crate) mod winograd;

#[cfg(test)]
mod tests;
