//! Runs the examples at the end of each `--help` of `ucftrain`, on a small synthetic dataset and with small settings.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "an unexpected error fails the test")]

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use candle_core::{Device, Tensor};
use tempfile::TempDir;
use whole_program_tests::synthetic_weights::{RESNET18, resnet18};
use whole_program_tests::{Done, args, program, run};

const COMMANDS: [&str; 12] = [
    "",
    "spatial",
    "temporal",
    "difference",
    "eval",
    "fuse",
    "predict",
    "export",
    "import",
    "report",
    "bench loader",
    "bench step",
];

/// Options that keep a training small.
const SMALL: &str =
    "--input-size 32 --batch-size 4 --epochs 1 --limit-steps 1 --threads 2 --test-samples 1 --precise-bn 0";

/// Returns the examples of a command's help.
fn examples(command: &str) -> Vec<String> {
    let help = run("ucftrain", &args(Path::new("."), &format!("{command} --help"))).ok();
    let (_, examples) = help.split_once("Examples:\n").unwrap_or_else(|| panic!("{command} has no examples"));
    examples.lines().map(|line| line.trim().to_owned()).collect()
}

/// Makes all files that the examples name: a dataset with a clip `v_Archery_g01_c01`, lists,
/// weights, runs and scores.
fn shared(dir: &Path) {
    run("ucfpack", &args(dir, "synth --out {}/tree --classes 2 --clips 4 --size 44x36 --seed 5")).ok();
    let clips = fs::read_dir(dir.join("tree/jpegs_256")).unwrap().map(|clip| clip.unwrap().file_name());
    let clip = clips.map(|clip| clip.into_string().unwrap()).find(|clip| clip.ends_with("_g01_c01")).unwrap();
    let class = clip.strip_prefix("v_").and_then(|clip| clip.strip_suffix("_g01_c01")).unwrap();
    for folder in ["jpegs_256", "tvl1_flow/u", "tvl1_flow/v"] {
        for entry in fs::read_dir(dir.join("tree").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().replace(class, "Archery");
            fs::rename(&path, path.with_file_name(name)).unwrap();
        }
    }
    for entry in fs::read_dir(dir.join("tree/lists")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replace(class, "Archery")).unwrap();
    }
    fs::rename(dir.join("tree/lists"), dir.join("ucfTrainTestlist")).unwrap();
    let build = "build --tree {}/tree --lists {}/ucfTrainTestlist --out {}/ucf101.shards --flow-size 32";
    run("ucfpack", &args(dir, build)).ok();
    // The same clips with validation clips.
    let mut rows = String::from("path,label,split\n");
    for entry in fs::read_dir(dir.join("tree/jpegs_256")).unwrap() {
        let clip = entry.unwrap().file_name().into_string().unwrap();
        let label = clip.split('_').nth(1).unwrap();
        let split = match &clip[clip.len() - 7..] {
            "g01_c01" => "test",
            "g02_c01" => "val",
            _ => "train",
        };
        writeln!(rows, "{clip},{label},{split}").unwrap();
    }
    fs::create_dir(dir.join("own")).unwrap();
    fs::write(dir.join("own/own.csv"), rows).unwrap();
    // Classes have the order of the network's classes.
    let classes = fs::read_to_string(dir.join("ucfTrainTestlist/classInd.txt")).unwrap();
    let names: Vec<&str> = classes.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    fs::write(dir.join("own/classes.txt"), names.join("\n")).unwrap();
    let build = "build --tree {}/tree --dataset custom --lists {}/own/own.csv --out {}/own.shards --flow-size 32";
    run("ucfpack", &args(dir, build)).ok();
    for stream in ["spatial", "temporal", "difference"] {
        let name = format!("runs/{stream}");
        let line = format!("{stream} --data {{}}/ucf101.shards --run {{}}/{name} --weights none {SMALL}");
        let line = line.replace("--limit-steps 1 ", "");
        run("ucftrain", &args(dir, &line)).ok();
        // The runs of two splits have the same clips here; `fuse` still averages them.
        for split in ["split1", "split2"] {
            let folder = dir.join(split).join(stream);
            fs::create_dir_all(&folder).unwrap();
            fs::copy(dir.join(&name).join("scores.npz"), folder.join("scores.npz")).unwrap();
        }
    }
    fs::copy(dir.join("runs/temporal/scores.npz"), dir.join("temporal.npz")).unwrap();
    run("ucftrain", &args(dir, "export --run {}/runs/spatial --out {}/spatial.safetensors")).ok();
    // Without metadata, as other programs write it.
    let tensors: HashMap<String, Tensor> =
        candle_core::safetensors::load(dir.join("spatial.safetensors"), &Device::Cpu).unwrap();
    candle_core::safetensors::save(&tensors, dir.join("model.pth")).unwrap();
    fs::rename(dir.join("spatial.safetensors"), dir.join("resnet18.safetensors")).unwrap();
    fs::create_dir(dir.join("cache")).unwrap();
    fs::write(dir.join("cache").join(RESNET18), resnet18()).unwrap();
}

