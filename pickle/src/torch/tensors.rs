//! The tensors of a file, and the source of their elements.

use crate::error::Result;

/// A floating-point tensor.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NamedTensor {
    /// Name of the tensor: its key in the dictionary, or its path in a module.
    pub name: String,
    /// Size of each dimension; empty for a single number.
    pub shape: Vec<usize>,
    /// The elements in row-major order: the last index varies fastest, whatever the strides in the
    /// file are.
    pub values: Vec<f32>,
}

impl NamedTensor {
    /// Combines a name with a shape and the elements.
    pub fn new(name: impl Into<String>, shape: Vec<usize>, values: Vec<f32>) -> Self {
        Self { name: name.into(), shape, values }
    }
}

/// The tensors of a file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tensors {
    /// The floating-point tensors in the order of the file. Other tensors, such as counters, are
    /// skipped.
    pub tensors: Vec<NamedTensor>,
    /// The keys that lead to the tensors, joined with dots, such as `state_dict`. It is empty if
    /// the file itself is the dictionary.
    pub path: String,
}

/// The storages outside of a pickle.
pub(crate) trait Storages {
    /// Returns the bytes of a storage, or `None` if it does not exist.
    fn bytes(&mut self, key: &str) -> Result<Option<&[u8]>>;
}

/// The storages of a plain pickle, which has none.
pub(crate) struct Nowhere;

impl Storages for Nowhere {
    fn bytes(&mut self, _: &str) -> Result<Option<&[u8]>> {
        Ok(None)
    }
}
