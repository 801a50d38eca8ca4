//! Tests that the datasets in `tests/golden` and `tests/golden-wide`, written in format 1.0, remain readable.
//!
//! `UPDATE_GOLDEN=1 cargo test -p clipshard --test golden` writes it again. Do so only before the
//! format is released.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod sample;

use clipshard::{Codec, Dataset, Decoder, Filter, Manifest, VerifyDepth, Window, verify};
use sample::{FLOW_SIZE, JPEG_PIXELS, JUMP, RGB_SIZE, WAVE, pixels, wide};
use std::collections::BTreeSet;
use std::path::Path;

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
fn golden_records_of_all_types_are_those_that_were_stored() {
    let data = Dataset::open(wide::golden_wide()).unwrap();
    let mut decoder = Decoder::new().unwrap();
    let mut kinds = BTreeSet::new();
    for (spec, _) in wide::streams() {
        assert_eq!(data.stream(&spec.name).unwrap(), &spec);
        for (clip, records) in data.clips(&spec.name).unwrap() {
            let records = records.unwrap();
            for number in 0..records.frame_count() * records.planes() {
                let (frame, plane) = (number / records.planes(), number % records.planes());
                let shape = wide::shape(&spec, number);
                let info = records.info(frame, plane).unwrap();
                assert_eq!(info.shape, shape);
                kinds.insert((info.codec.name(), info.filter.name(), shape.samples().name()));
                let mut out = vec![1; shape.bytes()];
                records.decode(frame, plane, &mut decoder, &mut out).unwrap();
                assert!(out == wide::samples(shape, number + clip), "{spec}, clip {clip}, record {number}");
            }
        }
    }
    assert_eq!(kinds.len(), 20, "{kinds:?}");
}

#[test]
fn golden_records_are_read_as_their_type_and_in_windows() {
    let data = Dataset::open(wide::golden_wide()).unwrap();
    let mut decoder = Decoder::new().unwrap();
    let depth = data.clip("depth", 0).unwrap();
    let window = Window { x: 3, y: 2, width: 7, height: 5 };
    for number in 0..depth.frame_count() {
        let mut all = vec![0_u16; 18 * 11];
        depth.decode_samples(number, 0, &mut decoder, &mut all).unwrap();
        assert_eq!(all[18 + 1], (300 + 7 + 1000 * number + 19 * 19 % 5) as u16);
        let mut part = vec![0; 7 * 5 * 2];
        depth.decode_window(number, 0, window, &mut decoder, &mut part).unwrap();
        let expected: Vec<u8> =
            (2..7).flat_map(|y| &all[18 * y + 3..18 * y + 10]).flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(part, expected);
    }
    let boxes = data.clip("boxes", 0).unwrap();
    assert_eq!(boxes.shape(1, 0).unwrap().dims(), [4, 4]);
    let mut values = vec![0_f32; 16];
    boxes.decode_samples(1, 0, &mut decoder, &mut values).unwrap();
    assert_eq!(values[..2], [1000.0 / 8.0 - 100.0, (1000.0 + 8.0) / 8.0 - 100.0]);
    assert!(boxes.shape(0, 0).unwrap().is_empty());
    boxes.decode(0, 0, &mut decoder, &mut []).unwrap();

    let message = |error: clipshard::Error| error.to_string();
    let other = message(boxes.decode_samples(1, 0, &mut decoder, &mut [0_u16; 32]).unwrap_err());
    assert_eq!(other, "clip a b#&%\"\u{e9}: stream boxes has f32 arrays [n, 4], not u16");
    let window = message(boxes.decode_window(1, 0, window, &mut decoder, &mut [0; 70]).unwrap_err());
    assert!(window.contains("an array of [4, 4] f32 has no windows"), "{window}");
    let size = message(depth.size(0, 0).unwrap_err());
    assert!(size.contains("stream depth has u16 images of 1 channel, not u8 images"), "{size}");
    let short = message(depth.decode(0, 0, &mut decoder, &mut [0; 198]).unwrap_err());
    assert!(short.contains("a record of 18x11x1 u16 does not fit the buffer of 198 bytes"), "{short}");
}

#[test]
fn golden_attributes_labels_and_subsets_are_kept_to_the_letter() {
    let manifest = Manifest::read(wide::golden_wide()).unwrap();
    let text = r#"{"fps":29.970,"labels":[1,0],"caption":"zwei B\u00e4ume","id":12345678901234567890123}"#;
    assert_eq!(manifest.clips[0].attributes.as_json(), text);
    assert_eq!(manifest.clips[0].attributes.get("caption").unwrap(), "zwei B\u{e4}ume");
    assert_eq!(manifest.clips[2].attributes.as_json(), r#"{"x":{"y":[null,true,-0.0]}}"#);
    assert_eq!(manifest.attributes.as_json(), r#"{"licence":"CC0-1.0","revision":1.50}"#);
    assert_eq!((manifest.clips[1].label, manifest.clips[2].label), (Some(0), None));
    let subset = |clip: usize| manifest.clips[clip].subsets[0].name().to_owned();
    assert_eq!([0, 1, 2].map(subset), ["train", "val", "test-hard"]);
    let rebuilt = Manifest::rebuild(wide::golden_wide()).unwrap();
    assert_eq!(rebuilt, manifest);
    assert_eq!(rebuilt.to_json(), manifest.to_json());
}

#[test]
fn golden_files_are_what_the_writer_writes() {
    compare_files(&sample::golden(), sample::build);
    compare_files(&wide::golden_wide(), wide::build);
}

/// Writes a dataset and compares its files with the golden ones.
fn compare_files(golden: &Path, build: fn(&Path) -> Manifest) {
    let dir = tempfile::tempdir().unwrap();
    let manifest = build(dir.path());
    let files = manifest.streams.iter().flat_map(|s| &s.shards).map(|s| s.file.as_str());
    let files: Vec<_> = files.chain([clipshard::MANIFEST_FILE]).collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(golden).unwrap();
        for file in &files {
            std::fs::copy(dir.path().join(file), golden.join(file)).unwrap();
        }
    }
    // Other versions of the compressors may give other bytes, so bytes are compared only for the
    // same versions.
    if Manifest::read(golden).unwrap().build == manifest.build {
        for file in files {
            let [now, then] = [dir.path(), golden].map(|dir| std::fs::read(dir.join(file)).unwrap());
            assert!(now == then, "{file} differs");
        }
    }
    assert!(verify(dir.path(), VerifyDepth::Deep, &|_| ()).unwrap().damage.is_empty());
}
