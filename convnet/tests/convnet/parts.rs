//! Tests the parts of a network, gradients in evaluation, and the traits and variables of candle.

use crate::networks::{known, ordinary_on};
use crate::values::{assert_close, flat, scaled, var};
use candle_convnet::{
    BatchNorm2d, BatchNormConfig, Conv2d, Conv2dConfig, Depth, Linear, Model, Problem, ResNet, ResNetConfig, Sgd,
    SgdConfig, global_avg_pool, load_matching, seeded,
};
use candle_core::{Device, Module, ModuleT, Result, Tensor, Var};
use candle_nn::{Optimizer, VarMap, seq};
use std::collections::HashMap;

/// Computes the logits part by part, as a user of candle would.
fn by_parts(net: &ResNet, x: &Tensor, train: bool) -> Result<Tensor> {
    let mut x = net.stem().forward_t(x, train)?;
    for stage in net.stages() {
        for block in stage {
            x = block.forward_t(&x, train)?;
        }
    }
    net.fc().forward(&global_avg_pool(&x)?)
}

fn by_features(net: &ResNet, x: &Tensor, train: bool) -> Result<Tensor> {
    net.forward_head(&net.forward_features(x, train)?)
}

#[test]
fn parts_give_the_bits_of_the_whole_network_and_its_gradients() {
    type Forward = fn(&ResNet, &Tensor, bool) -> Result<Tensor>;
    let whole: Forward = |net, x, train| net.forward_t(x, train);
    for (depth, train) in [(Depth::R18, true), (Depth::R18, false), (Depth::R50, true)] {
        let run = |forward: Forward| {
            let model = known(depth, 3);
            let x = var(&scaled("parts/x", (4, 40, 33, 3), 2., 0.));
            let logits = forward(&model.net, &x, train).unwrap();
            let grads = logits.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            let vars = model.trainable();
            let grads = vars.iter().map(|(_, var)| var).chain([&x]).map(|var| flat(grads.get(var).unwrap()));
            let all: Vec<Vec<f64>> = [flat(&logits)].into_iter().chain(grads).collect();
            (all, model.tensors().iter().map(|(_, tensor)| flat(tensor)).collect::<Vec<_>>())
        };
        let ((expected, after), features, parts) = (run(whole), run(by_features), run(by_parts));
        assert!(after == features.1 && after == parts.1, "{depth}: other running statistics");
        for (at, expected) in expected.iter().enumerate() {
            // Between parts, candle adds gradients to zeros, in another order.
            assert_close(&format!("{depth}, features {at}"), &features.0[at], expected, 1e-5);
            assert_close(&format!("{depth}, parts {at}"), &parts.0[at], expected, 1e-5);
        }
    }
}

#[test]
fn gradients_in_evaluation_agree_with_differences_in_f64() {
    // One step along the gradient changes a score by its squared norm.
    let model = ordinary_on(&Device::Cpu, Depth::R18, 3);
    let start = scaled("saliency/x", (2, 48, 48, 3), 2., 0.);
    let score = |x: &Tensor| model.net.forward_t(x, false).unwrap().get(1).unwrap().get(3).unwrap();
    let x = var(&start);
    let before: Vec<_> = model.tensors().iter().map(|(_, tensor)| flat(tensor)).collect();
    let found = score(&x);
    let grads = found.backward().unwrap();
    let grad = grads.get(&x).unwrap();
    let squares: f64 = flat(grad).iter().map(|g| g * g).sum();
    let step = 0.02 / squares;
    let moved =
        |sign: f64| f64::from(score(&(&start + (grad * (sign * step)).unwrap()).unwrap()).to_scalar::<f32>().unwrap());
    let change = (moved(1.) - moved(-1.)) / 2.;
    assert!((change / 0.02 - 1.).abs() < 0.02, "the score changed by {change} instead of 0.02");
    // The other image does not matter, and nothing else changes.
    assert!(flat(&grad.get(0).unwrap()).iter().all(|g| *g == 0.));
    assert_eq!(before, model.tensors().iter().map(|(_, tensor)| flat(tensor)).collect::<Vec<_>>());
    // The passes with and without gradients agree.
    let plain = model.net.forward_t(&start, false).unwrap();
    assert_close("logits", &flat(&model.net.forward_t(&x, false).unwrap()), &flat(&plain), 1e-5);
}

