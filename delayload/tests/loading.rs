//! Tests of programs with and without NVIDIA's libraries.
//!
//! Each test starts this program again with its test `program`, and with stub libraries in
//! `LD_LIBRARY_PATH`. They take precedence over the libraries of a machine with a GPU.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#![allow(unsafe_code, reason = "calling C")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::ffi::{c_int, c_longlong, c_uint, c_void};
use std::path::Path;
use std::process::Command;
use std::ptr::{null, null_mut};

// These are NVIDIA's declarations. The linker resolves them to the functions of this crate.
unsafe extern "C" {
    fn cuInit(flags: c_uint) -> c_int;
    fn cuGraphLaunch(graph: *mut c_void, stream: *mut c_void) -> c_int;
    fn cublasLtCreate(handle: *mut c_void) -> c_int;
    fn curandGenerateNormal(rng: *mut c_void, out: *mut f32, n: usize, mean: f32, deviation: f32) -> c_int;
    fn cublasSgemmStridedBatched(
        handle: *mut c_void,
        transpose_a: c_int,
        transpose_b: c_int,
        m: c_int,
        n: c_int,
        k: c_int,
        alpha: *const f32,
        a: *const f32,
        lda: c_int,
        stride_a: c_longlong,
        b: *const f32,
        ldb: c_int,
        stride_b: c_longlong,
        beta: *const f32,
        c: *mut f32,
        ldc: c_int,
        stride_c: c_longlong,
        count: c_int,
    ) -> c_int;
    fn cudnnGetVersion() -> usize;
}

const DRIVER: &str = "
    int cuDriverGetVersion(int *version) { *version = VERSION; return 0; }
    int cuInit(unsigned flags) { return 1000 + flags; }
";
/// The result differs if an argument is wrong.
const CURAND: &str = "
    int curandGenerateNormal(void *rng, float *out, unsigned long n, float mean, float deviation) {
        return !rng && !out && n == 7 && mean == 0.25f && deviation == 1.5f ? 2000 : -1;
    }
";
const CUBLAS: &str = "
    int cublasSgemmStridedBatched(void *h, int ta, int tb, int m, int n, int k, const float *alpha,
            const float *a, int lda, long long sa, const float *b, int ldb, long long sb,
            const float *beta, float *c, int ldc, long long sc, int count) {
        return !h && ta == 1 && tb == 2 && m == 3 && n == 4 && k == 5 && !alpha && !a && lda == 6 &&
            sa == 7000000000 && !b && ldb == 8 && sb == 9 && !beta && !c && ldc == 10 && sc == -11 &&
            count == 12 ? 3000 + CUBLAS_VERSION : -1;
    }
";
const CUDNN: &str = "
    unsigned long cudnnGetVersion(void) { return 91900; }
    unsigned long cudnnGetCudartVersion(void) { return 1000 * CUDA + 80; }
";

/// Compiles C code to a library.
fn compile(folder: &Path, name: &str, code: &str, define: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let source = folder.join("source.c");
    std::fs::write(&source, code).unwrap();
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut command = Command::new(compiler);
    command.args(["-shared", "-fPIC", &format!("-D{define}"), "-o"]).arg(folder.join(name)).arg(source);
    assert!(command.status().unwrap().success(), "a C compiler");
}

/// Compiles a driver for a CUDA version.
fn driver(folder: &Path, version: u32) {
    compile(folder, "libcuda.so.1", DRIVER, &format!("VERSION={version}"));
}

/// Compiles cuBLAS and the other libraries for a CUDA version.
fn toolkit(folder: &Path, version: u32) {
    compile(folder, &format!("libnvrtc.so.{version}"), "", "NOTHING");
    compile(folder, &format!("libcublasLt.so.{version}"), "", "NOTHING");
    compile(folder, &format!("libcublas.so.{version}"), CUBLAS, &format!("CUBLAS_VERSION={version}"));
    compile(folder, "libcurand.so.10", CURAND, "NOTHING");
    compile(folder, "libcudnn.so.9", CUDNN, &format!("CUDA={version}"));
}

/// Runs [`program`] with a folder in `LD_LIBRARY_PATH` and with environment variables, and returns
/// its output.
fn output_of(libraries: &Path, variables: &[(&str, &Path)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "program", "--ignored", "--nocapture"]).env("LD_LIBRARY_PATH", libraries);
    for name in ["CUDA_HOME", "CUDA_PATH", "VIRTUAL_ENV", "CONDA_PREFIX"] {
        command.env_remove(name);
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_once("<<").and_then(|(_, rest)| rest.split_once(">>")).unwrap().0.to_owned()
}

#[test]
#[ignore = "started by the other tests"]
fn program() {
    let calls = || {
        // SAFETY: the functions are those of the libraries above, which only compare numbers.
        let codes = unsafe {
            [
                cuInit(5),
                curandGenerateNormal(null_mut(), null_mut(), 7, 0.25, 1.5),
                cublasSgemmStridedBatched(
                    null_mut(),
                    1,
                    2,
                    3,
                    4,
                    5,
                    null(),
                    null(),
                    6,
                    7_000_000_000,
                    null(),
                    8,
                    9,
                    null(),
                    null_mut(),
                    10,
                    -11,
                    12,
                ),
                cudnnGetVersion() as c_int,
                cuGraphLaunch(null_mut(), null_mut()),
                cublasLtCreate(null_mut()),
            ]
        };
        codes.map(|code| code.to_string()).join(" ")
    };
    let result =
        |result: Result<(), cuda_delayload::Error>| result.map_or_else(|error| error.to_string(), |()| "yes".into());
    let before = calls();
    let driver = result(cuda_delayload::load_driver());
    let loaded = result(cuda_delayload::load());
    assert_eq!(result(cuda_delayload::load()), loaded, "the same answer again");
    println!("<<{before} | {driver} | {loaded} | {}>>", calls());
}

