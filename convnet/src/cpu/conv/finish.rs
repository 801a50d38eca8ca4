//! What happens to a convolution's results while they are in cache.
#![allow(unsafe_code)]

use crate::cpu::dense::rectify;
use crate::cpu::simd::{Isa, Job, Vector};

/// The last step of a convolution.
pub(crate) trait Finish: Sync {
    /// Takes whole pixels of the result, the first of them number `first` of all its elements. Every element comes once; which ones
    /// come together depends on shapes only.
    fn finish(&self, first: usize, out: &mut [f32]);
}

/// Nothing.
impl Finish for () {
    fn finish(&self, _: usize, _: &mut [f32]) {}
}

/// `out + bias`, plus a residual, rectified if asked.
pub(crate) struct Shift<'a> {
    pub isa: Isa,
    /// One for each channel.
    pub bias: &'a [f32],
    /// Of the result's shape.
    pub residual: Option<&'a [f32]>,
    pub relu: bool,
}

impl Finish for Shift<'_> {
    fn finish(&self, first: usize, out: &mut [f32]) {
        let residual = self.residual.map(|residual| &residual[first..first + out.len()]);
        self.isa.run(ShiftPixels { bias: self.bias, residual, relu: self.relu, out });
    }
}

struct ShiftPixels<'a> {
    bias: &'a [f32],
    residual: Option<&'a [f32]>,
    relu: bool,
    out: &'a mut [f32],
}

impl Job for ShiftPixels<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { bias, residual, relu, out } = self;
        let c = bias.len();
        assert!(out.len() % c == 0 && residual.is_none_or(|residual| residual.len() == out.len()));
        let zero = V::splat(0.);
        let whole = c - c % V::LANES;
        for pixel in 0..out.len() / c {
            let mut channel = 0;
            while channel < whole {
                let at = pixel * c + channel;
                // SAFETY: a vector lies before the pixel's end, and residual and result are of equal length, as asserted above.
                unsafe {
                    let to = out.as_mut_ptr().add(at);
                    let mut sum = V::load(to).add(V::load(bias.as_ptr().add(channel)));
                    if let Some(residual) = residual {
                        sum = sum.add(V::load(residual.as_ptr().add(at)));
                    }
                    if relu {
                        sum = sum.above(zero, zero, zero).0;
                    }
                    sum.store(to);
                }
                channel += V::LANES;
            }
            for channel in whole..c {
                let at = pixel * c + channel;
                let sum = out[at] + bias[channel] + residual.map_or(0., |residual| residual[at]);
                out[at] = if relu { rectify(sum) } else { sum };
            }
        }
    }
}
