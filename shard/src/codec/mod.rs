//! Encoding and decoding of single images: one module per codec.
//!
//! Each codec except for `raw` has a Cargo feature, and so has encoding.

mod decoder;
#[cfg(feature = "write")]
mod encoder;
#[allow(clippy::inline_always, reason = "the target feature applies only to code that is inlined into one function")]
mod filter;
#[allow(clippy::inline_always, reason = "as above")]
#[cfg(feature = "jpeg")]
pub mod jpeg;
mod kinds;
#[cfg(feature = "lz4")]
mod lz4;
mod raw;
#[cfg(feature = "write")]
mod record;
#[cfg(all(test, feature = "write"))]
mod tests;
mod uncached;
#[allow(clippy::inline_always, reason = "as above")]
mod wide;
#[cfg(feature = "zstd")]
mod zstd;

pub use decoder::Decoder;
#[cfg(feature = "write")]
pub use encoder::{EncodeOptions, Encoder};
pub use kinds::{Codec, Filter};
#[cfg(feature = "write")]
pub use record::EncodedRecord;
