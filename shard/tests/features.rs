//! Tests of what a program can do that was built without some codecs. They hold for each set of
//! Cargo features; `scripts/features.sh` runs them with several.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use clipshard::{
    Access, Codec, Dataset, Decoder, Error, Shard, VerifyDepth, VerifyReport, Window, check_shards, verify_listed,
};
use std::path::Path;

/// Each record of the golden dataset: stream, clip, frame, plane, codec and checksum of its pixels.
const RECORDS: [(&str, usize, usize, usize, Codec, u32); 15] = [
    ("rgb", 0, 0, 0, Codec::Jpeg, 0x62be_aa68),
    ("rgb", 0, 1, 0, Codec::Zstd, 0x07da_acdd),
    ("rgb", 0, 2, 0, Codec::Raw, 0x75ee_0ff6),
    ("rgb", 1, 0, 0, Codec::Zstd, 0xb554_7eed),
    ("rgb", 1, 1, 0, Codec::Jpeg, 0x62be_aa68),
    ("flow", 0, 0, 0, Codec::Zstd, 0xa8c1_a04f),
    ("flow", 0, 0, 1, Codec::Zstd, 0x4786_db19),
    ("flow", 0, 1, 0, Codec::Zstd, 0xa24b_51d9),
    ("flow", 0, 1, 1, Codec::Zstd, 0x8a2f_fb42),
    ("flow", 0, 2, 0, Codec::Zstd, 0x1059_238a),
    ("flow", 0, 2, 1, Codec::Zstd, 0x31a7_3bde),
    ("flow", 1, 0, 0, Codec::Lz4, 0x9667_9d75),
    ("flow", 1, 0, 1, Codec::Lz4, 0xe82e_23e9),
    ("flow", 1, 1, 0, Codec::Lz4, 0x7a7c_979d),
    ("flow", 1, 1, 1, Codec::Lz4, 0xc8d2_3a9c),
];

const SHARDS: [&str; 3] = ["rgb-00000.clipshard", "flow-00000.clipshard", "flow-00001.clipshard"];

/// A shard in the memory of the program itself.
static BYTES: &[u8] = include_bytes!("golden/rgb-00000.clipshard");

fn golden(file: &str) -> Vec<u8> {
    std::fs::read(Path::new("tests/golden").join(file)).unwrap()
}

/// Opens the golden dataset in a way that each system supports.
fn open() -> Dataset {
    Dataset::open_with("tests/golden", Access::Read).unwrap()
}

/// Asserts that an error names a codec that this program lacks.
#[track_caller]
fn assert_absent(error: &Error, (file, stream, clip, codec): (&str, &str, &str, Codec)) {
    assert!(!codec.is_compiled() && !error.is_clip_damage(), "{error}");
    let Error::CodecNotCompiled { path, clip: of_clip, stream: of_stream, codec: needed, .. } = error else {
        panic!("{error}")
    };
    assert_eq!((path.file_name().unwrap().to_str(), of_clip.as_str()), (Some(file), clip));
    assert_eq!((of_stream.as_str(), *needed), (stream, codec));
    let cure = format!(
        "{file}: stream {stream} of clip {clip} needs codec {codec}, which this program was built without; \
         build it with the Cargo feature {codec} of clipshard"
    );
    assert!(error.to_string().ends_with(&cure), "{error}");
}

#[test]
fn all_records_can_be_read_and_those_of_compiled_codecs_decoded() {
    let data = open();
    let mut decoder = Decoder::new().unwrap();
    for (stream, clip, frame, plane, codec, pixels_crc32) in RECORDS {
        let records = data.clip(stream, clip).unwrap();
        let record = records.record(frame, plane).unwrap();
        assert_eq!(record.codec, codec);
        assert_eq!(crc32fast::hash(&record.bytes), records.info(frame, plane).unwrap().crc32);

        let size = records.size(frame, plane).unwrap();
        let file = SHARDS[if stream == "rgb" { 0 } else { 1 + clip }];
        let mut pixels = vec![0; size.bytes()];
        let window = Window { x: 3, y: 2, width: 5, height: 4 };
        let mut part = vec![0; window.bytes(size)];
        let whole = records.decode(frame, plane, &mut decoder, &mut pixels);
        let cut = records.decode_window(frame, plane, window, &mut decoder, &mut part);
        if codec.is_compiled() {
            whole.and(cut).unwrap();
            assert_eq!(crc32fast::hash(&pixels), pixels_crc32, "{stream} {clip} {frame} {plane}");
            let columns = |y: usize| (y * size.row_bytes() + 3 * size.channels as usize)..;
            let expected: Vec<u8> =
                (2..6).flat_map(|y| pixels[columns(y)][..5 * size.channels as usize].to_vec()).collect();
            assert_eq!(part, expected, "{stream} {clip} {frame} {plane}");
        } else {
            for error in [whole.unwrap_err(), cut.unwrap_err()] {
                assert_absent(&error, (file, stream, records.id(), codec));
            }
            assert!(pixels.iter().chain(&part).all(|&byte| byte == 0));
        }
    }
}

