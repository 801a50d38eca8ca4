//! Tests of programs with the feature `cuda` on any machine: errors about missing or unsuitable
//! GPUs, and the work of the host during training. The GPU is a stub, `stub_gpu.c`, which computes
//! nothing.
#![cfg(all(feature = "cuda", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;
use whole_program_tests::{Done, args, program, run};

/// Returns a folder with the stub of the NVIDIA driver and libraries, under the names that programs
/// look for.
fn stub_gpu() -> &'static Path {
    static LIBRARIES: OnceLock<TempDir> = OnceLock::new();
    let make = || {
        let folder = tempfile::tempdir().unwrap();

        let code = fs::read_to_string("stub_gpu.c").unwrap();
        let functions = fs::read_to_string("../delayload/functions.txt").unwrap();
        let names = functions.lines().filter(|line| !line.starts_with(['#', '['])).flat_map(str::split_whitespace);
        let missing = names.filter(|name| !code.contains(&format!(" {name}(")));
        let missing: Vec<String> = missing.map(|name| format!("int {name}(void) {{ return 0; }}")).collect();
        let [source, library] = ["stub_gpu.c", "libcuda.so.1"].map(|name| folder.path().join(name));
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
    LIBRARIES.get_or_init(make).path()
}

/// Returns a packed dataset with about 50 training clips.
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

/// Runs `ucftrain` with the libraries of a folder before those of the machine.
fn with_libraries(folder: &Path, variables: &[(&str, &str)], line: &str) -> Done {
    let mut command = Command::new(program("ucftrain"));
    // A development build is linked to the CUDA run-time library.
    let others = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let folders = std::env::join_paths([folder.to_owned()].into_iter().chain(std::env::split_paths(&others))).unwrap();
    command.args(line.split_whitespace()).env("LD_LIBRARY_PATH", folders).envs(variables.iter().copied());
    // Candle adds a backtrace to its errors if this is set.
    command.env_remove("RUST_BACKTRACE");
    Done::of(command)
}

fn with_stub(variables: &[(&str, &str)], line: &str) -> Done {
    with_libraries(stub_gpu(), variables, line)
}

const BENCH: &str = "bench step --input-size 32 --batch-size 2 --seconds 0 --json --device";

#[test]
fn without_a_driver_the_program_starts_and_auto_is_the_cpu() {
    // An empty folder is not enough, because the machine may have a driver.
    let broken = tempfile::tempdir().unwrap();
    fs::write(broken.path().join("libcuda.so.1"), "not a library").unwrap();
    assert_eq!(with_libraries(broken.path(), &[], &format!("{BENCH} auto")).json()["device"], "cpu");
    let said = with_libraries(broken.path(), &[], &format!("{BENCH} cuda:0")).error(1);
    assert!(
        said.starts_with("error: --device cuda:0: the NVIDIA driver cannot be loaded (")
            && said.contains("libcuda.so.1"),
        "{said}"
    );
    assert!(said.ends_with("; install it, or use --device cpu\n"), "{said}");
}

#[test]
fn a_driver_without_a_gpu_is_reported_and_auto_is_the_cpu() {
    let no_device = [("STUB_GPU_INIT", "100")];
    assert_eq!(with_stub(&no_device, &format!("{BENCH} auto")).json()["device"], "cpu");
    assert_eq!(
        with_stub(&no_device, &format!("{BENCH} cuda:0")).error(1),
        "error: --device cuda:0: no GPU was found; use --device cpu\n"
    );
    assert_eq!(
        with_stub(&[], &format!("{BENCH} cuda:3")).error(1),
        "error: --device cuda:3: no GPU has this number (found: Stub GPU); use another number, or use --device cpu\n"
    );
}

