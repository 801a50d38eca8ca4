//! What is wrong with a JPEG file.

/// Why bytes are not a JPEG file that can be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JpegFault {
    /// No bytes at all.
    #[error("the file is empty")]
    Empty,
    /// Another kind of file.
    #[error("not a JPEG file (it starts with {0:02x?})")]
    NotJpeg(Vec<u8>),
    /// The file ends before the image does.
    #[error("the JPEG file is truncated ({0})")]
    Truncated(&'static str),
    /// Something other than zeros follows the end marker.
    #[error(
        "the JPEG file has {0} bytes behind its end marker; save it again without them (jpegtran does without loss)"
    )]
    Trailing(usize),
    /// The image data end before the image does, whatever marker follows.
    #[error("the JPEG file is truncated (its image data end after {blocks} of {of} blocks)")]
    Cut {
        /// Blocks of 8 x 8 samples of the scan that are there.
        blocks: u64,
        /// Blocks that the scan has.
        of: u64,
    },
    /// The image data make no sense.
    #[error("the JPEG file is damaged: {0}")]
    Damaged(String),
    /// A kind of JPEG that the decoder does not read, or numbers that make no sense.
    #[error("the JPEG file cannot be used: {0}")]
    Unusable(String),
}

/// Result of the parts of the decoder.
pub(super) type Result<T, E = JpegFault> = std::result::Result<T, E>;

/// Why a unit of a scan could not be read.
pub(super) enum UnitFault {
    End,
    Code(&'static str),
}

pub(super) fn damaged(what: &str) -> JpegFault {
    JpegFault::Damaged(what.into())
}
