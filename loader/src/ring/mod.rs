//! The ring: a few slots of memory, each of which holds a batch. Threads take runs of samples in order and write each sample to
//! its own place; a batch is handed out when all of its samples are there; its slot is free again when it is dropped.
//!
//! The ring knows neither clips nor pixels. Samples are numbered from 0, batches too: batch `b` has samples `b * batch_size` on.
#![allow(unsafe_code)]

mod slot;
#[cfg(test)]
mod tests;

pub use slot::{Allocate, Heap, SlotMemory};

use crate::work::Work;
use crate::{Error, Result};
use slot::Slot;
use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What the ring holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Samples of the pass.
    pub samples: usize,
    /// Samples of a batch; the last batch holds the rest.
    pub batch_size: usize,
    /// Bytes of a sample.
    pub sample_bytes: usize,
    /// Slots.
    pub slots: usize,
}

/// A batch that has a slot and is not complete, or not yet handed out.
struct Open {
    slot: Slot,
    /// Samples that are not yet written.
    missing: usize,
}

struct State {
    /// The next sample that no thread has taken.
    next: usize,
    /// The next batch to hand out. It and those that follow it are in `open`.
    front: usize,
    open: VecDeque<Open>,
    free: Vec<Slot>,
    /// Batches that are handed out and not dropped.
    held: usize,
    /// No thread writes any more: an error, or the loader was dropped.
    stopped: bool,
    error: Option<Error>,
    work: Work,
}

pub(crate) struct Ring {
    shape: Shape,
    memory: Box<dyn Allocate>,
    state: Mutex<State>,
    changed: Condvar,
}

/// Samples that one thread has taken. Nobody else writes them.
pub(crate) struct Run<'a> {
    ring: &'a Ring,
    samples: Range<usize>,
}

/// A batch that is handed out. Nobody writes to its slot until [`Ring::give_back`] gets it.
#[derive(Debug)]
pub(crate) struct Full {
    slot: Slot,
    pub samples: Range<usize>,
}