#[test]
fn an_unusable_gpu_is_reported_in_one_sentence_with_a_cure() {
    let said = |variables: &[(&str, &str)]| {
        // The machine has a GPU, so `auto` does not fall back to the CPU silently.
        let auto = with_stub(variables, &format!("{BENCH} auto")).error(1);
        let typed = with_stub(variables, &format!("{BENCH} cuda:0")).error(1);
        assert!(auto.lines().count() == 1 && typed.lines().count() == 1, "{auto}{typed}");
        assert!(auto.contains("or use --device cpu") && typed.contains("or use --device cpu"), "{auto}{typed}");
        typed
    };
    let old = said(&[("STUB_GPU_CAPABILITY", "75")]);
    assert!(old.contains("Stub GPU has compute capability 7.5, but 8.0 or later is needed; use a newer GPU"), "{old}");
    let mismatch = said(&[("STUB_GPU_INIT", "803")]);
    assert!(
        mismatch.contains("NVIDIA's driver does not start (") && mismatch.contains("DRIVER_MISMATCH"),
        "{mismatch}"
    );
    // This is older than every driver that the program can be built for.
    let driver = said(&[("STUB_GPU_DRIVER", "11020")]);
    assert!(driver.contains("NVIDIA's driver supports CUDA 11.2, but this program was built with CUDA 1"), "{driver}");
    assert!(driver.contains("; update the driver, or build with CUDA 11.2, or use --device cpu"), "{driver}");

    // A machine without cuDNN.
    let folder = tempfile::tempdir().unwrap();
    for name in ["libcuda.so.1", "libnvrtc.so.13", "libcublasLt.so.13", "libcublas.so.13", "libcurand.so.10"] {
        std::os::unix::fs::symlink(stub_gpu().join(name), folder.path().join(name)).unwrap();
    }
    for name in ["libcudnn.so.9", "libcublasLt.so.12"] {
        fs::write(folder.path().join(name), "not a library").unwrap();
    }
    // A login node has a driver but no GPU, so it does not need cuDNN.
    let no_gpu = with_libraries(folder.path(), &[("STUB_GPU_INIT", "100")], &format!("{BENCH} auto"));
    assert_eq!(no_gpu.json()["device"], "cpu");
    let said = with_libraries(folder.path(), &[], &format!("{BENCH} auto")).error(1);
    assert!(
        said.contains("the NVIDIA driver is available, but libcudnn.so.9 cannot be loaded (")
            && said.contains("--device cpu"),
        "{said}"
    );
}

fn train(dir: &Path, name: &str, stream: &str, variables: &[(&str, &str)], more: &str) -> Done {
    let line = format!(
        "{stream} --data {} --run {}/{name} --weights none --input-size 32 --batch-size 4 --seed 3 --threads 2 \
         --device cuda:0 {more}",
        packed().display(),
        dir.display()
    );
    with_stub(variables, &line)
}

#[test]
fn full_gpu_memory_is_reported_with_a_cure() {
    let temp = tempfile::tempdir().unwrap();
    let said = train(temp.path(), "full", "spatial", &[("STUB_GPU_MEMORY", "20000000")], "--epochs 1").error(1);
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("error: the memory of the GPU is full; use a smaller --batch-size"), "{said}");
}

/// Returns the host's work per step in the middle of an epoch.
fn step_counts(stream: &str, more: &str) -> serde_json::Value {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("counts.json");
    let counts = [("STUB_GPU_COUNTS", file.to_str().unwrap())];
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
    // Learning rates that change with every step are read from GPU memory, and the gradient norm
    // stays there.
    let cosine = "--schedule cosine --warm-up 0.5 --conv1-lr 2 --clip-grad 20";
    for (stream, more, inputs) in [
        ("spatial", "", 1.0),
        ("temporal", "", 1.0),
        ("temporal", cosine, 1.0),
        ("spatial", "--dropout 0.5", 2.0),
        ("spatial", "--mixup 0.2 --cutmix 1", 4.0),
        ("temporal", "--stochastic-depth 0.2 --sampling segments --segments 3 --temporal-shift --test-samples 3", 2.0),
    ] {
        let counts = step_counts(stream, more);
        let count = |what: &str| counts[what].as_f64().unwrap();
        assert_eq!((count("graph_launches"), count("searches")), (1.0, 0.0), "{stream}: {counts}");
        // Labels, dropout masks, the factors of stochastic depth, and the partners, weights and
        // shares of mixed samples each need memory and a kernel that copies them to where the graph
        // reads them.
        assert_eq!(
            (count("launches"), count("allocations"), count("frees")),
            (inputs, inputs, inputs),
            "{stream}: {counts}"
        );
        // Loss and logits are downloaded while the next step runs.
        assert_eq!((count("downloads"), count("waits")), (2.0, 0.0), "{stream}: {counts}");
    }
}

