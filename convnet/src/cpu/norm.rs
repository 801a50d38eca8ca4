//! Batch normalisation on the CPU. Blocks are fixed, so results do not depend on the number of
//! threads.
#![allow(unsafe_code)]

use super::element::Element;
use super::simd::{Isa, Job, Vector};
use super::statistics::{F32_PIXELS, add_lanes, part_len};
use super::unwritten::Unwritten;
use candle_core::Result;
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Returns weight / standard deviation per channel.
pub(crate) fn scale(weight: &[f32], inv_std: &[f32]) -> Vec<f32> {
    weight.iter().zip(inv_std).map(|(weight, inv_std)| weight * inv_std).collect()
}

/// `(x - mean) · scale + bias`, per channel.
pub(crate) struct Affine<'a> {
    pub isa: Isa,
    pub mean: &'a [f32],
    /// Weight / standard deviation.
    pub scale: &'a [f32],
    pub bias: &'a [f32],
    /// Whether ReLU follows.
    pub relu: bool,
}

impl Affine<'_> {
    /// Returns the normalised `x`, plus the residual if there is one, after ReLU if there is one.
    pub(crate) fn apply<T: Element>(&self, x: &[T], residual: Option<&[T]>) -> Vec<T> {
        let c = self.mean.len();
        assert!(x.len().is_multiple_of(c), "{} values are not whole pixels of {c} channels", x.len());
        let len = part_len(c);
        let mut out = Unwritten::new(x.len());
        out.slots().par_chunks_mut(len).zip(x.par_chunks(len)).enumerate().for_each(|(at, (out, x))| {
            let residual = residual.map(|residual| &residual[at * len..][..x.len()]);
            self.write(x, residual, out);
        });
        // SAFETY: parts are whole pixels, and all channels of their pixels were written.
        unsafe { out.into_written() }
    }

    /// Writes the results of [`Affine::apply`] for whole pixels, in this thread.
    pub(super) fn write<T: Element>(&self, x: &[T], residual: Option<&[T]>, out: &mut [MaybeUninit<T>]) {
        self.isa.run(Apply { affine: self, x, residual, out });
    }

    /// Returns the values before the ReLU for a vector of channels of a pixel.
    ///
    /// The backward pass computes them again with this function, bit by bit, instead of reading
    /// them from memory.
    ///
    /// # Safety
    /// `x` must be valid for reads of a vector; a vector of channels must start at `channel`.
    #[inline(always)]
    unsafe fn value<V: Vector, T: Element>(&self, x: *const T, channel: usize) -> V {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let mean = V::load(self.mean.as_ptr().add(channel));
            let scale = V::load(self.scale.as_ptr().add(channel));
            T::load::<V>(x).sub(mean).mul_add(scale, V::load(self.bias.as_ptr().add(channel)))
        }
    }
}

struct Apply<'a, T> {
    affine: &'a Affine<'a>,
    x: &'a [T],
    residual: Option<&'a [T]>,
    /// The job writes all of it.
    out: &'a mut [MaybeUninit<T>],
}

impl<T: Element> Job for Apply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let c = self.affine.mean.len();
        let whole = c - c % V::LANES;
        assert!(self.affine.scale.len() == c && self.affine.bias.len() == c && self.x.len() == self.out.len());
        assert!(self.residual.is_none_or(|residual| residual.len() == self.out.len()));
        for pixel in 0..self.out.len() / c {
            self.channels::<V>(pixel * c, 0..whole);
            self.channels::<[f32; 1]>(pixel * c, whole..c);
        }
    }
}

impl<T: Element> Apply<'_, T> {
    #[inline(always)]
    fn channels<V: Vector>(&mut self, pixel: usize, channels: Range<usize>) {
        let mut channel = channels.start;
        while channel < channels.end {
            // SAFETY: `run` checks that all slices have whole pixels, and `channels` are whole
            // vectors of a pixel.
            unsafe {
                let at = pixel + channel;
                let mut y = self.affine.value::<V, T>(self.x.as_ptr().add(at), channel);
                if let Some(residual) = self.residual {
                    y = y.add(T::load::<V>(residual.as_ptr().add(at)));
                }
                if self.affine.relu {
                    y = y.above(V::splat(0.), y, y).0;
                }
                T::store(y, self.out.as_mut_ptr().cast::<T>().add(at));
            }
            channel += V::LANES;
        }
    }
}

/// Returns the values of all processes, given those of this one.
pub(crate) type GatherValues<'a> = dyn Fn(&[f64]) -> Result<Vec<Vec<f64>>> + Sync + 'a;

