//! Work in fixed blocks.
//!
//! Only the shapes determine where a block starts and ends, and partial sums are added in block
//! order. Results are therefore bit-identical for any number of threads and any schedule.
#![allow(unsafe_code)]

use super::element::Element;
use super::unwritten::Unwritten;
use rayon::prelude::*;

/// Splits `data` into consecutive blocks of these lengths.
///
/// # Panics
/// Panics if the sum of the lengths is not `data.len()`.
pub(crate) fn split_by_lengths<T>(mut data: &mut [T], lengths: impl Iterator<Item = usize>) -> Vec<&mut [T]> {
    let mut blocks = Vec::new();
    for length in lengths {
        let (block, rest) = data.split_at_mut(length);
        blocks.push(block);
        data = rest;
    }
    assert!(data.is_empty(), "blocks leave {} elements over", data.len());
    blocks
}

/// Elements per block of element-wise work: few enough to use all threads, many enough to hide the
/// cost of a task.
pub(crate) const ELEMENTWISE_BLOCK: usize = 1 << 15;

/// Returns `f(a[i], b[i])` for all i, in parallel.
pub(crate) fn map2<T: Element>(a: &[T], b: &[T], f: impl Fn(f32, f32) -> f32 + Sync) -> Vec<T> {
    assert_eq!(a.len(), b.len(), "operands differ in length");
    let mut out = Unwritten::new(a.len());
    out.slots()
        .par_chunks_mut(ELEMENTWISE_BLOCK)
        .zip(a.par_chunks(ELEMENTWISE_BLOCK))
        .zip(b.par_chunks(ELEMENTWISE_BLOCK))
        .for_each(|((out, a), b)| {
            for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                out.write(T::of(f(a.value(), b.value())));
            }
        });
    // SAFETY: blocks of all slices have the same lengths, so each slot is written.
    unsafe { out.into_written() }
}

/// Returns `f(a[i], b[i], c[i])` for all i, in parallel.
pub(crate) fn map3<T: Element>(a: &[T], b: &[T], c: &[T], f: impl Fn(f32, f32, f32) -> f32 + Sync) -> Vec<T> {
    assert!(a.len() == b.len() && a.len() == c.len(), "operands differ in length");
    let mut out = Unwritten::new(a.len());
    out.slots()
        .par_chunks_mut(ELEMENTWISE_BLOCK)
        .zip(a.par_chunks(ELEMENTWISE_BLOCK))
        .zip(b.par_chunks(ELEMENTWISE_BLOCK))
        .zip(c.par_chunks(ELEMENTWISE_BLOCK))
        .for_each(|(((out, a), b), c)| {
            for (((out, &a), &b), &c) in out.iter_mut().zip(a).zip(b).zip(c) {
                out.write(T::of(f(a.value(), b.value(), c.value())));
            }
        });
    // SAFETY: blocks of all slices have the same lengths, so each slot is written.
    unsafe { out.into_written() }
}

/// Returns `f(a[i], factor of the image of i)` for all i, in parallel. The images are parts of `a`
/// of the same length, one per factor.
pub(crate) fn images1<T: Element>(a: &[T], factors: &[f32], f: impl Fn(f32, f32) -> f32 + Sync) -> Vec<T> {
    let len = image_len(a, factors);
    let mut out = Unwritten::new(a.len());
    out.slots().par_chunks_mut(len).zip(a.par_chunks(len)).zip(factors).for_each(|((out, a), &factor)| {
        for (out, &a) in out.iter_mut().zip(a) {
            out.write(T::of(f(a.value(), factor)));
        }
    });
    // SAFETY: there are as many factors as images, and the parts of `out` and `a` have the same
    // lengths, so each slot is written.
    unsafe { out.into_written() }
}

/// Returns `f(a[i], b[i], factor of the image of i)` for all i, in parallel, like [`images1`].
pub(crate) fn images2<T: Element>(
    a: &[T],
    b: &[T],
    factors: &[f32],
    f: impl Fn(f32, f32, f32) -> f32 + Sync,
) -> Vec<T> {
    assert_eq!(a.len(), b.len(), "operands differ in length");
    let len = image_len(a, factors);
    let mut out = Unwritten::new(a.len());
    let parts = out.slots().par_chunks_mut(len).zip(a.par_chunks(len)).zip(b.par_chunks(len)).zip(factors);
    parts.for_each(|(((out, a), b), &factor)| {
        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
            out.write(T::of(f(a.value(), b.value(), factor)));
        }
    });
    // SAFETY: there are as many factors as images, and the parts of all slices have the same
    // lengths, so each slot is written.
    unsafe { out.into_written() }
}

/// Returns the length of an image: at least 1, and exact if there are values.
fn image_len<T>(a: &[T], factors: &[f32]) -> usize {
    let len = (a.len() / factors.len().max(1)).max(1);
    assert!(a.is_empty() || a.len() == len * factors.len(), "{} values do not fit {} images", a.len(), factors.len());
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_computed_also_after_the_last_whole_block() {
        for len in [0, 1, ELEMENTWISE_BLOCK, 2 * ELEMENTWISE_BLOCK + 3] {
            let numbers: Vec<f32> = (0..len).map(|i| i as f32).collect();
            let expected = |factor: f32| numbers.iter().map(|x| factor * x).collect::<Vec<_>>();
            assert_eq!(map2(&numbers, &numbers, |a, b| a + 2. * b), expected(3.));
            assert_eq!(map3(&numbers, &numbers, &numbers, |a, b, c| a + b + 2. * c), expected(4.));
        }
    }

    #[test]
    fn each_image_has_its_factor() {
        let (a, b, factors) = ([1f32, 2., 3., 4., 5., 6.], [1., 1., 1., 0., 0., 0.], [2., -1.]);
        assert_eq!(images1(&a, &factors, |a, factor| factor * a), [2., 4., 6., -4., -5., -6.]);
        assert_eq!(images2(&a, &b, &factors, |a, b, factor| factor * a + b), [3., 5., 7., -4., -5., -6.]);
        assert_eq!(images1::<f32>(&[], &factors, |a, _| a), [0.; 0]);
        assert_eq!(images1::<f32>(&[], &[], |a, _| a), [0.; 0]);
    }

    #[test]
    #[should_panic(expected = "5 values do not fit 2 images")]
    fn factors_that_do_not_fit_panic() {
        let _ = images1(&[0f32; 5], &[1.; 2], |a, factor| factor * a);
    }

    #[test]
    #[should_panic(expected = "differ in length")]
    fn operands_of_different_lengths_panic() {
        let _ = map2(&[0f32; 3], &[0.; 2], |a, b| a + b);
    }

    #[test]
    #[should_panic(expected = "blocks leave 2 elements over")]
    fn blocks_that_do_not_cover_everything_panic() {
        let _ = split_by_lengths(&mut [0; 5], [1, 2].into_iter());
    }
}
