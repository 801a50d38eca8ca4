//! Turns the batches of the loader crate into arrays and tensors.

use super::memory::TensorMemory;
use crate::error;
use crate::samples::{Opened, Part, describe_all};
use clip_loader::Batch;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::any::Any;
use std::ptr::NonNull;

/// The library whose arrays a batch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    Numpy,
    Torch,
    Jax,
}

impl To {
    pub fn parse(name: &str) -> PyResult<Self> {
        Ok(match name {
            "numpy" => Self::Numpy,
            "torch" => Self::Torch,
            "jax" => Self::Jax,
            other => return Err(error::option(format!("to is {other:?}, not \"numpy\", \"torch\" or \"jax\""))),
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Numpy => "numpy",
            Self::Torch => "torch",
            Self::Jax => "jax",
        }
    }
}

/// The memory of a batch. It is the base object of the batch's arrays. When the last of them is
/// gone, the loader uses the memory again.
#[pyclass(frozen, module = "clipshard")]
pub struct Slot {
    batch: Option<Batch>,
    process: u32,
}

impl Drop for Slot {
    fn drop(&mut self) {
        // In the child of a fork, the lock of the parent's ring may be locked forever.
        if self.process != std::process::id() {
            std::mem::forget(self.batch.take());
        }
    }
}

/// Makes the dict of a batch.
pub fn to_python<'py>(
    py: Python<'py>,
    batch: Batch,
    opened: &Opened,
    parts: &[Part],
    (to, is_pinned): (To, bool),
) -> PyResult<Bound<'py, PyDict>> {
    let (clips, numbers): (Vec<_>, Vec<_>) = batch.samples().map(|i| (opened.clip(i), opened.number(i))).unzip();
    let result = PyDict::new(py);
    if is_pinned {
        pinned(&result, batch, parts)?;
    } else {
        shared(&result, batch, parts)?;
    }
    describe_all(&result, &clips, &numbers)?;
    let convert = match to {
        To::Numpy => return Ok(result),
        To::Torch => py.import(intern!(py, "clipshard._torch"))?.getattr(intern!(py, "tensors"))?,
        To::Jax => py.import(intern!(py, "clipshard._jax"))?.getattr(intern!(py, "arrays"))?,
    };
    convert.call1((&result,))?;
    Ok(result)
}

/// Adds arrays over the memory of the batch, which return it to the loader when they are gone.
fn shared(result: &Bound<'_, PyDict>, mut batch: Batch, parts: &[Part]) -> PyResult<()> {
    let (py, count) = (result.py(), batch.len());
    let places: Vec<NonNull<u8>> = (0..parts.len()).map(|part| NonNull::from(batch.part_mut(part)).cast()).collect();
    let slot = Bound::new(py, Slot { batch: Some(batch), process: std::process::id() })?.into_any();
    for (part, place) in parts.iter().zip(places) {
        // SAFETY: the batch has so many samples of this part, and the slot keeps its memory. Nothing
        // in Rust reads it before the slot is dropped.
        #[allow(unsafe_code)]
        result.set_item(&part.name, unsafe { part.array(slot.clone(), place, Some(count))? })?;
    }
    Ok(())
}

/// Adds tensors of memory that PyTorch has allocated. The loader gets other memory: a copy to a GPU
/// may still read this one when the tensors are gone, and only PyTorch knows when it ends.
fn pinned(result: &Bound<'_, PyDict>, batch: Batch, parts: &[Part]) -> PyResult<()> {
    let (py, count) = (result.py(), batch.len());
    let address = |part: usize| batch.part(part).as_ptr().addr();
    let places: Vec<usize> = (0..parts.len()).map(|part| address(part) - address(0)).collect();
    let memory: Box<dyn Any> = py.detach(|| batch.detach()).map_err(error::loader)?;
    let Ok(memory) = memory.downcast::<TensorMemory>() else {
        return Err(error::other(
            "a batch is not in memory of PyTorch; this is a defect of clipshard: please report it",
        ));
    };
    let tensor = memory.into_tensor();
    let view = py.import(intern!(py, "clipshard._torch"))?.getattr(intern!(py, "view"))?;
    for (part, place) in parts.iter().zip(places) {
        let item = part.samples.bytes() as isize;
        let strides: Vec<isize> = part.batch_strides().into_iter().map(|stride| stride / item).collect();
        let (shape, strides) = (PyTuple::new(py, part.batch_shape(count))?, PyTuple::new(py, strides)?);
        let dtype = crate::array::type_name(part.samples);
        let bytes = count * part.bytes;
        result.set_item(&part.name, view.call1((&tensor, place, bytes, dtype, shape, strides))?)?;
    }
    Ok(())
}
