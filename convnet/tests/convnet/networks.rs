//! Compares whole networks with torchvision's in float64.
//!
//! A gradient jumps where the input of a ReLU crosses zero, and rounding moves inputs that are
//! within 1e-6 of zero. The biases of the batch norms therefore keep these inputs away from zero,
//! on both sides. `make_goldens.py` prints the difference between PyTorch's own float32 and
//! float64.
//!
//! With these biases, few channels have both signs. Another network therefore has ordinary batch
//! norms. Its error is a root mean square, which a few jumps hardly change.

use crate::values::{Goldens, assert_close, flat, scaled, values};
use candle_convnet::{Arch, Depth, Model, ResNetConfig, Sgd, SgdConfig, TrainPass, cross_entropy};
use candle_core::{Device, Tensor};
use std::collections::HashMap;

/// Returns a network with the weights of `make_goldens.py`, in which the inputs of ReLU are not
/// close to zero.
pub fn known(depth: Depth, in_channels: usize) -> Model {
    known_on(&Device::Cpu, depth, in_channels)
}

/// Returns the network of [`known`] on a device.
pub fn known_on(device: &Device, depth: Depth, in_channels: usize) -> Model {
    with_norms(device, depth, in_channels, false)
}

/// Returns a network with ordinary batch norms.
pub fn ordinary_on(device: &Device, depth: Depth, in_channels: usize) -> Model {
    with_norms(device, depth, in_channels, true)
}

fn with_norms(device: &Device, depth: Depth, in_channels: usize, ordinary: bool) -> Model {
    let model = Model::random(&ResNetConfig::new(depth, in_channels, 10), 0, device).unwrap();
    let tensors: HashMap<String, Tensor> = model
        .tensors()
        .into_iter()
        .map(|(name, tensor)| {
            let dims = tensor.dims();
            let (scale, offset) = match (name.rsplit('.').next().unwrap(), dims.len()) {
                ("weight", 4) => ((6. / (dims[0] * dims[2] * dims[3]) as f64).sqrt(), 0.),
                ("weight", 2) => (1. / (dims[1] as f64).sqrt(), 0.),
                ("bias", _) if name == "fc.bias" => (1. / (depth.features() as f64).sqrt(), 0.),
                ("weight", _) if ordinary => (0.2, 1.),
                ("weight", _) => (0.05, 0.3),
                ("bias" | "running_mean", _) => (0.1, 0.),
                ("running_var", _) => (0.5, 1.),
                (other, _) => panic!("{other}"),
            };
            let mut value = scaled(&name, dims, scale, offset);
            if name.rsplit('.').next() == Some("bias") && name != "fc.bias" && !ordinary {
                value = (value + away_from_zero(&name, dims[0])).unwrap();
            }
            (name, value)
        })
        .collect();
    model.load_tensors(&tensors).unwrap();
    model
}

/// Returns the number to add to each bias of a batch norm: positive or negative by channel, but
/// only positive before a residual sum.
fn away_from_zero(name: &str, channels: usize) -> Tensor {
    let up = (name.contains("bn2") && name.contains("layer")) || name.contains("bn3") || name.contains("downsample");
    let offset = |c: usize| if up || !c.is_multiple_of(3) { 1.6_f32 } else { -1.6 };
    Tensor::from_vec((0..channels).map(offset).collect::<Vec<_>>(), channels, &Device::Cpu).unwrap()
}

pub struct Run {
    name: &'static str,
    /// Whether all batch norms except for the first one are frozen.
    partial: bool,
    /// Whether branches and features are multiplied by factors.
    factors: bool,
    /// Frames per clip of a temporal shift.
    shift: Option<usize>,
    channels: usize,
    passes: usize,
    label_smoothing: f64,
    sgd: SgdConfig,
}

/// Returns the settings with which the reference code trains its RGB stream.
pub fn rgb_run() -> Run {
    Run {
        name: "resnet18-rgb",
        partial: false,
        factors: false,
        shift: None,
        channels: 3,
        passes: 3,
        label_smoothing: 0.,
        sgd: SgdConfig::new(5e-4),
    }
}

