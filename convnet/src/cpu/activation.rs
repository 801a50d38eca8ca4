//! Activation functions on the CPU, and their gradients.
//!
//! The loops have no branches, so the compiler vectorises them for each instruction set.
#![allow(unsafe_code)]

use super::dense::rectify;
use super::element::Element;
use super::parallel::ELEMENTWISE_BLOCK;
use super::simd::{Isa, Job, Vector};
use super::unwritten::Unwritten;
use crate::geometry::Activation;
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Returns the activations of `x`.
pub(crate) fn forward<T: Element>(isa: Isa, activation: Activation, x: &[T]) -> Vec<T> {
    let mut out = Unwritten::new(x.len());
    out.slots().par_chunks_mut(ELEMENTWISE_BLOCK).zip(x.par_chunks(ELEMENTWISE_BLOCK)).for_each(|(out, x)| {
        isa.run(Forward { activation, x, out });
    });
    // SAFETY: blocks of `out` and `x` have the same lengths, and each job writes its block.
    unsafe { out.into_written() }
}

/// Returns the gradients of the inputs `x` from those of the activations.
pub(crate) fn gradient<T: Element>(isa: Isa, activation: Activation, x: &[T], grad: &[T]) -> Vec<T> {
    assert_eq!(x.len(), grad.len(), "values and gradients differ in number");
    let mut out = Unwritten::new(x.len());
    let blocks = out.slots().par_chunks_mut(ELEMENTWISE_BLOCK).zip(x.par_chunks(ELEMENTWISE_BLOCK));
    blocks.zip(grad.par_chunks(ELEMENTWISE_BLOCK)).for_each(|((out, x), grad)| {
        isa.run(Gradient { activation, x, grad, out });
    });
    // SAFETY: blocks of all slices have the same lengths, and each job writes its block.
    unsafe { out.into_written() }
}

struct Forward<'a, T> {
    activation: Activation,
    x: &'a [T],
    /// The job writes all of it.
    out: &'a mut [MaybeUninit<T>],
}

impl<T: Element> Job for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { activation, x, out } = self;
        assert_eq!(x.len(), out.len());
        match activation {
            Activation::Relu => each(x, out, rectify),
            Activation::Silu => each(x, out, |x| x * sigmoid(x)),
            Activation::HardSwish => each(x, out, |x| x * hard_sigmoid(x)),
            Activation::HardSigmoid => each(x, out, hard_sigmoid),
        }
    }
}

struct Gradient<'a, T> {
    activation: Activation,
    x: &'a [T],
    grad: &'a [T],
    /// The job writes all of it.
    out: &'a mut [MaybeUninit<T>],
}

impl<T: Element> Job for Gradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { activation, x, grad, out } = self;
        assert!(x.len() == out.len() && grad.len() == out.len());
        match activation {
            Activation::Relu => each_pair(x, grad, out, |x| if x <= 0. { 0. } else { 1. }),
            Activation::Silu => each_pair(x, grad, out, |x| {
                let sigmoid = sigmoid(x);
                sigmoid * (1. + x * (1. - sigmoid))
            }),
            Activation::HardSwish => each_pair(x, grad, out, |x| {
                let inside = x * (1. / 3.) + 0.5;
                let above = if x >= 3. { 1. } else { inside };
                if x <= -3. { 0. } else { above }
            }),
            Activation::HardSigmoid => each_pair(x, grad, out, |x| if x > -3. && x < 3. { 1. / 6. } else { 0. }),
        }
    }
}

/// Writes `f(x[i])` for all i.
#[inline(always)]
fn each<T: Element>(x: &[T], out: &mut [MaybeUninit<T>], f: impl Fn(f32) -> f32) {
    for i in 0..x.len() {
        // SAFETY: the caller asserts that both have the same length.
        unsafe { out.get_unchecked_mut(i).as_mut_ptr().write(T::of(f(x.get_unchecked(i).value()))) }
    }
}

/// Writes `grad[i] · f(x[i])` for all i.
#[inline(always)]
fn each_pair<T: Element>(x: &[T], grad: &[T], out: &mut [MaybeUninit<T>], f: impl Fn(f32) -> f32) {
    for i in 0..x.len() {
        // SAFETY: the caller asserts that all have the same length.
        unsafe {
            let slope = f(x.get_unchecked(i).value());
            out.get_unchecked_mut(i).as_mut_ptr().write(T::of(grad.get_unchecked(i).value() * slope));
        }
    }
}

#[inline(always)]
fn hard_sigmoid(x: f32) -> f32 {
    let y = x * (1. / 6.) + 0.5;
    let y = if y < 0. { 0. } else { y };
    if y > 1. { 1. } else { y }
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1. / (1. + exp(-x))
}

/// Returns e^x, with a relative error of at most 3e-7.
///
/// x = n · ln 2 + r gives e^x = 2^n · e^r, and a polynomial gives e^r for |r| <= ln 2 / 2 (the
/// coefficients are those of Moshier's Cephes library). Results outside f32's normal range become
/// its smallest or about its largest value.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const LOWEST: f32 = -87.3;
    const HIGHEST: f32 = 88.3;
    /// Adding it rounds to a whole number, which is then in the low bits.
    const ROUND: f32 = 12_582_912.;
    /// ln 2 in two parts; the first one has few digits, so that its products are exact.
    const LN_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
    let x = if x < LOWEST { LOWEST } else { x };
    let x = if x > HIGHEST { HIGHEST } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN_2.0 - n * LN_2.1;
    let mut polynomial = 1.987_569_2e-4;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        polynomial = polynomial * r + coefficient;
    }
    let fraction = polynomial * r * r + r + 1.;
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127);
    fraction * f32::from_bits(exponent << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_accurate_in_its_whole_range() {
        for i in -870_000..=880_000 {
            let x = i as f32 * 1e-4;
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) - expected).abs() / expected;
            assert!(error <= 3e-7, "e^{x}: error {error:e}");
        }
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(-1e9) < 2e-38 && exp(1e9) > 2e38 && exp(f32::INFINITY).is_finite());
    }

    #[test]
    fn all_instruction_sets_agree_with_the_definitions_in_f64() {
        let x: Vec<f32> = (0..1003).map(|i| (i as f32 - 501.) * 0.037).collect();
        let sigmoid = |x: f64| 1. / (1. + (-x).exp());
        let hard = |x: f64| ((x + 3.) / 6.).clamp(0., 1.);
        for isa in Isa::available() {
            for (activation, f) in [
                (Activation::Relu, Box::new(|x: f64| x.max(0.)) as Box<dyn Fn(f64) -> f64>),
                (Activation::Silu, Box::new(move |x: f64| x * sigmoid(x))),
                (Activation::HardSwish, Box::new(move |x: f64| x * hard(x))),
                (Activation::HardSigmoid, Box::new(hard)),
            ] {
                let (y, slope) = (forward(isa, activation, &x), gradient(isa, activation, &x, &vec![1.; x.len()]));
                for ((x, y), slope) in x.iter().zip(y).zip(slope) {
                    let x = f64::from(*x);
                    assert!((f64::from(y) - f(x)).abs() <= 3e-7 * x.abs().max(1.), "{isa:?} {activation:?} of {x}");
                    // Values at least 1e-6 away from a corner.
                    let difference = (f(x + 1e-6) - f(x - 1e-6)) / 2e-6;
                    let corner = [-3., 0., 3.].iter().any(|corner| (x - corner).abs() < 1e-5);
                    assert!(corner || (f64::from(slope) - difference).abs() < 1e-6, "{isa:?} {activation:?} at {x}");
                }
            }
        }
    }
}
