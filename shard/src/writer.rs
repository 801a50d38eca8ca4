//! Writes a shard: the records as they are added, then index, clip table, names, metadata and
//! trailer.
//!
//! The file gets its final name when all of it is on the disk.

use crate::codec::{Codec, EncodedRecord};
use crate::error::{Error, Result};
use crate::layout::{ClipEntry, END_MAGIC, HEADER_BYTES, Header, INDEX_ALIGN, IndexEntry, TRAILER_BYTES, Trailer};
use crate::manifest::{ShardInfo, StreamSpec};
use crate::metadata::ShardMetadata;
use crate::shape::Shape;
use crate::storage::{Disk, PartialFile, Storage, finish, folder_of};
use std::collections::HashSet;
use std::fmt;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zerocopy::IntoBytes;

/// A writer of one shard.
///
/// If it is dropped before [`ShardWriter::finish`], it removes its temporary file and no shard
/// appears.
///
/// # Example
///
/// ```
/// use clipshard::{EncodeOptions, Encoder, ImageSize, Shard, ShardClip, ShardMetadata, ShardWriter};
/// use clipshard::{StreamSpec, Subset};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let dir = folder.path();
/// let size = ImageSize { width: 32, height: 24, channels: 3 };
/// let frame = Encoder::new(EncodeOptions::zstd(3))?.encode(&vec![9; size.bytes()], size)?;
///
/// let path = dir.join("rgb-00000.clipshard");
/// let mut writer = ShardWriter::create(&path, &StreamSpec::rgb())?;
/// writer.add_clip("v_Wave_g01_c01", &[frame.clone(), frame])?;
/// let metadata = ShardMetadata::new("waves", vec!["Wave".into()], vec!["1".into()]);
/// writer.finish(&metadata.with_clips(vec![ShardClip::new(0, vec![Subset::Train])]))?;
///
/// assert_eq!(Shard::open(&path)?.frame_count(0), Some(2));
/// # Ok::<(), clipshard::Error>(())
/// ```
pub struct ShardWriter {
    path: PathBuf,
    storage: Arc<dyn Storage>,
    file: BufWriter<Box<dyn PartialFile>>,
    spec: StreamSpec,
    header_crc32: u32,
    offset: u64,
    index: Vec<IndexEntry>,
    clips: Vec<ClipEntry>,
    names: String,
    ids: HashSet<String>,
    /// A write has failed. The content of the file is then unknown, so it must not be finished.
    failed: bool,
}

impl fmt::Debug for ShardWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardWriter")
            .field("path", &self.path)
            .field("spec", &self.spec)
            .field("clips", &self.clips.len())
            .finish_non_exhaustive()
    }
}

impl ShardWriter {
    /// Starts a shard. Until it is finished it is a temporary file in the folder of `path`.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`] if the stream has an invalid name or invalid numbers of planes or
    /// channels.
    pub fn create(path: impl AsRef<Path>, spec: &StreamSpec) -> Result<Self> {
        Self::create_in(Arc::new(Disk), path.as_ref(), spec)
    }

    /// Starts a shard in any storage.
    #[doc(hidden)]
    pub fn create_in(storage: Arc<dyn Storage>, path: &Path, spec: &StreamSpec) -> Result<Self> {
        spec.check().map_err(Error::Usage)?;
        let dir = folder_of(path);
        let file = storage.create(dir, ".shard-").map_err(Error::io(dir, "create a file in it"))?;
        let mut header = Header::of(spec);
        let header_crc32 = header.compute_crc32();
        header.crc32 = header_crc32.into();
        let mut writer = Self {
            path: path.to_owned(),
            storage,
            file: BufWriter::with_capacity(1 << 20, file),
            spec: spec.clone(),
            header_crc32,
            offset: HEADER_BYTES as u64,
            index: Vec::new(),
            clips: Vec::new(),
            names: String::new(),
            ids: HashSet::new(),
            failed: false,
        };
        writer.write(header.as_bytes())?;
        Ok(writer)
    }

