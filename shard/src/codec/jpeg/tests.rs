//! Tests of headers, faults and pixels of JPEG files.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::{Decoder, JpegFault, check_header, check_scans};
use crate::geometry::ImageSize;
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
    // Bytes after a whole file are another fault than a truncated file.
    for (behind, bytes) in [(&b"IPHONE"[..], 6), (&[0, 0, 7, 0], 4), (&[0xff], 1)] {
        let fault = check_header(&[&good, behind].concat());
        assert_eq!(fault, Err(JpegFault::Trailing(bytes)));
        assert!(check_scans(&[&good, behind].concat()).is_err());
        let words = fault.unwrap_err().to_string();
        assert!(words.starts_with(&format!("the JPEG file has {bytes} bytes after its end marker; ")), "{words}");
        // The end marker of a thumbnail in a segment is not the end marker of the file.
        let segment = [&[0xff, 0xe1, 0, 8], &b"ab\xff\xd9cd"[..]].concat();
        let with_thumbnail = [&good[..2], &segment, &good[2..], behind].concat();
        assert_eq!(check_header(&with_thumbnail), Err(JpegFault::Trailing(bytes)));
    }
}

#[test]
fn components_in_separate_scans_are_refused() {
    let mut bytes = jpeg(16, 16, ExtendedColorType::Rgb8);
    let scan = bytes.windows(2).position(|w| w == [0xff, 0xda]).unwrap();
    assert_eq!(bytes[scan + 2..scan + 5], [0, 12, 3], "a scan of three components");
    // Replace it with a scan of the first component only.
    bytes.splice(scan + 2..scan + 14, [0, 8, 1, 1, 0, 0, 63, 0]);
    let refused = |result: Result<(), JpegFault>| {
        assert!(matches!(&result, Err(JpegFault::Unusable(words)) if words.contains("not interleaved")), "{result:?}");
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
