//! Work split into fixed blocks.
//!
//! Where a block starts and ends follows from the shapes alone, never from the number of threads, and partial sums are
//! added in block order. So every result is bit-identical for any number of threads and any schedule.

use rayon::prelude::*;

/// Cuts `data` into consecutive blocks of the given lengths, which must add up to `data.len()`.
pub(crate) fn split_by_lengths<T>(mut data: &mut [T], lengths: impl Iterator<Item = usize>) -> Vec<&mut [T]> {
    let mut blocks = Vec::new();
    for length in lengths {
        let (block, rest) = data.split_at_mut(length);
        blocks.push(block);
        data = rest;
    }
    debug_assert!(data.is_empty());
    blocks
}

/// Memory for `len` numbers, all of which the caller writes before any is read. Clearing it first would cost as much memory
/// traffic as writing it.
#[allow(unsafe_code, clippy::uninit_vec)]
pub(crate) fn unwritten(len: usize) -> Vec<f32> {
    if cfg!(debug_assertions) {
        // What is read before it is written shows in every test.
        return vec![f32::NAN; len];
    }
    let mut memory = Vec::with_capacity(len);
    // SAFETY: the capacity is `len`; every bit pattern is an f32, and the caller writes before it reads.
    unsafe { memory.set_len(len) };
    memory
}

/// Elements in a block of element-wise work: small enough to share out, large enough to hide the cost of a task.
pub(crate) const ELEMENTWISE_BLOCK: usize = 1 << 15;

/// `out[i] = f(a[i])`, in parallel.
pub(crate) fn map1(a: &[f32], f: impl Fn(f32) -> f32 + Sync) -> Vec<f32> {
    let mut out = unwritten(a.len());
    out.par_chunks_mut(ELEMENTWISE_BLOCK).zip(a.par_chunks(ELEMENTWISE_BLOCK)).for_each(|(out, a)| {
        for (out, &a) in out.iter_mut().zip(a) {
            *out = f(a);
        }
    });
    out
}

/// `out[i] = f(a[i], b[i])`, in parallel.
pub(crate) fn map2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32 + Sync) -> Vec<f32> {
    let mut out = unwritten(a.len());
    out.par_chunks_mut(ELEMENTWISE_BLOCK)
        .zip(a.par_chunks(ELEMENTWISE_BLOCK))
        .zip(b.par_chunks(ELEMENTWISE_BLOCK))
        .for_each(|((out, a), b)| {
            for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                *out = f(a, b);
            }
        });
    out
}

/// `out[i] = f(a[i], b[i], c[i])`, in parallel.
pub(crate) fn map3(a: &[f32], b: &[f32], c: &[f32], f: impl Fn(f32, f32, f32) -> f32 + Sync) -> Vec<f32> {
    let mut out = unwritten(a.len());
    out.par_chunks_mut(ELEMENTWISE_BLOCK)
        .zip(a.par_chunks(ELEMENTWISE_BLOCK))
        .zip(b.par_chunks(ELEMENTWISE_BLOCK))
        .zip(c.par_chunks(ELEMENTWISE_BLOCK))
        .for_each(|(((out, a), b), c)| {
            for (((out, &a), &b), &c) in out.iter_mut().zip(a).zip(b).zip(c) {
                *out = f(a, b, c);
            }
        });
    out
}
