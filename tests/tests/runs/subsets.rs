//! Tests of splits with val clips: they choose the best epoch, and the test clips are evaluated once
//! at the end. Also tests of splits without test clips, and of clips without labels.

use super::{change_state, names, state};
use clipshard::{Manifest, Subset};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;
use ucftrain::testing::{Evaluated, Scored, Scores};
use whole_program_tests::{Done, args, run};

const COMMON: &str = "--weights none --input-size 32 --batch-size 4 --epochs 4 --lr 0.01 --threads 2 --test-samples 1 \
                      --schedule steps --milestones 3";

/// Returns a packed dataset of 4 classes of 12 clips. All tests share it and none changes it.
fn packed() -> PathBuf {
    static DATA: OnceLock<TempDir> = OnceLock::new();
    let temp = DATA.get_or_init(|| {
        let temp = tempfile::tempdir().unwrap();
        run("ucfpack", &args(temp.path(), "synth --out {}/tree --classes 4 --clips 12 --size 44x36 --seed 5")).ok();
        let build = "build --tree {}/tree --lists {}/tree/lists --out {}/packed --flow-size 32";
        run("ucfpack", &args(temp.path(), build)).ok();
        temp
    });
    temp.path().join("packed")
}

/// Copies the dataset to `dir`, and returns the path of the copy.
pub fn copy_of_packed(dir: &Path) -> PathBuf {
    let copy = dir.join("data");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(packed()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    copy
}

/// Copies the dataset to `dir`. `change` gets each clip of the manifest with its number among the
/// clips of its class. Without a change of their own, four clips of each class are for training,
/// four are val and four are test clips.
fn dataset(dir: &Path, mut change: impl FnMut(usize, &mut clipshard::Clip)) -> PathBuf {
    let copy = copy_of_packed(dir);
    let mut manifest = Manifest::read(&copy).unwrap();
    manifest.splits.truncate(1);
    let mut seen = [0; 4];
    for clip in &mut manifest.clips {
        let of_class = &mut seen[clip.label.unwrap() as usize];
        clip.subsets = vec![[Subset::Train, Subset::Val, Subset::Test][*of_class / 4].clone()];
        change(*of_class, clip);
        *of_class += 1;
    }
    assert_eq!(seen, [12; 4]);
    manifest.write(&copy).unwrap();
    copy
}

fn swap_val_and_test(_: usize, clip: &mut clipshard::Clip) {
    clip.subsets[0] = match clip.subsets[0] {
        Subset::Val => Subset::Test,
        Subset::Test => Subset::Val,
        ref other => other.clone(),
    };
}

fn train(dir: &Path, data: &Path, name: &str, more: &str) -> Done {
    train_stream(dir, data, "spatial", name, more)
}

/// Trains a network of a stream into the run folder `name` in `dir`.
pub fn train_stream(dir: &Path, data: &Path, stream: &str, name: &str, more: &str) -> Done {
    let line = format!("{stream} --data {} --run {{}}/{name} {COMMON} {more}", data.display());
    run("ucftrain", &args(dir, &line))
}

/// Returns the events of a kind in `log.jsonl`.
fn events(run_dir: &Path, kind: &str) -> Vec<Value> {
    let log = fs::read_to_string(run_dir.join("log.jsonl")).unwrap();
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["event"] == kind).collect()
}

/// Returns the top-1 accuracy on val clips of each epoch.
fn val(report: &Value) -> Vec<f64> {
    report["history"].as_array().unwrap().iter().map(|epoch| epoch["val"]["top1"].as_f64().unwrap()).collect()
}

/// Returns the first of the greatest values.
fn best(values: &[f64]) -> usize {
    (0..values.len()).rev().max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap()
}

fn count(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len()).filter(|found| *found == text.as_bytes()).count()
}

