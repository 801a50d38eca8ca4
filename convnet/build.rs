//! Compiles the CUDA kernels to PTX if the feature `cuda` is enabled.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=src/cuda/kernels.cu");
    for name in ["NVCC", "CUDA_HOME", "CUDA_PATH", "CUDA_COMPUTE_CAP"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    if std::env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let nvcc = variable("NVCC").map_or_else(
        || {
            let home = variable("CUDA_HOME").or_else(|| variable("CUDA_PATH"));
            home.map_or_else(|| "nvcc".into(), |home| PathBuf::from(home).join("bin/nvcc"))
        },
        PathBuf::from,
    );
    // PTX runs on its compute capability and on later ones. bf16 needs at least 8.0.
    let capability = variable("CUDA_COMPUTE_CAP").unwrap_or_else(|| "80".into());
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("kernels.ptx");
    let status = Command::new(&nvcc)
        .args(["-ptx", "-O3", "-std=c++17", &format!("-arch=compute_{capability}"), "-o"])
        .arg(&out)
        .arg("src/cuda/kernels.cu")
        .status();
    println!("cargo::rustc-env=CANDLE_CONVNET_CUDA={}", version(&nvcc).unwrap_or_default());
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("cannot compile src/cuda/kernels.cu: {} ended with {status}", nvcc.display()),
        Err(error) => panic!(
            "cannot run {}: {error}. Install the CUDA toolkit and set CUDA_HOME, or build without the feature `cuda`",
            nvcc.display()
        ),
    }
}

/// Returns the version of the compiler in NVIDIA's notation: 13000 is 13.0.
fn version(nvcc: &Path) -> Option<u32> {
    let output = Command::new(nvcc).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (_, rest) = text.split_once("release ")?;
    let (major, rest) = rest.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(1000 * major.parse::<u32>().ok()? + 10 * minor.parse::<u32>().ok()?)
}
