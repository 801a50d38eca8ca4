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

/// Looks for the driver, once; after this the functions of `libcuda.so.1` are its own.
pub fn load_driver() -> Result<(), Error> {
    system::load_driver()
}

/// Looks for the driver, cuBLAS, cuRAND and cuDNN, once; after this their functions are their own.
///
/// Libraries of one version of CUDA are taken: the driver's, else, where it is later than 12, those of CUDA 12. Each is looked
/// for where the system does (`LD_LIBRARY_PATH`, `ldconfig`), then in `CUDA_HOME` and `CUDA_PATH`, `/usr/local/cuda`,
/// `/opt/cuda`, and among the Python packages of `VIRTUAL_ENV`, `CONDA_PREFIX`, the `python3` in `PATH` and the user: PyTorch
/// brings all of them.
pub fn load() -> Result<(), Error> {
    system::load()
}
