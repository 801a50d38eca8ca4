//! The loader: worker threads that make batches ahead of the consumer.

use crate::read_ahead::read_ahead;
use crate::ring::{Allocate, Full, Heap, Ring, Shape, SlotMemory};
use crate::samples::{Samples, Worker};
use crate::share::{Share, State};
use crate::work::{Clock, Work};
use crate::{Error, Result};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Default number of slots: one batch in use, one that is ready, and one that threads write.
const SLOTS: usize = 3;

/// The options of a [`Loader`]. [`Loader::builder`] makes it.
#[must_use]
pub struct LoaderBuilder {
    samples: Arc<dyn Samples>,
    batch_size: usize,
    threads: usize,
    slots: usize,
    share: Share,
    drop_last: bool,
    memory: Box<dyn Allocate>,
}

impl LoaderBuilder {
    /// Sets the number of samples per batch. The default is 32. The last batch holds the rest.
    pub fn batch_size(self, batch_size: usize) -> Self {
        Self { batch_size, ..self }
    }

    /// Sets the number of decoding threads. The default is the number of available processors.
    /// Batches do not depend on it.
    pub fn threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// Sets the number of batches in memory: batches that you hold, batches that are ready, and
    /// batches that threads write. The default is 3. The content of batches does not depend on it.
    pub fn slots(self, slots: usize) -> Self {
        Self { slots, ..self }
    }

    /// Makes every `world`th sample only, starting with sample `rank`.
    ///
    /// All ranks have the same number of samples. Together they follow the order of a single
    /// process, and no sample occurs twice. If the samples cannot be divided evenly, the last few
    /// are omitted.
    pub fn rank(self, rank: usize, world: usize) -> Self {
        Self { share: Share { rank, world, ..self.share }, ..self }
    }

    /// Sets whether the last batch is omitted if it is not full. The default is false.
    pub fn drop_last(self, drop_last: bool) -> Self {
        Self { drop_last, ..self }
    }

    /// Starts with sample number `sample` of the pass instead of the first one.
    pub fn start_at(self, sample: usize) -> Self {
        Self { share: Share { start: sample, ..self.share }, ..self }
    }

    /// Starts where the pass was when [`Loader::state`] returned this state.
    ///
    /// # Errors
    /// Returns [`Error::OtherSamples`] if the state belongs to other samples, and
    /// [`Error::BehindTheEnd`] if it has seen more samples than there are.
    pub fn resume(self, state: &State) -> Result<Self> {
        let start = state.seen_of(&*self.samples)?;
        Ok(self.start_at(start))
    }

    /// Sets the allocator of the batches' memory. The default is [`Heap`].
    pub fn memory(self, memory: impl Allocate + 'static) -> Self {
        Self { memory: Box::new(memory), ..self }
    }

    /// Allocates the ring of batch slots and starts the threads.
    ///
    /// # Errors
    /// Returns an error if an option has a wrong value, memory is not sufficient, or the system
    /// cannot start a thread.
    pub fn start(self) -> Result<Loader> {
        let Self { samples, batch_size, threads, slots, share, drop_last, memory } = self;
        for (option, value, most) in
            [("batch_size", batch_size, 1 << 30), ("threads", threads, 1 << 14), ("slots", slots, 1 << 14)]
        {
            if !(1..=most).contains(&value) {
                return Err(Error::option(option, value, format!("between 1 and {most}")));
            }
        }
        if share.rank >= share.world {
            return Err(Error::option("rank", share.rank, format!("below the number of ranks, {}", share.world)));
        }
        let own = share.len(samples.len());
        let own = if drop_last { own - own % batch_size } else { own };
        let shape = Shape { samples: own, batch_size, slots };
        let ring = Arc::new(Ring::new(shape, &samples.part_bytes(), memory)?);
        let reads_ahead = samples.stored_bytes() > 0;
        let mut loader = Loader {
            ring,
            samples,
            share,
            threads: Vec::new(),
            seen: 0,
            waited: Duration::ZERO,
            start: Instant::now(),
        };
        for number in 0..threads {
            loader.spawn(&format!("decode-{number}"), decode)?;
        }
        if reads_ahead {
            loader.spawn("read-ahead", read_ahead)?;
        }
        Ok(loader)
    }
}

