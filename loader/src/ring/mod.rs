//! A ring of memory slots. Each slot holds one batch.
//!
//! Threads take runs of consecutive samples and write each sample to its own place. The ring hands
//! out a batch when all of its samples are written. The slot is free again when the consumer drops
//! the batch.
//!
//! A sample has one or more parts. A slot holds the first parts of all its samples, then the second
//! parts, and so on. Each of these blocks starts at a multiple of 64 bytes.
//!
//! The ring knows neither clips nor pixels. Samples and batches are numbered from 0. Batch `b`
//! starts with sample `b * batch_size`.
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
use std::task::Poll;
use std::time::{Duration, Instant};

/// Largest number of parts of a sample.
pub(crate) const MAX_PARTS: usize = 16;

/// The blocks of a slot start at multiples of this number of bytes.
const ALIGNMENT: usize = 64;

/// The numbers of samples and slots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Number of samples of the pass.
    pub samples: usize,
    /// Number of samples per batch. The last batch holds the rest.
    pub batch_size: usize,
    /// Number of slots.
    pub slots: usize,
}

/// The bytes of a part of a sample, and where its block starts in a slot.
#[derive(Clone, Copy, Debug)]
struct Block {
    start: usize,
    sample_bytes: usize,
}

/// Places the blocks of the parts in a slot. Returns them with the number of bytes of a slot, or
/// `None` if a slot has more bytes than a process can address.
fn blocks(part_bytes: &[usize], batch_size: usize) -> Option<(Vec<Block>, usize)> {
    let mut end = 0_usize;
    let place = |&sample_bytes: &usize| {
        let start = end.checked_next_multiple_of(ALIGNMENT)?;
        end = start.checked_add(sample_bytes.checked_mul(batch_size)?)?;
        Some(Block { start, sample_bytes })
    };
    let blocks = part_bytes.iter().map(place).collect::<Option<Vec<_>>>()?;
    isize::try_from(end).is_ok().then_some((blocks, end))
}

/// A batch that has a slot and is not yet handed out.
struct Open {
    slot: Slot,
    /// Number of samples that are not yet written.
    missing: usize,
}

struct State {
    /// The first sample that no thread has taken.
    next: usize,
    /// The batch that the consumer gets next. `open` starts with it.
    front: usize,
    open: VecDeque<Open>,
    free: Vec<Slot>,
    /// Number of batches that are handed out and not dropped.
    held: usize,
    /// Threads take no further samples, because of an error or because the loader was dropped.
    stopped: bool,
    error: Option<Error>,
    work: Work,
}

pub(crate) struct Ring {
    shape: Shape,
    blocks: Vec<Block>,
    slot_bytes: usize,
    memory: Box<dyn Allocate>,
    state: Mutex<State>,
    changed: Condvar,
}

/// Samples that one thread has taken. No other thread writes them.
pub(crate) struct Run<'a> {
    ring: &'a Ring,
    samples: Range<usize>,
}

/// A batch that is handed out. No thread writes to its slot before [`Ring::give_back`].
#[derive(Debug)]
pub(crate) struct Full {
    slot: Slot,
    pub samples: Range<usize>,
}

