//! Codec 1, `jpeg`: a JPEG file as it was found, decoded to the channels that the index states: 1 gives the luma plane, 3 gives RGB.
//! Baseline files, which is what frames are, go through a decoder of our own; zune-jpeg decodes progressive ones and other rarities.

mod baseline;
mod huffman;
mod scan;

use super::{ImageSize, Window};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// Why bytes are not a JPEG file that can be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JpegFault {
    /// No bytes at all.
    #[error("the file is empty")]
    Empty,
    /// Another kind of file.
    #[error("not a JPEG file (it starts with {0:02x?})")]
    NotJpeg(Vec<u8>),
    /// The file ends before the image does.
    #[error("the JPEG file is truncated ({0})")]
    Truncated(&'static str),
    /// Something other than zeros follows the end marker.
    #[error(
        "the JPEG file has {0} bytes behind its end marker; save it again without them (jpegtran does without loss)"
    )]
    Trailing(usize),
    /// The image data end before the image does, whatever marker follows.
    #[error("the JPEG file is truncated (its image data end after {blocks} of {of} blocks)")]
    Cut {
        /// Blocks of 8 x 8 samples of the scan that are there.
        blocks: u64,
        /// Blocks that the scan has.
        of: u64,
    },
    /// The image data make no sense.
    #[error("the JPEG file is damaged: {0}")]
    Damaged(String),
    /// A kind of JPEG that the decoder does not read, or numbers that make no sense.
    #[error("the JPEG file cannot be used: {0}")]
    Unusable(String),
}

/// Walks the markers of a JPEG file and returns the size of its image: 1 channel for grey, 3 for colour.
/// Nothing is decoded. The end marker must be there (zero bytes may follow it).
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
                Some(_) => return Err(JpegFault::Unusable(format!("no marker at byte {at}"))),
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
                return Err(JpegFault::Unusable(format!("JPEG process {marker:02x} is not supported")));
            }
            0xda => {
                // zune-jpeg 0.5 gets such files wrong without a word.
                if let (true, Some(size), Some(&count)) = (is_sequential, size, segment.first())
                    && count < size.channels
                {
                    return Err(JpegFault::Unusable(format!(
                        "its {} components are stored one after the other, not together; save it again (jpegtran does without loss)",
                        size.channels
                    )));
                }
                break;
            }
            _ => {}
        }
        at += length.max(2);
    }
    let end = bytes.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
    if !bytes[..end].ends_with(&[0xff, 0xd9]) {
        return Err(match end_marker(bytes, at) {
            Some(marker) => JpegFault::Trailing(bytes.len() - marker - 2),
            None => JpegFault::Truncated("it lacks the end marker"),
        });
    }
    size.ok_or_else(|| JpegFault::Unusable("no frame header before the image data".into()))
}

