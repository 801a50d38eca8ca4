//! An open shard file with the parts that are checked on opening: header, trailer, clip table,
//! names and metadata.

use crate::contents::{Access, Contents};
use crate::error::{Error, Result, ShardPart};
use crate::layout::{
    CLIP_ENTRY_BYTES, ClipEntry, END_MAGIC, HEADER_BYTES, Header, INDEX_ALIGN, INDEX_ENTRY_BYTES, IndexEntry, MAGIC,
    TRAILER_BYTES, Trailer, VERSION_MAJOR,
};
use crate::manifest::StreamSpec;
use crate::regular::open_regular;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use zerocopy::FromBytes;

/// A file whose header, trailer, clip table and metadata match their checksums. The index is not
/// checked.
pub(crate) struct ShardFile {
    pub path: PathBuf,
    pub contents: Contents,
    pub spec: StreamSpec,
    pub trailer: Trailer,
    /// Offset of the index.
    pub index_at: u64,
    /// Offset of the clip table.
    clips_at: u64,
    /// Offset of the names.
    names_at: u64,
}

impl ShardFile {
    /// Opens a file and reads only its header, clip table, metadata and trailer.
    pub fn open(path: &Path, access: Access) -> Result<Self> {
        let file = open_regular(path).map_err(Error::io(path, "open it"))?;
        let length = file.metadata().map_err(Error::io(path, "read its size"))?.len();
        let mut start = [0; MAGIC.len()];
        if length >= start.len() as u64 {
            std::io::Read::read_exact(&mut &file, &mut start).map_err(Error::io(path, "read it"))?;
        }
        check_start(path, start, length)?;
        let contents = Contents::new(file, length, access).map_err(|reason| match access {
            Access::Map => Error::Map { path: path.to_owned(), reason },
            Access::Read => Error::io(path, "read it")(reason),
        })?;
        Self::check(path.to_owned(), contents)
    }

    /// Opens a shard that is in memory.
    pub fn from_bytes(path: &Path, bytes: Cow<'static, [u8]>) -> Result<Self> {
        check_start(path, bytes.first_chunk().copied().unwrap_or_default(), bytes.len() as u64)?;
        Self::check(path.to_owned(), Contents::Bytes(bytes))
    }

    /// Checks header, trailer, clip table and metadata.
    fn check(path: PathBuf, mut contents: Contents) -> Result<Self> {
        let damaged = |part, fault: &str| Error::Damaged { path: path.clone(), part, fault: fault.into() };
        let header = read::<Header>(contents.header());
        if header.crc32.get() != header.compute_crc32() {
            return Err(damaged(ShardPart::Header, "its checksum does not match"));
        }
        if header.major.get() != VERSION_MAJOR {
            let (major, minor) = (header.major.get(), header.minor.get());
            return Err(Error::Version { path, major, minor });
        }
        if header.required_features.get() != 0 {
            return Err(Error::Feature { path, unknown: format!("{:#x}", header.required_features.get()) });
        }
        let name_bytes = header.stream.iter().position(|&b| b == 0).unwrap_or(header.stream.len());
        let name = String::from_utf8_lossy(&header.stream[..name_bytes]);
        let spec = header.spec(&name).map_err(|fault| damaged(ShardPart::Header, &fault))?;
        if header.stream[name_bytes..].iter().any(|&b| b != 0) {
            return Err(damaged(ShardPart::Header, "the name of its stream is not padded with zeros"));
        }

        let length = contents.len();
        let trailer = read::<Trailer>(contents.trailer());
        if trailer.end_magic != END_MAGIC {
            let expected = "the end mark is missing".to_owned();
            return Err(Error::Length { path, expected, found: length });
        }
        if trailer.crc32.get() != trailer.compute_crc32() {
            return Err(damaged(ShardPart::Trailer, "its checksum does not match"));
        }
        if trailer.reserved != [0; 4] {
            return Err(damaged(ShardPart::Trailer, "its reserved bytes, which no checksum covers, are not zero"));
        }
        if trailer.file_bytes.get() != length {
            let expected = format!("its trailer states {}", trailer.file_bytes);
            return Err(Error::Length { path, expected, found: length });
        }
        if trailer.header_crc32 != header.crc32 {
            return Err(damaged(ShardPart::Trailer, "it belongs to another header"));
        }
        // All sizes come from the file, so the sum is computed in 128 bits, where it cannot
        // overflow. It must be exactly the size of the file.
        let (records, clips) = (trailer.records.get(), u64::from(trailer.clips.get()));
        let tail = u128::from(records) * INDEX_ENTRY_BYTES as u128
            + u128::from(clips) * CLIP_ENTRY_BYTES as u128
            + u128::from(trailer.names_bytes.get())
            + u128::from(trailer.metadata_bytes.get())
            + TRAILER_BYTES as u128;
        let index_offset = trailer.index_offset.get();
        if u128::from(index_offset) + tail != u128::from(length) {
            return Err(damaged(ShardPart::Trailer, "its sizes do not add up to the size of the file"));
        }
        if index_offset < HEADER_BYTES as u64 || !index_offset.is_multiple_of(INDEX_ALIGN) {
            return Err(damaged(ShardPart::Trailer, "the index starts inside the header, or not at a multiple of 8"));
        }
        if clips == 0 || records < clips {
            return Err(damaged(ShardPart::Trailer, "it states no clips, or fewer records than clips"));
        }
        // The sum above is the size of the file, so these parts of it do not overflow.
        let index_at = index_offset;
        let clips_at = index_at + records * INDEX_ENTRY_BYTES as u64;
        let names_at = clips_at + clips * CLIP_ENTRY_BYTES as u64;
        let metadata_at = names_at + u64::from(trailer.names_bytes.get());
        // The tail begins with the padding before the index, which is checked too.
        let tail_at = (index_at - INDEX_ALIGN).max(HEADER_BYTES as u64);
        contents.load_tail(tail_at).map_err(Error::io(&path, "read its index"))?;
        if crc32fast::hash(contents.tail(clips_at..metadata_at)) != trailer.clip_table_crc32.get() {
            return Err(damaged(ShardPart::ClipTable, "its checksum does not match"));
        }
        if crc32fast::hash(contents.tail(metadata_at..length - TRAILER_BYTES as u64)) != trailer.metadata_crc32.get() {
            return Err(damaged(ShardPart::Metadata, "its checksum does not match"));
        }
        let shard = Self { path, contents, spec, trailer, index_at, clips_at, names_at };
        shard.check_clip_table()?;
        Ok(shard)
    }

