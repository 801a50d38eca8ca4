//! Tests the options of a training pass, and the temporal shift, of whole networks.

use crate::networks::{input, known, shift_run};
use crate::values::{Goldens, assert_close, flat, scaled};
use candle_convnet::{Depth, ResNet, TrainPass};
use candle_core::{DType, Device, Tensor};

#[test]
fn statistics_of_shifted_images_agree_with_pytorch() {
    let (run, goldens) = (shift_run(), Goldens::read("resnet18-shift.safetensors"));
    let mut model = known(Depth::R18, 3);
    model.net = model.net.with_shift(4, 0.125);
    // A training pass of PyTorch moves the running statistics by a tenth.
    model.net.take_statistics(&input(&run, 0, 0), 0.1).unwrap();
    let running: Vec<_> = model.tensors().into_iter().filter(|(name, _)| name.contains("running")).collect();
    assert_eq!(running.len(), 40);
    for (name, tensor) in &running {
        let error = goldens.digest_error(&format!("running/{name}"), name, tensor);
        assert!(error <= 1e-5, "{name}: error {error:.2e}");
    }
}

#[test]
fn factors_of_one_give_the_bits_of_the_plain_pass_and_others_do_not() {
    let x = scaled("ones/x", (3, 40, 48, 3), 2., 0.);
    let run = |depth: Depth, factor: Option<f32>| {
        let model = known(depth, 3);
        let mut pass = TrainPass::new();
        if let Some(factor) = factor {
            pass =
                pass.with_stochastic_depth(&Tensor::full(factor, (model.net.blocks().len(), 3), &Device::Cpu).unwrap());
        }
        let logits = model.net.forward_train(&x, &pass).unwrap();
        let grads = logits.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let vars = model.trainable();
        let grads = vars.iter().flat_map(|(_, var)| flat(grads.get(var).unwrap()));
        flat(&logits).into_iter().chain(grads).map(f64::to_bits).collect::<Vec<_>>()
    };
    for depth in [Depth::R18, Depth::R50] {
        let plain = run(depth, None);
        assert!(plain == run(depth, Some(1.)), "{depth}");
        assert!(plain != run(depth, Some(0.5)), "{depth}");
    }
}

#[test]
fn a_dropped_image_gets_the_logits_of_a_network_without_branches() {
    // With frozen norms, images do not depend on each other. The second block of each stage has no
    // convolution in its shortcut, so without its branch it does nothing.
    let x = scaled("dropped/x", (2, 40, 40, 3), 2., 0.);
    let mut model = known(Depth::R18, 3);
    model.net = model.net.with_frozen_norms();
    let factors = |second: f32| {
        let rows = (0..8).flat_map(|block| [1., if block % 2 == 1 { second } else { 1. }]).collect::<Vec<f32>>();
        TrainPass::new().with_stochastic_depth(&Tensor::from_vec(rows, (8, 2), &Device::Cpu).unwrap())
    };
    let dropped = flat(&model.net.forward_train(&x, &factors(0.)).unwrap());
    let kept = flat(&model.net.forward_train(&x, &factors(1.)).unwrap());
    assert_eq!(dropped[..10], kept[..10]);
    // The reference: the last norms of these branches have weight 0 and bias 0.
    for (name, var) in model.trainable() {
        if name.contains(".1.bn2.") {
            var.set(&var.zeros_like().unwrap()).unwrap();
        }
    }
    let without = flat(&model.net.forward_train(&x, &TrainPass::new()).unwrap());
    assert_close("the dropped image", &dropped[10..], &without[10..], 1e-6);
    assert!(crate::values::error(&kept[10..], &without[10..]) > 1e-2);
}

