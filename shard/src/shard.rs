//! Reads a shard in three steps: [`Shard`], [`ClipRecords`], [`Record`](crate::Record).
//!
//! Opening checks the small parts of the file. The index of a clip is checked when the clip is
//! first used, and the bytes of a record each time before they are decoded. Each step has its own
//! type, so unchecked bytes cannot be decoded.

use crate::clip_records::ClipRecords;
use crate::codec::{Codec, Filter};
use crate::contents::{Access, Contents};
use crate::error::{Error, Result, ShardPart};
use crate::layout::{ClipEntry, HEADER_BYTES, INDEX_ALIGN, IndexEntry};
use crate::manifest::{ShardInfo, StreamSpec};
use crate::metadata::ShardMetadata;
use crate::shard_file::ShardFile;
use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use zerocopy::IntoBytes;

/// An open shard, whose header, trailer, clip table and metadata match their checksums.
///
/// # Example
///
/// ```
/// use clipshard::Shard;
///
/// let shard = Shard::open("tests/golden/rgb-00000.clipshard")?;
/// assert_eq!((shard.spec().name.as_str(), shard.clip_count(), shard.records()), ("rgb", 2, 5));
/// for clip in shard.clips() {
///     let clip = clip?; // an error if the index of this clip is damaged
///     println!("{}: {} frames", clip.id(), clip.frame_count());
/// }
/// # Ok::<(), clipshard::Error>(())
/// ```
pub struct Shard {
    file: ShardFile,
    /// Whether the index of each clip has been checked.
    checked: Box<[AtomicBool]>,
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard")
            .field("path", &self.path())
            .field("spec", self.spec())
            .field("clips", &self.clip_count())
            .field("records", &self.records())
            .finish_non_exhaustive()
    }
}

