//! Tests of the hostile files in `attacks/`. Each must be refused with the error that
//! `attacks/README.md` lists.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod sample;

use clipshard::layout::Trailer;
use clipshard::{Codec, EncodedRecord, Filter, ImageSize, Manifest, ShardWriter, StreamSpec};
use sample::{Parts, record};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const SIZE: ImageSize = ImageSize { width: 3, height: 2, channels: 1 };

fn folder() -> PathBuf {
    "tests/attacks".into()
}

fn grey() -> StreamSpec {
    StreamSpec::new("grey", 1, 1)
}

fn shard_of(clips: &[(&str, Vec<EncodedRecord>)]) -> Parts {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.clipshard");
    let mut writer = ShardWriter::create(&path, &grey()).unwrap();
    for (id, records) in clips {
        writer.add_clip(id, records).unwrap();
    }
    let described = clipshard::ShardClip::new(0, Vec::new());
    let metadata = clipshard::ShardMetadata::default().with_clips(vec![described; clips.len()]);
    writer.finish(&metadata).unwrap();
    Parts::of(&path)
}

/// Builds a shard of clip `a` with two raw images and clip `b` with one.
fn parts() -> Parts {
    let image = |n: u8| record(Codec::Raw, Filter::None, SIZE, vec![n, 1, 2, 3, 4, 5]);
    shard_of(&[("a", vec![image(1), image(2)]), ("b", vec![image(3)])])
}

fn changed(change: impl FnOnce(&mut Parts)) -> Vec<u8> {
    let mut parts = parts();
    change(&mut parts);
    parts.seal(|_| ())
}

fn trailer(change: impl FnOnce(&mut Trailer)) -> Vec<u8> {
    parts().seal(change)
}

/// Builds a shard of one record with these stored bytes.
fn stored(codec: Codec, filter: Filter, bytes: &[u8]) -> Vec<u8> {
    shard_of(&[("a", vec![record(codec, filter, SIZE, bytes.to_vec())])]).seal(|_| ())
}

fn zstd(pixels: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(pixels, 1).unwrap()
}

fn manifest_text() -> String {
    let clip = |id| clipshard::Clip::new(id, 0, vec![clipshard::Subset::Train]).with_frames("grey", 1);
    let listed = r#"{"file":"grey-00000.clipshard","bytes":400,"clips":2,"records":2,"trailer_crc32":7}"#;
    let shard = serde_json::from_str(listed).unwrap();
    let mut manifest = Manifest::new("attack", vec!["Wave".into()], vec!["1".into()]);
    manifest.streams = vec![clipshard::Stream::new(grey(), vec![shard])];
    manifest.clips = vec![clip("a"), clip("b")];
    manifest.to_json()
}

