//! Compares the gradients of each operation with central differences of its plain definition in
//! f64.

use crate::values::{flat, scaled, tensor, values, var};
use candle_convnet::{
    BatchNorm2d, BatchNormConfig, Conv2dConfig, MaxPool2dConfig, add_relu, conv2d, cross_entropy, global_avg_pool,
    linear, max_pool2d, relu, stochastic_depth, temporal_shift,
};
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{VarBuilder, VarMap};

/// Compares `op` and its gradients with `definition`, a plain function of the inputs' elements in f64.
#[track_caller]
fn check(
    inputs: &[Var],
    op: impl Fn(&[Var]) -> candle_core::Result<Tensor>,
    definition: impl Fn(&[Vec<f64>]) -> Vec<f64>,
    step: f64,
) {
    let y = op(inputs).unwrap();
    let mut points: Vec<Vec<f64>> = inputs.iter().map(|v| flat(v)).collect();
    crate::values::assert_close("forward", &flat(&y), &definition(&points), 1e-5);
    let g = tensor("finite/g", y.shape());
    let weights: Vec<f64> = values("finite/g", y.elem_count()).map(|v| f64::from(v as f32)).collect();
    let grads = (&y * g).unwrap().sum_all().unwrap().backward().unwrap();
    for (at, input) in inputs.iter().enumerate() {
        let found = flat(grads.get(input).unwrap());
        let mut reference = vec![0f64; found.len()];
        for i in 0..found.len() {
            let middle = points[at][i];
            let mut sums = [0f64; 2];
            for (sum, direction) in sums.iter_mut().zip([1., -1.]) {
                points[at][i] = middle + direction * step;
                *sum = definition(&points).iter().zip(&weights).map(|(y, g)| y * g).sum();
            }
            points[at][i] = middle;
            reference[i] = (sums[0] - sums[1]) / (2. * step);
        }
        crate::values::assert_close(&format!("gradient of input {at}"), &found, &reference, 1e-4);
    }
}

#[derive(Clone, Copy)]
struct Window {
    kernel: usize,
    stride: usize,
    padding: usize,
}

