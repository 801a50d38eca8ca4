//! Hostile and unusual shards of other samples than u8, and of arrays.

use super::{Files, SIZE, array, boxes, changed, depth, grey, jpeg, lz4, shard_of, stored, stored_in, zstd};
use crate::sample::{self, Parts, record};
use clipshard::{Codec, Filter, SampleType, Shape, StreamSpec};

/// Returns a shard of one depth image, stored raw.
fn image(change: impl FnOnce(&mut Parts)) -> Vec<u8> {
    stored_in(&depth(), Shape::image(SIZE, SampleType::U16), (Codec::Raw, Filter::None, &[7; 12]), change)
}

/// Returns a shard of one array `[2, 4]` of f32, stored raw.
fn raw_boxes(change: impl FnOnce(&mut Parts)) -> Vec<u8> {
    stored_in(&boxes(), array(&[2, 4], SampleType::F32), (Codec::Raw, Filter::None, &[0; 32]), change)
}

/// Returns a shard of one zstd record with 24 bytes of samples, whose filter is changed.
fn filtered(samples: SampleType, filter: u8) -> Vec<u8> {
    let spec = StreamSpec::arrays("x", samples, &[2]);
    let shape = array(&[12 / samples.bytes() as u32, 2], samples);
    stored_in(&spec, shape, (Codec::Zstd, Filter::None, &zstd(&[1; 24])), |p| p.index[0].filter = filter)
}

fn compressed_image(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    stored_in(&depth(), Shape::image(SIZE, SampleType::U16), (codec, Filter::UpShuffle, bytes), |_| ())
}

/// Returns a shard of one empty array, whose index entry is changed.
fn empty(change: impl FnOnce(&mut Parts)) -> Vec<u8> {
    stored_in(&boxes(), array(&[0, 4], SampleType::F32), (Codec::Raw, Filter::None, &[]), change)
}

pub fn hostile() -> Files {
    let length = |p: &mut Parts, length: u32| {
        (p.index[0].width, p.index[0].height) = ((length as u16).into(), ((length >> 16) as u16).into());
    };
    let jpeg_size = |p: &mut Parts| {
        (p.index[0].width, p.index[0].height) = (16.into(), 12.into());
        p.index[0].codec = 1;
    };
    let jpeg_of_depths = {
        let size = clipshard::ImageSize { channels: 1, ..sample::RGB_SIZE };
        let shape = Shape::image(size, SampleType::U16);
        stored_in(&depth(), shape, (Codec::Zstd, Filter::None, sample::JPEG), jpeg_size)
    };
    let jpeg_of_an_array = {
        let spec = StreamSpec::arrays("x", SampleType::U8, &[16, 3]);
        let shape = array(&[12, 16, 3], SampleType::U8);
        stored_in(&spec, shape, (Codec::Zstd, Filter::None, sample::JPEG), |p| p.index[0].codec = 1)
    };
    Files::from([
        ("samples-unknown.clipshard", image(|p| p.header.samples = 5)),
        ("rank-5.clipshard", raw_boxes(|p| p.header.rank = 5)),
        ("rank-0-with-dims.clipshard", image(|p| p.header.dims[0] = 4.into())),
        ("array-dims-beyond-rank.clipshard", raw_boxes(|p| p.header.dims[2] = 4.into())),
        ("array-dims-zero.clipshard", raw_boxes(|p| p.header.dims[0] = 0.into())),
        ("array-dims-4-billion.clipshard", raw_boxes(|p| (p.header.rank, p.header.dims) = (4, [u32::MAX.into(); 3]))),
        ("array-with-channels.clipshard", raw_boxes(|p| (p.header.channels, p.index[0].channels) = (1, 1))),
        ("array-with-channels-of-a-record.clipshard", raw_boxes(|p| p.index[0].channels = 1)),
        ("image-without-channels.clipshard", image(|p| (p.header.channels, p.index[0].channels) = (0, 0))),
        ("array-4-billion.clipshard", raw_boxes(|p| length(p, u32::MAX))),
        (
            "array-above-2-to-28.clipshard",
            stored_in(&boxes(), array(&[2, 4], SampleType::F32), (Codec::Zstd, Filter::None, &zstd(&[0; 32])), |p| {
                length(p, (1 << 24) + 1);
            }),
        ),
        ("array-empty-with-bytes.clipshard", raw_boxes(|p| length(p, 0))),
        ("array-empty-zstd.clipshard", empty(|p| p.index[0].codec = 2)),
        (
            "array-empty-zstd-frame.clipshard",
            stored_in(&boxes(), array(&[2, 4], SampleType::F32), (Codec::Zstd, Filter::None, &zstd(&[])), |p| {
                length(p, 0);
            }),
        ),
        ("array-without-bytes.clipshard", empty(|p| length(p, 2))),
        ("array-without-bytes-lz4.clipshard", empty(|p| (p.index[0].codec, p.index[0].width) = (3, 2.into()))),
        ("filter-of-an-empty-array.clipshard", empty(|p| p.index[0].filter = 2)),
        ("shuffle-of-u8.clipshard", filtered(SampleType::U8, 2)),
        ("up-shuffle-of-u8.clipshard", filtered(SampleType::U8, 3)),
        ("up-of-f16.clipshard", filtered(SampleType::F16, 1)),
        ("up-shuffle-of-f16.clipshard", filtered(SampleType::F16, 3)),
        ("up-of-f32.clipshard", filtered(SampleType::F32, 1)),
        ("jpeg-of-u16.clipshard", jpeg_of_depths),
        ("jpeg-of-an-array.clipshard", jpeg_of_an_array),
        ("raw-of-half-a-sample.clipshard", {
            let bytes: &[u8] = &zstd(&[7; 12]);
            // The frame is shorter or longer than the 12 bytes of the samples.
            assert_ne!(bytes.len(), 12);
            stored_in(&depth(), Shape::image(SIZE, SampleType::U16), (Codec::Zstd, Filter::None, bytes), |p| {
                p.index[0].codec = 0;
            })
        }),
        ("zstd-of-half-a-sample.clipshard", compressed_image(Codec::Zstd, &zstd(&[7; 11]))),
        ("zstd-of-u8.clipshard", compressed_image(Codec::Zstd, &zstd(&[7; 6]))),
        ("lz4-of-half-a-sample.clipshard", compressed_image(Codec::Lz4, &lz4(&[7; 11]))),
    ])
}

