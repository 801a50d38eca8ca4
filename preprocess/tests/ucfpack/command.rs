//! Helpers that run the program and check its outcome.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::tree::Tree;

pub fn ucfpack() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ucfpack"))
}

/// Returns a command that packs a tree with small flow.
pub fn build(tree: &Tree, out: &Path) -> Command {
    let mut command = ucfpack();
    command.arg("build").arg("--tree").arg(tree.root()).arg("--lists").arg(tree.lists()).arg("--out").arg(out);
    command.args(["--flow-size", "28"]);
    command
}

/// Wraps a command in a shell that runs `shell` first.
pub fn after(shell: &str, command: &Command) -> Command {
    let mut wrapped = Command::new("sh");
    wrapped.arg("-c").arg(format!("{shell}; exec \"$0\" \"$@\"")).arg(command.get_program()).args(command.get_args());
    wrapped
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Checks the exit status and the output.
pub fn ended(output: &Output, status: i32, words: &str) {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{text}");
    assert!(text.contains(words), "expected {words:?} in: {text}");
}

/// Runs a command, for at most a minute.
pub fn output_soon(command: &mut Command) -> Output {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("it does not end: {command:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

/// Waits until a condition holds, for at most a minute.
pub fn wait_until(is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Returns the sorted names in a folder.
pub fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}
