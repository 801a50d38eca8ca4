//! Tests that decoded pixels of images and windows are identical to those of libjpeg-turbo.
//!
//! `jpeg/make.py` writes the files and the expected pixels.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use clipshard::jpeg::{Decoder, check_header};
use clipshard::order::{Draws, bits};
use clipshard::{ImageSize, Window};
use std::path::PathBuf;

/// Files that zune-jpeg decodes. Its pixels differ by up to five levels.
const OTHERS: [&str; 4] = ["411", "420-progressive", "444-progressive-restarts", "grey-progressive"];

struct File {
    name: String,
    bytes: Vec<u8>,
    size: ImageSize,
}

fn folder() -> PathBuf {
    "tests/jpeg".into()
}

fn files() -> Vec<File> {
    let paths = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let jpegs = paths.filter(|path| path.extension().is_some_and(|ending| ending == "jpg"));
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        File { name, size: check_header(&bytes).unwrap(), bytes }
    };
    jpegs.map(read).collect()
}

fn png(name: &str) -> Vec<u8> {
    image::open(folder().join(format!("{name}.png"))).unwrap().into_bytes()
}

fn decode(file: &File, size: ImageSize, window: Window) -> Vec<u8> {
    let mut out = vec![0; window.bytes(size)];
    Decoder::new().decode(&file.bytes, size, window, &mut out).unwrap();
    out
}

#[test]
fn pixels_are_identical_to_those_of_libjpeg() {
    for file in files() {
        let found = decode(&file, file.size, file.size.whole());
        let expected = png(&file.name);
        assert_eq!(found.len(), expected.len());
        let worst = found.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst <= if OTHERS.contains(&&*file.name) { 5 } else { 0 }, "{}: {worst}", file.name);
        if file.size.channels == 3 {
            let grey = ImageSize { channels: 1, ..file.size };
            let luma = decode(&file, grey, grey.whole());
            let worst = luma.iter().zip(png(&format!("{}.luma", file.name))).map(|(a, b)| a.abs_diff(b)).max().unwrap();
            assert!(worst <= u8::from(OTHERS.contains(&&*file.name)), "luma of {}: {worst}", file.name);
        } else {
            let colour = ImageSize { channels: 3, ..file.size };
            let thrice: Vec<u8> = found.iter().flat_map(|&grey| [grey; 3]).collect();
            assert_eq!(decode(&file, colour, colour.whole()), thrice, "{}", file.name);
        }
    }
}

#[test]
fn a_window_has_the_pixels_of_the_whole() {
    for file in files() {
        for channels in [1, 3] {
            let size = ImageSize { channels, ..file.size };
            let whole = decode(&file, size, size.whole());
            for number in 0..60 {
                let mut draws = Draws::new(1, 0, number);
                let (x, y) = (draws.below(size.width.into()) as u16, draws.below(size.height.into()) as u16);
                let width = 1 + draws.below(u64::from(size.width - x)) as u16;
                let height = 1 + draws.below(u64::from(size.height - y)) as u16;
                let window = Window { x, y, width, height };
                let rows = whole.chunks(size.row_bytes()).skip(y.into()).take(height.into());
                let columns = x as usize * channels as usize..(x + width) as usize * channels as usize;
                let expected: Vec<u8> = rows.flat_map(|row| &row[columns.clone()]).copied().collect();
                assert_eq!(decode(&file, size, window), expected, "{} {channels} {window}", file.name);
            }
        }
    }
}

#[test]
fn one_decoder_takes_files_of_all_kinds_in_any_order() {
    let files = files();
    let mut decoder = Decoder::new();
    for number in 0..100 {
        let file = &files[bits(number, 0, 0, 0) as usize % files.len()];
        let mut out = vec![0; file.size.bytes()];
        decoder.decode(&file.bytes, file.size, file.size.whole(), &mut out).unwrap();
        assert_eq!(out, decode(file, file.size, file.size.whole()), "{}", file.name);
    }
}

#[test]
fn a_file_that_was_cut_is_refused_where_pixels_are_missing() {
    for file in files() {
        let scan = file.bytes.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
        // Cuts in the first half of the data lose many blocks. zune-jpeg fills them in without an
        // error.
        for cut in (scan..scan + (file.bytes.len() - scan) / 2).step_by(7) {
            if OTHERS.contains(&&*file.name) {
                continue;
            }
            let forged = [&file.bytes[..cut], &[0xff, 0xd9]].concat();
            let mut out = vec![0; file.size.bytes()];
            let fault = Decoder::new().decode(&forged, file.size, file.size.whole(), &mut out);
            assert!(fault.is_err(), "{} cut at {cut}", file.name);
        }
    }
}

#[test]
fn no_bytes_make_the_decoder_panic() {
    let mut decoder = Decoder::new();
    for file in files() {
        for round in 0..2_000 {
            let mut bytes = file.bytes.clone();
            for change in 0..=round % 4 {
                let random = bits(round, change, bytes.len() as u64, 0);
                let at = (random >> 8) as usize % bytes.len();
                bytes[at] = random as u8;
            }
            let window = Window { x: 9, y: 5, width: 30, height: 20 };
            let _ = decoder.decode(&bytes, file.size, window, &mut vec![0; window.bytes(file.size)]);
        }
    }
}
