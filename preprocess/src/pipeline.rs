//! Parallel work with results in order and bounded memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use crate::error::{Error, Result};

/// Bytes that may be encoded but not yet written. One item is always let through, however large.
const BUDGET_BYTES: u64 = 512 << 20;

/// What workers share: the next item to take and the bytes under way.
struct Gate<'a> {
    state: Mutex<GateState>,
    freed: Condvar,
    weights: &'a [u64],
}

struct GateState {
    next: usize,
    bytes: u64,
    stopped: bool,
}

impl Gate<'_> {
    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next item, once there is room for it. Items are handed out in order, so the one that the writer waits for
    /// is always under way and room comes back.
    fn take(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            let item = state.next;
            if state.stopped || item == self.weights.len() {
                return None;
            }
            if state.bytes == 0 || state.bytes + self.weights[item] <= BUDGET_BYTES {
                state.next += 1;
                state.bytes += self.weights[item];
                return Some(item);
            }
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn release(&self, item: usize) {
        self.lock().bytes -= self.weights[item];
        self.freed.notify_all();
    }

    fn stop(&self) {
        self.lock().stopped = true;
        self.freed.notify_all();
    }
}

/// Stops the others when a worker panics, so that none waits for ever.
struct StopOnPanic<'a>(&'a Gate<'a>);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

/// Runs `work` for the items 0.. on `jobs` threads, each with its own state from `start`, and hands the results to
/// `write` in order on the calling thread. `weights` are the bytes that each result holds, about. The first error ends it.
pub(crate) fn run_ordered<S, T: Send>(
    weights: &[u64],
    jobs: usize,
    cancel: &AtomicBool,
    start: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, usize) -> Result<T> + Sync,
    mut write: impl FnMut(usize, T) -> Result<()>,
) -> Result<()> {
    let gate =
        Gate { state: Mutex::new(GateState { next: 0, bytes: 0, stopped: false }), freed: Condvar::new(), weights };
    let (gate, start, work) = (&gate, &start, &work);
    thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for _ in 0..jobs.clamp(1, weights.len().max(1)) {
            let sender = sender.clone();
            scope.spawn(move || {
                let _guard = StopOnPanic(gate);
                let mut state = match start() {
                    Ok(state) => state,
                    Err(error) => {
                        gate.stop();
                        let _ = sender.send((0, Err(error)));
                        return;
                    }
                };
                while let Some(item) = gate.take() {
                    let result = work(&mut state, item);
                    if sender.send((item, result)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let outcome = write_in_order(gate, &results, cancel, &mut write);
        if outcome.is_err() {
            gate.stop();
        }
        outcome
    })
}

fn write_in_order<T>(
    gate: &Gate<'_>,
    results: &mpsc::Receiver<(usize, Result<T>)>,
    cancel: &AtomicBool,
    write: &mut impl FnMut(usize, T) -> Result<()>,
) -> Result<()> {
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    for (item, result) in results {
        waiting.insert(item, result?);
        while let Some(result) = waiting.remove(&next) {
            if cancel.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            write(next, result)?;
            gate.release(next);
            next += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_whatever_the_jobs_and_weights() {
        let weights: Vec<u64> = (0..200).map(|i| (i % 7) * (BUDGET_BYTES / 3)).collect();
        for jobs in [1, 4] {
            let mut got = Vec::new();
            run_ordered(
                &weights,
                jobs,
                &AtomicBool::new(false),
                || Ok(()),
                |(), i| {
                    if i % 3 == 0 {
                        thread::sleep(std::time::Duration::from_micros(200));
                    }
                    Ok(i * i)
                },
                |i, square| {
                    got.push((i, square));
                    Ok(())
                },
            )
            .unwrap();
            assert_eq!(got, (0..200).map(|i| (i, i * i)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_error_ends_the_work() {
        let fail_at = |at: usize| {
            let cancel = AtomicBool::new(false);
            let work = |(): &mut (), i| if i == at { Err(Error::Input("bad".into())) } else { Ok(()) };
            run_ordered(&[BUDGET_BYTES; 50], 4, &cancel, || Ok(()), work, |_, ()| Ok(()))
        };
        assert!(matches!(fail_at(20), Err(Error::Input(_))));
        let cancelled = AtomicBool::new(true);
        let result = run_ordered(&[1; 50], 4, &cancelled, || Ok(()), |(): &mut (), _| Ok(()), |_, ()| Ok(()));
        assert!(matches!(result, Err(Error::Interrupted)));
    }
}
