//! Memory of batches that PyTorch allocates, for copies to a GPU.
#![allow(unsafe_code, reason = "the memory belongs to a tensor")]

use crate::error;
use clip_loader::{Allocate, Error, Result, SlotMemory};
use pyo3::intern;
use pyo3::prelude::*;

/// Allocates page-locked memory by `torch.empty(..., pin_memory=True)`.
#[derive(Debug)]
pub struct PinnedByTorch;

impl Allocate for PinnedByTorch {
    fn allocate(&self, bytes: usize) -> Result<Box<dyn SlotMemory>> {
        let make = |py: Python<'_>| {
            let glue = py.import(intern!(py, "clipshard._torch"))?;
            let tensor = glue.call_method1(intern!(py, "pinned"), (bytes,))?;
            let data: usize = tensor.call_method0(intern!(py, "data_ptr"))?.extract()?;
            let found: usize = tensor.getattr(intern!(py, "nbytes"))?.extract()?;
            if bytes > 0 && (data == 0 || found < bytes) {
                return Err(error::memory(format!("torch allocated {found} bytes of page-locked memory, not {bytes}")));
            }
            Ok::<_, PyErr>(TensorMemory { tensor: tensor.unbind(), data: data as *mut u8, bytes })
        };
        let memory = Python::attach(make).map_err(Error::other)?;
        Ok(Box::new(memory))
    }
}

/// The bytes of a tensor.
#[derive(Debug)]
pub struct TensorMemory {
    tensor: Py<PyAny>,
    data: *mut u8,
    bytes: usize,
}

// SAFETY: the bytes belong to the tensor, which can be dropped in any thread.
unsafe impl Send for TensorMemory {}

impl TensorMemory {
    pub fn into_tensor(self) -> Py<PyAny> {
        self.tensor
    }
}

impl SlotMemory for TensorMemory {
    fn bytes_mut(&mut self) -> Result<&mut [u8]> {
        if self.bytes == 0 {
            return Ok(&mut []);
        }
        // SAFETY: the tensor is contiguous, has so many bytes, and lives as long as `self`. Nothing
        // else has a reference to it before the loader hands it out.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.data, self.bytes) })
    }
}
