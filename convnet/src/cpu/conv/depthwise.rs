//! Depthwise convolution: each channel has its own kernel. Vectors are neighbouring channels.
#![allow(unsafe_code)]

use super::taps::{Segment, Taps};
use crate::cpu::element::Element;
use crate::cpu::simd::{Isa, Job, Vector};
use crate::geometry::Images;
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Number of pixels whose sums stay in registers.
const PIXELS: usize = 4;

/// Sums of the taps of some pixels of a row, for all channels. All taps are inside the image, so the
/// image needs no border.
pub(super) struct Depthwise<'a, T> {
    /// The source, from the first tap of the first pixel. The next pixel is `step` values further.
    pub data: &'a [T],
    pub step: usize,
    /// For each row of the kernel: its distance from the first one in `data`, and the start of its
    /// weights.
    pub rows: &'a [(usize, usize)],
    /// Taps per row, and the distance between them in `data`.
    pub cols: usize,
    pub spacing: usize,
    /// [taps, channels]
    pub weights: &'a [f32],
    /// Number of channels.
    pub c: usize,
    /// The destination, from the first pixel. The next pixel is `out_step` values further. The job
    /// writes all channels of the pixels.
    pub out: &'a mut [MaybeUninit<T>],
    pub out_step: usize,
    pub pixels: usize,
}

impl<T: Element> Job for Depthwise<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let Self { step, cols, spacing, c, out_step, pixels, .. } = self;
        if pixels == 0 || cols == 0 || self.rows.is_empty() {
            return;
        }
        let (mut last_row, mut last_weight) = (0, 0);
        for &(row, weight) in self.rows {
            last_row = if row > last_row { row } else { last_row };
            last_weight = if weight > last_weight { weight } else { last_weight };
        }
        assert!((pixels - 1) * step + last_row + (cols - 1) * spacing + c <= self.data.len());
        assert!(last_weight + cols * c <= self.weights.len() && (pixels - 1) * out_step + c <= self.out.len());
        let whole = c - c % V::LANES;
        // SAFETY: the assertions show that all channels of the pixels, of their taps and of the
        // weights are inside the memory.
        unsafe {
            self.channels::<V>(0..whole);
            self.channels::<[f32; 1]>(whole..c);
        }
    }
}

