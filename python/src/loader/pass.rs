//! One pass of a loader through an epoch.

use super::batch::to_python;
use super::{Loader, Progress};
use crate::error;
use crate::process::PerProcess;
use crate::samples::{Opened, Part};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::task::Poll;
use std::time::Duration;

/// Time after which a waiting loader looks for Ctrl-C.
const PATIENCE: Duration = Duration::from_millis(50);

/// The threads of a pass, which belong to one process.
pub struct Running {
    process: u32,
    threads: Threads,
    opened: Opened,
}

enum Threads {
    Running(clip_loader::Loader),
    /// They were ended, and start again for the next batch.
    Stopped,
    /// There are no further batches.
    Ended,
}

impl Drop for Running {
    fn drop(&mut self) {
        // In the child of a fork, the threads do not exist.
        if self.process != std::process::id() {
            std::mem::forget(std::mem::replace(&mut self.threads, Threads::Ended));
        }
    }
}

/// Iterates over the batches of one epoch.
#[pyclass(frozen, module = "clipshard")]
pub struct Pass {
    owner: Py<Loader>,
    /// Number of the pass in its loader.
    number: u64,
    epoch: u64,
    /// Number of samples of the epoch that all ranks have seen, up to the last batch that was
    /// returned.
    seen: AtomicU64,
    parts: Arc<Vec<Part>>,
    running: PerProcess<Mutex<Running>>,
}

impl Pass {
    /// Starts the threads.
    pub fn start(owner: &Bound<'_, Loader>, place: Progress, opened: Opened) -> PyResult<Self> {
        let Progress { epoch, seen, pass, .. } = place;
        let parts = Arc::clone(owner.get().view(owner.py()).get().parts());
        let running = Running { process: std::process::id(), threads: run(owner, &opened, seen)?, opened };
        let running = PerProcess::new(Arc::new(Mutex::new(running)));
        Ok(Self { owner: owner.clone().unbind(), number: pass, epoch, seen: AtomicU64::new(seen), parts, running })
    }

    /// Returns the threads of this process.
    fn running(&self, py: Python<'_>) -> PyResult<Arc<Mutex<Running>>> {
        // After a fork, the child continues with threads of its own. It must not touch the lock of
        // its parent, so it opens the samples again.
        self.running.get(|_| {
            let opened = self.owner.get().open(py, self.epoch)?;
            Ok(Mutex::new(Running { process: std::process::id(), threads: Threads::Stopped, opened }))
        })
    }

    fn report(&self, place: Progress) {
        self.owner.get().report(Progress { pass: self.number, ..place });
    }
}

/// Starts threads that make the batches after the first `seen` samples.
fn run(owner: &Bound<'_, Loader>, opened: &Opened, seen: u64) -> PyResult<Threads> {
    let builder = owner.get().builder(opened.samples(), seen);
    // Memory of PyTorch is allocated with the GIL, by this thread.
    Ok(Threads::Running(owner.py().detach(|| builder.start()).map_err(error::loader)?))
}

#[pymethods]
impl Pass {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Returns the number of batches that are left.
    fn __length_hint__(&self, py: Python<'_>) -> usize {
        self.owner.get().batches_from(py, self.seen.load(Ordering::Relaxed))
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let (owner, seen) = (self.owner.bind(py), self.seen.load(Ordering::Relaxed));
        let running = self.running(py)?;
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
        let Running { process, threads, opened } = &mut *running;
        if matches!(threads, Threads::Stopped) {
            *threads = run(owner, opened, seen)?;
        }
        let Threads::Running(loader) = threads else { return Ok(None) };
        let next = loop {
            match py.detach(|| loader.poll_batch(PATIENCE)) {
                Ok(Poll::Pending) => {
                    py.check_signals()?;
                    // A signal handler has forked, and this is the child, which has no such threads.
                    if *process != std::process::id() {
                        return self.__next__(py);
                    }
                }
                Ok(Poll::Ready(next)) => break Ok(next),
                Err(fault) => break Err(fault),
            }
        };
        let (seen, damaged) = (loader.state().seen, opened.damaged());
        let place = Progress { epoch: self.epoch, seen, damaged, ..Progress::default() };
        match next {
            Ok(Some(batch)) => match to_python(py, batch, opened, &self.parts, owner.get().output()) {
                Ok(batch) => {
                    self.seen.store(seen, Ordering::Relaxed);
                    self.report(place);
                    Ok(Some(batch))
                }
                // Ctrl-C, for example. The next call makes this batch again.
                Err(fault) => {
                    end(py, threads, Threads::Stopped);
                    Err(fault)
                }
            },
            Ok(None) => {
                self.report(Progress { epoch: self.epoch + 1, seen: 0, ..place });
                end(py, threads, Threads::Ended);
                Ok(None)
            }
            Err(fault) => {
                end(py, threads, Threads::Ended);
                Err(error::loader(fault))
            }
        }
    }

    /// Ends the threads. The iterator has no further batches.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let running = self.running(py)?;
        // Another thread that waits for a batch holds the lock, and continues to the end.
        let mut running = match running.try_lock() {
            Ok(running) => running,
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        end(py, &mut running.threads, Threads::Ended);
        Ok(())
    }
}

/// Ends the threads without the GIL, because they may wait for it.
fn end(py: Python<'_>, threads: &mut Threads, state: Threads) {
    let ended = std::mem::replace(threads, state);
    py.detach(|| drop(ended));
}
