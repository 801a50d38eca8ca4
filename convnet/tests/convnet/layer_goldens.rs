//! Compares the layers of newer networks with PyTorch in float64 (`scripts/make_goldens.py`).

use crate::values::{Goldens, known, scaled, tensor, var};
use candle_convnet::{
    Activation, AvgPool2dConfig, Conv2dConfig, Conv3dConfig, Hw, Model, SqueezeExcitation, Thw, adaptive_avg_pool2d,
    avg_pool2d, conv2d, conv2d_with_bias, conv3d, scale_channels,
};
use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Module, Tensor, Var};

/// Compares the result `y`, and the gradients of the inputs, with the golden `name`.
fn check(goldens: &Goldens, name: &str, y: &Tensor, inputs: &[(&str, &Var)]) -> GradStore {
    goldens.check(&format!("{name}/y"), y, 1e-6);
    let loss = (y * tensor(&format!("{name}/g"), y.shape())).unwrap().sum_all().unwrap();
    let grads = loss.backward().unwrap();
    for (input, var) in inputs {
        goldens.check(&format!("{name}/d{input}"), grads.get(var).unwrap(), 2e-6);
    }
    grads
}

#[test]
fn convolutions_of_all_kinds_agree_with_pytorch() {
    let goldens = Goldens::read("layers.safetensors");
    let config = Conv2dConfig::default();
    for (name, (n, h, w, c), o, kernel, config, with_bias) in [
        ("tall", (2, 8, 20, 12), 20, (3, 1), config.with_stride((2, 1)).with_padding((1, 0)), false),
        ("wide", (1, 7, 11, 6), 9, (2, 5), config.with_stride((1, 3)).with_padding((0, 4)).with_dilation((2, 1)), true),
        ("dilated", (2, 12, 10, 8), 16, (3, 3), config.with_padding(2).with_dilation(2), false),
        ("groups", (2, 9, 8, 12), 18, (3, 3), config.with_stride(2).with_padding(1).with_groups(3), true),
        ("depthwise", (2, 10, 9, 20), 20, (3, 3), config.with_padding(1).with_groups(20), false),
        ("depthwise-half", (2, 11, 14, 24), 24, (5, 5), config.with_stride(2).with_padding(2).with_groups(24), true),
        ("multiplied", (1, 6, 7, 5), 10, (3, 3), config.with_padding(1).with_groups(5), false),
    ] {
        let name = format!("conv/{name}");
        let x = var(&tensor(&format!("{name}/x"), (n, h, w, c)));
        let weight = var(&tensor(&format!("{name}/w"), (o, c / config.groups, kernel.0, kernel.1)));
        let bias = var(&tensor(&format!("{name}/b"), o));
        let mut inputs = vec![("x", &x), ("w", &weight)];
        let y = if with_bias {
            inputs.push(("b", &bias));
            conv2d_with_bias(&x, &weight, &bias, config).unwrap()
        } else {
            conv2d(&x, &weight, config).unwrap()
        };
        check(&goldens, &name, &y, &inputs);
    }
}

#[test]
fn convolutions_over_time_or_space_agree_with_pytorch() {
    let goldens = Goldens::read("layers.safetensors");
    let config = Conv3dConfig::default();
    for (name, shape, o, kernel, config) in [
        ("space", [2, 3, 9, 8, 5], 7, (1, 3, 3), config.with_stride((1, 2, 2)).with_padding((0, 1, 1))),
        ("time", [2, 6, 4, 5, 7], 8, (3, 1, 1), config.with_stride((2, 1, 1)).with_padding((1, 0, 0))),
        ("point", [2, 5, 6, 7, 3], 6, (1, 1, 1), config.with_stride(2)),
    ] {
        let name = format!("conv3d/{name}");
        let Thw { t, h, w } = kernel.into();
        let x = var(&tensor(&format!("{name}/x"), &shape[..]));
        let weight = var(&tensor(&format!("{name}/w"), (o, shape[4], t, h, w)));
        let y = conv3d(&x, &weight, config).unwrap();
        check(&goldens, &name, &y, &[("x", &x), ("w", &weight)]);
    }
}

#[test]
fn average_pooling_agrees_with_pytorch() {
    let goldens = Goldens::read("layers.safetensors");
    for (name, shape, config) in [
        ("plain", (2, 8, 6, 5), AvgPool2dConfig::new(2, 2)),
        ("counted", (1, 9, 7, 3), AvgPool2dConfig::new(3, 2).with_padding(1)),
        ("uncounted", (1, 9, 7, 3), AvgPool2dConfig::new(3, 2).with_padding(1).with_counted_padding(false)),
        ("wide", (2, 5, 8, 4), AvgPool2dConfig::new((1, 4), (1, 3)).with_padding((0, 2)).with_counted_padding(false)),
    ] {
        let name = format!("avg/{name}");
        let x = var(&tensor(&format!("{name}/x"), shape));
        check(&goldens, &name, &avg_pool2d(&x, config).unwrap(), &[("x", &x)]);
    }
    for (name, shape, size) in
        [("divided", (2, 8, 6, 5), (4, 3)), ("overlapping", (1, 7, 10, 3), (3, 4)), ("larger", (1, 3, 4, 2), (5, 4))]
    {
        let name = format!("adaptive/{name}");
        let x = var(&tensor(&format!("{name}/x"), shape));
        check(&goldens, &name, &adaptive_avg_pool2d(&x, size).unwrap(), &[("x", &x)]);
    }
}

