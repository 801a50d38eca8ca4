//! Tests that `scripts/read_clipshard.py`, which shares no code with `clipshard`, reads the files
//! of that crate and refuses the same invalid files. `scripts/check_clipshards.py` uses it to read
//! whole files and datasets.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use clipshard::{Access, Codec, Dataset, Decoder, Error, MANIFEST_FILE, Manifest};
use std::path::{Path, PathBuf};
use std::process::Command;

fn golden() -> PathBuf {
    "../shard/tests/golden".into()
}

/// Returns the dataset with samples of all types, arrays, attributes and other subsets.
fn golden_wide() -> PathBuf {
    "../shard/tests/golden-wide".into()
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
fn it_reads_the_same_samples_from_the_golden_shards() {
    for folder in [golden(), golden_wide()] {
        let data = Dataset::open(&folder).unwrap();
        let mut decoder = Decoder::new().unwrap();
        let (mut expected, mut shards) = (Vec::new(), Vec::new());
        for stream in &data.manifest().streams {
            let name = &stream.spec.name;
            for (_, records) in data.clips(name).unwrap() {
                let records = records.unwrap();
                for i in 0..records.frame_count() * records.planes() {
                    let (frame, plane) = (i / records.planes(), i % records.planes());
                    let record = records.record(frame, plane).unwrap();
                    let mut samples = vec![0; record.shape.bytes()];
                    records.decode(frame, plane, &mut decoder, &mut samples).unwrap();
                    // JPEG decoders differ, so the file is compared.
                    let crc32 = crc32fast::hash(if record.codec == Codec::Jpeg { &record.bytes } else { &samples });
                    let shape = match record.shape.u8_image_size() {
                        Some(size) => format!("{size} u8"),
                        None => record.shape.to_string(),
                    };
                    let (id, codec, filter) = (records.id(), record.codec as u8, record.filter as u8);
                    let stored = format!("{shape} codec {codec} filter {filter}");
                    expected.push(format!("{name} {id} {frame} {plane} {stored}: {crc32:08x}"));
                }
            }
            for shard in &stream.shards {
                let path = folder.join(&shard.file);
                let (clips, records) = (shard.clips, shard.records);
                shards.push(format!("{}: stream {name}, clips: {clips}, records: {records}", path.display()));
            }
        }
        expected.push(format!("{}: valid", folder.display()));
        let (success, all) = lines(&python(), &folder);
        let (shard_lines, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|line| line.contains(": stream "));
        assert!(success);
        assert_eq!((others, shard_lines), (expected, shards));
    }
}

#[test]
#[cfg_attr(not(has_python_zstd), ignore = "needs a python3 with zstandard: scripts/python_env.sh")]
fn it_returns_samples_that_numpy_takes() {
    let code = "import sys, array\n\
                sys.path.insert(0, '../scripts')\n\
                from read_clipshard import Shard\n\
                for name in 'audio', 'boxes', 'depth':\n \
                    shard = Shard(f'../shard/tests/golden-wide/{name}-00000.clipshard')\n \
                    entry = shard.entries(0)[1]\n \
                    values = array.array({'<i2': 'h', '<u2': 'H', '<f4': 'f'}[shard.dtype], shard.record(entry))\n \
                    print(name, shard.dtype, entry.shape, values[0], values[-1])\n";
    let output = Command::new(python()).args(["-c", code]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let data = Dataset::open(golden_wide()).unwrap();
    let mut decoder = Decoder::new().unwrap();
    let (mut audio, mut boxes, mut depth) = ([0_i16; 8], [0_f32; 16], [0_u16; 198]);
    data.clip("audio", 0).unwrap().decode_samples(1, 0, &mut decoder, &mut audio).unwrap();
    data.clip("boxes", 0).unwrap().decode_samples(1, 0, &mut decoder, &mut boxes).unwrap();
    data.clip("depth", 0).unwrap().decode_samples(1, 0, &mut decoder, &mut depth).unwrap();
    let expected = [
        format!("audio <i2 (4, 2) {} {}\n", audio[0], audio[7]),
        format!("boxes <f4 (4, 4) {:?} {:?}\n", boxes[0], boxes[15]),
        format!("depth <u2 (11, 18, 1) {} {}\n", depth[0], depth[197]),
    ];
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected.concat());
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

/// Runs the script on all files of a folder. Returns the last line about each file, which says
/// whether it is valid.
fn verdicts(folder: &Path) -> Vec<(String, String)> {
    let is_data = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "clipshard" || ending == "json");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = files.filter(is_data).collect();
    paths.sort();
    let output = Command::new(python()).arg(script()).args(&paths).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // A bug of the script does not count as a refusal.
    for mistake in ["Traceback", "NameError", "AttributeError", "UnboundLocalError", "ImportError", "KeyError"] {
        assert!(!text.contains(mistake), "{text}");
    }
    let verdict = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let start = format!("{}: ", path.display());
        let line = text.lines().rfind(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{name}: {text}"));
        (name, line[start.len()..].to_owned())
    };
    paths.iter().map(verdict).collect()
}

#[test]
#[cfg_attr(not(has_python_zstd), ignore = "needs a python3 with zstandard: scripts/python_env.sh")]
fn it_refuses_every_hostile_file_and_reads_every_unusual_one() {
    let hostile = verdicts(Path::new("../shard/tests/attacks"));
    for (name, verdict) in &hostile {
        let is_fault = ["ValueError: ", "JSONDecodeError: ", "UnicodeDecodeError: "];
        let fault = verdict.strip_prefix("refused: ").unwrap_or_else(|| panic!("{name}: {verdict}"));
        assert!(is_fault.iter().any(|kind| fault.starts_with(kind)), "{name}: {verdict}");
    }
    assert!(hostile.len() > 100, "{}", hostile.len());
    let unusual = verdicts(Path::new("../shard/tests/unusual"));
    for (name, verdict) in &unusual {
        assert_eq!(verdict, "valid", "{name}");
    }
    assert!(unusual.len() > 15, "{}", unusual.len());
}

/// Copies the golden dataset of all types, with a change of its manifest and a valid checksum.
fn copy_with(from: &str, to: &str) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(golden_wide()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), place.path().join(file.file_name())).unwrap();
    }
    let path = place.path().join(MANIFEST_FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{from}");
    let text = text.replace(from, to);
    let digits = text.find("crc32:").unwrap() + 6;
    let zeros = format!("{}00000000{}", &text[..digits], &text[digits + 8..]);
    let crc32 = crc32fast::hash(zeros.as_bytes());
    std::fs::write(path, format!("{}{crc32:08x}{}", &zeros[..digits], &zeros[digits + 8..])).unwrap();
    place
}

