//! The program with the feature `cuda`, on any machine: what it says where a card is missing or will not do, and what the host does
//! while a card trains. The card is `null_card.c`, which computes nothing.
#![cfg(all(feature = "cuda", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;
use whole_program_tests::{Done, args, program, run};

/// NVIDIA's libraries with [`null_card.c`], by the names that programs look for.
fn null_card() -> &'static Path {
    static CARD: OnceLock<TempDir> = OnceLock::new();
    let make = || {
        let folder = tempfile::tempdir().unwrap();

        let code = fs::read_to_string("null_card.c").unwrap();
        let functions = fs::read_to_string("../delayload/functions.txt").unwrap();
        let names = functions.lines().filter(|line| !line.starts_with(['#', '['])).flat_map(str::split_whitespace);
        let missing = names.filter(|name| !code.contains(&format!(" {name}(")));
        let missing: Vec<String> = missing.map(|name| format!("int {name}(void) {{ return 0; }}")).collect();
        let [source, library] = ["null_card.c", "libcuda.so.1"].map(|name| folder.path().join(name));
        fs::write(&source, code + &missing.join("\n")).unwrap();
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let mut compile = Command::new(compiler);
        compile.args(["-w", "-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(source);
        assert!(compile.status().unwrap().success(), "a C compiler");
        for name in ["nvrtc.so.13", "cublasLt.so.13", "cublas.so.13", "curand.so.10", "cudnn.so.9"] {
            std::os::unix::fs::symlink(&library, folder.path().join(format!("lib{name}"))).unwrap();
        }
        folder
    };
    CARD.get_or_init(make).path()
}

/// A packed data set of some 50 training clips.
fn packed() -> PathBuf {
    static DATA: OnceLock<TempDir> = OnceLock::new();
    let make = || {
        let temp = tempfile::tempdir().unwrap();
        run("ucfpack", &args(temp.path(), "synth --out {}/tree --classes 2 --clips 40 --size 44x36 --seed 5")).ok();
        let build = "build --tree {}/tree --lists {}/tree/lists --out {}/packed --flow-size 32";
        run("ucfpack", &args(temp.path(), build)).ok();
        temp
    };
    DATA.get_or_init(make).path().join("packed")
}

/// Runs `ucftrain` with libraries of a folder before the machine's own.
fn with_libraries(folder: &Path, variables: &[(&str, &str)], line: &str) -> Done {
    let mut command = Command::new(program("ucftrain"));
    // A development build is linked to CUDA's run-time library.
    let others = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let folders = std::env::join_paths([folder.to_owned()].into_iter().chain(std::env::split_paths(&others))).unwrap();
    command.args(line.split_whitespace()).env("LD_LIBRARY_PATH", folders).envs(variables.iter().copied());
    // Candle's errors would bring it along.
    command.env_remove("RUST_BACKTRACE");
    Done::of(command)
}

fn with_null_card(variables: &[(&str, &str)], line: &str) -> Done {
    with_libraries(null_card(), variables, line)
}

const BENCH: &str = "bench step --input-size 32 --batch-size 2 --seconds 0 --json --device";

#[test]
fn without_a_driver_the_program_starts_and_auto_is_the_cpu() {
    // Not an empty folder: the machine may have a driver.
    let broken = tempfile::tempdir().unwrap();
    fs::write(broken.path().join("libcuda.so.1"), "not a library").unwrap();
    assert_eq!(with_libraries(broken.path(), &[], &format!("{BENCH} auto")).json()["device"], "cpu");
    let said = with_libraries(broken.path(), &[], &format!("{BENCH} cuda:0")).error(1);
    assert!(
        said.starts_with("error: --device cuda:0: NVIDIA's driver is not there (") && said.contains("libcuda.so.1"),
        "{said}"
    );
    assert!(said.ends_with("; install it, or use --device cpu\n"), "{said}");
}

#[test]
fn a_driver_without_a_card_is_said_and_auto_is_the_cpu() {
    let no_device = [("NULL_CARD_INIT", "100")];
    assert_eq!(with_null_card(&no_device, &format!("{BENCH} auto")).json()["device"], "cpu");
    assert_eq!(
        with_null_card(&no_device, &format!("{BENCH} cuda:0")).error(1),
        "error: --device cuda:0: no such card (there is: none); use another number, or use --device cpu\n"
    );
    assert_eq!(
        with_null_card(&[], &format!("{BENCH} cuda:3")).error(1),
        "error: --device cuda:3: no such card (there is: Null Card); use another number, or use --device cpu\n"
    );
}

#[test]
fn what_keeps_a_card_from_computing_is_one_sentence_with_its_cure() {
    let said = |variables: &[(&str, &str)]| {
        // A card that is there is meant: `auto` does not take the CPU in silence.
        let auto = with_null_card(variables, &format!("{BENCH} auto")).error(1);
        let typed = with_null_card(variables, &format!("{BENCH} cuda:0")).error(1);
        assert!(auto.lines().count() == 1 && typed.lines().count() == 1, "{auto}{typed}");
        assert!(auto.contains("or use --device cpu") && typed.contains("or use --device cpu"), "{auto}{typed}");
        typed
    };
    let old = said(&[("NULL_CARD_CAPABILITY", "75")]);
    assert!(old.contains("Null Card has compute capability 7.5, and 8.0 is the least that will do"), "{old}");
    let mismatch = said(&[("NULL_CARD_INIT", "803")]);
    assert!(
        mismatch.contains("NVIDIA's driver does not answer (") && mismatch.contains("DRIVER_MISMATCH"),
        "{mismatch}"
    );
    // Older than every driver that this program can be built for.
    let driver = said(&[("NULL_CARD_DRIVER", "11020")]);
    assert!(
        driver.contains("NVIDIA's driver is made for CUDA 11.2, and this program was built with CUDA 1"),
        "{driver}"
    );
    assert!(driver.contains("; update the driver, or build with CUDA 11.2, or use --device cpu"), "{driver}");

    // Without cuDNN.
    let folder = tempfile::tempdir().unwrap();
    for name in ["libcuda.so.1", "libnvrtc.so.13", "libcublasLt.so.13", "libcublas.so.13", "libcurand.so.10"] {
        std::os::unix::fs::symlink(null_card().join(name), folder.path().join(name)).unwrap();
    }
    for name in ["libcudnn.so.9", "libcublasLt.so.12"] {
        fs::write(folder.path().join(name), "not a library").unwrap();
    }
    // A login node: a driver, no card, and nobody needs cuDNN.
    let no_card = with_libraries(folder.path(), &[("NULL_CARD_INIT", "100")], &format!("{BENCH} auto"));
    assert_eq!(no_card.json()["device"], "cpu");
    let said = with_libraries(folder.path(), &[], &format!("{BENCH} auto")).error(1);
    assert!(
        said.contains("NVIDIA's driver is there, but libcudnn.so.9 is not (") && said.contains("--device cpu"),
        "{said}"
    );
}

fn train(dir: &Path, name: &str, stream: &str, variables: &[(&str, &str)], more: &str) -> Done {
    let line = format!(
        "{stream} --data {} --run {}/{name} --weights none --input-size 32 --batch-size 4 --seed 3 --threads 2 --device cuda:0 {more}",
        packed().display(),
        dir.display()
    );
    with_null_card(variables, &line)
}

#[test]
fn a_full_memory_says_what_to_do() {
    let temp = tempfile::tempdir().unwrap();
    let said = train(temp.path(), "full", "spatial", &[("NULL_CARD_MEMORY", "20000000")], "--epochs 1").error(1);
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("error: the card's memory is full: take a smaller --batch-size"), "{said}");
}

