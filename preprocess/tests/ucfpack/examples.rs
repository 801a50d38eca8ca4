//! Runs every example that the help texts show, each in a folder of its own that holds what the examples read.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::command::ucfpack;
use crate::faulty::copy_tree;

/// Each class has a clip for training (g02) and one for testing (g01).
const CLASSES: [&str; 2] = ["Archery", "Rowing"];
/// Number of frames of each video: as few as a clip needs.
const FRAMES: &str = "11";

/// Runs `ucfpack` in a folder.
fn run(dir: &Path, line: &str) {
    let output = ucfpack().args(line.split(' ')).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes small stand-ins for the published datasets: `UCF101` (frames), `UCF-101` (videos),
/// `ucfTrainTestlist`, `hmdb51`, `testTrainMulti_7030_splits`, `frames` with `clips.csv`,
/// `more-frames` with `more.csv`, `some.txt`, `ucf101.shards`, `own.shards`, `videos.shards`, and the parts
/// `part1` and `part2`.
fn stand_ins(dir: &Path) {
    run(dir, "synth --out synthetic --classes 2 --clips 4 --size 32x24");
    let synthetic = fs::read_to_string(dir.join("synthetic/lists/classInd.txt")).unwrap();
    let (lists, splits) = (dir.join("ucfTrainTestlist"), dir.join("testTrainMulti_7030_splits"));
    fs::create_dir(&lists).unwrap();
    fs::create_dir(&splits).unwrap();
    let (mut classes, mut train, mut test) = (String::new(), String::new(), String::new());
    for (label, (line, class)) in synthetic.lines().zip(CLASSES).enumerate() {
        let original = line.split_once(' ').unwrap().1;
        for group in ["g01", "g02"] {
            for plane in ["jpegs_256", "tvl1_flow/u", "tvl1_flow/v"] {
                let from = dir.join("synthetic").join(plane).join(format!("v_{original}_{group}_c01"));
                copy_tree(&from, &dir.join("UCF101").join(plane).join(format!("v_{class}_{group}_c01")));
            }
        }
        writeln!(classes, "{} {class}", label + 1).unwrap();
        writeln!(train, "{class}/v_{class}_g02_c01.avi {}", label + 1).unwrap();
        writeln!(test, "{class}/v_{class}_g01_c01.avi").unwrap();
        let list = format!("v_{class}_g02_c01.avi 1\nv_{class}_g01_c01.avi 2\n");
        fs::write(splits.join(format!("{class}_test_split1.txt")), list).unwrap();
    }
    for (name, text) in [("classInd.txt", classes), ("trainlist01.txt", train), ("testlist01.txt", test)] {
        fs::write(lists.join(name), text).unwrap();
    }
    fs::remove_dir_all(dir.join("synthetic")).unwrap();
    copy_tree(&dir.join("UCF101/jpegs_256"), &dir.join("hmdb51/jpegs_256"));
    copy_tree(&dir.join("UCF101"), &dir.join("frames"));
    let rows = "path,label,split\nv_Archery_g01_c01.avi,Archery,train\nv_Rowing_g01_c01.avi,Rowing,test\n";
    fs::write(dir.join("clips.csv"), rows).unwrap();
    run(dir, "build --tree UCF101 --lists ucfTrainTestlist --out ucf101.shards --flow-size 16");
    copy_tree(&dir.join("frames"), &dir.join("more-frames"));
    fs::write(dir.join("more.csv"), "path,label,split\nv_Archery_g02_c01.avi,Archery,train\n").unwrap();
    fs::write(dir.join("some.txt"), "v_Archery_g01_c01\nv_Rowing_g02_c01\n").unwrap();
    run(dir, "build --tree frames --dataset custom --lists clips.csv --out own.shards --flow-size 16");
    for part in ["1", "2"] {
        let line = "build --tree UCF101 --lists ucfTrainTestlist --flow-size 16 --shard-size 20KB";
        run(dir, &format!("{line} --out part{part} --part {part}/2"));
    }
    if cfg!(has_ffmpeg) {
        for entry in fs::read_dir(dir.join("UCF101/jpegs_256")).unwrap() {
            let path = entry.unwrap().path();
            let clip = path.file_name().unwrap().to_str().unwrap();
            let class = dir.join("UCF-101").join(clip.split('_').nth(1).unwrap());
            fs::create_dir_all(&class).unwrap();
            let mut command = Command::new("ffmpeg");
            command.args(["-v", "error", "-i"]).arg(path.join("frame%06d.jpg")).args([
                "-c:v",
                "mpeg4",
                "-frames:v",
                FRAMES,
            ]);
            assert!(command.arg(class.join(format!("{clip}.avi"))).status().unwrap().success());
        }
        let line = "build --videos UCF-101 --lists ucfTrainTestlist --classes Archery --flow-method none";
        run(dir, &format!("{line} --out videos.shards"));
    }
}

/// Returns the commands of each group of examples: the lines with four blanks or more, up to the next description.
fn examples(help: &str) -> Vec<String> {
    let mut examples = Vec::new();
    let lines = help.lines().skip_while(|line| *line != "Examples:").skip(1);
    for line in lines {
        if let Some(command) = line.strip_prefix("    ") {
            let last: &mut String = examples.last_mut().expect("a description comes before its commands");
            last.push_str(command);
            last.push('\n');
        } else {
            examples.push(String::new());
        }
    }
    examples.retain(|example| !example.is_empty());
    examples
}

#[test]
fn examples_of_the_help_run() {
    let shared = tempfile::tempdir().unwrap();
    stand_ins(shared.path());
    let mut count = 0;
    let commands = [
        "",
        "build",
        "extract",
        "merge",
        "add",
        "subset",
        "recode",
        "verify",
        "inspect",
        "export",
        "synth",
        "completions",
        "man",
    ];
    for command in commands {
        let help = ucfpack().args(command.split_whitespace()).arg("--help").output().unwrap().stdout;
        let examples = examples(&String::from_utf8(help).unwrap());
        assert!(!examples.is_empty(), "{command}");
        for example in examples.iter().filter(|example| cfg!(has_ffmpeg) || !example.contains("UCF-101")) {
            assert!(example.lines().all(|line| line.len() <= 76), "a terminal of 80 columns breaks a line: {example}");
            let temp = tempfile::tempdir().unwrap();
            copy_tree(shared.path(), temp.path());
            let script = format!("set -e\nucfpack() {{ '{}' \"$@\"; }}\n{example}", env!("CARGO_BIN_EXE_ucfpack"));
            let mut shell = Command::new("sh");
            let shell = shell.args(["-c", &script]).current_dir(temp.path()).env("HOME", temp.path());
            let output = shell.stdin(Stdio::null()).output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{example}: {text}");
            count += 1;
        }
    }
    assert!(count > 15, "{count}");
}
