//! One pass through samples, in order.

use super::class::Samples;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::atomic::{AtomicU64, Ordering};

/// Iterates over samples.
#[pyclass(frozen, module = "clipshard")]
pub struct SamplesIterator {
    samples: Py<Samples>,
    next: AtomicU64,
}

impl SamplesIterator {
    pub fn new(samples: Py<Samples>) -> Self {
        Self { samples, next: AtomicU64::new(0) }
    }
}

#[pymethods]
impl SamplesIterator {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let samples = self.samples.bind(py).get();
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        if next >= samples.len() as u64 {
            return Ok(None);
        }
        samples.__getitem__(py, next.into_pyobject(py)?.as_any()).map(Some)
    }
}
