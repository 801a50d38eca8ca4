//! Tests of the ring with threads. Miri and `ThreadSanitizer` run them too (scripts/miri.sh,
//! scripts/sanitize.sh).

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const BYTES: usize = 3;

fn shape(samples: usize, slots: usize) -> Shape {
    Shape { samples, batch_size: 4, slots }
}

fn ring(samples: usize, slots: usize) -> Ring {
    Ring::new(shape(samples, slots), &[BYTES], Box::new(Heap)).unwrap()
}

/// Starts threads that write the number of each sample, in runs of `run` samples.
fn writers(ring: &Arc<Ring>, threads: usize, run: usize) -> Vec<std::thread::JoinHandle<()>> {
    let body = |ring: Arc<Ring>| {
        move || {
            while let Some(taken) = ring.take(|i| (i / run + 1) * run) {
                let filled = taken.fill(|i, previous, out| {
                    // Within a run, the bytes of the previous sample are available.
                    assert!(previous.is_none_or(|previous| previous == [[i as u8 - 1; BYTES]]));
                    out[0].fill(i as u8);
                    Ok(())
                });
                filled.unwrap();
            }
        }
    };
    (0..threads).map(|_| std::thread::spawn(body(Arc::clone(ring)))).collect()
}

fn join(threads: Vec<std::thread::JoinHandle<()>>) {
    for thread in threads {
        thread.join().unwrap();
    }
}

fn expected(samples: Range<usize>) -> Vec<u8> {
    samples.flat_map(|i| [i as u8; BYTES]).collect()
}

#[test]
fn batches_come_in_order_for_any_number_of_threads_and_slots() {
    let samples = if cfg!(miri) { 11 } else { 23 };
    for run in [1, 3, 19] {
        for threads in [1, 2, 5] {
            for slots in [1, 2, 3, 100] {
                let ring = Arc::new(ring(samples, slots));
                let threads = writers(&ring, threads, run);
                let mut seen = 0;
                while let Some(full) = ring.next().unwrap() {
                    assert_eq!(full.samples, seen..(seen + 4).min(samples));
                    assert_eq!(ring.part(&full, 0), expected(full.samples.clone()));
                    seen = full.samples.end;
                    ring.give_back(full);
                }
                assert_eq!(seen, samples);
                join(threads);
            }
        }
    }
}

#[test]
fn batches_that_are_held_keep_their_bytes_and_the_ring_grows() {
    let ring = Arc::new(ring(30, 2));
    let threads = writers(&ring, 2, 5);
    let mut held = Vec::new();
    while let Some(full) = ring.next().unwrap() {
        held.push(full);
    }
    assert_eq!(held.len(), 8);
    // The batches are given back in reverse order.
    for full in held.into_iter().rev() {
        assert_eq!(ring.part(&full, 0), expected(full.samples.clone()));
        ring.give_back(full);
    }
    join(threads);
}

#[test]
fn a_batch_that_is_kept_costs_its_slot_only() {
    let ring = Arc::new(ring(40, 3));
    let threads = writers(&ring, 2, 7);
    let first = ring.next().unwrap().unwrap();
    let mut batches = 1;
    while let Some(full) = ring.next().unwrap() {
        assert_eq!(ring.part(&full, 0), expected(full.samples.clone()));
        ring.give_back(full);
        batches += 1;
    }
    assert_eq!((batches, ring.part(&first, 0)), (10, &*expected(0..4)));
    join(threads);
}

#[test]
fn writers_wait_until_slots_are_free() {
    let ring = Arc::new(ring(4000, 2));
    let written = Arc::new(AtomicUsize::new(0));
    let thread = std::thread::spawn({
        let (ring, written) = (Arc::clone(&ring), Arc::clone(&written));
        move || {
            while let Some(run) = ring.take(|i| i + 1) {
                run.fill(|_, _, _| {
                    written.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                })
                .unwrap();
            }
        }
    });
    // Two batches fill the ring. The thread writes a third batch only after one of them is given
    // back.
    let first = ring.next().unwrap().unwrap();
    let second = ring.next().unwrap().unwrap();
    assert_eq!(written.load(Ordering::SeqCst), 8);
    ring.give_back(first);
    let third = ring.next().unwrap().unwrap();
    assert_eq!(written.load(Ordering::SeqCst), 12);
    drop((second, third));
    ring.stop();
    thread.join().unwrap();
}

#[test]
fn an_error_comes_after_the_batches_before_it() {
    let ring = ring(12, 3);
    ring.take(|_| 4).unwrap().fill(|_, _, _| Ok(())).unwrap();
    ring.fail(Error::NothingToTrain);
    ring.fail(Error::Stopped);
    assert!(ring.take(|i| i + 1).is_none());
    assert_eq!(ring.next().unwrap().unwrap().samples, 0..4);
    assert!(matches!(ring.next(), Err(Error::NothingToTrain)));
    assert!(matches!(ring.next(), Err(Error::Stopped)));
}

