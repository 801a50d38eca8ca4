//! Tests of shards with samples of all types and with arrays that break one rule on purpose, with
//! valid checksums.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod sample;

use clipshard::{EncodeOptions, Encoder, Error, Filter, ImageSize, SampleType, Shape, ShardWriter, StreamSpec};
use sample::Parts;

/// Builds a shard with one clip of three raw records.
fn parts(spec: &StreamSpec, shapes: [Shape; 3]) -> Parts {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wide.clipshard");
    let mut encoder = Encoder::new(EncodeOptions::raw()).unwrap();
    let records = shapes.map(|shape| encoder.encode(&sample::wide::samples(shape, 1), shape).unwrap());
    let mut writer = ShardWriter::create(&path, spec).unwrap();
    writer.add_clip("a", &records).unwrap();
    writer.finish(&sample::metadata(&[clipshard::Clip::new("", None, Vec::new())])).unwrap();
    Parts::of(&path)
}

/// Builds a shard of arrays `[n, 17, 3]` of f32 with 2, 0 and 1 people.
fn poses() -> Parts {
    let spec = StreamSpec::arrays("poses", SampleType::F32, &[17, 3]);
    parts(&spec, [2, 0, 1].map(|people| Shape::array(&[people, 17, 3], SampleType::F32).unwrap()))
}

/// Builds a shard of 8 x 6 images of one type.
fn images(samples: SampleType, channels: u8) -> Parts {
    let shape = Shape::image(ImageSize { width: 8, height: 6, channels }, samples);
    parts(&StreamSpec::new("x", 1, channels).with_samples(samples), [shape; 3])
}

/// Returns the first error of reading the shard, or `None`.
fn error_of(parts: &Parts) -> Option<Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hostile.clipshard");
    std::fs::write(&path, parts.seal(|_| ())).unwrap();
    sample::first_error(&path)
}

#[track_caller]
fn assert_header(mut parts: Parts, change: impl FnOnce(&mut Parts), expected: &str) {
    change(&mut parts);
    let error = error_of(&parts).expect("a broken rule is an error");
    let Error::Damaged { part, fault, .. } = &error else { panic!("{error}") };
    assert!(part.to_string() == "header" && fault.contains(expected), "{error}");
}

#[track_caller]
fn assert_index(mut parts: Parts, change: impl FnOnce(&mut Parts), expected: &str) {
    change(&mut parts);
    let error = error_of(&parts).expect("a broken rule is an error");
    let Error::ClipIndex { fault, .. } = &error else { panic!("{error}") };
    assert!(fault.contains(expected), "{error}");
}

#[test]
fn unchanged_parts_are_valid_shards() {
    for parts in [poses(), images(SampleType::U16, 1), images(SampleType::F32, 3)] {
        let error = error_of(&parts);
        assert!(error.is_none(), "{error:?}");
    }
}

#[test]
fn a_stream_has_a_known_type_and_at_most_four_dimensions() {
    assert_header(poses(), |p| p.header.samples = 5, "unknown sample type 5");
    assert_header(poses(), |p| p.header.samples = 255, "unknown sample type 255");
    assert_header(poses(), |p| p.header.rank = 5, "have 5 dimensions, but at most 4 fit");
    assert_header(poses(), |p| p.header.rank = 255, "have 255 dimensions");
    assert_header(poses(), |p| p.header.rank = 2, "sizes of dimensions that its records lack");
    assert_header(poses(), |p| p.header.rank = 0, "sizes of dimensions that its records lack");
    assert_header(poses(), |p| p.header.rank = 4, "empty or too large dimension");
    assert_header(poses(), |p| p.header.dims[0] = 0.into(), "empty or too large dimension");
    assert_header(poses(), |p| p.header.dims = [u32::MAX.into(), u32::MAX.into(), 0.into()], "empty or too large");
    assert_header(poses(), |p| p.header.channels = 1, "needs at least 1 plane and 0 channels");
    assert_header(poses(), |p| p.header.planes = 0, "0 planes");
    assert_header(images(SampleType::U16, 1), |p| p.header.dims[2] = 1.into(), "dimensions that its records lack");
}

#[test]
fn filters_fit_the_type_of_the_samples() {
    let cases = [
        (SampleType::U8, 2, "shuffle for u8"),
        (SampleType::U8, 3, "up-shuffle for u8"),
        (SampleType::F16, 1, "up for f16"),
        (SampleType::F16, 3, "up-shuffle for f16"),
        (SampleType::F32, 1, "up for f32"),
        (SampleType::F32, 3, "up-shuffle for f32"),
    ];
    for (samples, filter, expected) in cases {
        let zstd = |p: &mut Parts| (p.index[1].codec, p.index[1].filter) = (2, filter);
        let expected = format!("codec zstd does not support filter {expected} samples");
        assert_index(images(samples, 1), zstd, &expected);
    }
    for filter in 1..=3 {
        let raw = |p: &mut Parts| p.index[1].filter = filter;
        assert_index(images(SampleType::U16, 1), raw, "codec raw does not support filter");
    }
    assert_index(images(SampleType::U16, 1), |p| p.index[1].filter = 4, "unknown filter 4");
}

