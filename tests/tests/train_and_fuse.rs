//! Tests of the way from a frame tree to fused scores on a small synthetic dataset, also with
//! repeated, stopped and resumed runs.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use candle_core::{Device, Tensor};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;
use whole_program_tests::{Done, args, damaged_copy, run};

/// Returns a folder with a packed dataset of 4 classes, which all tests share.
fn data() -> &'static Path {
    static DATA: OnceLock<TempDir> = OnceLock::new();
    let temp = DATA.get_or_init(|| {
        let temp = tempfile::tempdir().unwrap();
        run("ucfpack", &args(temp.path(), "synth --out {}/tree --classes 4 --clips 6 --size 44x36 --seed 5")).ok();
        let build = "build --tree {}/tree --lists {}/tree/lists --out {}/packed --flow-size 32";
        run("ucfpack", &args(temp.path(), build)).ok();
        temp
    });
    temp.path()
}

fn packed() -> PathBuf {
    data().join("packed")
}

const COMMON: &str = "--weights none --input-size 32 --batch-size 4 --epochs 2 --lr 0.01 --seed 3 --threads 2";

/// Trains on the shared dataset into the run folder `run_name` in `dir`.
fn train(dir: &Path, run_name: &str, stream: &str, more: &str) -> Done {
    let line = format!("{stream} --data {} --run {}/{run_name} {COMMON} {more}", packed().display(), dir.display());
    run("ucftrain", &args(dir, &line))
}

fn tensors(path: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

/// Returns the bit patterns of all numbers of a file, by tensor name.
fn bits(path: &Path) -> Vec<(String, Vec<u32>)> {
    let numbers = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().map(|x| x.to_bits()).collect();
    let mut all: Vec<_> = tensors(path).into_iter().map(|(name, tensor)| (name, numbers(tensor))).collect();
    all.sort();
    all
}

/// Returns the metadata of a checkpoint without times, which differ between runs.
fn state(path: &Path) -> serde_json::Value {
    let bytes = fs::read(path).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let mut state: serde_json::Value = serde_json::from_str(&header.metadata().as_ref().unwrap()["ucftrain"]).unwrap();
    state.as_object_mut().unwrap().retain(|key, _| !key.ends_with("seconds"));
    for epoch in state["history"].as_array_mut().unwrap() {
        epoch.as_object_mut().unwrap().retain(|key, _| !key.ends_with("_seconds"));
    }
    state
}

fn assert_same_checkpoint(one: &Path, other: &Path) {
    assert_eq!(state(one), state(other));
    assert!(bits(one) == bits(other), "tensors of {} and {} differ", one.display(), other.display());
}

#[test]
fn the_same_seed_gives_the_same_weights_and_another_seed_others() {
    let temp = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        train(temp.path(), name, "spatial", "").ok();
    }
    let file = |name: &str| temp.path().join(name).join("checkpoint.safetensors");
    assert_same_checkpoint(&file("a"), &file("b"));
    train(temp.path(), "read", "spatial", "--io pread").ok();
    assert_same_checkpoint(&file("a"), &file("read"));
    train(temp.path(), "c", "spatial", "--overwrite --limit-steps 2").ok();
    train(temp.path(), "d", "spatial", "--limit-steps 2").ok();
    assert_same_checkpoint(&file("c"), &file("d"));
    let line = format!("spatial --data {} --run {{}}/e {COMMON} --limit-steps 2", packed().display());
    run("ucftrain", &args(temp.path(), &line.replace("--seed 3", "--seed 4"))).ok();
    assert!(bits(&file("d")) != bits(&file("e")));
}

