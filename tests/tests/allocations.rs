//! Tests that the input pipeline allocates only its ring and the scratch memory of its threads, but
//! nothing per batch or sample.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
#![allow(unsafe_code, reason = "a global allocator that counts")]

use clip_loader::{Loader, Samples, Split};
use clipshard::{Access, Dataset, ImageSize};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use ucftrain::testing::{Choices, Stream, View, split, test_options, test_samples, training_samples};
use whole_program_tests::{Squash, args, run};

/// Number of allocations by all threads.
static COUNT: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged, and counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller upholds the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract of `dealloc`; the memory came from `System`.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller upholds the contract of `realloc`; the memory came from `System`.
        unsafe { System.realloc(at, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn counted(work: impl FnOnce()) -> u64 {
    let before = COUNT.load(Ordering::Relaxed);
    work();
    COUNT.load(Ordering::Relaxed) - before
}

/// Returns the number of allocations of ten passes: the difference between twenty passes and ten.
/// Only one decode thread runs, because a second one may have no samples and then has no scratch
/// memory.
fn of_ten_passes(samples: impl Fn(usize) -> Arc<dyn Samples>) -> u64 {
    let passes = |times| {
        let repeated = samples(times);
        counted(|| {
            let mut loader = Loader::builder(repeated).batch_size(4).threads(1).start().unwrap();
            while loader.next_batch().unwrap().is_some() {}
        })
    };
    passes(1);
    let (ten, twenty) = (passes(10), passes(20));
    twenty - ten
}

/// Returns the number of allocations per resized image. The resizing library computes its filters
/// again each time.
fn of_the_resizer(size: ImageSize, side: usize) -> u64 {
    let (pixels, mut out) = (vec![0; size.bytes()], vec![0; side * side * usize::from(size.channels)]);
    let mut squash = Squash::default();
    squash.apply(&pixels, size, side, &mut out);
    counted(|| squash.apply(&pixels, size, side, &mut out))
}

#[test]
fn neither_a_batch_nor_a_sample_allocates_but_for_the_resizers_filters() {
    let temp = tempfile::tempdir().unwrap();
    run("ucfpack", &args(temp.path(), "synth --out {}/tree --classes 2 --clips 4 --size 44x36 --seed 5")).ok();
    let frame = of_the_resizer(ImageSize { width: 44, height: 36, channels: 3 }, 28);
    let plane = of_the_resizer(ImageSize { width: 32, height: 32, channels: 1 }, 28);
    assert!(frame > 0 && plane > 0);
    for codec in ["zstd", "lz4", "raw"] {
        let build = "build --tree {}/tree --lists {}/tree/lists --out {}/packed-";
        run("ucfpack", &args(temp.path(), &format!("{build}{codec} --flow-size 32 --flow-codec {codec}"))).ok();
        for access in [Access::Map, Access::Read] {
            let packed = temp.path().join(format!("packed-{codec}"));
            let data = Arc::new(Dataset::open_with(packed, access).unwrap());
            for stream in Stream::ALL {
                let Split { train, test, .. } = split(&data, "1", stream).unwrap();
                let view = View::seed(stream);
                let training = |side| {
                    of_ten_passes(|repeat| {
                        let choices = Choices { seed: 1, repeat, ..Choices::default() };
                        training_samples(&data, &train, (stream, view, side), choices).unwrap()
                    })
                };
                let tested = |side, shares| {
                    of_ten_passes(|repeat| {
                        let options = test_options(view).shares_frames(shares).repeat(repeat);
                        test_samples(&data, &test, (stream, view, side), options).unwrap()
                    })
                };
                let (testing, alone) = (|side| tested(side, true), |side| tested(side, false));
                // Flow is stored at 32 pixels. Crops are never resized, whole RGB frames always
                // are.
                let samples = |clips: usize| 10 * clips as u64;
                let (at_32, at_28) = match stream {
                    Stream::Spatial => {
                        let frames = samples(19 * test.len());
                        ([training(32), training(28), 0], [alone(28), frames * frame])
                    }
                    Stream::Temporal => {
                        let planes = 20 * samples(train.len());
                        ([training(32), testing(32), alone(32)], [training(28), planes * plane])
                    }
                    // A view has the five differences of six frames, cut or resized whole.
                    Stream::Difference => {
                        let frames = 6 * samples(train.len());
                        ([0; 3], [training(28), frames * frame])
                    }
                };
                assert_eq!(at_32, [0; 3], "{stream}, {codec}, {access:?}");
                assert_eq!(at_28[0], at_28[1], "{stream}, {codec}, {access:?}");
            }
        }
    }
}
