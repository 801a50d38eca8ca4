//! The records of one clip: their checked bytes and their images.

use crate::codec::{Codec, Decoder, EncodedRecord, Filter};
use crate::error::{Error, Result};
use crate::geometry::{ImageSize, Window};
use crate::layout::IndexEntry;
use crate::shard::Shard;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// The records of one clip in one stream.
///
/// The index of the clip matches its checksum and keeps the rules of the format. Frames and planes
/// are numbered from 0. Methods return [`Error::Usage`] if the clip has no such frame or plane.
///
/// # Example
///
/// ```
/// use clipshard::{Dataset, Decoder};
///
/// let data = Dataset::open("tests/golden")?;
/// let flow = data.clip("flow", 0)?;
/// assert_eq!((flow.id(), flow.frame_count(), flow.planes()), ("v_Wave_g01_c01", 3, 2));
///
/// // Two frames with an x and a y plane each: [4, 10, 14].
/// let mut stack = vec![0; 2 * flow.planes() * flow.size(0, 0)?.bytes()];
/// flow.decode_stack(0, 2, &mut Decoder::new()?, &mut stack)?;
/// # Ok::<(), clipshard::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct ClipRecords<'a> {
    shard: &'a Shard,
    clip: usize,
    first: usize,
    entries: &'a [IndexEntry],
}

/// A record: the stored bytes of one image, which match their checksum.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Record<'a> {
    /// The stored bytes. They borrow from the memory map, or are a copy if the shard is not mapped.
    pub bytes: Cow<'a, [u8]>,
    /// Size of the decoded image.
    pub size: ImageSize,
    /// Codec of the bytes.
    pub codec: Codec,
    /// Filter that was applied to the pixels before compression.
    pub filter: Filter,
}

impl From<Record<'_>> for EncodedRecord {
    /// Copies a record so that it can be written to another shard.
    fn from(record: Record<'_>) -> Self {
        Self::from_stored(record.bytes.into_owned(), record.size, record.codec, record.filter)
    }
}

/// The index entry of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordInfo {
    /// Offset of the stored bytes in the shard file.
    pub offset: u64,
    /// Number of stored bytes.
    pub stored_bytes: u32,
    /// Size of the decoded image.
    pub size: ImageSize,
    /// Codec of the bytes.
    pub codec: Codec,
    /// Filter that was applied to the pixels before compression.
    pub filter: Filter,
    /// CRC-32 of the stored bytes.
    pub crc32: u32,
}

/// A frame of a clip in one stream: one record per plane.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    clip: ClipRecords<'a>,
    number: usize,
}

impl fmt::Debug for ClipRecords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClipRecords")
            .field("shard", &self.shard.path())
            .field("id", &self.id())
            .field("frames", &self.frame_count())
            .field("planes", &self.planes())
            .finish_non_exhaustive()
    }
}

impl<'a> ClipRecords<'a> {
    /// Wraps the checked index entries of a clip. `first` is the number of its first record in the
    /// shard.
    pub(crate) fn new(shard: &'a Shard, clip: usize, first: usize, entries: &'a [IndexEntry]) -> Self {
        Self { shard, clip, first, entries }
    }