#[test]
fn layers_are_modules_of_candle() {
    let varmap = VarMap::new();
    let vb = seeded(&varmap, 7, &Device::Cpu);
    let conv = Conv2dConfig::default().with_padding(1);
    let layers = seq()
        .add(Conv2d::new(3, 8, 3, conv, vb.pp("first")).unwrap())
        .add_fn(candle_convnet::relu)
        .add(Conv2d::with_bias(8, 4, (3, 1), Conv2dConfig::default(), vb.pp("second")).unwrap())
        .add_fn(global_avg_pool)
        .add(Linear::new(4, 2, vb.pp("last")).unwrap());
    let x = scaled("modules/x", (2, 9, 8, 3), 1., 0.);
    assert_eq!(layers.forward(&x).unwrap().dims(), [2, 2]);

    let norm = BatchNorm2d::new(3, BatchNormConfig::default(), vb.pp("norm")).unwrap();
    let net = ResNet::new(&ResNetConfig::new(Depth::R18, 3, 2), vb.pp("net")).unwrap();
    for (train, layer) in [(true, &norm as &dyn ModuleT), (false, &norm), (true, &net), (false, &net)] {
        let direct = layer.forward_t(&x, train).unwrap();
        assert!(flat(&direct).iter().all(|value| value.is_finite()));
    }
    assert_eq!(flat(&x.apply_t(&net, false).unwrap()), flat(&net.forward_t(&x, false).unwrap()));

    // An optimiser of the variables leaves the running statistics alone.
    let mut sgd = Sgd::from_varmap(&varmap, SgdConfig::new(0.1)).unwrap();
    let loss =
        (layers.forward(&x).unwrap().sum_all().unwrap() + net.forward_t(&x, true).unwrap().sum_all().unwrap()).unwrap();
    sgd.backward_step(&loss).unwrap();
    let trained: Vec<String> = sgd.state().into_iter().map(|(name, _)| name).collect();
    assert!(trained.contains(&"first.weight".to_owned()) && trained.contains(&"net.fc.bias".to_owned()));
    assert!(!trained.iter().any(|name| name.contains("running")), "{trained:?}");
}

#[test]
fn sgd_works_as_any_optimiser_of_candle() {
    fn train<O: Optimizer>(var: &Var, config: O::Config) -> O {
        let mut optimiser = O::from_slice(&[var], config).unwrap();
        for _ in 0..2 {
            optimiser.backward_step(&var.sqr().unwrap().sum_all().unwrap()).unwrap();
            optimiser.set_learning_rate(0.25);
        }
        optimiser
    }
    let p = Var::new(&[1f32, -2.], &Device::Cpu).unwrap();
    let mut sgd = train::<Sgd>(&p, SgdConfig::new(0.1).with_momentum(0.));
    assert_eq!(p.to_vec1::<f32>().unwrap(), [0.4, -0.8]);
    assert!((sgd.learning_rate() - 0.25).abs() < 1e-12);
    // The trait cannot return an error for a rate that is not a number, so the next step does.
    sgd.set_learning_rate(f64::NAN);
    let error = sgd.backward_step(&p.sqr().unwrap().sum_all().unwrap()).unwrap_err();
    assert!(error.to_string().contains("lr is NaN, but must be a finite number of at least 0"), "{error}");
    assert_eq!(p.to_vec1::<f32>().unwrap(), [0.4, -0.8]);
    let error = <Sgd as Optimizer>::new(vec![p], SgdConfig::new(-1.)).unwrap_err();
    assert!(error.to_string().contains("lr is -1"), "{error}");
}

#[test]
fn matching_tensors_are_loaded_and_the_others_reported() {
    let model = Model::random(&ResNetConfig::new(Depth::R18, 3, 4), 1, &Device::Cpu).unwrap();
    let other = Model::random(&ResNetConfig::new(Depth::R18, 3, 7), 2, &Device::Cpu).unwrap();
    let mut tensors: HashMap<String, Tensor> = other.tensors().into_iter().collect();
    let bn1 = tensors.remove("bn1.bias").unwrap();
    tensors.insert("head.bias".to_owned(), bn1.clone());
    tensors.insert("bn1.num_batches_tracked".to_owned(), Tensor::new(3i64, &Device::Cpu).unwrap());
    let report = load_matching(model.varmap(), &tensors).unwrap();
    assert_eq!(report.loaded.len(), 102 - 3);
    let names: Vec<&str> = report.problems.iter().map(Problem::name).collect();
    assert_eq!(names, ["bn1.bias", "fc.bias", "fc.weight", "head.bias"]);
    assert_eq!(
        report.to_string(),
        "loaded 99 tensors; not loaded: bn1.bias [64] is missing, fc.bias has shape [7], but needs [4], \
         fc.weight has shape [7, 512], but needs [4, 512], head.bias is not part of the network"
    );
    for (name, tensor) in model.tensors() {
        let same =
            tensors.get(&name).is_some_and(|other| other.shape() == tensor.shape() && flat(other) == flat(&tensor));
        assert_eq!(same, report.loaded.contains(&name), "{name}");
    }
}

#[test]
fn a_seed_determines_variables_of_any_layer_and_names_cannot_change_shape() {
    let varmap = VarMap::new();
    let vb = || seeded(&varmap, 3, &Device::Cpu);
    let first = Linear::new(4, 3, vb().pp("a")).unwrap();
    // The same name gives the same variable.
    let again = Linear::new(4, 3, vb().pp("a")).unwrap();
    assert_eq!(first.parameters().0.id(), again.parameters().0.id());
    let error = Linear::new(5, 3, vb().pp("a")).unwrap_err();
    assert!(error.to_string().contains("a.weight is [3, 4] in one layer and [3, 5] in another"), "{error}");
    let elsewhere = Linear::new(4, 3, seeded(&VarMap::new(), 3, &Device::Cpu).pp("a")).unwrap();
    assert_eq!(flat(first.parameters().0), flat(elsewhere.parameters().0));
}