    /// Writes bytes, and remembers whether that failed.
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all(bytes).map_err(Error::io(&self.path, "write it"));
        self.failed |= written.is_err();
        written
    }

    /// Returns the ids of the clips written so far.
    fn clip_ids(&self) -> impl ExactSizeIterator<Item = &str> {
        self.clips.iter().map(|clip| {
            let start = clip.name_offset.get() as usize;
            &self.names[start..start + usize::from(clip.name_bytes.get())]
        })
    }

    /// Returns the number of bytes that the shard would have now, without metadata.
    pub(crate) fn file_bytes(&self) -> u64 {
        let tables = self.index.as_bytes().len() + self.clips.as_bytes().len() + self.names.len() + TRAILER_BYTES;
        self.offset + tables as u64
    }

    /// Returns the number of clips written so far.
    pub fn clip_count(&self) -> usize {
        self.clips.len()
    }

    /// Adds a clip with its records, frame after frame and plane after plane.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`] if a record cannot be stored, or if the shard already has a clip
    /// with this id. The shard then remains as it was.
    pub fn add_clip(&mut self, id: &str, records: &[EncodedRecord]) -> Result<()> {
        let usage = |what: String| Err(Error::Usage(format!("clip {id}: {what}")));
        let Ok(name_bytes) = u16::try_from(id.len()) else { return usage("its id has more than 65535 bytes".into()) };
        if id.is_empty() {
            return usage("its id is empty".into());
        }
        if self.ids.contains(id) {
            return usage("the shard already has a clip with this id".into());
        }
        // All records are checked before the first one is written, so that a refused clip leaves
        // the shard unchanged.
        check_records(&self.spec, records).or_else(usage)?;
        let (Ok(clip), Ok(name_offset)) = (u32::try_from(self.clips.len()), u32::try_from(self.names.len())) else {
            return usage("the shard has too many clips; start another shard".into());
        };
        let Ok(count) = u32::try_from(records.len()) else { return usage("the clip has too many frames".into()) };
        let first = self.index.len();
        for (position, record) in (0..count).zip(records) {
            let ((width, height, channels), stored_bytes) = (extent(record.shape()), record.bytes().len() as u32);
            self.write(record.bytes())?;
            self.index.push(IndexEntry {
                offset: self.offset.into(),
                stored_bytes: stored_bytes.into(),
                crc32: record.crc32().into(),
                width: width.into(),
                height: height.into(),
                channels,
                codec: record.codec() as u8,
                filter: record.filter() as u8,
                reserved: 0,
                clip: clip.into(),
                position: position.into(),
            });
            self.offset += u64::from(stored_bytes);
        }
        self.names.push_str(id);
        self.ids.insert(id.to_owned());
        self.clips.push(ClipEntry {
            first_record: (first as u64).into(),
            records: count.into(),
            index_crc32: crc32fast::hash(self.index[first..].as_bytes()).into(),
            name_offset: name_offset.into(),
            name_bytes: name_bytes.into(),
            reserved: [0; 10],
        });
        Ok(())
    }

    /// Writes index, clip table and metadata, flushes the file to the disk and renames it to its
    /// final name.
    ///
    /// Returns the entry of the shard for the manifest.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`] if the metadata does not describe each clip of the shard, if no
    /// manifest could be rebuilt from it, or if an earlier write failed.
    pub fn finish(mut self, metadata: &ShardMetadata) -> Result<ShardInfo> {
        if self.failed {
            return Err(Error::Usage(format!(
                "{}: an earlier write failed; write the shard again from the start",
                self.path.display()
            )));
        }
        if self.clips.is_empty() {
            return Err(Error::Usage(format!("{}: a shard needs at least one clip", self.path.display())));
        }
        metadata.check(self.clip_ids()).map_err(|fault| Error::Usage(format!("{}: {fault}", self.path.display())))?;
        let metadata = serde_json::to_vec(metadata).map_err(|e| Error::Usage(format!("invalid metadata: {e}")))?;
        let too_large = |_| {
            Error::Usage(format!("{}: metadata or clip ids have more than 4 GiB; use more shards", self.path.display()))
        };
        let metadata_bytes = u32::try_from(metadata.len()).map_err(too_large)?;
        let names_bytes = u32::try_from(self.names.len()).map_err(too_large)?;
        let index_offset = self.offset.next_multiple_of(INDEX_ALIGN);
        let padding = [0; INDEX_ALIGN as usize];
        let mut table = self.clips.as_bytes().to_vec();
        table.extend(self.names.as_bytes());
        let index = std::mem::take(&mut self.index);
        let after_records = index.as_bytes().len() + table.len() + metadata.len() + TRAILER_BYTES;
        let file_bytes = index_offset + after_records as u64;
        let mut trailer = Trailer {
            file_bytes: file_bytes.into(),
            index_offset: index_offset.into(),
            records: (index.len() as u64).into(),
            clips: (self.clips.len() as u32).into(),
            names_bytes: names_bytes.into(),
            metadata_bytes: metadata_bytes.into(),
            clip_table_crc32: crc32fast::hash(&table).into(),
            metadata_crc32: crc32fast::hash(&metadata).into(),
            header_crc32: self.header_crc32.into(),
            crc32: 0.into(),
            reserved: [0; 4],
            end_magic: END_MAGIC,
        };
        trailer.crc32 = trailer.compute_crc32().into();
        for part in
            [&padding[..(index_offset - self.offset) as usize], index.as_bytes(), &table, &metadata, trailer.as_bytes()]
        {
            self.write(part)?;
        }
        let Self { path, storage, file, clips, .. } = self;
        let file = file.into_inner().map_err(|e| Error::io(&path, "write it")(e.into_error()))?;
        finish(&*storage, file, &path)?;
        Ok(ShardInfo {
            file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            bytes: file_bytes,
            clips: clips.len() as u32,
            records: index.len() as u64,
            trailer_crc32: trailer.crc32.get(),
        })
    }
}

