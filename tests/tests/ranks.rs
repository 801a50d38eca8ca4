//! Tests of several processes that train one run together.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use whole_program_tests::{Done, args, program, run};

/// Returns a folder with two packed datasets, `packed` and `other`, of 4 classes, which all tests share.
fn data() -> &'static Path {
    static DATA: OnceLock<TempDir> = OnceLock::new();
    let temp = DATA.get_or_init(|| {
        let temp = tempfile::tempdir().unwrap();
        for (name, seed) in [("packed", 5), ("other", 6)] {
            let tree = format!("synth --out {{}}/tree{seed} --classes 4 --clips 6 --size 44x36 --seed {seed}");
            run("ucfpack", &args(temp.path(), &tree)).ok();
            let build = format!("build --tree {{}}/tree{seed} --lists {{}}/tree{seed}/lists --out {{}}/{name}");
            run("ucfpack", &args(temp.path(), &format!("{build} --flow-size 32"))).ok();
        }
        temp
    });
    temp.path()
}

/// Returns the arguments of a training into the run folder `name` in `dir`.
fn training(dir: &Path, name: &str, stream: &str, more: &str) -> Vec<String> {
    let data = data().display();
    let common = "--weights none --input-size 32 --lr 0.01 --seed 3 --threads 1";
    args(dir, &format!("{stream} --data {data}/packed --run {{}}/{name} {common} {more}"))
}

fn launched(ranks: usize, training: &[String]) -> Done {
    let mut all = vec!["launch".to_owned(), "--ranks".into(), ranks.to_string(), "--".into()];
    all.extend_from_slice(training);
    run("ucftrain", &all)
}

/// Returns the bit patterns of the tensors of a checkpoint, and its state without times.
fn checkpoint(run: &Path) -> (BTreeMap<String, Vec<u8>>, serde_json::Value) {
    let bytes = fs::read(run.join("checkpoint.safetensors")).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let mut state: serde_json::Value = serde_json::from_str(&header.metadata().as_ref().unwrap()["ucftrain"]).unwrap();
    state.as_object_mut().unwrap().retain(|key, _| !key.ends_with("seconds"));
    for epoch in state["history"].as_array_mut().unwrap() {
        epoch.as_object_mut().unwrap().retain(|key, _| !key.ends_with("_seconds"));
    }
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    (file.iter().map(|(name, tensor)| (name.to_owned(), tensor.data().to_vec())).collect(), state)
}

fn assert_same(one: &Path, other: &Path) {
    let ((tensors, state), (other_tensors, other_state)) = (checkpoint(one), checkpoint(other));
    assert_eq!(state, other_state, "{} and {}", one.display(), other.display());
    let differing: Vec<_> = tensors.iter().filter(|(name, bits)| other_tensors.get(*name) != Some(bits)).collect();
    assert!(differing.is_empty() && tensors.len() == other_tensors.len(), "{:?}", differing.first().map(|of| of.0));
    for file in ["scores.npz", "best.safetensors"] {
        assert!(fs::read(one.join(file)).unwrap() == fs::read(other.join(file)).unwrap(), "{file}");
    }
}

#[test]
fn ranks_give_the_bits_of_one_process_with_as_many_micro_batches() {
    let temp = tempfile::tempdir().unwrap();
    for (stream, ranks, more) in [
        ("spatial", 2, "--batch-size 6 --epochs 2"),
        ("spatial", 3, "--batch-size 9 --epochs 2 --dropout 0.3 --mixup 0.4 --ema 0.9 --clip-grad 1 --val-share 0.3"),
        ("temporal", 2, "--recipe tsn --batch-size 10 --epochs 1 --test-samples 3 --precise-bn 12"),
        ("temporal", 2, "--batch-size 12 --accumulate 6 --epochs 1"),
    ] {
        let kind = format!("{stream}{ranks}-{}", more.len());
        let text = launched(ranks, &training(temp.path(), &kind, stream, more)).ok();
        assert!(text.starts_with(&format!("ranks: {ranks}, started by ucftrain launch\n")), "{text}");
        let more = if more.contains("accumulate") { more.to_owned() } else { format!("{more} --accumulate {ranks}") };
        let alone = format!("{kind}-alone");
        run("ucftrain", &training(temp.path(), &alone, stream, &more)).ok();
        assert_same(&temp.path().join(&kind), &temp.path().join(&alone));
        assert!(!temp.path().join(format!(".{kind}.ranks")).exists());
    }
}

#[test]
fn a_run_continues_on_another_number_of_ranks() {
    let temp = tempfile::tempdir().unwrap();
    let more = "--batch-size 8 --accumulate 4 --epochs 2";
    run("ucftrain", &training(temp.path(), "alone", "spatial", more)).ok();
    launched(2, &training(temp.path(), "run", "spatial", &format!("{more} --limit-steps 1"))).ok();
    let resume = |more: &str| args(temp.path(), &format!("spatial --run {{}}/run --resume {more}"));
    launched(4, &resume("--limit-steps 3")).ok();
    let text = launched(3, &resume("")).error(2);
    assert!(text.contains("error: rank 0: 3 ranks cannot share out 4 micro-batches per step (--accumulate)"), "{text}");
    run("ucftrain", &resume("")).ok();
    assert_same(&temp.path().join("run"), &temp.path().join("alone"));
}

