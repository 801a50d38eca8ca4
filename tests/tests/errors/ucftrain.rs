//! Errors of `ucftrain`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use clipshard::Manifest;
use tempfile::TempDir;
use whole_program_tests::{args, run};

use crate::snapshot::{Case, check};

const INTRODUCTION: &str = "\
Errors of ucftrain, as a user sees them. tests/tests/errors/ucftrain.rs provokes each of them in a
folder of its own, DIR, with a frame tree (tree/), its lists (tree/lists/), a dataset that was packed
from it (packed/) and scores files. Cases that need a trained network also have the run folder
runs/spatial/.
Written by: UPDATE_SNAPSHOTS=1 cargo test --workspace --test errors";

/// Settings of a training that takes a moment.
const SMALL: &str = "--weights none --input-size 32 --batch-size 4 --epochs 1 --threads 2";

/// Returns the command that trains one epoch on the packed dataset.
fn train(more: &str) -> String {
    format!("ucftrain spatial --data packed --run run {SMALL} {more}").trim_end().to_owned()
}

/// Makes the folder that each case finds.
fn shared(dir: &Path) {
    run("ucfpack", &args(dir, "synth --out {}/tree --classes 4 --clips 4 --size 44x36")).ok();
    run("ucfpack", &args(dir, "build --tree {}/tree --lists {}/tree/lists --out {}/packed --flow-size 32")).ok();
    for (file, text) in [
        ("a.csv", "name,label,c0,c1\nv_Run_g01_c01,0,2,1\nv_Jump_g01_c01,1,1,2\n"),
        ("b.csv", "name,label,c0,c1\nv_Run_g01_c01,0,3,1\nv_Jump_g01_c01,1,1,3\n"),
        ("other_clips.csv", "name,label,c0,c1\nv_Run_g01_c01,0,3,1\nv_Jump_g02_c01,1,1,3\n"),
        ("three_classes.csv", "name,label,c0,c1,c2\nv_Run_g01_c01,0,3,1,1\nv_Jump_g01_c01,1,1,3,1\n"),
        ("other_labels.csv", "name,label,c0,c1\nv_Run_g01_c01,1,3,1\nv_Jump_g01_c01,1,1,3\n"),
        ("unlabelled.csv", "name,c0,c1\nv_Run_g01_c01,2,1\nv_Jump_g01_c01,1,2\n"),
        ("cell.csv", "name,label,c0,c1\nv_Run_g01_c01,0,two,1\nv_Jump_g01_c01,1,1,2\n"),
        ("nan.csv", "name,label,c0,c1\nv_Run_g01_c01,0,NaN,1\nv_Jump_g01_c01,1,1,2\n"),
        ("twice.csv", "name,label,c0,c1\nv_Run_g01_c01,0,2,1\nRun_g01_c01.avi,0,1,2\n"),
        ("notes.txt", "These are no scores.\n"),
    ] {
        fs::write(dir.join(file), text).unwrap();
    }
}

/// Returns the run folder of a network, trained once for all cases on the dataset `packed`.
fn trained(shared: &Path) -> PathBuf {
    static RUN: OnceLock<TempDir> = OnceLock::new();
    let train = || {
        let temp = tempfile::tempdir().unwrap();
        let data = shared.join("packed");
        let line = format!("spatial --data {} --run {{}}/run {SMALL} --lr 0.01 --test-samples 2", data.display());
        run("ucftrain", &args(temp.path(), &line)).ok();
        temp
    };
    RUN.get_or_init(train).path().join("run")
}

/// Makes a case that finds the run folder `runs/spatial`. Its files are hard links, so `prepare` must
/// replace a file to change it.
fn with_run(shared: &Path, title: &'static str, command: &str, prepare: impl Fn(&Path) + 'static) -> Case {
    let trained = trained(shared);
    let data = shared.join("packed").display().to_string();
    Case::new(title, command).prepare(move |dir| {
        let folder = dir.join("runs/spatial");
        fs::create_dir_all(&folder).unwrap();
        for entry in fs::read_dir(&trained).unwrap() {
            let entry = entry.unwrap();
            fs::hard_link(entry.path(), folder.join(entry.file_name())).unwrap();
        }
        // The run was trained on the dataset of this folder.
        edit(&folder.join("config.toml"), &data, &dir.join("packed").display().to_string());
        prepare(dir);
    })
}

/// Replaces a file by one with another text.
fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    replace(path, text.replace(from, to));
}