impl Shard {
    /// Opens a shard through a memory map. Reads only its header, clip table, metadata and trailer.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_at(path.as_ref(), Access::Map)
    }

    /// Opens a shard and reads its records through `access`.
    pub fn open_with(path: impl AsRef<Path>, access: Access) -> Result<Self> {
        Self::open_at(path.as_ref(), access)
    }

    fn open_at(path: &Path, access: Access) -> Result<Self> {
        Self::check(ShardFile::open(path, access)?)
    }

    /// Opens a shard that is in memory, such as one that a program has downloaded.
    ///
    /// `name` stands for the path in messages. Takes a `Vec<u8>`, or a slice that lives until the
    /// end of the program.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Shard::open`] for the same bytes in a file.
    ///
    /// # Example
    ///
    /// ```
    /// use clipshard::Shard;
    ///
    /// let bytes: Vec<u8> = std::fs::read("tests/golden/rgb-00000.clipshard").unwrap();
    /// let shard = Shard::from_bytes("rgb-00000.clipshard", bytes)?;
    /// assert_eq!(shard.clip(0)?.id(), "v_Wave_g01_c01");
    /// # Ok::<(), clipshard::Error>(())
    /// ```
    pub fn from_bytes(name: impl AsRef<Path>, bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self> {
        Self::check(ShardFile::from_bytes(name.as_ref(), bytes.into())?)
    }

    fn check(file: ShardFile) -> Result<Self> {
        let checked = (0..file.clips()).map(|_| AtomicBool::new(false)).collect();
        let shard = Self { file, checked };
        shard.check_padding()?;
        Ok(shard)
    }

    /// Checks that only zeros separate the last record and the index, and that they are fewer than
    /// [`INDEX_ALIGN`].
    fn check_padding(&self) -> Result<()> {
        let last = &self.file.index()[self.file.index().len() - 1];
        let end = last.offset.get().checked_add(u64::from(last.stored_bytes.get()));
        let index_at = self.file.index_at;
        match end {
            Some(end) if end.checked_next_multiple_of(INDEX_ALIGN) == Some(index_at) => {
                if self.file.contents.tail(end..index_at).iter().any(|&b| b != 0) {
                    let fault = "the bytes between records and index are not zero".into();
                    return Err(Error::Damaged { path: self.path().to_owned(), part: ShardPart::Padding, fault });
                }
                Ok(())
            }
            // The end of the records is unknown without the index of the last clip. The damage is an
            // error when the clip is used, and does not concern the other clips.
            _ => match self.clip(self.clip_count() - 1) {
                Err(Error::ClipIndex { .. }) => Ok(()),
                Err(error) => Err(error),
                Ok(_) => Err(Error::Damaged {
                    path: self.path().to_owned(),
                    part: ShardPart::Index,
                    fault: "the last record does not end where the index starts".into(),
                }),
            },
        }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Returns the description of the stream.
    pub fn spec(&self) -> &StreamSpec {
        &self.file.spec
    }

    /// Returns the size of the file in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.file.contents.len()
    }

    /// Returns the number of records.
    pub fn records(&self) -> u64 {
        self.file.trailer.records.get()
    }

    /// Returns the checksum in the trailer, which identifies the shard in the manifest.
    pub fn trailer_crc32(&self) -> u32 {
        self.file.trailer.crc32.get()
    }

    /// Returns the manifest entry for this shard.
    pub fn info(&self) -> ShardInfo {
        ShardInfo {
            file: self.path().file_name().unwrap_or_default().to_string_lossy().into_owned(),
            bytes: self.file_bytes(),
            clips: self.clip_count() as u32,
            records: self.records(),
            trailer_crc32: self.trailer_crc32(),
        }
    }

    /// Returns the number of clips.
    pub fn clip_count(&self) -> usize {
        self.file.clips()
    }

    /// Returns the id of a clip by its number in this shard, or `None` if there is no such clip.
    pub fn clip_id(&self, clip: usize) -> Option<&str> {
        (clip < self.clip_count()).then(|| self.file.clip_id(clip))
    }

    /// Iterates over the ids of the clips, in the order of the shard.
    pub fn clip_ids(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.clip_count()).map(|clip| self.file.clip_id(clip))
    }

    /// Returns the number of frames of a clip by its number in this shard, or `None` if there is no
    /// such clip.
    pub fn frame_count(&self, clip: usize) -> Option<u32> {
        let entry = self.file.clip_table().get(clip)?;
        Some(entry.records.get() / u32::from(self.spec().planes))
    }

    /// Parses the metadata of the shard, which describes its dataset and its clips.
    pub fn metadata(&self) -> Result<ShardMetadata> {
        let damaged = |fault| Error::Damaged { path: self.path().to_owned(), part: ShardPart::Metadata, fault };
        let metadata: ShardMetadata =
            serde_json::from_slice(self.file.metadata()).map_err(|e| damaged(e.to_string()))?;
        metadata.check_clips(self.clip_ids()).map_err(damaged)?;
        Ok(metadata)
    }

    /// Returns the bytes of the file.
    pub(crate) fn contents(&self) -> &Contents {
        &self.file.contents
    }

    /// Returns the records of a clip by its number in this shard. The first call checks the index
    /// of the clip.
    ///
    /// # Errors
    ///
    /// Returns [`Error::NoClip`] if there is no such clip, and [`Error::ClipIndex`] if its index is
    /// damaged.
    pub fn clip(&self, clip: usize) -> Result<ClipRecords<'_>> {
        let Some(entry) = self.file.clip_table().get(clip) else {
            return Err(Error::NoClip { path: self.path().to_owned(), clip, clips: self.clip_count() });
        };
        let entries = self.file.index_of(clip);
        let first = entry.first_record.get();
        if !self.checked[clip].load(Ordering::Relaxed) {
            self.check_entries(clip, entry, entries).map_err(|fault| Error::ClipIndex {
                path: self.path().to_owned(),
                clip: self.file.clip_id(clip).to_owned(),
                first,
                last: first + entries.len() as u64 - 1,
                fault,
            })?;
            self.checked[clip].store(true, Ordering::Relaxed);
        }
        Ok(self.checked_clip(clip))
    }

    /// Returns the records of a clip whose index has been checked.
    pub(crate) fn checked_clip(&self, clip: usize) -> ClipRecords<'_> {
        let first = self.file.clip_table()[clip].first_record.get() as usize;
        ClipRecords::new(self, clip, first, self.file.index_of(clip))
    }

    /// Iterates over the clips, in the order of the shard. An item is an error if the index of its
    /// clip is damaged.
    pub fn clips(&self) -> impl ExactSizeIterator<Item = Result<ClipRecords<'_>>> {
        (0..self.clip_count()).map(|clip| self.clip(clip))
    }

    /// Checks the index of a clip.
    fn check_entries(&self, clip: usize, table: &ClipEntry, entries: &[IndexEntry]) -> Result<(), String> {
        let found = crc32fast::hash(entries.as_bytes());
        if found != table.index_crc32.get() {
            return Err(format!("its checksum is {found:08x}, but the clip table states {:08x}", table.index_crc32));
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
            let spec = &self.file.spec;
            if !filter.fits(codec, spec.samples) {
                return fault(&format!("codec {codec} does not support filter {filter} for {} samples", spec.samples));
            }
            if entry.clip.get() as usize != clip || entry.position.get() as usize != position {
                return fault(&format!("it states that it is record {} of clip {}", entry.position, entry.clip));
            }
            let shape = entry.shape(spec);
            if !spec.accepts(&shape) || (spec.array.is_some() && entry.channels != 0) {
                let what = if shape.is_image() { "an image" } else { "an array" };
                return fault(&format!("{what} of {shape} cannot be in stream {}", spec.name));
            }
            if codec == Codec::Jpeg && !shape.u8_image_size().is_some_and(|size| matches!(size.channels, 1 | 3)) {
                return fault(&format!("a JPEG image cannot be {shape}, only u8 with 1 or 3 channels"));
            }
            let stored = entry.stored_bytes.get();
            // A record without samples is stored raw, with no bytes.
            let is_right =
                if codec == Codec::Raw { stored as usize == shape.bytes() } else { stored > 0 && !shape.is_empty() };
            if !is_right {
                return fault(&format!("it has {stored} stored bytes for a {codec} record of {shape}"));
            }
            if entry.offset.get() != offset || offset < HEADER_BYTES as u64 {
                return fault(&format!("it starts at byte {}, not where the record before it ends", entry.offset));
            }
            offset = match offset.checked_add(u64::from(stored)) {
                Some(end) if end <= self.file.index_at => end,
                _ => return fault("it ends after the start of the index"),
            };
        }
        Ok(())
    }

    /// Returns the required offset of a clip's first record, which is the end of the record before
    /// it.
    ///
    /// Returns `None` if the index of the clip before is damaged. Such damage must not prevent
    /// reading this clip.
    fn start_of(&self, clip: usize) -> Option<u64> {
        let Some(before) = clip.checked_sub(1) else { return Some(HEADER_BYTES as u64) };
        let entries = self.file.index_of(before);
        let last = entries.last()?;
        let whole = self.checked[before].load(Ordering::Relaxed)
            || crc32fast::hash(entries.as_bytes()) == self.file.clip_table()[before].index_crc32.get();
        last.offset.get().checked_add(u64::from(last.stored_bytes.get())).filter(|_| whole)
    }
}
