//! Tests that damage never gives wrong pixels: every bit is flipped in turn, and files are cut to
//! every length.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod sample;

use clipshard::layout::{CLIP_ENTRY_BYTES, HEADER_BYTES, INDEX_ENTRY_BYTES, Trailer};
use clipshard::{Error, Manifest, Shard};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use zerocopy::FromBytes;

const SHARDS: [&str; 3] = ["rgb-00000.clipshard", "flow-00000.clipshard", "flow-00001.clipshard"];

/// The positions of the parts of a shard.
struct Map {
    /// For each record its clip, and the start and end of its bytes.
    records: Vec<(usize, usize, usize)>,
    index_at: usize,
    clips_at: usize,
}

impl Map {
    fn of(path: &Path) -> Self {
        let shard = Shard::open(path).unwrap();
        let bytes = std::fs::read(path).unwrap();
        let (_, trailer) = Trailer::read_from_suffix(&bytes).unwrap();
        let index_at = trailer.index_offset.get() as usize;
        let (mut records, mut at) = (Vec::new(), HEADER_BYTES);
        for (clip, of_clip) in shard.clips().enumerate() {
            let of_clip = of_clip.unwrap();
            for i in 0..of_clip.frame_count() * of_clip.planes() {
                let info = of_clip.info(i / of_clip.planes(), i % of_clip.planes()).unwrap();
                assert_eq!(info.offset, at as u64);
                let end = at + info.stored_bytes as usize;
                records.push((clip, at, end));
                at = end;
            }
        }
        Self { clips_at: index_at + records.len() * INDEX_ENTRY_BYTES, index_at, records }
    }

    fn record_at(&self, at: usize) -> Option<usize> {
        self.records.iter().position(|&(_, start, end)| (start..end).contains(&at))
    }
}

/// Copies `source` to `path` and calls `check` (number of the bit, number of its byte) with each
/// bit flipped in turn.
fn for_each_flipped_bit(source: &Path, path: &Path, mut check: impl FnMut(usize, usize)) {
    let bytes = std::fs::read(source).unwrap();
    std::fs::write(path, &bytes).unwrap();
    // Only one byte is written per bit, because replacing the file would take much longer.
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    let mut put = |at: usize, byte: u8| {
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(&[byte]).unwrap();
    };
    for bit in 0..bytes.len() * 8 {
        let at = bit / 8;
        put(at, bytes[at] ^ (1 << (bit % 8)));
        check(bit, at);
        put(at, bytes[at]);
    }
}

fn flip_every_bit(file: &str) {
    let source = sample::golden().join(file);
    let map = Map::of(&source);
    let whole: Vec<_> = sample::read_all(&source).unwrap().into_iter().map(Result::unwrap).collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(file);
    for_each_flipped_bit(&source, &path, |bit, at| {
        let images = match sample::read_all(&path) {
            Ok(images) => images,
            Err(error) => {
                assert!(error.to_string().contains(file), "bit {bit}: {error}");
                assert!(map.record_at(at).is_none(), "bit {bit} of a record keeps the shard from opening: {error}");
                return;
            }
        };
        // The shard opens, so the bit belongs to a record or to the index of a clip. That record or
        // clip must fail, and all others must be intact.
        let record = map.record_at(at);
        let index = (map.index_at..map.clips_at).contains(&at).then(|| (at - map.index_at) / INDEX_ENTRY_BYTES);
        let clip = map.records[record.or(index).expect("a bit that neither opening nor reading misses")].0;
        for (number, (image, right)) in images.iter().zip(&whole).enumerate() {
            match image {
                Ok(pixels) => {
                    let harmed = Some(number) == record || (index.is_some() && map.records[number].0 == clip);
                    assert!(!harmed && pixels == right, "bit {bit} gives pixels of record {number}");
                }
                Err(Error::Record { path: named, record: stated, .. }) => {
                    assert_eq!((named.as_path(), Some(number), *stated), (path.as_path(), record, number as u64));
                }
                Err(Error::ClipIndex { path: named, first, last, .. }) => {
                    assert!(*named == path && index.is_some(), "bit {bit}");
                    assert!(map.records[number].0 == clip && (*first..=*last).contains(&(number as u64)), "bit {bit}");
                }
                Err(error) => panic!("bit {bit}: {error}"),
            }
        }
    });
}

#[test]
fn every_flipped_bit_of_an_rgb_shard_is_an_error_and_never_wrong_pixels() {
    flip_every_bit(SHARDS[0]);
}

#[test]
fn every_flipped_bit_of_a_flow_shard_is_an_error_and_never_wrong_pixels() {
    flip_every_bit(SHARDS[1]);
    flip_every_bit(SHARDS[2]);
}

#[test]
fn a_damaged_record_is_named_by_shard_clip_stream_frame_and_number() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flow-00000.clipshard");
    let mut bytes = std::fs::read(sample::golden().join("flow-00000.clipshard")).unwrap();
    bytes[Map::of(&sample::golden().join("flow-00000.clipshard")).records[3].1] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let message = sample::first_error(&path).unwrap().to_string();
    let place = "flow-00000.clipshard: record 3 (clip v_Wave_g01_c01, stream flow, frame 1, plane 1) is damaged: ";
    assert!(message.contains(place), "{message}");
}

#[test]
fn a_shard_cut_at_any_length_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    for file in SHARDS {
        let path = dir.path().join(file);
        let bytes = std::fs::read(sample::golden().join(file)).unwrap();
        for length in 0..bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            match Shard::open(&path).map(|_| ()) {
                Err(Error::NotAShard { path: named }) => assert!(length < 8 && named == path, "{length}"),
                Err(Error::Length { path: named, found, .. }) => assert!(named == path && found == length as u64),
                other => panic!("{length} of {} bytes: {other:?}", bytes.len()),
            }
        }
    }
}

#[test]
fn a_shard_with_bytes_after_its_end_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long.clipshard");
    let bytes = std::fs::read(sample::golden().join(SHARDS[0])).unwrap();
    for extra in [1, 8, CLIP_ENTRY_BYTES, bytes.len()] {
        std::fs::write(&path, [&bytes[..], &bytes[..extra]].concat()).unwrap();
        assert!(matches!(Shard::open(&path), Err(Error::Length { .. })), "{extra} more bytes");
    }
}

#[test]
fn foreign_and_empty_files_are_not_shards() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.clipshard");
    let text_mode_copy = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace("\r\n", "\n").into_bytes();
    let shard = std::fs::read(sample::golden().join(SHARDS[0])).unwrap();
    for bytes in [Vec::new(), vec![0x89], sample::JPEG.to_vec(), vec![0; 4096], text_mode_copy(shard)] {
        std::fs::write(&path, &bytes).unwrap();
        let error = Shard::open(&path).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::NotAShard { .. }) && error.to_string().contains("other.clipshard"), "{error}");
    }
}

#[test]
fn a_missing_file_and_a_folder_are_errors_of_the_system() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path(), &dir.path().join("none.clipshard")] {
        assert!(matches!(Shard::open(path), Err(Error::Io { .. })), "{}", path.display());
    }
}

#[test]
fn every_flipped_bit_of_a_manifest_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let [source, path] = [&sample::golden(), dir.path()].map(|dir| dir.join(clipshard::MANIFEST_FILE));
    for_each_flipped_bit(&source, &path, |bit, _| {
        let error = Manifest::read(dir.path()).expect_err(&format!("bit {bit}"));
        assert!(error.to_string().contains(clipshard::MANIFEST_FILE), "bit {bit}: {error}");
    });
}