#[test]
#[cfg_attr(not(has_python_zstd), ignore = "needs a python3 with zstandard: scripts/python_env.sh")]
fn both_readers_refuse_a_manifest_that_states_another_form_of_records() {
    let depth = r#""name":"depth","planes":1,"channels":1,"samples":"u16""#;
    let boxes = r#""name":"boxes","planes":1,"channels":0,"samples":"f32","array":[4]"#;
    for (stream, from, to) in [
        ("depth", depth, depth.replace("u16", "i16")),
        ("depth", depth, depth.replace(r#","samples":"u16""#, "")),
        ("depth", depth, depth.replace(r#""channels":1"#, r#""channels":2"#)),
        ("boxes", boxes, boxes.replace("[4]", "[2,2]")),
        ("boxes", boxes, boxes.replace("[4]", "[]")),
        ("boxes", boxes, boxes.replace(r#""channels":0"#, r#""channels":4"#).replace(r#","array":[4]"#, "")),
        ("boxes", boxes, boxes.replace("f32", "u16").replace("[4]", "[8]")),
    ] {
        let place = copy_with(from, &to);
        let error = Dataset::open(place.path()).unwrap_err();
        assert!(matches!(error, Error::ForeignShard { .. }), "{to}: {error}");
        let (success, told) = lines(&python(), place.path());
        let fault = format!("{stream}: refused: ValueError: {stream}-00000.clipshard is not the shard that");
        assert!(!success && told.iter().any(|line| line.contains(&fault)), "{to}: {told:?}");
    }
}

#[test]
#[cfg_attr(not(has_python_zstd), ignore = "needs a python3 with zstandard: scripts/python_env.sh")]
fn both_readers_read_the_other_streams_if_one_is_missing_or_has_unknown_features() {
    let features = r#"{"name":"depth","planes":1,"channels":1,"samples":"u16""#;
    let unknown = r#"{"name":"depth","required_features":["waves"],"planes":-1,"channels":{},"samples":"u12""#;
    let with_features = copy_with(features, unknown);
    let without_shard = copy_with("\"clipshard\"", "\"clipshard\"");
    std::fs::remove_file(without_shard.path().join("depth-00000.clipshard")).unwrap();
    let others = ["audio", "boxes", "features", "tokens", "vectors"];
    for (place, fault) in [(with_features, "needs unknown features waves"), (without_shard, "FileNotFoundError")] {
        Manifest::read(place.path()).unwrap();
        assert!(Dataset::open(place.path()).is_err());
        assert!(Dataset::open_streams(place.path(), &["depth"], Access::Map).is_err());
        let data = Dataset::open_streams(place.path(), &others, Access::Map).unwrap();
        assert!(others.iter().all(|stream| data.clip(stream, 0).is_ok()));
        let (success, told) = lines(&python(), place.path());
        let depth = format!("{}: stream depth: refused: ", place.path().display());
        assert!(!success && told.iter().any(|line| line.starts_with(&depth) && line.contains(fault)), "{told:?}");
        for stream in others {
            let read = format!(": stream {stream}, clips: ");
            assert!(told.iter().any(|line| line.contains(&read)), "{stream}: {told:?}");
        }
        assert!(told.last().unwrap().ends_with("cannot read all streams: depth; the others are valid"), "{told:?}");
    }
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
        let is_refused = |(success, told): (bool, Vec<String>)| {
            let fault = ": refused: ValueError: not a regular file";
            assert!(!success && told.iter().any(|line| line.ends_with(fault)), "{told:?}");
        };
        is_refused(lines(&python, &dir));
        std::fs::remove_file(dir.join(name)).unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.join(name)).unwrap();
        is_refused(lines(&python, &dir));
    }
}
