//! Depthwise convolution: each channel has its own kernel. Vectors are neighbouring channels.
#![allow(unsafe_code)]

use super::pack::{Border, pad};
use super::taps::Taps;
use crate::cpu::element::Element;
use crate::cpu::product::last;
use crate::cpu::simd::{Isa, Job, Vector};
use crate::geometry::Images;
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Number of pixels whose sums stay in registers.
const PIXELS: usize = 4;

/// Sums of the taps of some pixels, for all channels.
pub(super) struct Depthwise<'a, T> {
    /// The source, with its border.
    pub data: &'a [T],
    /// Start of the first tap of each pixel, in `data`.
    pub from: &'a [usize],
    /// Distances of the taps from the first one, in `data`.
    pub taps: &'a [usize],
    /// [taps, channels]
    pub weights: &'a [f32],
    /// Number of channels.
    pub c: usize,
    /// The destination. The job writes all channels of its pixels.
    pub out: &'a mut [MaybeUninit<T>],
    /// Start of each pixel, in `out`.
    pub to: &'a [usize],
}

impl<T: Element> Job for Depthwise<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let (c, pixels) = (self.c, self.to.len());
        if pixels == 0 {
            return;
        }
        assert!(self.from.len() == pixels && self.weights.len() == self.taps.len() * c);
        assert!(last(self.from) + last(self.taps) + c <= self.data.len() && last(self.to) + c <= self.out.len());
        let (whole, quads) = (c - c % V::LANES, pixels - pixels % PIXELS);
        for at in (0..quads).step_by(PIXELS) {
            // SAFETY: the assertions show that all channels of the pixels and of their taps are
            // inside the memory.
            unsafe {
                self.pixels::<V, PIXELS>(at, 0..whole);
                self.pixels::<[f32; 1], PIXELS>(at, whole..c);
            }
        }
        for at in quads..pixels {
            // SAFETY: as above.
            unsafe {
                self.pixels::<V, 1>(at, 0..whole);
                self.pixels::<[f32; 1], 1>(at, whole..c);
            }
        }
    }
}

impl<T: Element> Depthwise<'_, T> {
    /// Writes channels of the pixels `at..at + N`.
    ///
    /// # Safety
    /// The assertions of [`Depthwise::run`] must hold, there must be `N` pixels from `at`, and
    /// `channels` must be whole vectors.
    #[inline(always)]
    unsafe fn pixels<V: Vector, const N: usize>(&mut self, at: usize, channels: Range<usize>) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let mut from = [self.data.as_ptr(); N];
            let mut to = [self.out.as_mut_ptr().cast::<T>(); N];
            for i in 0..N {
                from[i] = from[i].add(*self.from.get_unchecked(at + i));
                to[i] = to[i].add(*self.to.get_unchecked(at + i));
            }
            let mut channel = channels.start;
            while channel < channels.end {
                let mut sums = [V::splat(0.); N];
                let mut weights = self.weights.as_ptr().add(channel);
                for tap in 0..self.taps.len() {
                    let (weight, place) = (V::load(weights), *self.taps.get_unchecked(tap) + channel);
                    weights = weights.wrapping_add(self.c);
                    for i in 0..N {
                        sums[i] = T::load::<V>(from[i].add(place)).mul_add(weight, sums[i]);
                    }
                }
                for i in 0..N {
                    T::store(sums[i], to[i].add(channel));
                }
                channel += V::LANES;
            }
        }
    }
}

/// Desired number of tasks of a weight gradient.
const TASKS: usize = 16;
/// Least number of pixels per task of a weight gradient.
const TASK_PIXELS: usize = 256;
/// Number of pixels that are summed in registers.
const BLOCK_PIXELS: usize = 128;

/// The shapes of a depthwise convolution whose weight gradient is computed.
pub(super) struct DepthwiseWeightGrad {
    pub isa: Isa,
    pub input: Images,
    pub output: Images,
    pub rows: Taps,
    pub cols: Taps,
}

impl DepthwiseWeightGrad {
    /// Returns the gradient as [channels, 1, kernel height, kernel width].
    ///
    /// Fixed tasks sum groups of output rows. The sums of the tasks are added in their order.
    pub(super) fn run<T: Element>(&self, input: &[T], grad: &[T]) -> Vec<f32> {
        let (Self { rows, cols, .. }, Images { n, h, w, c }) = (self, self.output);
        let taps = rows.count * cols.count;
        if n * h * w * c == 0 {
            return vec![0f32; taps * c];
        }
        let (top, bottom) = rows.missing(self.input.h, h);
        let (left, right) = cols.missing(self.input.w, w);
        let (input, padded) = pad(input, self.input, Border { top, bottom, left, right }, 0);
        let tasks = TASKS.min(n * h * w / TASK_PIXELS).clamp(1, n * h);
        let sums: Vec<Vec<f32>> = (0..tasks)
            .into_par_iter()
            .map(|at| self.partial(n * h * at / tasks..n * h * (at + 1) / tasks, &input, padded, grad))
            .collect();
        let mut out = vec![0f32; taps * c];
        for sums in sums {
            for (tap, sums) in sums.chunks_exact(c).enumerate() {
                out.iter_mut().skip(tap).step_by(taps).zip(sums).for_each(|(out, sum)| *out += sum);
            }
        }
        out
    }

