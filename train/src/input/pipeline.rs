//! Decode threads that run ahead of the step by a fixed ring of batches. The threads take samples in order and write each
//! into its own place, so the batches are the same for any number of threads; memory is the ring, allocated once.

use super::source::{SampleSource, Worker};
use super::work::{Clock, Work};
use crate::compute::memory::HostMemory;
use anyhow::{Context, Result, anyhow};
use candle_core::Device;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Which batches of a pass are made, and how.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Samples a batch; the last batch holds what is left.
    pub batch_size: usize,
    /// The first batch that is wanted.
    pub first_batch: usize,
    /// Decode threads.
    pub threads: usize,
    /// Batches in memory.
    pub ring: usize,
}

struct Progress {
    /// Next sample that no thread has taken.
    next: usize,
    /// Samples of each ring slot that are not yet written.
    missing: Vec<usize>,
    /// Batches that were given back.
    released: usize,
    /// The pass is over: done, failed or given up.
    stopped: bool,
    error: Option<anyhow::Error>,
    work: Work,
}

struct Shared<'a> {
    source: &'a dyn SampleSource,
    plan: Plan,
    batches: usize,
    /// `[ring][batch_size]` samples.
    slots: Vec<Vec<Mutex<&'a mut [u8]>>>,
    progress: Mutex<Progress>,
    changed: Condvar,
    start: Instant,
}

/// Batches of a pass in memory: one that is computed with, one that is ready, one that is being written.
pub const RING: usize = 3;

/// How many samples of `bytes` stored bytes the system is told of before they are read: no more than fit into an eighth of the
/// memory that is free.
fn samples_ahead(bytes: u64) -> usize {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(1 << 20);
    ((kilobytes * 1024 / 8) / bytes.max(1)).clamp(1, 1024) as usize
}

/// A panic in another thread is reported as this pass's error; the lock it held guards plain numbers.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared<'_> {
    /// Samples of a batch.
    fn samples(&self, batch: usize) -> Range<usize> {
        let start = batch * self.plan.batch_size;
        start..(start + self.plan.batch_size).min(self.source.len())
    }

    /// The next samples for one thread; none after the last. They reach into as many batches as the ring can take while the
    /// consumer holds one.
    fn take_run(&self) -> Option<Range<usize>> {
        let batch_size = self.plan.batch_size;
        let mut progress = lock(&self.progress);
        loop {
            let start = progress.next;
            if progress.stopped || start >= self.source.len() {
                return None;
            }
            let reach = (start / batch_size + (self.plan.ring - 1).max(1)) * batch_size;
            let end = self.source.run_end(start).min(reach).min(self.source.len());
            if (end - 1) / batch_size < progress.released + self.plan.ring {
                progress.next = end;
                return Some(start..end);
            }
            progress = self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes in that a sample has its pixels.
    fn written(&self, sample: usize) {
        let slot = sample / self.plan.batch_size % self.plan.ring;
        let mut progress = lock(&self.progress);
        progress.missing[slot] -= 1;
        if progress.missing[slot] == 0 {
            self.changed.notify_all();
        }
    }

    fn work(&self) -> Result<()> {
        let mut worker = Worker::new()?;
        while let Some(run) = self.take_run() {
            let clock = Clock::start();
            let mut previous: Option<MutexGuard<'_, &mut [u8]>> = None;
            for sample in run.clone() {
                let slot = &self.slots[sample / self.plan.batch_size % self.plan.ring];
                let mut out = lock(&slot[sample % self.plan.batch_size]);
                self.source.fill(sample, &mut worker, previous.as_deref().map(|pixels| &**pixels), &mut out)?;
                // A sample is handed on when the one after it has taken from it what they share.
                if previous.replace(out).is_some() {
                    self.written(sample - 1);
                }
            }
            drop(previous);
            self.written(run.end - 1);
            lock(&self.progress).work += clock.stop();
        }
        Ok(())
    }

    /// Tells the system what will be read, some way ahead of the decode threads.
    fn read_ahead(&self) {
        let ahead = samples_ahead(self.source.stored_bytes());
        let mut next = self.plan.first_batch * self.plan.batch_size;
        while next < self.source.len() {
            let reach = {
                let mut progress = lock(&self.progress);
                while !progress.stopped && next >= progress.next + ahead {
                    progress = self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
                }
                if progress.stopped {
                    return;
                }
                // What the threads have taken in the meantime they read themselves.
                next = next.max(progress.next);
                (progress.next + ahead).min(self.source.len())
            };
            for sample in next..reach {
                self.source.will_need(sample);
            }
            next = next.max(reach);
        }
    }

    fn run_thread(&self) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.work())).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(anyhow!("a decode thread panicked: {text}"))
        });
        if let Err(error) = outcome {
            let mut progress = lock(&self.progress);
            progress.error.get_or_insert(error);
            progress.stopped = true;
            self.changed.notify_all();
        }
    }

    fn stop(&self) {
        lock(&self.progress).stopped = true;
        self.changed.notify_all();
    }
}

