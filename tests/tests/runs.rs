//! Accidents of a training: a reader that goes away, a second program, signals, settings that were edited, files that are torn,
//! numbers that are none.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use ucftrain::checkpoint::{self, Parts, Scored, State};
use ucftrain::run_lock::LOCK_FILE;
use whole_program_tests::{Done, args, program, run};

const COMMON: &str =
    "--weights none --input-size 32 --batch-size 4 --epochs 2 --lr 0.01 --seed 3 --threads 2 --test-samples 1";

const EVENTS: &str = "events.out.tfevents.ucftrain";

/// A packed data set of 4 classes, and the run `whole` of two epochs in it, which all tests share and none changes.
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

/// A copy of the shared run that a test may change.
fn copy_of_whole(to: &Path) -> PathBuf {
    let to = to.join("run");
    fs::create_dir(&to).unwrap();
    for entry in fs::read_dir(shared().join("whole")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    to
}

/// A training of the shared data into `dir`/`name`, to be started; options in `more` replace the common ones.
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

/// Waits until `is_so`, at most a minute.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A program that a test that fails does not leave behind.
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

/// The end of a program, which must come within a minute.
fn end(Running(child): &mut Running) -> std::process::ExitStatus {
    let mut status = None;
    wait_until("the end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

fn send(signal: &str, Running(child): &Running) {
    let sent = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn state(run_dir: &Path) -> State {
    checkpoint::read_metadata(&run_dir.join("checkpoint.safetensors")).unwrap()
}

/// The numbers of the epochs that `log.jsonl` has; every line must be whole.
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

#[test]
fn a_reader_that_goes_away_changes_nothing_that_a_training_writes() {
    let temp = tempfile::tempdir().unwrap();
    for (name, more, stdout_is_read, code) in
        [("text", "", false, 0), ("events", "--json", true, 0), ("document", "--json", false, 141)]
    {
        let mut command = training(temp.path(), name, more);
        let mut child = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let stdout = child.0.stdout.take().filter(|_| stdout_is_read);
        drop(child.0.stderr.take());
        let document = stdout.map(|stdout| serde_json::from_reader::<_, serde_json::Value>(stdout).unwrap());
        assert_eq!(end(&mut child).code(), Some(code), "{name}");
        assert!(document.is_none_or(|document| document["finished"] == true && document["epochs"] == 2));
        for file in ["best.safetensors", "scores.npz", "config.toml"] {
            let read = |dir: &Path| fs::read(dir.join(file)).unwrap();
            assert!(read(&temp.path().join(name)) == read(&shared().join("whole")), "{name}: {file}");
        }
        assert_eq!(state(&temp.path().join(name)).cursor, state(&shared().join("whole")).cursor, "{name}");
        assert_eq!(logged_epochs(&temp.path().join(name)), [0, 1]);
    }
}

#[test]
fn a_result_that_does_not_arrive_is_no_success() {
    let temp = tempfile::tempdir().unwrap();
    let (run_dir, data) = (shared().join("whole"), shared().join("packed"));
    let (run_dir, data) = (run_dir.display(), data.display());
    let clip = clipshard::Dataset::open(&shared().join("packed")).unwrap().manifest().clips[0].id.clone();
    for line in [
        format!("eval --run {run_dir} --data {data} --scores {{}}/scores.npz"),
        format!("eval --run {run_dir} --data {data} --json"),
        format!("fuse {run_dir} {run_dir}"),
        format!("fuse {run_dir} {run_dir} --json"),
        format!("predict --run {run_dir} --data {data} --clip {clip} --sheet {{}}/sheet.png"),
        format!("predict --run {run_dir} --data {data} --clip {clip} --json"),
        format!("temporal --data {data} --dry-run"),
        format!("temporal --data {data} --dry-run --json"),
        "bench step --stream rgb --input-size 32 --batch-size 1 --seconds 0.01".to_owned(),
        format!("bench loader --data {data} --stream flow --input-size 32 --batch-size 1 --seconds 0.01 --json"),
        "--help".to_owned(),
        "eval --help".to_owned(),
        "--version".to_owned(),
    ] {
        let command = || {
            let mut command = Command::new(program("ucftrain"));
            command.args(args(temp.path(), &line)).stderr(Stdio::piped());
            command
        };
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        for (stdout, code) in [(Stdio::from(writer), 141), (Stdio::from(File::create("/dev/full").unwrap()), 1)] {
            let output = command().stdout(stdout).spawn().unwrap().wait_with_output().unwrap();
            let text = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(code), "{line}: {text}");
            assert!(text.contains("error: stdout: cannot write the result: "), "{line}: {text}");
            assert!(!text.contains("panicked"), "{line}: {text}");
        }
    }
    assert_eq!(names(temp.path()), ["scores.npz", "sheet.png"], "files are written before the text is");
    // Text about files is no result: the files are there.
    for line in [
        format!("report {run_dir} --out {{}}/page.html"),
        format!("export --run {run_dir} --out {{}}/net.safetensors --overwrite"),
        format!("import {{}}/net.safetensors --stream temporal --data {data} --out {{}}/back.safetensors --overwrite"),
    ] {
        let full = File::create("/dev/full").unwrap();
        let mut command = Command::new(program("ucftrain"));
        let output = command.args(args(temp.path(), &line)).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && text.contains("stdout: No space left"), "{line}: {text}");
    }
    assert_eq!(names(temp.path()).len(), 5);
}

#[test]
fn a_run_goes_on_with_no_other_settings_than_those_that_it_used() {
    let temp = tempfile::tempdir().unwrap();
    let run_dir = copy_of_whole(temp.path());
    let config = run_dir.join("config.toml");
    let whole = fs::read_to_string(&config).unwrap();
    let checkpoint = fs::read(run_dir.join("checkpoint.safetensors")).unwrap();
    let edit = |from: &str, to: &str| {
        let text = fs::read_to_string(&config).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&config, text.replace(from, to)).unwrap();
    };
    edit("\nlr = 0.01\n", "\nlr = 0.1\n");
    edit("\nbatch-size = 4\n", "\nbatch-size = 8\n");
    edit("\nflip = false\n", "\n");
    edit("\nsegments = 1\n", "\nsegments = 1\nval-groups = [\"g03\", \"g05\"]\nflip = true\n");
    let edited = format!("(edited in {})", config.display());
    let cure = format!("Use the run's values, on the command line and in {}, or start a new run", config.display());
    let expected = format!(
        "error: cannot resume: --batch-size is 8, but the run used 4 {edited}\n  --flip is true, but the run used false {edited}\n  \
         --lr is 0.1, but the run used 0.01 {edited}\n  --val-groups is g03,g05, but the run used none {edited}\n\
         {cure}\n"
    );
    assert_eq!(resume(&run_dir, "--epochs 3").error(2), expected);
    fs::write(&config, &whole).unwrap();
    let typed = "--seed 4 --lr 0.5 --recipe tsn --precision f32";
    let expected = format!(
        "error: cannot resume: --lr is 0.5, but the run used 0.01\n  \
                    --precision is f32, but the run used none\n  --recipe is tsn, but the run used seed\n  \
                    --seed is 4, but the run used 3\n{cure}\n"
    );
    assert_eq!(resume(&run_dir, typed).error(2), expected);
    assert_eq!(fs::read_to_string(&config).unwrap(), whole);
    assert!(fs::read(run_dir.join("checkpoint.safetensors")).unwrap() == checkpoint);

    // The run's own value wins over the edited file, which is true again behind that; what does not decide may differ.
    edit("\nlr = 0.01\n", "\nlr = 0.1\n");
    edit("\nthreads = 2\n", "\nthreads = 1\n");
    resume(&run_dir, "--epochs 3 --lr 0.01 --skip-damaged --checkpoint-minutes 1 --keep-epochs 1").ok();
    let text = fs::read_to_string(&config).unwrap();
    for line in ["lr = 0.01", "threads = 1", "epochs = 3", "skip-damaged = true", "keep-epochs = 1"] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    assert_eq!(state(&run_dir).history.len(), 3);
}

#[test]
fn a_checkpoint_from_before_it_kept_settings_goes_on_by_its_configuration() {
    let temp = tempfile::tempdir().unwrap();
    let run_dir = copy_of_whole(temp.path());
    change_state(&run_dir, |state| state.settings = None);
    let error = resume(&run_dir, "--lr 0.1").error(2);
    assert!(error.contains("--lr is 0.1, but the run used 0.01"), "{error}");
    resume(&run_dir, "--epochs 3").ok();
    assert_eq!(state(&run_dir).settings, state(&shared().join("whole")).settings);
    assert_eq!(state(&run_dir).history.len(), 3);
}

#[test]
fn a_second_program_does_not_touch_a_run_that_is_under_way() {
    let temp = tempfile::tempdir().unwrap();
    let run_dir = temp.path().join("q");
    let mut command = training(temp.path(), "q", "--epochs 100000 --threads 1");
    let mut first = Running::start(command.stdout(Stdio::null()));
    wait_until("the configuration", || run_dir.join("config.toml").is_file());
    let config = fs::read(run_dir.join("config.toml")).unwrap();
    let said = format!("{}: another ucftrain (process {}) uses this folder", run_dir.display(), first.0.id());
    let overwrite = || Done::of(training(temp.path(), "q", "--overwrite --batch-size 8 --epochs 1 --seed 5"));
    let error = overwrite().error(2);
    assert!(error.contains(&said), "{error}");
    wait_until("the checkpoint", || run_dir.join("checkpoint.safetensors").is_file());
    let error = resume(&run_dir, "").error(2);
    assert!(error.contains(&said), "{error}");
    assert!(fs::read(run_dir.join("config.toml")).unwrap() == config);
    assert_eq!(first.0.try_wait().unwrap(), None, "the first goes on");
    // The system releases the lock of a program that is killed.
    drop(first);
    overwrite().ok();
    assert_eq!(state(&run_dir).history.len(), 1);
}

/// Writes the checkpoint of a run with another state.
fn change_state(run_dir: &Path, change: impl FnOnce(&mut State)) {
    let path = run_dir.join("checkpoint.safetensors");
    let (mut state, tensors) = checkpoint::load(&path).unwrap();
    change(&mut state);
    let Parts { model, momentum, average } = tensors;
    let parts = [model, momentum, average].map(|part| part.into_iter().collect::<Vec<_>>());
    let [model, momentum, average] = &parts;
    checkpoint::save(&path, &state, &Parts { model, momentum, average }).unwrap();
}

#[test]
fn numbers_that_are_none_do_not_keep_a_run_from_being_read() {
    let temp = tempfile::tempdir().unwrap();
    let run_dir = copy_of_whole(temp.path());
    change_state(&run_dir, |state| {
        state.history[0].test = Scored { loss: f64::NAN, ..state.history[0].test };
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
    assert!(after.history[0].test.loss.is_nan() && after.history[1].train.loss.is_infinite());
    assert_eq!((after.history.len(), logged_epochs(&run_dir)), (3, vec![0, 1, 2]));
    let csv = fs::read_to_string(run_dir.join("test.csv")).unwrap();
    assert!(csv.lines().nth(1).unwrap().contains(",NaN,"), "{csv}");
    run("ucftrain", &args(&run_dir, "report {}")).ok();
    let page = fs::read_to_string(run_dir.join("report.html")).unwrap();
    assert!(!page.contains("not whole") && !page.contains("cannot read"), "the report takes the lines as they are");
    let line = format!("temporal --run {} --resume --epochs 4 --json", run_dir.display());
    let document = run("ucftrain", &args(temp.path(), &line)).json();
    assert_eq!(document["history"][0]["test"]["loss"], "NaN");

    // As earlier versions wrote it.
    let log = fs::read_to_string(run_dir.join("log.jsonl")).unwrap();
    fs::write(run_dir.join("log.jsonl"), log.replace("\"NaN\"", "null")).unwrap();
    run("ucftrain", &args(&run_dir, "report {}")).ok();
    assert!(!fs::read_to_string(run_dir.join("report.html")).unwrap().contains("not whole"));
}

#[test]
fn a_test_loss_that_is_no_number_ends_the_run_and_leaves_the_last_good_checkpoint() {
    let temp = tempfile::tempdir().unwrap();
    let run_dir = temp.path().join("r");
    Done::of(training(temp.path(), "r", "--limit-steps 4")).ok();
    // The epoch's steps are over, its test comes next: logits whose sums are too large.
    let path = run_dir.join("checkpoint.safetensors");
    let (state_before, mut tensors) = checkpoint::load(&path).unwrap();
    assert_eq!((state_before.cursor.epoch, state_before.cursor.step), (0, 4));
    let bias = &tensors.model["fc.bias"];
    let large = (bias.zeros_like().unwrap() + f64::from(f32::MAX)).unwrap();
    tensors.model.insert("fc.bias".into(), large);
    let weight = (&tensors.model["fc.weight"] * 1e38).unwrap();
    tensors.model.insert("fc.weight".into(), weight);
    let (model, momentum): (Vec<_>, Vec<_>) =
        (tensors.model.into_iter().collect(), tensors.momentum.into_iter().collect());
    checkpoint::save(&path, &state_before, &Parts { model: &model, momentum: &momentum, average: &[] }).unwrap();
    let before = fs::read(&path).unwrap();
    let error = resume(&run_dir, "").error(1);
    assert!(error.contains("the test loss is NaN at epoch 0: training has diverged"), "{error}");
    assert!(error.contains("start again with a lower --lr"), "{error}");
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
    let (state, mut tensors) = checkpoint::load(&path).unwrap();
    // A momentum that makes the next step's weights infinite; its loss is taken before that.
    let bias = |value: f32| tensors.momentum["fc.bias"].affine(0.0, f64::from(value)).unwrap();
    let (low, high) = (bias(f32::MIN), bias(f32::MAX));
    tensors.model.insert("fc.bias".into(), low);
    tensors.momentum.insert("fc.bias".into(), high);
    let (model, momentum): (Vec<_>, Vec<_>) =
        (tensors.model.into_iter().collect(), tensors.momentum.into_iter().collect());
    checkpoint::save(&path, &state, &Parts { model: &model, momentum: &momentum, average: &[] }).unwrap();
    let before = fs::read(&path).unwrap();
    let error = resume(&run_dir, "--limit-steps 2").error(1);
    assert!(error.contains("is not finite at epoch 0, step 2: training has diverged"), "{error}");
    assert!(fs::read(&path).unwrap() == before, "the checkpoint stays");
}

#[test]
fn torn_logs_are_rebuilt_and_leftovers_removed_when_a_run_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    let run_dir = copy_of_whole(temp.path());
    let file = |name: &str| run_dir.join(name);
    let cut = |name: &str, bytes: u64| {
        let file = OpenOptions::new().write(true).open(file(name)).unwrap();
        file.set_len(file.metadata().unwrap().len() - bytes).unwrap();
    };
    let whole = fs::read(file(EVENTS)).unwrap();
    let whole_csv = fs::read(file("train.csv")).unwrap();
    [EVENTS, "log.jsonl", "train.csv", "test.csv"].map(|name| cut(name, 9));
    let leftovers = [".partial-Xa81k2", ".partial-Xa81k2.partial"];
    leftovers.map(|name| fs::write(file(name), "part of a checkpoint").unwrap());
    resume(&run_dir, "").ok();
    assert_eq!(logged_epochs(&run_dir), [0, 1]);
    assert!(fs::read(file("train.csv")).unwrap() == whole_csv);
    let rebuilt = fs::read(file(EVENTS)).unwrap();
    // The last event's time is not that of its epoch, and with it its checksum is another one.
    let tail = whole.len() / 2;
    assert!(rebuilt.len() == whole.len() && rebuilt[..tail] == whole[..tail]);
    assert!(!names(&run_dir).iter().any(|name| name.starts_with(".partial")), "{:?}", names(&run_dir));

    // Killed between the logs of an epoch and its checkpoint: the next run does the epoch once more.
    let one_more = |name: &str, from: &[u8]| {
        OpenOptions::new().append(true).open(file(name)).unwrap().write_all(from).unwrap();
    };
    let log = fs::read_to_string(file("log.jsonl")).unwrap();
    let epoch = log.lines().find(|line| line.contains("\"epoch\":1,")).unwrap();
    one_more("log.jsonl", format!("{}\n", epoch.replace("\"epoch\":1,", "\"epoch\":2,")).as_bytes());
    one_more(EVENTS, &whole[whole.len() - 40..]);
    resume(&run_dir, "--epochs 4").ok();
    assert_eq!(logged_epochs(&run_dir), [0, 1, 2, 3]);
    let starts = fs::read_to_string(file("log.jsonl")).unwrap().matches("\"event\":\"start\"").count();
    assert_eq!(starts, 3);
    // Records: the version and the epochs.
    let events = fs::read(file(EVENTS)).unwrap();
    let mut lengths = Vec::new();
    let mut at = 0;
    while at < events.len() {
        let size = u64::from_le_bytes(events[at..at + 8].try_into().unwrap()) as usize;
        lengths.push(size);
        at += size + 16;
    }
    assert_eq!((at, lengths.len()), (events.len(), 5), "{lengths:?}");
}

#[test]
fn signals_end_a_training_with_their_status_behind_its_checkpoint() {
    let temp = tempfile::tempdir().unwrap();
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let run_dir = temp.path().join(signal);
        let mut command = training(temp.path(), signal, "--epochs 100000");
        let mut child = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let mut pipes = (child.0.stdout.take().unwrap(), child.0.stderr.take().unwrap());
        wait_until("the first epoch", || run_dir.join("best.safetensors").is_file());
        send(signal, &child);
        // As `timeout` does: the same request once more is no second one.
        send(signal, &child);
        assert_eq!(end(&mut child).code(), Some(code), "{signal}");
        let (mut out, mut err) = (String::new(), String::new());
        pipes.0.read_to_string(&mut out).unwrap();
        pipes.1.read_to_string(&mut err).unwrap();
        assert!(err.contains(&format!("stopped by SIG{signal}; the checkpoint is written\n")), "{err}");
        assert!(out.contains("steps; go on with: ucftrain temporal --run "), "{out}");
        let epochs = state(&run_dir).history.len();
        resume(&run_dir, &format!("--epochs {}", epochs + 1)).ok();
        assert_eq!(state(&run_dir).history.len(), epochs + 1);
    }
}

#[test]
fn a_second_signal_ends_a_program_that_waits_for_its_reader() {
    let temp = tempfile::tempdir().unwrap();
    // Pipes that are full and that nobody reads.
    let (_reader, mut writer) = std::io::pipe().unwrap();
    let full = vec![b'.'; 64 << 10];
    writer.write_all(&full).unwrap();
    let mut command = training(temp.path(), "r", "--epochs 100000");
    let mut child = Running::start(command.stdout(writer.try_clone().unwrap()).stderr(writer));
    wait_until("the configuration", || temp.path().join("r/config.toml").is_file());
    std::thread::sleep(Duration::from_millis(300));
    send("INT", &child);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(child.0.try_wait().unwrap(), None, "the first signal lets it finish its step");
    send("INT", &child);
    let start = Instant::now();
    assert_eq!(end(&mut child).code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_hangup_that_was_ignored_at_the_start_stays_ignored() {
    let temp = tempfile::tempdir().unwrap();
    let training = training(temp.path(), "r", "--epochs 3");
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(training.get_program()).args(training.get_args());
    let mut child = Running::start(command.stdout(Stdio::null()));
    wait_until("the configuration", || temp.path().join("r/config.toml").is_file());
    send("HUP", &child);
    assert_eq!(end(&mut child).code(), Some(0));
    assert_eq!(state(&temp.path().join("r")).history.len(), 3);
}

#[test]
fn an_evaluation_ends_with_the_status_of_their_signal() {
    let temp = tempfile::tempdir().unwrap();
    Done::of(training(temp.path(), "r", "--test-samples 1000 --limit-steps 1")).ok();
    let checkpoint = temp.path().join("r/checkpoint.safetensors");
    let data = shared().join("packed");
    let line = format!(
        "eval --checkpoint {} --data {} --json --threads 1 --scores {{}}/s.npz",
        checkpoint.display(),
        data.display()
    );
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let mut command = Command::new(program("ucftrain"));
        let command = command.args(args(temp.path(), &line)).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = Running::start(command);
        let mut lines = BufReader::new(child.0.stderr.take().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().contains("\"progress\""));
        send(signal, &child);
        assert_eq!(end(&mut child).code(), Some(code));
        let last = lines.last().unwrap().unwrap();
        assert_eq!(last, format!("stopped by SIG{signal}; nothing was written"));
    }
    assert!(!temp.path().join("s.npz").exists());
}

#[test]
fn the_umask_decides_who_may_read_a_run() {
    let temp = tempfile::tempdir().unwrap();
    for (umask, mode) in [("077", 0o600), ("002", 0o664)] {
        let training = training(temp.path(), umask, "--epochs 1 --keep-epochs 1");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"]);
        Done::of({
            command.arg(training.get_program()).args(training.get_args());
            command
        })
        .ok();
        let files = names(&temp.path().join(umask));
        assert!(files.len() >= 10, "{files:?}");
        for file in files {
            let found = fs::metadata(temp.path().join(umask).join(&file)).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{file}: {found:o}");
        }
    }
}

#[test]
fn every_seed_of_64_bits_trains_and_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    for seed in ["9223372036854775808", "18446744073709551615"] {
        Done::of(training(temp.path(), seed, &format!("--seed {seed} --limit-steps 1"))).ok();
        let run_dir = temp.path().join(seed);
        let config = fs::read_to_string(run_dir.join("config.toml")).unwrap();
        assert!(config.contains(&format!("\nseed = \"{seed}\"\n")), "{config}");
        resume(&run_dir, "--limit-steps 2").ok();
        let error = resume(&run_dir, "--seed 1").error(2);
        assert!(error.contains(&format!("--seed is 1, but the run used {seed}")), "{error}");
        let line = "temporal --config {}/config.toml --run {}/again --limit-steps 2";
        run("ucftrain", &args(&run_dir, line)).ok();
        let network =
            |dir: &Path| checkpoint::load_network(&dir.join("checkpoint.safetensors")).unwrap().1["fc.weight"].clone();
        let values = |dir: &Path| network(dir).flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values(&run_dir), values(&run_dir.join("again")));
    }
    let error = Done::of(training(temp.path(), "r", "--seed 18446744073709551616")).error(2);
    assert!(error.contains("'--seed <N>'"), "{error}");
}