impl<T: Element> Depthwise<'_, T> {
    /// Writes channels of all pixels.
    ///
    /// # Safety
    /// The assertions of [`Depthwise::run`] must hold, and `channels` must be whole vectors.
    #[inline(always)]
    unsafe fn channels<V: Vector>(&mut self, channels: Range<usize>) {
        if channels.is_empty() {
            return;
        }
        let quads = self.pixels - self.pixels % PIXELS;
        // Neighbouring pixels have taps in common.
        let shares = self.spacing == self.step;
        // SAFETY: guaranteed by the caller. There are `PIXELS` pixels from each of the first.
        unsafe {
            for at in (0..quads).step_by(PIXELS) {
                match self.cols {
                    3 if shares => self.shared::<V, 3, { PIXELS + 2 }>(at, channels.clone()),
                    5 if shares => self.shared::<V, 5, { PIXELS + 4 }>(at, channels.clone()),
                    _ => self.separate::<V, PIXELS>(at, channels.clone()),
                }
            }
            for at in quads..self.pixels {
                self.separate::<V, 1>(at, channels.clone());
            }
        }
    }

    /// Writes channels of the pixels `at..at + PIXELS`, whose taps are `READ` neighbouring pixels.
    ///
    /// # Safety
    /// The conditions of [`Depthwise::channels`] apply. There must be `PIXELS` pixels from `at`, rows
    /// of `K` taps, and `READ` must be `PIXELS + K - 1`.
    #[inline(always)]
    unsafe fn shared<V: Vector, const K: usize, const READ: usize>(&mut self, at: usize, channels: Range<usize>) {
        let mut channel = channels.start;
        while channel < channels.end {
            // SAFETY: guaranteed by the caller.
            unsafe {
                let from = self.data.as_ptr().add(at * self.step + channel);
                let mut sums = [V::splat(0.); PIXELS];
                for row in 0..self.rows.len() {
                    let (distance, weights) = *self.rows.get_unchecked(row);
                    let (from, weights) = (from.add(distance), self.weights.as_ptr().add(weights + channel));
                    let mut values = [V::splat(0.); READ];
                    for i in 0..READ {
                        values[i] = T::load::<V>(from.add(i * self.step));
                    }
                    for tap in 0..K {
                        let weight = V::load(weights.add(tap * self.c));
                        for i in 0..PIXELS {
                            sums[i] = values[i + tap].mul_add(weight, sums[i]);
                        }
                    }
                }
                let to = self.out.as_mut_ptr().cast::<T>().add(at * self.out_step + channel);
                for i in 0..PIXELS {
                    T::store(sums[i], to.add(i * self.out_step));
                }
            }
            channel += V::LANES;
        }
    }

    /// Writes channels of the pixels `at..at + N`.
    ///
    /// # Safety
    /// The conditions of [`Depthwise::channels`] apply, and there must be `N` pixels from `at`.
    #[inline(always)]
    unsafe fn separate<V: Vector, const N: usize>(&mut self, at: usize, channels: Range<usize>) {
        let mut channel = channels.start;
        while channel < channels.end {
            // SAFETY: guaranteed by the caller.
            unsafe {
                let from = self.data.as_ptr().add(at * self.step + channel);
                let mut sums = [V::splat(0.); N];
                for row in 0..self.rows.len() {
                    let (distance, weights) = *self.rows.get_unchecked(row);
                    let (mut from, mut weights) = (from.add(distance), self.weights.as_ptr().add(weights + channel));
                    for _ in 0..self.cols {
                        let weight = V::load(weights);
                        weights = weights.wrapping_add(self.c);
                        for i in 0..N {
                            sums[i] = T::load::<V>(from.wrapping_add(i * self.step)).mul_add(weight, sums[i]);
                        }
                        from = from.wrapping_add(self.spacing);
                    }
                }
                let to = self.out.as_mut_ptr().cast::<T>().add(at * self.out_step + channel);
                for i in 0..N {
                    T::store(sums[i], to.add(i * self.out_step));
                }
            }
            channel += V::LANES;
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
        let tasks = TASKS.min(n * h * w / TASK_PIXELS).clamp(1, n * h);
        let sums: Vec<Vec<f32>> = (0..tasks)
            .into_par_iter()
            .map(|at| self.partial(n * h * at / tasks..n * h * (at + 1) / tasks, input, grad))
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
    fn partial<T: Element>(&self, out_rows: Range<usize>, input: &[T], grad: &[T]) -> Vec<f32> {
        let (Self { isa, rows, cols, .. }, Images { h, w, c, .. }) = (self, self.output);
        let segments = cols.segments(w, self.input.w);
        let mut sums = vec![0f32; rows.count * cols.count * c];
        let mut taps = Vec::new();
        for row in out_rows {
            let inside = rows.inside(row % h, self.input.h);
            let top = ((row % h * rows.step + inside.start * rows.spacing) as isize + rows.first) as usize;
            let has_taps = |segment: &&Segment| !segment.taps.is_empty() && !inside.is_empty();
            for Segment { positions, taps: cols_inside } in segments.iter().filter(has_taps) {
                taps.clear();
                for y in inside.clone() {
                    let distance = (y - inside.start) * rows.spacing * self.input.w;
                    let tap = |x: usize| (y * cols.count + x, distance + (x - cols_inside.start) * cols.spacing);
                    taps.extend(cols_inside.clone().map(tap).map(|(tap, distance)| (tap * c, distance * c)));
                }
                for first in positions.clone().step_by(BLOCK_PIXELS) {
                    let count = BLOCK_PIXELS.min(positions.end - first);
                    let left = ((first * cols.step + cols_inside.start * cols.spacing) as isize + cols.first) as usize;
                    isa.run(TapSums {
                        data: &input[((row / h * self.input.h + top) * self.input.w + left) * c..],
                        step: cols.step * c,
                        taps: &taps,
                        grad: &grad[(row * w + first) * c..][..count * c],
                        c,
                        sums: &mut sums,
                    });
                }
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
    /// For each tap: the start of its sums, and its distance from the first one in `data`.
    taps: &'a [(usize, usize)],
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
        let (mut last_sum, mut last_tap) = (0, 0);
        for &(sum, tap) in self.taps {
            last_sum = if sum > last_sum { sum } else { last_sum };
            last_tap = if tap > last_tap { tap } else { last_tap };
        }
        assert!(pixels > 0 && self.grad.len() == pixels * c && last_sum + c <= self.sums.len());
        assert!(last_tap + (pixels - 1) * self.step + c <= self.data.len());
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
                from[i] = from[i].add(self.taps.get_unchecked(tap + i).1 + channel);
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
                let to = self.sums.as_mut_ptr().add(self.taps.get_unchecked(tap + i).0 + channel);
                V::load(to).add(sums[i]).store(to);
            }
        }
    }
}