#[test]
fn an_array_has_the_streams_dimensions_and_at_most_2_to_the_28_bytes() {
    let beyond = "cannot be in stream poses";
    assert_index(poses(), |p| (p.index[0].codec, p.index[0].height) = (2, 0x7fff.into()), beyond);
    assert_index(poses(), |p| (p.index[0].codec, p.index[0].height) = (2, u16::MAX.into()), beyond);
    assert_index(poses(), |p| p.index[0].channels = 1, beyond);
    assert_index(poses(), |p| p.index[0].width = 1.into(), "408 stored bytes for a raw record of [1, 17, 3] f32");
}

#[test]
fn an_array_without_samples_has_no_stored_bytes() {
    assert_index(poses(), |p| p.index[0].width = 0.into(), "408 stored bytes for a raw record of [0, 17, 3] f32");
    assert_index(poses(), |p| p.index[1].width = 3.into(), "0 stored bytes for a raw record of [3, 17, 3] f32");
    assert_index(poses(), |p| p.index[1].codec = 2, "0 stored bytes for a zstd record of [0, 17, 3] f32");
    let compressed = |p: &mut Parts| (p.index[0].codec, p.index[0].width) = (2, 0.into());
    assert_index(poses(), compressed, "408 stored bytes for a zstd record of [0, 17, 3] f32");
}

#[test]
fn a_jpeg_record_is_an_image_of_u8_samples() {
    for parts in [images(SampleType::U16, 1), images(SampleType::I16, 3), images(SampleType::F32, 3), poses()] {
        assert_index(parts, |p| p.index[0].codec = 1, "a JPEG image cannot be ");
    }
}

#[test]
fn compressed_records_have_the_size_of_their_samples() {
    let spec = StreamSpec::new("x", 1, 1).with_samples(SampleType::U16);
    let size = ImageSize { width: 8, height: 6, channels: 1 };
    let shape = Shape::image(size, SampleType::U16);
    for options in [EncodeOptions::zstd(3), EncodeOptions::lz4(3)] {
        // The record holds as many bytes as the image has pixels, and so half of its samples.
        let mut encoder = Encoder::new(options).unwrap();
        let bytes = encoder.encode(&sample::pixels(size, 1), size).unwrap().bytes().to_vec();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hostile.clipshard");
        let mut writer = ShardWriter::create(&path, &spec).unwrap();
        writer.add_clip("a", &[sample::record(options.codec, Filter::UpShuffle, shape, bytes)]).unwrap();
        writer.finish(&sample::metadata(&[clipshard::Clip::new("", None, Vec::new())])).unwrap();
        let error = sample::first_error(&path).unwrap();
        assert!(matches!(&error, Error::Record { fault, .. } if fault.contains("cannot be decoded")), "{error}");
    }
}

#[test]
fn the_writer_refuses_records_that_its_stream_cannot_hold() {
    let dir = tempfile::tempdir().unwrap();
    let mut encoder = Encoder::new(EncodeOptions::zstd(3).for_samples(SampleType::F32)).unwrap();
    let boxes = Shape::array(&[2, 4], SampleType::F32).unwrap();
    let record = encoder.encode_samples(&[1.0_f32; 8], boxes).unwrap();
    let refused = |spec: StreamSpec| {
        let mut writer = ShardWriter::create(dir.path().join("a.clipshard"), &spec).unwrap();
        writer.add_clip("a", std::slice::from_ref(&record)).unwrap_err().to_string()
    };
    let arrays = |samples, inner: &[u32]| StreamSpec::arrays("x", samples, inner);
    let images = StreamSpec::rgb().with_samples(SampleType::F32);
    let f32s = [&[5][..], &[2, 4], &[]].map(|inner| arrays(SampleType::F32, inner));
    for spec in f32s.into_iter().chain([arrays(SampleType::F16, &[4]), images]) {
        let fault = refused(spec);
        assert!(fault.starts_with("clip a: ") && fault.contains("an array of [2, 4] f32 cannot be in"), "{fault}");
    }
    let wrong = encoder.encode_samples(&[1_u16; 8], boxes).unwrap_err().to_string();
    assert_eq!(wrong, "cannot encode u16 samples as [2, 4] f32");
    let filter = Encoder::new(EncodeOptions::zstd(3)).unwrap().encode_samples(&[1.0_f32; 8], boxes);
    assert_eq!(filter.unwrap_err().to_string(), "filter up does not support f32 samples");
}
