//! Loading, and the slots that NVIDIA's functions jump through.
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
    /// Where each function is, in the order of `FUNCTIONS`: made and initialised by build.rs.
    static cuda_delayload_slots: [AtomicUsize; ALL];
}

const DRIVER: &str = "cuda";

/// A library that was loaded, and the name in `FUNCTIONS` of what it has.
type Loaded = (&'static str, Library);

pub fn load_driver() -> Result<(), Error> {
    driver_version().map(|_| ())
}

/// Loads the driver; the version of CUDA that it is made for, 13000 for 13.0.
fn driver_version() -> Result<i32, Error> {
    static DRIVER_VERSION: OnceLock<Result<i32, Error>> = OnceLock::new();
    let load = || {
        let library = open("libcuda.so.1", &[], |_| Ok(())).map_err(Error::Driver)?;
        let mut version = 0;
        // SAFETY: the driver's own declaration of this function; it may be called before all others.
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

pub fn load() -> Result<(), Error> {
    static LOADED: OnceLock<Result<(), Error>> = OnceLock::new();
    let load = || {
        // Libraries of a later CUDA than the driver's would not run.
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

/// Why the libraries for a version of CUDA cannot be taken, and how many of them were found before.
struct Failed {
    found: usize,
    library: String,
    reason: String,
}

/// All libraries for one version of CUDA, those that others need first.
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

/// cuDNN has one name for all versions of CUDA, but needs the cuBLAS of its own.
fn is_cudnn_of(cudnn: &Library, version: u32) -> Result<(), String> {
    // SAFETY: cuDNN's own declaration of this function.
    let get = unsafe { cudnn.get::<unsafe extern "C" fn() -> usize>(b"cudnnGetCudartVersion\0") };
    let Ok(get) = get else { return Ok(()) };
    // SAFETY: it takes nothing and returns a constant.
    let made_for = unsafe { get() } / 1000;
    if made_for == version as usize { Ok(()) } else { Err(format!("it is made for CUDA {made_for}, not {version}")) }
}

/// cuDNN compiles some of its kernels when it needs them, if it finds this; it does not look in folders itself.
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

/// Loads a library by its name, or where the system does not find it, or not the right one, from the first of the folders that has
/// it.
fn open(name: &str, folders: &[PathBuf], is_right: impl Fn(&Library) -> Result<(), String>) -> Result<Library, String> {
    let load = |file: &Path| -> Result<Library, String> {
        // SAFETY: NVIDIA's libraries do nothing on being loaded but set themselves up.
        let library = unsafe { Library::open(Some(file), RTLD_NOW) };
        // The loader's own words are what the error comes from.
        let words = |error: libloading::Error| error.source().map_or_else(|| error.to_string(), ToString::to_string);
        let library = library.map_err(words)?;
        is_right(&library).map_err(|reason| format!("{}: {reason}", file.display()))?;
        Ok(library)
    };
    let mut answer = load(Path::new(name));
    for file in folders.iter().map(|folder| folder.join(name)).filter(|file| file.exists()) {
        match &answer {
            // A library that the system finds but cannot load is one that somebody chose: its error is the one to mend.
            Err(reason) if reason.contains("cannot open shared object file") || reason.contains("made for CUDA") => {
                answer = load(&file);
            }
            _ => break,
        }
    }
    answer
}

/// Points the slots of these libraries' functions at them, for good. What a library lacks stays as it was: that function fails.
fn fill(libraries: Vec<Loaded>) {
    // SAFETY: an array of as many words, written by nobody else.
    let mut slots = unsafe { &cuda_delayload_slots }.iter();
    for (library, functions) in FUNCTIONS {
        let found = libraries.iter().find(|(name, _)| name == library);
        for (function, slot) in functions.iter().zip(&mut slots) {
            let Some((_, library)) = found else { continue };
            let Ok(symbol) = CString::new(*function) else { continue };
            // SAFETY: only the address is taken; whoever calls it declares it as NVIDIA does.
            if let Ok(address) = unsafe { library.get::<*const ()>(symbol.as_bytes_with_nul()) } {
                slot.store(address.into_raw() as usize, Ordering::Release);
            }
        }
    }
    // Never unloaded: the slots lead there.
    libraries.into_iter().for_each(std::mem::forget);
}