    /// Returns the id of the clip.
    pub fn id(&self) -> &'a str {
        self.shard.clip_id(self.clip).unwrap_or_default()
    }

    /// Returns the number of frames.
    pub fn frame_count(&self) -> usize {
        self.entries.len() / self.planes()
    }

    /// Iterates over the frames.
    ///
    /// # Example
    ///
    /// ```
    /// use clipshard::Dataset;
    ///
    /// let data = Dataset::open("tests/golden")?;
    /// let mut bytes = 0;
    /// for frame in data.clip("rgb", 0)?.frames() {
    ///     bytes += frame.record(0)?.bytes.len();
    /// }
    /// assert_eq!(bytes as u64, data.clip("rgb", 0)?.byte_range().end - 64);
    /// # Ok::<(), clipshard::Error>(())
    /// ```
    pub fn frames(&self) -> impl ExactSizeIterator<Item = Frame<'a>> + DoubleEndedIterator + use<'a> {
        let clip = *self;
        (0..clip.frame_count()).map(move |number| Frame { clip, number })
    }

    /// Returns the number of records per frame.
    pub fn planes(&self) -> usize {
        self.shard.spec().planes as usize
    }

    /// Returns the size of the image of a record.
    pub fn size(&self, frame: usize, plane: usize) -> Result<ImageSize> {
        Ok(self.entry(frame, plane)?.size())
    }

    /// Returns the index entry of a record without reading the record.
    pub fn info(&self, frame: usize, plane: usize) -> Result<RecordInfo> {
        let entry = self.entry(frame, plane)?;
        let (codec, filter) = codec_of(entry);
        Ok(RecordInfo {
            offset: entry.offset.get(),
            stored_bytes: entry.stored_bytes.get(),
            size: entry.size(),
            codec,
            filter,
            crc32: entry.crc32.get(),
        })
    }

    /// Returns the stored bytes of a record after checking their checksum.
    pub fn record(&self, frame: usize, plane: usize) -> Result<Record<'a>> {
        let entry = self.entry(frame, plane)?;
        let (codec, filter) = codec_of(entry);
        let bytes =
            self.shard.contents().record(range_of(entry)).map_err(|e| Error::io(self.shard.path(), "read it")(e))?;
        self.check(frame, plane, entry, &bytes)?;
        Ok(Record { bytes, size: entry.size(), codec, filter })
    }

    fn entry(&self, frame: usize, plane: usize) -> Result<&'a IndexEntry> {
        if frame >= self.frame_count() || plane >= self.planes() {
            let (id, frames) = (self.id(), self.frame_count());
            let stream = &self.shard.spec().name;
            return Err(Error::Usage(format!(
                "clip {id} has {frames} frames of {} planes in stream {stream}; it has no frame {frame}, plane {plane}",
                self.planes()
            )));
        }
        Ok(&self.entries[frame * self.planes() + plane])
    }

    fn check(&self, frame: usize, plane: usize, entry: &IndexEntry, bytes: &[u8]) -> Result<()> {
        let found = crc32fast::hash(bytes);
        if found != entry.crc32.get() {
            let fault = format!("its checksum is {found:08x}, but the index states {:08x}", entry.crc32);
            return Err(self.damage(frame, plane, fault));
        }
        Ok(())
    }

    /// Decodes a record into `out`: rows of pixels with interleaved channels.
    ///
    /// `out` must have `size(frame, plane)?.bytes()` bytes.
    pub fn decode(&self, frame: usize, plane: usize, decoder: &mut Decoder, out: &mut [u8]) -> Result<()> {
        let whole = self.entry(frame, plane)?.size().whole();
        self.decode_window(frame, plane, whole, decoder, out)
    }

    /// Decodes a part of a record into `out`, which must have `window.bytes(size)` bytes.
    ///
    /// For baseline JPEG files this is faster than decoding the whole image: pixels outside of the
    /// window are not computed, and data after the window is not read.
    pub fn decode_window(
        &self,
        frame: usize,
        plane: usize,
        window: Window,
        decoder: &mut Decoder,
        out: &mut [u8],
    ) -> Result<()> {
        let entry = self.entry(frame, plane)?;
        let size = entry.size();
        if !window.is_inside(size) || out.len() != window.bytes(size) {
            let (id, n) = (self.id(), out.len());
            return Err(Error::Usage(format!(
                "clip {id}: window {window} of an image of {size} does not fit the image or the buffer of {n} bytes"
            )));
        }
        // The buffer is moved out of the decoder, because the decoder is borrowed as a whole below.
        // It is put back after decoding, so its memory is reused.
        let mut scratch = std::mem::take(&mut decoder.stored);
        let bytes = self.shard.contents().record_in(range_of(entry), &mut scratch);
        let bytes = bytes.map_err(|e| Error::io(self.shard.path(), "read it")(e));
        let decoded = bytes.and_then(|bytes| {
            self.check(frame, plane, entry, bytes)?;
            let fault =
                |fault| self.damage(frame, plane, format!("its checksum matches, but it cannot be decoded: {fault}"));
            decoder.decode(bytes, size, codec_of(entry), window, out).map_err(fault)
        });
        decoder.stored = scratch;
        decoded
    }

    /// Tells the operating system that the records of these frames will be read soon.
    ///
    /// Frames that do not exist are ignored.
    pub fn will_need(&self, frames: Range<usize>) {
        let end = self.entries.len();
        let record = |frame: usize| frame.saturating_mul(self.planes()).min(end);
        let entries = self.entries.get(record(frames.start)..record(frames.end)).unwrap_or_default();
        if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
            self.shard.contents().will_need(range_of(first).start..range_of(last).end);
        }
    }

    /// Decodes all planes of `frames` frames, starting with frame `start`, into `out`.
    ///
    /// For flow the result is the stack `[2 * frames, height, width]`, with the x and y planes of
    /// each frame adjacent. All records must have the same size. `out` must have
    /// `frames * planes() * size(start, 0)?.bytes()` bytes.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`] if the frames do not exist, differ in size or do not fit `out`.
    pub fn decode_stack(&self, start: usize, frames: usize, decoder: &mut Decoder, out: &mut [u8]) -> Result<()> {
        let (id, have) = (self.id(), self.frame_count());
        if frames == 0 || start.saturating_add(frames) > have {
            return Err(Error::Usage(format!(
                "clip {id} has {have} frames; a stack of {frames} frames cannot start at frame {start}"
            )));
        }
        let size = self.size(start, 0)?;
        if out.len() != frames * self.planes() * size.bytes() {
            let n = out.len();
            let planes = self.planes();
            return Err(Error::Usage(format!(
                "clip {id}: a buffer of {n} bytes does not fit {frames} frames of {planes} planes of {size}"
            )));
        }
        for (i, out) in out.chunks_exact_mut(size.bytes()).enumerate() {
            let (frame, plane) = (start + i / self.planes(), i % self.planes());
            let other = self.size(frame, plane)?;
            if other != size {
                return Err(Error::Usage(format!(
                    "clip {id}: a stack needs images of one size, \
                     but frame {frame} is {other} and frame {start} is {size}"
                )));
            }
            self.decode(frame, plane, decoder, out)?;
        }
        Ok(())
    }

    /// Returns the contiguous byte range of the clip's records in the shard file.
    pub fn byte_range(&self) -> Range<u64> {
        let last = &self.entries[self.entries.len() - 1];
        self.entries[0].offset.get()..last.offset.get() + u64::from(last.stored_bytes.get())
    }

    /// Builds the error for a damaged record.
    fn damage(&self, frame: usize, plane: usize, fault: String) -> Error {
        Error::Record {
            path: self.shard.path().to_owned(),
            record: (self.first + frame * self.planes() + plane) as u64,
            clip: self.id().to_owned(),
            stream: self.shard.spec().name.clone(),
            frame,
            plane,
            fault,
        }
    }
}

