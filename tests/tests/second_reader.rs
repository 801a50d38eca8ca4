//! Tests that `scripts/read_clipshard.py`, which shares no code with `clipshard`, reads the files
//! of that crate and refuses the same invalid files. `scripts/check_clipshards.py` uses it to read
//! whole files and datasets.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use clipshard::{Codec, Dataset, Decoder};
use std::path::{Path, PathBuf};
use std::process::Command;

fn golden() -> PathBuf {
    "../shard/tests/golden".into()
}

fn script() -> PathBuf {
    "../scripts/check_clipshards.py".into()
}

/// Returns a Python that decodes zstd: `CLIPSHARD_PYTHON`, the one of `scripts/python_env.sh`, or
/// the system's. `build.rs` looks for the same ones.
fn python() -> PathBuf {
    let made = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("python/bin/python");
    let named = std::env::var_os("CLIPSHARD_PYTHON").map(PathBuf::from);
    let code = "try:\n import zstandard\nexcept ImportError:\n import compression.zstd";
    let decodes =
        |python: &PathBuf| Command::new(python).args(["-c", code]).output().is_ok_and(|output| output.status.success());
    let mut candidates = named.into_iter().chain([made, "python3".into()]);
    candidates.find(decodes).expect("a python3 with zstandard; scripts/python_env.sh makes one")
}

fn lines(python: &Path, path: &Path) -> (bool, Vec<String>) {
    let output = Command::new(python).arg(script()).arg("-v").arg(path).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text.lines().map(str::to_owned).collect())
}

#[test]
#[cfg_attr(not(has_python_zstd), ignore = "needs a python3 with zstandard: scripts/python_env.sh")]
fn it_reads_the_same_pixels_from_the_golden_shards() {
    let python = python();
    let data = Dataset::open(golden()).unwrap();
    let mut decoder = Decoder::new().unwrap();
    let (mut expected, mut shards) = (Vec::new(), Vec::new());
    for stream in &data.manifest().streams {
        let name = &stream.spec.name;
        for (_, records) in data.clips(name).unwrap() {
            let records = records.unwrap();
            for i in 0..records.frame_count() * records.planes() {
                let (frame, plane) = (i / records.planes(), i % records.planes());
                let record = records.record(frame, plane).unwrap();
                let mut pixels = vec![0; record.shape.bytes()];
                records.decode(frame, plane, &mut decoder, &mut pixels).unwrap();
                // JPEG decoders differ, so the file is compared.
                let crc32 = crc32fast::hash(if record.codec == Codec::Jpeg { &record.bytes } else { &pixels });
                let codec = record.codec as u8;
                expected.push(format!(
                    "{name} {} {frame} {plane} {} codec {codec}: {crc32:08x}",
                    records.id(),
                    record.shape
                ));
            }
        }
        for shard in &stream.shards {
            let path = golden().join(&shard.file);
            shards.push(format!(
                "{}: stream {name}, clips: {}, records: {}",
                path.display(),
                shard.clips,
                shard.records
            ));
        }
    }
    expected.push(format!("{}: valid", golden().display()));
    let (success, all) = lines(&python, &golden());
    let (shard_lines, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|line| line.contains(": stream "));
    assert!(success);
    assert_eq!((others, shard_lines), (expected, shards));
}

#[test]
#[cfg_attr(not(has_python_zstd), ignore = "needs a python3 with zstandard: scripts/python_env.sh")]
fn it_prints_records_only_if_asked_and_its_help() {
    let output = Command::new(python()).arg(script()).arg(golden()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let shards = std::fs::read_dir(golden())
        .unwrap()
        .filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|ending| ending == "clipshard"));
    assert!(output.status.success());
    assert_eq!(text.lines().count(), shards.count() + 1, "{text}");
    let help = Command::new(python()).arg(script()).arg("--help").output().unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success() && text.starts_with("Checks shards") && text.contains("-v"), "{text}");
    assert_eq!(Command::new(python()).arg(script()).arg("--all").output().unwrap().status.code(), Some(2));
}

#[cfg(unix)]
#[test]
fn the_demo_prints_its_help_and_refuses_options() {
    let demo = |word: &str| Command::new("bash").args(["../scripts/demo.sh", word]).output().unwrap();
    let help = demo("--help");
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success() && text.contains("scripts/demo.sh [DIR]") && !text.contains("set -"), "{text}");
    assert_eq!(demo("--fast").status.code(), Some(2));
}

#[test]
#[cfg_attr(not(has_python_zstd), ignore = "needs a python3 with zstandard: scripts/python_env.sh")]
fn it_refuses_every_hostile_file() {
    let python = python();
    let folder = Path::new("../shard/tests/attacks");
    let mut tried = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.contains(".clipshard") && !name.contains(".json") {
            continue;
        }
        let (success, lines) = lines(&python, &path);
        let last = lines.last().unwrap();
        assert!(!success && last.contains(": refused: "), "{name}: {lines:?}");
        // A bug of the script does not count as a refusal.
        let mistakes = ["Traceback", "NameError", "AttributeError", "UnboundLocalError", "ImportError"];
        assert!(!mistakes.iter().any(|mistake| lines.iter().any(|line| line.contains(mistake))), "{name}: {lines:?}");
        tried += 1;
    }
    assert!(tried > 50, "{tried}");
}

#[cfg(unix)]
#[test]
#[cfg_attr(not(has_python_zstd), ignore = "needs a python3 with zstandard: scripts/python_env.sh")]
fn it_refuses_pipes_and_devices_and_does_not_wait_for_them() {
    let python = python();
    let place = tempfile::tempdir().unwrap();
    for (name, other) in [("flow-00000.clipshard", "rgb-00000.clipshard"), ("manifest.json", "flow-00000.clipshard")] {
        let dir = place.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        for file in std::fs::read_dir(golden()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), dir.join(file.file_name())).unwrap();
        }
        assert!(dir.join(other).exists());
        std::fs::remove_file(dir.join(name)).unwrap();
        assert!(Command::new("mkfifo").arg(dir.join(name)).status().unwrap().success());
        let (success, told) = lines(&python, &dir);
        assert!(!success && told.last().unwrap().ends_with(": refused: ValueError: not a regular file"), "{told:?}");
        std::fs::remove_file(dir.join(name)).unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.join(name)).unwrap();
        let (success, told) = lines(&python, &dir);
        assert!(!success && told.last().unwrap().ends_with(": refused: ValueError: not a regular file"), "{told:?}");
    }
}