/// The gradients of `y = norm(x)`, or of `y = relu(norm(x))`.
pub(crate) struct Gradients<'a> {
    pub affine: Affine<'a>,
    pub inv_std: &'a [f32],
    /// Whether the moments are those of the running statistics.
    pub fixed: bool,
    /// Returns the values of all processes whose images had the moments, if there are several.
    pub gather: Option<&'a GatherValues<'a>>,
}

/// Gradients of the input, the weight and the bias.
pub(crate) type InputWeightBias<T> = (Vec<T>, Vec<f32>, Vec<f32>);

impl Gradients<'_> {
    pub(crate) fn run<T: Element>(&self, x: &[T], grad: &[T]) -> Result<InputWeightBias<T>> {
        let c = self.inv_std.len();
        assert!(
            x.len() == grad.len() && x.len().is_multiple_of(c),
            "{} gradients do not fit {} values",
            grad.len(),
            x.len()
        );
        let len = part_len(c);
        let parts = x.par_chunks(len).zip(grad.par_chunks(len)).map(|(x, grad)| self.part_sums(x, grad)).collect();
        let sums = self.total(parts);
        let means = self.means(&sums, x.len() / c)?;
        let mut out = Unwritten::new(x.len());
        let parts = out.slots().par_chunks_mut(len).zip(x.par_chunks(len)).zip(grad.par_chunks(len));
        parts.for_each(|((out, x), grad)| self.write(&means, x, grad, out));
        // SAFETY: there are as many gradients as values, parts are whole pixels, and all channels of their
        // pixels were written.
        let out = unsafe { out.into_written() };
        let (weight, bias) = sums.into_weight_and_bias();
        Ok((out, weight, bias))
    }

    /// Returns the sums over whole pixels of g and of `g · (x - mean)`, per channel.
    pub(super) fn part_sums<T: Element>(&self, x: &[T], grad: &[T]) -> Vec<(f64, f64)> {
        let mut sums = vec![(0f64, 0f64); self.inv_std.len()];
        self.affine.isa.run(GradSums { affine: &self.affine, x, grad, sums: &mut sums });
        sums
    }

    /// Returns the means that the gradient of the input needs, over the pixels of all processes. `pixels` is the
    /// number of those of `sums`.
    pub(super) fn means(&self, sums: &Sums, pixels: usize) -> Result<Means> {
        let Some(gather) = self.gather.filter(|_| !self.fixed) else { return Ok(self.means_of(sums, pixels as f64)) };
        let own = sums.0.iter().flat_map(|&(one, product)| [one, product]).chain([pixels as f64]);
        let mut total = vec![0.; 2 * sums.0.len() + 1];
        for of_process in gather(&own.collect::<Vec<_>>())? {
            total.iter_mut().zip(of_process).for_each(|(total, value)| *total += value);
        }
        let pixels = total.pop().unwrap_or_default();
        let total = total.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        Ok(self.means_of(&Sums(total), pixels))
    }

    fn means_of(&self, sums: &Sums, pixels: f64) -> Means {
        // dx = scale · (g - mean(g) - (x - mean) · inv_std · mean(g · xhat)). With fixed
        // statistics, both means are 0.
        let batch = if self.fixed { 0. } else { 1. / pixels };
        let grad = sums.0.iter().map(|sums| (batch * sums.0) as f32).collect();
        let minus_slope = (sums.0.iter().zip(self.inv_std))
            .map(|(sums, &inv_std)| (-batch * sums.1 * f64::from(inv_std)) as f32)
            .collect();
        Means { grad, minus_slope }
    }

    /// Writes the gradients of the input for whole pixels, in this thread.
    pub(super) fn write<T: Element>(&self, means: &Means, x: &[T], grad: &[T], out: &mut [MaybeUninit<T>]) {
        let affine = &self.affine;
        let Means { grad: mean_grad, minus_slope } = means;
        affine.isa.run(InputGrad { affine, mean_grad, minus_slope, x, grad, out });
    }

    /// Adds the sums of parts, in their order.
    pub(super) fn total(&self, parts: Vec<Vec<(f64, f64)>>) -> Sums {
        let mut total = vec![(0f64, 0f64); self.inv_std.len()];
        for sums in parts {
            for (total, sum) in total.iter_mut().zip(sums) {
                total.0 += sum.0;
                total.1 += sum.1;
            }
        }
        for (total, &inv_std) in total.iter_mut().zip(self.inv_std) {
            total.1 *= f64::from(inv_std);
        }
        Sums(total)
    }
}

/// The sums of g and of `g · (x - mean) · inv_std` per channel.
pub(super) struct Sums(Vec<(f64, f64)>);

