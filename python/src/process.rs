//! Forks and signals of the process.
//!
//! A [`PerProcess`] holds a value that belongs to one process. After a fork, the child makes its own.
//! A fork copies the memory of a process, but only one of its threads. A lock that another thread
//! held stays locked forever in the child. So the child must not touch anything that has threads
//! or locks: it leaks the copy and makes a new value.

use pyo3::prelude::*;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time between two looks at signals.
const PATIENCE: Duration = Duration::from_millis(100);

/// Looks at signals, such as Ctrl-C, while a thread works without the GIL.
pub struct Signals {
    looked: Instant,
}

impl Signals {
    pub fn new() -> Self {
        Self { looked: Instant::now() }
    }

    /// Calls the handlers of signals if the last look was some time ago. They may raise.
    #[allow(clippy::redundant_closure_for_method_calls, reason = "the lifetime of the method is not general enough")]
    pub fn look(&mut self) -> PyResult<()> {
        if self.looked.elapsed() > PATIENCE {
            Python::attach(|py| py.check_signals())?;
            self.looked = Instant::now();
        }
        Ok(())
    }
}

/// A shared value of the process that made it, and a function that makes it again after a fork.
///
/// The lock is held for a few instructions only, with the GIL: `fork` from Python needs the GIL,
/// so no thread of Python holds the lock at that moment.
pub struct PerProcess<T> {
    current: Mutex<(u32, Arc<T>)>,
}

impl<T> PerProcess<T> {
    pub fn new(value: Arc<T>) -> Self {
        Self { current: Mutex::new((std::process::id(), value)) }
    }

    /// Returns the value of this process. Calls `make` if the value belongs to the parent process.
    pub fn get<E>(&self, make: impl FnOnce(&T) -> Result<T, E>) -> Result<Arc<T>, E> {
        let (process, value) = {
            let current = self.lock();
            (current.0, Arc::clone(&current.1))
        };
        if process == std::process::id() {
            return Ok(value);
        }
        // The lock is free here, because `make` may release the GIL.
        let made = make(&value).map(Arc::new);
        // The parent's value is leaked: its locks and threads do not exist here.
        std::mem::forget(value);
        let (made, mut current) = (made?, self.lock());
        if current.0 != std::process::id() {
            // Another thread of this process has made no value meanwhile.
            std::mem::forget(std::mem::replace(&mut current.1, made));
            current.0 = std::process::id();
        }
        Ok(Arc::clone(&current.1))
    }

    fn lock(&self) -> MutexGuard<'_, (u32, Arc<T>)> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for PerProcess<T> {
    /// Leaks the value if it belongs to the parent process.
    fn drop(&mut self) {
        let (process, value) = self.current.get_mut().unwrap_or_else(PoisonError::into_inner);
        if *process != std::process::id() {
            std::mem::forget(Arc::clone(value));
        }
    }
}