    /// Checks that clips and names follow each other without holes, and that the clips cover the
    /// index.
    fn check_clip_table(&self) -> Result<()> {
        let damaged = |fault: String| Error::Damaged { path: self.path.clone(), part: ShardPart::ClipTable, fault };
        let (mut record, mut name) = (0_u64, 0_u64);
        for (i, clip) in self.clip_table().iter().enumerate() {
            let records = u64::from(clip.records.get());
            if clip.first_record.get() != record || u64::from(clip.name_offset.get()) != name {
                return Err(damaged(format!("clip {i} does not follow the clip before it")));
            }
            if records == 0 || records % u64::from(self.spec.planes) != 0 {
                let planes = self.spec.planes;
                return Err(damaged(format!("clip {i} has {records} records, not one or more frames of {planes}")));
            }
            record += records;
            name += u64::from(clip.name_bytes.get());
        }
        if record != self.trailer.records.get() || name != u64::from(self.trailer.names_bytes.get()) {
            return Err(damaged("its clips do not cover the index and the names".into()));
        }
        for clip in 0..self.clips() {
            if std::str::from_utf8(self.name(clip)).map_or(true, str::is_empty) {
                return Err(damaged(format!("the id of clip {clip} is empty or not UTF-8")));
            }
        }
        Ok(())
    }

    /// Returns the number of clips.
    pub fn clips(&self) -> usize {
        self.trailer.clips.get() as usize
    }

    /// Returns the id of a clip. Panics if there is no such clip.
    pub fn clip_id(&self, clip: usize) -> &str {
        std::str::from_utf8(self.name(clip)).expect("checked when opened")
    }

    fn name(&self, clip: usize) -> &[u8] {
        let entry = &self.clip_table()[clip];
        let at = self.names_at + u64::from(entry.name_offset.get());
        self.contents.tail(at..at + u64::from(entry.name_bytes.get()))
    }

    /// Returns the JSON text of the metadata.
    pub fn metadata(&self) -> &[u8] {
        let at = self.names_at + u64::from(self.trailer.names_bytes.get());
        self.contents.tail(at..self.contents.len() - TRAILER_BYTES as u64)
    }

    /// Returns one entry per clip.
    pub fn clip_table(&self) -> &[ClipEntry] {
        <[ClipEntry]>::ref_from_bytes(self.contents.tail(self.clips_at..self.names_at))
            .expect("sizes checked when opened")
    }

    /// Returns one entry per record.
    pub fn index(&self) -> &[IndexEntry] {
        <[IndexEntry]>::ref_from_bytes(self.contents.tail(self.index_at..self.clips_at))
            .expect("sizes checked when opened")
    }

    /// Returns the index entries of a clip. Panics if there is no such clip.
    pub fn index_of(&self, clip: usize) -> &[IndexEntry] {
        let entry = &self.clip_table()[clip];
        let first = entry.first_record.get() as usize;
        &self.index()[first..first + entry.records.get() as usize]
    }
}

/// Checks the first bytes of a file and that its length is enough for a header and a trailer.
fn check_start(path: &Path, start: [u8; MAGIC.len()], length: u64) -> Result<()> {
    if start != MAGIC {
        return Err(Error::NotAShard { path: path.to_owned() });
    }
    if length < (HEADER_BYTES + TRAILER_BYTES) as u64 {
        let expected = "header and trailer alone have 128".into();
        return Err(Error::Length { path: path.to_owned(), expected, found: length });
    }
    Ok(())
}

/// Reads a structure from exactly its bytes.
fn read<T: FromBytes>(bytes: &[u8]) -> T {
    T::read_from_bytes(bytes).expect("the slice has the structure's size")
}
