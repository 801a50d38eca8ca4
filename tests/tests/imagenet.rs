//! `--weights imagenet` of the built program, with a server on this machine.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "an unexpected error fails the test")]

#[path = "../../train/src/fetch/tests/server.rs"]
mod server;

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use server::{Reply, Request, Server};
use tempfile::TempDir;
use whole_program_tests::synthetic_weights::{RESNET18, resnet18};
use whole_program_tests::{Done, args, program, run};

/// Options that keep a training small.
const SMALL: &str = "--input-size 32 --batch-size 4 --epochs 1 --limit-steps 1 --threads 2 --test-samples 1";

/// Makes a folder with a dataset.
fn folder() -> TempDir {
    let temp = tempfile::tempdir().unwrap();
    run("ucfpack", &args(temp.path(), "synth --out {}/tree --classes 2 --clips 4 --size 44x36")).ok();
    let build = "build --tree {}/tree --lists {}/tree/lists --out {}/packed --flow-size 32";
    run("ucfpack", &args(temp.path(), build)).ok();
    temp
}

/// Returns the command `ucftrain spatial` with ImageNet weights from `url`.
fn training(dir: &Path, url: &str, more: &str) -> Command {
    let mut command = Command::new(program("ucftrain"));
    command.args(args(dir, &format!("spatial --data {{}}/packed --weights imagenet {SMALL} {more}")));
    command.env("UCFTRAIN_CACHE", dir.join("cache")).env("TORCH_HOME", dir.join("torch"));
    command.env("UCFTRAIN_WEIGHTS_URL", url).env_remove("UCFTRAIN_OFFLINE");
    for proxy in ["http_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(proxy).env_remove(proxy.to_uppercase());
    }
    command
}

#[test]
fn a_training_downloads_its_weights_once_and_names_them() {
    let (temp, file) = (folder(), resnet18());
    let dir = temp.path();
    let served = file.clone();
    // The first connection is cut.
    let server = Server::new(move |request, earlier| Reply {
        cut: (earlier == 0).then_some(10_000_000),
        ..Reply::range(&served, request)
    });
    let proxy = Server::proxy();
    let mut command = training(dir, &server.url, "--run {}/a");
    command.env("HTTP_PROXY", &proxy.url);
    let text = Done::of(command).ok();
    let (cache, path) = (dir.join("cache"), dir.join("cache").join(RESNET18));
    assert!(text.contains(&format!("downloading {}/{RESNET18} to {}\n", server.url, cache.display())), "{text}");
    assert!(
        text.contains("downloaded 46.8 MB in ") && text.contains(&format!("weights: {}\n", path.display())),
        "{text}"
    );
    assert!(fs::read(&path).unwrap() == file, "the file differs");
    assert_eq!(server.requests().iter().map(Request::start).collect::<Vec<_>>(), [None, Some(10_000_000)]);
    assert_eq!(proxy.requests().len(), 2);

    let config = fs::read_to_string(dir.join("a/config.toml")).unwrap();
    assert!(config.contains("\nweights = \"imagenet\"\n"), "{config}");
    let log = fs::read_to_string(dir.join("a/log.jsonl")).unwrap();
    let start: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!((&start["event"], &start["weights_file"]), (&"start".into(), &path.to_str().into()));

    // The file is there: neither of these needs the network.
    Done::of(training(dir, &server.url, "--run {}/b --offline")).ok();
    Done::of(training(dir, &server.url, "--dry-run --offline")).ok();
    let of_config = args(dir, "spatial --config {}/a/config.toml --run {}/c --limit-steps 1");
    Done::of(with_environment(&training(dir, &server.url, ""), program("ucftrain"), of_config)).ok();
    // A resumed run needs no weights at all.
    fs::remove_dir_all(&cache).unwrap();
    Done::of(training(dir, &server.url, "--run {}/a --resume --offline")).ok();
    assert_eq!(server.requests().len(), 2);
}

