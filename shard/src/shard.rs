//! Reads a shard from a read-only memory map. Opening checks the small parts; a clip's index is checked when the clip is
//! first touched, a record's bytes each time before they are decoded. Each step has its own type, so that unchecked bytes
//! cannot be decoded.

use crate::clip_records::ClipRecords;
use crate::codec::{Codec, Filter, ImageSize};
use crate::contents::{Access, Contents};
use crate::error::{Error, Result};
use crate::layout::{
    CLIP_ENTRY_BYTES, ClipEntry, END_MAGIC, HEADER_BYTES, Header, INDEX_ALIGN, INDEX_ENTRY_BYTES, IndexEntry, MAGIC,
    TRAILER_BYTES, Trailer, VERSION_MAJOR,
};
use crate::manifest::{ShardInfo, StreamSpec, check_groups};
use crate::regular::open_regular;
use crate::writer::ShardMetadata;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use zerocopy::{FromBytes, IntoBytes};

/// An open shard: header, trailer, clip table and metadata are as their checksums say.
pub struct Shard {
    path: PathBuf,
    contents: Contents,
    spec: StreamSpec,
    trailer: Trailer,
    /// Where the index, the clip table and the names start.
    index_at: usize,
    clips_at: usize,
    names_at: usize,
    /// Clips whose index was checked already.
    checked: Box<[AtomicBool]>,
}