/// Returns the settings of [`rgb_run`] with partial batch norm.
pub fn partial_run() -> Run {
    Run { name: "resnet18-partial", partial: true, ..rgb_run() }
}

/// Returns settings with stochastic depth and dropout.
pub fn depth_run() -> Run {
    Run { name: "resnet18-depth", factors: true, passes: 1, ..rgb_run() }
}

/// Returns settings with a temporal shift over clips of four frames.
pub fn shift_run() -> Run {
    Run { name: "resnet18-shift", shift: Some(4), passes: 1, ..rgb_run() }
}

/// Returns settings with label smoothing, weight decay and Nesterov momentum.
pub fn flow_run() -> Run {
    Run {
        name: "resnet18-flow",
        channels: 20,
        passes: 1,
        label_smoothing: 0.1,
        sgd: SgdConfig::new(1e-3).with_weight_decay(5e-4).with_nesterov(true),
        ..rgb_run()
    }
}

/// Returns the input of pass `k` of a step.
pub fn input(run: &Run, step: usize, k: usize) -> Tensor {
    scaled(&format!("{}/x/{step}/{k}", run.name), (8, 64, 64, run.channels), 2., 0.)
}

/// Returns the options of a step's passes: torchvision's factors of stochastic depth, and a mask that
/// drops half of the features.
fn options(run: &Run, goldens: &Goldens, step: usize, device: &Device) -> TrainPass {
    if !run.factors {
        return TrainPass::new();
    }
    let factors: Vec<f32> = goldens.get(&format!("factors/{step}")).into_iter().map(|factor| factor as f32).collect();
    let mask = values(&format!("{}/mask/{step}", run.name), 8 * 512);
    let mask: Vec<f32> = mask.map(|value| if value >= 0. { 2. } else { 0. }).collect();
    TrainPass::new()
        .with_stochastic_depth(&Tensor::from_vec(factors, (8, 8), device).unwrap())
        .with_dropout(&Tensor::from_vec(mask, (8, 512), device).unwrap())
}

pub fn check_training(run: &Run, device: &Device) {
    let goldens = Goldens::read(&format!("{}.safetensors", run.name));
    let mut model = known_on(device, Depth::R18, run.channels);
    if run.partial {
        model.net = model.net.with_frozen_norms();
    }
    if let Some(frames) = run.shift {
        model.net = model.net.with_shift(frames, 0.125);
    }
    let vars = model.trainable();
    let mut sgd = Sgd::new(vars.clone(), run.sgd).unwrap();
    let labels = Tensor::from_vec((0..8).map(|i| i * 3 % 10).collect::<Vec<u32>>(), 8, device).unwrap();
    for step in 0..5 {
        let pass = options(run, &goldens, step, device);
        let logits: Vec<Tensor> = (0..run.passes)
            .map(|k| input(run, step, k).to_device(device).unwrap())
            .map(|x| model.net.forward_train(&x, &pass).unwrap())
            .collect();
        let total = logits.iter().skip(1).fold(logits[0].clone(), |a, b| (a + b).unwrap());
        let loss = cross_entropy(&total, &labels, run.label_smoothing).unwrap();
        goldens.check(&format!("loss/{step}"), &loss, 1e-3);
        let grads = loss.backward().unwrap();
        if step == 0 {
            for (k, logits) in logits.iter().enumerate() {
                goldens.check(&format!("logits/{k}"), logits, 1e-4);
            }
            let learned: Vec<_> = vars.iter().filter_map(|(name, var)| Some((name, grads.get(var)?))).collect();
            assert_eq!(learned.len(), goldens.names("grad/").len());
            for (name, grad) in learned {
                let error = goldens.digest_error(&format!("grad/{name}"), name, grad);
                assert!(error <= 1e-3, "gradient of {name}: error {error:.2e}");
            }
            let running: Vec<_> = model.tensors().into_iter().filter(|(name, _)| name.contains("running")).collect();
            assert_eq!(running.len(), goldens.names("running/").len());
            for (name, tensor) in &running {
                let error = goldens.digest_error(&format!("running/{name}"), name, tensor);
                assert!(error <= 1e-5, "{name}: error {error:.2e}");
            }
        }
        sgd.step(&grads).unwrap();
    }
    for (name, var) in &vars {
        let error = goldens.digest_error(&format!("after/{name}"), name, var);
        assert!(error <= 1e-3, "{name} after five steps: error {error:.2e}");
    }
    if run.shift.is_some() {
        let x = input(run, 4, 0).to_device(device).unwrap();
        goldens.check("eval", &model.net.forward_t(&x, false).unwrap(), 1e-3);
    }
}

