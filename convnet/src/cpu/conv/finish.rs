//! The last step of a convolution, applied while its results are in cache.
#![allow(unsafe_code)]

use crate::cpu::dense::rectify;
use crate::cpu::element::Element;
use crate::cpu::simd::{Isa, Job, Vector};

/// The last step of a convolution.
pub(crate) trait Finish<T>: Sync {
    /// Processes whole pixels of the result. `first` is the index of their first element in the
    /// whole result.
    ///
    /// Each element is passed once. Only shapes determine which pixels are passed together.
    fn finish(&self, first: usize, out: &mut [T]);
}

/// Does nothing.
impl<T> Finish<T> for () {
    fn finish(&self, _: usize, _: &mut [T]) {}
}

/// Adds a bias and an optional residual, and applies ReLU if `relu`.
pub(crate) struct Shift<'a, T> {
    pub isa: Isa,
    /// One value per channel.
    pub bias: &'a [f32],
    /// Has the shape of the result.
    pub residual: Option<&'a [T]>,
    pub relu: bool,
}

impl<T: Element> Finish<T> for Shift<'_, T> {
    fn finish(&self, first: usize, out: &mut [T]) {
        let residual = self.residual.map(|residual| &residual[first..first + out.len()]);
        self.isa.run(ShiftPixels { bias: self.bias, residual, relu: self.relu, out });
    }
}

struct ShiftPixels<'a, T> {
    bias: &'a [f32],
    residual: Option<&'a [T]>,
    relu: bool,
    out: &'a mut [T],
}

impl<T: Element> Job for ShiftPixels<'_, T> {
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
                // SAFETY: the pixel has a whole vector at `channel`, and residual and result have
                // the same length, as asserted above.
                unsafe {
                    let to = out.as_mut_ptr().add(at);
                    let mut sum = T::load::<V>(to).add(V::load(bias.as_ptr().add(channel)));
                    if let Some(residual) = residual {
                        sum = sum.add(T::load::<V>(residual.as_ptr().add(at)));
                    }
                    if relu {
                        sum = sum.above(zero, zero, zero).0;
                    }
                    T::store(sum, to);
                }
                channel += V::LANES;
            }
            for channel in whole..c {
                let at = pixel * c + channel;
                let sum = out[at].value() + bias[channel] + residual.map_or(0., |residual| residual[at].value());
                out[at] = T::of(if relu { rectify(sum) } else { sum });
            }
        }
    }
}