impl<'a> Frame<'a> {
    /// Returns the number of the frame in its clip, from 0.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Returns the size of the image of a plane.
    pub fn size(&self, plane: usize) -> Result<ImageSize> {
        self.clip.size(self.number, plane)
    }

    /// Returns the index entry of the record of a plane.
    pub fn info(&self, plane: usize) -> Result<RecordInfo> {
        self.clip.info(self.number, plane)
    }

    /// Returns the record of a plane after checking its checksum.
    pub fn record(&self, plane: usize) -> Result<Record<'a>> {
        self.clip.record(self.number, plane)
    }

    /// Decodes a plane into `out`, which must have `size(plane)?.bytes()` bytes.
    pub fn decode(&self, plane: usize, decoder: &mut Decoder, out: &mut [u8]) -> Result<()> {
        self.clip.decode(self.number, plane, decoder, out)
    }
}

impl IndexEntry {
    pub(crate) fn size(&self) -> ImageSize {
        ImageSize { width: self.width.get(), height: self.height.get(), channels: self.channels }
    }
}

/// Returns codec and filter of a checked entry.
fn codec_of(entry: &IndexEntry) -> (Codec, Filter) {
    let codec = Codec::from_byte(entry.codec).expect("checked with the clip's index");
    (codec, Filter::from_byte(entry.filter).expect("checked with the clip's index"))
}

/// Returns the byte range of a record in its file.
fn range_of(entry: &IndexEntry) -> Range<usize> {
    let start = entry.offset.get() as usize;
    start..start + entry.stored_bytes.get() as usize
}
