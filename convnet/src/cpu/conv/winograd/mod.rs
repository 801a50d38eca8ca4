//! Winograd convolution: F(4 x 4, 3 x 3) for 3 x 3 kernels with stride 1, which needs a quarter of the
//! multiplications. F(3 x 3, 4 x 4) for 7 x 7 kernels with stride 2.
//!
//! The destination is split into tiles of 4 x 4 or 3 x 3 pixels. Blocks of tiles fit in the last-level
//! cache. For each block, the code transforms the inputs of each tile into 36 planes, multiplies
//! each plane with the plane of the kernels that has the same number, and transforms the products
//! to results. The data gradient is the same computation with exchanged channels and rotated
//! kernels.

mod forward;
mod shape;
mod strided;
mod tiles;
mod transform;
mod weight_grad;

pub(super) use shape::{Winograd, suits};
pub(super) use strided::Strided;