/// What the host does in one more step of an epoch.
fn step_counts(stream: &str, more: &str) -> serde_json::Value {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("counts.json");
    let counts = [("NULL_CARD_COUNTS", file.to_str().unwrap())];
    let [short, long] = [6, 10].map(|steps| -> serde_json::Value {
        let more = format!("{more} --limit-steps {steps} --overwrite");
        train(temp.path(), "run", stream, &counts, &more).ok();
        serde_json::from_slice(&fs::read(&file).unwrap()).unwrap()
    });
    println!("{short} {long}");
    let count = |counts: &serde_json::Value, what: &str| counts[what].as_i64().unwrap();
    let per_step =
        |what: &str| (what.to_owned(), serde_json::json!((count(&long, what) - count(&short, what)) as f64 / 4.0));
    serde_json::Value::Object(short.as_object().unwrap().keys().map(|what| per_step(what)).collect())
}

#[test]
fn a_steady_step_is_started_as_a_whole_and_not_waited_for() {
    // Learning rates that change with every step are read from the card's memory, and the norm of gradients stays there.
    let cosine = "--schedule cosine --warm-up 0.5 --conv1-lr 2 --clip-grad 20";
    for (stream, more, masks) in
        [("spatial", "", 0.0), ("temporal", "", 0.0), ("temporal", cosine, 0.0), ("spatial", "--dropout 0.5", 1.0)]
    {
        let counts = step_counts(stream, more);
        let count = |what: &str| counts[what].as_f64().unwrap();
        assert_eq!((count("graph_launches"), count("searches")), (1.0, 0.0), "{stream}: {counts}");
        // The labels, and masks of dropout: their memory, and the kernel that brings them to where the recording reads them.
        assert_eq!(
            (count("launches"), count("allocations"), count("frees")),
            (1.0 + masks, 1.0 + masks, 1.0 + masks),
            "{stream}: {counts}"
        );
        // Loss and logits, read when the next step is under way.
        assert_eq!((count("downloads"), count("waits")), (2.0, 0.0), "{stream}: {counts}");
    }
}