/// Makes the file `video.mp4`.
fn film(dir: &Path) {
    let line = "-loglevel error -y -f lavfi -i testsrc=size=64x48:rate=25 -frames:v 14 -c:v mpeg4";
    assert!(Command::new("ffmpeg").args(line.split(' ')).arg(dir.join("video.mp4")).status().unwrap().success());
}

/// Returns the example with options that make it small, and prepares the folder for it.
fn small(dir: &Path, example: &str) -> String {
    let words: Vec<&str> = example.split_whitespace().collect();
    match words[1] {
        "spatial" | "temporal" | "difference" if example.contains("--dry-run") => format!("{example} --input-size 32"),
        // One more epoch than the run has.
        "spatial" | "temporal" | "difference" if example.contains("--resume") => format!("{example} --epochs 2"),
        "spatial" | "temporal" | "difference" => {
            let folder = dir.join(words[words.iter().position(|word| *word == "--run").unwrap() + 1]);
            if folder.exists() {
                fs::remove_dir_all(folder).unwrap();
            }
            format!("{example} {SMALL}")
        }
        "bench" => {
            let step = if words[2] == "step" { " --device cpu" } else { "" };
            let mut kept = Vec::new();
            let mut rest = words.into_iter();
            while let Some(word) = rest.next() {
                if ["--seconds", "--device", "--batch-size", "--threads"].contains(&word) {
                    rest.next();
                } else {
                    kept.push(word);
                }
            }
            format!("{} --seconds 0.1 --batch-size 2 --input-size 32 --threads 2{step}", kept.join(" "))
        }
        "predict" if example.contains("video.mp4") => {
            film(dir);
            format!("{example} --flow-method dis")
        }
        _ => example.to_owned(),
    }
}

/// Runs the examples that `is_wanted` accepts, in a folder that all tests share. One test uses it at a time.
fn run_examples(is_wanted: impl Fn(&str) -> bool) {
    static FOLDER: Mutex<Option<TempDir>> = Mutex::new(None);
    let mut folder = FOLDER.lock().unwrap();
    let temp = folder.get_or_insert_with(|| {
        let temp = tempfile::tempdir().unwrap();
        shared(temp.path());
        temp
    });
    let dir = temp.path();
    // `import` reads a file that an example of `export` writes, so the examples run in the order of
    // the commands.
    let mut examples: Vec<String> = COMMANDS.into_iter().flat_map(examples).collect();
    assert!(examples.len() > 25, "{examples:?}");
    let mut seen = HashSet::new();
    examples.retain(|example| is_wanted(example) && seen.insert(example.clone()));
    // Training replaces the runs that other examples read, so it comes last.
    examples.sort_by_key(|example| {
        [" spatial ", " temporal ", " difference "].iter().any(|command| example.contains(command))
    });
    for example in examples {
        assert!(example.starts_with("ucftrain "), "{example}");
        let line = small(dir, &example);
        let mut command = Command::new(program("ucftrain"));
        command.args(line.split_whitespace().skip(1)).current_dir(dir);
        // `--weights imagenet` finds its file there.
        command.env("UCFTRAIN_CACHE", dir.join("cache")).env("UCFTRAIN_OFFLINE", "1");
        let done = Done::of(command);
        assert_eq!(done.code, Some(0), "{line}\n{}", done.stderr);
    }
}

#[test]
fn the_examples_of_each_help_run() {
    run_examples(|example| !example.contains("video.mp4"));
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn the_examples_with_a_video_run() {
    run_examples(|example| example.contains("video.mp4"));
}
