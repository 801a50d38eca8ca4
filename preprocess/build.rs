//! Sets `cfg(has_ffmpeg)` where ffmpeg is on the PATH. Without it, the tests that need ffmpeg are listed as ignored.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(has_ffmpeg)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PATH");
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = env::split_paths(&path).collect();
    let find = |program: &str| {
        let name = format!("{program}{}", env::consts::EXE_SUFFIX);
        folders.iter().map(|folder| folder.join(&name)).find(|file| file.is_file())
    };
    if let (Some(ffmpeg), Some(ffprobe)) = (find("ffmpeg"), find("ffprobe")) {
        println!("cargo::rustc-cfg=has_ffmpeg");
        // If they are removed, the script runs again.
        println!("cargo::rerun-if-changed={}", ffmpeg.display());
        println!("cargo::rerun-if-changed={}", ffprobe.display());
    } else {
        // Installed, they are found.
        for folder in folders.iter().filter(|folder: &&_| Path::is_dir(folder)) {
            println!("cargo::rerun-if-changed={}", folder.display());
        }
    }
}