#[test]
fn val_clips_choose_the_best_epoch_although_test_clips_would_choose_another() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let data = dataset(one.path(), |_, _| {});
    // The same training clips, but the val clips are the test clips of the first dataset. Training does not see
    // either, so both runs have the same network after each epoch.
    let swapped = dataset(other.path(), swap_val_and_test);
    let differ = (0..20).find_map(|seed| {
        let name = format!("run{seed}");
        let report = train(one.path(), &data, &name, &format!("--seed {seed} --json")).json();
        let swapped = train(other.path(), &swapped, &name, &format!("--seed {seed} --json")).json();
        let (on_val, on_test) = (val(&report), val(&swapped));
        assert_eq!(report["best"]["epoch"], best(&on_val));
        assert_eq!(swapped["best"]["epoch"], best(&on_test));
        // The network that the clips of one dataset choose is tested on those of the other.
        assert_eq!(report["test"]["top1"], on_test[best(&on_val)]);
        assert_eq!(swapped["test"]["top1"], on_val[best(&on_test)]);
        (on_test[best(&on_val)] < on_test[best(&on_test)]).then(|| (one.path().join(name), report))
    });
    let (run_dir, report) = differ.expect("for one of the seeds, test clips would choose another epoch");

    // The test clips are evaluated once: epochs have results on val clips only.
    let epochs = events(&run_dir, "epoch");
    assert_eq!(epochs.len(), 4);
    assert!(
        epochs.iter().all(|epoch| epoch["result"].get("test").is_none() && epoch["result"]["val"]["loss"].is_f64())
    );
    let tests = events(&run_dir, "test");
    assert_eq!((tests.len(), &tests[0]["test"], tests[0]["epochs"].as_u64()), (1, &report["test"], Some(4)));
    let scores = |file: &str| Scores::load(&run_dir.join(file)).unwrap();
    let manifest = Manifest::read(&data).unwrap();
    for (file, subset) in [("scores.npz", Subset::Test), ("val_scores.npz", Subset::Val)] {
        let of_subset = manifest.clips.iter().filter(|clip| clip.subsets[0] == subset);
        let ids: Vec<&str> = of_subset.map(|clip| clip.id.as_str()).collect();
        assert_eq!(
            (scores(file).names, scores(file).subset.as_deref()),
            (ids.iter().map(|id| (*id).to_owned()).collect(), Some(subset.name()))
        );
        assert_eq!(ids.len(), 16);
    }
    let files = names(&run_dir);
    assert!(files.contains(&"val.csv".to_owned()) && !files.contains(&"test.csv".to_owned()), "{files:?}");
    assert_eq!(fs::read_to_string(run_dir.join("val.csv")).unwrap().lines().count(), 5);
    let board = fs::read(run_dir.join("events.out.tfevents.ucftrain")).unwrap();
    assert_eq!((count(&board, "top1/val"), count(&board, "top1/test"), count(&board, "top1/train")), (4, 1, 4));
    let page = fs::read_to_string(run_dir.join("report.html")).unwrap();
    let lead = format!(
        "The network of epoch {} predicts the class of {:.2} % of the 16 test clips correctly.",
        report["best"]["epoch"],
        report["test"]["top1"].as_f64().unwrap()
    );
    assert!(page.contains(&lead) && page.contains("val top-1"), "{lead}");
    assert!(!page.contains("Missing:") && !page.contains("of another epoch"));

    // `eval` gives the results of the run on both subsets.
    let eval = |more: &str| {
        let line = format!("eval --run {} --data {} --json {more}", run_dir.display(), data.display());
        run("ucftrain", &args(&run_dir, &line)).json()
    };
    assert_eq!((&eval("")["top1"], eval("")["subset"].as_str()), (&report["test"]["top1"], Some("test")));
    let on_val = eval("--subset val --scores {}/again.npz");
    assert_eq!((&on_val["top1"], on_val["clips"].as_u64()), (&report["best"]["val"]["top1"], Some(16)));
    assert_eq!(scores("again.npz").names, scores("val_scores.npz").names);
    assert_eq!(scores("again.npz").subset.as_deref(), Some("val"));
    assert_eq!(eval("--subset train")["trained_clips"], 16);
}