pub fn unusual() -> Files {
    let empty_records = {
        let none = || record(Codec::Raw, Filter::None, array(&[0, 4], SampleType::F32), Vec::new());
        shard_of(&boxes(), &[("a", vec![none(), none()]), ("b", vec![none()])]).seal(|_| ())
    };
    let long_array = {
        let spec = StreamSpec::arrays("x", SampleType::I16, &[1, 1, 1]);
        let shape = array(&[100_000, 1, 1, 1], SampleType::I16);
        stored_in(&spec, shape, (Codec::Zstd, Filter::UpShuffle, &zstd(&vec![0; 200_000])), |_| ())
    };
    let reserved = changed(|p| {
        (p.header.minor, p.header.optional_features, p.header.reserved) = (7.into(), u32::MAX.into(), [255; 8]);
        p.index.iter_mut().for_each(|entry| entry.reserved = 255);
        p.clips.iter_mut().for_each(|clip| clip.reserved = [255; 10]);
    });
    let long_id = "\u{e9}".repeat(32_767);
    let long_id = shard_of(&grey(), &[(&long_id, vec![record(Codec::Raw, Filter::None, SIZE, vec![1; 6])])]);
    let mut filled = sample::JPEG.to_vec();
    filled.splice(2..2, [255; 3]);
    let mut with_checksum = zstd::bulk::Compressor::new(1).unwrap();
    with_checksum.include_checksum(true).unwrap();
    Files::from([
        ("array-empty.clipshard", empty_records),
        ("array-of-100000-rows.clipshard", long_array),
        ("optional-features-and-reserved-bytes.clipshard", reserved),
        ("id-of-65534-bytes.clipshard", long_id.seal(|_| ())),
        ("jpeg-zeros-after-end.clipshard", jpeg(&[sample::JPEG, &[0; 100]].concat())),
        ("jpeg-fill-bytes.clipshard", jpeg(&filled)),
        (
            "zstd-with-checksum.clipshard",
            stored(Codec::Zstd, Filter::Up, &with_checksum.compress(&[1, 2, 3, 4, 5, 6]).unwrap()),
        ),
    ])
}