/// Returns a command with the environment of another one.
fn with_environment(
    command: &Command,
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Command {
    let mut other = Command::new(program);
    other.args(arguments);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    other
}

#[test]
fn a_dry_run_says_what_it_would_download_and_writes_nothing() {
    let temp = folder();
    let server = Server::new(|_, _| Reply::error("404 Not Found"));
    let done = Done::of(training(temp.path(), &server.url, "--dry-run"));
    let cache = temp.path().join("cache");
    let expected = format!("the training will download {}/{RESNET18} to {} (47 MB)", server.url, cache.display());
    assert!(done.stderr.contains(&expected), "{}", done.stderr);
    done.ok();
    assert!(server.requests().is_empty() && !cache.exists());
}

#[test]
fn a_failed_download_leaves_no_run() {
    let temp = folder();
    let server = Server::new(|_, _| Reply::error("404 Not Found"));
    let error = Done::of(training(temp.path(), &server.url, "--run {}/run")).error(1);
    assert!(error.contains(&format!("cannot download {}/{RESNET18}: the server answered 404", server.url)), "{error}");
    assert!(!temp.path().join("run").exists());
    fs::create_dir(temp.path().join("run")).unwrap();
    fs::write(temp.path().join("run/thesis.tex"), "").unwrap();
    let error = Done::of(training(temp.path(), &server.url, "--run {}/run")).error(2);
    assert!(error.contains("the folder is not empty") && server.requests().len() == 1, "{error}");
}

#[test]
fn ctrl_c_keeps_the_part_and_the_next_run_continues_it() {
    let (temp, file) = (folder(), resnet18());
    let dir = temp.path();
    let half = file.len() / 2;
    let server = Server::new(move |request, earlier| {
        let mut reply = Reply::range(&file, request);
        if earlier == 0 {
            // The rest never comes.
            (reply.cut, reply.linger) = (Some(half), Duration::from_secs(600));
        }
        reply
    });
    let part = dir.join("cache").join(format!("{RESNET18}.part"));
    let mut child = training(dir, &server.url, "--run {}/run").stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while fs::metadata(&part).map_or(0, |metadata| metadata.len()) < half as u64 {
        assert!(start.elapsed() < Duration::from_secs(60), "the part does not grow");
        thread::sleep(Duration::from_millis(20));
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let asked = Instant::now();
    let status = child.wait().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(10), "a signal waits for the server");
    let mut error = String::new();
    child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert_eq!(status.code(), Some(130), "{error}");
    assert!(error.contains("stopped by SIGINT; the same command continues the download"), "{error}");
    Done::of(training(dir, &server.url, "--run {}/run")).ok();
    assert_eq!(server.requests().iter().map(Request::start).collect::<Vec<_>>(), [None, Some(half)]);
    assert!(!part.exists());
}

#[test]
fn a_full_disk_is_named_and_the_part_stays() {
    let (temp, file) = (folder(), resnet18());
    let dir = temp.path();
    let server = Server::new(move |request, _| Reply::range(&file, request));
    let command = training(dir, &server.url, "--run {}/run");
    let limit = "trap '' XFSZ; ulimit -f 4096; exec \"$0\" \"$@\"";
    let words = [OsStr::new("-c"), OsStr::new(limit), command.get_program()].into_iter().chain(command.get_args());
    let limited = with_environment(&command, "bash", words);
    let error = Done::of(limited).error(1);
    let cache = dir.join("cache");
    assert!(error.contains(&format!("{}: cannot write the download: ", cache.display())), "{error}");
    assert!(error.contains("File too large") && error.contains("name another folder in UCFTRAIN_CACHE"), "{error}");
    let kept = fs::metadata(cache.join(format!("{RESNET18}.part"))).unwrap().len();
    assert_eq!(kept, 4096 * 1024);
    Done::of(training(dir, &server.url, "--run {}/run")).ok();
    assert_eq!(server.requests()[1].start(), Some(kept as usize));
}