/// Checks that the records of a clip can be stored in a stream.
pub(crate) fn check_records(spec: &StreamSpec, records: &[EncodedRecord]) -> Result<(), String> {
    if records.is_empty() || !records.len().is_multiple_of(spec.planes.into()) {
        let (n, planes, name) = (records.len(), spec.planes, &spec.name);
        return Err(format!("{n} records are not one or more frames of {planes} planes of stream {name}"));
    }
    records.iter().enumerate().try_for_each(|(number, record)| {
        check_record(spec, record).map_err(|fault| {
            let (frame, plane) = (number / usize::from(spec.planes), number % usize::from(spec.planes));
            format!("stream {}, frame {frame}, plane {plane}: {fault}", spec.name)
        })
    })
}

fn check_record(spec: &StreamSpec, record: &EncodedRecord) -> Result<(), String> {
    let (n, shape, codec, filter) = (record.bytes().len(), record.shape(), record.codec(), record.filter());
    if !spec.accepts(&shape) {
        let what = if shape.is_image() { "an image" } else { "an array" };
        return Err(format!("{what} of {shape} cannot be in this stream ({spec})"));
    }
    if codec == Codec::Jpeg && !shape.u8_image_size().is_some_and(|size| matches!(size.channels, 1 | 3)) {
        return Err(format!("a JPEG image cannot be {shape}, only u8 with 1 or 3 channels"));
    }
    if u32::try_from(n).is_err() || (n == 0 && !shape.is_empty()) {
        return Err(format!("a record of {n} stored bytes is empty or too large"));
    }
    // A record without samples is stored raw.
    let is_wrong = if codec == Codec::Raw { n != shape.bytes() } else { shape.is_empty() };
    if is_wrong || !filter.fits(codec, shape.samples()) {
        return Err(format!("{n} bytes with codec {codec} and filter {filter} are not a record of {shape}"));
    }
    Ok(())
}

/// Returns the fields width, height and channels of an index entry.
fn extent(shape: Shape) -> (u16, u16, u8) {
    match shape.image_size() {
        Some(size) => (size.width, size.height, size.channels),
        // The fields of width and height hold the halves of the first dimension.
        None => (shape.dims()[0] as u16, (shape.dims()[0] >> 16) as u16, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{EncodeOptions, Encoder};
    use crate::geometry::ImageSize;
    use crate::metadata::ShardClip;

    struct FullDisk;

    impl Write for FullDisk {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl PartialFile for FullDisk {
        fn sync(&mut self) -> std::io::Result<()> {
            Ok(())
        }

        fn persist(self: Box<Self>, _: &Path) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn after_a_failed_write_no_shard_can_be_finished() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.clipshard");
        let spec = StreamSpec::new("grey", 1, 1);
        let mut writer = ShardWriter::create(&path, &spec).unwrap();
        writer.file = BufWriter::with_capacity(8, Box::new(FullDisk));
        let options = EncodeOptions::raw();
        let image = ImageSize { width: 8, height: 8, channels: 1 };
        let record = Encoder::new(options).unwrap().encode(&[0; 64], image).unwrap();
        assert!(matches!(writer.add_clip("c", std::slice::from_ref(&record)), Err(Error::Io { .. })));
        let metadata = ShardMetadata::default().with_clips(vec![ShardClip::new(None, Vec::new())]);
        writer.file = BufWriter::new(Disk.create(dir.path(), ".shard-").unwrap());
        writer.add_clip("d", &[record]).unwrap();
        assert!(writer.finish(&metadata).unwrap_err().to_string().contains("an earlier write failed"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
