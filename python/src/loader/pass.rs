//! One pass of a loader through an epoch.

use super::batch::to_python;
use super::{Loader, Progress};
use crate::error;
use crate::process::PerProcess;
use crate::samples::{Opened, Part};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::task::Poll;
use std::time::Duration;

/// Time after which a waiting loader looks for Ctrl-C.
const PATIENCE: Duration = Duration::from_millis(50);

/// The threads of a pass, which belong to one process.
pub struct Running {
    process: u32,
    /// `None` after the end.
    loader: Option<clip_loader::Loader>,
    opened: Opened,
}

impl Drop for Running {
    fn drop(&mut self) {
        // In the child of a fork, the threads do not exist.
        if self.process != std::process::id() {
            std::mem::forget(self.loader.take());
        }
    }
}

/// Iterates over the batches of one epoch.
#[pyclass(frozen, module = "clipshard")]
pub struct Pass {
    owner: Py<Loader>,
    epoch: u64,
    parts: Arc<Vec<Part>>,
    running: PerProcess<Mutex<Running>>,
}

impl Pass {
    /// Starts the threads.
    pub fn start(owner: &Bound<'_, Loader>, epoch: u64, seen: u64) -> PyResult<Self> {
        let parts = Arc::clone(owner.get().view(owner.py()).get().parts());
        let running = PerProcess::new(Arc::new(Mutex::new(run(owner, epoch, seen)?)));
        Ok(Self { owner: owner.clone().unbind(), epoch, parts, running })
    }
}

fn run(owner: &Bound<'_, Loader>, epoch: u64, seen: u64) -> PyResult<Running> {
    let (py, this) = (owner.py(), owner.get());
    let opened = this.open(py, epoch)?;
    let builder = this.builder(opened.samples(), seen);
    // Memory of PyTorch is allocated with the GIL, by this thread.
    let loader = py.detach(|| builder.start()).map_err(error::loader)?;
    Ok(Running { process: std::process::id(), loader: Some(loader), opened })
}

#[pymethods]
impl Pass {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Returns the number of batches that are left.
    fn __length_hint__(&self, py: Python<'_>) -> usize {
        let (owner, seen) = (self.owner.bind(py), self.owner.get().progress().seen);
        owner.get().batches_from(py, seen)
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let owner = self.owner.bind(py);
        // After a fork, the child continues with threads of its own.
        let again = |_: &Mutex<Running>| run(owner, self.epoch, owner.get().progress().seen).map(Mutex::new);
        let running = self.running.get(again)?;
        let mut running = match running.try_lock() {
            Ok(running) => running,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(error::other(
                    "another thread waits for a batch of this iterator; give each thread a loader of its own, \
                     or take the batches in one thread",
                ));
            }
        };
        let running: &mut Running = &mut running;
        let Some(loader) = running.loader.as_mut() else { return Ok(None) };
        let next = loop {
            match py.detach(|| loader.poll_batch(PATIENCE)) {
                Ok(Poll::Pending) => py.check_signals()?,
                Ok(Poll::Ready(next)) => break Ok(next),
                Err(fault) => break Err(fault),
            }
        };
        let (seen, damaged) = (loader.state().seen, running.opened.damaged());
        match next {
            Ok(Some(batch)) => {
                let this = owner.get();
                let batch = to_python(py, batch, &running.opened, &self.parts, this.output())?;
                this.set_progress(Progress { epoch: self.epoch, seen, resumes: false, damaged });
                Ok(Some(batch))
            }
            Ok(None) => {
                owner.get().set_progress(Progress { epoch: self.epoch + 1, seen: 0, resumes: false, damaged });
                end(py, running);
                Ok(None)
            }
            Err(fault) => {
                end(py, running);
                Err(error::loader(fault))
            }
        }
    }

    /// Ends the threads. The iterator has no further batches.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let ended = |parent: &Mutex<Running>| {
            let _ = parent;
            Err(error::closed("the threads of this iterator belong to the parent process"))
        };
        let Ok(running) = self.running.get(ended) else { return Ok(()) };
        // Another thread that waits for a batch holds the lock, and continues to the end.
        let mut running = match running.try_lock() {
            Ok(running) => running,
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        end(py, &mut running);
        Ok(())
    }
}

/// Ends the threads without the GIL, because they may wait for it.
fn end(py: Python<'_>, running: &mut Running) {
    let loader = running.loader.take();
    py.detach(|| drop(loader));
}