impl fmt::Debug for LoaderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { samples, batch_size, threads, slots, share, .. } = self;
        let mut out = f.debug_struct("LoaderBuilder");
        out.field("samples", &samples.len()).field("batch_size", batch_size).field("threads", threads);
        out.field("slots", slots).field("share", share).finish_non_exhaustive()
    }
}

/// Decodes samples until none is left. The body of a worker thread.
fn decode(ring: &Ring, samples: &dyn Samples, share: Share) {
    let run = || -> Result<()> {
        let mut worker = Worker::default();
        while let Some(run) = ring.take(|i| share.run_end(samples, i)) {
            let clock = Clock::start();
            run.fill(|i, previous, out| samples.fill(share.sample(i), &mut worker, previous, out))?;
            ring.add_work(clock.stop());
        }
        Ok(())
    };
    let outcome = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let message = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned();
        Err(Error::Panicked { message })
    });
    if let Err(error) = outcome {
        ring.fail(error);
    }
}

/// An iterator over batches of samples. Worker threads make the batches ahead of the consumer.
///
/// The batches do not depend on the number of threads and slots. The loader allocates its ring of
/// slots once, and adds a slot only if you hold all batches and ask for another one. Dropping the
/// loader ends its threads; batches that you hold stay valid.
pub struct Loader {
    ring: Arc<Ring>,
    samples: Arc<dyn Samples>,
    share: Share,
    threads: Vec<JoinHandle<()>>,
    /// Number of this rank's samples in the batches that were returned.
    seen: usize,
    waited: Duration,
    start: Instant,
}

impl Loader {
    /// Returns the options of a loader of `samples`, with their defaults. [`LoaderBuilder::start`]
    /// starts the loader.
    pub fn builder(samples: Arc<dyn Samples>) -> LoaderBuilder {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = Share { start: 0, rank: 0, world: 1 };
        LoaderBuilder {
            samples,
            batch_size: 32,
            threads,
            slots: SLOTS,
            share,
            drop_last: false,
            memory: Box::new(Heap),
        }
    }

    fn spawn(&mut self, name: &str, body: fn(&Ring, &dyn Samples, Share)) -> Result<()> {
        let (ring, samples, share) = (Arc::clone(&self.ring), Arc::clone(&self.samples), self.share);
        let thread = std::thread::Builder::new().name(name.to_owned());
        self.threads.push(thread.spawn(move || body(&ring, &*samples, share)).map_err(Error::Thread)?);
        Ok(())
    }

    /// Waits for the next batch and returns it. Returns `None` after the last batch.
    ///
    /// # Errors
    /// Returns an error if a record is damaged, a file cannot be read, or a thread panicked.
    /// Complete batches before the error are returned first.
    pub fn next_batch(&mut self) -> Result<Option<Batch>> {
        let start = Instant::now();
        let full = self.ring.next();
        self.waited += start.elapsed();
        Ok(full?.map(|full| self.hand_out(full)))
    }

    /// Waits for the next batch as [`Loader::next_batch`] does, but at most as long as `limit`. A
    /// program can then react to signals, for example.
    ///
    /// # Errors
    /// Returns the errors of [`Loader::next_batch`].
    pub fn poll_batch(&mut self, limit: Duration) -> Result<Poll<Option<Batch>>> {
        let start = Instant::now();
        let full = self.ring.poll(limit);
        self.waited += start.elapsed();
        Ok(full?.map(|full| full.map(|full| self.hand_out(full))))
    }

    fn hand_out(&mut self, full: Full) -> Batch {
        self.seen = full.samples.end;
        Batch { ring: Arc::clone(&self.ring), share: self.share, full: Some(full) }
    }