/// The error codes of NVIDIA's own stub libraries for "stub library" and "not initialised".
const NOTHING: &str = "34 101 1 1001 34 1";

#[test]
fn a_program_starts_without_a_driver_and_gets_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    // A broken driver hides the driver that the machine may have.
    std::fs::write(folder.path().join("libcuda.so.1"), "not a library").unwrap();
    let printed = output_of(folder.path(), &[]);
    let (before, rest) = printed.split_once(" | ").unwrap();
    let parts: Vec<&str> = rest.split(" | ").collect();
    assert_eq!((before, parts[2]), (NOTHING, NOTHING));
    assert!(
        parts[0].starts_with("the NVIDIA driver cannot be loaded (") && parts[0].contains("libcuda.so.1"),
        "{printed}"
    );
    assert_eq!(parts[0], parts[1]);
}

#[test]
fn functions_are_those_of_the_libraries_with_all_their_arguments() {
    let folder = tempfile::tempdir().unwrap();
    driver(folder.path(), 13000);
    toolkit(folder.path(), 13);
    // The libraries lack cuGraphLaunch and cublasLtCreate, so calls of these functions fail.
    assert_eq!(output_of(folder.path(), &[]), format!("{NOTHING} | yes | yes | 1005 2000 3013 91900 34 1"));
}

#[test]
fn a_later_driver_accepts_cuda_12_but_an_older_one_does_not_accept_cuda_13() {
    let folder = tempfile::tempdir().unwrap();
    driver(folder.path(), 13010);
    // A broken library hides the CUDA 13 that the machine may have.
    std::fs::write(folder.path().join("libcublasLt.so.13"), "not a library").unwrap();
    toolkit(folder.path(), 12);
    assert_eq!(output_of(folder.path(), &[]), format!("{NOTHING} | yes | yes | 1005 2000 3012 91900 34 1"));

    let folder = tempfile::tempdir().unwrap();
    driver(folder.path(), 12080);
    std::fs::write(folder.path().join("libcublasLt.so.12"), "not a library").unwrap();
    toolkit(folder.path(), 13);
    let printed = output_of(folder.path(), &[]);
    assert!(
        printed.contains("| yes | the NVIDIA driver is available, but libcublasLt.so.12 cannot be loaded ("),
        "{printed}"
    );
    // The functions of the driver work nevertheless.
    assert!(printed.ends_with("1005 101 1 1001 34 1"), "{printed}");
}

#[test]
fn libraries_are_found_among_python_packages_and_the_one_that_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    driver(folder.path(), 13000);
    let python = folder.path().join("venv/lib/python3.12/site-packages/nvidia");
    toolkit(&python.join("cu13/lib"), 13);
    let variables = [("VIRTUAL_ENV", &*folder.path().join("venv"))];
    assert_eq!(output_of(folder.path(), &variables), format!("{NOTHING} | yes | yes | 1005 2000 3013 91900 34 1"));

    let cudnn = python.join("cu13/lib/libcudnn.so.9");
    std::fs::write(&cudnn, "not a library").unwrap();
    std::fs::write(folder.path().join("libcublasLt.so.12"), "not a library").unwrap();
    // The broken cuDNN must take precedence over the one that the machine may have.
    std::fs::rename(&cudnn, folder.path().join("libcudnn.so.9")).unwrap();
    let printed = output_of(folder.path(), &variables);
    assert!(
        printed.contains("but libcudnn.so.9 cannot be loaded (") && printed.ends_with("1005 101 1 1001 34 1"),
        "{printed}"
    );
}

#[test]
fn cudnn_must_be_made_for_the_same_cuda_as_cublas() {
    let folder = tempfile::tempdir().unwrap();
    driver(folder.path(), 13000);
    toolkit(folder.path(), 13);
    compile(folder.path(), "libcudnn.so.9", CUDNN, "CUDA=12");
    // A broken library hides the CUDA 12 that the machine may have.
    std::fs::write(folder.path().join("libcublasLt.so.12"), "not a library").unwrap();
    let nowhere = Path::new("/nowhere");
    let printed = output_of(folder.path(), &[("HOME", nowhere), ("PATH", nowhere)]);
    // The cuDNN of the machine, if it has one, would be suitable.
    let of_machine = ["/usr/local", "/opt"].map(|prefix| Path::new(prefix).join("cuda/lib64/libcudnn.so.9").exists());
    assert!(
        of_machine.contains(&true)
            || printed.contains("but libcudnn.so.9 cannot be loaded (libcudnn.so.9: it is made for CUDA 12, not 13)"),
        "{printed}"
    );
    // The suitable cuDNN is in a folder that is searched later.
    let python = folder.path().join("venv/lib/python3.12/site-packages/nvidia");
    compile(&python.join("cudnn/lib"), "libcudnn.so.9", CUDNN, "CUDA=13");
    let printed = output_of(folder.path(), &[("VIRTUAL_ENV", &folder.path().join("venv"))]);
    assert!(printed.ends_with(" | yes | yes | 1005 2000 3013 91900 34 1"), "{printed}");
}

#[test]
fn the_error_is_that_of_the_most_complete_version() {
    let folder = tempfile::tempdir().unwrap();
    driver(folder.path(), 13000);
    toolkit(folder.path(), 12);
    for broken in ["libcublasLt.so.13", "libcudnn.so.9"] {
        std::fs::write(folder.path().join(broken), "not a library").unwrap();
    }
    let printed = output_of(folder.path(), &[]);
    assert!(printed.contains("but libcudnn.so.9 cannot be loaded ("), "{printed}");
}
