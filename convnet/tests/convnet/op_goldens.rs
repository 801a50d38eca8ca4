//! Compares each operation with PyTorch in float64 (`scripts/make_goldens.py`).

use crate::values::{Goldens, scaled, tensor, var};
use candle_convnet::{
    BatchNorm2d, BatchNormConfig, Conv2dConfig, MaxPool2dConfig, conv2d, cross_entropy, global_avg_pool, linear,
    max_pool2d, stochastic_depth, temporal_shift,
};
use candle_core::{DType, Device, Tensor};
use candle_nn::{VarBuilder, VarMap};

#[test]
fn convolutions_agree_with_pytorch() {
    let goldens = Goldens::read("ops.safetensors");
    for (name, [n, h, w, c, o, kernel, stride, padding]) in [
        ("stem-rgb", [2, 17, 15, 3, 8, 7, 2, 3]),
        ("stem-flow", [1, 14, 19, 20, 5, 7, 2, 3]),
        ("same", [3, 9, 7, 6, 10, 3, 1, 1]),
        ("half", [2, 9, 8, 5, 7, 3, 2, 1]),
        ("point", [2, 5, 6, 12, 9, 1, 1, 0]),
        ("point-half", [2, 7, 6, 4, 11, 1, 2, 0]),
        ("one-pixel", [1, 1, 1, 3, 2, 3, 1, 1]),
        ("third", [1, 11, 13, 2, 3, 5, 3, 1]),
    ] {
        let x = var(&tensor(&format!("conv/{name}/x"), (n, h, w, c)));
        let weight = var(&tensor(&format!("conv/{name}/w"), (o, c, kernel, kernel)));
        let y = conv2d(&x, &weight, Conv2dConfig::default().with_stride(stride).with_padding(padding)).unwrap();
        goldens.check(&format!("conv/{name}/y"), &y, 1e-6);
        let grads = backward(&y, &format!("conv/{name}/g"));
        goldens.check(&format!("conv/{name}/dx"), grads.get(&x).unwrap(), 1e-6);
        goldens.check(&format!("conv/{name}/dw"), grads.get(&weight).unwrap(), 1e-6);
    }
}

#[test]
fn max_pooling_agrees_with_pytorch_also_where_values_tie() {
    let goldens = Goldens::read("ops.safetensors");
    for (name, [n, h, w, c, kernel, stride, padding]) in
        [("resnet", [2, 11, 8, 5, 3, 2, 1]), ("plain", [1, 6, 7, 3, 2, 2, 0]), ("overlap", [1, 5, 5, 4, 3, 1, 1])]
    {
        let x = var(&(tensor(&format!("pool/{name}/x"), (n, h, w, c)) * 4.).unwrap().round().unwrap());
        let y = max_pool2d(&x, MaxPool2dConfig::new(kernel, stride).with_padding(padding)).unwrap();
        goldens.check(&format!("pool/{name}/y"), &y, 0.);
        let grads = backward(&y, &format!("pool/{name}/g"));
        goldens.check(&format!("pool/{name}/dx"), grads.get(&x).unwrap(), 1e-6);
    }
}

#[test]
fn batch_norm_agrees_with_pytorch_in_both_modes() {
    let goldens = Goldens::read("ops.safetensors");
    for (name, train) in [("norm/train", true), ("norm/eval", false)] {
        let (varmap, norm) = batch_norm(name, 6, BatchNormConfig::default());
        let x = var(&scaled(&format!("{name}/x"), (3, 4, 5, 6), 2., 3.));
        let y = norm.forward_t(&x, train).unwrap();
        goldens.check(&format!("{name}/y"), &y, 1e-6);
        let grads = backward(&y, &format!("{name}/g"));
        let vars = varmap.data().lock().unwrap();
        goldens.check(&format!("{name}/dx"), grads.get(&x).unwrap(), 1e-5);
        goldens.check(&format!("{name}/dw"), grads.get(&vars["weight"]).unwrap(), 1e-6);
        goldens.check(&format!("{name}/db"), grads.get(&vars["bias"]).unwrap(), 1e-6);
        goldens.check(&format!("{name}/mean"), &vars["running_mean"], 1e-6);
        goldens.check(&format!("{name}/var"), &vars["running_var"], 1e-6);
    }
}

