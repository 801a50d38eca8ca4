//! Convolution with 3 x 3 kernels and stride 1 by Winograd's F(4 x 4, 3 x 3): a quarter of the products, and a few sums.
//!
//! Destinations are cut into tiles of 4 x 4 pixels. For a block of tiles that fits the last-level cache: transform the inputs of
//! each tile into 36 planes, multiply each plane with the kernels' plane of the same number, transform back. The data gradient
//! is the forward pass with channels exchanged and the kernels turned round.

mod forward;
mod shape;
mod tiles;
mod transform;
mod weight_grad;

pub(super) use shape::{Winograd, suits};
