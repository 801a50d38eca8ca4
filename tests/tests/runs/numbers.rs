//! Tests with numbers that are NaN or infinite.

use super::{change_state, copy_of_whole, logged_epochs, resume, shared, state, training};
use std::fs;
use ucftrain::testing::{Evaluated, Parts, Scored, load_checkpoint, save_checkpoint};
use whole_program_tests::{Done, args, run};

#[test]
fn numbers_that_are_none_do_not_keep_a_run_from_being_read() {
    let temp = tempfile::tempdir().unwrap();
    let run_dir = copy_of_whole(temp.path());
    change_state(&run_dir, |state| {
        let tested = state.history[0].eval.scored();
        state.history[0].eval = Evaluated::Test(Scored { loss: f64::NAN, ..tested });
        state.history[1].train.loss = f64::INFINITY;
        state.plateau.best = Some(f64::INFINITY);
    });
    let data = shared().join("packed");
    let checkpoint = run_dir.join("checkpoint.safetensors");
    let line = format!("eval --checkpoint {} --data {} --json", checkpoint.display(), data.display());
    run("ucftrain", &args(temp.path(), &line)).json();
    let line = format!("export --checkpoint {} --out {{}}/net.safetensors", checkpoint.display());
    run("ucftrain", &args(temp.path(), &line)).ok();
    resume(&run_dir, "--epochs 3").ok();
    let after = state(&run_dir);
    assert!(after.history[0].eval.scored().loss.is_nan() && after.history[1].train.loss.is_infinite());
    assert_eq!((after.history.len(), logged_epochs(&run_dir)), (3, vec![0, 1, 2]));
    let csv = fs::read_to_string(run_dir.join("test.csv")).unwrap();
    assert!(csv.lines().nth(1).unwrap().contains(",NaN,"), "{csv}");
    run("ucftrain", &args(&run_dir, "report {}")).ok();
    let page = fs::read_to_string(run_dir.join("report.html")).unwrap();
    assert!(!page.contains("cannot read"), "the report reads these lines");
    let line = format!("temporal --run {} --resume --epochs 4 --json", run_dir.display());
    let document = run("ucftrain", &args(temp.path(), &line)).json();
    assert_eq!(document["history"][0]["test"]["loss"], "NaN");

    // Earlier versions wrote `null`.
    let log = fs::read_to_string(run_dir.join("log.jsonl")).unwrap();
    fs::write(run_dir.join("log.jsonl"), log.replace("\"NaN\"", "null")).unwrap();
    run("ucftrain", &args(&run_dir, "report {}")).ok();
    assert!(!fs::read_to_string(run_dir.join("report.html")).unwrap().contains("cannot read"));
}

#[test]
fn a_test_loss_that_is_no_number_ends_the_run_and_leaves_the_last_good_checkpoint() {
    let temp = tempfile::tempdir().unwrap();
    let run_dir = temp.path().join("r");
    Done::of(training(temp.path(), "r", "--limit-steps 4")).ok();
    // The epoch's steps are done and its test comes next. The sums of the logits overflow.
    let path = run_dir.join("checkpoint.safetensors");
    let (state_before, mut tensors) = load_checkpoint(&path).unwrap();
    assert_eq!((state_before.cursor.epoch, state_before.cursor.step), (0, 4));
    let bias = &tensors.model["fc.bias"];
    let large = (bias.zeros_like().unwrap() + f64::from(f32::MAX)).unwrap();
    tensors.model.insert("fc.bias".into(), large);
    let weight = (&tensors.model["fc.weight"] * 1e38).unwrap();
    tensors.model.insert("fc.weight".into(), weight);
    let (model, momentum): (Vec<_>, Vec<_>) =
        (tensors.model.into_iter().collect(), tensors.momentum.into_iter().collect());
    save_checkpoint(&path, &state_before, &Parts { model: &model, momentum: &momentum, average: &[] }).unwrap();
    let before = fs::read(&path).unwrap();
    let error = resume(&run_dir, "").error(1);
    assert!(error.contains("the test loss is NaN at epoch 0: the training diverged"), "{error}");
    assert!(error.contains("start a new run with a lower --lr"), "{error}");
    assert!(fs::read(&path).unwrap() == before, "the checkpoint stays");
    assert_eq!(logged_epochs(&run_dir), [0; 0]);
    assert!(!run_dir.join("best.safetensors").exists() && !run_dir.join("scores.npz").exists());
    let line = format!(
        "eval --checkpoint {} --data {} --scores {{}}/s.npz",
        path.display(),
        shared().join("packed").display()
    );
    let error = run("ucftrain", &args(temp.path(), &line)).error(1);
    assert!(error.contains("the test loss is NaN") && !temp.path().join("s.npz").exists(), "{error}");
}

#[test]
fn weights_that_are_no_numbers_do_not_replace_a_good_checkpoint() {
    let temp = tempfile::tempdir().unwrap();
    let run_dir = temp.path().join("r");
    Done::of(training(temp.path(), "r", "--limit-steps 1")).ok();
    let path = run_dir.join("checkpoint.safetensors");
    let (state, mut tensors) = load_checkpoint(&path).unwrap();
    // This momentum makes the weights infinite in the next step. The loss of that step is computed
    // before.
    let bias = |value: f32| tensors.momentum["fc.bias"].affine(0.0, f64::from(value)).unwrap();
    let (low, high) = (bias(f32::MIN), bias(f32::MAX));
    tensors.model.insert("fc.bias".into(), low);
    tensors.momentum.insert("fc.bias".into(), high);
    let (model, momentum): (Vec<_>, Vec<_>) =
        (tensors.model.into_iter().collect(), tensors.momentum.into_iter().collect());
    save_checkpoint(&path, &state, &Parts { model: &model, momentum: &momentum, average: &[] }).unwrap();
    let before = fs::read(&path).unwrap();
    let error = resume(&run_dir, "--limit-steps 2").error(1);
    assert!(error.contains("contains NaN or infinity at epoch 0, step 2: the training diverged"), "{error}");
    assert!(fs::read(&path).unwrap() == before, "the checkpoint stays");
}