#[test]
fn a_resumed_run_reuses_the_algorithms_that_were_chosen_on_its_gpu() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("counts.json");
    let counts = [("STUB_GPU_COUNTS", file.to_str().unwrap())];
    let searches = || {
        let counts: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        counts["searches"].as_i64().unwrap()
    };
    let resume_until = |step: usize| {
        let line = format!("spatial --run {}/run --resume --limit-steps {step}", temp.path().display());
        with_stub(&counts, &line).ok();
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
        with_stub(&[], &line)
    };
    let found = bench("--json").json();
    let ops = found["roofline"]["ops"].as_array().unwrap();
    let sum = |prefix: &str, what: &str| -> f64 {
        let of_kind = ops.iter().filter(|op| op["op"].as_str().unwrap().starts_with(prefix));
        of_kind.map(|op| op[what].as_f64().unwrap()).sum()
    };
    // The convolutions of ResNet-18 for 224 x 224 images: (side, outputs, inputs times kernel
    // positions, count). The folded stem has 16 input channels (four pixels with padded channels)
    // and 4 x 4 kernel positions.
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
    // The gradient of the input pixels is not computed.
    assert_eq!(sum("conv data gradient", "flop") as u64, flops(&layers[1..]) as u64);
    assert_eq!(sum("conv forward", "calls") as u64, 20);
    // Variables and momenta are read and written, gradients are read: 11.2 million parameters for
    // 101 classes, and one learning rate.
    assert_eq!(sum("sgd", "bytes") as u64, 5 * 4 * (11_689_512 - 513_000 + 101 * 513) + 4);
    // Pooling reads 112 x 112 x 64 values. It writes 56 x 56 x 64 values, each with one byte for
    // the position of its maximum.
    assert_eq!(sum("max_pool_f32", "bytes") as u64, 2 * 64 * (4 * 112 * 112 + 5 * 56 * 56));
    let text = bench("").ok();
    assert!(text.contains("% of step") && text.contains("% of limit") && text.contains("Limits of this GPU"), "{text}");
    println!("{text}");
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn flow_on_a_gpu_reports_what_is_missing_too() {
    let temp = tempfile::tempdir().unwrap();
    fs::create_dir_all(temp.path().join("videos/Archery")).unwrap();
    let line = "-loglevel error -f lavfi -i testsrc=size=64x48:rate=25:duration=1 -c:v mpeg4 {}/videos/Archery/one.avi";
    assert!(Command::new("ffmpeg").args(args(temp.path(), line)).status().unwrap().success());
    let build = |variables: &[(&str, &str)]| {
        let mut command = Command::new(program("ucfpack"));
        let line =
            "build --videos {}/videos --dataset custom --flow-size 32 --out {}/packed --overwrite --device cuda:0";
        command.args(args(temp.path(), line)).env("LD_LIBRARY_PATH", stub_gpu()).envs(variables.iter().copied());
        Done::of(command)
    };
    build(&[]).ok();
    let last = |done: Done| done.error(1).lines().last().unwrap_or_default().to_owned();
    assert_eq!(
        last(build(&[("STUB_GPU_INIT", "100")])),
        "error: --device cuda:0: there is no such GPU; the driver reports none; to use the CPU, remove --device"
    );
    assert_eq!(
        last(build(&[("STUB_GPU_MEMORY", "100000")])),
        "error: --device cuda:0: the GPU is out of memory; reduce --jobs, or use the CPU: remove --device"
    );
}
