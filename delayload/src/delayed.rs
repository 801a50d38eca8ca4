//! Loads libraries and fills the slots that NVIDIA's functions jump through.
#![allow(unsafe_code, reason = "loading libraries, and the slots of build.rs")]

use crate::error::Error;
use crate::folders::folders;
use libloading::os::unix::{Library, RTLD_NOW};
use std::error::Error as _;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

include!(concat!(env!("OUT_DIR"), "/functions.rs"));

unsafe extern "C" {
    /// The address of each function, in the order of `FUNCTIONS`. build.rs defines and initialises
    /// it.
    static cuda_delayload_slots: [AtomicUsize; ALL];
}

/// Name of the driver in `FUNCTIONS`.
const DRIVER: &str = "cuda";

/// A loaded library and its name in `FUNCTIONS`.
type Loaded = (&'static str, Library);

/// Loads the driver, once.
pub fn load_driver() -> Result<(), Error> {
    driver_version().map(|_| ())
}

/// Loads the driver, once, and returns the CUDA version that it supports: 13000 for 13.0.
fn driver_version() -> Result<i32, Error> {
    static DRIVER_VERSION: OnceLock<Result<i32, Error>> = OnceLock::new();
    let load = || {
        let library = open("libcuda.so.1", &[], |_| Ok(())).map_err(Error::Driver)?;
        let mut version = 0;
        // SAFETY: the declaration is that of the driver, and this function may be called before all
        // others.
        unsafe {
            let get = library.get::<unsafe extern "C" fn(*mut i32) -> i32>(b"cuDriverGetVersion\0");
            if let Ok(get) = get {
                get(&raw mut version);
            }
        }
        fill(vec![(DRIVER, library)]);
        Ok(version)
    };
    DRIVER_VERSION.get_or_init(load).clone()
}

/// Loads the driver and the libraries of one CUDA version, once.
pub fn load() -> Result<(), Error> {
    static LOADED: OnceLock<Result<(), Error>> = OnceLock::new();
    let load = || {
        // The driver does not support libraries of a later CUDA version.
        let versions = if driver_version()? >= 13000 { &[13, 12][..] } else { &[12] };
        let folders = folders();
        let mut closest: Option<Failed> = None;
        for &version in versions {
            match toolkit(version, &folders) {
                Ok(libraries) => {
                    fill(libraries);
                    return Ok(());
                }
                Err(failed) => {
                    let is_closer = closest.as_ref().is_none_or(|closest| failed.found > closest.found);
                    closest = if is_closer { Some(failed) } else { closest };
                }
            }
        }
        closest.map_or(Ok(()), |Failed { library, reason, .. }| Err(Error::Library { library, reason }))
    };
    LOADED.get_or_init(load).clone()
}

/// The reason why the libraries of a CUDA version cannot be used.
struct Failed {
    /// Number of libraries that were loaded before the failure.
    found: usize,
    library: String,
    reason: String,
}

/// Loads all libraries of one CUDA version. A library comes after the libraries that it needs.
fn toolkit(version: u32, folders: &[PathBuf]) -> Result<Vec<Loaded>, Failed> {
    let compiler = run_time_compiler(version, folders);
    let mut loaded = Vec::new();
    for (name, number) in [("cublasLt", version), ("cublas", version), ("curand", 10), ("cudnn", 9)] {
        let library = format!("lib{name}.so.{number}");
        let is_right = |opened: &Library| if name == "cudnn" { is_cudnn_of(opened, version) } else { Ok(()) };
        match open(&library, folders, is_right) {
            Ok(opened) => loaded.push((name, opened)),
            Err(reason) => return Err(Failed { found: loaded.len(), library, reason }),
        }
    }
    loaded.extend(compiler);
    Ok(loaded)
}

/// Checks that a cuDNN is made for a CUDA version.
///
/// cuDNN has the same file name for all CUDA versions, but needs the cuBLAS of its own version.
fn is_cudnn_of(cudnn: &Library, version: u32) -> Result<(), String> {
    // SAFETY: the declaration is that of cuDNN.
    let get = unsafe { cudnn.get::<unsafe extern "C" fn() -> usize>(b"cudnnGetCudartVersion\0") };
    let Ok(get) = get else { return Ok(()) };
    // SAFETY: the function has no arguments and returns a constant.
    let made_for = unsafe { get() } / 1000;
    if made_for == version as usize { Ok(()) } else { Err(format!("it is made for CUDA {made_for}, not {version}")) }
}

/// Loads the runtime compiler, if it is found.
///
/// cuDNN needs it to compile some of its kernels, but does not search the folders for it.
fn run_time_compiler(version: u32, folders: &[PathBuf]) -> Option<Loaded> {
    let compiler = open(&format!("libnvrtc.so.{version}"), folders, |_| Ok(())).ok()?;
    let minors = (0..10).map(|minor| format!("libnvrtc-builtins.so.{version}.{minor}"));
    for builtins in minors.filter(|name| folders.iter().any(|folder| folder.join(name).exists())) {
        if let Ok(builtins) = open(&builtins, folders, |_| Ok(())) {
            std::mem::forget(builtins);
        }
    }
    Some(("nvrtc", compiler))
}

/// Loads a library by its name, or from a folder if the operating system finds no suitable one.
///
/// Returns the message of the operating system, or the reason of `is_right`, if no library is
/// suitable.
fn open(name: &str, folders: &[PathBuf], is_right: impl Fn(&Library) -> Result<(), String>) -> Result<Library, String> {
    let load = |file: &Path| -> Result<Library, String> {
        // SAFETY: while they are loaded, NVIDIA's libraries only initialise themselves.
        let library = unsafe { Library::open(Some(file), RTLD_NOW) };
        // The source of the error is the message of the dynamic linker.
        let words = |error: libloading::Error| error.source().map_or_else(|| error.to_string(), ToString::to_string);
        let library = library.map_err(words)?;
        is_right(&library).map_err(|reason| format!("{}: {reason}", file.display()))?;
        Ok(library)
    };
    let mut answer = load(Path::new(name));
    for file in folders.iter().map(|folder| folder.join(name)).filter(|file| file.exists()) {
        match &answer {
            // The search continues only if no library was found, or one for another CUDA version.
            // A broken library that the operating system finds is an error that the user must fix.
            Err(reason) if reason.contains("cannot open shared object file") || reason.contains("made for CUDA") => {
                answer = load(&file);
            }
            _ => break,
        }
    }
    answer
}

/// Fills the slots of the libraries' functions with their addresses. Keeps the libraries loaded.
///
/// The slot of a function that a library lacks stays unchanged, so calls of the function fail.
fn fill(libraries: Vec<Loaded>) {
    // SAFETY: the array has `ALL` words, and only this function writes to it.
    let mut slots = unsafe { &cuda_delayload_slots }.iter();
    for (library, functions) in FUNCTIONS {
        let found = libraries.iter().find(|(name, _)| name == library);
        for (function, slot) in functions.iter().zip(&mut slots) {
            let Some((_, library)) = found else { continue };
            let Ok(symbol) = CString::new(*function) else { continue };
            // SAFETY: only the address is used. Callers declare the function as NVIDIA does.
            if let Ok(address) = unsafe { library.get::<*const ()>(symbol.as_bytes_with_nul()) } {
                slot.store(address.into_raw() as usize, Ordering::Release);
            }
        }
    }
    // The libraries must stay loaded, because the slots point to them.
    libraries.into_iter().for_each(std::mem::forget);
}