/// The processes of a run, started without a launcher.
struct Ranks(Vec<Child>);

impl Ranks {
    fn start(of_rank: &[Vec<String>]) -> Self {
        let start = |(rank, args): (usize, &Vec<String>)| {
            let mut command = Command::new(program("ucftrain"));
            command.args(args).env("RANK", rank.to_string()).env("WORLD_SIZE", of_rank.len().to_string());
            command.env("LOCAL_RANK", rank.to_string()).env("LOCAL_WORLD_SIZE", of_rank.len().to_string());
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        };
        Self(of_rank.iter().enumerate().map(start).collect())
    }

    fn signal(&self, rank: usize, name: &str) {
        let id = self.0[rank].id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for the end of a rank. Returns its exit status and its messages on stderr.
    fn end(&mut self, rank: usize) -> (Option<i32>, String) {
        let child = &mut self.0[rank];
        let start = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < Duration::from_secs(120), "rank {rank} does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut text = String::new();
        std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut text).unwrap();
        assert!(!text.contains("panicked"), "{text}");
        (child.wait().unwrap().code(), text)
    }
}

impl Drop for Ranks {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < Duration::from_secs(120), "{} does not appear", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_loss_of_a_rank_ends_the_others_with_one_sentence_and_the_run_continues() {
    let temp = tempfile::tempdir().unwrap();
    for (signal, timeout, sentence) in [
        ("KILL", 60, "error: rank 0: rank 1 has ended; to continue from the last checkpoint, start all ranks again"),
        ("STOP", 10, "error: rank 0: rank 1 sent or took nothing for 10 s (--timeout); to continue"),
    ] {
        let more = format!("--batch-size 4 --epochs 1000 --timeout {timeout}");
        let training = training(temp.path(), signal, "spatial", &more);
        let mut ranks = Ranks::start(&[training.clone(), training]);
        let run_folder = temp.path().join(signal);
        wait_for(&run_folder.join("best.safetensors"));
        ranks.signal(1, signal);
        let (code, text) = ranks.end(0);
        assert!(code == Some(1) && text.contains(sentence), "{code:?}: {text}");
        drop(ranks);
        let (_, state) = checkpoint(&run_folder);
        let epochs = state["history"].as_array().unwrap().len() + 1;
        launched(2, &args(temp.path(), &format!("spatial --run {{}}/{signal} --resume --limit-steps {}", epochs * 5)))
            .ok();
    }
}

#[test]
fn ranks_with_other_settings_or_data_end_on_all_ranks() {
    let temp = tempfile::tempdir().unwrap();
    let first = training(temp.path(), "run", "spatial", "--batch-size 4 --epochs 1");
    let rate = training(temp.path(), "run", "spatial", "--batch-size 4 --epochs 1 --weight-decay 0.5");
    let other: Vec<String> = first.iter().map(|word| word.replace("/packed", "/other")).collect();
    for (second, sentence) in [
        (rate, "rank 1 has --weight-decay 0.5, but rank 0 has 0; start all ranks with the same command"),
        (other, "rank 1 has another dataset than rank 0; start all ranks with the same command and dataset"),
    ] {
        let mut ranks = Ranks::start(&[first.clone(), second]);
        for rank in 0..2 {
            let (code, text) = ranks.end(rank);
            assert!(code == Some(2) && text.contains(&format!("error: rank {rank}: {sentence}")), "{code:?}: {text}");
        }
        assert!(!temp.path().join("run").exists(), "nothing is written");
    }
}

#[test]
fn launch_passes_failures_and_signals_on() {
    let temp = tempfile::tempdir().unwrap();
    let text = launched(2, &args(temp.path(), "eval --run x")).error(2);
    assert!(text.contains("launch spatial, temporal or difference"), "{text}");
    let text = launched(2, &training(temp.path(), "odd", "spatial", "--batch-size 5")).error(2);
    assert!(
        text.contains(
            "--batch-size 5 cannot be split into 2 equal micro-batches (--accumulate, or the number of ranks)"
        ),
        "{text}"
    );
    let text = launched(2, &training(temp.path(), "mixed", "spatial", "--batch-size 2 --mixup 0.2")).error(2);
    assert!(text.contains("each micro-batch has one clip"), "{text}");
    let packed = training(temp.path(), "x", "spatial", "--batch-size 4");
    let nowhere: Vec<String> = packed.iter().map(|word| word.replace("/packed", "/nowhere")).collect();
    let text = launched(2, &nowhere).error(1);
    assert!(text.contains("nowhere") && text.contains("exit status 1; see its message"), "{text}");

    let mut all = args(temp.path(), "launch --ranks 2 --");
    all.extend(training(temp.path(), "run", "spatial", "--batch-size 4 --epochs 1000"));
    let mut command = Command::new(program("ucftrain"));
    let child = command.args(&all).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut launcher = Ranks(vec![child]);
    wait_for(&temp.path().join("run/best.safetensors"));
    launcher.signal(0, "TERM");
    let (code, text) = launcher.end(0);
    assert!(code == Some(143) && text.contains("stopped by SIGTERM; the checkpoint was saved"), "{code:?}: {text}");
    let steps = |run: PathBuf| checkpoint(&run).1["cursor"]["steps_done"].as_u64().unwrap();
    assert!(steps(temp.path().join("run")) > 0);
}
