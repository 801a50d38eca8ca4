//! Codec 1, `jpeg`: a JPEG file as it was found, decoded to the channels that the index states: 1 gives the luma plane, 3 gives RGB.
//!
//! Baseline files, which most frames are, go through a decoder of this crate; zune-jpeg decodes progressive files and other rarities.

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