    /// Returns the sums over some output rows, counted across images, as [taps, channels].
    fn partial<T: Element>(&self, out_rows: Range<usize>, input: &[T], padded: Images, grad: &[T]) -> Vec<f32> {
        let (Self { isa, rows, cols, .. }, Images { h, w, c, .. }) = (self, self.output);
        let at = |y: usize, x: usize| (y * padded.w + x) * c;
        let taps: Vec<usize> = rows.distances().flat_map(|y| cols.distances().map(move |x| at(y, x))).collect();
        let mut sums = vec![0f32; taps.len() * c];
        for row in out_rows {
            let start = row / h * padded.h + row % h * rows.step;
            for first in (0..w).step_by(BLOCK_PIXELS) {
                let pixels = BLOCK_PIXELS.min(w - first);
                isa.run(TapSums {
                    data: &input[at(start, first * cols.step)..],
                    step: cols.step * c,
                    taps: &taps,
                    grad: &grad[(row * w + first) * c..][..pixels * c],
                    c,
                    sums: &mut sums,
                });
            }
        }
        sums
    }
}

/// Adds, for each tap and channel, the sum over some pixels of input times output gradient.
struct TapSums<'a, T> {
    /// The input, from the first tap of the first pixel. The next pixel is `step` values further.
    data: &'a [T],
    step: usize,
    /// Distances of the taps from the first one, in `data`.
    taps: &'a [usize],
    /// Output gradients of the pixels.
    grad: &'a [T],
    /// Number of channels.
    c: usize,
    /// [taps, channels]
    sums: &'a mut [f32],
}

/// Number of taps whose sums stay in registers: all of a 3 x 3 kernel.
const TAPS: usize = 9;

impl<T: Element> Job for TapSums<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let (c, pixels) = (self.c, self.grad.len() / self.c);
        assert!(pixels > 0 && self.grad.len() == pixels * c && self.sums.len() == self.taps.len() * c);
        assert!(last(self.taps) + (pixels - 1) * self.step + c <= self.data.len());
        let whole = c - c % V::LANES;
        self.channels::<V>(0..whole);
        self.channels::<[f32; 1]>(whole..c);
    }
}

impl<T: Element> TapSums<'_, T> {
    #[inline(always)]
    fn channels<V: Vector>(&mut self, channels: Range<usize>) {
        let mut channel = channels.start;
        while channel < channels.end {
            let mut tap = 0;
            while tap < self.taps.len() {
                let count = if self.taps.len() - tap < TAPS { self.taps.len() - tap } else { TAPS };
                // SAFETY: `run` checks that the taps of all pixels are inside the data, and
                // `channels` are whole vectors. There are `count` taps from `tap`.
                unsafe {
                    match count {
                        9 => self.add::<V, 9>(tap, channel),
                        8 => self.add::<V, 8>(tap, channel),
                        7 => self.add::<V, 7>(tap, channel),
                        6 => self.add::<V, 6>(tap, channel),
                        5 => self.add::<V, 5>(tap, channel),
                        4 => self.add::<V, 4>(tap, channel),
                        3 => self.add::<V, 3>(tap, channel),
                        2 => self.add::<V, 2>(tap, channel),
                        _ => self.add::<V, 1>(tap, channel),
                    }
                }
                tap += count;
            }
            channel += V::LANES;
        }
    }

    /// Adds the sums of the taps `tap..tap + N`, for a vector of channels.
    ///
    /// # Safety
    /// The assertions of `run` must hold. There must be `N` taps from `tap` and a vector of
    /// channels from `channel`.
    #[inline(always)]
    unsafe fn add<V: Vector, const N: usize>(&mut self, tap: usize, channel: usize) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let mut grad = self.grad.as_ptr().add(channel);
            let mut from = [self.data.as_ptr(); N];
            for i in 0..N {
                from[i] = from[i].add(*self.taps.get_unchecked(tap + i) + channel);
            }
            let mut sums = [V::splat(0.); N];
            for _ in 0..self.grad.len() / self.c {
                let factor = T::load::<V>(grad);
                grad = grad.wrapping_add(self.c);
                for i in 0..N {
                    sums[i] = T::load::<V>(from[i]).mul_add(factor, sums[i]);
                    from[i] = from[i].wrapping_add(self.step);
                }
            }
            for i in 0..N {
                let to = self.sums.as_mut_ptr().add((tap + i) * self.c + channel);
                V::load(to).add(sums[i]).store(to);
            }
        }
    }
}
