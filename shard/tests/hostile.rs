//! Tests of files that break one rule on purpose, with valid checksums. Each must give a clear
//! error, without a panic.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod sample;

use clipshard::layout::Trailer;
use clipshard::{Codec, EncodedRecord, Error, Filter, ImageSize, Shard, ShardWriter, StreamSpec};
use sample::{FLOW_SIZE, Parts, RGB_SIZE, flow, pixels, record, rgb};
use std::path::PathBuf;

struct Case {
    dir: tempfile::TempDir,
}

impl Case {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("hostile.clipshard")
    }

    /// Returns the first error of reading these bytes as a shard.
    fn error_of(&self, bytes: &[u8]) -> Option<Error> {
        std::fs::write(self.path(), bytes).unwrap();
        let error = sample::first_error(&self.path());
        if let Some(error) = &error {
            assert!(error.to_string().contains("hostile.clipshard"), "{error}");
        }
        error
    }
}

/// Builds a shard of two clips with three and two records of 16 x 12 RGB pixels. They are raw, so
/// that tests can change their sizes.
fn raw_parts() -> Parts {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("raw.clipshard");
    let images = [0, 1, 2, 3, 4].map(|i| record(Codec::Raw, Filter::None, RGB_SIZE, pixels(RGB_SIZE, i)));
    let mut writer = ShardWriter::create(&path, &rgb()).unwrap();
    writer.add_clip("a", &images[..3]).unwrap();
    writer.add_clip("b", &images[3..]).unwrap();
    writer.finish(&sample::metadata(&[clip(), clip()])).unwrap();
    Parts::of(&path)
}

fn clip() -> clipshard::Clip {
    clipshard::Clip::new("", 0, Vec::new())
}

/// Returns the error of a shard whose parts were changed.
fn refused(change: impl FnOnce(&mut Parts)) -> Error {
    let mut parts = raw_parts();
    change(&mut parts);
    Case::new().error_of(&parts.seal(|_| ())).expect("a broken rule is an error")
}

/// Returns the error of a shard whose trailer was changed.
fn refused_trailer(change: impl FnOnce(&mut Trailer)) -> Error {
    Case::new().error_of(&raw_parts().seal(change)).expect("a broken rule is an error")
}

#[track_caller]
fn assert_damaged(error: &Error, expected_part: &str, expected_fault: &str) {
    let Error::Damaged { part, fault, .. } = error else { panic!("{error}") };
    assert!(part.to_string() == expected_part && fault.contains(expected_fault), "{error}");
}

#[track_caller]
fn assert_index(error: &Error, expected_clip: &str, expected_fault: &str) {
    let Error::ClipIndex { clip, fault, .. } = error else { panic!("{error}") };
    assert!(clip == expected_clip && fault.contains(expected_fault), "{error}");
}

#[test]
fn unchanged_parts_are_a_valid_shard() {
    assert!(Case::new().error_of(&raw_parts().seal(|_| ())).is_none());
}

#[test]
fn another_major_version_is_refused() {
    for major in [0, 2, u16::MAX] {
        assert!(matches!(refused(|p| p.header.major = major.into()), Error::Version { major: m, .. } if m == major));
    }
}

#[test]
fn another_minor_version_is_read() {
    let mut parts = raw_parts();
    parts.header.minor = 9.into();
    assert!(Case::new().error_of(&parts.seal(|_| ())).is_none());
}

#[test]
fn an_unknown_required_feature_is_refused() {
    let error = refused(|p| p.header.required_features = 0x8000_0000.into());
    assert!(matches!(&error, Error::Feature { unknown, .. } if unknown == "0x80000000"), "{error}");
}

#[test]
fn an_unknown_optional_feature_and_its_reserved_bytes_are_ignored() {
    let mut parts = raw_parts();
    parts.header.optional_features = u32::MAX.into();
    parts.header.reserved = [7; 8];
    parts.clips[0].reserved = [7; 10];
    parts.index[0].reserved = 7;
    assert!(Case::new().error_of(&parts.seal(|_| ())).is_none());
}

