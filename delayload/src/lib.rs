#![doc = include_str!("../README.md")]

#[cfg(delayed)]
mod delayed;
mod error;
#[cfg(any(delayed, test))]
mod folders;
#[cfg(not(delayed))]
mod linked;

#[cfg(delayed)]
use delayed as system;
#[cfg(not(delayed))]
use linked as system;

pub use error::Error;

/// Loads the NVIDIA driver. Afterwards, calls of the functions of `libcuda.so.1` reach the driver.
///
/// Only the first call looks for the driver. Later calls return the same result.
///
/// # Errors
///
/// Returns [`Error::Driver`] if the driver cannot be loaded.
pub fn load_driver() -> Result<(), Error> {
    system::load_driver()
}

/// Loads the NVIDIA driver, cuBLAS, cuRAND and cuDNN. Afterwards, calls of their functions reach
/// the libraries.
///
/// All libraries are of one CUDA version: CUDA 13 if the driver supports it and all libraries are
/// found, otherwise CUDA 12. Each library is looked for in this order:
///
/// 1. where the operating system looks (`LD_LIBRARY_PATH`, `ldconfig`)
/// 2. in `CUDA_HOME` and `CUDA_PATH`, `/usr/local/cuda` and `/opt/cuda`
/// 3. in the Python packages of `VIRTUAL_ENV`, `CONDA_PREFIX`, the `python3` in `PATH`,
///    `/usr/local` and the user. PyTorch installs all libraries there.
///
/// Only the first call looks for the libraries. Later calls return the same result.
///
/// # Errors
///
/// Returns [`Error::Driver`] or [`Error::Library`] if a library cannot be loaded. After
/// [`Error::Library`], the functions of the driver work.
pub fn load() -> Result<(), Error> {
    system::load()
}
