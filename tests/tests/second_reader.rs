//! `scripts/read_clipshard.py`, which shares no code with `clipshard`, reads what that crate writes and refuses what it
//! refuses. `scripts/check_clipshards.py` reads whole files and data sets with it.
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

/// A Python, best one that decodes zstd: `CLIPSHARD_PYTHON`, what `scripts/python_env.sh` makes, the system's.
fn python() -> Option<(PathBuf, bool)> {
    let made = std::env::current_exe().ok()?.ancestors().nth(3)?.join("python/bin/python");
    let named = std::env::var_os("CLIPSHARD_PYTHON").map(PathBuf::from);
    let candidates: Vec<PathBuf> = named.into_iter().chain([made, "python3".into()]).collect();
    let runs = |python: &PathBuf, code: &str| {
        Command::new(python).args(["-c", code]).output().is_ok_and(|output| output.status.success())
    };
    let zstd = "try:\n import zstandard\nexcept ImportError:\n import compression.zstd";
    let with_zstd = candidates.iter().find(|python| runs(python, zstd));
    if let Some(python) = with_zstd {
        return Some((python.clone(), true));
    }
    candidates.into_iter().find(|python| runs(python, "")).map(|python| (python, false))
}

fn lines(python: &Path, path: &Path) -> (bool, Vec<String>) {
    let output = Command::new(python).arg(script()).arg(path).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text.lines().map(str::to_owned).collect())
}

#[test]
fn it_reads_the_same_pixels_from_the_golden_shards() {
    let Some((python, zstd)) = python() else {
        eprintln!("skipped: there is no python3 to run the second reader with");
        return;
    };
    let data = Dataset::open(golden()).unwrap();
    let mut decoder = Decoder::new().unwrap();
    let mut expected = Vec::new();
    for stream in &data.manifest().streams {
        let name = &stream.spec.name;
        for (_, records) in data.clips(name).unwrap() {
            let records = records.unwrap();
            for i in 0..records.frame_count() * records.planes() {
                let (frame, plane) = (i / records.planes(), i % records.planes());
                let record = records.record(frame, plane).unwrap();
                let mut pixels = vec![0; record.size.bytes()];
                records.decode(frame, plane, &mut decoder, &mut pixels).unwrap();
                // Decoders of JPEG differ, so its file is compared.
                let crc32 = crc32fast::hash(if record.codec == Codec::Jpeg { &record.bytes } else { &pixels });
                let shown = if record.codec == Codec::Zstd && !zstd {
                    "not decoded: zstd records need the module zstandard, or Python 3.14".to_owned()
                } else {
                    format!("{crc32:08x}")
                };
                let codec = record.codec as u8;
                expected.push(format!(
                    "{name} {} {frame} {plane} {} codec {codec}: {shown}",
                    records.id(),
                    record.size
                ));
            }
        }
    }
    expected.push(format!("{}: whole", golden().display()));
    assert_eq!(lines(&python, &golden()), (true, expected));
    if !zstd {
        eprintln!("in part: {} cannot decode zstd; scripts/python_env.sh makes one that can", python.display());
    }
}

#[test]
fn it_refuses_every_hostile_file() {
    let Some((python, zstd)) = python() else {
        eprintln!("skipped: there is no python3 to run the second reader with");
        return;
    };
    let folder = Path::new("../shard/tests/attacks");
    let mut tried = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // It reads no pixels of JPEG files, and without a module none of zstd.
        if !name.contains(".clipshard") && !name.contains(".json") || !zstd && name.starts_with("zstd") {
            continue;
        }
        let (success, lines) = lines(&python, &path);
        let last = lines.last().unwrap();
        assert!(!success && last.contains(": refused: "), "{name}: {lines:?}");
        // A mistake of the script is no refusal.
        let mistakes = ["Traceback", "NameError", "AttributeError", "UnboundLocalError", "ImportError"];
        assert!(!mistakes.iter().any(|mistake| lines.iter().any(|line| line.contains(mistake))), "{name}: {lines:?}");
        tried += 1;
    }
    assert!(tried > 50, "{tried}");
}

#[cfg(unix)]
#[test]
fn it_refuses_pipes_and_devices_and_does_not_wait_for_them() {
    let (python, _) = python().expect("python3 runs the second reader");
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
