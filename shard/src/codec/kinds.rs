//! The codecs and filters of the format, with the bytes that stand for them in an index.

use crate::samples::SampleType;
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
    /// Each row except for the first is replaced by its difference to the row above, sample by
    /// sample, modulo 256 or 65536. For integers.
    Up = 1,
    /// The first bytes of all samples, then the second bytes, and so on. For samples of several
    /// bytes.
    Shuffle = 2,
    /// `Up`, then a code that makes small differences of both signs small numbers, then `Shuffle`.
    /// For integers of 16 bits.
    UpShuffle = 3,
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

    /// Returns whether this program was built with the codec, so that it can decode its records.
    ///
    /// Each codec except for `raw` has a Cargo feature of the same name. All are on by default.
    ///
    /// # Example
    ///
    /// ```
    /// use clipshard::Codec;
    ///
    /// assert!(Codec::Raw.is_compiled());
    /// assert_eq!(Codec::Zstd.is_compiled(), cfg!(feature = "zstd"));
    /// ```
    pub const fn is_compiled(self) -> bool {
        match self {
            Self::Raw => true,
            Self::Jpeg => cfg!(feature = "jpeg"),
            Self::Zstd => cfg!(feature = "zstd"),
            Self::Lz4 => cfg!(feature = "lz4"),
        }
    }

    /// Returns the reason why records of a codec that is not compiled cannot be used, as a clause
    /// about the codec.
    pub(crate) fn absence(self) -> String {
        format!("which this program was built without; build it with the Cargo feature {self} of clipshard")
    }
}

impl Filter {
    /// Returns the filter with this byte in an index.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::None,
            1 => Self::Up,
            2 => Self::Shuffle,
            3 => Self::UpShuffle,
            _ => return None,
        })
    }

    /// Returns the name in lower case: `none`, `up`, `shuffle` or `up-shuffle`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Up => "up",
            Self::Shuffle => "shuffle",
            Self::UpShuffle => "up-shuffle",
        }
    }

    /// Returns whether the format allows the filter for a codec and a type of samples.
    pub fn fits(self, codec: Codec, samples: SampleType) -> bool {
        let is_filtered = matches!(codec, Codec::Zstd | Codec::Lz4);
        match self {
            Self::None => true,
            Self::Up => is_filtered && matches!(samples, SampleType::U8 | SampleType::U16 | SampleType::I16),
            Self::Shuffle => is_filtered && samples != SampleType::U8,
            Self::UpShuffle => is_filtered && matches!(samples, SampleType::U16 | SampleType::I16),
        }
    }

    /// Returns the filter that usually compresses this type of samples best.
    pub fn for_samples(samples: SampleType) -> Self {
        match samples {
            SampleType::U8 => Self::Up,
            SampleType::U16 | SampleType::I16 => Self::UpShuffle,
            SampleType::F16 | SampleType::F32 => Self::Shuffle,
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
