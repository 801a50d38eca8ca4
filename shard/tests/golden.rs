//! Tests that the dataset in `tests/golden`, written in format 1.0, remains readable.
//!
//! `UPDATE_GOLDEN=1 cargo test -p clipshard --test golden` writes it again. Do so only before the
//! format is released.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod sample;

use clipshard::{Codec, Dataset, Decoder, Filter, Manifest, VerifyDepth, verify};
use sample::{FLOW_SIZE, JPEG_PIXELS, JUMP, RGB_SIZE, WAVE, pixels};

fn decoded(data: &Dataset, stream: &str, clip: &str, frame: usize, plane: usize) -> Vec<u8> {
    let records = data.clip(stream, data.find_clip(clip).unwrap()).unwrap();
    let mut out = vec![0; records.size(frame, plane).unwrap().bytes()];
    records.decode(frame, plane, &mut Decoder::new().unwrap(), &mut out).unwrap();
    out
}

#[test]
fn golden_pixels_have_their_checksums() {
    let data = Dataset::open(sample::golden()).unwrap();
    let crc32 = |stream, clip, frame, plane| crc32fast::hash(&decoded(&data, stream, clip, frame, plane));
    let found = [
        crc32("rgb", WAVE, 1, 0),
        crc32("rgb", WAVE, 2, 0),
        crc32("rgb", JUMP, 0, 0),
        crc32("flow", WAVE, 0, 0),
        crc32("flow", WAVE, 2, 1),
        crc32("flow", JUMP, 0, 0),
        crc32("flow", JUMP, 1, 1),
    ];
    assert_eq!(
        found.map(|crc32| format!("{crc32:08x}")),
        ["07daacdd", "75ee0ff6", "b5547eed", "a8c1a04f", "31a73bde", "96679d75", "c8d23a9c"]
    );
}

#[test]
fn golden_pixels_are_those_that_were_stored() {
    let data = Dataset::open(sample::golden()).unwrap();
    for (clip, frame, number) in [(WAVE, 1, 1), (WAVE, 2, 2), (JUMP, 0, 10)] {
        assert_eq!(decoded(&data, "rgb", clip, frame, 0), pixels(RGB_SIZE, number));
    }
    for (clip, frames, first) in [(WAVE, 3, 0), (JUMP, 2, 10)] {
        let records = data.clip("flow", data.find_clip(clip).unwrap()).unwrap();
        let mut stack = vec![0; 2 * frames * FLOW_SIZE.bytes()];
        records.decode_stack(0, frames, &mut Decoder::new().unwrap(), &mut stack).unwrap();
        let expected: Vec<_> = (first..first + 2 * frames).flat_map(|number| pixels(FLOW_SIZE, number)).collect();
        assert_eq!(stack, expected);
    }
}

#[test]
fn golden_jpegs_decode_to_what_libjpeg_turbo_decodes() {
    let data = Dataset::open(sample::golden()).unwrap();
    for (clip, frame) in [(WAVE, 0), (JUMP, 1)] {
        assert_eq!(decoded(&data, "rgb", clip, frame, 0), JPEG_PIXELS);
    }
}

#[test]
fn golden_records_are_stored_as_stated() {
    let data = Dataset::open(sample::golden()).unwrap();
    let rgb = data.clip("rgb", 0).unwrap();
    let kinds = [0, 1, 2].map(|frame| rgb.info(frame, 0).unwrap()).map(|info| (info.codec, info.filter));
    assert_eq!(kinds, [(Codec::Jpeg, Filter::None), (Codec::Zstd, Filter::Up), (Codec::Raw, Filter::None)]);
    assert_eq!(rgb.record(0, 0).unwrap().bytes, sample::JPEG);
    assert_eq!(data.clip("flow", 1).unwrap().info(1, 1).unwrap().codec, Codec::Lz4);
    assert_eq!(data.clips_of("1", clipshard::Subset::Train).unwrap(), [0]);
}

#[test]
fn golden_files_are_what_the_writer_writes() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = sample::build(dir.path());
    let files = manifest.streams.iter().flat_map(|s| &s.shards).map(|s| s.file.as_str());
    let files: Vec<_> = files.chain([clipshard::MANIFEST_FILE]).collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        for file in &files {
            std::fs::copy(dir.path().join(file), sample::golden().join(file)).unwrap();
        }
    }
    // Other versions of the compressors may give other bytes, so bytes are compared only for the
    // same versions.
    if Manifest::read(sample::golden()).unwrap().build == manifest.build {
        for file in files {
            let [now, then] = [dir.path(), &sample::golden()].map(|dir| std::fs::read(dir.join(file)).unwrap());
            assert!(now == then, "{file} differs");
        }
    }
    assert!(verify(dir.path(), VerifyDepth::Deep, &|_| ()).unwrap().damage.is_empty());
}
