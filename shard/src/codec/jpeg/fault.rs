//! The faults of JPEG files.

/// The reason why bytes are not a JPEG file that can be stored or decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JpegFault {
    /// The file has no bytes.
    #[error("the file is empty")]
    Empty,
    /// The file is of another kind. Holds its first bytes.
    #[error("not a JPEG file: it starts with the bytes {0:02x?}")]
    NotJpeg(Vec<u8>),
    /// The file ends before the image does.
    #[error("the JPEG file is truncated: {0}")]
    Truncated(&'static str),
    /// Bytes other than zeros follow the end marker. Holds the number of bytes after the marker.
    #[error("the JPEG file has {0} bytes after its end marker; remove them with jpegtran, which is lossless")]
    Trailing(usize),
    /// The image data of a scan ends early, although a marker follows.
    #[error("the JPEG file is truncated: its image data ends after {blocks} of {of} blocks")]
    Cut {
        /// Number of blocks of 8 x 8 samples that the scan contains.
        blocks: u64,
        /// Number of blocks that the scan must contain.
        of: u64,
    },
    /// The file contradicts itself or the JPEG standard.
    #[error("the JPEG file is damaged: {0}")]
    Damaged(String),
    /// The file is of a kind of JPEG that is not supported, or does not match what the caller
    /// expects.
    #[error("the JPEG file cannot be used: {0}")]
    Unusable(String),
}

/// The result type of the parts of the decoder.
pub(super) type Result<T, E = JpegFault> = std::result::Result<T, E>;

/// The reason why a unit of a scan cannot be read.
pub(super) enum UnitFault {
    /// The image data ends.
    End,
    /// A code or a coefficient is invalid.
    Code(&'static str),
}

/// Creates a [`JpegFault::Damaged`].
pub(super) fn damaged(what: &str) -> JpegFault {
    JpegFault::Damaged(what.into())
}
