//! Tests that `check_scans` accepts whole JPEG files and refuses truncated ones, even with an end
//! marker after the cut.
//!
//! `jpeg/make.py` writes the files.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use clipshard::jpeg::{Decoder, JpegFault, check_header, check_scans};
use clipshard::order::bits;
use std::path::{Path, PathBuf};

fn files() -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new("tests/jpeg");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let jpegs = paths.filter(|path| path.extension().is_some_and(|ending| ending == "jpg"));
    let files: Vec<_> = jpegs.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    assert_eq!(files.len(), 14);
    files
}

/// Returns the start of the data of the first scan.
fn first_scan(bytes: &[u8]) -> usize {
    let at = bytes.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    at + 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]))
}

#[test]
fn files_of_every_coding_are_accepted() {
    for (path, bytes) in files() {
        let size = check_scans(&bytes).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
        assert_eq!((size.width, size.height), (53, 37));
        assert_eq!(size.channels, if path.to_string_lossy().contains("grey") { 1 } else { 3 });
        let padded = [bytes, vec![0; 3]].concat();
        check_scans(&padded).unwrap();
    }
}

#[test]
fn a_file_cut_at_any_byte_is_refused_although_an_end_marker_follows() {
    let mut hidden_from_headers = 0;
    let mut decoded = 0;
    for (path, bytes) in files() {
        for cut in first_scan(&bytes)..bytes.len() - 2 {
            let forged = [&bytes[..cut], &[0xff, 0xd9]].concat();
            let fault = check_scans(&forged).expect_err(&format!("{} cut at {cut}", path.display()));
            assert!(!matches!(fault, JpegFault::Empty | JpegFault::NotJpeg(_)), "{fault}");
            hidden_from_headers += u32::from(check_header(&forged).is_ok());
            // Counts the files that a decoder accepts.
            decoded += u32::from(image::load_from_memory(&forged).is_ok());
        }
    }
    // Neither the headers nor a decoder show most of the cuts, so `check_scans` is necessary.
    assert!(hidden_from_headers > 10_000 && decoded > 10_000, "{hidden_from_headers} {decoded}");
}

#[test]
fn the_fault_of_a_cut_states_the_remaining_blocks() {
    let (_, bytes) = files().into_iter().find(|(path, _)| path.ends_with("420.jpg")).unwrap();
    let scan = first_scan(&bytes);
    let forged = [&bytes[..scan + (bytes.len() - scan) / 2], &[0xff, 0xd9]].concat();
    // 53 x 37 pixels in 4:2:0 are 4 x 3 units of 6 blocks.
    let Err(JpegFault::Cut { blocks, of: 72 }) = check_scans(&forged) else { panic!("{:?}", check_scans(&forged)) };
    assert!((12..=60).contains(&blocks) && blocks % 6 == 0, "{blocks}");
    assert!(Decoder::new().decode_checked(&forged, 3).unwrap_err().to_string().contains("of 72 blocks"));
}

#[test]
fn data_after_the_last_block_is_refused() {
    for (path, bytes) in files() {
        let longer = [&bytes[..bytes.len() - 2], &[0x12, 0x34, 0x56], &bytes[bytes.len() - 2..]].concat();
        assert!(check_scans(&longer).is_err(), "{}", path.display());
        // A second file follows the first, so the last bytes are an end marker, but not that of the
        // first file.
        assert!(check_header(&bytes.repeat(2)).is_ok() && check_scans(&bytes.repeat(2)).is_err());
    }
}

#[test]
fn bytes_that_are_lost_in_the_middle_are_mostly_detected() {
    let (mut lost, mut found) = (0, 0);
    for (_, bytes) in files() {
        // Removes 64 bytes, like an incomplete download. Huffman codes can synchronise again, so
        // the number of blocks can match by chance.
        for at in first_scan(&bytes)..bytes.len() - 66 {
            let shorter = [&bytes[..at], &bytes[at + 64..]].concat();
            lost += 1;
            found += u32::from(check_scans(&shorter).is_err());
        }
    }
    println!("{found} of {lost} found");
    assert!(f64::from(found) > 0.9 * f64::from(lost), "{found} of {lost}");
}

#[test]
fn no_bytes_make_the_check_panic_or_run_without_end() {
    let started = std::time::Instant::now();
    for (_, bytes) in files() {
        for round in 0..3_000 {
            let mut bytes = bytes.clone();
            for change in 0..=round % 4 {
                let random = bits(round, change, bytes.len() as u64, 0);
                let at = (random >> 8) as usize % bytes.len();
                bytes[at] = random as u8;
            }
            let _ = check_scans(&bytes);
        }
    }
    assert!(started.elapsed().as_secs() < 60);
}