#[test]
fn a_resumed_run_with_val_clips_tests_once_and_a_finished_one_not_again() {
    let temp = tempfile::tempdir().unwrap();
    let data = dataset(temp.path(), |_, _| {});
    train(temp.path(), &data, "whole", "").ok();
    let whole = temp.path().join("whole");
    // 5 steps end within the second epoch, and 16 after the last one.
    for steps in [5, 16] {
        let name = format!("stopped{steps}");
        let text = train(temp.path(), &data, &name, &format!("--limit-steps {steps}")).ok();
        let stopped = temp.path().join(name);
        if steps == 5 {
            assert!(text.contains("no test of the best epoch yet: the run tests on the 16 test clips"), "{text}");
            assert!(state(&stopped).tested.is_none() && !stopped.join("scores.npz").exists());
            let page = fs::read_to_string(stopped.join("report.html")).unwrap();
            assert!(page.contains("of the 16 val clips correctly. It has not been evaluated on the test clips yet."));
        }
        let resume = |more: &str| run("ucftrain", &args(&stopped, &format!("spatial --resume --run {{}} {more}"))).ok();
        resume("");
        assert_eq!(events(&stopped, "test"), events(&whole, "test"));
        assert_eq!(fs::read(stopped.join("scores.npz")).unwrap(), fs::read(whole.join("scores.npz")).unwrap());
        let scores = stopped.join("scores.npz").metadata().unwrap().modified().unwrap();
        let text = resume("");
        assert!(
            text.starts_with("the run has finished: 4 of 4 epochs") && text.contains("test of the best epoch: "),
            "{text}"
        );
        assert_eq!(events(&stopped, "test").len(), 1);
        assert_eq!(stopped.join("scores.npz").metadata().unwrap().modified().unwrap(), scores, "written once");
    }
}

#[test]
fn a_longer_run_tests_again_only_if_a_later_epoch_is_better() {
    let temp = tempfile::tempdir().unwrap();
    let data = dataset(temp.path(), |_, _| {});
    let line = format!("spatial --data {} --run {{}}/a {COMMON}", data.display());
    let line = line.replace("--schedule steps --milestones 3", "").replace("--epochs 4", "--epochs 1");
    run("ucftrain", &args(temp.path(), &line)).ok();
    let run_dir = temp.path().join("a");
    for (better, tests) in [(false, 1), (true, 2)] {
        // Gives the epochs so far an accuracy that no later epoch exceeds, or that each does.
        change_state(&run_dir, |state| {
            for result in &mut state.history {
                let scored = result.eval.scored();
                result.eval = Evaluated::Val(Scored { top1: if better { -1.0 } else { 101.0 }, ..scored });
            }
        });
        let epochs = state(&run_dir).history.len() + 1;
        let done = run("ucftrain", &args(&run_dir, &format!("spatial --resume --run {{}} --epochs {epochs}")));
        let text = done.ok();
        assert_eq!(text.contains("evaluating the best epoch on the test clips"), better, "{text}");
        assert_eq!(events(&run_dir, "test").len(), tests);
        assert_eq!(state(&run_dir).tested.unwrap().0, if better { epochs } else { 1 });
    }
}

#[test]
fn scores_of_an_earlier_best_epoch_or_deleted_ones_are_made_again() {
    let temp = tempfile::tempdir().unwrap();
    let data = dataset(temp.path(), |_, _| {});
    let line = format!("spatial --data {} --run {{}}/a {COMMON}", data.display());
    let line = line.replace("--schedule steps --milestones 3", "").replace("--epochs 4", "--epochs 1");
    run("ucftrain", &args(temp.path(), &line)).ok();
    let run_dir = temp.path().join("a");
    let resume = |more: &str| run("ucftrain", &args(&run_dir, &format!("spatial --resume --run {{}} {more}"))).ok();
    let first = fs::read(run_dir.join("scores.npz")).unwrap();
    let text = resume("");
    assert!(text.starts_with("the run has finished"), "{text}");
    fs::remove_file(run_dir.join("scores.npz")).unwrap();
    let text = resume("");
    assert!(text.contains("evaluating the best epoch on the test clips"), "{text}");
    assert_eq!(fs::read(run_dir.join("scores.npz")).unwrap(), first);

    // The second epoch is better, and the run stops in the third one, before the test.
    change_state(&run_dir, |state| {
        for result in &mut state.history {
            result.eval = Evaluated::Val(Scored { top1: -1.0, ..result.eval.scored() });
        }
    });
    resume("--epochs 3 --limit-steps 9");
    assert_eq!(state(&run_dir).history.len(), 2);
    let files = names(&run_dir);
    assert!(files.contains(&"val_scores.npz".into()) && !files.contains(&"scores.npz".into()), "{files:?}");
    let error = run("ucftrain", &args(&run_dir, "fuse {} {}")).error(1);
    assert!(error.contains("has not tested its best network on test clips"), "{error}");
    resume("");
    assert!(run_dir.join("scores.npz").is_file());
}

