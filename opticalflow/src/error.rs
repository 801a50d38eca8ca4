//! The errors of this crate.

/// An error of this crate.
///
/// # Example
///
/// ```
/// use clip_flow::{Error, TvL1, TvL1Params};
///
/// let error = TvL1::new(0, 48, TvL1Params::default()).unwrap_err();
/// assert_eq!(error, Error::Size { width: 0, height: 48 });
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter has a wrong value.
    #[error("parameter {name} is {value}, but must be {expected}")]
    Parameter {
        /// Name of the field in [`crate::TvL1Params`] or [`crate::DisParams`].
        name: &'static str,
        /// Value of the field.
        value: String,
        /// The allowed values, in words.
        expected: &'static str,
    },
    /// Images have no pixels, or more than [`crate::TvL1::MAX_PIXELS`].
    #[error("images of {width}x{height} are not supported: they must have 1 to {} pixels", crate::TvL1::MAX_PIXELS)]
    Size {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// An image does not have the size of the solver.
    #[error("an image has {got} bytes, but a grey image of {width}x{height} has {expected}", expected = width * height)]
    Image {
        /// Width of the solver's images in pixels.
        width: usize,
        /// Height of the solver's images in pixels.
        height: usize,
        /// Number of bytes of the image.
        got: usize,
    },
    /// Two flow fields have different sizes, or the components of a field do not fit its size.
    #[error(
        "a flow field of {}x{} has {} x and {} y components, but a field of {width}x{height} is needed",
        got.0, got.1, motions.0, motions.1
    )]
    Field {
        /// Expected width in pixels.
        width: usize,
        /// Expected height in pixels.
        height: usize,
        /// Width and height of the field.
        got: (usize, usize),
        /// Number of elements in the field's `x` and in its `y`.
        motions: (usize, usize),
    },
    /// Frames for a GPU are incomplete, fewer than two, or more than the solver was made for.
    #[error(
        "{got} bytes are not 2 to {} whole grey frames of {width}x{height}, which the solver needs",
        pairs + 1
    )]
    Frames {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Largest number of pairs.
        pairs: usize,
        /// Number of bytes of the frames.
        got: usize,
    },
    /// The memory of a GPU is not sufficient.
    #[error("the memory of GPU {ordinal} is full")]
    GpuFull {
        /// Number of the GPU.
        ordinal: usize,
    },
    /// A GPU cannot be used.
    #[error("cannot use GPU {ordinal}: {reason}")]
    Gpu {
        /// Number of the GPU.
        ordinal: usize,
        /// The reason, in words.
        reason: String,
    },
}

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Checks that both images have the size of the solver.
pub(crate) fn check_images(images: [&[u8]; 2], width: usize, height: usize) -> Result<()> {
    match images.into_iter().find(|image| image.len() != width * height) {
        Some(image) => Err(Error::Image { width, height, got: image.len() }),
        None => Ok(()),
    }
}
