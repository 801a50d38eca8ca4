//! A GPU: how it is opened, its memory, and how kernels start on it.

mod arg;
mod cards;
mod error;
mod gpu;
mod memory;
mod timer;

pub(super) use arg::{Arg, Table, VARIABLES, suffix, vector};
pub use cards::{Capability, Card, cards};
pub(super) use error::error;
pub(super) use gpu::{BLOCK, Gpu};
pub use gpu::{CudaConfig, open};
pub(crate) use memory::tensor;
pub(super) use memory::{Operand, address, address_of_first, float_type, fresh, start};
pub use timer::Cost;
pub(super) use timer::{Timed, Timer};
