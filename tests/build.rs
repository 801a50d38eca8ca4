//! Finds the programs that some tests run. Tests whose programs are missing are ignored, with a
//! reason.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names of browsers. One of them is enough.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

fn main() {
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=CLIPSHARD_PYTHON");
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    let on_path = |name: &str| {
        let name = format!("{name}{}", env::consts::EXE_SUFFIX);
        folders.iter().map(|folder| folder.join(&name)).find(|path| path.is_file())
    };
    // A package of ffmpeg contains both programs.
    let ffmpeg = on_path("ffmpeg").filter(|_| on_path("ffprobe").is_some());
    let mut missing = !announce("has_ffmpeg", ffmpeg.as_deref());
    missing |= !announce("has_browser", BROWSERS.into_iter().find_map(on_path).as_deref());
    let (named, made) = (env::var_os("CLIPSHARD_PYTHON").map(PathBuf::from), made_python());
    let python = named.into_iter().chain(made.clone()).chain(on_path("python3")).find(|python| decodes_zstd(python));
    missing |= !announce("has_python_zstd", python.as_deref());
    // An installation changes one of these paths. The virtual environment's Python is a link to an
    // older file, but its settings file is new.
    let settings = made.map(|python| python.with_file_name("../pyvenv.cfg")).filter(|file| missing || file.exists());
    let folders = folders.into_iter().filter(|folder| missing && folder.is_dir());
    for path in folders.chain(settings) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}

/// Sets a `cfg` if a program was found, and runs this script again when the program changes.
/// Returns whether it was found.
fn announce(cfg: &str, program: Option<&Path>) -> bool {
    println!("cargo::rustc-check-cfg=cfg({cfg})");
    if let Some(path) = program {
        println!("cargo::rustc-cfg={cfg}");
        println!("cargo::rerun-if-changed={}", path.display());
    }
    program.is_some()
}

/// Returns the path of the Python that `scripts/python_env.sh` installs: next to the folder of the
/// build profile, four levels above the output of this script.
fn made_python() -> Option<PathBuf> {
    Some(Path::new(&env::var_os("OUT_DIR")?).ancestors().nth(4)?.join("python/bin/python"))
}

fn decodes_zstd(python: &Path) -> bool {
    let code = "try:\n import zstandard\nexcept ImportError:\n import compression.zstd";
    Command::new(python).args(["-c", code]).output().is_ok_and(|output| output.status.success())
}