/// Returns an object with arrays that are nested 20,000 deep.
fn nested() -> String {
    format!("{{\"x\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000))
}

/// Returns a manifest with a change and a valid checksum.
fn manifest(from: &str, to: &str) -> Vec<u8> {
    let text = manifest_text();
    assert!(text.contains(from), "{from}");
    reseal(&text.replacen(from, to, 1))
}

fn reseal(text: &str) -> Vec<u8> {
    let at = text.find("\"checksum\":\"crc32:").unwrap() + 18;
    let zeros = format!("{}00000000{}", &text[..at], &text[at + 8..]);
    let crc32 = crc32fast::hash(zeros.as_bytes());
    format!("{}{crc32:08x}{}", &text[..at], &text[at + 8..]).into_bytes()
}

/// Builds every file of the corpus.
fn corpus() -> BTreeMap<&'static str, Vec<u8>> {
    let whole = changed(|_| ());
    let text_mode = |bytes: &[u8]| {
        let text: Vec<u8> = bytes.iter().copied().filter(|&b| b != b'\r').collect();
        text
    };
    let huge_jpeg = {
        // A frame header that claims 65,500 x 65,500 pixels.
        let mut bytes = sample::JPEG.to_vec();
        let at = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        bytes[at + 5..at + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
        bytes
    };
    let mut no_size = zstd(&[9; 6]);
    // Changes the frame header descriptor to a window without a content size (RFC 8878, 3.1.1.1).
    no_size.splice(4..6, [0, 0]);
    let quick: [(&str, Vec<u8>); 44] = [
        ("mark-text-mode.clipshard", text_mode(&whole)),
        ("mark-other.clipshard", [b"PK\x03\x04", &whole[4..]].concat()),
        ("cut.clipshard", whole[..whole.len() - 40].to_vec()),
        ("appended.clipshard", [&whole[..], b"tail"].concat()),
        ("version-2.clipshard", changed(|p| p.header.major = 2.into())),
        ("required-feature.clipshard", changed(|p| p.header.required_features = 4.into())),
        ("stream-path.clipshard", changed(|p| p.header.stream = *b"../../etc/passwd")),
        ("planes-0.clipshard", changed(|p| p.header.planes = 0)),
        ("channels-200.clipshard", changed(|p| p.header.channels = 200)),
        ("trailer-of-another-header.clipshard", trailer(|t| t.header_crc32 = 1.into())),
        ("trailer-reserved.clipshard", trailer(|t| t.reserved = [1; 4])),
        ("file-bytes-lie.clipshard", trailer(|t| t.file_bytes = (1 << 40).into())),
        ("records-wrap-64-bits.clipshard", trailer(|t| t.records = (t.records.get() + (1 << 59)).into())),
        ("records-2-to-63.clipshard", trailer(|t| t.records = (1 << 63).into())),
        ("clips-4-billion.clipshard", trailer(|t| t.clips = u32::MAX.into())),
        ("names-4-gigabytes.clipshard", trailer(|t| t.names_bytes = u32::MAX.into())),
        ("metadata-4-gigabytes.clipshard", trailer(|t| t.metadata_bytes = u32::MAX.into())),
        (
            "index-in-header.clipshard",
            trailer(|t| {
                t.metadata_bytes = (t.metadata_bytes.get() + t.index_offset.get() as u32 - 56).into();
                t.index_offset = 56.into();
            }),
        ),
        ("clips-overlap.clipshard", changed(|p| p.clips[1].first_record = 1.into())),
        ("clip-without-records.clipshard", changed(|p| p.clips[0].records = 0.into())),
        ("clip-beyond-index.clipshard", changed(|p| p.clips[1].records = u32::MAX.into())),
        ("id-beyond-names.clipshard", changed(|p| p.clips[1].name_bytes = u16::MAX.into())),
        ("id-no-utf-8.clipshard", changed(|p| p.names[0] = 0xff)),
        ("metadata-no-json.clipshard", changed(|p| p.metadata = b"\0\0\0\0".to_vec())),
        ("metadata-nested.clipshard", changed(|p| p.metadata = format!("{{\"build\":{}}}", nested()).into_bytes())),
        ("padding.clipshard", changed(|p| *p.records.last_mut().unwrap() = 1)),
        ("records-overlap.clipshard", changed(|p| p.index[1].offset = p.index[0].offset)),
        ("record-in-header.clipshard", changed(|p| p.index[0].offset = 0.into())),
        ("record-offset-wraps.clipshard", changed(|p| p.index[1].offset = (u64::MAX - 2).into())),
        ("record-of-another-clip.clipshard", changed(|p| p.index[0].clip = 1.into())),
        (
            "image-12-gigabytes.clipshard",
            changed(|p| (p.index[0].width, p.index[0].height) = (u16::MAX.into(), u16::MAX.into())),
        ),
        ("image-without-pixels.clipshard", changed(|p| p.index[0].width = 0.into())),
        ("raw-of-another-size.clipshard", changed(|p| p.index[0].height = 3.into())),
        ("codec-unknown.clipshard", changed(|p| p.index[0].codec = 9)),
        ("filter-unknown.clipshard", changed(|p| p.index[0].filter = 9)),
        ("filter-of-raw.clipshard", changed(|p| p.index[0].filter = 1)),
        ("zstd-bomb.clipshard", stored(Codec::Zstd, Filter::None, &zstd(&vec![0; 1 << 24]))),
        ("zstd-without-size.clipshard", stored(Codec::Zstd, Filter::None, &no_size)),
        ("zstd-two-frames.clipshard", stored(Codec::Zstd, Filter::None, &[zstd(&[1; 6]), zstd(&[1; 6])].concat())),
        (
            "lz4-bomb.clipshard",
            stored(Codec::Lz4, Filter::None, &[[0x1f, 7, 1, 0].as_slice(), &[255; 200], &[0]].concat()),
        ),
        ("lz4-before-start.clipshard", stored(Codec::Lz4, Filter::None, &[0x10, 7, 9, 0, 0x10, 1])),
        ("jpeg-65500.clipshard", stored(Codec::Jpeg, Filter::None, &huge_jpeg)),
        ("jpeg-is-a-gif.clipshard", stored(Codec::Jpeg, Filter::None, b"GIF89a\x03\0\x02\0")),
        ("checksum-of-a-record.clipshard", changed(|p| p.records[0] ^= 1)),
    ];
    let mut files = BTreeMap::from(quick);
    let text = manifest_text();
    files.extend([
        ("manifest-version-2.json", manifest("\"clipshard\":\"1.0\"", "\"clipshard\":\"2.0\"")),
        ("manifest-required-feature.json", manifest("\"required_features\":[]", "\"required_features\":[\"gpu\"]")),
        ("manifest-edited.json", text.replacen("Wave", "Dive", 1).into_bytes()),
        ("manifest-path.json", manifest("grey-00000.clipshard", "../../../etc/shadow")),
        ("manifest-path-windows.json", manifest("grey-00000.clipshard", "C:\\\\boot.ini")),
        ("manifest-stream-path.json", manifest("\"name\":\"grey\"", "\"name\":\"../grey\"")),
        ("manifest-clip-twice.json", manifest("\"id\":\"b\"", "\"id\":\"a\"")),
        ("manifest-label.json", manifest("\"label\":0", "\"label\":4294967295")),
        ("manifest-subsets.json", manifest("\"subsets\":[\"train\"]", "\"subsets\":[]")),
        ("manifest-other-stream.json", manifest("{\"grey\":1}", "{\"depth\":1}")),
        ("manifest-group.json", manifest("\"clips\":[", "\"groups\":{\"c\":\"7\"},\"clips\":[")),
        ("manifest-nested.json", manifest("\"build\":{}", &format!("\"build\":{}", nested()))),
        ("manifest-number.json", manifest("\"records\":2", "\"records\":1e400")),
        ("manifest-empty.json", Vec::new()),
    ]);
    files
}

/// Reads the table of the README: the expected error by file.
fn table() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let (_, rows) = text.split_once("|---|---|---|\n").unwrap();
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, file, tries, error, _] = cells[..] else { panic!("{line}") };
        assert!(tries.len() > 10, "{line}");
        (file.trim_matches('`').to_owned(), error.to_owned())
    };
    rows.lines().take_while(|line| line.starts_with('|')).map(row).collect()
}

