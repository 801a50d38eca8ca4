//! Factors per image and channel on the CPU.

use super::element::Element;
use super::unwritten::Unwritten;
use rayon::prelude::*;

/// Returns `x · factor of its image and channel` for images of `len` values.
pub(crate) fn scale<T: Element>(x: &[T], factors: &[f32], len: usize, c: usize) -> Vec<T> {
    let mut out = Unwritten::new(x.len());
    let images = out.slots().par_chunks_mut(len.max(1)).zip(x.par_chunks(len.max(1)));
    images.zip(factors.par_chunks(c.max(1))).for_each(|((out, x), factors)| {
        for (out, x) in out.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
            for ((out, x), factor) in out.iter_mut().zip(x).zip(factors) {
                out.write(T::of(x.value() * factor));
            }
        }
    });
    // SAFETY: there is one list of factors per image, images are whole pixels, and each channel of
    // each pixel is written.
    #[allow(unsafe_code)]
    unsafe {
        out.into_written()
    }
}

/// Returns the sum over the pixels of `a · b` per image and channel.
pub(crate) fn dot<T: Element>(a: &[T], b: &[T], len: usize, c: usize) -> Vec<f32> {
    let images = a.par_chunks(len.max(1)).zip(b.par_chunks(len.max(1)));
    let of_image = |(a, b): (&[T], &[T])| {
        let mut sums = vec![0f64; c];
        for (a, b) in a.chunks_exact(c).zip(b.chunks_exact(c)) {
            for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                *sum += f64::from(a.value()) * f64::from(b.value());
            }
        }
        sums.into_iter().map(|sum| sum as f32).collect::<Vec<f32>>()
    };
    images.flat_map_iter(of_image).collect()
}
