//! The markers before and after the image data of a JPEG file.

use super::fault::JpegFault;
use crate::geometry::ImageSize;

/// Checks the markers of a JPEG file and returns the size of its image: 1 channel for grey, 3 for
/// colour.
///
/// Does not read the image data. The end marker must exist; zero bytes may follow it.
///
/// # Example
///
/// ```
/// use clipshard::jpeg::{JpegFault, check_header};
///
/// let file = std::fs::read("tests/golden/wave.jpg").unwrap();
/// let size = check_header(&file).unwrap();
/// assert_eq!((size.width, size.height, size.channels), (16, 12, 3));
/// assert!(matches!(check_header(&file[..100]), Err(JpegFault::Truncated(_))));
/// ```
pub fn check_header(bytes: &[u8]) -> Result<ImageSize, JpegFault> {
    if bytes.is_empty() {
        return Err(JpegFault::Empty);
    }
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return Err(JpegFault::NotJpeg(bytes[..bytes.len().min(4)].to_vec()));
    }
    let mut size: Option<ImageSize> = None;
    let mut is_sequential = false;
    let mut at = 2;
    loop {
        let marker = loop {
            match bytes.get(at..at + 2) {
                Some([0xff, 0xff]) => at += 1,
                Some([0xff, marker]) => break *marker,
                Some(_) => return Err(JpegFault::Unusable(format!("it has no marker at byte {at}"))),
                None => return Err(JpegFault::Truncated("it ends before its image data")),
            }
        };
        at += 2;
        if matches!(marker, 0x01 | 0xd0..=0xd8) {
            continue;
        }
        if marker == 0xd9 {
            return Err(JpegFault::Truncated("it ends before its image data"));
        }
        let length = match bytes.get(at..at + 2) {
            Some(&[high, low]) => u16::from_be_bytes([high, low]) as usize,
            _ => return Err(JpegFault::Truncated("it ends inside a segment")),
        };
        let Some(segment) = bytes.get(at + 2..at + length.max(2)) else {
            return Err(JpegFault::Truncated("it ends inside a segment"));
        };
        match marker {
            // Start of frame: baseline, extended and progressive Huffman.
            0xc0..=0xc2 => {
                size = Some(frame_size(segment)?);
                is_sequential = marker != 0xc2;
            }
            0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Err(JpegFault::Unusable(format!("its JPEG process {marker:02x} is not supported")));
            }
            0xda => {
                // zune-jpeg 0.5 decodes such files to wrong pixels without an error.
                if let (true, Some(size), Some(&count)) = (is_sequential, size, segment.first())
                    && count < size.channels
                {
                    return Err(JpegFault::Unusable(format!(
                        "its {} components are not interleaved; convert it with jpegtran, which is lossless",
                        size.channels
                    )));
                }
                break;
            }
            _ => {}
        }
        at += length.max(2);
    }
    if !has_end(bytes) {
        return Err(match end_marker(bytes, at) {
            Some(marker) => JpegFault::Trailing(bytes.len() - marker - 2),
            None => JpegFault::Truncated("its end marker is missing"),
        });
    }
    size.ok_or_else(|| JpegFault::Unusable("it has no frame header before its image data".into()))
}

/// Returns whether the file ends with an end marker. Zero bytes may follow it.
pub(super) fn has_end(bytes: &[u8]) -> bool {
    let end = bytes.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
    bytes[..end].ends_with(&[0xff, 0xd9])
}

/// Finds the end marker after all scans and segments. `at` is the start of the first scan's header.
fn end_marker(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        // Skips the rest of the segment, and then image data up to the next marker that does not
        // belong to it.
        let length = bytes.get(at..at + 2)?;
        at += usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
        let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0x01 | 0xd0..=0xd8 | 0xff);
        at += bytes.get(at..)?.windows(2).position(is_marker)?;
        if bytes[at + 1] == 0xd9 {
            return Some(at);
        }
        at += 2;
    }
}

/// Reads the image size from a start-of-frame segment (ITU-T T.81, B.2.2), and checks precision and
/// components.
fn frame_size(segment: &[u8]) -> Result<ImageSize, JpegFault> {
    let &[precision, h1, h0, w1, w0, components, ..] = segment else {
        return Err(JpegFault::Truncated("it ends inside its frame header"));
    };
    let size =
        ImageSize { width: u16::from_be_bytes([w1, w0]), height: u16::from_be_bytes([h1, h0]), channels: components };
    if precision != 8 || !matches!(components, 1 | 3) || !size.is_storable() {
        return Err(JpegFault::Unusable(format!(
            "it has {}x{} pixels with {components} components of {precision} bits; only 1 or 3 components of 8 bits \
             and at most 256 MiB of pixels are supported",
            size.width, size.height
        )));
    }
    Ok(size)
}
