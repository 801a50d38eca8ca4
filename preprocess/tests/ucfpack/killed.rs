//! Tests that kill the program many times at arbitrary moments.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clipshard::Dataset;

use crate::pack::files;
use crate::tree::Tree;

fn build(tree: &Tree, out: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ucfpack"));
    command.args(["build", "--shard-size", "450000", "--flow-size", "native"]).args(arguments);
    command.arg("--tree").arg(tree.root()).arg("--lists").arg(tree.lists()).arg("--out").arg(out);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Starts the build repeatedly, kills it a little later each time, and calls `check` after each
/// run. Returns the number of kills.
fn kill_until_done(mut build: impl FnMut() -> Command, longest: Duration, mut check: impl FnMut()) -> u32 {
    // An odd divisor, so that the moments do not repeat.
    let step = longest / 53;
    let mut kills = 0;
    for round in 1.. {
        let mut child = build().spawn().unwrap();
        let started = Instant::now();
        let deadline = step * round;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if started.elapsed() >= deadline {
                // SIGKILL, so no handler runs.
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_micros(200));
        };
        check();
        match status {
            Some(status) => {
                let output = child.wait_with_output().unwrap();
                assert!(status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                return kills;
            }
            None => kills += 1,
        }
    }
    unreachable!("the loop has no end")
}

fn duration_of(mut command: Command) -> Duration {
    let started = Instant::now();
    assert!(command.status().unwrap().success());
    started.elapsed()
}

#[test]
fn killed_again_and_again_a_build_ends_in_the_same_bytes() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let (reference, out) = (place.path().join("reference"), place.path().join("out"));
    let longest = duration_of(build(&tree, &reference, &[]));
    let reference = files(&reference);
    let mut seen = 0;
    let mut kills = 0;
    // A build ends as soon as it has time for all shards, so several builds are needed.
    for _ in 0..3 {
        kills += kill_until_done(
            || build(&tree, &out, &["--resume"]),
            longest,
            || {
                // The dataset is complete or absent.
                if out.exists() {
                    assert!(files(&out) == reference);
                    Dataset::open(&out).unwrap();
                }
                let set = place.path().join(".out.partial/set");
                for entry in fs::read_dir(set).into_iter().flatten() {
                    let path = entry.unwrap().path();
                    if path.extension().is_some_and(|ending| ending == "clipshard") {
                        seen += 1;
                        assert!(fs::read(&path).unwrap() == reference[Path::new(path.file_name().unwrap())]);
                    }
                }
            },
        );
        assert!(files(&out) == reference);
        fs::remove_dir_all(&out).unwrap();
    }
    println!("killed {kills} times, {seen} finished shards seen");
    assert!(kills >= 20, "killed {kills} times only");
    assert!(seen > 0, "no finished shard was ever seen after a kill");
}

#[test]
fn killed_while_it_overwrites_a_build_leaves_the_old_set_or_the_new() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let (new, out) = (place.path().join("new"), place.path().join("out"));
    let longest = duration_of(build(&tree, &new, &["--flow-codec", "jpeg"]));
    let new = files(&new);
    assert!(build(&tree, &out, &[]).status().unwrap().success());
    let old = files(&out);
    let kills = kill_until_done(
        || build(&tree, &out, &["--flow-codec", "jpeg", "--overwrite", "--resume"]),
        longest,
        || {
            let there = files(&out);
            assert!(there == old || there == new);
        },
    );
    assert!(files(&out) == new);
    println!("killed {kills} times");
    assert!(kills >= 5, "killed {kills} times only");
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_finished_shards_and_says_how_to_go_on() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let set = place.path().join(".out.partial/set");
    let has_shard = || {
        let entries = fs::read_dir(&set).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.path().extension().is_some_and(|ending| ending == "clipshard"))
    };
    // If the build ends before the signal arrives, it is repeated.
    for _ in 0..50 {
        let mut child = build(&tree, &out, &["--level", "22", "--jobs", "1"]).spawn().unwrap();
        while !has_shard() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_micros(200));
        }
        let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        if output.status.success() {
            fs::remove_dir_all(&out).unwrap();
            continue;
        }
        assert_eq!(output.status.code(), Some(130), "{stderr}");
        assert!(stderr.contains("error: interrupted; ") && stderr.contains("finished shard"), "{stderr}");
        assert!(stderr.contains("run the same command with --resume to continue"), "{stderr}");
        assert!(!out.exists() && has_shard());
        assert!(build(&tree, &out, &["--level", "22", "--resume"]).status().unwrap().success());
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        return;
    }
    panic!("no interruption met a build with finished shards");
}
