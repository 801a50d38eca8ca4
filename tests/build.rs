//! Finds the programs that some tests run. Where one is missing, these tests are ignored and give the reason.

use std::env;
use std::path::PathBuf;

/// The name of each `cfg`, and the programs of which one is enough.
const PROGRAMS: [(&str, &[&str]); 2] =
    [("has_ffmpeg", &["ffmpeg"]), ("has_browser", &["chromium", "chromium-browser", "google-chrome"])];

fn main() {
    println!("cargo::rerun-if-env-changed=PATH");
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    let mut missing = false;
    for (cfg, names) in PROGRAMS {
        println!("cargo::rustc-check-cfg=cfg({cfg})");
        let name = |name: &&str| folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
        match names.iter().find_map(name) {
            Some(path) => {
                println!("cargo::rustc-cfg={cfg}");
                println!("cargo::rerun-if-changed={}", path.display());
            }
            None => missing = true,
        }
    }
    // An installation changes one of these folders.
    for folder in folders.iter().filter(|folder| missing && folder.is_dir()) {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
}
