//! The input pipeline allocates its ring and its threads' scratch memory, and then nothing: not for a batch, not for a sample.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(unsafe_code, reason = "a global allocator that counts")]

use anyhow::Result;
use candle_core::Device;
use clipshard::{Access, Dataset};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use ucftrain::input::{Plan, SampleSource, TestSource, TrainSource, Worker, with_batches};
use ucftrain::stream::Stream;
use ucftrain::videos::Videos;
use whole_program_tests::{args, run};

/// Allocations of all threads.
static COUNT: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: everything is handed on to the system's allocator unchanged; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`; the memory came from `System`.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `realloc`; the memory came from `System`.
        unsafe { System.realloc(at, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The same pass many times in a row.
struct Repeated<'a>(&'a dyn SampleSource);

const TIMES: usize = 20;

impl SampleSource for Repeated<'_> {
    fn len(&self) -> usize {
        TIMES * self.0.len()
    }
    fn sample_bytes(&self) -> usize {
        self.0.sample_bytes()
    }
    fn fill(&self, i: usize, worker: &mut Worker, previous: Option<&[u8]>, out: &mut [u8]) -> Result<()> {
        self.0.fill(i % self.0.len(), worker, previous, out)
    }
    fn run_end(&self, i: usize) -> usize {
        let before = i / self.0.len() * self.0.len();
        before + self.0.run_end(i - before)
    }
    fn stored_bytes(&self) -> u64 {
        self.0.stored_bytes()
    }
    fn will_need(&self, i: usize) {
        self.0.will_need(i % self.0.len());
    }
}

/// Allocations of all threads after the first passes, in which a decode thread meets every kind of record.
fn steady_allocations(source: &dyn SampleSource) -> u64 {
    let source = Repeated(source);
    let plan = Plan { batch_size: 4, first_batch: 0, threads: 1, ring: 3 };
    let first = 3 * source.0.len().div_ceil(plan.batch_size);
    with_batches(&source, plan, &Device::Cpu, |batches| {
        for _ in 0..first {
            batches.next_batch()?.unwrap();
        }
        let before = COUNT.load(Ordering::Relaxed);
        while batches.next_batch()?.is_some() {}
        Ok(COUNT.load(Ordering::Relaxed) - before)
    })
    .unwrap()
}

#[test]
fn a_batch_allocates_nothing() {
    let temp = tempfile::tempdir().unwrap();
    run("ucfpack", &args(temp.path(), "synth --out {}/tree --classes 2 --clips 4 --size 44x36 --seed 5")).ok();
    for codec in ["zstd", "lz4", "raw"] {
        let build = "build --tree {}/tree --lists {}/tree/lists --out {}/packed-";
        run("ucfpack", &args(temp.path(), &format!("{build}{codec} --flow-size 32 --flow-codec {codec}"))).ok();
        for access in [Access::Map, Access::Read] {
            let data = Dataset::open_with(&temp.path().join(format!("packed-{codec}")), access).unwrap();
            for stream in [Stream::Spatial, Stream::Temporal] {
                let Videos { train, test, .. } = Videos::of(&data, "1", stream).unwrap();
                // 32 is the size that flow is stored in; 28 has every image resized but for RGB's crops.
                for side in [32, 28] {
                    let source = TrainSource::new(&data, &train, stream, side, 1, 0);
                    let found = steady_allocations(&source);
                    assert_eq!(found, 0, "training, {stream}, {codec}, {access:?}, {side} pixels");
                    let source = TestSource::new(&data, &test, stream, side);
                    let found = steady_allocations(&source);
                    assert_eq!(found, 0, "test, {stream}, {codec}, {access:?}, {side} pixels");
                }
            }
        }
    }
}
