//! Errors.

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
    /// A parameter has a value with which the method makes no sense.
    #[error("parameter {name} is {value}, expected {expected}")]
    Parameter {
        /// Its name in [`crate::TvL1Params`] or [`crate::DisParams`].
        name: &'static str,
        /// Its value.
        value: String,
        /// The values that are allowed.
        expected: &'static str,
    },
    /// Images have no pixels, or more than [`crate::TvL1::MAX_PIXELS`].
    #[error("images of {width}x{height} pixels: expected 1 to {} pixels", crate::TvL1::MAX_PIXELS)]
    Size {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// The bytes of an image do not fit the size for which the solver was made.
    #[error("a grey image of {width}x{height} has {expected} bytes, got {got}", expected = width * height)]
    Image {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Bytes that were given.
        got: usize,
    },
    /// Two flow fields have different sizes, or the components of one do not fit its size.
    #[error("a flow field of {}x{} pixels with {} motions to the right and {} downwards; expected one of {width}x{height}", got.0, got.1, motions.0, motions.1)]
    Field {
        /// Expected width in pixels.
        width: usize,
        /// Expected height in pixels.
        height: usize,
        /// Width and height that the field states.
        got: (usize, usize),
        /// Motions in its `x` and in its `y`.
        motions: (usize, usize),
    },
    /// Frames for a card are not whole, fewer than two, or more than it was told to make room for.
    #[error("{got} bytes of grey frames of {width}x{height}: expected 2 to {} whole ones", pairs + 1)]
    Frames {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Pairs at most.
        pairs: usize,
        /// Bytes that were given.
        got: usize,
    },
    /// A card has no memory left for so much at once.
    #[error("card {ordinal}: its memory is full")]
    CardFull {
        /// Its number.
        ordinal: usize,
    },
    /// A card cannot be used.
    #[error("card {ordinal}: {reason}")]
    Card {
        /// Its number.
        ordinal: usize,
        /// In words.
        reason: String,
    },
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Checks that both images have the size that a solver was made for.
pub(crate) fn check_images(images: [&[u8]; 2], width: usize, height: usize) -> Result<()> {
    match images.into_iter().find(|image| image.len() != width * height) {
        Some(image) => Err(Error::Image { width, height, got: image.len() }),
        None => Ok(()),
    }
}
