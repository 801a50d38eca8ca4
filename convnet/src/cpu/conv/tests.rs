//! Tests of convolutions against their definition in f64, with all instruction sets of this CPU.

use super::{Finish, ForwardKernels, GradientKernels, winograd};
use crate::cpu::element::Element;
use crate::cpu::simd::Isa;
use crate::geometry::{Conv2dConfig, Geometry, Hw};
use half::bf16;

/// Defines a test per instruction set. A test passes if the CPU does not have its set.
macro_rules! on_every_instruction_set {
    ($($check:ident)*) => {
        mod portable { $(#[test] fn $check() { super::$check("Portable"); })* }
        mod neon { $(#[test] fn $check() { super::$check("Neon"); })* }
        mod avx2 { $(#[test] fn $check() { super::$check("Avx2"); })* }
        mod avx512 { $(#[test] fn $check() { super::$check("Avx512"); })* }
        mod avx512_bf16 { $(#[test] fn $check() { super::$check("Avx512Bf16"); })* }
        mod amx_bf16 { $(#[test] fn $check() { super::$check("AmxBf16"); })* }
    };
}

on_every_instruction_set! {
    any_geometry
    different_sizes_along_the_axes
    groups_of_channels
    depthwise
    three_by_three_by_winograd
    seven_by_seven_with_stride_two_by_winograd
    kernels_larger_than_the_caches
    residual_bias_and_rectifier_in_the_same_pass
    maxima_in_the_same_pass
}

fn isa(name: &str) -> Option<Isa> {
    Isa::available().into_iter().find(|isa| format!("{isa:?}") == name)
}

/// Normally distributed numbers, with a new seed in every run. Failures print the seed.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let time =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |t| t.as_nanos() as u64);
        Self(time)
    }

    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self, count: usize) -> Vec<f32> {
        let mut normal = || (-2. * (1. - self.uniform()).ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos();
        // The values are exact in bf16.
        (0..count).map(|_| bf16::from_f64(normal()).to_f32()).collect()
    }
}

/// A convolution, and its results in f64.
struct Case {
    geometry: Geometry,
    x: Vec<f32>,
    weight: Vec<f32>,
    grad: Vec<f32>,
    y: Vec<f64>,
    dx: Vec<f64>,
    dw: Vec<f64>,
}

impl Case {
    fn new([n, h, w, c, o, kernel, stride, padding]: [usize; 8], random: &mut Random) -> Self {
        let config = Conv2dConfig::default().with_stride(stride).with_padding(padding);
        Self::of([n, h, w, c], o, kernel.into(), config, random)
    }

    fn of([n, h, w, c]: [usize; 4], o: usize, kernel: Hw, config: Conv2dConfig, random: &mut Random) -> Self {
        let Conv2dConfig { stride, padding, dilation, groups } = config;
        let (inputs, outputs) = (c / groups, o / groups);
        let geometry = Geometry::new(&(n, h, w, c).into(), &(o, inputs, kernel.h, kernel.w).into(), config).unwrap();
        let (x, weight) = (random.normal(n * h * w * c), random.normal(o * inputs * kernel.product()));
        let grad = random.normal(geometry.output.len());
        let (mut y, mut dx, mut dw) = (vec![0.; grad.len()], vec![0.; x.len()], vec![0.; weight.len()]);
        let (out_h, out_w) = (geometry.output.h, geometry.output.w);
        for (pixel, (y, grad)) in y.chunks_exact_mut(o).zip(grad.chunks_exact(o)).enumerate() {
            let (image, i, j) = (pixel / (out_h * out_w), pixel / out_w % out_h, pixel % out_w);
            for (a, b) in (0..kernel.h).flat_map(|a| (0..kernel.w).map(move |b| (a, b))) {
                let row = (i * stride.h + a * dilation.h).wrapping_sub(padding.h);
                let col = (j * stride.w + b * dilation.w).wrapping_sub(padding.w);
                if row >= h || col >= w {
                    continue;
                }
                for (out, (y, &grad)) in y.iter_mut().zip(grad).enumerate() {
                    let from = ((image * h + row) * w + col) * c + out / outputs * inputs;
                    for channel in 0..inputs {
                        let at = ((out * inputs + channel) * kernel.h + a) * kernel.w + b;
                        let (x, weight, grad) = (f64::from(x[from + channel]), f64::from(weight[at]), f64::from(grad));
                        *y += x * weight;
                        dx[from + channel] += grad * weight;
                        dw[at] += grad * x;
                    }
                }
            }
        }
        Self { geometry, x, weight, grad, y, dx, dw }
    }

    fn forward<T: Element>(&self, isa: Isa, x: &[T], scale: Option<&[f32]>, finish: &impl Finish<T>) -> Vec<T> {
        self.geometry.forward(isa, x, &ForwardKernels::new(&self.geometry, isa, &self.weight, scale), finish)
    }

    #[track_caller]
    fn check(&self, isa: Isa, seed: u64, tolerance: f64) {
        let y = self.forward(isa, &self.x, None, &());
        let dx = self.geometry.data_grad(isa, &GradientKernels::new(&self.geometry, isa, &self.weight), &self.grad);
        let dw = self.geometry.weight_grad(isa, &self.x, &self.grad);
        for (what, found, expected) in [("y", &y, &self.y), ("dx", &dx, &self.dx), ("dw", &dw, &self.dw)] {
            let error = error(found, expected);
            assert!(error <= tolerance, "{isa:?} {:?} {what}: error {error:.1e}, seed {seed}", self.geometry);
        }
        self.check_bf16(isa, seed, tolerance);
    }

    /// Checks the results of bf16 images. All values of the case are exact in bf16, so only results
    /// that are images have rounding errors of bf16.
    #[track_caller]
    fn check_bf16(&self, isa: Isa, seed: u64, tolerance: f64) {
        let images = |values: &[f32]| values.iter().map(|&value| bf16::from_f32(value)).collect::<Vec<_>>();
        let (x, grad) = (images(&self.x), images(&self.grad));
        let y = self.forward(isa, &x, None, &());
        let dx = self.geometry.data_grad(isa, &GradientKernels::new(&self.geometry, isa, &self.weight), &grad);
        let dw = self.geometry.weight_grad(isa, &x, &grad);
        let error = error(&dw, &self.dw);
        assert!(error <= tolerance, "{isa:?} {:?} dw of bf16: error {error:.1e}, seed {seed}", self.geometry);
        for (what, found, expected) in [("y", &y, &self.y), ("dx", &dx, &self.dx)] {
            let rms = (expected.iter().map(|y| y * y).sum::<f64>() / expected.len() as f64).sqrt();
            for (found, expected) in found.iter().zip(expected) {
                let allowed = expected.abs() / 256. + tolerance * rms;
                let is_near = (found.to_f64() - expected).abs() <= allowed;
                assert!(is_near, "{isa:?} {:?} {what}: {found}, not {expected}, seed {seed}", self.geometry);
            }
        }
    }
}

/// Returns the largest difference divided by the root mean square of the reference, or NaN if any
/// value is NaN.
fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let mut largest = 0f64;
    let mut squares = 0f64;
    for (&found, &expected) in found.iter().zip(expected) {
        let difference = (f64::from(found) - expected).abs();
        largest = if difference.is_nan() || largest.is_nan() { f64::NAN } else { largest.max(difference) };
        squares += expected * expected;
    }
    largest / (squares / expected.len() as f64).sqrt()
}

/// Tolerance of sums of up to about a thousand products in f32. Observed errors are up to 5e-6.
const PLAIN: f64 = 2e-5;
/// Tolerance of sums of at most 576 products. The transforms increase their error 2.4 times (see
/// `winograd/transform.rs`). Observed errors are up to 7e-6.
const WINOGRAD: f64 = 3e-5;

fn any_geometry(name: &str) {
    let Some(isa) = isa(name) else { return };
    let mut random = Random::new();
    let seed = random.0;
    // n, h, w, c, o, kernel, stride, padding
    for case in [
        [2, 17, 15, 3, 8, 7, 2, 3],
        [1, 14, 19, 20, 5, 7, 2, 3],
        [2, 13, 12, 20, 63, 7, 2, 3],
        [3, 9, 7, 6, 10, 3, 1, 1],
        [2, 9, 8, 33, 47, 3, 2, 1],
        [1, 8, 8, 32, 64, 3, 2, 1],
        [2, 5, 6, 64, 17, 1, 1, 0],
        [2, 7, 6, 4, 32, 1, 2, 0],
        [1, 1, 1, 3, 2, 3, 1, 1],
        [1, 11, 13, 2, 3, 5, 3, 1],
        [1, 5, 5, 7, 1, 2, 3, 0],
        [1, 4, 4, 1, 1, 4, 1, 3],
    ] {
        Case::new(case, &mut random).check(isa, seed, PLAIN);
    }
}

fn different_sizes_along_the_axes(name: &str) {
    let Some(isa) = isa(name) else { return };
    let mut random = Random::new();
    let seed = random.0;
    let config = Conv2dConfig::default();
    for (images, o, kernel, config) in [
        ([2, 8, 49, 12], 20, (3, 1), config.with_padding((1, 0))),
        ([2, 8, 49, 12], 20, (3, 1), config.with_padding((1, 0)).with_stride((2, 1))),
        ([1, 9, 13, 5], 7, (1, 5), config.with_padding((0, 2)).with_stride((1, 3))),
        ([2, 11, 10, 32], 32, (3, 3), config.with_padding((1, 0))),
        ([2, 11, 10, 32], 32, (3, 3), config.with_padding(2).with_dilation(2)),
        ([1, 12, 9, 6], 33, (3, 2), config.with_padding((4, 1)).with_dilation((3, 1)).with_stride((2, 1))),
        ([1, 16, 17, 3], 4, (2, 3), config.with_dilation((5, 4)).with_stride((4, 6))),
        ([1, 3, 40, 4], 4, (1, 3), config.with_dilation((7, 2)).with_stride((3, 2))),
    ] {
        Case::of(images, o, kernel.into(), config, &mut random).check(isa, seed, PLAIN);
    }
}

fn groups_of_channels(name: &str) {
    let Some(isa) = isa(name) else { return };
    let mut random = Random::new();
    let seed = random.0;
    let config = Conv2dConfig::default().with_padding(1);
    for (images, o, kernel, config) in [
        ([2, 7, 6, 8], 12, 3, config.with_groups(4)),
        ([2, 7, 6, 64], 64, 3, config.with_groups(2)),
        ([2, 14, 15, 128], 128, 3, config.with_groups(32).with_stride(2)),
        ([1, 9, 8, 6], 18, 3, config.with_groups(6)),
        ([1, 9, 8, 18], 6, 3, config.with_groups(6)),
        ([1, 9, 8, 80], 40, 1, config.with_groups(2).with_padding(0)),
        ([1, 19, 18, 10], 20, 3, config.with_groups(5).with_dilation(2).with_stride((1, 2))),
    ] {
        Case::of(images, o, kernel.into(), config, &mut random).check(isa, seed, PLAIN);
    }
}

fn depthwise(name: &str) {
    let Some(isa) = isa(name) else { return };
    let mut random = Random::new();
    let seed = random.0;
    let config = Conv2dConfig::default();
    for (images, kernel, config) in [
        ([2, 7, 6, 40], (3, 3), config.with_padding(1)),
        ([3, 15, 14, 16], (3, 3), config.with_padding(1).with_stride(2)),
        ([1, 15, 14, 72], (5, 5), config.with_padding(2)),
        ([2, 14, 14, 19], (5, 5), config.with_padding(2).with_stride(2)),
        ([1, 150, 3, 2], (7, 7), config.with_padding(3)),
        ([1, 5, 200, 3], (1, 3), config.with_padding((0, 1))),
        ([2, 20, 17, 33], (3, 4), config.with_padding((3, 2)).with_dilation((3, 2)).with_stride((2, 1))),
        ([1, 1, 1, 8], (3, 3), config.with_padding(1)),
        ([2, 8, 9, 8], (1, 1), config.with_stride(3)),
    ] {
        let [.., c] = images;
        let case = Case::of(images, c, kernel.into(), config.with_groups(c), &mut random);
        assert!(case.geometry.is_depthwise());
        case.check(isa, seed, PLAIN);
    }
}

fn three_by_three_by_winograd(name: &str) {
    let Some(isa) = isa(name) else { return };
    let mut random = Random::new();
    let seed = random.0;
    for case in [
        [1, 8, 8, 32, 32, 3, 1, 1],
        [2, 7, 7, 32, 64, 3, 1, 1],
        [3, 14, 11, 64, 32, 3, 1, 1],
        [1, 10, 9, 32, 32, 3, 1, 0],
        [1, 5, 7, 32, 32, 3, 1, 2],
        [30, 7, 7, 32, 32, 3, 1, 1],
    ] {
        let case = Case::new(case, &mut random);
        let Geometry { input, output, kernel, .. } = case.geometry;
        assert!(winograd::suits(isa, input, output, kernel), "{:?}", case.geometry);
        case.check(isa, seed, WINOGRAD);
    }
}

fn seven_by_seven_with_stride_two_by_winograd(name: &str) {
    let Some(isa) = isa(name) else { return };
    let mut random = Random::new();
    let seed = random.0;
    for case in [
        [2, 13, 12, 20, 64, 7, 2, 3],
        [1, 24, 31, 20, 32, 7, 2, 3],
        [2, 8, 8, 8, 64, 7, 2, 2],
        [1, 7, 9, 10, 32, 7, 2, 0],
        [1, 200, 5, 9, 32, 7, 2, 1],
        [1, 1, 1, 16, 32, 7, 2, 3],
        [9, 40, 40, 15, 64, 7, 2, 4],
    ] {
        let case = Case::new(case, &mut random);
        assert!(winograd::Strided::new(isa, &case.geometry).is_some(), "{:?}", case.geometry);
        case.check(isa, seed, WINOGRAD);
    }
}

fn kernels_larger_than_the_caches(name: &str) {
    let Some(isa) = isa(name) else { return };
    let mut random = Random::new();
    let seed = random.0;
    let case = Case::new([1, 4, 5, 64, 1856, 3, 1, 1], &mut random);
    let y = case.forward(isa, &case.x, None, &());
    let error = error(&y, &case.y);
    assert!(error <= WINOGRAD, "{isa:?}: error {error:.1e}, seed {seed}");
}

fn residual_bias_and_rectifier_in_the_same_pass(name: &str) {
    use super::finish::Shift;
    let Some(isa) = isa(name) else { return };
    let mut random = Random::new();
    let seed = random.0;
    let config = Conv2dConfig::default();
    let padded = config.with_padding(1);
    for (c, o, kernel, config, tolerance) in [
        (32, 32, 3, padded, WINOGRAD),
        (12, 32, 7, config.with_padding(3).with_stride(2), WINOGRAD),
        (5, 19, 3, padded.with_stride(2), PLAIN),
        (6, 20, 3, padded.with_groups(2), PLAIN),
        (20, 20, 3, padded.with_groups(20), PLAIN),
    ] {
        let case = Case::of([2, 9, 7, c], o, Hw::from(kernel), config, &mut random);
        let (scale, bias, residual) = (random.normal(o), random.normal(o), random.normal(case.y.len()));
        for (residual, relu) in [(None, false), (None, true), (Some(&residual), false), (Some(&residual), true)] {
            let shift = Shift { isa, bias: &bias, residual: residual.map(Vec::as_slice), relu };
            let y = case.forward(isa, &case.x, Some(&scale), &shift);
            let expected: Vec<f64> = (case.y.iter().enumerate())
                .map(|(at, y)| {
                    let sum = y * f64::from(scale[at % o]) + f64::from(bias[at % o]);
                    let sum = sum + residual.map_or(0., |residual| f64::from(residual[at]));
                    if relu { sum.max(0.) } else { sum }
                })
                .collect();
            let error = error(&y, &expected);
            assert!(error <= tolerance, "{isa:?} {:?} {relu}: error {error:.1e}, seed {seed}", case.geometry);
        }
    }
}

fn maxima_in_the_same_pass(name: &str) {
    use super::finish::Shift;
    use crate::cpu::max_pool;
    use crate::geometry::MaxPool2dConfig;
    let Some(isa) = isa(name) else { return };
    let mut random = Random::new();
    let config = Conv2dConfig::default().with_padding(3).with_stride(2);
    for (images, o, pool) in [
        ([3, 21, 18, 3], 64, MaxPool2dConfig::new(3, 2).with_padding(1)),
        ([2, 20, 19, 20], 64, MaxPool2dConfig::new(3, 2).with_padding(1)),
        ([1, 16, 16, 5], 19, MaxPool2dConfig::new(2, 2)),
    ] {
        let case = Case::of(images, o, Hw::from(7), config, &mut random);
        let (scale, bias) = (random.normal(o), random.normal(o));
        let shift = Shift { isa, bias: &bias, residual: None, relu: true };
        let (_, rows, cols, _) = pool.output(&case.geometry.output.shape()).unwrap();
        let mut x = case.x;
        for nan in [false, true] {
            if nan {
                x[7] = f32::NAN;
            }
            let kernels = ForwardKernels::new(&case.geometry, isa, &case.weight, Some(&scale));
            let y = case.geometry.forward(isa, &x, &kernels, &shift);
            let (expected, _) = max_pool::forward(pool, &y, case.geometry.output, (rows, cols));
            let size = (pool, rows, cols);
            let found = case.geometry.forward_pooled(isa, &x, &kernels, &shift, size);
            let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
            assert!(found.len() == expected.len() && found.iter().zip(&expected).all(same), "{isa:?} {images:?}");
            assert_eq!(found.iter().any(|x| x.is_nan()), nan);
        }
    }
}
