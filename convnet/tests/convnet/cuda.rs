//! Compares operations on an NVIDIA GPU with those on the CPU, which other tests compare with
//! PyTorch. Compares whole networks with PyTorch itself.
//!
//! The tests need a GPU: `cargo test -p candle-convnet --features cuda -- --ignored`. On a machine
//! without Rust, use `scripts/gpu_check.sh`.

use crate::networks::{check_training, depth_run, flow_run, known_on, partial_run, rgb_run, shift_run};
use crate::values::{assert_close, flat, scaled, tensor, var};
use candle_convnet::cuda::{Choices, CudaConfig, Downloads, Pinned, Uploads, choices, follow, open, record, rehearse};
use candle_convnet::{
    BatchNorm2d, BatchNormConfig, Conv2dConfig, Depth, MaxPool2dConfig, Normalisation, PixelLayout, Sgd, SgdConfig,
    TrainPass, add_relu, conv2d, cross_entropy, global_avg_pool, linear, max_pool2d, normalise, relu, stochastic_depth,
    temporal_shift,
};
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{VarBuilder, VarMap};
use std::cell::RefCell;

fn gpu() -> Device {
    gpu_with(CudaConfig::default())
}

fn gpu_with(config: CudaConfig) -> Device {
    cuda_delayload::load().unwrap();
    open(0, config).unwrap()
}

/// Returns images for the CPU, in f32, and for the GPU, as `dtype`. Both have the same values,
/// rounded to `dtype`.
fn images(name: &str, shape: (usize, usize, usize, usize), dtype: DType, gpu: &Device) -> (Var, Var) {
    let rounded = tensor(name, shape).to_dtype(dtype).unwrap();
    let on_gpu = rounded.to_device(gpu).unwrap();
    (var(&rounded.to_dtype(DType::F32).unwrap()), var(&on_gpu))
}

/// Returns the tolerance for rounding of the result, and of the sums of convolutions.
fn tolerance(dtype: DType) -> f64 {
    if dtype == DType::BF16 { 1e-2 } else { 1e-5 }
}

#[track_caller]
fn same(what: &str, on_gpu: &Tensor, on_cpu: &Tensor, tolerance: f64) {
    assert_eq!(on_gpu.dims(), on_cpu.dims(), "{what}");
    assert_close(what, &flat(&on_gpu.to_device(&Device::Cpu).unwrap()), &flat(on_cpu), tolerance);
}