#[test]
fn resnet18_on_rgb_trains_as_pytorch_on_the_summed_logits_of_three_passes() {
    check_training(&rgb_run(), &Device::Cpu);
}

#[test]
fn resnet18_trains_as_pytorch_with_partial_batch_norm() {
    check_training(&partial_run(), &Device::Cpu);
}

#[test]
fn resnet18_trains_as_pytorch_with_stochastic_depth_and_dropout() {
    check_training(&depth_run(), &Device::Cpu);
}

#[test]
fn resnet18_trains_and_evaluates_as_pytorch_with_a_temporal_shift() {
    check_training(&shift_run(), &Device::Cpu);
}

#[test]
fn resnet18_on_flow_trains_as_pytorch_with_smoothing_decay_and_nesterov() {
    check_training(&flow_run(), &Device::Cpu);
}

#[test]
fn gradients_of_a_network_with_ordinary_batch_norms_agree_except_for_a_few_jumps() {
    let goldens = Goldens::read("resnet18-ordinary.safetensors");
    let model = ordinary_on(&Device::Cpu, Depth::R18, 20);
    let labels = Tensor::from_vec((0..8).map(|i| i * 3 % 10).collect::<Vec<u32>>(), 8, &Device::Cpu).unwrap();
    let x = scaled("resnet18-ordinary/x/0/0", (8, 64, 64, 20), 2., 0.);
    let logits = model.net.forward_t(&x, true).unwrap();
    goldens.check("logits/0", &logits, 1e-4);
    let loss = cross_entropy(&logits, &labels, 0.).unwrap();
    let grads = loss.backward().unwrap();
    for (name, var) in &model.trainable() {
        let error = goldens.digest_rms_error(&format!("grad/{name}"), grads.get(var).unwrap());
        assert!(error <= 1e-2, "gradient of {name}: error {error:.2e}");
    }
}

#[test]
fn resnet50_agrees_with_pytorch_in_both_modes() {
    let goldens = Goldens::read("resnet50.safetensors");
    let model = known(Depth::R50, 3);
    let x = scaled("resnet50/x", (4, 64, 64, 3), 2., 0.);
    let eval = model.net.forward_t(&x, false).unwrap();
    assert_close("evaluation", &flat(&eval), &goldens.get("eval"), 1e-4);
    assert_close("again", &flat(&model.net.forward_t(&x, false).unwrap()), &flat(&eval), 0.);
    assert_close("training", &flat(&model.net.forward_t(&x, true).unwrap()), &goldens.get("train"), 1e-3);
    let mut model = known(Depth::R50, 3);
    model.net = model.net.with_shift(2, 0.125);
    goldens.check("shift-eval", &model.net.forward_t(&x, false).unwrap(), 1e-4);
    goldens.check("shift-train", &model.net.forward_t(&x, true).unwrap(), 1e-4);
}

