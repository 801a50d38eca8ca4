//! How the pixels of one image are stored: one file per codec.

mod decoder;
mod encoder;
#[allow(clippy::inline_always, reason = "code compiled for one instruction set must be one function")]
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
mod zstd;

pub use decoder::Decoder;
pub use encoder::{EncodeOptions, Encoder};
pub use kinds::{Codec, Filter};
pub use record::EncodedRecord;
