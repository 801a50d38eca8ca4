//! Where nothing is delayed: programs are linked with what they use, and start only where it is. Only the driver is looked for, as
//! a crate may look for it itself.
#![allow(unsafe_code, reason = "loading a library")]

use crate::error::Error;
use std::error::Error as _;

pub fn load_driver() -> Result<(), Error> {
    let name = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };
    // SAFETY: NVIDIA's driver, which does nothing on being loaded but set itself up.
    match unsafe { libloading::Library::new(name) } {
        Ok(library) => std::mem::forget(library),
        Err(error) => return Err(Error::Driver(error.source().map_or_else(|| error.to_string(), ToString::to_string))),
    }
    Ok(())
}

pub fn load() -> Result<(), Error> {
    load_driver()
}