#[test]
fn precise_statistics_are_the_mean_of_the_batches_own() {
    let running = |model: &Model| -> Vec<Vec<f64>> {
        let tensors = model.tensors().into_iter();
        tensors.filter(|(name, _)| name.contains("running")).map(|(_, tensor)| flat(&tensor)).collect()
    };
    let batches = ["a", "b", "c"].map(|name| scaled(&format!("precise/{name}"), (4, 64, 64, 3), 2., 0.));
    // A training pass moves the running statistics by a tenth towards those of the batch, as the
    // goldens show.
    let own = batches.each_ref().map(|x| {
        let model = known(Depth::R18, 3);
        let before = running(&model);
        model.net.forward_t(x, true).unwrap();
        let moved = |(before, after): (Vec<f64>, Vec<f64>)| -> Vec<f64> {
            before.iter().zip(after).map(|(before, after)| (after - 0.9 * before) / 0.1).collect()
        };
        before.into_iter().zip(running(&model)).map(moved).collect::<Vec<_>>()
    });
    let model = known(Depth::R18, 3);
    let weights: Vec<_> = model.trainable().into_iter().map(|(_, var)| flat(&var)).collect();
    for (x, share) in batches.iter().zip([1., 1. / 2., 1. / 3.]) {
        model.net.take_statistics(x, share).unwrap();
    }
    for (layer, values) in running(&model).iter().enumerate() {
        let mean: Vec<f64> = (0..values.len()).map(|i| own.iter().map(|own| own[layer][i]).sum::<f64>() / 3.).collect();
        assert_close(&format!("statistics {layer}"), values, &mean, 1e-4);
    }
    assert!(weights == model.trainable().into_iter().map(|(_, var)| flat(&var)).collect::<Vec<_>>());
    assert!(model.net.take_statistics(&batches[0], f64::NAN).is_err());
}

#[test]
fn every_depth_has_torchvisions_number_of_parameters() {
    let counts = [11_689_512, 21_797_672, 25_557_032, 44_549_160, 60_192_808];
    for (depth, count) in Depth::ALL.into_iter().zip(counts) {
        let model = Model::random(&ResNetConfig::new(depth, 3, 1000), 0, &Device::Cpu).unwrap();
        assert_eq!(model.trainable().iter().map(|(_, var)| var.elem_count()).sum::<usize>(), count, "{depth}");
    }
}

#[test]
fn at_every_depth_and_odd_sizes_the_loss_falls_as_its_gradient_says() {
    for (depth, size) in Depth::ALL.into_iter().zip([33, 64, 40, 64, 47]) {
        let model = Model::random(&ResNetConfig::new(depth, 3, 4), 3, &Device::Cpu).unwrap();
        let x = scaled("depths/x", (4, size, size, 3), 2., 0.);
        let labels = Tensor::new(&[0u32, 1, 2, 3], &Device::Cpu).unwrap();
        let loss = || cross_entropy(&model.net.forward_t(&x, true).unwrap(), &labels, 0.).unwrap();
        let before = loss();
        let grads = before.backward().unwrap();
        let square = |grad: &Tensor| flat(grad).iter().map(|g| g * g).sum::<f64>();
        let squares: f64 = model.trainable().iter().map(|(_, var)| square(grads.get(var).unwrap())).sum();
        // With this learning rate, the loss falls by about 0.01.
        let lr = 0.01 / squares;
        let config = SgdConfig::new(lr).with_momentum(0.);
        Sgd::new(model.trainable(), config).unwrap().step(&grads).unwrap();
        let fall = f64::from(before.to_scalar::<f32>().unwrap() - loss().to_scalar::<f32>().unwrap());
        assert!((0.008..0.012).contains(&fall), "{depth} at {size}: the loss fell by {fall}");
        let scores = flat(&model.net.forward_t(&x, false).unwrap());
        assert!(scores.len() == 16 && scores.iter().all(|score| score.is_finite()), "{depth}: {scores:?}");
    }
}

#[test]
fn architectures_have_names() {
    for arch in Arch::ALL {
        assert_eq!(arch.to_string().parse::<Arch>().unwrap(), arch);
    }
    assert_eq!(
        "resnet20".parse::<Arch>().unwrap_err().to_string(),
        "unknown network \"resnet20\"; expected resnet18, resnet34, resnet50, resnet101, resnet152 or \
         mobilenet_v3_small"
    );
}

#[test]
fn evaluation_records_no_graph_and_changes_no_tensor() {
    let model = known(Depth::R18, 3);
    let before: Vec<_> = model.tensors().iter().map(|(_, t)| flat(t)).collect();
    let logits = model.net.forward_t(&scaled("x", (2, 33, 47, 3), 1., 0.), false).unwrap();
    let grads = logits.sum_all().unwrap().backward().unwrap();
    assert!(model.trainable().iter().all(|(_, var)| grads.get(var).is_none()));
    assert_eq!(before, model.tensors().iter().map(|(_, t)| flat(t)).collect::<Vec<_>>());
}