#[test]
fn a_run_goes_on_from_another_folder_by_the_command_that_it_prints() {
    let temp = tempfile::tempdir().unwrap();
    let (here, elsewhere) = (temp.path().join("here"), temp.path().join("else where"));
    [&here, &elsewhere].map(|dir| fs::create_dir(dir).unwrap());
    std::os::unix::fs::symlink(shared().join("packed"), here.join("packed")).unwrap();
    let mut command = Command::new(program("ucftrain"));
    command.current_dir(&here).args(["temporal", "--data", "packed", "--run"]).arg(elsewhere.join("it's a $run"));
    command.args(args(&here, COMMON)).args(["--limit-steps", "1"]);
    let text = Done::of(command).ok();
    let hint = text.lines().find_map(|line| line.split_once("; go on with: ucftrain ")).unwrap().1;
    let mut command = Command::new("sh");
    command.current_dir(&elsewhere).args(["-c", &format!("{} {hint}", program("ucftrain").display())]);
    Done::of(command).ok();
    let run_dir = elsewhere.join("it's a $run");
    assert_eq!(state(&run_dir).history.len(), 2);
    let config = fs::read_to_string(run_dir.join("config.toml")).unwrap();
    assert!(config.contains(&format!("\ndata = {:?}\n", here.join("packed"))), "{config}");
    // People read it as they typed it.
    fs::remove_file(here.join("packed")).unwrap();
    let mut command = Command::new(program("ucftrain"));
    command.current_dir(&here).args(["temporal", "--resume", "--run"]).arg(&run_dir);
    let error = Done::of(command).error(1);
    assert!(error.starts_with("error: packed: "), "{error}");
}