impl Sums {
    /// Returns the gradients of weight and bias.
    pub(super) fn into_weight_and_bias(self) -> (Vec<f32>, Vec<f32>) {
        self.0.into_iter().map(|(one, product)| (product as f32, one as f32)).unzip()
    }
}

/// Means per channel for the gradient of the input.
pub(super) struct Means {
    /// The mean of g.
    grad: Vec<f32>,
    minus_slope: Vec<f32>,
}

/// Returns the gradient before the ReLU, or `grad` if there is no ReLU.
///
/// # Safety
/// The conditions of [`Affine::value`] apply, and `grad` must be valid for reads of a vector.
#[inline(always)]
unsafe fn masked<V: Vector, T: Element>(affine: &Affine<'_>, x: *const T, grad: *const T, channel: usize) -> V {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let grad = T::load::<V>(grad);
        if !affine.relu {
            return grad;
        }
        let zero = V::splat(0.);
        affine.value::<V, T>(x, channel).above(zero, grad, zero).1
    }
}

struct GradSums<'a, T> {
    affine: &'a Affine<'a>,
    x: &'a [T],
    grad: &'a [T],
    sums: &'a mut [(f64, f64)],
}

impl<T: Element> Job for GradSums<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let c = self.sums.len();
        let whole = c - c % V::LANES;
        assert!(self.affine.mean.len() == c && self.affine.scale.len() == c && self.affine.bias.len() == c);
        assert!(self.x.len() == self.grad.len());
        self.channels::<V>(0..whole);
        self.channels::<[f32; 1]>(whole..c);
    }
}

impl<T: Element> GradSums<'_, T> {
    #[inline(always)]
    fn channels<V: Vector>(&mut self, channels: Range<usize>) {
        let c = self.sums.len();
        let pixels = self.x.len() / c;
        let mut channel = channels.start;
        while channel < channels.end {
            let mut pixel = 0;
            while pixel < pixels {
                let end = pixels.min(pixel + F32_PIXELS);
                // SAFETY: `run` checks that `x` and `grad` have whole pixels, and `channels` are
                // whole vectors of a pixel.
                unsafe {
                    let mean = V::load(self.affine.mean.as_ptr().add(channel));
                    let (mut one, mut product) = (V::splat(0.), V::splat(0.));
                    while pixel < end {
                        let at = pixel * c + channel;
                        let x = self.x.as_ptr().add(at);
                        let grad = masked::<V, T>(self.affine, x, self.grad.as_ptr().add(at), channel);
                        one = one.add(grad);
                        product = grad.mul_add(T::load::<V>(x).sub(mean), product);
                        pixel += 1;
                    }
                    add_lanes(&mut self.sums[channel..], one, product);
                }
            }
            channel += V::LANES;
        }
    }
}

struct InputGrad<'a, T> {
    affine: &'a Affine<'a>,
    mean_grad: &'a [f32],
    minus_slope: &'a [f32],
    x: &'a [T],
    grad: &'a [T],
    /// The job writes all of it.
    out: &'a mut [MaybeUninit<T>],
}

impl<T: Element> Job for InputGrad<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let c = self.affine.mean.len();
        let whole = c - c % V::LANES;
        assert!(self.affine.scale.len() == c && self.affine.bias.len() == c);
        assert!(self.mean_grad.len() == c && self.minus_slope.len() == c);
        assert!(self.x.len() == self.out.len() && self.grad.len() == self.out.len());
        for pixel in 0..self.out.len() / c {
            self.channels::<V>(pixel * c, 0..whole);
            self.channels::<[f32; 1]>(pixel * c, whole..c);
        }
    }
}

impl<T: Element> InputGrad<'_, T> {
    #[inline(always)]
    fn channels<V: Vector>(&mut self, pixel: usize, channels: Range<usize>) {
        let mut channel = channels.start;
        while channel < channels.end {
            // SAFETY: `run` checks that all slices have whole pixels, and `channels` are whole
            // vectors of a pixel.
            unsafe {
                let at = pixel + channel;
                let x = self.x.as_ptr().add(at);
                let grad = masked::<V, T>(self.affine, x, self.grad.as_ptr().add(at), channel);
                let scale = V::load(self.affine.scale.as_ptr().add(channel));
                let mean_grad = V::load(self.mean_grad.as_ptr().add(channel));
                let minus_slope = V::load(self.minus_slope.as_ptr().add(channel));
                let distance = T::load::<V>(x).sub(V::load(self.affine.mean.as_ptr().add(channel)));
                let gradient = distance.mul_add(minus_slope, grad.sub(mean_grad)).mul(scale);
                T::store(gradient, self.out.as_mut_ptr().cast::<T>().add(at));
            }
            channel += V::LANES;
        }
    }
}