    /// Returns whether [`Loader::next_batch`] would return without waiting.
    pub fn is_ready(&self) -> bool {
        self.ring.is_ready()
    }

    /// Returns the number of batches of this rank's pass.
    pub fn batches(&self) -> usize {
        let Shape { samples, batch_size, .. } = self.ring.shape();
        samples.div_ceil(batch_size)
    }

    /// Returns the progress of the pass, up to the end of the last batch that was returned.
    pub fn state(&self) -> State {
        State { samples: self.samples.fingerprint(), seen: self.share.seen(self.seen) }
    }

    /// Returns the time that the caller has waited for batches.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Returns how the decoding threads have spent their time so far.
    pub fn work(&self) -> Work {
        let decoders = self.threads.len() - usize::from(self.samples.stored_bytes() > 0);
        Work { there: self.start.elapsed().as_secs_f64() * decoders as f64, ..self.ring.work() }
    }
}

impl Iterator for Loader {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.next_batch() {
            // The error that stopped the loader has been returned already.
            Err(Error::Stopped) => None,
            other => other.transpose(),
        }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.ring.stop();
        for thread in self.threads.drain(..) {
            // `decode` reports panics as errors of the pass.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shape, threads) = (self.ring.shape(), self.threads.len());
        f.debug_struct("Loader")
            .field("shape", &shape)
            .field("share", &self.share)
            .field("threads", &threads)
            .finish_non_exhaustive()
    }
}

/// The pixels of one batch. You can keep it as long as you want and send it to another thread.
///
/// A batch owns its memory. The loader uses the memory again after you drop the batch.
pub struct Batch {
    ring: Arc<Ring>,
    share: Share,
    /// `None` only while the batch is dropped.
    full: Option<Full>,
}

impl Batch {
    /// Returns the numbers of the samples in the pass.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = usize> + Clone + use<> {
        self.share.samples(self.full.as_ref().map_or(0..0, |full| full.samples.clone()))
    }

    /// Returns the number of samples.
    pub fn len(&self) -> usize {
        self.samples().len()
    }

    /// Returns whether the batch has no sample. A loader never returns an empty batch.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes of the first part of all samples, one after the other: `u8` of shape
    /// `[samples, ...]`. Samples of a single view have only this part.
    pub fn bytes(&self) -> &[u8] {
        self.part(0)
    }

    /// Returns the bytes of part number `part` of all samples, one after the other.
    ///
    /// # Panics
    /// Panics if the samples do not have such a part.
    pub fn part(&self, part: usize) -> &[u8] {
        self.full.as_ref().map_or(&[], |full| self.ring.part(full, part))
    }

    /// Returns the bytes of part number `part` of all samples, to change them in place.
    ///
    /// # Panics
    /// Panics if the samples do not have such a part.
    pub fn part_mut(&mut self, part: usize) -> &mut [u8] {
        self.full.as_mut().map_or(&mut [], |full| self.ring.part_mut(full, part))
    }

    /// Returns the bytes of the first part of sample number `i` of the batch.
    ///
    /// # Panics
    /// Panics if the batch has no sample `i`.
    pub fn sample(&self, i: usize) -> &[u8] {
        let bytes = self.ring.part_bytes(0);
        &self.bytes()[i * bytes..(i + 1) * bytes]
    }

    /// Takes the memory of the batch out of the loader, which allocates other memory instead.
    ///
    /// Use it if a GPU may still copy from the memory after you drop the batch. The parts are at the
    /// same places as before.
    ///
    /// # Errors
    /// Returns an error if the allocator of the loader does.
    pub fn detach(mut self) -> Result<Box<dyn SlotMemory>> {
        self.full.take().map_or(Err(Error::Stopped), |full| self.ring.detach(full))
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Some(full) = self.full.take() {
            self.ring.give_back(full);
        }
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("samples", &self.full.as_ref().map(|full| &full.samples)).finish_non_exhaustive()
    }
}