#[test]
fn a_resumed_run_takes_the_algorithms_that_its_card_has_chosen() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("counts.json");
    let counts = [("NULL_CARD_COUNTS", file.to_str().unwrap())];
    let searches = || {
        let counts: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        counts["searches"].as_i64().unwrap()
    };
    let resume_until = |step: usize| {
        let line = format!("spatial --run {}/run --resume --limit-steps {step}", temp.path().display());
        with_null_card(&counts, &line).ok();
        searches()
    };
    train(temp.path(), "run", "spatial", &counts, "--limit-steps 3").ok();
    let first = searches();
    assert!(first > 0, "each convolution is timed once");
    assert_eq!(resume_until(5), 0);
    fs::remove_file(temp.path().join("run/algorithms.json")).unwrap();
    assert_eq!(resume_until(7), first);
}

#[test]
fn a_steps_ops_are_counted_for_the_roofline() {
    let bench = |more: &str| {
        let line = format!("bench step --device cuda:0 --seconds 0 --batch-size 2 --precision f32 {more}");
        with_null_card(&[], &line)
    };
    let found = bench("--json").json();
    let ops = found["roofline"]["ops"].as_array().unwrap();
    let sum = |prefix: &str, what: &str| -> f64 {
        let of_kind = ops.iter().filter(|op| op["op"].as_str().unwrap().starts_with(prefix));
        of_kind.map(|op| op[what].as_f64().unwrap()).sum()
    };
    // ResNet-18's convolutions of 224 x 224 images: (side, outputs, inputs and kernel positions, how many). The stem is folded: 16
    // channels, padded, of four pixels, 4 x 4 of them.
    let layers: [(f64, f64, f64, f64); 11] = [
        (112., 64., 16. * 16., 1.),
        (56., 64., 9. * 64., 4.),
        (28., 128., 9. * 64., 1.),
        (28., 128., 9. * 128., 3.),
        (28., 128., 64., 1.),
        (14., 256., 9. * 128., 1.),
        (14., 256., 9. * 256., 3.),
        (14., 256., 128., 1.),
        (7., 512., 9. * 256., 1.),
        (7., 512., 9. * 512., 3.),
        (7., 512., 256., 1.),
    ];
    let flops = |layers: &[(f64, f64, f64, f64)]| -> f64 {
        layers.iter().map(|(side, outputs, taps, times)| 2. * 2. * side * side * outputs * taps * times).sum()
    };
    assert_eq!(sum("conv forward", "flop") as u64, flops(&layers) as u64);
    assert_eq!(sum("conv weight gradient", "flop") as u64, flops(&layers) as u64);
    // Nobody asks for the gradient of the pixels.
    assert_eq!(sum("conv data gradient", "flop") as u64, flops(&layers[1..]) as u64);
    assert_eq!(sum("conv forward", "calls") as u64, 20);
    // Variables and momenta are read and written, gradients are read: 11.2 million parameters, with 101 classes. And a learning
    // rate.
    assert_eq!(sum("sgd", "bytes") as u64, 5 * 4 * (11_689_512 - 513_000 + 101 * 513) + 4);
    // Pooling reads 112 x 112 x 64 values and writes 56 x 56 x 64, with a byte each for where they were.
    assert_eq!(sum("max_pool_f32", "bytes") as u64, 2 * 64 * (4 * 112 * 112 + 5 * 56 * 56));
    let text = bench("").ok();
    assert!(text.contains("op of a step") && text.contains("% of roof") && text.contains("The roof: "), "{text}");
    println!("{text}");
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn flow_on_a_card_says_what_is_missing_too() {
    let temp = tempfile::tempdir().unwrap();
    fs::create_dir_all(temp.path().join("videos/Archery")).unwrap();
    let line = "-loglevel error -f lavfi -i testsrc=size=64x48:rate=25:duration=1 -c:v mpeg4 {}/videos/Archery/one.avi";
    assert!(Command::new("ffmpeg").args(args(temp.path(), line)).status().unwrap().success());
    let build = |variables: &[(&str, &str)]| {
        let mut command = Command::new(program("ucfpack"));
        let line =
            "build --videos {}/videos --dataset custom --flow-size 32 --out {}/packed --overwrite --device cuda:0";
        command.args(args(temp.path(), line)).env("LD_LIBRARY_PATH", null_card()).envs(variables.iter().copied());
        Done::of(command)
    };
    build(&[]).ok();
    let last = |done: Done| done.error(1).lines().last().unwrap_or_default().to_owned();
    assert_eq!(
        last(build(&[("NULL_CARD_INIT", "100")])),
        "error: --device cuda:0: no such card, the driver shows none, or compute on the processor without --device"
    );
    assert_eq!(
        last(build(&[("NULL_CARD_MEMORY", "100000")])),
        "error: --device cuda:0: the card's memory is full; give it fewer --jobs, or compute on the processor without --device"
    );
}