#[test]
fn only_regular_files_are_read_as_settings_and_checkpoints() {
    let temp = tempfile::tempdir().unwrap();
    let run_dir = copy_of_whole(temp.path());
    let pipe = temp.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (file, words) in [(pipe.as_path(), "it is a named pipe"), (Path::new("/dev/zero"), "it is a device")] {
        let done = Done::of(training(temp.path(), "r", &format!("--config {}", file.display())));
        let error = done.error(1);
        assert!(error.contains(&format!("{}: cannot read it: {words}", file.display())), "{error}");
        let line = format!("eval --checkpoint {} --data {}", file.display(), shared().join("packed").display());
        let error = run("ucftrain", &args(temp.path(), &line)).error(1);
        assert!(error.contains(words), "{error}");
        fs::remove_file(run_dir.join("config.toml")).unwrap();
        std::os::unix::fs::symlink(file, run_dir.join("config.toml")).unwrap();
        let error = resume(&run_dir, "").error(1);
        assert!(error.contains("config.toml") && error.contains(words), "{error}");
    }
    fs::write(temp.path().join("long"), vec![b'#'; (1 << 20) + 1]).unwrap();
    let error = Done::of(training(temp.path(), "r", "--config {}/long")).error(1);
    assert!(error.contains("long: cannot read it: it has more than 1048576 bytes"), "{error}");
    assert!(!temp.path().join("r").exists());
}

#[test]
fn a_folder_with_nothing_but_leftovers_is_refused_plainly_and_takes_a_new_run() {
    let temp = tempfile::tempdir().unwrap();
    let run_dir = temp.path().join("r");
    let leave = || {
        fs::create_dir_all(&run_dir).unwrap();
        fs::write(run_dir.join(".partial-9sk3Aq"), "part").unwrap();
        fs::write(run_dir.join(LOCK_FILE), "1\n").unwrap();
    };
    leave();
    let error = resume(&run_dir, "").error(1);
    assert!(error.contains("no run to go on with") && error.contains("leave out --resume"), "{error}");
    for more in ["--overwrite --limit-steps 1", "--limit-steps 1"] {
        leave();
        Done::of(training(temp.path(), "r", more)).ok();
        assert!(!run_dir.join(".partial-9sk3Aq").exists() && run_dir.join("checkpoint.safetensors").is_file());
        fs::remove_dir_all(&run_dir).unwrap();
    }
}