#[test]
fn reserved_bytes_that_no_checksum_covers_are_zero() {
    assert_damaged(&refused_trailer(|t| t.reserved = [0, 0, 1, 0]), "trailer", "reserved");
}

#[test]
fn a_stream_has_a_plain_name_planes_and_one_to_four_channels() {
    assert_damaged(&refused(|p| p.header.stream = [0; 16]), "header", "stream name");
    assert_damaged(&refused(|p| p.header.stream[1] = b'/'), "header", "stream name");
    assert_damaged(&refused(|p| p.header.stream[1] = 0xff), "header", "stream name");
    assert_damaged(&refused(|p| p.header.stream[9] = b'x'), "header", "not padded");
    assert_damaged(&refused(|p| p.header.planes = 0), "header", "0 planes");
    assert_damaged(&refused(|p| p.header.channels = 0), "header", "0 channels");
    assert_damaged(&refused(|p| p.header.channels = 5), "header", "5 channels");
}

#[test]
fn a_trailer_belongs_to_its_header() {
    assert_damaged(&refused_trailer(|t| t.header_crc32 = 5.into()), "trailer", "another header");
}

#[test]
fn the_stated_file_size_is_the_files() {
    for change in [1, -1, i64::MAX] {
        let error = refused_trailer(|t| t.file_bytes = t.file_bytes.get().wrapping_add_signed(change).into());
        assert!(matches!(error, Error::Length { .. }), "{error}");
    }
}

#[test]
fn sizes_that_overflow_or_do_not_add_up_are_refused() {
    let changes: [fn(&mut Trailer); 9] = [
        |t| t.records = (1_u64 << 63).into(),
        |t| t.records = u64::MAX.into(),
        // The size of 2^59 entries of 32 bytes is 0 modulo 2^64.
        |t| t.records = (t.records.get() + (1 << 59)).into(),
        |t| t.clips = u32::MAX.into(),
        |t| t.names_bytes = u32::MAX.into(),
        |t| t.metadata_bytes = u32::MAX.into(),
        |t| t.index_offset = u64::MAX.into(),
        |t| t.index_offset = (t.index_offset.get() - 8).into(),
        |t| t.records = (t.records.get() + 1).into(),
    ];
    for change in changes {
        assert_damaged(&refused_trailer(change), "trailer", "do not add up");
    }
}

#[test]
fn the_index_is_aligned_and_after_the_header() {
    // Bytes are moved from the end of the records to the metadata, so that the sum of the sizes
    // does not change.
    let moved = |by: u32| {
        refused_trailer(|t| {
            t.index_offset = (t.index_offset.get() - u64::from(by)).into();
            t.metadata_bytes = (t.metadata_bytes.get() + by).into();
        })
    };
    assert_damaged(&moved(4), "trailer", "multiple of 8");
    let records = raw_parts().records.len() as u32;
    assert_damaged(&moved(records + 8), "trailer", "inside the header");
}

#[test]
fn a_shard_has_clips_and_each_has_records() {
    let without_clips = refused(|p| {
        p.names.clear();
        p.clips.clear();
    });
    assert_damaged(&without_clips, "trailer", "no clips");
    let too_few_records = refused(|p| p.index.truncate(1));
    assert_damaged(&too_few_records, "trailer", "fewer records than clips");
    let empty_clip = refused(|p| {
        p.clips[0].records = 0.into();
        p.clips[1].first_record = 0.into();
        p.clips[1].records = 5.into();
    });
    assert_damaged(&empty_clip, "clip table", "clip 0 has 0 records");
}

#[test]
fn a_clip_has_whole_frames() {
    assert_damaged(&refused(|p| p.header.planes = 2), "clip table", "clip 0 has 3 records");
}

