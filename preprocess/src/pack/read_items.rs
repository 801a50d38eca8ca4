//! The items that were read and wait for a worker. A worker takes the first of them, whichever was read last.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Items by their numbers.
pub(super) struct ReadItems<R> {
    state: Mutex<State<R>>,
    changed: Condvar,
}

struct State<R> {
    items: BTreeMap<usize, R>,
    /// Number of readers that have not ended.
    readers: usize,
}

/// A reader's right to add items. When the last one is dropped, no more items come.
pub(super) struct Reader<'a, R>(&'a ReadItems<R>);

impl<R> ReadItems<R> {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { items: BTreeMap::new(), readers: 0 }), changed: Condvar::new() }
    }

    pub(super) fn reader(&self) -> Reader<'_, R> {
        self.lock().readers += 1;
        Reader(self)
    }

    /// Removes and returns the item with the lowest number. Waits while there is none, and returns none after
    /// the last item of the last reader.
    pub(super) fn take_first(&self) -> Option<(usize, R)> {
        let mut state = self.lock();
        loop {
            if let Some(first) = state.items.pop_first() {
                return Some(first);
            }
            if state.readers == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> Reader<'_, R> {
    pub(super) fn add(&self, number: usize, item: R) {
        self.0.lock().items.insert(number, item);
        self.0.changed.notify_one();
    }
}

impl<R> Drop for Reader<'_, R> {
    fn drop(&mut self) {
        self.0.lock().readers -= 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn the_item_with_the_lowest_number_comes_first_in_whatever_order_they_were_read() {
        let items = ReadItems::new();
        let reader = items.reader();
        for number in [5, 7, 3] {
            reader.add(number, number * 10);
        }
        assert_eq!(items.take_first(), Some((3, 30)));
        reader.add(4, 40);
        drop(reader);
        let rest: Vec<_> = std::iter::from_fn(|| items.take_first()).collect();
        assert_eq!(rest, [(4, 40), (5, 50), (7, 70)]);
    }

    #[test]
    fn workers_wait_for_items_until_the_last_reader_ends() {
        let items = ReadItems::new();
        let readers = [items.reader(), items.reader()];
        let mut taken = thread::scope(|scope| {
            let worker = || scope.spawn(|| std::iter::from_fn(|| items.take_first()).collect::<Vec<_>>());
            let workers = [worker(), worker(), worker()];
            for (reader, numbers) in readers.into_iter().zip([[0, 2, 4], [1, 3, 5]]) {
                scope.spawn(move || numbers.into_iter().for_each(|number| reader.add(number, ())));
            }
            workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
        });
        taken.sort_unstable();
        assert_eq!(taken, (0..6).map(|number| (number, ())).collect::<Vec<_>>());
    }
}
