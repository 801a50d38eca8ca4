//! Compares SGD with PyTorch, and tests its state and errors.

use crate::values::{Goldens, tensor, var};
use candle_convnet::{Decay, Sgd, SgdConfig, SgdError};
use candle_core::Var;
use candle_core::backprop::GradStore;
use std::collections::HashMap;

/// Returns a store in which `var` has the gradient `name`.
fn gradient(var: &Var, name: &str) -> GradStore {
    (var.as_tensor() * tensor(name, var.shape())).unwrap().sum_all().unwrap().backward().unwrap()
}

#[test]
fn four_steps_with_a_changing_rate_agree_with_pytorch() {
    let goldens = Goldens::read("ops.safetensors");
    let base = SgdConfig::new(0.1).with_weight_decay(0.05);
    for (name, config) in [
        ("plain", base.with_momentum(0.).with_weight_decay(0.)),
        ("momentum", base.with_weight_decay(0.)),
        ("decay", base),
        ("nesterov", base.with_nesterov(true)),
    ] {
        let p = var(&tensor("sgd/p", 37));
        let mut sgd = Sgd::new(vec![("p".to_owned(), p.clone())], config).unwrap();
        for step in 0..4 {
            if step == 2 {
                sgd.set_lr(0.03).unwrap();
            }
            sgd.step(&gradient(&p, &format!("sgd/g{step}"))).unwrap();
            goldens.check(&format!("sgd/{name}/{step}"), &p, 1e-6);
        }
        assert_eq!(sgd.lr().to_bits(), 0.03f64.to_bits());
    }
}