#[test]
fn clips_cover_the_index_and_the_names_without_holes_and_overlaps() {
    let follow = "does not follow the clip before it";
    assert_damaged(&refused(|p| p.clips[0].first_record = 1.into()), "clip table", follow);
    assert_damaged(&refused(|p| p.clips[1].first_record = 2.into()), "clip table", follow);
    assert_damaged(&refused(|p| p.clips[1].first_record = (1_u64 << 63).into()), "clip table", follow);
    assert_damaged(&refused(|p| p.clips[1].name_offset = 0.into()), "clip table", follow);
    assert_damaged(&refused(|p| p.clips[0].records = u32::MAX.into()), "clip table", follow);
    let cover = "do not cover the index and the names";
    assert_damaged(&refused(|p| p.clips[1].records = 1.into()), "clip table", cover);
    assert_damaged(&refused(|p| p.clips[1].records = u32::MAX.into()), "clip table", cover);
    assert_damaged(&refused(|p| p.clips[1].name_bytes = u16::MAX.into()), "clip table", cover);
    assert_damaged(&refused(|p| p.names.push(b'x')), "clip table", cover);
}

#[test]
fn clip_ids_are_utf_8_and_not_empty() {
    let fault = "empty or not UTF-8";
    assert_damaged(&refused(|p| p.names[1] = 0xff), "clip table", fault);
    let split_character = refused(|p| p.names.copy_from_slice("é".as_bytes()));
    assert_damaged(&split_character, "clip table", fault);
    let empty = refused(|p| {
        p.clips[0].name_bytes = 0.into();
        p.clips[1].name_offset = 0.into();
        p.clips[1].name_bytes = 2.into();
    });
    assert_damaged(&empty, "clip table", fault);
}

#[test]
fn metadata_is_json_that_describes_each_clip() {
    assert_damaged(&refused(|p| p.metadata = b"not json".to_vec()), "metadata", "expected");
    assert_damaged(&refused(|p| p.metadata[0] = 0xff), "metadata", "expected");
    let text = br#"{"dataset":"","classes":[],"splits":[],"build":{},"clips":[],"more":1}"#;
    assert_damaged(&refused(|p| p.metadata = text.to_vec()), "metadata", "it describes 0 clips, but the shard has 2");
}

