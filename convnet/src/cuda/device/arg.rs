//! What kernels take, and what their names end in.

use super::memory::{Operand, address, bytes, start};
use candle_core::cuda::CudaStorage;
use candle_core::{DType, Result};

/// Variables that one launch of the optimiser moves: `MOVED` of the kernel.
pub(crate) const VARIABLES: usize = 120;

/// Addresses of variable, momentum and gradient, and the number of values; the kernel's `Table`.
pub(crate) type Table = [[u64; 4]; VARIABLES];

/// An argument of a kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg<'a> {
    /// Address of as many bytes on the device.
    Memory(u64, usize),
    /// `int`
    Int(usize),
    /// `int` that may be negative
    Signed(isize),
    /// `int64_t`
    Long(usize),
    /// `float`
    Float(f32),
    /// A structure by value.
    Table(&'a Table),
}

impl Arg<'_> {
    /// All of a contiguous tensor of type `dtype`.
    pub(crate) fn tensor((storage, layout): Operand, dtype: DType, op: &str) -> Result<Self> {
        let bytes = layout.shape().elem_count() * dtype.size_in_bytes();
        Ok(Self::Memory(address(storage, layout, dtype, op)?, bytes))
    }

    /// All of the memory that `fresh` gave.
    pub(crate) fn fresh(storage: &CudaStorage) -> Self {
        Self::Memory(start(storage), bytes(storage))
    }

    /// No tensor.
    pub(crate) const NONE: Self = Self::Memory(0, 0);

    /// Bytes that the kernel reads and writes for this argument.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Memory(_, bytes) => *bytes,
            // Variables and momenta are read and written, gradients read.
            Self::Table(table) => table.iter().map(|entry| 5 * size_of::<f32>() * entry[3] as usize).sum(),
            _ => 0,
        }
    }
}

/// Suffix of a kernel of single values.
pub(crate) fn suffix(dtype: DType) -> &'static str {
    if dtype == DType::BF16 { "bf16" } else { "f32" }
}

/// Values that a thread reads at once: 16 bytes, or 1 where `len` is no multiple of that.
pub(crate) fn vector(dtype: DType, len: usize) -> usize {
    let vector = 16 / dtype.size_in_bytes();
    if len.is_multiple_of(vector) { vector } else { 1 }
}
