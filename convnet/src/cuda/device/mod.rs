//! GPUs: listing and opening them, their memory, and starting kernels.

mod arg;
mod error;
mod gpu;
mod memory;
mod support;
mod timer;

pub(super) use arg::{Arg, Table, VARIABLES, suffix, vector};
pub(super) use error::error;
pub(super) use gpu::{BLOCK, Gpu};
pub use gpu::{CudaConfig, open};
pub(crate) use memory::tensor;
pub(super) use memory::{Operand, address, address_of_first, float_type, fresh, start};
pub use support::{Capability, GpuInfo, gpus};
pub use timer::Cost;
pub(super) use timer::{Timed, Timer};
