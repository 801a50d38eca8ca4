//! Tests that the same step gives the same bits, on any number of threads.

use crate::values::{scaled, tensor};
use candle_convnet::{Conv2dConfig, Depth, Model, ResNetConfig, Sgd, SgdConfig, TrainPass, conv2d, cross_entropy};
use candle_core::{Device, Tensor, Var};

/// Returns the bits of all tensors of a new network after two steps on `threads` threads, with
/// stochastic depth and a temporal shift if `clips`.
fn trained(threads: usize, clips: bool) -> Vec<(String, Vec<u32>)> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let config = ResNetConfig::new(Depth::R18, 20, 5);
        let mut model = Model::random(&config, 11, &Device::Cpu).unwrap();
        let mut sgd = Sgd::new(model.trainable(), SgdConfig::default()).unwrap();
        let labels = Tensor::new(&[0u32, 1, 2, 3, 4], &Device::Cpu).unwrap();
        for step in 0..2 {
            let x = scaled(&format!("determinism/{step}"), (5, 72, 56, 20), 1., 0.);
            let mut pass = TrainPass::new();
            if clips {
                model.net = model.net.with_shift(5, 0.125);
                pass = pass.with_stochastic_depth(&scaled("determinism/depth", (8, 5), 0.5, 1.));
            }
            let loss = cross_entropy(&model.net.forward_train(&x, &pass).unwrap(), &labels, 0.).unwrap();
            sgd.step(&loss.backward().unwrap()).unwrap();
        }
        model.tensors().into_iter().map(|(name, tensor)| (name, bits(&tensor))).collect()
    })
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

#[test]
fn training_twice_and_on_one_two_or_three_threads_gives_the_same_bits() {
    for clips in [false, true] {
        let reference = trained(1, clips);
        for threads in [1, 2, 3] {
            for ((name, expected), (_, found)) in reference.iter().zip(trained(threads, clips)) {
                assert!(*expected == found, "{name} differs on {threads} threads, clips: {clips}");
            }
        }
    }
}

#[test]
fn wide_convolutions_give_the_same_bits_on_any_number_of_threads() {
    // These sizes cover all ways of splitting the weight gradient.
    for (c, o, kernel, size) in
        [(3, 64, 7, 112), (64, 64, 3, 56), (256, 256, 3, 14), (512, 512, 3, 7), (2048, 512, 1, 7)]
    {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let x = Var::from_tensor(&tensor("x", (3, size, size, c))).unwrap();
                let weight = Var::from_tensor(&tensor("w", (o, c, kernel, kernel))).unwrap();
                let y = conv2d(&x, &weight, Conv2dConfig::default().with_padding(kernel / 2)).unwrap();
                let grads = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
                [bits(&y), bits(grads.get(&x).unwrap()), bits(grads.get(&weight).unwrap())]
            })
        };
        let one = run(1);
        for threads in [2, 3, 5] {
            assert!(one == run(threads), "{kernel}x{kernel} {c} -> {o} on {threads} threads");
        }
    }
}

#[test]
fn random_weights_depend_only_on_the_seed() {
    let config = ResNetConfig::new(Depth::R18, 3, 7);
    let weights = |seed| Model::random(&config, seed, &Device::Cpu).unwrap().tensors();
    let (a, b, c) = (weights(3), weights(3), weights(4));
    for (((name, a), (_, b)), (_, c)) in a.iter().zip(&b).zip(&c) {
        assert_eq!(bits(a), bits(b), "{name}");
        assert_eq!(bits(a) == bits(c), name.contains("bn") || name.contains("downsample.1"), "{name}");
    }
    let conv = &a.iter().find(|(name, _)| name == "layer1.0.conv1.weight").unwrap().1;
    let std = conv.sqr().unwrap().mean_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
    assert!((std - (2f32 / (64. * 9.)).sqrt()).abs() < 1e-3, "{std}");
}