#[test]
fn a_split_without_test_clips_trains_and_says_so() {
    let temp = tempfile::tempdir().unwrap();
    let data = dataset(temp.path(), |_, clip| {
        if clip.subsets[0] == Subset::Test {
            clip.subsets[0] = Subset::Unused;
        }
    });
    let plan = train(temp.path(), &data, "none", "--dry-run").ok();
    assert!(plan.contains("\ntesting: none, because split 1 has no test clips\n"), "{plan}");
    let text = train(temp.path(), &data, "a", "").ok();
    assert!(text.contains("on 16 val clips\nno test of the best epoch: split 1 has no test clips\n"), "{text}");
    let run_dir = temp.path().join("a");
    let page = fs::read_to_string(run_dir.join("report.html")).unwrap();
    assert!(page.contains("of the 16 val clips correctly. The split has no test clips.") && !page.contains("Missing:"));
    assert!(page.contains("Confusion matrix") && !run_dir.join("scores.npz").exists());
    let text = run("ucftrain", &args(&run_dir, "spatial --resume --run {}")).ok();
    assert!(text.starts_with("the run has finished"), "{text}");

    let fault = |line: &str, code| run("ucftrain", &args(&run_dir, line)).error(code);
    let eval = format!("eval --run {{}} --data {}", data.display());
    let error = fault(&eval, 2);
    assert!(error.contains("split 1 has no test clips; it has 16 train, 16 val, 16 unused clips"), "{error}");
    let error = fault("fuse {} {}", 1);
    assert!(error.contains("has not tested its best network on test clips; name val_scores.npz"), "{error}");
    // Runs on val clips only are compared and fused by their scores of val clips.
    train(temp.path(), &data, "b", "--seed 1").ok();
    let fused = run("ucftrain", &args(temp.path(), "fuse {}/a/val_scores.npz {}/b/val_scores.npz --json")).json();
    assert_eq!((fused["clips"].as_u64(), fused["subset"].as_str()), (Some(16), Some("val")));
    run("ucftrain", &args(temp.path(), "report {}/a {}/b --out {}/both.html")).ok();
    let page = fs::read_to_string(temp.path().join("both.html")).unwrap();
    assert!(page.contains("Sums of logits on 16 val clips") && page.contains("tuned on the val clips: not a result"));
}

#[test]
fn fusion_weights_are_fitted_on_val_clips_and_reported_on_test_clips() {
    let temp = tempfile::tempdir().unwrap();
    let data = dataset(temp.path(), |_, _| {});
    for seed in [1, 2] {
        train(temp.path(), &data, &seed.to_string(), &format!("--seed {seed}")).ok();
    }
    // Gives the runs other scores of val clips: the first predicts all of them, the second none.
    for (name, shift) in [("1", 0), ("2", 1)] {
        let path = temp.path().join(name).join("val_scores.npz");
        let mut scores = Scores::load(&path).unwrap();
        for (row, label) in scores.logits.chunks_mut(4).zip(scores.labels.as_ref().unwrap()) {
            row.fill(0.0);
            row[(*label as usize + shift) % 4] = 5.0;
        }
        scores.write_npz(&path).unwrap();
    }
    let fused = run("ucftrain", &args(temp.path(), "fuse {}/1 {}/2 --fit --json")).json();
    assert_eq!((fused["clips"].as_u64(), fused["subset"].as_str()), (Some(16), Some("test")));
    let fitted = fused["results"].as_array().unwrap().last().unwrap();
    let ratio = fitted["ratio"].as_str().unwrap();
    let weights: Vec<f64> = ratio.split(':').map(|weight| weight.parse().unwrap()).collect();
    assert!(fitted["strategy"] == "fitted" && weights[0] > 2.0 * weights[1], "{fitted}");
    let line = format!("fuse {{}}/1 {{}}/2 --space means --ratio {ratio} --json");
    let weighted = run("ucftrain", &args(temp.path(), &line)).json()["results"][4].clone();
    assert_eq!((weighted["ratio"].as_str(), &weighted["top1"]), (Some(ratio), &fitted["top1"]), "on the test clips");
    // The scores of training clips are refused.
    for name in ["1", "2"] {
        let line =
            format!("eval --run {{}}/{name} --data {} --subset train --scores {{}}/train{name}.npz", data.display());
        run("ucftrain", &args(temp.path(), &line)).ok();
    }
    let line = "fuse {}/1 {}/2 --fit --val-scores {}/train1.npz,{}/train2.npz";
    let error = run("ucftrain", &args(temp.path(), line)).error(1);
    assert!(error.contains("train1.npz: the scores are of training clips"), "{error}");
}