#[test]
fn verifying_lists_an_absent_codec_once_per_shard() {
    let manifest = clipshard::Manifest::read("tests/golden").unwrap();
    let shards = SHARDS.map(|file| Shard::from_bytes(file, golden(file)).unwrap());
    let shards = shards.each_ref();
    for depth in [VerifyDepth::Quick, VerifyDepth::Checksums] {
        let checked = check_shards(&shards, depth, &|_| ());
        assert!(checked.damage.iter().all(Vec::is_empty) && checked.records == 15);
    }
    let mut expected = Vec::new();
    for (file, stream, clip, codec) in [
        (SHARDS[0], "rgb", "v_Wave_g01_c01", Codec::Jpeg),
        (SHARDS[0], "rgb", "v_Wave_g01_c01", Codec::Zstd),
        (SHARDS[1], "flow", "v_Wave_g01_c01", Codec::Zstd),
        (SHARDS[2], "flow", "v_Jump_g02_c01", Codec::Lz4),
    ] {
        if !codec.is_compiled() {
            expected.push((file, stream, clip, codec));
        }
    }
    let checked = check_shards(&shards, VerifyDepth::Deep, &|_| ());
    let found: Vec<Error> = checked.damage.into_iter().flatten().collect();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    found.iter().zip(&expected).for_each(|(error, expected)| assert_absent(error, *expected));
    if cfg!(any(unix, windows)) {
        let VerifyReport { damage, records, .. } = verify_listed("tests/golden", manifest, VerifyDepth::Deep, &|_| ());
        assert_eq!((damage.len(), records), (expected.len(), 15));
    }
}

#[test]
fn damage_is_found_in_records_of_absent_codecs() {
    for (file, place, codec) in
        [(SHARDS[0], "frame 0", Codec::Jpeg), (SHARDS[1], "frame 1", Codec::Zstd), (SHARDS[2], "frame 1", Codec::Lz4)]
    {
        let whole = Shard::from_bytes(file, golden(file)).unwrap();
        let frame = usize::from(place == "frame 1");
        let info = whole.clip(0).unwrap().info(frame, 0).unwrap();
        assert_eq!(info.codec, codec);
        let mut bytes = golden(file);
        bytes[info.offset as usize + 7] ^= 1;
        let shard = Shard::from_bytes(file, bytes).unwrap();
        let clip = shard.clip(0).unwrap();
        let mut pixels = vec![0; info.shape.bytes()];
        for error in [
            clip.record(frame, 0).unwrap_err(),
            clip.decode(frame, 0, &mut Decoder::new().unwrap(), &mut pixels).unwrap_err(),
        ] {
            assert!(matches!(error, Error::Record { .. }), "{error}");
            assert!(error.to_string().contains(&format!("{place}, plane 0) is damaged: its checksum is")), "{error}");
        }
        let damage = check_shards(&[&shard], VerifyDepth::Deep, &|_| ()).damage.remove(0);
        assert_eq!(damage.iter().filter(|error| error.is_clip_damage()).count(), 1, "{damage:?}");
    }
}

#[test]
fn a_shard_in_memory_is_the_shard_in_the_file() {
    for file in SHARDS {
        let read = Shard::open_with(Path::new("tests/golden").join(file), Access::Read).unwrap();
        let memory = Shard::from_bytes(file, golden(file)).unwrap();
        assert_eq!((memory.path(), memory.info()), (Path::new(file), read.info()));
        assert_eq!((memory.spec(), memory.metadata().unwrap()), (read.spec(), read.metadata().unwrap()));
        for (here, there) in memory.clips().map(Result::unwrap).zip(read.clips().map(Result::unwrap)) {
            here.will_need(0..9);
            assert_eq!((here.id(), here.byte_range()), (there.id(), there.byte_range()));
            for (here, there) in here.frames().zip(there.frames()) {
                for plane in 0..memory.spec().planes.into() {
                    let [here, there] = [here, there].map(|frame| frame.record(plane).unwrap());
                    assert!(matches!(here.bytes, std::borrow::Cow::Borrowed(_)));
                    assert_eq!((here.bytes, here.shape), (there.bytes, there.shape));
                }
            }
        }
    }
    // A slice for the whole time of the program is not copied.
    let shard = Shard::from_bytes("static", BYTES).unwrap();
    let record = shard.clip(0).unwrap().record(0, 0).unwrap();
    assert_eq!(record.bytes.as_ptr(), BYTES[64..].as_ptr());
}

#[test]
fn bytes_in_memory_are_checked_like_those_of_a_file() {
    let error = |bytes: &[u8]| Shard::from_bytes("x.clipshard", bytes.to_vec()).unwrap_err();
    let whole = golden(SHARDS[0]);
    for bytes in [&b""[..], &whole[..7], b"not a shard, but a text"] {
        assert!(matches!(error(bytes), Error::NotAShard { path } if path == Path::new("x.clipshard")));
    }
    for end in [8, 127, 128, whole.len() - 1] {
        assert!(matches!(error(&whole[..end]), Error::Length { found, .. } if found == end as u64), "{end}");
    }
    let mut opened = 0;
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        let Ok(shard) = Shard::from_bytes("x.clipshard", bytes) else { continue };
        opened += 1;
        assert!(shard.metadata().is_ok());
        let damage = check_shards(&[&shard], VerifyDepth::Checksums, &|_| ()).damage.remove(0);
        assert_eq!(damage.len(), 1, "byte {at}");
    }
    assert!(opened > 500, "{opened}");
}

#[cfg(feature = "write")]
#[test]
fn an_encoder_of_an_absent_codec_is_refused() {
    use clipshard::{EncodeOptions, Encoder};
    for options in [EncodeOptions::zstd(9), EncodeOptions::lz4(9), EncodeOptions::raw()] {
        match Encoder::new(options) {
            Ok(_) => assert!(options.codec.is_compiled()),
            Err(Error::Usage(text)) => {
                let codec = options.codec;
                assert!(!codec.is_compiled());
                assert_eq!(
                    text,
                    format!(
                        "encoding needs codec {codec}, which this program was built without; \
                         build it with the Cargo feature {codec} of clipshard"
                    )
                );
            }
            Err(other) => panic!("{other}"),
        }
    }
}
