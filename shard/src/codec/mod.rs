//! Encoding and decoding of single images: one module per codec.

mod decoder;
mod encoder;
#[allow(clippy::inline_always, reason = "the target feature applies only to code that is inlined into one function")]
mod filter;
#[allow(clippy::inline_always, reason = "as above")]
pub mod jpeg;
mod kinds;
mod lz4;
mod matches;
mod raw;
mod record;
mod sequences;
#[cfg(test)]
mod tests;
mod uncached;
#[allow(clippy::inline_always, reason = "as above")]
mod wide;
mod zstd;

pub use decoder::Decoder;
pub use encoder::{EncodeOptions, Encoder};
pub use kinds::{Codec, Filter};
pub use record::EncodedRecord;
