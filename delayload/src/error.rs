//! The error of loading NVIDIA's libraries.

/// The reason why a program cannot use a GPU.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The driver cannot be loaded. Holds the message of the operating system.
    #[error("the NVIDIA driver cannot be loaded ({0})")]
    Driver(String),
    /// A library of the CUDA toolkit, or cuDNN, cannot be loaded.
    #[error("the NVIDIA driver is available, but {library} cannot be loaded ({reason})")]
    Library {
        /// File name of the library, such as `libcudnn.so.9`.
        library: String,
        /// The message of the operating system, or the reason why the library is not suitable.
        reason: String,
    },
}