/// Locks a mutex, poisoned or not. The state is consistent at every moment, and `Ring::fail`
/// reports the panic of a thread.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ring {
    /// Allocates the slots. `part_bytes` has the bytes per sample of each part.
    pub fn new(shape: Shape, part_bytes: &[usize], memory: Box<dyn Allocate>) -> Result<Self> {
        if !(1..=MAX_PARTS).contains(&part_bytes.len()) {
            return Err(Error::option("parts", part_bytes.len(), format!("between 1 and {MAX_PARTS}")));
        }
        // A pass of few samples needs no place for a whole batch.
        let most = shape.batch_size.min(shape.samples.max(1));
        let (blocks, slot_bytes) = blocks(part_bytes, most).ok_or_else(|| Error::Memory {
            bytes: usize::MAX,
            fault: "a batch has more bytes than a process can address".into(),
        })?;
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
        let ring = Self { shape, blocks, slot_bytes, memory, state: Mutex::new(state), changed: Condvar::new() };
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
        Slot::new(self.memory.allocate(self.slot_bytes)?, self.slot_bytes)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the samples of a batch.
    fn samples_of(&self, batch: usize) -> Range<usize> {
        let start = batch * self.shape.batch_size;
        start..(start + self.shape.batch_size).min(self.shape.samples)
    }

    /// Takes the next run of samples for one thread, and waits until there are slots for it.
    ///
    /// The run goes from the next sample `s` to `run_end(s)`. It is shorter if the slots that the
    /// consumer does not hold cannot hold so many samples. Returns `None` after the last sample, or
    /// if the ring has stopped.
    pub fn take(&self, run_end: impl Fn(usize) -> usize) -> Option<Run<'_>> {
        let Shape { samples, batch_size, .. } = self.shape;
        let mut state = lock(&self.state);
        loop {
            let start = state.next;
            if state.stopped || start >= samples {
                return None;
            }
            // A run may fill all slots except for those that the consumer holds. If there are
            // several slots, at least one is left to the consumer.
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

    /// Returns the places of the parts of a sample that a run has taken.
    fn places(&self, sample: usize) -> Parts {
        let batch_size = self.shape.batch_size;
        let state = lock(&self.state);
        let slot = &state.open[sample / batch_size - state.front].slot;
        let mut places: Parts = [NonNull::slice_from_raw_parts(NonNull::dangling(), 0); MAX_PARTS];
        for (place, &Block { start, sample_bytes }) in places.iter_mut().zip(&self.blocks) {
            let at = start + sample % batch_size * sample_bytes;
            *place = slot.part(at..at + sample_bytes);
        }
        places
    }

    /// Marks a sample as written.
    fn written(&self, sample: usize) {
        let mut state = lock(&self.state);
        let batch = sample / self.shape.batch_size - state.front;
        state.open[batch].missing -= 1;
        if state.open[batch].missing == 0 {
            self.changed.notify_all();
        }
    }

    /// Adds the work of a thread to the sum.
    pub fn add_work(&self, work: Work) {
        lock(&self.state).work += work;
    }

    /// Returns the work of all threads so far. [`Work::there`] is 0, because the ring does not know
    /// when the threads started.
    pub fn work(&self) -> Work {
        lock(&self.state).work
    }

    /// Returns whether [`Ring::next`] would return without waiting.
    pub fn is_ready(&self) -> bool {
        let state = lock(&self.state);
        state.stopped || self.is_over(&state) || state.open.front().is_some_and(|open| open.missing == 0)
    }

    fn is_over(&self, state: &State) -> bool {
        self.samples_of(state.front).is_empty()
    }

    /// Waits for the next batch. Returns `None` after the last one. Allocates a new slot if the
    /// caller holds all slots.
    pub fn next(&self) -> Result<Option<Full>> {
        loop {
            if let Poll::Ready(next) = self.poll(Duration::from_secs(3600))? {
                return Ok(next);
            }
        }
    }

    /// Waits for the next batch as [`Ring::next`] does, but at most as long as `limit`.
    pub fn poll(&self, limit: Duration) -> Result<Poll<Option<Full>>> {
        let start = Instant::now();
        let mut state = lock(&self.state);
        loop {
            if self.is_over(&state) {
                return Ok(Poll::Ready(None));
            }
            let is_complete = state.open.front().is_some_and(|open| open.missing == 0);
            if is_complete && let Some(Open { slot, .. }) = state.open.pop_front() {
                let samples = self.samples_of(state.front);
                state.front += 1;
                state.held += 1;
                // `take` computes the length of runs from `held`, so waiting threads must compute
                // it again.
                self.changed.notify_all();
                return Ok(Poll::Ready(Some(Full { slot, samples })));
            }
            if let Some(error) = state.error.take() {
                return Err(error);
            }
            if state.stopped {
                return Err(Error::Stopped);
            }
            if state.free.is_empty() && state.open.is_empty() {
                // An allocator may wait for another thread that needs the lock.
                drop(state);
                let slot = self.allocate()?;
                state = lock(&self.state);
                state.free.push(slot);
                self.changed.notify_all();
                continue;
            }
            let Some(rest) = limit.checked_sub(start.elapsed()) else { return Ok(Poll::Pending) };
            state = self.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Makes the slot of a batch free again.
    pub fn give_back(&self, full: Full) {
        let mut state = lock(&self.state);
        state.held -= 1;
        state.free.push(full.slot);
        self.changed.notify_all();
    }

    /// Takes the memory out of a batch that is handed out. The ring gets a new slot in its place.
    pub fn detach(&self, full: Full) -> Result<Box<dyn SlotMemory>> {
        let slot = match self.allocate() {
            Ok(slot) => slot,
            Err(error) => {
                self.give_back(full);
                return Err(error);
            }
        };
        let Full { slot: detached, samples } = full;
        self.give_back(Full { slot, samples });
        Ok(detached.into_memory())
    }

    /// Returns the bytes of part `part` of the samples of a batch that is handed out.
    pub fn part<'a>(&self, full: &'a Full, part: usize) -> &'a [u8] {
        let block = self.part_range(full, part);
        // SAFETY: all samples were written before the batch was handed out. No run gets this slot
        // before `give_back`, which consumes `full`.
        unsafe { full.slot.part(block).as_ref() }
    }

    /// Returns the bytes of part `part` of the samples of a batch that is handed out.
    pub fn part_mut<'a>(&self, full: &'a mut Full, part: usize) -> &'a mut [u8] {
        let block = self.part_range(full, part);
        // SAFETY: see `part`. The result borrows `full` mutably, so nothing else reads the bytes.
        unsafe { full.slot.part(block).as_mut() }
    }

    fn part_range(&self, full: &Full, part: usize) -> Range<usize> {
        let Block { start, sample_bytes } = self.blocks[part];
        start..start + full.samples.len() * sample_bytes
    }

    /// Returns the bytes per sample of a part.
    pub fn part_bytes(&self, part: usize) -> usize {
        self.blocks[part].sample_bytes
    }

    /// Waits until fewer than `ahead` samples before `next` are untaken. Returns the samples to
    /// read ahead now, or `None` if the ring has stopped.
    pub fn wait_for_reader(&self, next: usize, ahead: usize) -> Option<Range<usize>> {
        let mut state = lock(&self.state);
        while !state.stopped && next >= state.next + ahead {
            state = self.wait(state);
        }
        // Samples that threads have taken in the meantime need no reading ahead.
        (!state.stopped).then(|| next.max(state.next)..(state.next + ahead).min(self.shape.samples).max(state.next))
    }

    /// Ends the pass with an error. Later errors are dropped.
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