/// Finds the end marker from inside the first scan's header on: behind image data and whatever segments follow.
fn end_marker(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        // The rest of a segment, then image data up to the next marker that is no part of them.
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

/// Checks a whole file without decoding it: its markers as [`check_header`] does, and that its image data hold every block
/// and nothing else. Finds files that were cut short and got an end marker, which decoders fill up with grey.
pub fn check_scans(bytes: &[u8]) -> Result<ImageSize, JpegFault> {
    let size = check_header(bytes)?;
    scan::check(bytes)?;
    Ok(size)
}

/// Precision, height, width and components of a start-of-frame segment (ITU-T T.81, B.2.2).
fn frame_size(segment: &[u8]) -> Result<ImageSize, JpegFault> {
    let &[precision, h1, h0, w1, w0, components, ..] = segment else {
        return Err(JpegFault::Truncated("it ends inside its frame header"));
    };
    let size =
        ImageSize { width: u16::from_be_bytes([w1, w0]), height: u16::from_be_bytes([h1, h0]), channels: components };
    if precision != 8 || !matches!(components, 1 | 3) || !size.is_storable() {
        return Err(JpegFault::Unusable(format!(
            "{}x{} pixels, {components} components of {precision} bits; 1 or 3 components of 8 bits are expected",
            size.width, size.height
        )));
    }
    Ok(size)
}

/// Decodes files; keeps tables and scratch memory between them.
pub struct Decoder {
    baseline: baseline::Baseline,
    /// Whole images of the general decoder.
    image: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// Which decoders these are, for the records of a run.
    pub const NAME: &str = concat!("clipshard ", env!("CARGO_PKG_VERSION"), " (baseline), zune-jpeg (other)");

    /// A decoder of any JPEG file that can be stored.
    pub fn new() -> Self {
        Self { baseline: baseline::Baseline::new(), image: Vec::new() }
    }

    /// Decodes a window into `out`, which has its size. The file must say that it is of `size` (but for the channels); 1 channel is
    /// luma, 3 is RGB. Image data that end early are a fault, as far as the window needs them.
    pub fn decode(&mut self, bytes: &[u8], size: ImageSize, window: Window, out: &mut [u8]) -> Result<(), JpegFault> {
        if !matches!(size.channels, 1 | 3) {
            return Err(JpegFault::Unusable(format!("JPEG records have 1 or 3 channels, not {}", size.channels)));
        }
        if !window.is_inside(size) || out.len() != window.bytes(size) {
            let n = out.len();
            return Err(JpegFault::Unusable(format!("{n} bytes for a window of {window} in an image of {size}")));
        }
        if self.baseline.decode(bytes, size, window, out)? {
            return Ok(());
        }
        if window == size.whole() {
            return decode_other(bytes, size, out);
        }
        self.image.resize(size.bytes(), 0);
        decode_other(bytes, size, &mut self.image)?;
        window.cut(&self.image, size, out);
        Ok(())
    }

    /// Decodes a whole file to 1 or 3 channels; [`check_scans`] comes first.
    pub fn decode_checked(&mut self, bytes: &[u8], channels: u8) -> Result<(ImageSize, Vec<u8>), JpegFault> {
        let size = ImageSize { channels, ..check_scans(bytes)? };
        let mut pixels = vec![0; size.bytes()];
        self.decode(bytes, size, size.whole(), &mut pixels)?;
        Ok((size, pixels))
    }
}

/// Decodes any file into `out`, which holds exactly `size.bytes()`; 1 channel is luma, 3 is RGB.
fn decode_other(bytes: &[u8], size: ImageSize, out: &mut [u8]) -> Result<(), JpegFault> {
    let colour = match size.channels {
        1 => ColorSpace::Luma,
        3 => ColorSpace::RGB,
        n => return Err(JpegFault::Unusable(format!("JPEG records have 1 or 3 channels, not {n}"))),
    };
    check_header(bytes)?;
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(size.width as usize)
        .set_max_height(size.height as usize)
        .jpeg_set_out_colorspace(colour);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let unusable = |e: zune_jpeg::errors::DecodeErrors| JpegFault::Unusable(e.to_string());
    decoder.decode_headers().map_err(unusable)?;
    let info = decoder.info().ok_or_else(|| JpegFault::Unusable("no frame header".into()))?;
    if (info.width, info.height) != (size.width, size.height) || decoder.output_buffer_size() != Some(out.len()) {
        return Err(JpegFault::Unusable(format!(
            "it has {}x{} pixels where {size} are stated",
            info.width, info.height
        )));
    }
    decoder.decode_into(out).map_err(unusable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ExtendedColorType, codecs::jpeg::JpegEncoder};

    fn jpeg(width: u16, height: u16, colour: ExtendedColorType) -> Vec<u8> {
        let channels = colour.bits_per_pixel() as usize / 8;
        let pixels: Vec<u8> = (0..width as usize * height as usize * channels).map(|i| (i * 3 % 251) as u8).collect();
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, 90).encode(&pixels, width.into(), height.into(), colour).unwrap();
        bytes
    }

    #[test]
    fn header_gives_size_and_channels() {
        let colour = check_header(&jpeg(31, 17, ExtendedColorType::Rgb8)).unwrap();
        assert_eq!(colour, ImageSize { width: 31, height: 17, channels: 3 });
        let grey = check_header(&jpeg(340, 256, ExtendedColorType::L8)).unwrap();
        assert_eq!(grey, ImageSize { width: 340, height: 256, channels: 1 });
    }

    #[test]
    fn each_kind_of_bad_file_has_its_fault() {
        let good = jpeg(16, 16, ExtendedColorType::Rgb8);
        assert_eq!(check_header(&[]), Err(JpegFault::Empty));
        assert!(matches!(check_header(b"GIF89a"), Err(JpegFault::NotJpeg(_))));
        for cut in [2, 10, 200, good.len() - 1] {
            assert!(matches!(check_header(&good[..cut]), Err(JpegFault::Truncated(_))), "cut at {cut}");
        }
        let mut arithmetic = good.clone();
        let sof = arithmetic.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
        arithmetic[sof + 1] = 0xc9;
        assert!(matches!(check_header(&arithmetic), Err(JpegFault::Unusable(_))));
        let mut padded = good.clone();
        padded.extend([0; 7]);
        assert!(check_header(&padded).is_ok());
        // Whole, and something behind: other than a file that is cut.
        for (behind, bytes) in [(&b"IPHONE"[..], 6), (&[0, 0, 7, 0], 4), (&[0xff], 1)] {
            let fault = check_header(&[&good, behind].concat());
            assert_eq!(fault, Err(JpegFault::Trailing(bytes)));
            assert!(check_scans(&[&good, behind].concat()).is_err());
            let words = fault.unwrap_err().to_string();
            assert!(words.starts_with(&format!("the JPEG file has {bytes} bytes behind its end marker; ")), "{words}");
            // The thumbnail in a segment has an end marker of its own, which is not the file's.
            let segment = [&[0xff, 0xe1, 0, 8], &b"ab\xff\xd9cd"[..]].concat();
            let with_thumbnail = [&good[..2], &segment, &good[2..], behind].concat();
            assert_eq!(check_header(&with_thumbnail), Err(JpegFault::Trailing(bytes)));
        }
    }

    #[test]
    fn components_in_scans_of_their_own_are_refused() {
        let mut bytes = jpeg(16, 16, ExtendedColorType::Rgb8);
        let scan = bytes.windows(2).position(|w| w == [0xff, 0xda]).unwrap();
        assert_eq!(bytes[scan + 2..scan + 5], [0, 12, 3], "a scan of three components");
        // The first alone.
        bytes.splice(scan + 2..scan + 14, [0, 8, 1, 1, 0, 0, 63, 0]);
        let refused = |result: Result<(), JpegFault>| {
            assert!(
                matches!(&result, Err(JpegFault::Unusable(words)) if words.contains("one after the other")),
                "{result:?}"
            );
        };
        refused(check_header(&bytes).map(drop));
        let size = ImageSize { width: 16, height: 16, channels: 3 };
        refused(Decoder::new().decode(&bytes, size, size.whole(), &mut vec![0; size.bytes()]));
    }

    #[test]
    fn decoded_pixels_match_another_decoder() {
        let bytes = jpeg(64, 48, ExtendedColorType::L8);
        let (size, pixels) = Decoder::new().decode_checked(&bytes, 1).unwrap();
        let other = image::load_from_memory(&bytes).unwrap().to_luma8();
        assert_eq!((size.width as u32, size.height as u32), other.dimensions());
        let worst = pixels.iter().zip(other.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst <= 1, "{worst}");
    }

    #[test]
    fn a_stated_size_that_is_not_the_files_is_refused() {
        let bytes = jpeg(16, 16, ExtendedColorType::Rgb8);
        for (width, height, channels) in [(15, 16, 3), (16, 17, 3), (16, 16, 2)] {
            let size = ImageSize { width, height, channels };
            assert!(Decoder::new().decode(&bytes, size, size.whole(), &mut vec![0; size.bytes()]).is_err());
        }
    }
}