#[test]
fn memory_that_is_too_small_or_absent_is_an_error() {
    struct Small;
    impl Allocate for Small {
        fn allocate(&self, bytes: usize) -> Result<Box<dyn SlotMemory>> {
            Ok(Box::new(vec![0; bytes - 1]))
        }
    }
    assert!(matches!(Ring::new(shape(5, 2), &[BYTES], Box::new(Small)), Err(Error::Memory { bytes: 12, .. })));
    let huge = |part_bytes: &[usize]| Ring::new(shape(5, 2), part_bytes, Box::new(Heap));
    assert!(matches!(huge(&[usize::MAX / 2]), Err(Error::Memory { .. })));
    assert!(matches!(huge(&[isize::MAX as usize / 5, isize::MAX as usize / 5]), Err(Error::Memory { .. })));
    assert!(matches!(huge(&[]), Err(Error::Option { .. })));
    assert!(matches!(huge(&[1; MAX_PARTS + 1]), Err(Error::Option { .. })));
    // Miri aborts if memory is exhausted.
    #[cfg(not(miri))]
    assert!(matches!(huge(&[isize::MAX as usize / 4]), Err(Error::Memory { .. })));
}

#[test]
fn a_pass_without_samples_is_over_at_once() {
    let ring = ring(0, 3);
    assert!(ring.is_ready() && ring.take(|i| i + 1).is_none() && ring.next().unwrap().is_none());
}

#[test]
fn parts_of_samples_are_separate_aligned_blocks() {
    let ring = Arc::new(Ring::new(shape(10, 2), &[3, 1, 70], Box::new(Heap)).unwrap());
    let writer = std::thread::spawn({
        let ring = Arc::clone(&ring);
        move || {
            while let Some(run) = ring.take(|i| i + 3) {
                run.fill(|i, previous, out| {
                    if let Some([_, _, previous]) = previous {
                        assert_eq!(previous, &[20 + i as u8 - 1; 70]);
                    }
                    for (part, out) in out.iter_mut().enumerate() {
                        out.fill(10 * part as u8 + i as u8);
                    }
                    Ok(())
                })
                .unwrap();
            }
        }
    });
    let mut seen = 0;
    while let Some(mut full) = ring.next().unwrap() {
        for (part, bytes) in [3, 1, 70].into_iter().enumerate() {
            let expected: Vec<u8> = full.samples.clone().flat_map(|i| vec![10 * part as u8 + i as u8; bytes]).collect();
            assert_eq!(ring.part(&full, part), expected);
        }
        let starts = [0, 1, 2].map(|part| ring.part(&full, part).as_ptr().addr());
        assert_eq!([starts[1] - starts[0], starts[2] - starts[1]], [64, 64]);
        ring.part_mut(&mut full, 1).fill(9);
        assert_eq!(ring.part(&full, 1), vec![9; full.samples.len()]);
        seen += full.samples.len();
        ring.give_back(full);
    }
    assert_eq!(seen, 10);
    writer.join().unwrap();
}

#[test]
fn a_detached_batch_keeps_its_memory_and_the_ring_has_as_many_slots_as_before() {
    let ring = Arc::new(ring(40, 2));
    let threads = writers(&ring, 2, 5);
    let mut detached = Vec::new();
    while let Some(full) = ring.next().unwrap() {
        let samples = full.samples.clone();
        detached.push((samples, ring.detach(full).unwrap()));
    }
    join(threads);
    assert_eq!(detached.len(), 10);
    for (samples, mut memory) in detached {
        assert_eq!(memory.bytes_mut().unwrap()[..samples.len() * BYTES], expected(samples));
    }
}

#[test]
fn waiting_for_a_batch_has_a_limit() {
    let ring = Arc::new(ring(8, 2));
    let start = Instant::now();
    assert!(matches!(ring.poll(Duration::from_millis(20)), Ok(Poll::Pending)));
    assert!(start.elapsed() >= Duration::from_millis(20));
    join(writers(&ring, 1, 1));
    let first = match ring.poll(Duration::ZERO) {
        Ok(Poll::Ready(Some(full))) => full,
        other => panic!("{other:?}"),
    };
    assert_eq!(first.samples, 0..4);
    assert!(matches!(ring.poll(Duration::ZERO), Ok(Poll::Ready(Some(_)))));
    assert!(matches!(ring.poll(Duration::ZERO), Ok(Poll::Ready(None))));
}

#[test]
fn a_batch_larger_than_the_pass_needs_memory_for_the_pass_only() {
    let shape = Shape { samples: 5, batch_size: 1 << 30, slots: 3 };
    let ring = Arc::new(Ring::new(shape, &[BYTES], Box::new(Heap)).unwrap());
    assert_eq!(ring.slot_bytes, 5 * BYTES);
    let threads = writers(&ring, 2, 1);
    let full = ring.next().unwrap().unwrap();
    assert_eq!(ring.part(&full, 0), expected(0..5));
    assert!(ring.next().unwrap().is_none());
    join(threads);
}
