//! Tests that pipes and devices instead of the files of a dataset give an error, and do not block
//! or run without end.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod sample;

use clipshard::{Access, Dataset, Error, MANIFEST_FILE, Manifest, Shard, VerifyDepth, verify};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

/// Copies the golden dataset.
fn copy() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(sample::golden()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
    }
    dir
}

fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Copies the golden dataset with a pipe, an endless device or a folder instead of one file.
/// Returns each copy with the name of that type of file.
fn replaced(file: &str) -> Vec<(TempDir, &'static str)> {
    let replace = |make: fn(&Path)| {
        let dir = copy();
        std::fs::remove_file(dir.path().join(file)).unwrap();
        make(&dir.path().join(file));
        dir
    };
    vec![
        (replace(make_pipe), "a named pipe"),
        (replace(|path| symlink("/dev/zero", path).unwrap()), "a device"),
        (replace(|path| std::fs::create_dir(path).unwrap()), "a folder"),
    ]
}

/// Does work in another thread, and panics if it takes too long.
fn soon<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, result) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    result.recv_timeout(Duration::from_secs(30)).expect("it waits for a pipe or reads a device to its end")
}

/// Asserts that an error names the path and the type of the file.
fn assert_names(error: &Error, path: &Path, what: &str) {
    let text = error.to_string();
    assert!(text.contains(&path.display().to_string()), "{text}");
    assert!(text.ends_with(&format!("it is {what}, not a regular file")), "{text}");
}

#[test]
fn a_manifest_that_is_not_a_regular_file_is_refused_at_once() {
    for (dir, what) in replaced(MANIFEST_FILE) {
        let dir_path = dir.path().to_owned();
        let (read, opened, verified) = soon(move || {
            let dir = dir_path.as_path();
            (
                Manifest::read(dir).unwrap_err(),
                Dataset::open(dir).err().unwrap(),
                verify(dir, VerifyDepth::Quick, &|_| {}),
            )
        });
        for error in [read, opened, verified.unwrap_err()] {
            assert_names(&error, &dir.path().join(MANIFEST_FILE), what);
        }
    }
}

#[test]
fn a_shard_that_is_not_a_regular_file_is_refused_at_once() {
    for (dir, what) in replaced("flow-00001.clipshard") {
        let path: PathBuf = dir.path().join("flow-00001.clipshard");
        let (dir_path, shard) = (dir.path().to_owned(), path.clone());
        let (mapped, read, opened, verified) = soon(move || {
            let open = |access| Shard::open_with(&shard, access).err().unwrap();
            let dir = dir_path.as_path();
            (
                open(Access::Map),
                open(Access::Read),
                Dataset::open(dir).err().unwrap(),
                verify(dir, VerifyDepth::Deep, &|_| {}),
            )
        });
        for error in [mapped, read, opened] {
            assert_names(&error, &path, what);
        }
        let damage: Vec<String> = verified.unwrap().damage.iter().map(ToString::to_string).collect();
        assert_eq!(damage, [format!("{}: cannot open it: it is {what}, not a regular file", path.display())]);
    }
}

#[test]
fn a_manifest_is_not_rebuilt_past_a_stray_pipe() {
    let dir = copy();
    let whole = Manifest::rebuild(dir.path()).unwrap();
    assert_eq!(whole.clips.len(), 2);
    make_pipe(&dir.path().join("stray.clipshard"));
    let path = dir.path().to_owned();
    let error = soon(move || Manifest::rebuild(&path).unwrap_err()).to_string();
    assert_eq!(error, format!("{}: stray.clipshard is a named pipe, not a shard; move it away", dir.path().display()));
    std::fs::remove_file(dir.path().join("stray.clipshard")).unwrap();
    assert_eq!(Manifest::rebuild(dir.path()).unwrap(), whole);
}

#[test]
fn a_shard_is_read_through_links() {
    let dir = copy();
    let links = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        symlink(file.path(), links.path().join(file.file_name())).unwrap();
    }
    assert!(verify(links.path(), VerifyDepth::Deep, &|_| {}).unwrap().damage.is_empty());
}

/// Runs in a separate process, because the umask applies to all threads of a process.
#[test]
fn files_are_as_open_as_the_umask_allows() {
    use std::os::unix::fs::PermissionsExt;
    if let Some(folder) = std::env::var_os("CLIPSHARD_UMASK_TEST") {
        sample::build(Path::new(&folder));
        return;
    }
    for (umask, mode) in [("0027", 0o640), ("0022", 0o644), ("0002", 0o664), ("0077", 0o600)] {
        let dir = tempfile::tempdir().unwrap();
        let run = Command::new("sh")
            .args(["-c", &format!("umask {umask} && exec \"$0\" files_are_as_open_as_the_umask_allows --exact")])
            .arg(std::env::current_exe().unwrap())
            .env("CLIPSHARD_UMASK_TEST", dir.path())
            .output()
            .unwrap();
        assert!(run.status.success(), "{run:?}");
        let mut seen = 0;
        for file in std::fs::read_dir(dir.path()).unwrap() {
            let file = file.unwrap();
            let found = file.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{} under umask {umask}", file.path().display());
            seen += 1;
        }
        assert_eq!(seen, 4, "three shards and a manifest");
    }
}