#[test]
fn a_run_that_is_stopped_and_resumed_is_a_run_that_never_stopped() {
    let temp = tempfile::tempdir().unwrap();
    for (stream, more) in [
        ("spatial", ""),
        ("temporal", "--precise-bn 6 --frame-dropout 0.3"),
        ("temporal", "--recipe tsn --test-samples 3 --test-crop three --label-smoothing 0.1"),
        (
            "spatial",
            "--dropout 0.5 --ema 0.9 --clip-grad 1 --conv1-lr 0.1 --schedule steps --milestones 0.5,1 \
             --color-jitter 0.4 --trivial-augment",
        ),
        ("temporal", "--mixup 0.4 --cutmix 1 --swa 2 --precise-bn 6"),
        ("spatial", "--cutmix 1 --label-smoothing 0.1 --dropout 0.2 --repeat 2"),
        ("temporal", "--accumulate 2 --precise-bn 6 --dropout 0.25 --mixup 0.4 --clip-grad 1"),
        (
            "spatial",
            "--recipe tsn --temporal-shift --test-samples 6 --precise-bn 6 --stochastic-depth 0.3 --dropout 0.2 \
             --mixup 0.2",
        ),
    ] {
        let kind = format!("{stream}{}", more.len());
        assert!(!temp.path().join(format!("{kind}-1")).exists(), "two cases have one name");
        let whole = format!("{kind}-whole");
        train(temp.path(), &whole, stream, more).ok();
        for first in [1, 3, 5] {
            let name = format!("{kind}-{first}");
            let text = train(temp.path(), &name, stream, &format!("{more} --limit-steps {first}")).ok();
            assert!(text.contains(&format!("stopped after {first} steps")) && text.contains("--resume"), "{text}");
            let resume = format!("{stream} --run {{}}/{name} --resume");
            let text = run("ucftrain", &args(temp.path(), &format!("{resume} --limit-steps {}", first + 1))).ok();
            assert!(text.contains(&format!("stopped after {} steps", first + 1)), "{text}");
            run("ucftrain", &args(temp.path(), &resume)).ok();
            for file in ["checkpoint.safetensors", "best.safetensors"] {
                let (one, other) = (temp.path().join(&whole).join(file), temp.path().join(&name).join(file));
                assert!(bits(&one) == bits(&other), "{file} after {first} steps");
            }
            let checkpoint = |run: &str| temp.path().join(run).join("checkpoint.safetensors");
            assert_same_checkpoint(&checkpoint(&whole), &checkpoint(&name));
            let scores = |run: &str| fs::read(temp.path().join(run).join("scores.npz")).unwrap();
            assert!(scores(&whole) == scores(&name));
        }
    }
}

#[test]
fn an_epoch_that_shows_each_clip_twice_is_two_epochs_without_a_test_between() {
    let temp = tempfile::tempdir().unwrap();
    for (stream, more) in [("spatial", ""), ("temporal", "--segments 3 --sampling segments --flip")] {
        let train = |name: &str, epochs: &str| {
            let line = format!("{stream} --data {} --run {{}}/{stream}-{name} {COMMON} {more}", packed().display());
            run("ucftrain", &args(temp.path(), &line.replace("--epochs 2", epochs))).ok();
            temp.path().join(format!("{stream}-{name}/checkpoint.safetensors"))
        };
        let (twice, two) = (train("twice", "--epochs 1 --repeat 2"), train("two", "--epochs 2"));
        assert!(bits(&twice) == bits(&two), "{stream}: the weights differ");
        let (twice, two) = (state(&twice), state(&two));
        assert_eq!(twice["cursor"]["steps_done"], two["cursor"]["steps_done"]);
        let tests = |state: &serde_json::Value| state["history"].as_array().unwrap().clone();
        assert_eq!(tests(&twice).len(), 1);
        assert_eq!(tests(&twice)[0]["test"], tests(&two)[1]["test"]);
        // A second repeated epoch shows the views of the third and fourth epoch.
        let (twice, four) = (train("twice-two", "--epochs 2 --repeat 2"), train("four", "--epochs 4"));
        let first_loss = |path: &Path, epoch: usize| state(path)["history"][epoch]["train"]["loss"].as_f64().unwrap();
        let expected = f64::midpoint(first_loss(&four, 2), first_loss(&four, 3));
        assert!((first_loss(&twice, 1) - expected).abs() < 1e-5, "{stream}: other views");
    }
}

