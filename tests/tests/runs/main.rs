//! Tests of accidents during training: closed pipes, a second program, signals, edited settings,
//! incomplete files, and numbers that are not finite. Also tests of runs with val clips, and
//! of datasets that lack a stream.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod folder;
mod numbers;
mod readers;
mod settings;
mod signals;
mod streams;
mod subsets;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use ucftrain::testing::{Parts, State, load_checkpoint, read_metadata, save_checkpoint};
use whole_program_tests::{Done, args, program, run};

const COMMON: &str =
    "--weights none --input-size 32 --batch-size 4 --epochs 2 --lr 0.01 --seed 3 --threads 2 --test-samples 1";

const EVENTS: &str = "events.out.tfevents.ucftrain";

/// Returns a folder with a packed dataset of 4 classes and the run `whole` of two epochs. All tests
/// share them and none changes them.
fn shared() -> &'static Path {
    static DATA: OnceLock<TempDir> = OnceLock::new();
    let temp = DATA.get_or_init(|| {
        let temp = tempfile::tempdir().unwrap();
        let program = |name: &str, line: &str| run(name, &args(temp.path(), line)).ok();
        program("ucfpack", "synth --out {}/tree --classes 4 --clips 6 --size 44x36 --seed 5");
        program("ucfpack", "build --tree {}/tree --lists {}/tree/lists --out {}/packed --flow-size 32");
        program("ucftrain", &format!("temporal --data {{}}/packed --run {{}}/whole {COMMON}"));
        temp
    });
    temp.path()
}

/// Returns a copy of the shared run, which a test may change.
fn copy_of_whole(to: &Path) -> PathBuf {
    let to = to.join("run");
    fs::create_dir(&to).unwrap();
    for entry in fs::read_dir(shared().join("whole")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    to
}

/// Returns a command that trains on the shared dataset into the run folder `name` in `dir`. Options
/// in `more` replace the common ones.
fn training(dir: &Path, name: &str, more: &str) -> Command {
    let mut command = Command::new(program("ucftrain"));
    let data = shared().join("packed");
    command.args(["temporal", "--data"]).arg(data).arg("--run").arg(dir.join(name));
    let more = args(dir, more);
    for option in args(dir, COMMON).chunks(2).filter(|option| !more.contains(&option[0])) {
        command.args(option);
    }
    command.args(more);
    command
}

fn resume(run_dir: &Path, more: &str) -> Done {
    let mut command = Command::new(program("ucftrain"));
    command.args(["temporal", "--resume", "--run"]).arg(run_dir).args(args(run_dir, more));
    Done::of(command)
}

/// Waits until `is_so` returns true, for at most five minutes.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(300), "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A running program. It is killed when dropped, also if a test fails.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a program ends, for at most five minutes, and returns its exit status.
fn end(Running(child): &mut Running) -> std::process::ExitStatus {
    let mut status = None;
    wait_until("the end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

/// Sends a signal several times, without a pause.
fn send(signal: &str, times: usize, Running(child): &Running) {
    let line = format!("kill -{signal} {};", child.id()).repeat(times);
    assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
}

fn state(run_dir: &Path) -> State {
    read_metadata(&run_dir.join("checkpoint.safetensors")).unwrap()
}

/// Returns the epoch numbers in `log.jsonl`. Panics if a line is incomplete.
fn logged_epochs(run_dir: &Path) -> Vec<u64> {
    let log = fs::read_to_string(run_dir.join("log.jsonl")).unwrap();
    let events = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    events.filter(|event| event["event"] == "epoch").map(|event| event["result"]["epoch"].as_u64().unwrap()).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Changes the state in the checkpoint of a run.
fn change_state(run_dir: &Path, change: impl FnOnce(&mut State)) {
    let path = run_dir.join("checkpoint.safetensors");
    let (mut state, tensors) = load_checkpoint(&path).unwrap();
    change(&mut state);
    let Parts { model, momentum, average } = tensors;
    let parts = [model, momentum, average].map(|part| part.into_iter().collect::<Vec<_>>());
    let [model, momentum, average] = &parts;
    save_checkpoint(&path, &state, &Parts { model, momentum, average }).unwrap();
}
