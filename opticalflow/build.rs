//! Compiles the CUDA kernel to PTX if the feature `cuda` is enabled.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=src/cuda/tvl1.cu");
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
    // PTX of one compute capability runs on every later GPU.
    let capability = variable("CUDA_COMPUTE_CAP").unwrap_or_else(|| "75".into());
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("tvl1.ptx");
    let status = Command::new(&nvcc)
        // Without fused multiply-add, as on the CPU, so that both give the same bits.
        .args(["-ptx", "-O3", "-fmad=false", "-std=c++17", &format!("-arch=compute_{capability}"), "-o"])
        .arg(&out)
        .arg("src/cuda/tvl1.cu")
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("cannot compile src/cuda/tvl1.cu: {} ended with {status}", nvcc.display()),
        Err(error) => panic!(
            "cannot run {}: {error}. The feature `cuda` needs the CUDA compiler: install the CUDA toolkit and set \
             CUDA_HOME, or build without the feature",
            nvcc.display()
        ),
    }
}