#[test]
fn the_mean_of_the_last_epochs_is_tested_and_saved() {
    let temp = tempfile::tempdir().unwrap();
    let more = "--epochs 4 --keep-epochs 4 --precise-bn 6";
    let line = |name: &str, more: &str| {
        let common = COMMON.replace("--epochs 2 ", "");
        format!("temporal --data {} --run {{}}/{name} {common} {more}", packed().display())
    };
    run("ucftrain", &args(temp.path(), &line("plain", more))).ok();
    run("ucftrain", &args(temp.path(), &line("mean", &format!("{more} --swa 3")))).ok();
    let epoch = |name: &str, epoch: usize| tensors(&temp.path().join(format!("{name}/epoch-{epoch:04}.safetensors")));
    // Averaging does not change the training, so the other run has the weights of each epoch.
    let (plain, mean): (Vec<_>, Vec<_>) = (0..4).map(|i| (epoch("plain", i), epoch("mean", i))).unzip();
    for name in plain[0].keys().filter(|name| !name.contains(".running_")) {
        let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (last, first) in [(0, 0), (1, 1), (2, 1), (3, 1)] {
            let seen: Vec<Vec<f32>> = plain[first..=last].iter().map(|epoch| values(&epoch[name])).collect();
            for (at, found) in values(&mean[last][name]).into_iter().enumerate() {
                let sum: f64 = seen.iter().map(|values| f64::from(values[at])).sum();
                let expected = sum / seen.len() as f64;
                assert!((f64::from(found) - expected).abs() < 1e-6, "{name} {at} of epoch {last}");
            }
        }
    }
    // The statistics of the batch norms are those of the mean weights.
    let statistics = |epoch: &HashMap<String, Tensor>| epoch["bn1.running_var"].to_vec1::<f32>().unwrap();
    assert_eq!(statistics(&plain[1]), statistics(&mean[1]));
    assert_ne!(statistics(&plain[3]), statistics(&mean[3]));
    // The network of the scores is the saved one.
    let line = format!("eval --run {{}}/mean --data {} --json", packed().display());
    let tested = run("ucftrain", &args(temp.path(), &line)).json();
    let best = state(&temp.path().join("mean/checkpoint.safetensors"))["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|epoch| (epoch["test"]["top1"].as_f64().unwrap(), epoch["test"]["loss"].as_f64().unwrap()))
        .fold((-1.0, 0.0), |best, epoch| if epoch.0 > best.0 { epoch } else { best });
    assert_eq!((tested["top1"].as_f64().unwrap(), tested["loss"].as_f64().unwrap()), best);
}

#[test]
fn partial_batch_norm_learns_nothing_but_weights_behind_the_first_norm() {
    let temp = tempfile::tempdir().unwrap();
    train(temp.path(), "first", "spatial", "--limit-steps 2").ok();
    let file = |run: &str| temp.path().join(run).join("checkpoint.safetensors");
    let (line, weights) = (format!("spatial --data {} --run {{}}/partial", packed().display()), temp.path().join("w"));
    let model =
        tensors(&file("first")).into_iter().filter_map(|(n, t)| Some((n.strip_prefix("model.")?.to_owned(), t)));
    candle_core::safetensors::save(&model.collect::<HashMap<_, _>>(), &weights).unwrap();
    // The batch statistics of an early network do not bound its values, so the learning rate is
    // small.
    let common = COMMON.replace("none", weights.to_str().unwrap()).replace("0.01", "1e-5");
    run("ucftrain", &args(temp.path(), &format!("{line} {common} --partial-bn"))).ok();
    let (before, after) = (tensors(&file("first")), tensors(&file("partial")));
    let is_kept = |name: &String| {
        let values = |of: &HashMap<String, Tensor>| of[name].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        values(&before) == values(&after)
    };
    let (norms, others): (Vec<_>, Vec<_>) = before
        .keys()
        .filter(|name| name.starts_with("model."))
        .partition(|name| before[*name].rank() == 1 && !name.starts_with("model.bn1.") && !name.ends_with("fc.bias"));
    assert_eq!(norms.len(), 19 * 4, "{norms:?}");
    assert!(norms.into_iter().all(is_kept));
    assert!(!others.into_iter().any(is_kept));
}

#[test]
fn both_streams_train_evaluate_and_fuse() {
    let temp = tempfile::tempdir().unwrap();
    for stream in ["spatial", "temporal"] {
        let done = train(temp.path(), stream, stream, "--json");
        let events = done.stderr.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let kinds: Vec<_> = events.map(|event| event["event"].as_str().unwrap().to_owned()).collect();
        assert_eq!(kinds.iter().filter(|kind| *kind != "progress").collect::<Vec<_>>(), ["start", "epoch", "epoch"]);
        let report = done.json();
        assert_eq!(report["finished"], true);
        let history = report["history"].as_array().unwrap();
        assert_eq!(history.len(), 2);
        let csv = fs::read_to_string(temp.path().join(stream).join("train.csv")).unwrap();
        assert!(csv.starts_with("Epoch,Batch Time,Data Time,Loss,Prec@1,Prec@5,lr\n0,"), "{csv}");
        assert_eq!(csv.lines().count(), 3);
        let csv = fs::read_to_string(temp.path().join(stream).join("test.csv")).unwrap();
        assert!(csv.starts_with("Epoch,Batch Time,Loss,Prec@1,Prec@5\n0,"), "{csv}");

        // The best network gives the same result as its epoch did.
        let line = format!("eval --run {{}}/{stream} --data {} --json --batch-size 7", packed().display());
        let eval = run("ucftrain", &args(temp.path(), &line)).json();
        assert_eq!(eval["top1"], report["best"]["test"]["top1"]);
        let (one, other) = (eval["loss"].as_f64().unwrap(), report["best"]["test"]["loss"].as_f64().unwrap());
        assert!((one / other - 1.0).abs() < 1e-4, "{one} {other}");
    }
    let fused = run("ucftrain", &args(temp.path(), "fuse {}/spatial {}/temporal --json")).json();
    let strategies: Vec<_> =
        fused["results"].as_array().unwrap().iter().map(|r| r["strategy"].as_str().unwrap()).collect();
    assert_eq!(strategies, ["single", "single", "average", "max", "weighted", "weighted"]);
    let again = format!("fuse {{}}/spatial {{}}/temporal --json --labels {}", packed().display());
    assert_eq!(run("ucftrain", &args(temp.path(), &again)).json(), fused);
    let lists = format!("fuse {{}}/spatial {{}}/temporal --json --labels {}/tree/lists", data().display());
    assert_eq!(run("ucftrain", &args(temp.path(), &lists)).json(), fused);
}

#[test]
fn groups_of_val_clips_choose_the_best_epoch_and_the_test_clips_are_seen_once() {
    let temp = tempfile::tempdir().unwrap();
    let report = train(temp.path(), "a", "temporal", "--val-groups g03,g05 --json").json();
    let folder = temp.path().join("a");
    let names = |file: &str| -> Vec<String> {
        let line = format!("fuse {0}/{file} {0}/{file} --json --labels {1}", folder.display(), packed().display());
        let clips = run("ucftrain", &args(temp.path(), &line)).json()["clips"].clone();
        vec![clips.to_string()]
    };
    assert_eq!(names("scores.npz"), ["8"]);
    // Testing the network of the best validation epoch gives the same result as the run's only
    // test.
    let line = format!("eval --run {} --data {} --json", folder.display(), packed().display());
    let eval = run("ucftrain", &args(temp.path(), &line)).json();
    assert_eq!(eval["top1"], report["test"]["top1"]);
    let log = fs::read_to_string(folder.join("log.jsonl")).unwrap();
    assert_eq!(log.matches("\"event\":\"test\"").count(), 1);
    assert!(folder.join("val_scores.npz").is_file());
    // The report shows the test, and does not treat its scores as wrong.
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains(&format!("{:.2}", eval["top1"].as_f64().unwrap())) && !page.contains("of another epoch"));
    // The run is already complete, so resuming does nothing.
    let text = run("ucftrain", &args(temp.path(), "temporal --run {}/a --resume")).ok();
    assert!(text.starts_with("the run has finished: 2 of 2 epochs\nto train longer, add --epochs N"), "{text}");
    let log = fs::read_to_string(folder.join("log.jsonl")).unwrap();
    assert_eq!(log.matches("\"event\":\"test\"").count(), 1);
    let wrong = train(temp.path(), "b", "temporal", "--val-groups g99");
    assert!(wrong.stderr.contains("--val-groups g99") && wrong.stderr.contains("g03, g04"), "{}", wrong.stderr);
}

