//! Helpers of the fuzz targets: input files in memory, and corrected checksums.
//!
//! Without corrected checksums, almost no input would pass the first check of a reader.

use clipshard::layout::{
    CLIP_ENTRY_BYTES, ClipEntry, END_MAGIC, HEADER_BYTES, Header, INDEX_ENTRY_BYTES, IndexEntry, MAGIC, TRAILER_BYTES,
    Trailer,
};
use std::path::PathBuf;
use tempfile::TempDir;
use zerocopy::{FromBytes, IntoBytes};

/// A temporary folder for input files, in memory if the system has `/dev/shm`.
pub struct Place(TempDir);

impl Place {
    /// Makes the folder. A target needs one folder for the whole run.
    pub fn new() -> Self {
        let memory = std::path::Path::new("/dev/shm");
        let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self(made.expect("cannot make a temporary folder"))
    }

    /// Writes an input to a file and returns the path.
    pub fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).expect("cannot write the input");
        path
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

/// Corrects the magic bytes, the file size and all checksums of a shard. Skips parts that are
/// outside the file.
pub fn reseal(bytes: &mut [u8]) {
    if bytes.len() < HEADER_BYTES + TRAILER_BYTES {
        return;
    }
    let length = bytes.len();
    let (mut header, _) = Header::read_from_prefix(bytes).expect("long enough");
    header.magic = MAGIC;
    header.crc32 = header.compute_crc32().into();
    bytes[..HEADER_BYTES].copy_from_slice(header.as_bytes());
    let (_, mut trailer) = Trailer::read_from_suffix(bytes).expect("long enough");
    trailer.end_magic = END_MAGIC;
    trailer.reserved = [0; 4];
    trailer.file_bytes = (length as u64).into();
    trailer.header_crc32 = header.crc32;
    let at = |value: u64| usize::try_from(value).ok().filter(|at| *at <= length);
    let index_at = at(trailer.index_offset.get());
    let end = |start: usize, count: u64, size: usize| {
        let end = (start as u64).saturating_add(count.saturating_mul(size as u64));
        at(end).filter(|end| *end <= length - TRAILER_BYTES)
    };
    let clips_at = index_at.and_then(|start| end(start, trailer.records.get(), INDEX_ENTRY_BYTES));
    let names_at = clips_at.and_then(|start| end(start, trailer.clips.get().into(), CLIP_ENTRY_BYTES));
    let metadata_at = names_at.and_then(|start| end(start, trailer.names_bytes.get().into(), 1));
    if let (Some(index_at), Some(clips_at), Some(names_at), Some(metadata_at)) =
        (index_at, clips_at, names_at, metadata_at)
    {
        for at in (index_at..clips_at).step_by(INDEX_ENTRY_BYTES) {
            let mut entry = IndexEntry::read_from_bytes(&bytes[at..at + INDEX_ENTRY_BYTES]).expect("its size");
            let start = entry.offset.get() as usize;
            if let Some(stored) = bytes.get(start..start.saturating_add(entry.stored_bytes.get() as usize)) {
                entry.crc32 = crc32fast::hash(stored).into();
                bytes[at..at + INDEX_ENTRY_BYTES].copy_from_slice(entry.as_bytes());
            }
        }
        for at in (clips_at..names_at).step_by(CLIP_ENTRY_BYTES) {
            let mut clip = ClipEntry::read_from_bytes(&bytes[at..at + CLIP_ENTRY_BYTES]).expect("its size");
            let first = (clip.first_record.get() as usize).saturating_mul(INDEX_ENTRY_BYTES).saturating_add(index_at);
            let entries = first..first.saturating_add(clip.records.get() as usize * INDEX_ENTRY_BYTES);
            if let Some(entries) = bytes[..clips_at].get(entries) {
                clip.index_crc32 = crc32fast::hash(entries).into();
                bytes[at..at + CLIP_ENTRY_BYTES].copy_from_slice(clip.as_bytes());
            }
        }
        trailer.clip_table_crc32 = crc32fast::hash(&bytes[clips_at..metadata_at]).into();
        trailer.metadata_crc32 = crc32fast::hash(&bytes[metadata_at..length - TRAILER_BYTES]).into();
    }
    trailer.crc32 = trailer.compute_crc32().into();
    bytes[length - TRAILER_BYTES..].copy_from_slice(trailer.as_bytes());
}

/// Returns a shard of one clip `a` with one record, with valid checksums.
///
/// `header` and `entry` have the fields that a target chooses. The others are set.
pub fn shard_of(header: &Header, entry: &IndexEntry, stored: &[u8]) -> Vec<u8> {
    let metadata = br#"{"dataset":"","classes":[],"splits":[],"build":{},"clips":[{"subsets":[]}]}"#;
    let mut bytes = [header.as_bytes(), stored].concat();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let mut entry = *entry;
    entry.offset = (HEADER_BYTES as u64).into();
    entry.stored_bytes = (stored.len() as u32).into();
    let mut clip = ClipEntry::read_from_bytes(&[0; CLIP_ENTRY_BYTES]).expect("its size");
    (clip.records, clip.name_bytes) = (1.into(), 1.into());
    let mut trailer = Trailer::read_from_bytes(&[0; TRAILER_BYTES]).expect("its size");
    trailer.index_offset = (bytes.len() as u64).into();
    (trailer.records, trailer.clips, trailer.names_bytes) = (1.into(), 1.into(), 1.into());
    trailer.metadata_bytes = (metadata.len() as u32).into();
    bytes.extend([entry.as_bytes(), clip.as_bytes(), b"a", metadata, trailer.as_bytes()].concat());
    reseal(&mut bytes);
    bytes
}

/// Returns a zip archive in the form of `torch.save`, with the given pickle and a storage `0` of 16
/// bytes.
pub fn archive(pickle: &[u8]) -> Vec<u8> {
    zip(&[("x/data.pkl", pickle), ("x/data/0", &[1; 16])])
}

/// Returns a zip archive of uncompressed files, with correct checksums.
pub fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for &(name, content) in files {
        let (offset, size) = (archive.len() as u32, content.len() as u32);
        // Version, flags, method, time, date.
        let mut head = [20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0].to_vec();
        head.extend([crc32fast::hash(content), size, size].map(u32::to_le_bytes).concat());
        head.extend([name.len() as u8, 0, 0, 0]);
        archive.extend([b"PK\x03\x04", head.as_slice(), name.as_bytes(), content].concat());
        let entry = [b"PK\x01\x02\x14\0", head.as_slice(), &[0; 10], &offset.to_le_bytes(), name.as_bytes()];
        directory.extend(entry.concat());
    }
    let (start, size, count) = (archive.len() as u32, directory.len() as u32, files.len() as u8);
    archive.extend(directory);
    archive.extend([b'P', b'K', 5, 6, 0, 0, 0, 0, count, 0, count, 0]);
    archive.extend([size, start].map(u32::to_le_bytes).concat());
    archive.extend([0; 2]);
    archive
}