impl Window {
    fn out(self, size: usize) -> usize {
        (size + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Returns the input position under `tap` of the window `at`, or `None` in the padding.
    fn position(self, at: usize, tap: usize, size: usize) -> Option<usize> {
        (at * self.stride + tap).checked_sub(self.padding).filter(|&p| p < size)
    }
}

fn plain_conv(x: &[f64], weight: &[f64], [n, h, w, c, o]: [usize; 5], window: Window) -> Vec<f64> {
    let (out_h, out_w, k) = (window.out(h), window.out(w), window.kernel);
    let mut y = vec![0.; n * out_h * out_w * o];
    for (at, y) in y.iter_mut().enumerate() {
        let (image, i, j, out) = (at / (out_h * out_w * o), at / (out_w * o) % out_h, at / o % out_w, at % o);
        for a in 0..k {
            for b in 0..k {
                let (Some(row), Some(col)) = (window.position(i, a, h), window.position(j, b, w)) else { continue };
                for channel in 0..c {
                    let pixel = ((image * h + row) * w + col) * c + channel;
                    *y += x[pixel] * weight[((out * c + channel) * k + a) * k + b];
                }
            }
        }
    }
    y
}

#[test]
fn convolution() {
    for (dims, kernel, stride, padding) in [
        ([2, 5, 4, 3, 2], 3, 1, 1),
        ([1, 6, 7, 2, 3], 3, 2, 1),
        ([1, 7, 8, 3, 2], 7, 2, 3),
        ([1, 5, 4, 20, 3], 1, 1, 0),
        ([2, 5, 6, 4, 3], 1, 2, 0),
        ([1, 6, 5, 2, 2], 2, 3, 0),
        ([1, 4, 4, 1, 1], 4, 1, 3),
    ] {
        let [n, h, w, c, o] = dims;
        let inputs = [var(&tensor("fd/x", (n, h, w, c))), var(&tensor("fd/w", (o, c, kernel, kernel)))];
        let window = Window { kernel, stride, padding };
        check(
            &inputs,
            |v| conv2d(&v[0], &v[1], Conv2dConfig::default().with_stride(stride).with_padding(padding)),
            |p| plain_conv(&p[0], &p[1], dims, window),
            1e-2,
        );
    }
}

#[test]
fn max_pooling() {
    for (kernel, stride, padding) in [(3, 2, 1), (2, 2, 0), (3, 1, 1), (2, 1, 1)] {
        let (n, h, w, c) = (2, 5, 6, 3);
        let window = Window { kernel, stride, padding };
        check(
            &[var(&tensor("fd/pool", (n, h, w, c)))],
            |v| max_pool2d(&v[0], MaxPool2dConfig::new(kernel, stride).with_padding(padding)),
            |p| {
                let mut y = vec![f64::NEG_INFINITY; n * window.out(h) * window.out(w) * c];
                let (out_h, out_w) = (window.out(h), window.out(w));
                for (at, y) in y.iter_mut().enumerate() {
                    let (image, i, j) = (at / (out_h * out_w * c), at / (out_w * c) % out_h, at / c % out_w);
                    for a in 0..kernel {
                        for b in 0..kernel {
                            if let (Some(r), Some(q)) = (window.position(i, a, h), window.position(j, b, w)) {
                                *y = y.max(p[0][((image * h + r) * w + q) * c + at % c]);
                            }
                        }
                    }
                }
                y
            },
            1e-6,
        );
    }
}

fn plain_norm(x: &[f64], weight: &[f64], bias: &[f64], eps: f64) -> Vec<f64> {
    let c = weight.len();
    let count = (x.len() / c) as f64;
    let mut y = x.to_vec();
    for channel in 0..c {
        let values = || x.iter().skip(channel).step_by(c);
        let mean = values().sum::<f64>() / count;
        let var = values().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count;
        for y in y.iter_mut().skip(channel).step_by(c) {
            *y = (*y - mean) / (var + eps).sqrt() * weight[channel] + bias[channel];
        }
    }
    y
}

#[test]
fn batch_norm_in_both_modes_and_with_a_rectifier() {
    for (relu, train) in [(false, true), (true, true), (false, false), (true, false)] {
        let varmap = VarMap::new();
        let vb = VarBuilder::from_varmap(&varmap, DType::F32, &Device::Cpu);
        let norm = BatchNorm2d::new(3, BatchNormConfig::default().with_relu(relu), vb).unwrap();
        let vars = varmap.data().lock().unwrap();
        vars["weight"].set(&scaled("fd/weight", 3, 0.5, 1.)).unwrap();
        vars["bias"].set(&scaled("fd/bias", 3, 0.5, 0.)).unwrap();
        let inputs = [var(&scaled("fd/norm", (2, 3, 4, 3), 1., 0.5)), vars["weight"].clone(), vars["bias"].clone()];
        check(
            &inputs,
            |v| norm.forward_t(&v[0], train),
            |p| {
                let mut y = plain_norm(&p[0], &p[1], &p[2], 1e-5);
                if !train {
                    // The running statistics are still those of a new layer: 0 and 1.
                    y = p[0]
                        .iter()
                        .enumerate()
                        .map(|(i, x)| x / 1.00001f64.sqrt() * p[1][i % 3] + p[2][i % 3])
                        .collect();
                }
                y.into_iter().map(|y| if relu { y.max(0.) } else { y }).collect()
            },
            1e-5,
        );
    }
}

#[test]
fn rectifiers() {
    let inputs = [var(&tensor("fd/a", (3, 7))), var(&tensor("fd/b", (3, 7)))];
    check(&inputs[..1], |v| relu(&v[0]), |p| p[0].iter().map(|x| x.max(0.)).collect(), 1e-6);
    check(
        &inputs,
        |v| add_relu(&v[0], &v[1]),
        |p| p[0].iter().zip(&p[1]).map(|(a, b)| (a + b).max(0.)).collect(),
        1e-6,
    );
}

#[test]
fn shifts_in_time() {
    // The numbers of channels are multiples of 8, or not, or too few for a shift.
    for (frames, c) in [(3, 16), (2, 20), (1, 8), (6, 5)] {
        let (n, pixels) = (6, 6);
        check(
            &[var(&tensor("fd/shift", (n, 3, 2, c)))],
            |v| temporal_shift(&v[0], frames, 0.125),
            |p| {
                let value = |clip: usize, frame: isize, pixel: usize, channel: usize| {
                    let inside = (0..frames as isize).contains(&frame);
                    if inside { p[0][((clip * frames + frame as usize) * pixels + pixel) * c + channel] } else { 0. }
                };
                let shifted = |at: usize| {
                    let (image, pixel, channel) = (at / (pixels * c), at / c % pixels, at % c);
                    let move_by = if channel < c / 8 { 1 } else { -isize::from(channel < 2 * (c / 8)) };
                    value(image / frames, (image % frames) as isize + move_by, pixel, channel)
                };
                (0..n * pixels * c).map(shifted).collect()
            },
            1e-3,
        );
    }
}

#[test]
fn factors_of_images() {
    let factors = Tensor::new(&[0f32, 1.25, -3.], &Device::Cpu).unwrap();
    check(
        &[var(&tensor("fd/factors", (3, 2, 3, 5)))],
        |v| stochastic_depth(&v[0], &factors),
        |p| p[0].iter().enumerate().map(|(i, x)| x * [0., 1.25, -3.][i / 30]).collect(),
        1e-3,
    );
}

#[test]
fn global_average_pooling() {
    check(
        &[var(&tensor("fd/mean", (2, 3, 5, 4)))],
        |v| global_avg_pool(&v[0]),
        |p| {
            let mean = |i: usize| (0..15).map(|j| p[0][i / 4 * 60 + j * 4 + i % 4]).sum::<f64>() / 15.;
            (0..8).map(mean).collect()
        },
        1e-3,
    );
}

#[test]
fn fully_connected() {
    let inputs = [var(&tensor("fd/x", (3, 7))), var(&tensor("fd/w", (5, 7))), var(&tensor("fd/b", 5))];
    check(
        &inputs,
        |v| linear(&v[0], &v[1], &v[2]),
        |p| {
            let product = |i: usize, j: usize| (0..7).map(|k| p[0][i * 7 + k] * p[1][j * 7 + k]).sum::<f64>();
            (0..15).map(|at| product(at / 5, at % 5) + p[2][at % 5]).collect()
        },
        1e-3,
    );
}

#[test]
fn cross_entropy_with_smoothing() {
    let labels = Tensor::new(&[2u32, 0, 4], &Device::Cpu).unwrap();
    for smoothing in [0., 0.2] {
        check(
            &[var(&scaled("fd/logits", (3, 5), 3., 0.))],
            |v| cross_entropy(&v[0], &labels, smoothing),
            |p| {
                let row = |i: usize, label: usize| {
                    let row = &p[0][i * 5..][..5];
                    let log_sum = row.iter().map(|x| x.exp()).sum::<f64>().ln();
                    let target = |k: usize| if k == label { 1. - smoothing } else { 0. } + smoothing / 5.;
                    (0..5).map(|k| target(k) * (log_sum - row[k])).sum::<f64>()
                };
                vec![(row(0, 2) + row(1, 0) + row(2, 4)) / 3.]
            },
            1e-4,
        );
    }
}

#[test]
fn a_plain_input_gets_no_gradient() {
    let x = tensor("fd/x", (1, 5, 5, 3));
    let weight = var(&tensor("fd/w", (2, 3, 3, 3)));
    let grads = conv2d(&x, &weight, Conv2dConfig::default()).unwrap().sum_all().unwrap().backward().unwrap();
    assert!(grads.get(&x).is_none() && grads.get(&weight).is_some());
}