#[test]
fn a_share_of_the_training_clips_chooses_the_best_epoch_of_all_streams() {
    let temp = tempfile::tempdir().unwrap();
    let plan = |stream: &str, more: &str| {
        let line = format!("{stream} --data {} --dry-run --input-size 32 {more}", packed().display());
        run("ucftrain", &args(temp.path(), &line))
    };
    let spatial = plan("spatial", "--val-share 0.3 --json").json();
    let val: Vec<&str> = spatial["val"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    assert_eq!(plan("temporal", "--val-share 0.3 --seed 8 --json").json()["val"], spatial["val"]);
    let (held_out, kept) = (spatial["val_clips"].as_u64().unwrap(), spatial["train_clips"].as_u64().unwrap());
    let share = held_out as f64 / (held_out + kept) as f64;
    assert!((0.2..0.4).contains(&share) && val.len() as u64 == held_out, "{spatial}");
    let text = plan("spatial", "--val-share 0.3").ok();
    let all = format!("\nval clips: {}\n", val.join(", "));
    assert!(text.contains(&all) && text.contains("\nval clips per class: "), "{text}");
    assert!(plan("spatial", "").ok().lines().all(|line| !line.starts_with("val clips")));

    // The run evaluates these clips after each epoch, and resumes only with the same share.
    train(temp.path(), "a", "temporal", "--val-share 0.3 --limit-steps 1").ok();
    let error = run("ucftrain", &args(temp.path(), "temporal --run {}/a --resume --val-share 0.2")).error(2);
    assert!(error.contains("--val-share is 0.2, but the run used 0.3"), "{error}");
    run("ucftrain", &args(temp.path(), "temporal --run {}/a --resume")).ok();
    let line = "fuse {0}/val_scores.npz {0}/val_scores.npz --json";
    let clips = run("ucftrain", &args(&temp.path().join("a"), &line.replace("{0}", "{}"))).json()["clips"].clone();
    assert_eq!(clips.as_u64(), Some(held_out));
}

#[test]
fn config_toml_repeats_a_run() {
    let temp = tempfile::tempdir().unwrap();
    train(temp.path(), "a", "temporal", "--limit-steps 2").ok();
    run("ucftrain", &args(temp.path(), "temporal --config {}/a/config.toml --run {}/b --limit-steps 2")).ok();
    let file = |name: &str| temp.path().join(name).join("checkpoint.safetensors");
    assert_same_checkpoint(&file("a"), &file("b"));
}

#[test]
fn errors_come_before_any_file_changes() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let data = packed();
    let data = data.display();
    let fails = |code: i32, line: &str, words: &[&str]| {
        let error = run("ucftrain", &args(dir, line)).error(code);
        assert!(words.iter().all(|word| error.contains(word)), "{line}: {error}");
    };
    fails(1, "spatial --data {}/nowhere --run {}/r --weights none", &["nowhere", "does not exist"]);
    fails(2, &format!("spatial --data {data} --run {{}}/r"), &["--weights", "none", "torchvision"]);
    fails(2, &format!("spatial --data {data} --run {{}}/r --weights none"), &["36", "--input-size"]);
    fails(1, &format!("spatial --data {data} --run {{}}/r --input-size 32 --weights {{}}/w.pth"), &["w.pth"]);
    fails(2, &format!("spatial --data {data} --run {{}}/r --weights none --batch-size 0"), &["--batch-size 0"]);
    fails(
        2,
        &format!("temporal --data {data} --run {{}}/r --weights none --device cuda:0 --input-size 32"),
        &["cuda:0"],
    );
    fails(
        1,
        &format!("spatial --data {data} --run {{}}/r --weights none --input-size 32 --resume"),
        &["cannot resume", "remove --resume"],
    );
    assert!(!dir.join("r").exists());
    train(dir, "r", "spatial", "--limit-steps 1").ok();
    fails(2, &format!("spatial --data {data} --run {{}}/r {COMMON}"), &["--resume", "--overwrite"]);
    fails(
        2,
        "spatial --run {}/r --resume --lr 1",
        &["Remove these options", "cannot resume: --lr is 1, but the run used 0.01"],
    );
    fails(2, "temporal --run {}/r --resume", &["ucftrain spatial"]);
    fs::write(dir.join("r/checkpoint.safetensors"), b"damaged").unwrap();
    fails(1, "spatial --run {}/r --resume", &["checkpoint.safetensors", "safetensors file"]);
    fs::create_dir(dir.join("other")).unwrap();
    fs::write(dir.join("other/thesis.tex"), b"precious").unwrap();
    fails(1, &format!("spatial --data {data} --run {{}}/other {COMMON} --overwrite"), &["may not be a run"]);
    assert!(dir.join("other/thesis.tex").exists());
}

