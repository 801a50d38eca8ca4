//! The codecs and filters of the format, with the bytes that stand for them in an index.

use std::fmt;

/// The compression of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Codec {
    /// Pixels without compression.
    Raw = 0,
    /// An unchanged JPEG file.
    Jpeg = 1,
    /// One zstd frame that states its content size.
    Zstd = 2,
    /// One LZ4 block.
    Lz4 = 3,
}

/// The transformation of the pixels before compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Filter {
    /// No transformation.
    None = 0,
    /// Each row except for the first is replaced by its difference to the row above, modulo 256.
    Up = 1,
}

impl Codec {
    /// Returns the codec with this byte in an index.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Raw,
            1 => Self::Jpeg,
            2 => Self::Zstd,
            3 => Self::Lz4,
            _ => return None,
        })
    }

    /// Returns the name in lower case: `raw`, `jpeg`, `zstd` or `lz4`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Jpeg => "jpeg",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        }
    }
}

impl Filter {
    /// Returns the filter with this byte in an index.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::None,
            1 => Self::Up,
            _ => return None,
        })
    }

    /// Returns the name in lower case: `none` or `up`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Up => "up",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
