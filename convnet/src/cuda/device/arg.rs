//! Arguments of kernels, and the suffixes of their names.

use super::memory::{Operand, address, bytes, start};
use candle_core::cuda::CudaStorage;
use candle_core::{DType, Result};

/// Number of variables that one launch of the optimiser updates: `MOVED` in `kernels.cu`.
pub(crate) const VARIABLES: usize = 120;

/// Addresses of variable, momentum and gradient, and the number of values: `Table` in `kernels.cu`.
pub(crate) type Table = [[u64; 4]; VARIABLES];

/// An argument of a kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg<'a> {
    /// An address on the device, and the number of bytes there.
    Memory(u64, usize),
    /// `int`, not negative.
    Int(usize),
    /// `int`, possibly negative.
    Signed(isize),
    /// `int64_t`.
    Long(usize),
    /// `float`.
    Float(f32),
    /// A structure, by value.
    Table(&'a Table),
}

impl Arg<'_> {
    /// Returns the memory of a contiguous tensor of type `dtype`.
    pub(crate) fn tensor((storage, layout): Operand, dtype: DType, op: &str) -> Result<Self> {
        let bytes = layout.shape().elem_count() * dtype.size_in_bytes();
        Ok(Self::Memory(address(storage, layout, dtype, op)?, bytes))
    }

    /// Returns the memory of a storage that `fresh` allocated.
    pub(crate) fn fresh(storage: &CudaStorage) -> Self {
        Self::Memory(start(storage), bytes(storage))
    }

    /// A missing optional tensor: a null pointer.
    pub(crate) const NONE: Self = Self::Memory(0, 0);

    /// Returns the number of bytes that the kernel reads and writes for this argument.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Memory(_, bytes) => *bytes,
            // A step reads and writes variable and momentum, and reads the gradient: five accesses
            // per value.
            Self::Table(table) => table.iter().map(|entry| 5 * size_of::<f32>() * entry[3] as usize).sum(),
            _ => 0,
        }
    }
}

/// Returns the suffix of kernels that work on single values.
pub(crate) fn suffix(dtype: DType) -> &'static str {
    if dtype == DType::BF16 { "bf16" } else { "f32" }
}

/// Returns the number of values that a thread reads at once: 16 bytes, or 1 value if `len` is not a
/// multiple of that.
pub(crate) fn vector(dtype: DType, len: usize) -> usize {
    let vector = 16 / dtype.size_in_bytes();
    if len.is_multiple_of(vector) { vector } else { 1 }
}
