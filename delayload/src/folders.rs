//! Finds the folders of NVIDIA's libraries that the operating system does not search.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Returns the existing folders, the most likely first.
pub fn folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for home in variables(&["CUDA_HOME", "CUDA_PATH"]).chain(["/usr/local/cuda".into(), "/opt/cuda".into()]) {
        folders.extend(["lib64", "lib"].map(|lib| home.join(lib)));
    }
    for prefix in python_prefixes() {
        folders.extend(of_python(&prefix));
    }
    folders.retain(|folder| folder.is_dir());
    folders
}

/// Returns the paths in environment variables that are set and not empty.
fn variables(names: &[&'static str]) -> impl Iterator<Item = PathBuf> {
    names.iter().filter_map(env::var_os).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Returns the prefixes of Python installations and environments.
fn python_prefixes() -> Vec<PathBuf> {
    let mut prefixes: Vec<PathBuf> = variables(&["VIRTUAL_ENV", "CONDA_PREFIX"]).collect();
    let path: OsString = env::var_os("PATH").unwrap_or_default();
    if let Some(python) = env::split_paths(&path).map(|folder| folder.join("python3")).find(|python| python.is_file()) {
        // The python3 of a virtual environment is a link to the python3 that created it.
        for python in [Some(python.clone()), python.canonicalize().ok()].into_iter().flatten() {
            prefixes.extend(python.parent().and_then(Path::parent).map(Path::to_owned));
        }
    }
    prefixes.push("/usr/local".into());
    prefixes.extend(variables(&["HOME"]).map(|home| home.join(".local")));
    prefixes
}

/// Returns the library folders of a Python prefix: those of NVIDIA's wheels, such as
/// `lib/python3.12/site-packages/nvidia/cudnn/lib`, and `lib`, where conda installs libraries.
fn of_python(prefix: &Path) -> Vec<PathBuf> {
    let lib = prefix.join("lib");
    let mut folders = Vec::new();
    let pythons = inside(&lib);
    let is_python = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python3"));
    for python in pythons.into_iter().filter(is_python) {
        for packages in ["site-packages", "dist-packages"] {
            folders.extend(inside(&python.join(packages).join("nvidia")).into_iter().map(|part| part.join("lib")));
        }
    }
    folders.push(lib);
    folders
}

/// Lists the content of a folder, sorted. Returns an empty list if the folder cannot be read.
fn inside(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wheels_are_found_below_a_prefix() {
        let prefix = tempfile::tempdir().unwrap();
        let lib = prefix.path().join("lib");
        let wheels = ["python3.12/site-packages/nvidia/cu13/lib", "python3.12/site-packages/nvidia/cudnn/lib"];
        for folder in wheels.iter().chain(&["python3.12/site-packages/numpy", "cmake/nvidia/lib"]) {
            std::fs::create_dir_all(lib.join(folder)).unwrap();
        }
        let expected: Vec<PathBuf> = wheels.iter().map(|wheel| lib.join(wheel)).chain([lib.clone()]).collect();
        assert_eq!(of_python(prefix.path()), expected);
        assert_eq!(of_python(Path::new("/nowhere")), [Path::new("/nowhere/lib")]);
    }
}