/// Differentiates the sum of `y · g`, where `name` determines g, rounded to the type of `y`.
fn backward(y: &Tensor, name: &str) -> candle_core::backprop::GradStore {
    let g = tensor(name, y.shape()).to_dtype(DType::BF16).unwrap().to_device(y.device()).unwrap();
    let g = g.to_dtype(y.dtype()).unwrap();
    (y * g).unwrap().sum_all().unwrap().backward().unwrap()
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn convolutions_on_the_gpu_equal_the_cpus() {
    let gpu = gpu();
    for dtype in [DType::F32, DType::BF16] {
        for [n, h, w, c, o, kernel, stride, padding] in [
            [2, 17, 15, 3, 8, 7, 2, 3],
            [1, 14, 19, 20, 5, 7, 2, 3],
            [3, 9, 7, 6, 10, 3, 1, 1],
            [2, 9, 8, 5, 7, 3, 2, 1],
            [2, 5, 6, 12, 9, 1, 1, 0],
            [2, 7, 6, 4, 11, 1, 2, 0],
            [1, 1, 1, 3, 2, 3, 1, 1],
            [1, 11, 13, 2, 3, 5, 3, 1],
            [2, 56, 56, 64, 64, 3, 1, 1],
            [2, 28, 28, 64, 128, 3, 2, 1],
            [2, 14, 14, 256, 512, 1, 2, 0],
            [2, 56, 56, 64, 256, 1, 1, 0],
        ] {
            let what = format!("{dtype:?} {n}x{h}x{w}x{c} -> {o}, kernel {kernel}, stride {stride}");
            let (x, x_gpu) = images(&what, (n, h, w, c), dtype, &gpu);
            let weight = tensor(&format!("{what}/w"), (o, c, kernel, kernel)).to_dtype(dtype).unwrap();
            let weight = var(&weight.to_dtype(DType::F32).unwrap());
            let weight_gpu = var(&weight.to_device(&gpu).unwrap());
            let config = Conv2dConfig::default().with_stride(stride).with_padding(padding);
            let y = conv2d(&x, &weight, config).unwrap();
            let y_gpu = conv2d(&x_gpu, &weight_gpu, config).unwrap();
            assert_eq!(y_gpu.dtype(), dtype);
            same(&format!("{what}: y"), &y_gpu, &y, tolerance(dtype));
            let (grads, grads_gpu) = (backward(&y, "g"), backward(&y_gpu, "g"));
            let gradient = |on_gpu: &Var, on_cpu: &Var, name: &str| {
                let (found, expected) = (grads_gpu.get(on_gpu).unwrap(), grads.get(on_cpu).unwrap());
                same(&format!("{what}: {name}"), found, expected, tolerance(dtype));
            };
            gradient(&x_gpu, &x, "dx");
            gradient(&weight_gpu, &weight, "dw");
        }
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn pooling_on_the_gpu_equals_the_cpus_also_with_equal_values() {
    let gpu = gpu();
    for dtype in [DType::F32, DType::BF16] {
        for [n, h, w, c, kernel, stride, padding] in
            [[2, 11, 8, 5, 3, 2, 1], [1, 6, 7, 8, 2, 2, 0], [1, 5, 5, 4, 3, 1, 1], [2, 112, 112, 64, 3, 2, 1]]
        {
            let what = format!("{dtype:?} {n}x{h}x{w}x{c}, window {kernel}, stride {stride}");
            let ties = (tensor(&what, (n, h, w, c)) * 4.).unwrap().round().unwrap();
            let (x, x_gpu) = (var(&ties), var(&ties.to_dtype(dtype).unwrap().to_device(&gpu).unwrap()));
            let config = MaxPool2dConfig::new(kernel, stride).with_padding(padding);
            let (y, y_gpu) = (max_pool2d(&x, config).unwrap(), max_pool2d(&x_gpu, config).unwrap());
            same(&what, &y_gpu, &y, 0.);
            let (grads, grads_gpu) = (backward(&y, "g"), backward(&y_gpu, "g"));
            same(&format!("{what}: dx"), grads_gpu.get(&x_gpu).unwrap(), grads.get(&x).unwrap(), tolerance(dtype));
            let (mean, mean_gpu) = (global_avg_pool(&x).unwrap(), global_avg_pool(&x_gpu).unwrap());
            assert_eq!(mean_gpu.dtype(), DType::F32);
            same(&format!("{what}: mean"), &mean_gpu, &mean, 1e-5);
            let (grads, grads_gpu) = (backward(&mean, "g"), backward(&mean_gpu, "g"));
            let (found, expected) = (grads_gpu.get(&x_gpu).unwrap(), grads.get(&x).unwrap());
            same(&format!("{what}: gradient of the mean"), found, expected, tolerance(dtype));
        }
    }
}

fn batch_norm(channels: usize, config: BatchNormConfig, device: &Device) -> (VarMap, BatchNorm2d) {
    let varmap = VarMap::new();
    let vb = VarBuilder::from_varmap(&varmap, DType::F32, device);
    let norm = BatchNorm2d::new(channels, config, vb).unwrap();
    for (name, var) in varmap.data().lock().unwrap().iter() {
        let (scale, offset) = if name == "running_var" { (0.5, 1.) } else { (0.3, 0.7) };
        var.set(&scaled(name, channels, scale, offset).to_device(device).unwrap()).unwrap();
    }
    (varmap, norm)
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn shifted_and_scaled_images_on_the_gpu_equal_the_cpus() {
    let gpu = gpu();
    for dtype in [DType::F32, DType::BF16] {
        for [n, h, w, c, frames] in [[6, 3, 5, 64, 3], [4, 7, 5, 20, 2], [4, 3, 3, 24, 4], [2, 5, 3, 5, 1]] {
            let what = format!("{dtype:?} {n}x{h}x{w}x{c}, {frames} frames");
            let (x, x_gpu) = images(&what, (n, h, w, c), dtype, &gpu);
            let (y, y_gpu) =
                (temporal_shift(&x, frames, 0.125).unwrap(), temporal_shift(&x_gpu, frames, 0.125).unwrap());
            assert_eq!(y_gpu.dtype(), dtype);
            same(&what, &y_gpu, &y, 0.);
            let (grads, grads_gpu) = (backward(&y, "g"), backward(&y_gpu, "g"));
            same(&format!("{what}: dx"), grads_gpu.get(&x_gpu).unwrap(), grads.get(&x).unwrap(), 0.);
            // The factors are the second of two rows.
            let factors = tensor(&format!("{what}/f"), (2, n));
            let row = |factors: &Tensor| factors.get(1).unwrap();
            let y = stochastic_depth(&x, &row(&factors)).unwrap();
            let y_gpu = stochastic_depth(&x_gpu, &row(&factors.to_device(&gpu).unwrap())).unwrap();
            same(&format!("{what}: scaled"), &y_gpu, &y, tolerance(dtype));
            let (grads, grads_gpu) = (backward(&y, "g"), backward(&y_gpu, "g"));
            let (found, expected) = (grads_gpu.get(&x_gpu).unwrap(), grads.get(&x).unwrap());
            same(&format!("{what}: gradient of the scaled images"), found, expected, tolerance(dtype));
        }
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn batch_norm_on_the_gpu_equals_the_cpus_in_both_modes() {
    let gpu = gpu();
    for dtype in [DType::F32, DType::BF16] {
        for (shape, relu, train) in [
            ((3, 4, 5, 6), false, true),
            ((3, 4, 5, 6), true, false),
            ((2, 13, 7, 24), true, true),
            ((4, 28, 28, 64), true, true),
            ((2, 7, 7, 512), false, true),
            ((3, 5, 5, 2048), true, true),
            ((1, 1, 1, 3), false, true),
        ] {
            let what = format!("{dtype:?} {shape:?}, relu {relu}, train {train}");
            let config = BatchNormConfig::default().with_relu(relu);
            let ((vars, norm), (vars_gpu, norm_gpu)) =
                (batch_norm(shape.3, config, &Device::Cpu), batch_norm(shape.3, config, &gpu));
            let (x, x_gpu) = images(&what, shape, dtype, &gpu);
            let (y, y_gpu) = (norm.forward_t(&x, train).unwrap(), norm_gpu.forward_t(&x_gpu, train).unwrap());
            assert_eq!(y_gpu.dtype(), dtype);
            same(&format!("{what}: y"), &y_gpu, &y, tolerance(dtype));
            let (grads, grads_gpu) = (backward(&y, "g"), backward(&y_gpu, "g"));
            same(&format!("{what}: dx"), grads_gpu.get(&x_gpu).unwrap(), grads.get(&x).unwrap(), tolerance(dtype));
            let (vars, vars_gpu) = (vars.data().lock().unwrap(), vars_gpu.data().lock().unwrap());
            for name in ["weight", "bias"] {
                let (found, expected) = (grads_gpu.get(&vars_gpu[name]).unwrap(), grads.get(&vars[name]).unwrap());
                same(&format!("{what}: gradient of {name}"), found, expected, tolerance(dtype));
            }
            for name in ["running_mean", "running_var"] {
                same(&format!("{what}: {name}"), &vars_gpu[name], &vars[name], 1e-6);
            }
        }
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn rectifiers_loss_and_last_layer_on_the_gpu_equal_the_cpus() {
    let gpu = gpu();
    for dtype in [DType::F32, DType::BF16] {
        for shape in [(2, 3, 5, 7), (1, 8, 8, 16)] {
            let ((a, a_gpu), (b, b_gpu)) = (images("a", shape, dtype, &gpu), images("b", shape, dtype, &gpu));
            same("relu", &relu(&a_gpu).unwrap(), &relu(&a).unwrap(), 0.);
            let (y, y_gpu) = (add_relu(&a, &b).unwrap(), add_relu(&a_gpu, &b_gpu).unwrap());
            same("add_relu", &y_gpu, &y, tolerance(dtype));
            let (grads, grads_gpu) = (backward(&y, "g"), backward(&y_gpu, "g"));
            same("gradient of add_relu", grads_gpu.get(&b_gpu).unwrap(), grads.get(&b).unwrap(), tolerance(dtype));
        }
    }
    let nan = Tensor::new(&[-1f32, -0., 0., 2., f32::NAN], &gpu).unwrap();
    let found = relu(&nan).unwrap().to_vec1::<f32>().unwrap();
    assert!(found[..4] == [0., 0., 0., 2.] && found[4].is_nan());

    let labels: Vec<u32> = (0..70).map(|i| i * 3 % 101).collect();
    for smoothing in [0., 0.1] {
        let logits = var(&scaled("logits", (70, 101), 9., 0.));
        let logits_gpu = var(&logits.to_device(&gpu).unwrap());
        let loss = cross_entropy(&logits, &Tensor::new(&labels[..], &Device::Cpu).unwrap(), smoothing).unwrap();
        let loss_gpu = cross_entropy(&logits_gpu, &Tensor::new(&labels[..], &gpu).unwrap(), smoothing).unwrap();
        same("loss", &loss_gpu, &loss, 1e-6);
        let (grads, grads_gpu) = (loss.backward().unwrap(), loss_gpu.backward().unwrap());
        same("gradient of the loss", grads_gpu.get(&logits_gpu).unwrap(), grads.get(&logits).unwrap(), 1e-5);
    }
    let no_class = Tensor::new(&[0u32, 5], &gpu).unwrap();
    let loss = cross_entropy(&tensor("logits", (2, 5)).to_device(&gpu).unwrap(), &no_class, 0.).unwrap();
    assert!(loss.to_scalar::<f32>().unwrap().is_nan());

    let host = [tensor("x", (9, 40)), tensor("w", (11, 40)), tensor("b", 11)].map(|t| var(&t));
    let device = host.each_ref().map(|t| var(&t.to_device(&gpu).unwrap()));
    let y = linear(&host[0], &host[1], &host[2]).unwrap();
    let y_gpu = linear(&device[0], &device[1], &device[2]).unwrap();
    same("linear", &y_gpu, &y, 1e-5);
    let (grads, grads_gpu) = (backward(&y, "g"), backward(&y_gpu, "g"));
    for (host, device) in host.iter().zip(&device) {
        same("gradient of linear", grads_gpu.get(device).unwrap(), grads.get(host).unwrap(), 1e-5);
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn normalised_pixels_on_the_gpu_equal_the_cpus() {
    let gpu = gpu();
    let bytes: Vec<u8> = (0..2 * 2 * 6 * 5 * 20).map(|i| (i * 37 % 256) as u8).collect();
    for (layout, shape, range) in [
        (PixelLayout::Interleaved, (4, 10, 20, 3), Normalisation::imagenet()),
        (PixelLayout::Planes, (4, 20, 6, 5), Normalisation::unit()),
    ] {
        let count = shape.0 * shape.1 * shape.2 * shape.3;
        let x = Tensor::from_slice(&bytes[..count], shape, &Device::Cpu).unwrap();
        let halves = x.reshape((2, 2, shape.1, shape.2, shape.3)).unwrap().narrow(1, 1, 1).unwrap().squeeze(1).unwrap();
        let on_gpu = x.to_device(&gpu).unwrap().reshape((2, 2, shape.1, shape.2, shape.3)).unwrap();
        let on_gpu = on_gpu.narrow(1, 1, 1).unwrap().squeeze(1).unwrap();
        let expected = normalise(&halves, layout, &range, DType::F32).unwrap();
        same("f32", &normalise(&on_gpu, layout, &range, DType::F32).unwrap(), &expected, 1e-6);
        same("bf16", &normalise(&on_gpu, layout, &range, DType::BF16).unwrap(), &expected, 4e-3);
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn networks_on_the_gpu_train_as_pytorch_in_f32() {
    let gpu = gpu();
    check_training(&rgb_run(), &gpu);
    check_training(&flow_run(), &gpu);
    check_training(&partial_run(), &gpu);
    check_training(&depth_run(), &gpu);
    check_training(&shift_run(), &gpu);
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn networks_on_the_gpu_equal_the_cpus_for_images_of_odd_sizes() {
    let gpu = gpu();
    for (channels, size) in [(3, (33, 47)), (20, (62, 49))] {
        let x = scaled("odd", (2, size.0, size.1, channels), 2., 0.);
        let [expected, found] = [&Device::Cpu, &gpu].map(|device| {
            let model = known_on(device, Depth::R18, channels);
            let x = var(&x.to_device(device).unwrap());
            let logits = model.net.forward_t(&x, true).unwrap();
            let grads = backward(&logits, "odd/g");
            let conv1 = model.trainable().into_iter().find(|(name, _)| name == "conv1.weight").unwrap().1;
            [flat(&logits), flat(grads.get(&conv1).unwrap()), flat(grads.get(&x).unwrap())]
        });
        for (what, (found, expected)) in ["logits", "weights", "input"].iter().zip(found.iter().zip(&expected)) {
            assert_close(what, found, expected, 1e-3);
        }
    }
}

/// Returns the cosine of the angle between two gradients.
fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn a_bf16_network_follows_the_f32_network() {
    let gpu = gpu();
    let labels = Tensor::new(&[0u32, 3, 6, 9, 2, 5, 8, 1], &gpu).unwrap();
    let x = scaled("bf16/x", (8, 64, 64, 20), 2., 0.).to_device(&gpu).unwrap();
    let run = |dtype: DType| {
        // In this network, the inputs of ReLU are not close to zero. Otherwise gradients would jump
        // with rounding.
        let model = known_on(&gpu, Depth::R18, 20);
        let logits = model.net.forward_t(&x.to_dtype(dtype).unwrap(), true).unwrap();
        let grads = cross_entropy(&logits, &labels, 0.).unwrap().backward().unwrap();
        let grads: Vec<_> =
            model.trainable().iter().map(|(name, v)| (name.clone(), flat(grads.get(v).unwrap()))).collect();
        let eval = flat(&model.net.forward_t(&x.to_dtype(dtype).unwrap(), false).unwrap());
        (flat(&logits), grads, eval)
    };
    let ((logits, grads, eval), (logits16, grads16, eval16)) = (run(DType::F32), run(DType::BF16));
    assert_close("logits", &logits16, &logits, 5e-2);
    assert_close("evaluation", &eval16, &eval, 5e-2);
    for ((name, f32), (_, bf16)) in grads.iter().zip(&grads16) {
        let cosine = cosine(f32, bf16);
        // PyTorch's autocast reaches 0.943 with this network on a CPU.
        assert!(cosine > 0.943, "gradient of {name}: cosine {cosine:.4}");
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn deterministic_steps_give_the_same_bits_and_memory_stays() {
    let gpu = gpu_with(CudaConfig::default().with_deterministic(true));
    let context = gpu.as_cuda_device().unwrap().cuda_stream().context().clone();
    let labels = Tensor::arange(0u32, 8, &gpu).unwrap();
    let run = || {
        let model = known_on(&gpu, Depth::R18, 3);
        let mut sgd = Sgd::new(model.trainable(), SgdConfig::default()).unwrap();
        let mut free = Vec::new();
        for step in 0..6 {
            let x = scaled(&format!("x/{step}"), (8, 64, 64, 3), 2., 0.).to_device(&gpu).unwrap();
            let logits = model.net.forward_t(&x.to_dtype(DType::BF16).unwrap(), true).unwrap();
            sgd.step(&cross_entropy(&logits, &labels, 0.).unwrap().backward().unwrap()).unwrap();
            gpu.synchronize().unwrap();
            free.push(context.mem_get_info().unwrap().0);
        }
        assert_eq!(free[3..], [free[2]; 3], "free bytes after each step: {free:?}");
        model.tensors().iter().flat_map(|(_, tensor)| flat(tensor)).map(f64::to_bits).collect::<Vec<_>>()
    };
    assert!(run() == run(), "two runs differ");
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn algorithms_can_be_read_and_set_by_name() {
    let convolve = |gpu: &Device| {
        let (_, x) = images("x", (2, 14, 14, 16), DType::BF16, gpu);
        for kernel in [1, 3] {
            let weight = var(&tensor("w", (24, 16, kernel, kernel)).to_device(gpu).unwrap());
            let config = Conv2dConfig::default().with_padding(kernel / 2);
            backward(&conv2d(&x, &weight, config).unwrap(), "g");
        }
        choices(gpu).unwrap()
    };
    let timed = convolve(&gpu());
    // Two kernels with three directions each.
    assert_eq!(timed.len(), 6, "{timed:?}");
    let again = gpu();
    follow(&again, timed.clone()).unwrap();
    assert_eq!(convolve(&again), timed);
    // Unknown names have no effect.
    let unknown: Choices = timed.keys().map(|shape| (shape.clone(), "nothing".to_owned())).collect();
    let third = gpu();
    follow(&third, unknown).unwrap();
    assert!(convolve(&third).values().all(|name| name != "nothing"));
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn downloads_have_the_values_of_their_start() {
    let gpu = gpu();
    let mut downloads = Downloads::new(&gpu, 3001).unwrap();
    let [values, more] = [0., 3000.].map(|first| {
        let numbers: Vec<f32> = (0..3000).map(|i| first + i as f32).collect();
        Tensor::new(numbers, &gpu).unwrap()
    });
    let loss = Tensor::new(&[-1f32], &gpu).unwrap();
    let expected = |first: i32| [vec![-1.], (first..first + 3000).map(|i| i as f32).collect()].concat();
    let before = downloads.start(&[&loss, &values]).unwrap();
    // Work that is started later may overwrite the values.
    values.slice_set(&more, 0, 0).unwrap();
    let after = downloads.start(&[&loss, &values]).unwrap();
    assert_eq!(downloads.finish(&before).unwrap(), expected(0));
    let last = downloads.start(&[&loss]).unwrap();
    assert_eq!(downloads.finish(&after).unwrap(), expected(3000));
    assert_eq!(downloads.finish(&last).unwrap(), [-1.]);
    let error = downloads.start(&[&values, &more]).err().unwrap();
    assert!(error.to_string().contains("more than 3001 values"), "{error}");
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn uploads_arrive_whole_and_in_turn() {
    let gpu = gpu();
    let mut uploads = Uploads::new(&gpu, 3 << 20).unwrap();
    let mut host: Vec<Pinned> = (0..3).map(|_| Pinned::new(&gpu, 3 << 20).unwrap()).collect();
    let mut sums = Vec::new();
    let mut waiting: Vec<candle_convnet::cuda::Upload> = Vec::new();
    for batch in 0..20usize {
        if batch >= 3 {
            waiting[batch - 3].wait().unwrap();
        }
        let bytes = host[batch % 3].bytes_mut().unwrap();
        bytes.iter_mut().enumerate().for_each(|(i, byte)| *byte = ((i * 7 + batch * 31) % 251) as u8);
        let len = (3 << 20) - batch;
        for part in bytes[..len].chunks(1 << 20) {
            uploads.push(part).unwrap();
        }
        let upload = uploads.finish().unwrap();
        uploads.arrive(&upload).unwrap();
        let tensor = uploads.tensor(&upload).unwrap();
        sums.push((tensor.to_dtype(DType::F32).unwrap().sum_all().unwrap(), batch, len));
        uploads.release(&upload).unwrap();
        waiting.push(upload);
    }
    for (sum, batch, len) in sums {
        let expected: usize = (0..len).map(|i| (i * 7 + batch * 31) % 251).sum();
        let found = sum.to_scalar::<f32>().unwrap();
        assert!((f64::from(found) / expected as f64 - 1.).abs() < 1e-5, "batch {batch}: {found}, expected {expected}");
    }
    assert!(uploads.push(&vec![0; (3 << 20) + 1]).unwrap_err().to_string().contains("bytes"));
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn a_recorded_step_gives_the_same_results_as_the_step() {
    let gpu = gpu_with(CudaConfig::default().with_deterministic(true));
    let batch = |step: usize| scaled(&format!("recorded/{step}"), (8, 64, 64, 3), 2., 0.).to_device(&gpu).unwrap();
    let labels = Tensor::new(&[0u32, 3, 6, 9, 2, 5, 8, 1], &gpu).unwrap();
    let run = |recorded: bool| {
        let model = known_on(&gpu, Depth::R18, 3);
        let sgd = RefCell::new(Sgd::new(model.trainable(), SgdConfig::default()).unwrap());
        sgd.borrow_mut().scale_lr("fc.weight", 0.5).unwrap();
        let (x, loss) =
            (Tensor::zeros((8, 64, 64, 3), DType::F32, &gpu).unwrap(), Tensor::zeros(1, DType::F32, &gpu).unwrap());
        // The second pass has options, whose factors change with each step.
        let shifted = model.net.clone().with_shift(4, 0.125);
        let factors = Tensor::zeros((8, 8), DType::F32, &gpu).unwrap();
        let pass = TrainPass::new().with_stochastic_depth(&factors);
        let step = || {
            let logits = model.net.forward_t(&x.to_dtype(DType::BF16)?, true)?;
            let again = shifted.forward_train(&x.to_dtype(DType::BF16)?, &pass)?;
            let found = cross_entropy(&(logits + again)?, &labels, 0.)?;
            sgd.borrow_mut().step(&found.backward()?)?;
            loss.slice_set(&found.reshape(1)?, 0, 0)
        };
        let mut recording = None;
        let mut losses = Vec::new();
        for i in 0..6 {
            x.slice_set(&batch(i), 0, 0).unwrap();
            let row = scaled(&format!("recorded/factors/{i}"), (8, 8), 0.5, 1.).to_device(&gpu).unwrap();
            factors.slice_set(&row, 0, 0).unwrap();
            sgd.borrow_mut().set_lr(0.01 / (i + 1) as f64).unwrap();
            match (recorded, i) {
                (true, 1) => {
                    let found = record(&gpu, step).unwrap();
                    found.run().unwrap();
                    recording = Some(found);
                }
                (true, 2..) => recording.as_ref().unwrap().run().unwrap(),
                _ => rehearse(&gpu, step).unwrap(),
            }
            losses.push(loss.to_vec1::<f32>().unwrap()[0].to_bits());
        }
        let weights: Vec<_> = model.tensors().iter().flat_map(|(_, tensor)| flat(tensor)).map(f64::to_bits).collect();
        (losses, weights)
    };
    assert!(run(true) == run(false), "a recorded run differs");
}