#[test]
fn clips_without_a_label_are_named_and_predicted() {
    let temp = tempfile::tempdir().unwrap();
    // One clip of each class is unlabelled in train, and all clips of the subset `later`.
    let data = dataset(temp.path(), |number, clip| {
        if number == 0 || number == 11 {
            clip.label = None;
        }
        if number >= 10 {
            clip.subsets[0] = if number == 11 { "later" } else { "hard" }.into();
        }
    });
    let done = train(temp.path(), &data, "a", "");
    assert!(done.stderr.contains("note: omitted 4 clips without a label: v_"), "{}", done.stderr);
    assert!(done.ok().starts_with("training: 12 clips"));
    let plan = train(temp.path(), &data, "none", "--dry-run --json").json();
    assert_eq!(
        (plan["train_clips"].as_u64(), plan["val_clips"].as_u64(), plan["test_clips"].as_u64()),
        (Some(12), Some(16), Some(8))
    );
    assert_eq!(plan["omitted"].as_array().unwrap().len(), 4);
    let manifest = Manifest::read(&data).unwrap();
    let unlabelled: Vec<&str> =
        manifest.clips.iter().filter(|clip| clip.label.is_none()).map(|clip| clip.id.as_str()).collect();
    assert_eq!(unlabelled.len(), 8);

    let with = |command: &str, more: &str| {
        let line = format!("{command} --run {{}}/a --data {} {more}", data.display());
        run("ucftrain", &args(temp.path(), &line))
    };
    let found = with("predict", &format!("--clip {} --json", unlabelled[0])).json();
    assert_eq!((found["clip"].as_str(), &found["label"]), (Some(unlabelled[0]), &Value::Null));
    let text = with("predict", &format!("--clip {}", unlabelled[0])).ok();
    assert!(text.starts_with(&format!("{}, ", unlabelled[0])), "no class is given as actual: {text}");

    // The unlabelled clips of `train` are omitted; a subset of unlabelled clips has scores only.
    let some = with("eval", "--subset train --json");
    assert!(some.stderr.contains("note: omitted 4 clips without a label"), "{}", some.stderr);
    assert_eq!(some.json()["clips"], 12);
    let error = with("eval", "--subset later").error(2);
    assert!(
        error.contains("the later clips of split 1 have no labels, so there is no accuracy; add --scores"),
        "{error}"
    );
    let none = with("eval", "--subset later --json --scores {}/later.npz").json();
    assert_eq!((&none["top1"], &none["loss"], none["clips"].as_u64()), (&Value::Null, &Value::Null, Some(4)));
    let scores = Scores::load(&temp.path().join("later.npz")).unwrap();
    assert_eq!((scores.labels, scores.subset.as_deref(), scores.names.len()), (None, Some("later"), 4));
    let text = with("eval", "--subset later --scores {}/later.npz").ok();
    assert!(text.contains("later") && text.lines().last().unwrap().ends_with('-'), "{text}");
    assert_eq!(with("eval", "--subset hard --json").json()["clips"], 4);
    let error = with("eval", "--subset harder").error(2);
    assert!(
        error.contains("split 1 has no harder clips; it has 16 train, 16 val, 8 test, 4 hard, 4 later clips"),
        "{error}"
    );
}

#[test]
fn a_split_that_has_only_training_clips_or_none_with_labels_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let data = dataset(temp.path(), |number, clip| {
        clip.subsets[0] = Subset::Train;
        if number < 3 {
            clip.label = None;
        }
    });
    let error = train(temp.path(), &data, "a", "").error(1);
    let expected =
        "split 1 has 36 usable training clips, 0 val clips and 0 test clips (12 have no label, 0 are too short)";
    assert!(error.contains(expected), "{error}");
}