#[test]
fn activations_agree_with_pytorch() {
    let goldens = Goldens::read("layers.safetensors");
    for (name, activation) in [
        ("relu", Activation::Relu),
        ("silu", Activation::Silu),
        ("hard-swish", Activation::HardSwish),
        ("hard-sigmoid", Activation::HardSigmoid),
    ] {
        let name = format!("activation/{name}");
        let x = var(&scaled(&format!("{name}/x"), (7, 13), 6., 0.));
        check(&goldens, &name, &activation.forward(&x).unwrap(), &[("x", &x)]);
    }
}

#[test]
fn squeeze_and_excitation_agrees_with_pytorch() {
    let goldens = Goldens::read("layers.safetensors");
    let model = Model::new(0, &Device::Cpu, |vb| SqueezeExcitation::new(10, 4, vb)).unwrap();
    known(&model, "squeeze.");
    let x = var(&scaled("squeeze/x", (3, 4, 5, 10), 3., 0.));
    let grads = check(&goldens, "squeeze", &model.net.forward(&x).unwrap(), &[("x", &x)]);
    for (name, var) in model.trainable() {
        goldens.check(&format!("squeeze/d{name}"), grads.get(&var).unwrap(), 2e-6);
    }
}

#[test]
fn a_value_that_is_not_a_number_stays_one_in_all_activations() {
    let x = Tensor::new(&[f32::NAN, 1e30, -1e30, f32::INFINITY], &Device::Cpu).unwrap();
    for (activation, expected) in [
        (Activation::Relu, [1e30, 0., f32::INFINITY]),
        (Activation::Silu, [1e30, 0., f32::INFINITY]),
        (Activation::HardSwish, [1e30, 0., f32::INFINITY]),
        (Activation::HardSigmoid, [1., 0., 1.]),
    ] {
        let y = activation.forward(&x).unwrap().to_vec1::<f32>().unwrap();
        assert!(y[0].is_nan(), "{activation:?}");
        for (found, expected) in y[1..].iter().zip(expected) {
            let close =
                found.to_bits() == expected.to_bits() || (found - expected).abs() <= 1e-6 * expected.abs().max(1.);
            assert!(close, "{activation:?}: {found} instead of {expected}");
        }
    }
}

#[test]
fn errors_of_layers_name_the_fault() {
    let x = tensor("x", (1, 4, 4, 6));
    let config = Conv2dConfig::default();
    let weight = |o, c| tensor("w", (o, c, 3, 3));
    let clips = tensor("x", (1, 4, 5, 5, 3));
    let conv = |weight: &Tensor, config| conv2d(&x, weight, config).unwrap_err();
    for (error, part) in [
        (conv(&weight(4, 6), config.with_groups(4)), "4 groups do not divide the 6 channels of the images"),
        (conv(&weight(4, 2), config.with_groups(3)), "3 groups do not divide the 6 channels"),
        (conv(&weight(4, 6), config.with_groups(0)), "0 groups do not divide"),
        (conv(&weight(6, 6), config.with_groups(2)), "have 6 channels, 3 in each group, but weights"),
        (conv(&weight(4, 6), config.with_dilation((1, 0))), "dilation 1x0 and the kernel 3x3; all must be at least 1"),
        (conv(&weight(4, 6), config.with_dilation(2)), "3x3 kernel with dilation 2x2 is larger than the 4x4 image"),
        (conv(&weight(4, 6), config.with_padding(usize::MAX)), "is larger than the 4x4 image"),
        (
            conv2d_with_bias(&x, &weight(4, 6), &tensor("b", 3), config).unwrap_err(),
            "the bias [3] does not fit the weights [4, 6, 3, 3]",
        ),
        (
            conv3d(&clips, &tensor("w", (2, 3, 3, 3, 3)), Conv3dConfig::default()).unwrap_err(),
            "use two convolutions, with kernels 1x3x3 and 3x1x1",
        ),
        (avg_pool2d(&x, AvgPool2dConfig::new(0, 1)).unwrap_err(), "must satisfy kernel >= 1"),
        (avg_pool2d(&x, AvgPool2dConfig::new(2, 1).with_padding(2)).unwrap_err(), "padding <= kernel / 2"),
        (avg_pool2d(&x, AvgPool2dConfig::new((2, 5), 1)).unwrap_err(), "the 2x5 window is larger than the 4x4 image"),
        (adaptive_avg_pool2d(&x, (0, 1)).unwrap_err(), "cannot divide 4x4 images into 0x1 windows"),
        (scale_channels(&x, &tensor("f", (1, 5))).unwrap_err(), "need factors [1, 6], not [1, 5]"),
        (Activation::Silu.forward(&x.to_dtype(DType::F64).unwrap()).unwrap_err(), "expected f32 or bf16, found F64"),
    ] {
        assert!(error.to_string().contains(part), "{error} does not contain: {part}");
    }
    assert_eq!(Hw::from((3, 1)).to_string(), "3x1");
}
