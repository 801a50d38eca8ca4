//! Compares operations and networks on bf16 images, on the CPU, with those on f32 images.

use crate::networks::{known, ordinary_on};
use crate::values::{Goldens, flat, scaled, tensor, var};
use candle_convnet::{
    Activation, AvgPool2dConfig, BatchNorm2d, BatchNormConfig, Conv2dConfig, Depth, MaxPool2dConfig, MobileNetV3Config,
    Model, Normalisation, PixelLayout, ResNet, TrainPass, adaptive_avg_pool2d, add_relu, avg_pool2d, conv2d,
    conv2d_with_bias, cross_entropy, global_avg_pool, max_pool2d, normalise, relu, scale_channels, seeded,
    stochastic_depth, temporal_shift,
};
use candle_core::{DType, Device, Module, Result, Tensor, Var};
use candle_nn::VarMap;

/// Relative rounding error of a bf16.
const ROUNDING: f64 = 1. / 256.;

/// Rounds the values to bf16, and keeps the type f32.
fn exact(x: &Tensor) -> Tensor {
    x.to_dtype(DType::BF16).unwrap().to_dtype(DType::F32).unwrap()
}

/// Compares `op` on the images `x` with f32 and with bf16: results, and the gradients of the images
/// and of the variables `others`. `inner` is the number of roundings within the operation.
fn check(name: &str, x: &Tensor, others: &[&Var], inner: usize, op: impl Fn(&Tensor) -> Result<Tensor>) {
    let run = |dtype| {
        let x = var(&exact(x).to_dtype(dtype).unwrap());
        let y = op(&x).unwrap();
        let grad = exact(&tensor("bf16/g", y.shape())).to_dtype(y.dtype()).unwrap();
        let grads = (&y * grad).unwrap().to_dtype(DType::F32).unwrap().sum_all().unwrap().backward().unwrap();
        let of_others: Vec<_> = others.iter().map(|var| flat(grads.get(var).unwrap())).collect();
        assert_eq!(grads.get(&x).unwrap().dtype(), dtype, "{name}");
        (flat(&y), flat(grads.get(&x).unwrap()), of_others)
    };
    let (expected, found) = (run(DType::F32), run(DType::BF16));
    let near = |what: &str, found: &[f64], expected: &[f64]| {
        assert_eq!(found.len(), expected.len());
        let rms = (expected.iter().map(|x| x * x).sum::<f64>() / expected.len() as f64).sqrt();
        for (found, expected) in found.iter().zip(expected) {
            let allowed = 1.01 * ROUNDING * expected.abs() + (1e-4 + 4. * ROUNDING * inner as f64) * rms;
            assert!((found - expected).abs() <= allowed, "{name}: {what} is {found}, not {expected}");
        }
    };
    near("the result", &found.0, &expected.0);
    near("the gradient", &found.1, &expected.1);
    for (found, expected) in found.2.iter().zip(&expected.2) {
        // These gradients are f32. They differ only if the operation rounds within.
        near("a parameter's gradient", found, expected);
    }
}

#[test]
fn operations_round_only_their_results() {
    let x = scaled("bf16/x", (3, 9, 10, 40), 2., 0.3);
    let weight = |o, c, k| var(&exact(&scaled("bf16/w", (o, c, k, k), 0.3, 0.)));
    let padded = Conv2dConfig::default().with_padding(1);
    for (name, o, c, k, config) in [
        ("a plain convolution", 33, 40, 3, padded),
        ("a strided convolution", 33, 40, 3, padded.with_stride(2)),
        ("a depthwise convolution", 40, 1, 3, padded.with_groups(40)),
        ("groups", 40, 8, 1, Conv2dConfig::default().with_groups(5)),
    ] {
        let weight = weight(o, c, k);
        check(name, &x, &[&weight], 0, |x| conv2d(x, &weight, config));
        let bias = var(&scaled("bf16/b", o, 1., 0.));
        // The bias is added to the rounded sum.
        check(name, &x, &[&weight, &bias], 1, |x| conv2d_with_bias(x, &weight, &bias, config));
    }
    let odd = scaled("bf16/odd", (2, 15, 14, 3), 2., 0.);
    let stem = weight(16, 3, 7);
    check("a stem", &odd, &[&stem], 0, |x| conv2d(x, &stem, Conv2dConfig::default().with_stride(2).with_padding(3)));
    check("ReLU", &x, &[], 0, relu);
    let other = exact(&scaled("bf16/other", x.shape(), 2., 0.));
    check("a residual sum", &x, &[], 0, |x| add_relu(x, &other.to_dtype(x.dtype())?));
    check("max pooling", &x, &[], 0, |x| max_pool2d(x, MaxPool2dConfig::new(3, 2).with_padding(1)));
    check("average pooling", &x, &[], 0, global_avg_pool);
    check("a temporal shift", &x, &[], 0, |x| temporal_shift(x, 3, 0.125));
    let factors = Tensor::new(&[0f32, 1.25, 2.], &Device::Cpu).unwrap();
    check("stochastic depth", &x, &[], 0, |x| stochastic_depth(x, &factors));
    for activation in [Activation::Relu, Activation::Silu, Activation::HardSwish, Activation::HardSigmoid] {
        check("an activation", &x, &[], 0, |x| activation.forward(x));
    }
    check("a windowed average", &x, &[], 0, |x| avg_pool2d(x, AvgPool2dConfig::new(3, 2).with_padding(1)));
    check("an adaptive average", &x, &[], 0, |x| adaptive_avg_pool2d(x, (2, 3)));
    let factors = var(&scaled("bf16/factors", (3, 40), 0.5, 0.5));
    check("factors of channels", &x, &[&factors], 0, |x| scale_channels(x, &factors));
    for train in [true, false] {
        // Each pass has a new layer, because training updates the running statistics.
        let norm = || {
            let varmap = VarMap::new();
            let vb = seeded(&varmap, 1, &Device::Cpu);
            BatchNorm2d::new(40, BatchNormConfig::default(), vb).unwrap()
        };
        check("batch norm", &x, &[], 0, |x| norm().forward_t(x, train));
    }
}

