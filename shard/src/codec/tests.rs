//! Tests of every pixel codec, with and without the filter.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::{Codec, Decoder, EncodeOptions, Encoder, Filter};
use crate::geometry::{ImageSize, Window};

fn compiled() -> impl Iterator<Item = Codec> {
    [Codec::Raw, Codec::Zstd, Codec::Lz4].into_iter().filter(|codec| codec.is_compiled())
}

fn textured(size: ImageSize) -> Vec<u8> {
    (0..size.bytes()).map(|i| ((crate::order::mix64(i as u64) % 17) as usize * 3 + i / 40) as u8).collect()
}

#[test]
fn every_pixel_codec_returns_what_it_was_given() {
    for codec in compiled() {
        for filter in [Filter::None, Filter::Up] {
            if codec == Codec::Raw && filter == Filter::Up {
                continue;
            }
            let mut encoder = Encoder::new(EncodeOptions::new(codec, filter, 9)).unwrap();
            let mut decoder = Decoder::new().unwrap();
            for (width, height, channels) in [(1, 1, 1), (224, 224, 1), (33, 7, 3), (5, 129, 4)] {
                let size = ImageSize { width, height, channels };
                let pixels = textured(size);
                let record = encoder.encode(&pixels, size).unwrap();
                let mut out = vec![0; size.bytes()];
                decoder.decode(record.bytes(), size.into(), (codec, filter), Some(size.whole()), &mut out).unwrap();
                assert_eq!(out, pixels, "{codec:?} {filter:?} {size}");
                let window =
                    Window { x: width / 3, y: height / 2, width: width.div_ceil(2), height: height.div_ceil(3) };
                let mut part = vec![0; window.bytes(size)];
                decoder.decode(record.bytes(), size.into(), (codec, filter), Some(window), &mut part).unwrap();
                let mut expected = Vec::new();
                for y in window.rows() {
                    for x in window.columns() {
                        let at = y * size.row_bytes() + x * channels as usize;
                        expected.extend_from_slice(&pixels[at..at + channels as usize]);
                    }
                }
                assert_eq!(part, expected, "{codec:?} {filter:?} {size} {window}");
            }
        }
    }
}

#[test]
fn bytes_of_another_length_are_refused() {
    let size = ImageSize { width: 16, height: 16, channels: 1 };
    let larger = ImageSize { width: 17, ..size };
    let smaller = ImageSize { width: 15, ..size };
    let mut decoder = Decoder::new().unwrap();
    for codec in compiled() {
        let mut encoder = Encoder::new(EncodeOptions::new(codec, Filter::None, 3)).unwrap();
        let record = encoder.encode(&textured(size), size).unwrap();
        for wrong in [larger, smaller] {
            let mut out = vec![0; wrong.bytes()];
            assert!(
                decoder.decode(record.bytes(), wrong.into(), (codec, Filter::None), None, &mut out).is_err(),
                "{codec:?}"
            );
        }
        let mut out = vec![0; size.bytes()];
        let cut = &record.bytes()[..record.bytes().len() - 1];
        assert!(decoder.decode(cut, size.into(), (codec, Filter::None), None, &mut out).is_err(), "{codec:?}");
    }
}

#[test]
fn options_out_of_range_are_refused() {
    let new = |codec, filter, level| Encoder::new(EncodeOptions::new(codec, filter, level)).is_err();
    assert!(new(Codec::Zstd, Filter::Up, 0) && new(Codec::Zstd, Filter::Up, 23));
    assert!(new(Codec::Lz4, Filter::Up, 13) && new(Codec::Raw, Filter::Up, 0) && new(Codec::Jpeg, Filter::None, 0));
    let mut raw = Encoder::new(EncodeOptions::raw()).unwrap();
    assert!(raw.encode(&[0; 4], ImageSize { width: 2, height: 2, channels: 3 }).is_err());
    assert!(raw.encode(&[], ImageSize { width: 0, height: 2, channels: 1 }).is_err());
}
