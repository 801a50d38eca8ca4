//! Parallel work with ordered results and bounded memory: readers read items, workers process them,
//! and the calling thread writes the results.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use super::read_items::ReadItems;
use crate::error::{Error, Result, machine_fault};

/// Limit for the bytes that are read or encoded but not yet written. A single larger item may
/// exceed it.
const BUDGET_BYTES: u64 = 192 << 20;

/// The result of a step, with the number of bytes that the item holds from now on.
pub(crate) struct Held<T> {
    pub value: T,
    pub bytes: u64,
}

/// Numbers of threads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Threads {
    /// Number of items that are read at the same time.
    pub readers: usize,
    /// Number of items that are processed at the same time.
    pub jobs: usize,
}

/// State that the threads share: the next item, and the bytes in progress.
struct Gate<'a> {
    state: Mutex<GateState>,
    freed: Condvar,
    /// Expected bytes of each item.
    weights: &'a [u64],
}

#[derive(Default)]
struct GateState {
    next: usize,
    /// Bytes of each item in progress: expected until it is read, then measured.
    held: BTreeMap<usize, u64>,
    /// Expected and measured bytes of all items that were read. Their ratio corrects later
    /// expectations.
    expected: u64,
    measured: u64,
    stopped: bool,
}

impl GateState {
    /// Scales the expected `bytes` by the ratio that earlier items showed, because images may be
    /// larger than usual.
    fn corrected(&self, bytes: u64) -> u64 {
        if self.measured <= self.expected {
            return bytes;
        }
        (u128::from(bytes) * u128::from(self.measured) / u128::from(self.expected.max(1))) as u64
    }
}

impl Gate<'_> {
    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the budget allows the next item and returns it. Items are taken in order, so the
    /// item that the writer needs is always in progress and memory becomes free.
    fn take(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            let item = state.next;
            if state.stopped || item == self.weights.len() {
                return None;
            }
            let bytes = state.corrected(self.weights[item]);
            let under_way: u64 = state.held.values().sum();
            // The first item runs alone, because it shows how reliable the expected sizes are.
            let trusted = (bytes == 0 || state.expected > 0) && under_way + bytes <= BUDGET_BYTES;
            if state.held.is_empty() || trusted {
                state.next += 1;
                state.held.insert(item, bytes);
                return Some(item);
            }
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Records the bytes of an item that was read.
    fn measured(&self, item: usize, bytes: u64) {
        let mut state = self.lock();
        state.expected += self.weights[item];
        state.measured += bytes;
        state.held.insert(item, bytes);
        self.freed.notify_all();
    }

    /// Records the bytes that an item holds now.
    fn holds(&self, item: usize, bytes: u64) {
        self.lock().held.insert(item, bytes);
        self.freed.notify_all();
    }

    fn release(&self, item: usize) {
        self.lock().held.remove(&item);
        self.freed.notify_all();
    }

    fn stop(&self) {
        self.lock().stopped = true;
        self.freed.notify_all();
    }
}

/// Stops the other threads if one panics, so that none waits forever.
struct StopOnPanic<'a>(&'a Gate<'a>);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

/// Reads and processes all items in threads, and passes the results to `write` in order on the
/// calling thread.
///
/// `weights` are the bytes that each item is expected to hold; there is one item per weight.
/// Readers call `read`, and each worker calls `work` with its own state from `start`. Returns the
/// first error, or [`Error::Interrupted`] once `cancel` is set.
pub(crate) fn run_ordered<R: Send, S, T: Send>(
    weights: &[u64],
    threads: Threads,
    cancel: &AtomicBool,
    read: impl Fn(usize) -> Result<Held<R>> + Sync,
    start: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, usize, R) -> Result<Held<T>> + Sync,
    mut write: impl FnMut(usize, T) -> Result<()>,
) -> Result<()> {
    let gate = Gate { state: Mutex::default(), freed: Condvar::new(), weights };
    let (gate, read, start, work) = (&gate, &read, &start, &work);
    let most = weights.len().max(1);
    let read_items = &ReadItems::new();
    thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for _ in 0..threads.readers.clamp(1, most) {
            let (read_items, sender) = (read_items.reader(), sender.clone());
            let reader = move || {
                let _guard = StopOnPanic(gate);
                while let Some(item) = gate.take() {
                    match read(item) {
                        Ok(Held { value, bytes }) => {
                            gate.measured(item, bytes);
                            read_items.add(item, value);
                        }
                        Err(error) => {
                            gate.stop();
                            let _ = sender.send((item, Err(error)));
                            return;
                        }
                    }
                }
            };
            start_thread(scope, gate, reader)?;
        }
        for _ in 0..threads.jobs.clamp(1, most) {
            let sender = sender.clone();
            let worker = move || {
                let _guard = StopOnPanic(gate);
                let mut state = match start() {
                    Ok(state) => state,
                    Err(error) => {
                        gate.stop();
                        let _ = sender.send((0, Err(error)));
                        return;
                    }
                };
                while let Some((item, read)) = read_items.take_first() {
                    let result = work(&mut state, item, read).map(|Held { value, bytes }| {
                        gate.holds(item, bytes);
                        value
                    });
                    if sender.send((item, result)).is_err() {
                        return;
                    }
                }
            };
            start_thread(scope, gate, worker)?;
        }
        // The channel closes when all sending threads have ended.
        drop(sender);
        let outcome = write_in_order(gate, &results, cancel, &mut write);
        if outcome.is_err() {
            gate.stop();
        }
        outcome
    })
}