/// Returns the first error of reading a file.
fn error_of(path: &Path) -> String {
    if path.extension().is_some_and(|ending| ending == "json") {
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(path, dir.path().join("manifest.json")).unwrap();
        return Manifest::read(dir.path()).expect_err(&path.display().to_string()).to_string();
    }
    sample::first_error(path).unwrap_or_else(|| panic!("{} is not refused", path.display())).to_string()
}

#[test]
fn every_hostile_file_is_refused_with_its_error() {
    let table = table();
    for (file, expected) in &table {
        let error = error_of(&folder().join(file));
        assert!(error.contains(expected), "{file}: expected {expected:?} in: {error}");
    }
}

#[test]
fn the_corpus_is_what_its_source_says() {
    let corpus = corpus();
    if std::env::var_os("UPDATE_ATTACKS").is_some() {
        for (file, bytes) in &corpus {
            std::fs::write(folder().join(file), bytes).unwrap();
        }
    }
    for (file, bytes) in &corpus {
        // Other versions of zstd may give other bytes.
        if !file.starts_with("zstd") {
            assert!(std::fs::read(folder().join(file)).unwrap() == *bytes, "{file} differs");
        }
    }
    let named: Vec<_> = table().into_keys().collect();
    assert_eq!(named, corpus.into_keys().collect::<Vec<_>>());
}