/// A panic of another thread is reported as the pass's error; what the lock guards is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ring {
    /// Allocates the slots.
    pub fn new(shape: Shape, memory: Box<dyn Allocate>) -> Result<Self> {
        let batches = shape.samples.div_ceil(shape.batch_size);
        let shape = Shape { slots: shape.slots.clamp(1, batches.max(1)), ..shape };
        let state = State {
            next: 0,
            front: 0,
            open: VecDeque::with_capacity(shape.slots),
            free: Vec::with_capacity(shape.slots),
            held: 0,
            stopped: false,
            error: None,
            work: Work::default(),
        };
        let ring = Self { shape, memory, state: Mutex::new(state), changed: Condvar::new() };
        for _ in 0..shape.slots {
            let slot = ring.allocate()?;
            lock(&ring.state).free.push(slot);
        }
        Ok(ring)
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }

    fn allocate(&self) -> Result<Slot> {
        // A batch may be of no bytes, an allocation not.
        let bytes = self.shape.batch_size.checked_mul(self.shape.sample_bytes);
        let bytes = bytes.filter(|bytes| isize::try_from(*bytes).is_ok()).ok_or_else(|| Error::Memory {
            bytes: usize::MAX,
            fault: "a batch has more bytes than a process can address".into(),
        })?;
        Slot::new(self.memory.allocate(bytes)?, bytes)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Samples of a batch.
    fn samples_of(&self, batch: usize) -> Range<usize> {
        let start = batch * self.shape.batch_size;
        start..(start + self.shape.batch_size).min(self.shape.samples)
    }

    /// Takes the next samples for one thread: from the next sample `s` up to `run_end(s)`, but no further than slots will be
    /// free while the consumer keeps what it holds. Waits for slots. Returns nothing after the last sample.
    pub fn take(&self, run_end: impl Fn(usize) -> usize) -> Option<Run<'_>> {
        let Shape { samples, batch_size, .. } = self.shape;
        let mut state = lock(&self.state);
        loop {
            let start = state.next;
            if state.stopped || start >= samples {
                return None;
            }
            // All slots but one for the consumer, who may hold more.
            let slots = state.free.len() + state.open.len() + state.held;
            let reach = (slots - state.held.clamp(1, slots)).max(1);
            let end = run_end(start).max(start + 1).min((start / batch_size + reach) * batch_size).min(samples);
            let wanted = ((end - 1) / batch_size + 1).saturating_sub(state.front + state.open.len());
            if wanted <= state.free.len() {
                for _ in 0..wanted {
                    let missing = self.samples_of(state.front + state.open.len()).len();
                    if let Some(slot) = state.free.pop() {
                        state.open.push_back(Open { slot, missing });
                    }
                }
                state.next = end;
                return Some(Run { ring: self, samples: start..end });
            }
            state = self.wait(state);
        }
    }

    /// The place of a sample that a run has taken.
    fn place(&self, sample: usize) -> NonNull<[u8]> {
        let Shape { batch_size, sample_bytes, .. } = self.shape;
        let state = lock(&self.state);
        let at = sample % batch_size * sample_bytes;
        state.open[sample / batch_size - state.front].slot.part(at..at + sample_bytes)
    }

    /// Notes that a sample has its bytes.
    fn written(&self, sample: usize) {
        let mut state = lock(&self.state);
        let batch = sample / self.shape.batch_size - state.front;
        state.open[batch].missing -= 1;
        if state.open[batch].missing == 0 {
            self.changed.notify_all();
        }
    }

    /// Adds what a thread has done.
    pub fn add_work(&self, work: Work) {
        lock(&self.state).work += work;
    }

    /// What the threads have done so far; the time for which they existed is not known here.
    pub fn work(&self) -> Work {
        lock(&self.state).work
    }

    /// Whether [`Ring::next`] would return at once.
    pub fn is_ready(&self) -> bool {
        let state = lock(&self.state);
        state.stopped || self.is_over(&state) || state.open.front().is_some_and(|open| open.missing == 0)
    }

    fn is_over(&self, state: &State) -> bool {
        self.samples_of(state.front).is_empty()
    }

    /// Waits for the next batch. Returns nothing after the last one. Where the caller holds all slots, a new one is allocated.
    pub fn next(&self) -> Result<Option<Full>> {
        let mut state = lock(&self.state);
        loop {
            if self.is_over(&state) {
                return Ok(None);
            }
            let is_complete = state.open.front().is_some_and(|open| open.missing == 0);
            if is_complete && let Some(Open { slot, .. }) = state.open.pop_front() {
                let samples = self.samples_of(state.front);
                state.front += 1;
                state.held += 1;
                // Runs reach less far now.
                self.changed.notify_all();
                return Ok(Some(Full { slot, samples }));
            }
            if let Some(error) = state.error.take() {
                return Err(error);
            }
            if state.stopped {
                return Err(Error::Stopped);
            }
            if state.free.is_empty() && state.open.is_empty() {
                let slot = self.allocate()?;
                state.free.push(slot);
                self.changed.notify_all();
            }
            state = self.wait(state);
        }
    }

    /// Takes the slot of a batch back.
    pub fn give_back(&self, full: Full) {
        let mut state = lock(&self.state);
        state.held -= 1;
        state.free.push(full.slot);
        self.changed.notify_all();
    }

    /// Waits until fewer than `ahead` samples from `next` on are untaken. Returns which samples to read ahead now, or nothing if
    /// the ring has stopped.
    pub fn wait_for_reader(&self, next: usize, ahead: usize) -> Option<Range<usize>> {
        let mut state = lock(&self.state);
        while !state.stopped && next >= state.next + ahead {
            state = self.wait(state);
        }
        // What the threads have taken in the meantime they read themselves.
        (!state.stopped).then(|| next.max(state.next)..(state.next + ahead).min(self.shape.samples).max(state.next))
    }

    /// Ends the pass with an error; the first one counts.
    pub fn fail(&self, error: Error) {
        let mut state = lock(&self.state);
        state.error.get_or_insert(error);
        state.stopped = true;
        self.changed.notify_all();
    }

    /// Ends the pass.
    pub fn stop(&self) {
        lock(&self.state).stopped = true;
        self.changed.notify_all();
    }
}

impl Run<'_> {
    /// Calls `fill` with each sample in order: its number, the bytes of the one before it in the run, and its own place. A sample
    /// is handed on when the one after it has been written, which may need it.
    pub fn fill(self, mut fill: impl FnMut(usize, Option<&[u8]>, &mut [u8]) -> Result<()>) -> Result<()> {
        let mut previous: Option<NonNull<[u8]>> = None;
        for sample in self.samples.clone() {
            let mut place = self.ring.place(sample);
            // SAFETY: this run alone has taken both samples, neither is noted as written yet, so that their slots stay open and
            // nothing reads or writes them; they are different samples, so the places are apart.
            let (before, out) = unsafe { (previous.as_ref().map(|bytes| bytes.as_ref()), place.as_mut()) };
            fill(sample, before, out)?;
            if previous.replace(place).is_some() {
                self.ring.written(sample - 1);
            }
        }
        if previous.is_some() {
            self.ring.written(self.samples.end - 1);
        }
        Ok(())
    }
}

impl Full {
    /// The bytes of all samples, one after the other.
    pub fn bytes(&self, sample_bytes: usize) -> &[u8] {
        // SAFETY: all samples were noted as written when the batch was handed out, and runs take none of this slot before
        // `give_back`, which consumes it.
        unsafe { self.slot.bytes(self.samples.len() * sample_bytes) }
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("shape", &self.shape).finish_non_exhaustive()
    }
}