/// Starts a thread. If that fails, stops the other threads.
fn start_thread<'scope, 'env>(
    scope: &'scope thread::Scope<'scope, 'env>,
    gate: &Gate<'_>,
    work: impl FnOnce() + Send + 'scope,
) -> Result<()> {
    let Err(error) = thread::Builder::new().spawn_scoped(scope, work) else { return Ok(()) };
    gate.stop();
    Err(match machine_fault("cannot start a thread", error) {
        Ok(fault) => fault,
        Err(error) => Error::input(format!("cannot start a thread: {error}")),
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

    fn held<T>(value: T, bytes: u64) -> Held<T> {
        Held { value, bytes }
    }

    fn threads(readers: usize, jobs: usize) -> Threads {
        Threads { readers, jobs }
    }

    #[test]
    fn results_come_in_order_whatever_the_threads_and_weights() {
        let weights: Vec<u64> = (0..200).map(|i| (i % 7) * (BUDGET_BYTES / 3)).collect();
        for (readers, jobs) in [(1, 1), (1, 4), (4, 1), (3, 4)] {
            let mut got = Vec::new();
            run_ordered(
                &weights,
                threads(readers, jobs),
                &AtomicBool::new(false),
                |i| Ok(held(i + 1, weights[i])),
                || Ok(()),
                |(), i, read| {
                    if i % 3 == 0 {
                        thread::sleep(std::time::Duration::from_micros(200));
                    }
                    Ok(held(i * read, weights[i] / 2))
                },
                |i, product| {
                    got.push((i, product));
                    Ok(())
                },
            )
            .unwrap();
            assert_eq!(got, (0..200).map(|i| (i, i * (i + 1))).collect::<Vec<_>>());
        }
    }

    #[test]
    fn one_reader_reads_one_item_at_a_time_in_order() {
        let (reading, order) = (Mutex::new(0), Mutex::new(Vec::new()));
        let read = |i: usize| {
            *reading.lock().unwrap() += 1;
            thread::sleep(std::time::Duration::from_micros(100));
            order.lock().unwrap().push(i);
            let mut reading = reading.lock().unwrap();
            assert_eq!(*reading, 1);
            *reading -= 1;
            Ok(held((), 1))
        };
        let cancel = AtomicBool::new(false);
        run_ordered(&[1; 50], threads(1, 4), &cancel, read, || Ok(()), |(), _, ()| Ok(held((), 1)), |_, ()| Ok(()))
            .unwrap();
        assert_eq!(order.into_inner().unwrap(), (0..50).collect::<Vec<_>>());
    }

    /// Returns the largest number of bytes in progress for items that hold `real` bytes each but
    /// were expected to hold a quarter of the budget.
    fn most_under_way(real: u64) -> u64 {
        let (under_way, most) = (Mutex::new(0), Mutex::new(0));
        let read = |_: usize| {
            let mut bytes = under_way.lock().unwrap();
            *bytes += real;
            let mut most = most.lock().unwrap();
            *most = (*most).max(*bytes);
            Ok(held((), real))
        };
        let write = |_: usize, ()| {
            thread::sleep(std::time::Duration::from_micros(200));
            *under_way.lock().unwrap() -= real;
            Ok(())
        };
        let weights = [BUDGET_BYTES / 4; 60];
        let cancel = AtomicBool::new(false);
        run_ordered(&weights, threads(1, 8), &cancel, read, || Ok(()), |(), _, ()| Ok(held((), real)), write).unwrap();
        most.into_inner().unwrap()
    }

    #[test]
    fn no_more_is_under_way_than_the_budget_allows() {
        assert!((1..=BUDGET_BYTES).contains(&most_under_way(BUDGET_BYTES / 4)));
        // The items are twice as large as expected, which the first one shows.
        assert!((1..=BUDGET_BYTES).contains(&most_under_way(BUDGET_BYTES / 2)));
        // The items exceed the budget, so only one is in progress at a time.
        assert_eq!(most_under_way(3 * BUDGET_BYTES), 3 * BUDGET_BYTES);
    }

    #[test]
    fn the_first_error_ends_the_work() {
        let fail_at = |read_at: usize, work_at: usize| {
            let cancel = AtomicBool::new(false);
            let fail = |is: bool| if is { Err(Error::input("bad")) } else { Ok(held((), 1)) };
            let work = |(): &mut (), i: usize, ()| fail(i == work_at);
            let read = |i: usize| fail(i == read_at);
            run_ordered(&[BUDGET_BYTES; 50], threads(2, 4), &cancel, read, || Ok(()), work, |_, ()| Ok(()))
        };
        assert!(matches!(fail_at(99, 20), Err(Error::Input(_))));
        assert!(matches!(fail_at(20, 99), Err(Error::Input(_))));
        let cancelled = AtomicBool::new(true);
        let (read, work) = (|_| Ok(held((), 1)), |(): &mut (), _, ()| Ok(held((), 1)));
        let result = run_ordered(&[1; 50], threads(1, 4), &cancelled, read, || Ok(()), work, |_, ()| Ok(()));
        assert!(matches!(result, Err(Error::Interrupted)));
    }
}
