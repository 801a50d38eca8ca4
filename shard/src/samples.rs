//! The types of samples that records hold.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The type of the samples of a stream. All types are little-endian.
///
/// # Example
///
/// ```
/// use clipshard::SampleType;
///
/// assert_eq!((SampleType::U16.name(), SampleType::U16.bytes()), ("u16", 2));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
#[non_exhaustive]
pub enum SampleType {
    /// Unsigned 8-bit integers, such as colours.
    #[default]
    U8 = 0,
    /// Unsigned 16-bit integers, such as depths.
    U16 = 1,
    /// Signed 16-bit integers, such as audio.
    I16 = 2,
    /// IEEE 754 floating-point numbers of 16 bits (binary16).
    F16 = 3,
    /// IEEE 754 floating-point numbers of 32 bits (binary32).
    F32 = 4,
}

impl SampleType {
    /// Returns the type with this byte in a header.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::U8,
            1 => Self::U16,
            2 => Self::I16,
            3 => Self::F16,
            4 => Self::F32,
            _ => return None,
        })
    }

    /// Returns the name in a manifest: `u8`, `u16`, `i16`, `f16` or `f32`.
    pub fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::F16 => "f16",
            Self::F32 => "f32",
        }
    }

    /// Returns the number of bytes of a sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 | Self::I16 | Self::F16 => 2,
            Self::F32 => 4,
        }
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(crate) fn is_u8(&self) -> bool {
        *self == Self::U8
    }
}

impl fmt::Display for SampleType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A Rust type for samples: `u8`, `u16`, `i16`, `f32`, and `half::f16` with the cargo feature
/// `half`.
///
/// [`Encoder::encode_samples`](crate::Encoder::encode_samples) and
/// [`ClipRecords::decode_samples`](crate::ClipRecords::decode_samples) take slices of these types.
pub trait Sample: sealed::Sealed + Copy + zerocopy::IntoBytes + zerocopy::FromBytes + zerocopy::Immutable {
    /// The type of the samples in the format.
    const TYPE: SampleType;
}

mod sealed {
    #[allow(unnameable_types, reason = "other crates must not implement `Sample`")]
    pub trait Sealed {}
}

macro_rules! sample {
    ($($rust:ty: $name:ident),*) => {$(
        impl sealed::Sealed for $rust {}
        impl Sample for $rust {
            const TYPE: SampleType = SampleType::$name;
        }
    )*};
}

sample!(u8: U8, u16: U16, i16: I16, f32: F32);
#[cfg(feature = "half")]
sample!(half::f16: F16);

/// Converts samples between the order of bytes of this processor and the order of the format.
pub(crate) fn to_little_endian(bytes: &mut [u8], samples: SampleType) {
    if cfg!(target_endian = "big") && samples.bytes() > 1 {
        for sample in bytes.chunks_exact_mut(samples.bytes()) {
            sample.reverse();
        }
    }
}
