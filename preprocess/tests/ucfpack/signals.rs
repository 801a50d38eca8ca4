//! Tests of signals: the exit status names the signal, and finished work stays.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::command::{after, ended, names, ucfpack, wait_until};

fn kill(child: &Child, signal: &str) {
    let status = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn synth(out: &Path, clips: &str) -> Command {
    let mut command = ucfpack();
    command.args(["synth", "--classes", "9", "--clips", clips, "--out"]).arg(out);
    command
}

/// Starts a long command, and sends it a signal once it writes.
fn stopped(command: &mut Command, place: &Path, signal: &str) -> Output {
    let child = start(command);
    let writes = || names(place).iter().any(|name| name.contains(".partial-"));
    wait_until(writes);
    kill(&child, signal);
    child.wait_with_output().unwrap()
}

#[test]
fn the_exit_status_is_128_and_the_signal() {
    for (signal, status) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let place = tempfile::tempdir().unwrap();
        let output = stopped(&mut synth(&place.path().join("tree"), "200"), place.path(), signal);
        ended(&output, status, "error: interrupted; nothing was written");
        assert_eq!(names(place.path()), Vec::<String>::new(), "{signal}");
    }
}

#[test]
fn nohup_is_respected() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("tree");
    let output = stopped(&mut after("trap '' HUP", &synth(&out, "12")), place.path(), "HUP");
    ended(&output, 0, "made 108 clips");
    assert_eq!(names(place.path()), ["tree"]);
    // Other signals still end it.
    let output = stopped(&mut after("trap '' HUP", &synth(&place.path().join("other"), "200")), place.path(), "TERM");
    ended(&output, 143, "interrupted");
}

/// Starts a build of one video, with programs instead of ffmpeg and ffprobe that record the call
/// and never answer.
fn build_with_silent_programs(place: &Path, answers: &str) -> Child {
    let (programs, videos) = (place.join("programs"), place.join("videos"));
    let _ = fs::remove_dir_all(&programs);
    fs::create_dir_all(&programs).unwrap();
    fs::create_dir_all(videos.join("A")).unwrap();
    fs::write(videos.join("A/v.avi"), "RIFF").unwrap();
    for name in ["ffmpeg", "ffprobe"] {
        fs::write(programs.join(name), format!("#!/bin/sh\n{answers}: >\"$0.asked\"; exec sleep 20\n")).unwrap();
        fs::set_permissions(programs.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = ucfpack();
    command.args(["build", "--dataset", "custom", "--flow-method", "none", "--videos"]).arg(&videos);
    command.arg("--out").arg(place.join("out"));
    let path = std::env::var("PATH").unwrap();
    // The stand-in programs must not inherit open pipes of the output.
    command.env("PATH", format!("{}:{path}", programs.display()));
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until(|| names(&programs).iter().any(|name| name.contains(".asked")));
    child
}

#[test]
fn a_second_signal_ends_at_once_even_if_a_read_blocks() {
    for (first, second, status) in [("INT", "INT", 130), ("TERM", "INT", 130), ("INT", "TERM", 143)] {
        let place = tempfile::tempdir().unwrap();
        // The call for the version blocks.
        let mut child = build_with_silent_programs(place.path(), "");
        kill(&child, first);
        std::thread::sleep(Duration::from_millis(200));
        assert!(child.try_wait().unwrap().is_none(), "it waits for the program that it asked");
        kill(&child, second);
        let started = Instant::now();
        let ended = child.wait().unwrap();
        assert!(started.elapsed() < Duration::from_secs(5));
        assert_eq!(ended.code(), Some(status));
    }
}

#[test]
fn a_signal_ends_the_wait_for_a_program_that_reads_a_video() {
    let place = tempfile::tempdir().unwrap();
    let version = "[ \"$1\" = -version ] && echo 'x version 5.1.9' && exit\n";
    let stopped = || {
        let child = build_with_silent_programs(place.path(), version);
        kill(&child, "TERM");
        let started = Instant::now();
        let output = child.wait_with_output().unwrap();
        assert!(started.elapsed() < Duration::from_secs(10));
        output
    };
    ended(&stopped(), 143, "error: interrupted; nothing was written");
    // Shards of an earlier build stay, and the error mentions them.
    let set = place.path().join(".out.partial/set");
    fs::create_dir_all(&set).unwrap();
    fs::write(set.join("rgb-00000.clipshard"), "a shard").unwrap();
    fs::write(place.path().join(".out.partial/build.json"), "{}").unwrap();
    ended(&stopped(), 143, "interrupted; 1 finished shard is kept in ");
    assert!(set.join("rgb-00000.clipshard").exists());
}
