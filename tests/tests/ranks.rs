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
use whole_program_tests::{Done, args, damaged_copy, program, run};

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
        ("temporal", 3, "--recipe tsn --batch-size 15 --epochs 2 --test-samples 3 --precise-bn 40 --swa 2"),
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
fn damaged_records_are_replaced_as_in_one_process() {
    let temp = tempfile::tempdir().unwrap();
    let copy = damaged_copy(&data().join("packed"), temp.path(), 9001);
    let of_copy = |name: &str, more: &str| -> Vec<String> {
        let more = format!("--batch-size 6 --epochs 2 {more}");
        let whole = format!("{}/packed", data().display());
        let of_whole = training(temp.path(), name, "spatial", &more).into_iter();
        of_whole.map(|word| if word == whole { copy.display().to_string() } else { word }).collect()
    };
    launched(2, &of_copy("ranks", "--skip-damaged")).ok();
    run("ucftrain", &of_copy("alone", "--skip-damaged --accumulate 2")).ok();
    assert_same(&temp.path().join("ranks"), &temp.path().join("alone"));
    let (_, state) = checkpoint(&temp.path().join("ranks"));
    assert!(state["damaged"].as_u64().unwrap() > 0, "{state}");
    let text = launched(2, &of_copy("strict", "")).error(1);
    assert!(text.contains("rgb-00000.clipshard: record ") && text.contains("add --skip-damaged"), "{text}");
}

#[test]
fn a_taken_port_does_not_matter_and_the_log_has_the_work_of_all_ranks() {
    let temp = tempfile::tempdir().unwrap();
    // The agent of torchrun listens on MASTER_PORT.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let training = training(temp.path(), "run", "spatial", "--batch-size 6 --epochs 2");
    let mut ranks = Ranks::start_with(&[training.clone(), training], &[("MASTER_PORT", &port)]);
    for rank in 0..2 {
        let (code, text) = ranks.end(rank);
        assert!(code == Some(0), "{code:?}: {text}");
    }
    let log = fs::read_to_string(temp.path().join("run/log.jsonl")).unwrap();
    let events: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let work: Vec<_> = events.iter().filter(|event| event["event"] == "ranks").collect();
    assert_eq!(work.iter().map(|event| &event["cursor"]["epoch"]).collect::<Vec<_>>(), [0, 1]);
    for event in work {
        let clips = |rank: usize| event["work"]["ranks"][rank]["clips"].as_u64().unwrap();
        // 16 of the 24 clips are for training: batches of 6, 6 and 4.
        assert_eq!((event["work"]["steps"].as_u64(), clips(0), clips(1)), (Some(3), 8, 8));
        for rank in event["work"]["ranks"].as_array().unwrap() {
            let [seconds, waiting, moving, data] =
                ["seconds", "waiting", "moving", "data"].map(|name| rank[name].as_f64().unwrap());
            assert!(seconds > 0.0 && waiting + moving + data <= seconds, "{rank}");
        }
    }
    let page = fs::read_to_string(temp.path().join("run/report.html")).unwrap();
    assert!(page.contains("Work of each rank") && page.contains("All ranks together train "), "the report has a table");
}

/// Returns the largest distance between running statistics of two checkpoints, relative to the largest value of each
/// tensor.
fn distance(one: &Path, other: &Path) -> f32 {
    let (tensors, _) = checkpoint(one);
    let (others, _) = checkpoint(other);
    let values = |bytes: &[u8]| -> Vec<f32> {
        bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
    };
    let mut largest = 0_f32;
    for (name, bytes) in tensors.iter().filter(|(name, _)| name.contains("running")) {
        let (one, other) = (values(bytes), values(&others[name]));
        let scale = one.iter().fold(1e-3_f32, |scale, value| scale.max(value.abs()));
        let furthest = one.iter().zip(other).fold(0_f32, |furthest, (one, other)| furthest.max((one - other).abs()));
        largest = largest.max(furthest / scale);
    }
    largest
}

#[test]
fn synchronised_batch_norms_train_as_one_process_with_the_whole_batch() {
    let temp = tempfile::tempdir().unwrap();
    // There are 16 clips. A batch of 15 leaves one, so two of three ranks have no clip in the second step.
    for (stream, ranks, more) in [
        ("spatial", 2, "--batch-size 8 --epochs 1"),
        ("spatial", 3, "--batch-size 15 --epochs 1"),
        ("temporal", 2, "--recipe tsn --batch-size 8 --epochs 1 --test-samples 3 --precise-bn 8 --dropout 0"),
    ] {
        let kind = format!("{stream}{ranks}");
        // A high rate, and batch norms of a single pixel, would magnify the differences of rounding.
        let calm = |word: String| match word.as_str() {
            "0.01" => "0.0001".to_owned(),
            "32" if stream == "spatial" => "36".to_owned(),
            _ => word,
        };
        let slow = |name: &str, more: &str| -> Vec<String> {
            training(temp.path(), name, stream, more).into_iter().map(calm).collect()
        };
        launched(ranks, &slow(&kind, &format!("{more} --sync-bn"))).ok();
        run("ucftrain", &slow(&format!("{kind}-whole"), more)).ok();
        run("ucftrain", &slow(&format!("{kind}-apart"), &format!("{more} --accumulate {ranks}"))).ok();
        let far = |name: &str| distance(&temp.path().join(&kind), &temp.path().join(format!("{kind}-{name}")));
        let (whole, apart) = (far("whole"), far("apart"));
        assert!(whole < 1e-2 && apart > 100.0 * whole, "{kind}: {whole}, {apart}");
    }
    let one = training(temp.path(), "one", "spatial", "--batch-size 8 --sync-bn --accumulate 2");
    let text = run("ucftrain", &one).error(2);
    assert!(text.contains("--sync-bn needs one micro-batch per rank, but there are 2 micro-batches"), "{text}");
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
        Self::start_with(of_rank, &[])
    }

    /// Starts ranks with further environment variables.
    fn start_with(of_rank: &[Vec<String>], variables: &[(&str, &str)]) -> Self {
        let start = |(rank, args): (usize, &Vec<String>)| {
            let mut command = Command::new(program("ucftrain"));
            command.args(args).env("RANK", rank.to_string()).env("WORLD_SIZE", of_rank.len().to_string());
            command.env("LOCAL_RANK", rank.to_string()).env("LOCAL_WORLD_SIZE", of_rank.len().to_string());
            command.envs(variables.iter().copied());
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
fn a_rank_that_waits_for_another_stops_after_the_step_at_a_signal() {
    let temp = tempfile::tempdir().unwrap();
    let training = training(temp.path(), "run", "spatial", "--batch-size 4 --epochs 1000");
    let mut ranks = Ranks::start(&[training.clone(), training]);
    wait_for(&temp.path().join("run/best.safetensors"));
    ranks.signal(1, "STOP");
    // Rank 0 comes to an exchange and waits.
    std::thread::sleep(Duration::from_secs(3));
    ranks.signal(0, "TERM");
    std::thread::sleep(Duration::from_secs(1));
    ranks.signal(1, "CONT");
    let (code, text) = ranks.end(0);
    assert!(code == Some(143) && text.contains("stopped by SIGTERM; the checkpoint was saved"), "{code:?}: {text}");
    let (code, text) = ranks.end(1);
    assert!(code == Some(0), "{code:?}: {text}");
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