#[test]
fn weight_decay_may_spare_biases_and_norms() {
    let step = |shape: &[usize], weight_decay, decay| {
        let p = var(&tensor("p", shape));
        let config = SgdConfig::default().with_weight_decay(weight_decay).with_decay(decay);
        Sgd::new(vec![("p".to_owned(), p.clone())], config).unwrap().step(&gradient(&p, "g")).unwrap();
        p.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    let (vector, matrix) = (&[6][..], &[2, 3][..]);
    assert_eq!(step(vector, 0.5, Decay::Weights), step(vector, 0., Decay::All));
    assert_eq!(step(matrix, 0.5, Decay::Weights), step(matrix, 0.5, Decay::All));
    assert_ne!(step(vector, 0.5, Decay::All), step(vector, 0., Decay::All));
}

#[test]
fn gradients_are_clipped_together_and_learning_rates_scaled_one_by_one() {
    // The gradients (3, 4) and (12) have norm 13. Clipping to 6.5 halves them; clipping to 20
    // changes nothing.
    let moved = |clip_norm| {
        let p = Var::new(&[0f32, 0.], &candle_core::Device::Cpu).unwrap();
        let q = Var::new(&[0f32], &candle_core::Device::Cpu).unwrap();
        let config = SgdConfig::new(1.).with_momentum(0.).with_clip_norm(clip_norm);
        let mut sgd = Sgd::new(vec![("p".to_owned(), p.clone()), ("q".to_owned(), q.clone())], config).unwrap();
        sgd.scale_lr("q", 0.25).unwrap();
        let slope = candle_core::Tensor::new(&[3f32, 4.], p.device()).unwrap();
        let loss = ((p.as_tensor() * slope).unwrap().sum_all().unwrap()
            + (q.as_tensor() * 12.).unwrap().sum_all().unwrap())
        .unwrap();
        sgd.step(&loss.backward().unwrap()).unwrap();
        [p.to_vec1::<f32>().unwrap(), q.to_vec1::<f32>().unwrap()].concat()
    };
    for (clip, expected) in [(None, [-3., -4., -3.]), (Some(20.), [-3., -4., -3.]), (Some(6.5), [-1.5, -2., -1.5])] {
        for (found, expected) in moved(clip).into_iter().zip(expected) {
            assert!((found - expected as f32).abs() < 1e-5, "{clip:?}: {found} {expected}");
        }
    }
}

#[test]
fn a_variable_without_a_gradient_stays() {
    let (p, q) = (var(&tensor("p", 5)), var(&tensor("q", 5)));
    let before = q.to_vec1::<f32>().unwrap();
    let mut sgd =
        Sgd::new(vec![("q".to_owned(), q.clone()), ("p".to_owned(), p.clone())], SgdConfig::default()).unwrap();
    sgd.step(&gradient(&p, "g")).unwrap();
    assert_eq!(q.to_vec1::<f32>().unwrap(), before);
    assert_eq!(sgd.state().into_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["p"]);
}

#[test]
fn a_gradient_of_another_shape_is_an_error_and_changes_nothing() {
    let p = var(&tensor("p", 5));
    let before = p.to_vec1::<f32>().unwrap();
    let mut sgd = Sgd::new([("p".to_owned(), p.clone())], SgdConfig::default()).unwrap();
    let mut grads = gradient(&p, "g");
    grads.insert(&p, tensor("g", 4));
    let error = sgd.step(&grads).unwrap_err().to_string();
    assert!(error.contains("the gradient of p has shape [4], but the variable has shape [5]"), "{error}");
    assert_eq!(p.to_vec1::<f32>().unwrap(), before);
}

#[test]
fn a_reloaded_state_continues_with_the_same_bits() {
    let config = SgdConfig::default().with_nesterov(true).with_weight_decay(1e-3);
    let p = var(&tensor("p", (3, 4)));
    let mut sgd = Sgd::new(vec![("p".to_owned(), p.clone())], config).unwrap();
    sgd.step(&gradient(&p, "g0")).unwrap();
    let saved = var(&p.copy().unwrap().detach());
    let state: HashMap<_, _> = sgd.state().into_iter().map(|(name, t)| (name, t.copy().unwrap())).collect();
    sgd.step(&gradient(&p, "g1")).unwrap();
    let mut resumed = Sgd::new(vec![("p".to_owned(), saved.clone())], config).unwrap();
    resumed.load_state(&state).unwrap();
    resumed.step(&gradient(&saved, "g1")).unwrap();
    assert_eq!(p.to_vec2::<f32>().unwrap(), saved.to_vec2::<f32>().unwrap());
}

#[test]
fn the_error_names_a_state_that_does_not_fit() {
    let mut sgd = Sgd::new(vec![("p".to_owned(), var(&tensor("p", 5)))], SgdConfig::default()).unwrap();
    let unknown = sgd.load_state(&HashMap::from([("q".to_owned(), tensor("q", 5))])).unwrap_err().to_string();
    assert!(unknown.contains("the state has a momentum of q, but the optimiser has no such variable"), "{unknown}");
    let shape = sgd.load_state(&HashMap::from([("p".to_owned(), tensor("q", 6))])).unwrap_err().to_string();
    assert!(shape.contains("the momentum of p is F32 [6], but the variable is F32 [5]"), "{shape}");
    assert!(sgd.state().is_empty());
}

#[test]
fn two_variables_with_the_same_name_are_an_error() {
    let vars = ["q", "p", "q"].map(|name| (name.to_owned(), var(&tensor(name, 5))));
    let error = Sgd::new(vars, SgdConfig::default()).unwrap_err();
    assert!(matches!(&error, SgdError::DuplicateVariable { name } if name == "q"), "{error}");
}

#[test]
fn scaling_the_learning_rate_of_an_unknown_variable_is_an_error() {
    let mut sgd = Sgd::new([("p".to_owned(), var(&tensor("p", 5)))], SgdConfig::default()).unwrap();
    let error = sgd.scale_lr("conv1.wieght", 0.5).unwrap_err();
    assert_eq!(error.to_string(), "the optimiser has no variable conv1.wieght");
    assert!(matches!(error, SgdError::UnknownVariable { name } if name == "conv1.wieght"));
}

/// Returns the setting and the value that an error names.
fn refused<T: std::fmt::Debug>(result: Result<T, SgdError>) -> (&'static str, f64) {
    match result.unwrap_err() {
        SgdError::Setting { setting, value, .. } => (setting, value),
        error => panic!("{error}"),
    }
}

#[test]
fn settings_outside_their_ranges_are_errors() {
    let new = |config| Sgd::new([("p".to_owned(), var(&tensor("p", 5)))], config);
    let mut sgd = new(SgdConfig::new(0.25)).unwrap();
    // 1e39 is infinite in f32.
    for value in [-0.1, f64::NAN, f64::INFINITY, 1e39] {
        for (found, setting) in [
            (refused(new(SgdConfig::new(value))), "lr"),
            (refused(new(SgdConfig::default().with_weight_decay(value))), "weight_decay"),
            (refused(sgd.set_lr(value)), "lr"),
            (refused(sgd.scale_lr("p", value)), "lr factor"),
        ] {
            assert_eq!((found.0, found.1.to_bits()), (setting, value.to_bits()));
        }
    }
    for value in [-0.1, 1., 1.5, f64::NAN, f64::INFINITY] {
        let found = refused(new(SgdConfig::default().with_momentum(value)));
        assert_eq!((found.0, found.1.to_bits()), ("momentum", value.to_bits()));
    }
    for value in [0., -1., f64::NAN, f64::INFINITY] {
        let found = refused(new(SgdConfig::default().with_clip_norm(Some(value))));
        assert_eq!((found.0, found.1.to_bits()), ("clip_norm", value.to_bits()));
    }
    // The errors have changed nothing, and the ends of the ranges are allowed.
    assert_eq!(sgd.lr().to_bits(), 0.25f64.to_bits());
    sgd.set_lr(0.).unwrap();
    assert!(new(SgdConfig::new(0.).with_momentum(0.).with_weight_decay(0.)).is_ok());
    let error = sgd.set_lr(f64::NAN).unwrap_err().to_string();
    assert_eq!(error, "lr is NaN, but must be a finite number of at least 0");
}