#[test]
fn factors_and_clips_that_do_not_fit_are_errors_and_change_nothing() {
    let mut model = known(Depth::R18, 3);
    let before: Vec<_> = model.tensors().iter().map(|(_, t)| flat(t)).collect();
    let x = scaled("unfit/x", (6, 32, 32, 3), 1., 0.);
    let factors = |shape: (usize, usize), dtype| Tensor::ones(shape, dtype, &Device::Cpu).unwrap();
    for (pass, expected) in [
        (
            TrainPass::new().with_stochastic_depth(&factors((6, 8), DType::F32)),
            "network: the factors of stochastic depth are F32 [6, 8], but must be F32 [8, 6]",
        ),
        (
            TrainPass::new().with_stochastic_depth(&factors((8, 6), DType::F64)),
            "network: the factors of stochastic depth are F64 [8, 6], but must be F32 [8, 6]",
        ),
        (
            TrainPass::new().with_dropout(&factors((6, 8), DType::F32)),
            "network: the factors of dropout are F32 [6, 8], but must be F32 [6, 512]",
        ),
    ] {
        let error = model.net.forward_train(&x, &pass).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for (frames, expected) in [
        (4, "the batch has 6 images, which are not whole clips of 4 frames; use a multiple of 4 images"),
        (0, "a clip of 0 frames is not possible; use at least 1"),
    ] {
        model.net = model.net.with_shift(frames, 0.125);
        let errors = [
            model.net.forward_t(&x, true).unwrap_err(),
            model.net.forward_t(&x, false).unwrap_err(),
            model.net.take_statistics(&x, 1.).unwrap_err(),
        ];
        assert!(errors.iter().all(|error| error.to_string().contains(expected)), "{errors:?}");
    }
    assert_eq!(before, model.tensors().iter().map(|(_, t)| flat(t)).collect::<Vec<_>>());
}

#[test]
fn dropout_multiplies_the_features_and_their_gradients() {
    let features = |shift| scaled("dropout/mask", (3, 512), 1., shift);
    let [one, other] = [features(0.), features(0.7)];
    let x = scaled("dropout/x", (3, 40, 40, 3), 2., 0.);
    // Each pass has a new network, because a training pass updates the running statistics.
    let pass = |mask: &Tensor| {
        let model = known(Depth::R18, 3);
        let logits = model.net.forward_train(&x, &TrainPass::new().with_dropout(mask)).unwrap();
        let grads = logits.sum_all().unwrap().backward().unwrap();
        let grads: Vec<f64> = model
            .trainable()
            .iter()
            .filter(|(name, _)| name != "fc.bias")
            .flat_map(|(_, var)| flat(grads.get(var).unwrap()))
            .collect();
        let bias = model.trainable().into_iter().find(|(name, _)| name == "fc.bias").unwrap().1;
        (flat(&logits.broadcast_sub(&bias.as_detached_tensor()).unwrap()), grads)
    };
    // The logits without their bias, and the gradients of their sum, are linear in the mask.
    let (first, second, both) = (pass(&one), pass(&other), pass(&(&one + &other).unwrap()));
    let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + b).collect::<Vec<_>>();
    assert_close("logits", &both.0, &sum(&first.0, &second.0), 1e-4);
    assert_close("gradients", &both.1, &sum(&first.1, &second.1), 1e-3);
    let whole = pass(&one.ones_like().unwrap());
    let plain = known(Depth::R18, 3);
    let bias = plain.trainable().into_iter().find(|(name, _)| name == "fc.bias").unwrap().1;
    let logits = plain.net.forward_t(&x, true).unwrap().broadcast_sub(&bias.as_detached_tensor()).unwrap();
    assert_close("a mask of ones", &whole.0, &flat(&logits), 1e-6);
    assert!(first.0.iter().zip(&whole.0).any(|(a, b)| (a - b).abs() > 1e-3));
}

#[test]
fn kept_kernels_give_the_same_bits_for_images_of_any_size_and_type() {
    for (depth, channels) in [(Depth::R18, 3), (Depth::R18, 20), (Depth::R50, 3)] {
        let model = known(depth, channels);
        let kept = model.net.clone().with_kept_kernels();
        // The size decides the algorithm of a convolution.
        for (at, (n, side, dtype)) in [
            (2, 64, DType::F32),
            (1, 64, DType::F32),
            (1, 33, DType::F32),
            (3, 96, DType::F32),
            (2, 64, DType::BF16),
            (1, 96, DType::BF16),
            (2, 64, DType::F32),
        ]
        .into_iter()
        .enumerate()
        {
            let x = scaled(&format!("kept/{at}"), (n, side, side, channels), 2., 0.).to_dtype(dtype).unwrap();
            let bits = |net: &ResNet| {
                let logits = flat(&net.forward_t(&x, false).unwrap());
                logits.into_iter().map(f64::to_bits).collect::<Vec<_>>()
            };
            assert_eq!(bits(&kept), bits(&model.net), "{depth:?}, {n} images with side {side}, {dtype:?}");
        }
    }
}

#[test]
fn kept_kernels_stay_when_the_weights_change_and_other_networks_use_the_new_ones() {
    let model = known(Depth::R18, 3);
    let kept = model.net.clone().with_kept_kernels();
    let x = scaled("stay/x", (2, 64, 64, 3), 2., 0.);
    let logits = |net: &ResNet| flat(&net.forward_t(&x, false).unwrap());
    let before = logits(&kept);
    for (name, var) in model.trainable() {
        if name.ends_with("conv1.weight") {
            var.set(&(var.as_tensor() * 1.5).unwrap()).unwrap();
        }
    }
    assert_eq!(logits(&kept), before);
    let after = logits(&model.net);
    assert_ne!(after, before);
    assert_eq!(logits(&model.net.clone().with_kept_kernels()), after);
}

#[test]
fn kept_kernels_give_the_same_bits_in_training() {
    for (depth, channels) in [(Depth::R18, 3), (Depth::R18, 20), (Depth::R50, 3)] {
        let model = known(depth, channels);
        let kept = model.net.clone().with_kept_kernels();
        for (at, (n, side, dtype)) in
            [(2, 64, DType::F32), (3, 64, DType::F32), (1, 33, DType::F32), (2, 64, DType::BF16), (1, 96, DType::F32)]
                .into_iter()
                .enumerate()
        {
            let x = scaled(&format!("kept-train/{at}"), (n, side, side, channels), 2., 0.).to_dtype(dtype).unwrap();
            let bits = |net: &ResNet| {
                let logits = net.forward_t(&x, true).unwrap();
                let gradients = logits.sqr().unwrap().sum_all().unwrap().backward().unwrap();
                let of = |tensor: &Tensor| flat(tensor).into_iter().map(f64::to_bits).collect::<Vec<_>>();
                let mut all = vec![("logits".to_owned(), of(&logits))];
                for (name, var) in model.trainable() {
                    all.push((name, of(gradients.get(&var).unwrap())));
                }
                all
            };
            for ((name, kept), (_, plain)) in bits(&kept).into_iter().zip(bits(&model.net)) {
                assert_eq!(kept, plain, "{depth:?}, {name}, {n} images with side {side}, {dtype:?}");
            }
        }
    }
}
