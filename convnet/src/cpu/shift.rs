//! Temporal shift on the CPU: copies of channels between the frames of a clip.
#![allow(unsafe_code)]

use super::element::Element;
use super::unwritten::Unwritten;
use crate::geometry::TemporalShift;
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Returns `x`, NHWC, with shifted channels.
pub(crate) fn temporal_shift<T: Element>(x: &[T], shift: &TemporalShift) -> Vec<T> {
    let (c, fold) = (shift.images.c, shift.fold);
    assert_eq!(x.len(), shift.images.len(), "the values do not fit the shape of the images");
    let len = (shift.images.h * shift.images.w * c).max(1);
    let mut out = Unwritten::new(x.len());
    out.slots().par_chunks_mut(len).enumerate().for_each(|(n, out)| {
        let image = |n: usize| &x[n * len..][..len];
        let own = image(n);
        let [first, second] = shift.sources(n).map(|source| source.map(image));
        for (pixel, out) in out.chunks_exact_mut(c).enumerate() {
            let (moved, kept) = out.split_at_mut(2 * fold);
            let (one, other) = moved.split_at_mut(fold);
            let at = pixel * c;
            copy(one, first, at);
            copy(other, second, at + fold);
            copy(kept, Some(own), at + 2 * fold);
        }
    });
    // SAFETY: images are whole pixels, and the three copies write all channels of each pixel.
    unsafe { out.into_written() }
}

/// Writes all of `out`: the values of `from` that start at `at`, or zeros.
#[inline]
fn copy<T: Element>(out: &mut [MaybeUninit<T>], from: Option<&[T]>, at: usize) {
    match from {
        Some(from) => {
            out.write_copy_of_slice(&from[at..at + out.len()]);
        }
        None => out.fill(MaybeUninit::new(T::default())),
    }
}