/// The batches of a pass, one after the other.
pub struct Batches<'a> {
    shared: &'a Shared<'a>,
    next: usize,
    /// Time that [`Batches::next_batch`] has waited for decode threads.
    pub waited: Duration,
}

/// One batch; its place in the ring is free again when it is dropped.
pub struct Batch<'a> {
    shared: &'a Shared<'a>,
    number: usize,
    /// Which samples of the pass it holds.
    pub samples: Range<usize>,
}

impl<'a> Batches<'a> {
    /// Whether [`Batches::next_batch`] would return at once.
    pub fn is_ready(&self) -> bool {
        self.next >= self.shared.batches || {
            let progress = lock(&self.shared.progress);
            progress.stopped || progress.missing[self.next % self.shared.plan.ring] == 0
        }
    }

    /// What the decode threads have done so far.
    pub fn work(&self) -> Work {
        let there = self.shared.start.elapsed().as_secs_f64() * self.shared.plan.threads as f64;
        Work { there, ..lock(&self.shared.progress).work }
    }

    /// The next batch, or none after the last. Waits until it is complete.
    pub fn next_batch(&mut self) -> Result<Option<Batch<'a>>> {
        if self.next >= self.shared.batches {
            return Ok(None);
        }
        let start = Instant::now();
        let slot = self.next % self.shared.plan.ring;
        let mut progress = lock(&self.shared.progress);
        while progress.missing[slot] > 0 {
            if let Some(error) = progress.error.take() {
                return Err(error);
            }
            if progress.stopped {
                return Err(anyhow!("the decode threads have stopped"));
            }
            progress = self.shared.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
        self.waited += start.elapsed();
        let number = self.next;
        self.next += 1;
        Ok(Some(Batch { shared: self.shared, number, samples: self.shared.samples(number) }))
    }
}

impl<'a> Batch<'a> {
    /// Bytes of all of its samples.
    pub fn bytes(&self) -> usize {
        self.samples.len() * self.shared.source.sample_bytes()
    }

    /// Pixels of a sample of the batch, counted from 0 in it.
    pub fn pixels(&self, i: usize) -> MutexGuard<'a, &'a mut [u8]> {
        lock(&self.shared.slots[self.number % self.shared.plan.ring][i])
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let mut progress = lock(&self.shared.progress);
        progress.released += 1;
        let following = self.number + self.shared.plan.ring;
        progress.missing[self.number % self.shared.plan.ring] = self.shared.samples(following).len();
        self.shared.changed.notify_all();
    }
}

