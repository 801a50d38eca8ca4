//! Tests with a closed pipe at stdout or stderr, and with a full disk behind stdout.

use super::{Running, end, logged_epochs, names, shared, state, training};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use whole_program_tests::{args, program};

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
    let clip = clipshard::Dataset::open(shared().join("packed")).unwrap().manifest().clips[0].id.clone();
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
            assert!(text.contains("error: cannot write the result to stdout: "), "{line}: {text}");
            assert!(!text.contains("panicked"), "{line}: {text}");
        }
    }
    assert_eq!(names(temp.path()), ["scores.npz", "sheet.png"], "files are written before the text is");
    // These messages are no results: the files exist without them.
    for line in [
        format!("report {run_dir} --out {{}}/page.html"),
        format!("export --run {run_dir} --out {{}}/net.safetensors --overwrite"),
        format!("import {{}}/net.safetensors --stream temporal --data {data} --out {{}}/back.safetensors --overwrite"),
    ] {
        let full = File::create("/dev/full").unwrap();
        let mut command = Command::new(program("ucftrain"));
        let output = command.args(args(temp.path(), &line)).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && text.contains("cannot write to stdout: No space left"), "{line}: {text}");
    }
    assert_eq!(names(temp.path()).len(), 5);
}
