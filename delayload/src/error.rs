//! What a program lacks to use a GPU.

/// What a program lacks to use a GPU.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// NVIDIA's driver; the loader's reason.
    #[error("NVIDIA's driver is not there ({0})")]
    Driver(String),
    /// A library of CUDA's toolkit, or cuDNN.
    #[error("NVIDIA's driver is there, but {library} is not ({reason})")]
    Library {
        /// File name of the library, such as `libcudnn.so.9`.
        library: String,
        /// The loader's reason.
        reason: String,
    },
}
