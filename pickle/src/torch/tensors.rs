//! The tensors of a file, and where their elements come from.

use crate::error::Result;

/// A floating-point tensor.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NamedTensor {
    /// Its name: the key in the dictionary, or the path to it in a module.
    pub name: String,
    /// Its sizes; empty for a single number.
    pub shape: Vec<usize>,
    /// Its elements, the last index fastest, whatever order the file has.
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
    /// Floating-point tensors in the file's order. Others, such as counters, are left out.
    pub tensors: Vec<NamedTensor>,
    /// Where in the file they are: keys with points between them, such as `state_dict`; empty for the file itself.
    pub path: String,
}

/// The storages that lie outside of a pickle.
pub(crate) trait Storages {
    /// The bytes of one; none where it is not there.
    fn bytes(&mut self, key: &str) -> Result<Option<&[u8]>>;
}

/// Those of a plain pickle, which has none.
pub(crate) struct Nowhere;

impl Storages for Nowhere {
    fn bytes(&mut self, _: &str) -> Result<Option<&[u8]>> {
        Ok(None)
    }
}
