//! Mean and variance per channel, from sums of parts.
#![allow(unsafe_code)]

use super::conv::Finish;
use super::element::Element;
use super::simd::{Isa, Job, Vector};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Mean and variance per channel.
pub(crate) struct Moments {
    pub mean: Vec<f32>,
    /// 1 / √(variance + eps).
    pub inv_std: Vec<f32>,
    /// The variance with n - 1 as divisor, for n values.
    pub unbiased_var: Vec<f32>,
}

pub(crate) fn inv_std(var: f64, eps: f64) -> f32 {
    (1. / (var + eps).sqrt()) as f32
}

/// Approximate number of values per part.
const PART_VALUES: usize = 1 << 15;
/// Number of pixels that are summed in f32. These sums are then added in f64.
pub(super) const F32_PIXELS: usize = 32;

/// Returns the number of values per part: whole pixels, about [`PART_VALUES`] values.
pub(super) fn part_len(c: usize) -> usize {
    (PART_VALUES / c).max(1) * c
}

/// Sums over some pixels of the differences from the first of them. The differences remove most of
/// a large mean, which would hide a small variance.
struct Part {
    first: usize,
    pixels: usize,
    around: Vec<f32>,
    /// Sums of differences and of squared differences, per channel.
    sums: Vec<(f64, f64)>,
}

/// Collects the statistics of the results of a convolution while they are in cache.
pub(crate) struct Statistics {
    isa: Isa,
    c: usize,
    parts: Mutex<Vec<Part>>,
}

impl Statistics {
    pub(crate) fn new(isa: Isa, c: usize) -> Self {
        Self { isa, c, parts: Mutex::default() }
    }

    /// Collects the statistics of `x`, whose pixels have `c` channels.
    pub(crate) fn of<T: Element>(isa: Isa, x: &[T], c: usize) -> Self {
        let statistics = Self::new(isa, c);
        let len = part_len(c);
        x.par_chunks(len).enumerate().for_each(|(at, x)| statistics.add(at * len, x));
        statistics
    }

    fn add<T: Element>(&self, first: usize, x: &[T]) {
        let mut sums = vec![(0f64, 0f64); self.c];
        self.isa.run(Distances { x, sums: &mut sums });
        let part =
            Part { first, pixels: x.len() / self.c, around: x[..self.c].iter().map(|x| x.value()).collect(), sums };
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).push(part);
    }

    /// Returns the sums of all parts per channel, in the order of their pixels.
    pub(crate) fn sums(self) -> Vec<f32> {
        let c = self.c;
        let parts = self.in_order();
        let of_part =
            |part: &Part, channel: usize| part.sums[channel].0 + f64::from(part.around[channel]) * part.pixels as f64;
        (0..c).map(|channel| parts.iter().map(|part| of_part(part, channel)).sum::<f64>() as f32).collect()
    }

    fn in_order(self) -> Vec<Part> {
        let mut parts = self.parts.into_inner().unwrap_or_else(PoisonError::into_inner);
        parts.sort_by_key(|part| part.first);
        parts
    }

    /// Returns the distribution of the values of each channel, from its parts in the order of their pixels.
    pub(crate) fn distributions(self) -> Vec<Distribution> {
        let c = self.c;
        let parts = self.in_order();
        let of_channel = |channel: usize| {
            let mut all = Distribution::default();
            for Part { pixels, around, sums, .. } in &parts {
                let (count, (sum, square)) = (*pixels as f64, sums[channel]);
                let mean = f64::from(around[channel]) + sum / count;
                all.add(Distribution { count, mean, squares: (square - sum * sum / count).max(0.) });
            }
            all
        };
        (0..c).map(of_channel).collect()
    }

    /// Returns mean and variance of all parts.
    pub(crate) fn moments(self, eps: f64) -> Moments {
        Moments::of(&self.distributions(), eps)
    }
}

/// Number, mean and sum of the squared distances from the mean of some values.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Distribution {
    pub count: f64,
    pub mean: f64,
    pub squares: f64,
}

impl Distribution {
    /// Adds further values (Chan, Golub and `LeVeque` 1979).
    pub(crate) fn add(&mut self, other: Self) {
        if other.count == 0. {
            return;
        }
        let distance = other.mean - self.mean;
        let share = other.count / (self.count + other.count);
        self.squares += other.squares + distance * distance * self.count * share;
        self.mean += distance * share;
        self.count += other.count;
    }
}

impl Moments {
    /// Returns the moments of the distribution of each channel.
    pub(crate) fn of(channels: &[Distribution], eps: f64) -> Self {
        let of = |value: fn(&Distribution) -> f64| channels.iter().map(|channel| value(channel) as f32).collect();
        Self {
            mean: of(|channel| channel.mean),
            inv_std: channels.iter().map(|channel| inv_std(channel.squares / channel.count, eps)).collect(),
            unbiased_var: of(|channel| channel.squares / (channel.count - 1.).max(1.)),
        }
    }
}

impl<T: Element> Finish<T> for Option<&Statistics> {
    fn finish(&self, first: usize, out: &mut [T]) {
        if let Some(statistics) = self {
            statistics.add(first, out);
        }
    }
}

/// Adds two f32 sums of neighbouring channels to those channels' f64 sums.
#[inline(always)]
pub(super) fn add_lanes<V: Vector>(sums: &mut [(f64, f64)], first: V, second: V) {
    let mut lanes = [[0f32; 16]; 2];
    // SAFETY: no vector has more than 16 lanes.
    unsafe {
        first.store(lanes[0].as_mut_ptr());
        second.store(lanes[1].as_mut_ptr());
    }
    for lane in 0..V::LANES {
        sums[lane].0 += f64::from(lanes[0][lane]);
        sums[lane].1 += f64::from(lanes[1][lane]);
    }
}

struct Distances<'a, T> {
    x: &'a [T],
    sums: &'a mut [(f64, f64)],
}

impl<T: Element> Job for Distances<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let c = self.sums.len();
        let whole = c - c % V::LANES;
        self.channels::<V>(0..whole);
        self.channels::<[f32; 1]>(whole..c);
    }
}

impl<T: Element> Distances<'_, T> {
    /// Sums the given channels, which must be whole vectors.
    #[inline(always)]
    fn channels<V: Vector>(&mut self, channels: Range<usize>) {
        let c = self.sums.len();
        let pixels = self.x.len() / c;
        assert!(pixels > 0 && channels.end <= c && channels.len().is_multiple_of(V::LANES));
        let mut channel = channels.start;
        while channel < channels.end {
            let mut pixel = 0;
            while pixel < pixels {
                let end = pixels.min(pixel + F32_PIXELS);
                // SAFETY: the assertion above shows that each pixel has a whole vector at
                // `channel`.
                unsafe {
                    let around = T::load::<V>(self.x.as_ptr().add(channel));
                    let (mut one, mut square) = (V::splat(0.), V::splat(0.));
                    while pixel < end {
                        let distance = T::load::<V>(self.x.as_ptr().add(pixel * c + channel)).sub(around);
                        one = one.add(distance);
                        square = distance.mul_add(distance, square);
                        pixel += 1;
                    }
                    add_lanes(&mut self.sums[channel..], one, square);
                }
            }
            channel += V::LANES;
        }
    }
}