#[test]
fn a_damaged_shard_ends_a_run_with_the_name_of_shard_and_record() {
    let temp = tempfile::tempdir().unwrap();
    // Most records are damaged, so the first batch contains one of them.
    let copy = damaged_copy(&packed(), temp.path(), 301);
    let line = format!("spatial --data {} --run {{}}/r {COMMON}", copy.display());
    let error = run("ucftrain", &args(temp.path(), &line)).error(1);
    assert!(error.contains("rgb-00000.clipshard: record ") && error.contains("checksum"), "{error}");
    assert!(error.contains("add --skip-damaged"), "{error}");
}

#[test]
fn damaged_samples_are_replaced_and_counted_on_request_the_same_with_any_threads() {
    let temp = tempfile::tempdir().unwrap();
    let copy = damaged_copy(&packed(), temp.path(), 9001);
    let counts = [("one", 1), ("two", 2)].map(|(name, threads)| {
        let common = COMMON.replace("--threads 2", &format!("--threads {threads}")).replace("--epochs 2", "--epochs 1");
        let line = format!("spatial --data {} --run {{}}/{name} {common} --skip-damaged --json", copy.display());
        run("ucftrain", &args(temp.path(), &line)).json()["damaged_samples"].as_u64().unwrap()
    });
    assert!(counts[0] > 0 && counts[0] == counts[1], "{counts:?}");
    let file = |name: &str| temp.path().join(name).join("checkpoint.safetensors");
    assert_eq!(state(&file("one"))["damaged"], state(&file("two"))["damaged"]);
}