/// The places of the parts of a sample. Those after the last part are empty.
type Parts = [NonNull<[u8]>; MAX_PARTS];

impl Run<'_> {
    /// Calls `fill` for each sample in order.
    ///
    /// The arguments are the number of the sample, the parts of the previous sample of the run, and
    /// the places of the parts to write. A sample is marked as written only after the next one is
    /// written, because `fill` reads it then.
    pub fn fill(self, mut fill: impl FnMut(usize, Option<&[&[u8]]>, &mut [&mut [u8]]) -> Result<()>) -> Result<()> {
        let count = self.ring.blocks.len();
        let mut previous: Option<Parts> = None;
        for sample in self.samples.clone() {
            let mut places = self.ring.places(sample);
            let (mut before, mut out): ([&[u8]; MAX_PARTS], [&mut [u8]; MAX_PARTS]) = Default::default();
            for (part, place) in places[..count].iter_mut().enumerate() {
                // SAFETY: only this run has taken the two samples. Neither is marked as written, so
                // their slots stay open and nothing else reads or writes them. They are different
                // samples, so their places do not overlap, and neither do the places of parts.
                unsafe {
                    out[part] = place.as_mut();
                    if let Some(previous) = &previous {
                        before[part] = previous[part].as_ref();
                    }
                }
            }
            fill(sample, previous.is_some().then_some(&before[..count]), &mut out[..count])?;
            if previous.replace(places).is_some() {
                self.ring.written(sample - 1);
            }
        }
        if previous.is_some() {
            self.ring.written(self.samples.end - 1);
        }
        Ok(())
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("shape", &self.shape).finish_non_exhaustive()
    }
}