#[test]
fn pixels_become_bf16_images() {
    let x = Tensor::arange(0u8, 240, &Device::Cpu).unwrap().reshape((2, 3, 8, 5)).unwrap();
    let of = |dtype| normalise(&x, PixelLayout::Planes, &Normalisation::imagenet(), dtype).unwrap();
    assert_eq!(of(DType::BF16).dtype(), DType::BF16);
    assert_eq!(flat(&of(DType::BF16)), flat(&exact(&of(DType::F32))));
    let error = normalise(&x, PixelLayout::Planes, &Normalisation::unit(), DType::F64).unwrap_err();
    assert!(error.to_string().contains("the CPU supports f32 and bf16, not F64"), "{error}");
}

/// Returns the root mean square of the differences, relative to that of the reference.
fn rms_error(found: &[f64], expected: &[f64]) -> f64 {
    let squares = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>();
    let difference = squares(&mut found.iter().zip(expected).map(|(a, b)| a - b));
    (difference / squares(&mut expected.iter().copied())).sqrt()
}

/// Logits in evaluation, logits in training, and gradients by name.
type Step = (Vec<f64>, Vec<f64>, Vec<(String, Vec<f64>)>);

fn step(model: &Model<ResNet>, dtype: DType, pass: &TrainPass) -> Step {
    let x = scaled("bf16/images", (8, 64, 64, 3), 2., 0.).to_dtype(dtype).unwrap();
    let labels = Tensor::from_vec((0..8).map(|i| i * 3 % 10).collect::<Vec<u32>>(), 8, &Device::Cpu).unwrap();
    let tested = model.net.forward_t(&x, false).unwrap();
    let logits = model.net.forward_train(&x, pass).unwrap();
    assert_eq!((tested.dtype(), logits.dtype()), (DType::F32, DType::F32));
    let grads = cross_entropy(&logits, &labels, 0.).unwrap().backward().unwrap();
    let grads = model.trainable().into_iter().map(|(name, var)| {
        let grad = grads.get(&var).unwrap();
        assert_eq!(grad.dtype(), DType::F32, "{name}");
        (name, flat(grad))
    });
    (flat(&tested), flat(&logits), grads.collect())
}

#[test]
fn networks_are_as_near_to_f32_as_pytorchs_autocast() {
    type Create = fn() -> Model;
    let creates: [(&str, Create); 3] = [
        ("r18", || known(Depth::R18, 3)),
        ("r18-ordinary", || ordinary_on(&Device::Cpu, Depth::R18, 3)),
        ("r50", || known(Depth::R50, 3)),
    ];
    let goldens = Goldens::read("bf16.safetensors");
    for (name, create) in creates {
        let run = |dtype| step(&create(), dtype, &TrainPass::new());
        let (expected, found) = (run(DType::F32), run(DType::BF16));
        let mut ratios = Vec::new();
        let mut check = |key: &str, found: &[f64], expected: &[f64]| {
            let of_pytorch = goldens.get(&format!("{name}/{key}"))[0];
            // PyTorch has no error for gradients that are 0 except for rounding.
            if of_pytorch > 0. {
                let error = rms_error(found, expected);
                assert!(error <= 2. * of_pytorch, "{name} {key}: error {error:.2e}, PyTorch's {of_pytorch:.2e}");
                ratios.push(error / of_pytorch);
            }
        };
        check("eval", &found.0, &expected.0);
        check("logits", &found.1, &expected.1);
        for ((parameter, found), (_, expected)) in found.2.iter().zip(&expected.2) {
            check(&format!("grad/{parameter}"), found, expected);
        }
        let mean = ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64;
        assert!(mean.exp() <= 1.15, "{name}: the errors are {:.2} times those of PyTorch", mean.exp());
    }
}

#[test]
fn factors_of_stochastic_depth_work_on_bf16_images() {
    let factors = Tensor::full(1f32, (8, 8), &Device::Cpu).unwrap();
    let run = |pass: &TrainPass| step(&known(Depth::R18, 3), DType::BF16, pass);
    let (plain, ones) = (run(&TrainPass::new()), run(&TrainPass::new().with_stochastic_depth(&factors)));
    assert!(rms_error(&ones.1, &plain.1) < 1e-2);
}

#[test]
fn mobilenet_v3_trains_on_bf16_images() {
    let run = |dtype| {
        let model = Model::random(&MobileNetV3Config::small(3, 10), 1, &Device::Cpu).unwrap();
        let x = scaled("bf16/mobile", (8, 64, 64, 3), 2., 0.).to_dtype(dtype).unwrap();
        let logits = model.net.forward_t(&x, true).unwrap();
        let grads = logits.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let last = model.trainable().into_iter().find(|(name, _)| name == "classifier.3.weight").unwrap().1;
        (flat(&logits), flat(grads.get(&last).unwrap()))
    };
    let (expected, found) = (run(DType::F32), run(DType::BF16));
    let errors = [rms_error(&found.0, &expected.0), rms_error(&found.1, &expected.1)];
    assert!(errors[0] < 0.05 && errors[1] < 0.1, "{errors:?}");
}
