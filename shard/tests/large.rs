//! Tests a shard of more than 4 GiB, which is almost all a hole in the file. On a system of 32 bits
//! it cannot be mapped, but it can be read.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use clipshard::layout::{
    ClipEntry, END_MAGIC, HEADER_BYTES, Header, IndexEntry, MAGIC, Trailer, VERSION_MAJOR, VERSION_MINOR,
};
use clipshard::{Access, Codec, Decoder, Error, Shard};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use zerocopy::{FromZeros, IntoBytes};

/// Number of records of almost 256 MiB, which are never written.
const HOLES: u32 = 20;
const LAST: [u8; 6] = [3, 1, 4, 1, 5, 9];

/// Writes a shard with one clip: [`HOLES`] large frames, then one of 3 x 2 pixels.
fn write(path: &Path) -> u64 {
    let mut header = Header::new_zeroed();
    (header.magic, header.major, header.minor) = (MAGIC, VERSION_MAJOR.into(), VERSION_MINOR.into());
    header.stream[..4].copy_from_slice(b"grey");
    (header.planes, header.channels) = (1, 1);
    header.crc32 = header.compute_crc32().into();

    let mut index = Vec::new();
    let mut offset = HEADER_BYTES as u64;
    for position in 0..=HOLES {
        let is_last = position == HOLES;
        let mut entry = IndexEntry::new_zeroed();
        let (width, height) = if is_last { (3, 2) } else { (65_535, 4_096) };
        (entry.width, entry.height, entry.channels) = (u16::into(width), u16::into(height), 1);
        entry.offset = offset.into();
        entry.stored_bytes = (u32::from(width) * u32::from(height)).into();
        entry.crc32 = if is_last { crc32fast::hash(&LAST) } else { 0 }.into();
        entry.position = position.into();
        offset += u64::from(entry.stored_bytes.get());
        index.push(entry);
    }
    let mut clip = ClipEntry::new_zeroed();
    clip.records = (HOLES + 1).into();
    clip.index_crc32 = crc32fast::hash(index.as_bytes()).into();
    clip.name_bytes = 1.into();
    let table = [clip.as_bytes(), b"c"].concat();
    let metadata = br#"{"dataset":"","classes":[],"splits":[],"build":{},"clips":[{"subsets":[]}]}"#;

    let mut trailer = Trailer::new_zeroed();
    let index_offset = offset.next_multiple_of(8);
    let tail = [index.as_bytes(), &table, metadata].concat();
    trailer.file_bytes = (index_offset + tail.len() as u64 + 64).into();
    trailer.index_offset = index_offset.into();
    trailer.records = u64::from(HOLES + 1).into();
    trailer.clips = 1.into();
    trailer.names_bytes = 1.into();
    trailer.metadata_bytes = (metadata.len() as u32).into();
    trailer.clip_table_crc32 = crc32fast::hash(&table).into();
    trailer.metadata_crc32 = crc32fast::hash(metadata).into();
    trailer.header_crc32 = header.crc32;
    trailer.end_magic = END_MAGIC;
    trailer.crc32 = trailer.compute_crc32().into();

    let file = File::create(path).unwrap();
    file.write_all_at(header.as_bytes(), 0).unwrap();
    file.write_all_at(&LAST, offset - LAST.len() as u64).unwrap();
    file.write_all_at(&[&tail, trailer.as_bytes()].concat(), index_offset).unwrap();
    trailer.file_bytes.get()
}

#[track_caller]
fn assert_last_record(shard: &Shard, length: u64) {
    assert!(length > 4 << 30 && shard.file_bytes() == length);
    let clip = shard.clip(0).unwrap();
    let info = clip.info(HOLES as usize, 0).unwrap();
    assert_eq!((info.offset, info.codec), (64 + u64::from(HOLES) * 65_535 * 4_096, Codec::Raw));
    let mut pixels = [0; 6];
    clip.decode(HOLES as usize, 0, &mut Decoder::new().unwrap(), &mut pixels).unwrap();
    assert_eq!(pixels, LAST);
    assert_eq!(clip.record(HOLES as usize, 0).unwrap().bytes, &LAST[..]);
    clip.will_need(0..100);
    let error = clip.decode_stack(0, HOLES as usize, &mut Decoder::new().unwrap(), &mut pixels).unwrap_err();
    assert!(error.to_string().contains("a buffer of 6 bytes does not fit 20 frames"), "{error}");
}

#[test]
fn a_shard_of_more_than_4_gib_is_read_on_each_system_and_mapped_on_64_bits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("grey-00000.clipshard");
    let length = write(&path);
    assert_last_record(&Shard::open_with(&path, Access::Read).unwrap(), length);
    match Shard::open(&path) {
        Ok(shard) => {
            assert_eq!(size_of::<usize>(), 8);
            assert_last_record(&shard, length);
        }
        Err(Error::Map { path: named, reason }) => {
            assert_eq!(size_of::<usize>(), 4);
            assert_eq!(named, path);
            let expected = format!("it has {length} bytes, more than this program can address; use Access::Read");
            assert_eq!(reason.to_string(), expected);
        }
        Err(other) => panic!("{other}"),
    }
}
