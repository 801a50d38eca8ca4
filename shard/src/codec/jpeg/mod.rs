//! Codec 1, `jpeg`: an unchanged JPEG file. It is decoded to the channels that the index states: 1
//! for luma, 3 for RGB.
//!
//! This crate decodes baseline files, which most frames are. The crate zune-jpeg decodes
//! progressive and unusual files.

mod baseline;
mod decoder;
mod fault;
mod header;
mod huffman;
mod scan;
#[cfg(test)]
mod tests;

pub use decoder::Decoder;
pub use fault::JpegFault;
pub use header::check_header;
pub use scan::check_scans;