#[test]
fn batch_norm_with_a_rectifier_equals_batch_norm_and_relu() {
    let name = "norm/fused";
    let mut results = Vec::new();
    for relu in [true, false] {
        let (varmap, norm) = batch_norm(name, 20, BatchNormConfig::default().with_relu(relu));
        let x = var(&scaled("norm/fused/x", (2, 7, 5, 20), 1.5, -0.3));
        let y = norm.forward_t(&x, true).unwrap();
        let y = if relu { y } else { candle_convnet::relu(&y).unwrap() };
        let grads = backward(&y, "norm/fused/g");
        let vars = varmap.data().lock().unwrap();
        let all = [y.detach(), grads.get(&x).unwrap().clone(), grads.get(&vars["weight"]).unwrap().clone()];
        results.push(all.map(|t| t.flatten_all().unwrap().to_vec1::<f32>().unwrap()));
    }
    assert_eq!(results[0], results[1]);
}

#[test]
fn batch_norm_of_a_single_value_gives_the_bias_and_finite_statistics() {
    let (varmap, norm) = batch_norm("norm/single", 3, BatchNormConfig::default());
    let x = var(&tensor("norm/single/x", (1, 1, 1, 3)));
    let before = varmap.data().lock().unwrap()["running_var"].to_vec1::<f32>().unwrap();
    let y = norm.forward_t(&x, true).unwrap();
    let grads = backward(&y, "norm/single/g");
    let vars = varmap.data().lock().unwrap();
    assert_eq!(y.flatten_all().unwrap().to_vec1::<f32>().unwrap(), vars["bias"].to_vec1::<f32>().unwrap());
    assert_eq!(grads.get(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap(), [0.; 3]);
    for (before, after) in before.iter().zip(vars["running_var"].to_vec1::<f32>().unwrap()) {
        assert!((after - 0.9 * before).abs() < 1e-6);
    }
}

#[test]
fn batch_norm_keeps_a_small_variance_with_a_large_mean() {
    let (_, norm) = batch_norm("norm/large", 2, BatchNormConfig::default().with_eps(0.));
    // 10,000 and steps of 2⁻⁹ are exact in f32. Sums of squares in f32 would have errors larger
    // than the variance.
    let data: Vec<f32> = (0..256).flat_map(|i| [1e4 + (i % 8) as f32 / 512., (i % 8) as f32]).collect();
    let y = norm.forward_t(&Tensor::from_vec(data, (4, 8, 8, 2), &Device::Cpu).unwrap(), true).unwrap();
    let y = y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (weights, biases) = (scaled("norm/large.weight", 2, 0.2, 1.), scaled("norm/large.bias", 2, 0.1, 0.));
    let (weights, biases) = (weights.to_vec1::<f32>().unwrap(), biases.to_vec1::<f32>().unwrap());
    for pixel in y.chunks(2) {
        let normal: Vec<f32> = (0..2).map(|i| (pixel[i] - biases[i]) / weights[i]).collect();
        // Rounding the mean to f32 has an error of up to 5e-4, and the standard deviation is 6e-3.
        assert!((normal[0] - normal[1]).abs() < 0.1, "{normal:?}");
    }
}

#[test]
fn cross_entropy_agrees_with_pytorch_with_and_without_smoothing() {
    let goldens = Goldens::read("ops.safetensors");
    let labels = Tensor::from_vec((0..7).map(|i| i * 3 % 11).collect::<Vec<u32>>(), 7, &Device::Cpu).unwrap();
    for (name, smoothing) in [("0.0", 0.), ("0.1", 0.1)] {
        let logits = var(&scaled("loss/logits", (7, 11), 5., 0.));
        let loss = cross_entropy(&logits, &labels, smoothing).unwrap();
        goldens.check(&format!("loss/{name}/loss"), &loss, 1e-6);
        goldens.check(&format!("loss/{name}/dx"), loss.backward().unwrap().get(&logits).unwrap(), 1e-6);
    }
}

#[test]
fn a_label_that_is_not_a_class_is_an_error() {
    let labels = Tensor::new(&[0u32, 3], &Device::Cpu).unwrap();
    let error = cross_entropy(&tensor("x", (2, 3)), &labels, 0.).unwrap_err().to_string();
    assert!(error.contains("label 3 of row 1 is too large for 3 classes"), "{error}");
    assert!(cross_entropy(&tensor("x", (3, 3)), &labels, 0.).is_err());
    assert!(cross_entropy(&tensor("x", (2, 4)), &labels, 1.5).is_err());
}

#[test]
fn the_gradient_of_relu_at_zero_is_zero_and_nan_stays() {
    let x = var(&Tensor::new(&[-1f32, -0., 0., 2., f32::NAN], &Device::Cpu).unwrap());
    let y = candle_convnet::relu(&x).unwrap();
    let found = y.to_vec1::<f32>().unwrap();
    assert!(found[..4] == [0., 0., 0., 2.] && found[4].is_nan());
    let grad = y.backward().unwrap().get(&x).unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(grad, [0., 0., 0., 1., 1.]);
    let zeros = var(&Tensor::new(&[1f32, -2.], &Device::Cpu).unwrap());
    let sum = candle_convnet::add_relu(&zeros, &zeros.neg().unwrap().detach()).unwrap();
    assert_eq!(sum.backward().unwrap().get(&zeros).unwrap().to_vec1::<f32>().unwrap(), [0., 0.]);
}

#[test]
fn a_nan_is_the_maximum_of_every_window_that_contains_it() {
    let mut data = vec![1f32; 25];
    data[12] = f32::NAN;
    let x = var(&Tensor::from_vec(data, (1, 5, 5, 1), &Device::Cpu).unwrap());
    let y = max_pool2d(&x, MaxPool2dConfig::new(3, 2).with_padding(1)).unwrap();
    let found = y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(
        found.iter().map(|x| x.is_nan()).collect::<Vec<_>>(),
        [false, false, false, false, true, false, false, false, false]
    );
    let grad = y.backward().unwrap().get(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(grad[12].to_bits(), 1f32.to_bits());
}

#[test]
fn a_window_of_negative_infinities_has_a_gradient_place_inside_the_image() {
    let x = var(&Tensor::full(f32::NEG_INFINITY, (1, 2, 2, 1), &Device::Cpu).unwrap().contiguous().unwrap());
    let y = max_pool2d(&x, MaxPool2dConfig::new(3, 2).with_padding(1)).unwrap();
    let grad = y.backward().unwrap().get(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(grad, [1., 0., 0., 0.]);
}

#[test]
fn errors_of_operations_name_the_fault() {
    let x = tensor("x", (1, 4, 4, 3));
    for (error, part) in [
        (conv2d(&x, &tensor("w", (2, 5, 3, 3)), Conv2dConfig::default()).unwrap_err(), "have 3 channels"),
        (conv2d(&x, &tensor("w", (2, 3, 7, 7)), Conv2dConfig::default()).unwrap_err(), "larger than the 4x4 image"),
        (conv2d(&x, &tensor("w", (2, 3, 3, 3)), Conv2dConfig::default().with_stride(0)).unwrap_err(), "at least 1"),
        (
            conv2d(&x.to_dtype(DType::F64).unwrap(), &tensor("w", (2, 3, 3, 3)), Conv2dConfig::default()).unwrap_err(),
            "expected f32 or bf16, found F64",
        ),
        (max_pool2d(&x, MaxPool2dConfig::new(3, 1).with_padding(2)).unwrap_err(), "padding <= kernel / 2"),
        (linear(&tensor("x", (2, 3)), &tensor("w", (4, 5)), &tensor("b", 4)).unwrap_err(), "do not fit"),
        (global_avg_pool(&tensor("x", (2, 0, 3, 4))).unwrap_err(), "no mean"),
        (temporal_shift(&x, 4, 0.125).unwrap_err(), "not whole clips of 4 frames"),
        (temporal_shift(&x, 0, 0.125).unwrap_err(), "a clip of 0 frames is not possible"),
        (stochastic_depth(&x, &tensor("f", 3)).unwrap_err(), "their shape must be [1]"),
    ] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

fn batch_norm(name: &str, channels: usize, config: BatchNormConfig) -> (VarMap, BatchNorm2d) {
    let varmap = VarMap::new();
    let vb = VarBuilder::from_varmap(&varmap, DType::F32, &Device::Cpu);
    let norm = BatchNorm2d::new(channels, config, vb).unwrap();
    for (part, scale, offset) in
        [("weight", 0.2, 1.), ("bias", 0.1, 0.), ("running_mean", 0.1, 0.), ("running_var", 0.5, 1.)]
    {
        let value = scaled(&format!("{name}.{part}"), channels, scale, offset);
        varmap.data().lock().unwrap()[part].set(&value).unwrap();
    }
    (varmap, norm)
}

/// Returns the gradients of `sum(y · g)`, where `name` determines g.
fn backward(y: &Tensor, name: &str) -> candle_core::backprop::GradStore {
    (y * tensor(name, y.shape())).unwrap().sum_all().unwrap().backward().unwrap()
}
