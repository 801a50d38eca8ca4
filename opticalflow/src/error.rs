//! What can be wrong with a request.

/// An error of this crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A parameter has a value with which the method makes no sense.
    #[error("parameter {name} is {value}, expected {expected}")]
    Parameter {
        /// Its name in [`crate::Params`].
        name: &'static str,
        /// What was given.
        value: String,
        /// What would do.
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
    /// An image has not as many bytes as the size says for which the solver was made.
    #[error("a grey image of {width}x{height} has {expected} bytes, got {got}", expected = width * height)]
    Image {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Bytes that were given.
        got: usize,
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

/// Whether both images have the size that a solver was made for.
pub(crate) fn check_images(images: [&[u8]; 2], width: usize, height: usize) -> Result<()> {
    match images.into_iter().find(|image| image.len() != width * height) {
        Some(image) => Err(Error::Image { width, height, got: image.len() }),
        None => Ok(()),
    }
}
