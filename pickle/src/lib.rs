#![doc = include_str!("../README.md")]

mod dtype;
mod error;
mod input;
mod instances;
mod machine;
mod node;
mod objects;
mod op;
mod rows;
mod torch;

pub use dtype::{DType, Kind};
pub use error::PickleError;
pub use rows::{Rows, read_rows};
pub use torch::{NamedTensor, Tensors, read_tensors};

#[cfg(test)]
mod tests;