impl Shard {
    /// Opens a shard. Nothing is read but its header, clip table, metadata and trailer.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, Access::Map)
    }

    /// Opens a shard to be read in this way.
    pub fn open_with(path: &Path, access: Access) -> Result<Self> {
        let file = open_regular(path).map_err(Error::io(path, "open it"))?;
        let length = file.metadata().map_err(Error::io(path, "read its size"))?.len();
        let mut start = [0; MAGIC.len()];
        if length >= start.len() as u64 {
            std::io::Read::read_exact(&mut &file, &mut start).map_err(Error::io(path, "read it"))?;
        }
        if start != MAGIC {
            return Err(Error::NotAShard { path: path.to_owned() });
        }
        let short = |expected: &str| Error::Length { path: path.to_owned(), expected: expected.into(), found: length };
        if length < (HEADER_BYTES + TRAILER_BYTES) as u64 {
            return Err(short("a header and a trailer take 128"));
        }
        let what = match access {
            Access::Map => "map it into memory (--io pread reads without a map)",
            Access::Read => "read it",
        };
        let contents = Contents::new(file, length as usize, access).map_err(Error::io(path, what))?;
        Self::check(path.to_owned(), contents)
    }

    fn check(path: PathBuf, mut contents: Contents) -> Result<Self> {
        let damaged = |part, fault: &str| Error::Damaged { path: path.clone(), part, fault: fault.into() };
        let header = read::<Header>(contents.header());
        if header.crc32.get() != header.compute_crc32() {
            return Err(damaged("header", "its checksum does not fit"));
        }
        if header.major.get() != VERSION_MAJOR {
            let (major, minor) = (header.major.get(), header.minor.get());
            return Err(Error::Version { path, major, minor });
        }
        if header.required_features.get() != 0 {
            return Err(Error::Feature { path, unknown: format!("{:#x}", header.required_features.get()) });
        }
        let name_bytes = header.stream.iter().position(|&b| b == 0).unwrap_or(header.stream.len());
        let spec = StreamSpec {
            name: String::from_utf8_lossy(&header.stream[..name_bytes]).into_owned(),
            planes: header.planes,
            channels: header.channels,
        };
        spec.check().map_err(|fault| damaged("header", &fault))?;
        if header.stream[name_bytes..].iter().any(|&b| b != 0) {
            return Err(damaged("header", "its stream name is not padded with zeros"));
        }

        let length = contents.len() as u64;
        let trailer = read::<Trailer>(contents.trailer());
        if trailer.end_magic != END_MAGIC {
            let expected = "the end mark is missing".into();
            return Err(Error::Length { path, expected, found: length });
        }
        if trailer.crc32.get() != trailer.compute_crc32() {
            return Err(damaged("trailer", "its checksum does not fit"));
        }
        if trailer.reserved != [0; 4] {
            return Err(damaged("trailer", "its reserved bytes, which no checksum covers, are not zero"));
        }
        if trailer.file_bytes.get() != length {
            let expected = format!("{} are stated", trailer.file_bytes);
            return Err(Error::Length { path, expected, found: length });
        }
        if trailer.header_crc32 != header.crc32 {
            return Err(damaged("trailer", "it belongs to another header"));
        }
        // All sizes come from the file: the sum is made where it cannot overflow, and must be the file's size exactly.
        let (records, clips) = (trailer.records.get(), u64::from(trailer.clips.get()));
        let tail = u128::from(records) * INDEX_ENTRY_BYTES as u128
            + u128::from(clips) * CLIP_ENTRY_BYTES as u128
            + u128::from(trailer.names_bytes.get())
            + u128::from(trailer.metadata_bytes.get())
            + TRAILER_BYTES as u128;
        let index_offset = trailer.index_offset.get();
        if u128::from(index_offset) + tail != u128::from(length) {
            return Err(damaged("trailer", "its sizes do not add up to the file's"));
        }
        if index_offset < HEADER_BYTES as u64 || !index_offset.is_multiple_of(INDEX_ALIGN) {
            return Err(damaged("trailer", "its index starts inside the header or not at a multiple of 8"));
        }
        if clips == 0 || records < clips {
            return Err(damaged("trailer", "it has no clips, or fewer records than clips"));
        }
        let index_at = index_offset as usize;
        let clips_at = index_at + records as usize * INDEX_ENTRY_BYTES;
        let names_at = clips_at + clips as usize * CLIP_ENTRY_BYTES;
        let metadata_at = names_at + trailer.names_bytes.get() as usize;
        // The index, with the padding before it.
        let tail_at = (index_at - INDEX_ALIGN as usize).max(HEADER_BYTES);
        contents.load_tail(tail_at).map_err(Error::io(&path, "read its index"))?;
        if crc32fast::hash(contents.tail(clips_at..metadata_at)) != trailer.clip_table_crc32.get() {
            return Err(damaged("clip table", "its checksum does not fit"));
        }
        if crc32fast::hash(contents.tail(metadata_at..contents.len() - TRAILER_BYTES)) != trailer.metadata_crc32.get() {
            return Err(damaged("metadata", "its checksum does not fit"));
        }
        let checked = (0..clips).map(|_| AtomicBool::new(false)).collect();
        let shard = Self { path, contents, spec, trailer, index_at, clips_at, names_at, checked };
        shard.check_clip_table()?;
        shard.check_padding()?;
        Ok(shard)
    }

    /// Clips and names follow each other without holes, and cover the index.
    fn check_clip_table(&self) -> Result<()> {
        let damaged = |fault: String| Error::Damaged { path: self.path.clone(), part: "clip table", fault };
        let (mut record, mut name) = (0_u64, 0_u64);
        for (i, clip) in self.clip_table().iter().enumerate() {
            let records = u64::from(clip.records.get());
            if clip.first_record.get() != record || u64::from(clip.name_offset.get()) != name {
                return Err(damaged(format!("clip {i} does not follow the one before")));
            }
            if records == 0 || records % u64::from(self.spec.planes) != 0 {
                return Err(damaged(format!("clip {i} has {records} records, not frames of {}", self.spec.planes)));
            }
            record += records;
            name += u64::from(clip.name_bytes.get());
        }
        if record != self.trailer.records.get() || name != u64::from(self.trailer.names_bytes.get()) {
            return Err(damaged("its clips do not cover the index and the names".into()));
        }
        for clip in 0..self.clips() {
            let entry = &self.clip_table()[clip];
            let at = self.names_at + entry.name_offset.get() as usize;
            if std::str::from_utf8(self.contents.tail(at..at + entry.name_bytes.get() as usize))
                .map_or(true, str::is_empty)
            {
                return Err(damaged(format!("the id of clip {clip} is empty or not UTF-8")));
            }
        }
        Ok(())
    }

    /// Between the last record and the index there are only zeros, fewer than [`INDEX_ALIGN`].
    fn check_padding(&self) -> Result<()> {
        let last = &self.index()[self.index().len() - 1];
        let end = last.offset.get().checked_add(u64::from(last.stored_bytes.get()));
        let index_at = self.index_at as u64;
        match end {
            Some(end) if end.checked_next_multiple_of(INDEX_ALIGN) == Some(index_at) => {
                if self.contents.tail(end as usize..self.index_at).iter().any(|&b| b != 0) {
                    let fault = "the bytes between records and index are not zero".into();
                    return Err(Error::Damaged { path: self.path.clone(), part: "padding", fault });
                }
                Ok(())
            }
            // The last clip's index is damaged: name it as that.
            _ => match self.clip(self.clips() - 1) {
                Err(error) => Err(error),
                Ok(_) => Err(Error::Damaged {
                    path: self.path.clone(),
                    part: "index",
                    fault: "its last record does not end where the index starts".into(),
                }),
            },
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The stream that the shard holds.
    pub fn spec(&self) -> &StreamSpec {
        &self.spec
    }

    /// Size of the file.
    pub fn file_bytes(&self) -> u64 {
        self.contents.len() as u64
    }

    /// Records in the shard.
    pub fn records(&self) -> u64 {
        self.trailer.records.get()
    }

    /// The trailer's checksum, by which the manifest knows the shard.
    pub fn trailer_crc32(&self) -> u32 {
        self.trailer.crc32.get()
    }

    /// What a manifest says of the shard.
    pub fn info(&self) -> ShardInfo {
        ShardInfo {
            file: self.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            bytes: self.file_bytes(),
            clips: self.clips() as u32,
            records: self.records(),
            trailer_crc32: self.trailer_crc32(),
        }
    }

    /// Clips in the shard.
    pub fn clips(&self) -> usize {
        self.trailer.clips.get() as usize
    }

    /// Id of a clip of this shard. Panics where there is no such clip.
    pub fn clip_id(&self, clip: usize) -> &str {
        let entry = &self.clip_table()[clip];
        let at = self.names_at + entry.name_offset.get() as usize;
        std::str::from_utf8(self.contents.tail(at..at + entry.name_bytes.get() as usize)).expect("checked when opened")
    }

    /// Frames of a clip of this shard. Panics where there is no such clip.
    pub fn frames(&self, clip: usize) -> u32 {
        self.clip_table()[clip].records.get() / u32::from(self.spec.planes)
    }

    /// What the shard says about data set, classes and its clips.
    pub fn metadata(&self) -> Result<ShardMetadata> {
        let at = self.names_at + self.trailer.names_bytes.get() as usize;
        let bytes = self.contents.tail(at..self.contents.len() - TRAILER_BYTES);
        let metadata: ShardMetadata = serde_json::from_slice(bytes).map_err(|e| Error::Damaged {
            path: self.path.clone(),
            part: "metadata",
            fault: e.to_string(),
        })?;
        if metadata.clips.len() != self.clips() {
            let fault = format!("it describes {} clips of {}", metadata.clips.len(), self.clips());
            return Err(Error::Damaged { path: self.path.clone(), part: "metadata", fault });
        }
        if !metadata.groups.is_empty() {
            let ids: HashSet<&str> = (0..self.clips()).map(|clip| self.clip_id(clip)).collect();
            check_groups(&metadata.groups, |id| ids.contains(id)).map_err(|fault| Error::Damaged {
                path: self.path.clone(),
                part: "metadata",
                fault,
            })?;
        }
        Ok(metadata)
    }

    /// How the records' bytes are reached.
    pub(crate) fn contents(&self) -> &Contents {
        &self.contents
    }

    fn clip_table(&self) -> &[ClipEntry] {
        <[ClipEntry]>::ref_from_bytes(self.contents.tail(self.clips_at..self.names_at))
            .expect("sizes checked when opened")
    }

    fn index(&self) -> &[IndexEntry] {
        <[IndexEntry]>::ref_from_bytes(self.contents.tail(self.index_at..self.clips_at))
            .expect("sizes checked when opened")
    }

    /// The records of a clip; its index is checked the first time. Panics where there is no such clip.
    pub fn clip(&self, clip: usize) -> Result<ClipRecords<'_>> {
        let entry = &self.clip_table()[clip];
        let first = entry.first_record.get() as usize;
        let entries = &self.index()[first..first + entry.records.get() as usize];
        if !self.checked[clip].load(Ordering::Relaxed) {
            self.check_entries(clip, entry, entries).map_err(|fault| Error::ClipIndex {
                path: self.path.clone(),
                clip: self.clip_id(clip).to_owned(),
                first: first as u64,
                last: (first + entries.len() - 1) as u64,
                fault,
            })?;
            self.checked[clip].store(true, Ordering::Relaxed);
        }
        Ok(ClipRecords::new(self, clip, first, entries))
    }

    fn check_entries(&self, clip: usize, table: &ClipEntry, entries: &[IndexEntry]) -> Result<(), String> {
        let found = crc32fast::hash(entries.as_bytes());
        if found != table.index_crc32.get() {
            return Err(format!("checksum {found:08x} differs from {:08x}", table.index_crc32));
        }
        let mut offset = self.start_of(clip).unwrap_or(entries[0].offset.get());
        for (position, entry) in entries.iter().enumerate() {
            let fault = |what: &str| Err(format!("record {position} of the clip: {what}"));
            let Some(codec) = Codec::from_byte(entry.codec) else {
                return fault(&format!("unknown codec {}", entry.codec));
            };
            let Some(filter) = Filter::from_byte(entry.filter) else {
                return fault(&format!("unknown filter {}", entry.filter));
            };
            if matches!(codec, Codec::Raw | Codec::Jpeg) && filter != Filter::None {
                return fault(&format!("filter {} with codec {}", filter.name(), codec.name()));
            }
            if entry.clip.get() as usize != clip || entry.position.get() as usize != position {
                return fault(&format!("it says that it is record {} of clip {}", entry.position, entry.clip));
            }
            let size = entry.size();
            if !size.is_storable() || size.channels != self.spec.channels {
                return fault(&format!("an image of {size} cannot be in stream {}", self.spec.name));
            }
            if codec == Codec::Jpeg && !matches!(size.channels, 1 | 3) {
                return fault(&format!("a JPEG image of {} channels", size.channels));
            }
            let stored = entry.stored_bytes.get();
            if stored == 0 || (codec == Codec::Raw && stored as usize != size.bytes()) {
                return fault(&format!("{stored} bytes for a {} image of {size}", codec.name()));
            }
            if entry.offset.get() != offset || offset < HEADER_BYTES as u64 {
                return fault(&format!("it starts at byte {}, not where the one before ends", entry.offset));
            }
            offset = match offset.checked_add(u64::from(stored)) {
                Some(end) if end <= self.index_at as u64 => end,
                _ => return fault("it reaches beyond the records"),
            };
        }
        Ok(())
    }

    /// Where the first record of a clip has to start: where the record before it ends. None where the index of the clip
    /// before is damaged; that is not this clip's fault, and its own records can still be read.
    fn start_of(&self, clip: usize) -> Option<u64> {
        let Some(before) = clip.checked_sub(1) else { return Some(HEADER_BYTES as u64) };
        let table = &self.clip_table()[before];
        let first = table.first_record.get() as usize;
        let entries = &self.index()[first..first + table.records.get() as usize];
        let last = entries.last()?;
        let whole = self.checked[before].load(Ordering::Relaxed)
            || crc32fast::hash(entries.as_bytes()) == table.index_crc32.get();
        last.offset.get().checked_add(u64::from(last.stored_bytes.get())).filter(|_| whole)
    }
}

/// Reads a structure.
fn read<T: FromBytes>(bytes: &[u8]) -> T {
    T::read_from_bytes(bytes).expect("the slice has the structure's size")
}

impl IndexEntry {
    pub(crate) fn size(&self) -> ImageSize {
        ImageSize { width: self.width.get(), height: self.height.get(), channels: self.channels }
    }
}
