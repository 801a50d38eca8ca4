//! Compares `MobileNetV3` and the example R(2+1)D-18 with torchvision's in float64.

use crate::values::{Goldens, flat, known, scaled};
use candle_convnet::{MobileNetV3, MobileNetV3Config, Model, Sgd, SgdConfig, TrainPass, cross_entropy};
use candle_core::{DType, Device, Result, Tensor};

#[path = "../../examples/r2plus1d/network.rs"]
mod r2plus1d;
use r2plus1d::R2Plus1d;

/// Gradients of this size and below are 0, except for rounding.
const ZERO: f64 = 1e-9;

/// Compares a network with the golden `name`: logits in evaluation and training, loss, gradients
/// and running statistics.
fn check<N>(name: &str, model: &Model<N>, x: &Tensor, forward: impl Fn(&N, bool) -> Result<Tensor>) {
    known(model, "");
    let goldens = Goldens::read(&format!("{name}.safetensors"));
    goldens.check("eval", &forward(&model.net, false).unwrap(), 1e-4);
    let logits = forward(&model.net, true).unwrap();
    goldens.check("logits", &logits, 1e-4);
    let n = x.dim(0).unwrap() as u32;
    let labels = Tensor::from_vec((0..n).map(|i| i * 3 % 10).collect::<Vec<u32>>(), n as usize, &Device::Cpu).unwrap();
    let loss = cross_entropy(&logits, &labels, 0.).unwrap();
    goldens.check("loss", &loss, 1e-4);
    let grads = loss.backward().unwrap();
    let vars = model.trainable();
    assert_eq!(vars.len(), goldens.names("grad/").len(), "{name} has other parameters than torchvision's network");
    for (parameter, var) in &vars {
        let (golden, grad) = (format!("grad/{parameter}"), grads.get(var).unwrap());
        if goldens.get(&golden)[0] <= ZERO {
            assert!(flat(grad).iter().all(|grad| grad.abs() <= 1e-6), "gradient of {parameter}");
            continue;
        }
        let error = goldens.digest_error(&golden, parameter, grad);
        assert!(error <= 1e-3, "gradient of {parameter}: error {error:.2e}");
    }
    let running: Vec<_> = model.tensors().into_iter().filter(|(name, _)| name.contains("running")).collect();
    assert_eq!(running.len(), goldens.names("running/").len());
    for (name, tensor) in &running {
        let error = goldens.digest_error(&format!("running/{name}"), name, tensor);
        assert!(error <= 1e-4, "{name}: error {error:.2e}");
    }
}

#[test]
fn mobilenet_v3_small_agrees_with_torchvision() {
    let model = Model::random(&MobileNetV3Config::small(3, 10), 0, &Device::Cpu).unwrap();
    let x = scaled("mobilenet_v3_small/x", (8, 64, 64, 3), 2., 0.);
    check("mobilenet_v3_small", &model, &x, |net, train| net.forward_t(&x, train));
}

#[test]
fn r2plus1d_18_agrees_with_torchvision() {
    let model = Model::new(0, &Device::Cpu, |vb| R2Plus1d::new(10, vb)).unwrap();
    let x = scaled("r2plus1d_18/x", (2, 4, 32, 32, 3), 2., 0.);
    check("r2plus1d_18", &model, &x, |net, train| net.forward_t(&x, train));
}

#[test]
fn mobilenet_v3_small_has_torchvisions_number_of_parameters_and_learns() {
    let count = |classes| {
        let model = Model::random(&MobileNetV3Config::small(3, classes), 1, &Device::Cpu).unwrap();
        let count: usize = model.trainable().iter().map(|(_, var)| var.elem_count()).sum();
        (model, count)
    };
    assert_eq!(count(1000).1, 2_542_856);
    let (model, _) = count(2);
    let x = scaled("mobilenet/x", (6, 40, 48, 3), 2., 0.);
    let labels = Tensor::new(&[0u32, 1, 0, 1, 1, 0], &Device::Cpu).unwrap();
    let mut sgd = Sgd::new(model.trainable(), SgdConfig::new(0.05)).unwrap();
    let mut step = || {
        let loss = cross_entropy(&model.net.forward_t(&x, true).unwrap(), &labels, 0.).unwrap();
        sgd.step(&loss.backward().unwrap()).unwrap();
        loss.to_scalar::<f32>().unwrap()
    };
    let losses: Vec<f32> = (0..12).map(|_| step()).collect();
    assert!(losses[11] < 0.3 * losses[0], "{losses:?}");
}

#[test]
fn mobilenet_v3_has_dropout_frozen_norms_and_precise_statistics() {
    let model = Model::random(&MobileNetV3Config::small(3, 5), 1, &Device::Cpu).unwrap();
    known(&model, "");
    let x = scaled("mobilenet/x", (4, 40, 48, 3), 2., 0.);
    let statistics = |model: &Model<MobileNetV3>| -> Vec<u64> {
        let running = model.tensors().into_iter().filter(|(name, _)| name.contains("running"));
        running.flat_map(|(_, tensor)| flat(&tensor)).map(f64::to_bits).collect()
    };
    let before = statistics(&model);

    // Frozen norms: only the first layer's statistics change, and only its norm is learned.
    let frozen = model.net.clone().with_frozen_norms();
    let grads = frozen.forward_t(&x, true).unwrap().sqr().unwrap().sum_all().unwrap().backward().unwrap();
    let learned = model.trainable().into_iter().filter(|(_, var)| grads.get(var).is_some());
    let norms: Vec<String> = learned.map(|(name, _)| name).filter(|name| name.contains(".1.")).collect();
    assert!(norms.contains(&"features.0.1.weight".to_owned()));
    assert!(!norms.iter().any(|name| name == "features.12.1.weight" || name.ends_with("block.0.1.bias")), "{norms:?}");
    let moved = statistics(&model).iter().zip(&before).filter(|(after, before)| after != before).count();
    assert_eq!(moved, 32, "the mean and variance of 16 channels");

    // A share of 1 takes the statistics of the batch, and a second pass then changes nothing.
    model.net.take_statistics(&x, 1.).unwrap();
    let taken = statistics(&model);
    assert!(taken != before);
    model.net.take_statistics(&x, 0.).unwrap();
    assert_eq!(taken, statistics(&model));
    assert!(model.net.take_statistics(&x, 1.5).is_err());

    // Dropout with factors of 0 leaves the biases of the last layer.
    let pass = |factor: f32| TrainPass::new().with_dropout(&Tensor::full(factor, (4, 1024), &Device::Cpu).unwrap());
    let logits = flat(&model.net.forward_train(&x, &pass(0.)).unwrap());
    let bias = model.tensors().into_iter().find(|(name, _)| name == "classifier.3.bias").unwrap().1;
    assert_eq!(logits, flat(&bias).repeat(4));
    let factors = Tensor::ones((8, 4), DType::F32, &Device::Cpu).unwrap();
    let error = model.net.forward_train(&x, &TrainPass::new().with_stochastic_depth(&factors)).unwrap_err();
    assert!(error.to_string().contains("has no stochastic depth"), "{error}");
}
