//! `scripts/jhmdb.sh` with the built programs: clips of 15 frames whose names have odd characters.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use whole_program_tests::{Done, program};

/// Sources of the clips, as in names of JHMDB. Several clips have the same source.
const SOURCES: [&str; 3] = ["@20 Rhythm!", "Boom__(Snap) & Clap", "Faith_Rewarded_2"];

/// Makes two classes of six clips each, with lists of two splits. A source is in one subset of a split.
fn make_clips(dir: &Path) {
    fs::create_dir_all(dir.join("lists")).unwrap();
    let mut lists = [vec!["path,label,split\n".to_owned()], vec!["path,label,split\n".to_owned()]];
    for (class, filter) in [("clap", "testsrc2=size=48x36"), ("climb stairs", "mandelbrot=size=48x36")] {
        fs::create_dir_all(dir.join("clips").join(class)).unwrap();
        for (number, source) in SOURCES.into_iter().chain(SOURCES).enumerate() {
            let action = class.replace(' ', "_");
            let name = format!("{source}_{action}_u_nm_np1_fr_med_{number}");
            let file = dir.join("clips").join(class).join(format!("{name}.mp4"));
            let mut ffmpeg = Command::new("ffmpeg");
            ffmpeg.args(["-loglevel", "error", "-f", "lavfi", "-i", &format!("{filter}:rate=15")]);
            ffmpeg.args(["-frames:v", "15", "-pix_fmt", "yuv420p"]).arg(file);
            assert!(ffmpeg.status().unwrap().success());
            for (split, list) in lists.iter_mut().enumerate() {
                let subset = if number % 3 == split { "test" } else { "train" };
                list.push(format!("{class}/{name},{class},{subset}\n"));
            }
        }
    }
    for (split, list) in lists.into_iter().enumerate() {
        fs::write(dir.join(format!("lists/split{}.csv", split + 1)), list.concat()).unwrap();
    }
}

/// Runs the script into a folder.
fn benchmark(dir: &Path, out: &str) -> Done {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scripts/jhmdb.sh");
    let mut command = Command::new("bash");
    command.arg(script).current_dir(dir).args(["clips", "lists", out, "--splits", "1,2", "--weights", "none"]);
    command.args(["--epochs", "1", "--input-size", "32", "--val-share", "0.4", "--flow-method", "dis"]);
    command.args(["--", "--test-samples", "2", "--batch-size", "4", "--precise-bn", "0", "--threads", "2"]);
    command.env("UCFPACK", program("ucfpack")).env("UCFTRAIN", program("ucftrain"));
    Done::of(command)
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn the_benchmark_runs_twice_with_the_same_table() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    make_clips(dir);
    benchmark(dir, "a").ok();
    let table: Value = serde_json::from_slice(&fs::read(dir.join("a/table.json")).unwrap()).unwrap();
    let rows = table["rows"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["split"].as_str().unwrap()).collect::<Vec<_>>(), ["1", "2"]);
    // Four test clips per split.
    for row in rows {
        for column in ["spatial", "temporal", "fused", "fitted"] {
            let accuracy = row[column].as_f64().unwrap();
            assert!((0.0..=100.0).contains(&accuracy) && accuracy % 25.0 == 0.0, "{row}");
        }
    }
    // The val clips have one source of the training clips, and all streams have the same.
    let val = |stream: &str| {
        let mut command = Command::new(program("ucftrain"));
        let line = "--data a/packed --split 1 --val-share 0.4 --dry-run --json --weights none --input-size 32";
        command.current_dir(dir).arg(stream).args(line.split(' '));
        Done::of(command).json()["val"].clone()
    };
    let clips: Vec<String> = serde_json::from_value(val("spatial")).unwrap();
    assert_eq!(val("temporal"), val("spatial"));
    let sources: Vec<&str> =
        SOURCES.into_iter().filter(|source| clips.iter().any(|clip| clip.starts_with(source))).collect();
    assert!(clips.len() == 4 && sources.len() == 1 && sources[0] != SOURCES[0], "{clips:?}");

    benchmark(dir, "b").ok();
    for name in ["table.md", "table.json"] {
        assert_eq!(fs::read(dir.join("a").join(name)).unwrap(), fs::read(dir.join("b").join(name)).unwrap(), "{name}");
    }
    for name in ["minutes.md", "minutes.json", "report.html"] {
        assert!(dir.join("a").join(name).is_file(), "{name}");
    }
    let text = benchmark(dir, "a").ok();
    assert_eq!(text.matches(": complete\n").count(), 5, "{text}");
}
