//! The implementation for systems without delayed loading. Programs are linked to the libraries as
//! usual, so only the driver is checked.
#![allow(unsafe_code, reason = "loading a library")]

use crate::error::Error;
use std::error::Error as _;

/// Loads the driver.
pub fn load_driver() -> Result<(), Error> {
    let name = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };
    // SAFETY: while it is loaded, NVIDIA's driver only initialises itself.
    match unsafe { libloading::Library::new(name) } {
        Ok(library) => std::mem::forget(library),
        Err(error) => return Err(Error::Driver(error.source().map_or_else(|| error.to_string(), ToString::to_string))),
    }
    Ok(())
}

/// Loads the driver. The operating system has loaded the other libraries at the start.
pub fn load() -> Result<(), Error> {
    load_driver()
}