/// Runs decode threads while `consume` takes the batches, which lie where `device` reads them best. When it returns, whatever it
/// returns, the threads have ended.
pub fn with_batches<R>(
    source: &dyn SampleSource,
    plan: Plan,
    device: &Device,
    consume: impl FnOnce(&mut Batches<'_>) -> Result<R>,
) -> Result<R> {
    let batches = source.len().div_ceil(plan.batch_size);
    let ring = plan.ring.clamp(1, batches.saturating_sub(plan.first_batch).max(1));
    let plan = Plan { ring, ..plan };
    let slot_bytes = plan.batch_size * source.sample_bytes();
    let mut memory = (0..ring).map(|_| HostMemory::new(device, slot_bytes)).collect::<Result<Vec<_>>>()?;
    let slots = memory.iter_mut().map(|memory| {
        let samples = memory.bytes_mut()?.chunks_exact_mut(source.sample_bytes());
        Ok(samples.map(Mutex::new).collect())
    });
    let shared = Shared {
        source,
        plan,
        batches,
        slots: slots.collect::<Result<_>>()?,
        progress: Mutex::new(Progress {
            next: plan.first_batch * plan.batch_size,
            missing: vec![0; ring],
            released: plan.first_batch,
            stopped: false,
            error: None,
            work: Work::default(),
        }),
        start: Instant::now(),
        changed: Condvar::new(),
    };
    for batch in plan.first_batch..plan.first_batch + ring {
        lock(&shared.progress).missing[batch % ring] = shared.samples(batch).len();
    }
    std::thread::scope(|scope| {
        /// Ends the threads also when `consume` panics; the scope would wait for them forever.
        struct Stop<'a>(&'a Shared<'a>);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.stop();
            }
        }
        let stop = Stop(&shared);
        let thread = std::thread::Builder::new;
        let none = "cannot start a thread that decodes; use fewer --threads";
        for _ in 0..plan.threads.max(1) {
            thread().spawn_scoped(scope, || shared.run_thread()).context(none)?;
        }
        if source.stored_bytes() > 0 {
            thread().spawn_scoped(scope, || shared.read_ahead()).context(none)?;
        }
        let result = consume(&mut Batches { shared: &shared, next: plan.first_batch, waited: Duration::ZERO });
        drop(stop);
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Numbers {
        len: usize,
        fails_at: Option<usize>,
        panics_at: Option<usize>,
        run: usize,
    }

    impl SampleSource for Numbers {
        fn len(&self) -> usize {
            self.len
        }
        fn sample_bytes(&self) -> usize {
            3
        }
        fn fill(&self, i: usize, _: &mut Worker, previous: Option<&[u8]>, out: &mut [u8]) -> Result<()> {
            assert_ne!(Some(i), self.panics_at, "sample {i} panics");
            if Some(i) == self.fails_at {
                return Err(anyhow!("sample {i} fails"));
            }
            // In a run the pixels of the sample before are at hand.
            assert!(previous.is_none_or(|previous| previous == [i as u8 - 1; 3]));
            out.fill(i as u8);
            Ok(())
        }
        fn run_end(&self, i: usize) -> usize {
            (i / self.run + 1) * self.run
        }
    }

    fn collect(source: &Numbers, threads: usize, ring: usize, first_batch: usize) -> Result<Vec<Vec<u8>>> {
        let plan = Plan { batch_size: 4, first_batch, threads, ring };
        with_batches(source, plan, &Device::Cpu, |batches| {
            let mut all = Vec::new();
            while let Some(batch) = batches.next_batch()? {
                let pixels = (0..batch.samples.len()).flat_map(|i| batch.pixels(i).to_vec()).collect();
                all.push(pixels);
            }
            Ok(all)
        })
    }

    #[test]
    fn batches_are_the_same_for_any_number_of_threads_and_any_ring() {
        let expected: Vec<Vec<u8>> =
            (0..6).map(|b| (b * 4..(b * 4 + 4).min(23)).flat_map(|i| [i as u8; 3]).collect()).collect();
        for run in [1, 3, 19] {
            let source = Numbers { len: 23, fails_at: None, panics_at: None, run };
            for threads in [1, 2, 16] {
                for ring in [1, 2, 3, 5, 100] {
                    assert_eq!(collect(&source, threads, ring, 0).unwrap(), expected);
                    assert_eq!(collect(&source, threads, ring, 2).unwrap(), expected[2..]);
                }
            }
        }
        let source = Numbers { len: 23, fails_at: None, panics_at: None, run: 1 };
        assert!(collect(&source, 2, 3, 6).unwrap().is_empty());
    }

    #[test]
    fn an_error_or_a_panic_of_a_thread_ends_the_pass_with_its_message() {
        let failing = Numbers { len: 40, fails_at: Some(17), panics_at: None, run: 1 };
        assert_eq!(collect(&failing, 2, 2, 0).unwrap_err().to_string(), "sample 17 fails");
        let panicking = Numbers { len: 40, fails_at: None, panics_at: Some(9), run: 3 };
        let message = collect(&panicking, 2, 2, 0).unwrap_err().to_string();
        assert!(message.contains("panicked") && message.contains("sample 9 panics"), "{message}");
    }

    #[test]
    fn a_consumer_may_leave_early() {
        let source = Numbers { len: 1000, fails_at: None, panics_at: None, run: 1 };
        let plan = Plan { batch_size: 4, first_batch: 0, threads: 3, ring: 2 };
        let first = with_batches(&source, plan, &Device::Cpu, |batches| {
            Ok(batches.next_batch()?.map(|batch| batch.samples.clone()))
        });
        assert_eq!(first.unwrap(), Some(0..4));
    }
}