#[test]
fn groups_are_of_clips_that_are_there_and_have_names() {
    let text = |groups: &str| {
        let clip = r#"{"subsets":[]}"#;
        let head = r#""dataset":"","classes":[],"splits":[],"build":{}"#;
        format!(r#"{{{head},"clips":[{clip},{clip}],"groups":{groups}}}"#).into_bytes()
    };
    for (groups, expected) in [
        (r#"{"c":"7"}"#.to_owned(), "clip \"c\", which does not exist"),
        (r#"{"a":""}"#.to_owned(), "has 0 bytes, not 1 to 65535"),
        (format!(r#"{{"a":"{}"}}"#, "x".repeat(65536)), "has 65536 bytes"),
        (r#"{"a":7}"#.to_owned(), "expected a string"),
        (r#"["a"]"#.to_owned(), "expected an object with a value per name"),
    ] {
        assert_damaged(&refused(|p| p.metadata = text(&groups)), "metadata", expected);
    }
    let mut parts = raw_parts();
    parts.metadata = text(r#"{"b":"7"}"#);
    let shard = Case::new().error_of(&parts.seal(|_| ()));
    assert!(shard.is_none(), "{shard:?}");
}

#[test]
fn only_zeros_separate_the_last_record_from_the_index() {
    assert_damaged(&refused(|p| p.records.extend([0; 8])), "index", "does not end where the index starts");
    let mut parts = raw_parts();
    parts.records.pop();
    parts.index[4].stored_bytes = (parts.index[4].stored_bytes.get() - 1).into();
    parts.records.push(1);
    assert_damaged(&Case::new().error_of(&parts.seal(|_| ())).unwrap(), "padding", "not zero");
}

#[test]
fn records_inside_a_clip_leave_no_hole_and_do_not_overlap() {
    for change in [1, -1, 64, i64::MAX] {
        let error = refused(|p| p.index[1].offset = p.index[1].offset.get().wrapping_add_signed(change).into());
        assert_index(&error, "a", "record 1 of the clip: it starts at byte ");
    }
    let longer = refused(|p| {
        p.index[1].codec = Codec::Zstd as u8;
        p.index[1].stored_bytes = (p.index[1].stored_bytes.get() + 1).into();
    });
    assert_index(&longer, "a", "record 2 of the clip: it starts at byte ");
}

#[test]
fn a_clip_starts_where_the_one_before_ends() {
    for change in [576, -576] {
        let error = refused(|p| {
            // The length of the first record changes by as much, so that the last record still ends
            // at the index.
            let first = &mut p.index[3];
            first.offset = first.offset.get().wrapping_add_signed(change).into();
            first.codec = Codec::Zstd as u8;
            first.stored_bytes =
                (i64::from(first.stored_bytes.get()) - change).max(1).try_into().map(u32::into).unwrap();
        });
        assert_index(&error, "b", "record 0 of the clip: it starts at byte ");
    }
}

#[test]
fn records_do_not_reach_into_header_index_or_beyond() {
    let start = "it starts at byte ";
    for offset in [0, 8, 63, u64::MAX, u64::MAX - 575] {
        assert_index(&refused(|p| p.index[0].offset = offset.into()), "a", start);
    }
    let beyond = refused(|p| {
        p.index[2].codec = Codec::Zstd as u8;
        p.index[2].stored_bytes = u32::MAX.into();
    });
    assert_index(&beyond, "a", "record 2 of the clip: it ends after the start of the index");
    for last in [0, u64::MAX - 575, u64::MAX] {
        assert_index(&refused(|p| p.index[4].offset = last.into()), "b", start);
    }
}

#[test]
fn a_record_says_which_it_is() {
    let other = "it states that it is record";
    assert_index(&refused(|p| p.index[1].clip = 1.into()), "a", other);
    assert_index(&refused(|p| p.index[1].clip = u32::MAX.into()), "a", other);
    assert_index(&refused(|p| p.index[1].position = 0.into()), "a", other);
    assert_index(&refused(|p| p.index[4].position = 4.into()), "b", other);
}

#[test]
fn an_unknown_codec_or_filter_is_refused() {
    assert_index(&refused(|p| p.index[0].codec = 4), "a", "unknown codec 4");
    assert_index(&refused(|p| p.index[0].codec = 255), "a", "unknown codec 255");
    assert_index(&refused(|p| p.index[3].filter = 4), "b", "unknown filter 4");
}

#[test]
fn raw_and_jpeg_support_no_filter() {
    assert_index(&refused(|p| p.index[1].filter = 1), "a", "codec raw does not support filter up");
    let jpeg = refused(|p| {
        p.index[1].codec = Codec::Jpeg as u8;
        p.index[1].filter = 1;
    });
    assert_index(&jpeg, "a", "codec jpeg does not support filter up");
}

#[test]
fn an_image_has_pixels_the_streams_channels_and_at_most_2_to_the_28_bytes() {
    assert_index(&refused(|p| p.index[1].width = 0.into()), "a", "image of 0x12x3 cannot be in stream rgb");
    assert_index(&refused(|p| p.index[1].height = 0.into()), "a", "image of 16x0x3 cannot be in stream rgb");
    assert_index(&refused(|p| p.index[1].channels = 1), "a", "image of 16x12x1 cannot be in stream rgb");
    assert_index(&refused(|p| p.index[1].channels = 0), "a", "image of 16x12x0 cannot be in stream rgb");
    let huge = refused(|p| {
        p.header.channels = 4;
        for entry in &mut p.index {
            (entry.width, entry.height, entry.channels) = (u16::MAX.into(), u16::MAX.into(), 4);
        }
    });
    assert_index(&huge, "a", "image of 65535x65535x4 cannot be in stream rgb");
    let largest = ImageSize { width: 1 << 14, height: 1 << 14, channels: 1 };
    assert!(largest.is_storable() && !ImageSize { width: (1 << 14) + 1, ..largest }.is_storable());
}

#[test]
fn a_jpeg_record_has_one_or_three_channels() {
    let error = refused(|p| {
        p.header.channels = 2;
        for entry in &mut p.index {
            (entry.channels, entry.codec) = (2, Codec::Jpeg as u8);
        }
    });
    assert_index(&error, "a", "a JPEG image cannot be 16x12x2, only u8 with 1 or 3 channels");
}

#[test]
fn stored_bytes_are_some_and_as_many_as_the_pixels_of_a_raw_record() {
    assert_index(&refused(|p| p.index[1].stored_bytes = 0.into()), "a", "it has 0 stored bytes for a raw record");
    assert_index(&refused(|p| p.index[1].stored_bytes = 575.into()), "a", "it has 575 stored bytes for a raw record");
    assert_index(
        &refused(|p| p.index[1].width = 15.into()),
        "a",
        "it has 576 stored bytes for a raw record of 15x12x3",
    );
}

/// Returns the error of a flow shard with one frame whose second plane has these bytes.
fn undecodable(codec: Codec, filter: Filter, bytes: Vec<u8>) -> String {
    let size = FLOW_SIZE;
    let good = record(Codec::Raw, Filter::None, size, pixels(size, 0));
    read_one(&flow(), &[good, record(codec, filter, size, bytes)], 1)
}

/// Returns the error of a shard of one clip with these records, which must concern record `bad`.
fn read_one(spec: &StreamSpec, records: &[EncodedRecord], bad: u64) -> String {
    let case = Case::new();
    let mut writer = ShardWriter::create(case.path(), spec).unwrap();
    writer.add_clip("v", records).unwrap();
    writer.finish(&sample::metadata(&[clip()])).unwrap();
    let error = sample::first_error(&case.path()).expect("bytes that are no image are an error");
    assert!(matches!(&error, Error::Record { record, clip, .. } if *record == bad && clip == "v"), "{error}");
    error.to_string()
}

#[test]
fn a_zstd_record_is_one_frame_that_states_the_size_of_the_image() {
    let image = pixels(FLOW_SIZE, 0);
    let compress = |bytes: &[u8]| zstd::bulk::compress(bytes, 3).unwrap();
    let zstd = |bytes| undecodable(Codec::Zstd, Filter::Up, bytes);
    assert!(zstd(compress(&image[1..])).contains("frame states 139 bytes, but the image has 140"));
    assert!(zstd(compress(&[&image[..], &[0]].concat())).contains("frame states 141 bytes"));
    assert!(zstd(compress(&vec![0; 1 << 24])).contains("frame states 16777216 bytes"));
    // A frame header that states 2^40 bytes: magic number, descriptor (single segment, size of 8
    // bytes), size.
    let bomb = [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..], &(1_u64 << 40).to_le_bytes(), &[1, 0, 0]].concat();
    assert!(zstd(bomb).contains("frame states 1099511627776 bytes"));
    let mut silent = zstd::bulk::Compressor::new(3).unwrap();
    silent.include_contentsize(false).unwrap();
    assert!(zstd(silent.compress(&image).unwrap()).contains("does not state its content size"));
    assert!(zstd([compress(&image), compress(&image[..0])].concat()).contains("one whole zstd frame"));
    assert!(zstd([compress(&image), vec![0]].concat()).contains("one whole zstd frame"));
    let cut = compress(&image);
    assert!(zstd(cut[..cut.len() - 1].to_vec()).contains("one whole zstd frame"));
    assert!(zstd(image).contains("not a zstd frame"));
}

#[test]
fn an_lz4_record_is_one_block_of_the_size_of_the_image() {
    let image = pixels(FLOW_SIZE, 0);
    let lz4 = |bytes: &[u8]| undecodable(Codec::Lz4, Filter::Up, lz4::block::compress(bytes, None, false).unwrap());
    assert!(lz4(&image[1..]).contains("LZ4 block decodes to 139 bytes, but the image has 140"));
    assert!(lz4(&[&image[..], &[0]].concat()).contains("LZ4 reports: "));
    assert!(lz4(&vec![0; 1 << 20]).contains("LZ4 reports: "));
    assert!(undecodable(Codec::Lz4, Filter::None, vec![0xff; 40]).contains("LZ4 reports: "));
}

#[test]
fn a_jpeg_record_is_a_jpeg_file_of_the_size_of_the_image() {
    let jpeg = |size, bytes: &[u8]| read_one(&rgb(), &[record(Codec::Jpeg, Filter::None, size, bytes.to_vec())], 0);
    let wider = ImageSize { width: 17, ..RGB_SIZE };
    assert!(jpeg(wider, sample::JPEG).contains("16x12 pixels, but 17x12x3 are expected"));
    assert!(jpeg(RGB_SIZE, b"GIF89a").contains("cannot be decoded"));
    assert!(jpeg(RGB_SIZE, &sample::JPEG[..300]).contains("cannot be decoded"));
}

#[test]
fn no_number_in_any_field_makes_the_reader_panic() {
    // Each byte of header, index, clip table and trailer is set to extreme values, with valid
    // checksums.
    let case = Case::new();
    let whole = raw_parts();
    let extremes = [0, 1, 0x7f, 0x80, 0xff];
    let mut opened = 0;
    let mut check = |bytes: &[u8]| {
        std::fs::write(case.path(), bytes).unwrap();
        opened += u32::from(Shard::open(case.path()).is_ok());
        let _ = sample::first_error(&case.path());
    };
    for value in extremes {
        use zerocopy::IntoBytes;
        for at in 0..64 {
            let mut parts = whole.clone();
            parts.header.as_mut_bytes()[at] = value;
            check(&parts.seal(|_| ()));
            check(&whole.seal(|trailer| trailer.as_mut_bytes()[at] = value));
        }
        for at in 0..whole.index.as_bytes().len() {
            let mut parts = whole.clone();
            parts.index.as_mut_bytes()[at] = value;
            check(&parts.seal(|_| ()));
        }
        for at in 0..whole.clips.as_bytes().len() {
            let mut parts = whole.clone();
            parts.clips.as_mut_bytes()[at] = value;
            check(&parts.seal(|_| ()));
        }
    }
    assert!(opened > 0);
}

#[test]
fn no_stored_bytes_make_a_decoder_panic() {
    let zstd = sample::encoded(Codec::Zstd, Filter::Up, RGB_SIZE, 0);
    let lz4 = sample::encoded(Codec::Lz4, Filter::Up, RGB_SIZE, 0);
    for good in [sample::jpeg(), zstd, lz4] {
        // The variants have one flipped bit, are cut to each length, or have many changed bytes.
        // All checksums are valid.
        let mut variants = Vec::new();
        for bit in 0..good.bytes().len() * 8 {
            let mut bytes = good.bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            variants.push(bytes);
        }
        variants.extend((1..good.bytes().len()).map(|length| good.bytes()[..length].to_vec()));
        for seed in 0..2000 {
            let mut bytes = good.bytes().to_vec();
            let mut draws = clipshard::order::Draws::new(seed, 0, 0);
            for _ in 0..draws.between(2, 40) {
                let at = draws.below(bytes.len() as u64) as usize;
                bytes[at] = draws.bits() as u8;
            }
            variants.push(bytes);
        }
        let records: Vec<_> =
            variants.into_iter().map(|bytes| record(good.codec(), good.filter(), good.shape(), bytes)).collect();
        let case = Case::new();
        let mut writer = ShardWriter::create(case.path(), &rgb()).unwrap();
        writer.add_clip("v", &records).unwrap();
        writer.finish(&sample::metadata(&[clip()])).unwrap();
        let refused = sample::read_all(&case.path()).unwrap().iter().filter(|image| image.is_err()).count();
        assert!(refused > 0, "{:?}", good.codec());
    }
}