/// Replaces a file, not the contents of its hard links.
fn replace(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

fn nothing(_: &Path) {}

fn has(program: &str) -> bool {
    Command::new("sh").args(["-c", &format!("command -v {program}")]).output().is_ok_and(|done| done.status.success())
}

/// Changes a byte in the middle of each RGB record.
fn damage_frames(dir: &Path) {
    let shard = dir.join("packed/rgb-00000.clipshard");
    let mut bytes = fs::read(&shard).unwrap();
    let end = bytes.len() * 9 / 10;
    (200..end).step_by(301).for_each(|at| bytes[at] ^= 4);
    fs::write(&shard, bytes).unwrap();
}

/// Errors of the command line and of the settings.
fn usage() -> Vec<Case> {
    let dry = |title, more: &str| Case::new(title, format!("ucftrain spatial --data packed --dry-run {more}"));
    vec![
        Case::new("No command", "ucftrain").replace("Train, evaluate", "", " ..."),
        Case::new("A command with a typing error", "ucftrain spacial --data packed"),
        Case::new("An option with a typing error", "ucftrain spatial --data packed --dry-run --learning-rate 0.1"),
        Case::new("No dataset", "ucftrain spatial --run run --weights none"),
        Case::new("No run folder", "ucftrain spatial --data packed --weights none"),
        Case::new("No weights", "ucftrain spatial --data packed --run run"),
        Case::new("--resume with --overwrite", "ucftrain spatial --run run --resume --overwrite"),
        dry("A batch size that is not a number", "--batch-size large"),
        dry("A batch size of 0", "--batch-size 0"),
        dry("A batch size that is too large", "--batch-size 1000000"),
        dry("A learning rate of 0", "--lr 0"),
        dry("A learning rate of NaN", "--lr NaN"),
        dry("An unknown network", "--arch vgg16"),
        dry("An unknown schedule", "--schedule linear"),
        dry("The schedule steps without milestones", "--schedule steps"),
        dry("Milestones with another schedule", "--milestones 20,30"),
        dry("Too many segments", "--segments 4"),
        dry("A warm-up that is longer than the training", "--epochs 2 --warm-up 5"),
        dry("Partial batch norm without weights", "--partial-bn"),
        dry("A split that does not exist", "--split 9"),
        dry("A group that does not exist", "--val-groups g99"),
        dry("All groups are held out", "--val-groups g02,g03,g04"),
        dry("A share and groups", "--val-share 0.2 --val-groups g02"),
        dry("A share that is not a share", "--val-share 15"),
        dry("A share that is smaller than each group", "--val-share 0.1"),
        Case::new("Colour changes of optical flow", "ucftrain temporal --data packed --dry-run --color-jitter 0.4"),
        Case::new("Changes of images of optical flow", "ucftrain temporal --data packed --dry-run --trivial-augment"),
        Case::new("Micro-batches of different sizes", "ucftrain spatial --data packed --dry-run --accumulate 4"),
        Case::new("A command that runs in one process", "ucftrain launch --ranks 2 -- eval --run run"),
        dry("Frame dropout of single frames", "--frame-dropout 0.1"),
        Case::new("Random crops of optical flow", "ucftrain temporal --data packed --dry-run --crop random"),
        dry("A configuration file with an unknown key", "--config my.toml")
            .prepare(|dir| fs::write(dir.join("my.toml"), "epochs = 3\nlearning-rate = 0.1\n").unwrap()),
        dry("A configuration file with a wrong type", "--config my.toml")
            .prepare(|dir| fs::write(dir.join("my.toml"), "lr = \"fast\"\n").unwrap()),
        dry("A configuration file of the other stream", "--config my.toml")
            .prepare(|dir| fs::write(dir.join("my.toml"), "stream = \"temporal\"\n").unwrap()),
        dry("A list with a space after the comma", "--val-groups 'g02, g99'"),
        dry("A configuration file that does not exist", "--config my.toml"),
        Case::new("No GPU", train("--device cuda:0")).only_if(!cfg!(feature = "cuda")),
        Case::new("An unknown device", train("--device gpu")),
        Case::new("A precision that the CPU does not have", train("--device cpu --precision tf32")),
    ]
}

/// Errors of datasets, weights and run folders.
fn files(shared: &Path) -> Vec<Case> {
    vec![
        Case::new("A path with a typing error", format!("ucftrain spatial --data pakced --run run {SMALL}")),
        Case::new("The dataset is an empty folder", format!("ucftrain spatial --data empty --run run {SMALL}"))
            .prepare(|dir| fs::create_dir(dir.join("empty")).unwrap()),
        Case::new("The dataset is a frame tree", format!("ucftrain spatial --data tree --run run {SMALL}")),
        Case::new("The manifest is damaged", train(""))
            .prepare(|dir| edit(&dir.join("packed/manifest.json"), "g01", "g02"))
            .replace("it states checksum ", ",", "N")
            .replace("its bytes have ", ";", "N"),
        Case::new("The dataset has only RGB", format!("ucftrain temporal --data rgb --run run {SMALL}")).prepare(
            |dir| {
                run("ucfpack", &args(dir, "build --rgb {}/tree/jpegs_256 --lists {}/tree/lists --out {}/rgb")).ok();
            },
        ),
        Case::new("Frames are smaller than the crop", train("").replace("--input-size 32", "--input-size 224")),
        Case::new("Frames are smaller than the crop, in a dry run", "ucftrain spatial --data packed --dry-run"),
        Case::new(
            "A weights file that does not exist, in a dry run",
            "ucftrain temporal --data packed --dry-run --weights resnet18.pth",
        ),
        Case::new("A split without test clips", train("").replace("packed", "untested")).prepare(|dir| {
            fs::create_dir(dir.join("lists")).unwrap();
            for file in ["classInd.txt", "trainlist01.txt"] {
                fs::copy(dir.join("tree/lists").join(file), dir.join("lists").join(file)).unwrap();
            }
            fs::write(dir.join("lists/testlist01.txt"), "").unwrap();
            run("ucfpack", &args(dir, "build --tree {}/tree --lists {}/lists --out {}/untested --flow-size 32")).ok();
        }),
        Case::new("No clip has a label", train("").replace("packed", "unlabelled")).prepare(|dir| {
            fs::rename(dir.join("packed"), dir.join("unlabelled")).unwrap();
            let mut manifest = Manifest::read(dir.join("unlabelled")).unwrap();
            manifest.clips.iter_mut().for_each(|clip| clip.label = None);
            manifest.write(dir.join("unlabelled")).unwrap();
        }),
        Case::new("The shards of the stream are missing", train(""))
            .prepare(|dir| fs::remove_file(dir.join("packed/rgb-00000.clipshard")).unwrap()),
        Case::new("A damaged record", train("").replace("--threads 2", "--threads 1")).prepare(damage_frames),
        Case::new("A weights file that does not exist", train("").replace("none", "resnet18.pth")),
        Case::new(
            "ImageNet weights that are not on this machine, with --offline",
            format!("UCFTRAIN_CACHE=cache TORCH_HOME=torch {}", train("--offline").replace("none", "imagenet")),
        ),
        Case::new(
            "ImageNet weights from an address that is none",
            format!("UCFTRAIN_WEIGHTS_URL=s3://models {}", train("").replace("none", "imagenet")),
        ),
        Case::new("A weights file that is text", train("").replace("none", "notes.txt")),
        Case::new("A pickle that wants to run code", train("").replace("none", "evil.pth"))
            .prepare(|dir| fs::write(dir.join("evil.pth"), b"cos\nsystem\n(S'echo hello'\ntR.").unwrap()),
        with_run(shared, "An incomplete weights file", &train("").replace("none", "cut.safetensors"), |dir| {
            let bytes = fs::read(dir.join("runs/spatial/best.safetensors")).unwrap();
            fs::write(dir.join("cut.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
        }),
        with_run(
            shared,
            "Weights of another network",
            &train("--arch resnet34").replace("none", "runs/spatial/best.safetensors"),
            nothing,
        ),
        Case::new("The run folder exists", train("")).prepare(|dir| {
            fs::create_dir(dir.join("run")).unwrap();
            fs::write(dir.join("run/config.toml"), "").unwrap();
        }),
        Case::new("--overwrite of a folder that is not a run", train("--overwrite")).prepare(|dir| {
            fs::create_dir(dir.join("run")).unwrap();
            fs::write(dir.join("run/thesis.tex"), "").unwrap();
        }),
        Case::new("--resume without a run", "ucftrain spatial --run run --resume"),
        Case::new("--resume of a run without a checkpoint", "ucftrain spatial --run run --resume").prepare(|dir| {
            fs::create_dir(dir.join("run")).unwrap();
            fs::write(dir.join("run/config.toml"), "").unwrap();
        }),
        with_run(
            shared,
            "--resume with other settings",
            "ucftrain spatial --run runs/spatial --resume --lr 0.1 --seed 4",
            nothing,
        ),
        with_run(
            shared,
            "--resume with an edited config.toml",
            "ucftrain spatial --run runs/spatial --resume --epochs 2",
            |dir| edit(&dir.join("runs/spatial/config.toml"), "lr = 0.01", "lr = 0.1"),
        ),
        with_run(
            shared,
            "--resume with the other stream",
            "ucftrain temporal --run runs/spatial --resume --epochs 2",
            nothing,
        ),
        with_run(
            shared,
            "--resume with a damaged checkpoint",
            "ucftrain spatial --run runs/spatial --resume --epochs 2",
            |dir| replace(&dir.join("runs/spatial/checkpoint.safetensors"), "damaged"),
        ),
        with_run(
            shared,
            "--resume without the best network",
            "ucftrain spatial --run runs/spatial --resume --epochs 2",
            |dir| fs::remove_file(dir.join("runs/spatial/best.safetensors")).unwrap(),
        ),
        with_run(
            shared,
            "--resume with another dataset",
            "ucftrain spatial --run runs/spatial --resume --epochs 2 --data other",
            |dir| {
                let build = "build --tree {}/tree --lists {}/tree/lists --out {}/other --flow-size 32 --rgb-codec lz4";
                run("ucfpack", &args(dir, build)).ok();
            },
        ),
        Case::new(
            "The run folder is in use",
            format!("mkdir run; exec 9>run/.lock; flock 9; ucftrain spatial --data packed --run run {SMALL}"),
        )
        .only_if(has("flock")),
        Case::new("The training diverges", train("--lr 1000")).replace("the loss is ", ":", "NaN at epoch 0, step N"),
        Case::new("The disk is full", format!("trap '' XFSZ; ulimit -f 64; {}", train(""))),
    ]
}

/// Errors of the commands that use networks.
fn networks(shared: &Path) -> Vec<Case> {
    let eval = "ucftrain eval --run runs/spatial --data packed";
    let other_data = |dir: &Path| {
        run("ucfpack", &args(dir, "synth --out {}/tree3 --classes 3 --clips 4 --size 44x36")).ok();
        run("ucfpack", &args(dir, "build --tree {}/tree3 --lists {}/tree3/lists --out {}/other --flow-size 32")).ok();
    };
    vec![
        Case::new("eval: no network", "ucftrain eval --data packed"),
        Case::new("eval: the run folder does not exist", "ucftrain eval --run runs/spatail --data packed"),
        Case::new("eval: the run folder is empty", "ucftrain eval --run run --data packed")
            .prepare(|dir| fs::create_dir(dir.join("run")).unwrap()),
        Case::new("eval: the network is a text file", "ucftrain eval --checkpoint notes.txt --data packed"),
        with_run(shared, "eval: a dataset with other classes", &eval.replace("packed", "other"), other_data),
        with_run(shared, "eval: a damaged record", &format!("{eval} --threads 1"), damage_frames),
        with_run(shared, "eval: a split that does not exist", &format!("{eval} --split 9"), nothing),
        with_run(shared, "eval: a subset without clips", &format!("{eval} --subset val"), nothing),
        with_run(shared, "eval: clips without labels", &format!("{eval} --subset later"), |dir| {
            let mut manifest = Manifest::read(dir.join("packed")).unwrap();
            for clip in manifest.clips.iter_mut().take(2) {
                (clip.label, clip.subsets[0]) = (None, "later".into());
            }
            manifest.write(dir.join("packed")).unwrap();
        }),
        with_run(shared, "eval: scores in a folder that does not exist", &format!("{eval} --scores x/a.npz"), nothing),
        with_run(shared, "predict: neither a clip nor a video", "ucftrain predict --run runs/spatial", nothing),
        with_run(
            shared,
            "predict: a clip that does not exist",
            "ucftrain predict --run runs/spatial --data packed --clip v_Archery_g01_c01",
            nothing,
        ),
        with_run(shared, "predict: a video that does not exist", "ucftrain predict --run runs/spatial x.mp4", nothing),
        with_run(shared, "predict: a text file", "ucftrain predict --run runs/spatial notes.mp4", |dir| {
            fs::write(dir.join("notes.mp4"), "no video").unwrap();
        })
        .only_if(has("ffmpeg"))
        .replace("readable video (", ")", "..."),
        with_run(
            shared,
            "predict: a video that is too short",
            "ucftrain predict --run runs/spatial short.mp4",
            |dir| {
                let line = "-loglevel error -f lavfi -i testsrc=size=64x48:rate=25 -frames:v 3 -c:v mpeg4 short.mp4";
                let _ = Command::new("ffmpeg").args(line.split(' ')).current_dir(dir).status();
            },
        )
        .only_if(has("ffmpeg")),
        with_run(
            shared,
            "predict: a damaged network",
            "ucftrain predict --run runs/spatial --data packed --clip x",
            |dir| {
                let file = dir.join("runs/spatial/best.safetensors");
                let bytes = fs::read(&file).unwrap();
                replace(&file, &bytes[..bytes.len() / 2]);
            },
        ),
        with_run(shared, "export: the file exists", "ucftrain export --run runs/spatial --out notes.txt", nothing),
        with_run(
            shared,
            "export: the order of flow channels of an RGB network",
            "ucftrain export --run runs/spatial --out out.safetensors --flow-order rotated",
            nothing,
        ),
        Case::new(
            "import: a text file",
            "ucftrain import notes.txt --stream spatial --data packed --out out.safetensors",
        ),
        Case::new("import: no stream", "ucftrain import notes.txt --data packed --out out.safetensors"),
        Case::new("import: the file does not exist", "ucftrain import net.pth --data packed --out out.safetensors"),
        with_run(
            shared,
            "import: a dataset with other classes",
            "ucftrain import runs/spatial/best.safetensors --data other --out out.safetensors",
            other_data,
        ),
        with_run(
            shared,
            "import: the other stream",
            "ucftrain import runs/spatial/best.safetensors --stream temporal --data packed --out out.safetensors",
            nothing,
        ),
        Case::new("report: the folder does not exist", "ucftrain report run"),
        Case::new("report: the folder is empty", "ucftrain report run")
            .prepare(|dir| fs::create_dir(dir.join("run")).unwrap()),
        Case::new("bench: the dataset is a frame tree", "ucftrain bench loader --data tree --stream rgb"),
        Case::new("bench: no stream", "ucftrain bench loader --data packed"),
        Case::new(
            "bench: a batch that is too large",
            "ucftrain bench step --data packed --input-size 32 --batch-size 64",
        ),
    ]
}

/// Errors of `ucftrain fuse`.
fn fusion() -> Vec<Case> {
    let fuse = |title, line: &str| Case::new(title, format!("ucftrain fuse {line}"));
    vec![
        fuse("fuse: one scores file", "a.csv"),
        fuse("fuse: the same scores twice", "a.csv a.csv"),
        fuse("fuse: a copy of the scores", "a.csv copy.csv").prepare(|dir| {
            fs::copy(dir.join("a.csv"), dir.join("copy.csv")).unwrap();
        }),
        fuse("fuse: a file that does not exist", "a.csv c.csv"),
        fuse("fuse: a folder without scores", "a.csv tree"),
        fuse("fuse: a text file", "a.csv notes.txt"),
        fuse("fuse: a pickle that wants to run code", "a.csv evil.pickle")
            .prepare(|dir| fs::write(dir.join("evil.pickle"), b"cos\nsystem\n(S'echo hello'\ntR.").unwrap()),
        fuse("fuse: other clips", "a.csv other_clips.csv"),
        fuse("fuse: other classes", "a.csv three_classes.csv"),
        fuse("fuse: other labels", "a.csv other_labels.csv"),
        fuse("fuse: no labels", "unlabelled.csv unlabelled.csv"),
        fuse("fuse: a cell that is not a number", "a.csv cell.csv"),
        fuse("fuse: a score that is NaN", "a.csv nan.csv"),
        fuse("fuse: a clip that appears twice", "twice.csv twice.csv"),
        fuse("fuse: a ratio of one number", "a.csv b.csv --ratio 2"),
        fuse("fuse: a ratio with too many numbers", "a.csv b.csv --ratio 1:2:3"),
        fuse("fuse: labels in a folder without lists", "a.csv b.csv --labels tree"),
        fuse("fuse: labels of other clips", "a.csv b.csv --labels tree/lists"),
        fuse("fuse: a split that does not exist", "a.csv b.csv --labels tree/lists --split 9"),
        fuse("fuse: a combination that does not exist", "a.csv b.csv --out out.npz --take median"),
        fuse("fuse: an unknown format of output", "a.csv b.csv --out out.txt"),
        fuse("fuse: --fit without val clips", "a.csv b.csv --fit"),
        fuse("fuse: a run without a test", "run a.csv").prepare(|dir| {
            fs::create_dir(dir.join("run")).unwrap();
            fs::write(dir.join("run/val_scores.npz"), "").unwrap();
        }),
        fuse("fuse: splits with different numbers of files", "a.csv b.csv + a.csv b.csv a.csv"),
    ]
}

#[test]
fn errors_of_ucftrain() {
    let shared_dir = tempfile::tempdir().unwrap();
    shared(shared_dir.path());
    let mut cases = usage();
    cases.extend(files(shared_dir.path()));
    cases.extend(networks(shared_dir.path()));
    cases.extend(fusion());
    check("ucftrain-errors.txt", INTRODUCTION, shared_dir.path(), &cases);
}
