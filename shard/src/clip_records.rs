//! The records of one clip: their checked bytes and their images.

#[cfg(feature = "write")]
use crate::codec::EncodedRecord;
use crate::codec::{Codec, Decoder, Filter};
use crate::error::{Error, Result};
use crate::geometry::{ImageSize, Window};
use crate::layout::IndexEntry;
use crate::manifest::StreamSpec;
use crate::samples::{Sample, to_little_endian};
use crate::shape::Shape;
use crate::shard::Shard;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use zerocopy::IntoBytes;

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
    /// Shape of the decoded record.
    pub shape: Shape,
    /// Codec of the bytes.
    pub codec: Codec,
    /// Filter that was applied to the pixels before compression.
    pub filter: Filter,
    /// The index entry of the record, because a caller can change the other fields.
    #[cfg(feature = "write")]
    info: RecordInfo,
}

#[cfg(feature = "write")]
impl From<Record<'_>> for EncodedRecord {
    /// Copies a record so that it can be written to another shard.
    fn from(record: Record<'_>) -> Self {
        let Record { bytes, shape, codec, filter, info } = record;
        let copy = Self::from_stored(bytes.into_owned(), shape, codec, filter);
        let is_same = (copy.crc32(), shape, codec, filter) == (info.crc32, info.shape, info.codec, info.filter);
        if is_same { copy.trusted() } else { copy }
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
    /// Shape of the decoded record.
    pub shape: Shape,
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

    /// Returns the size of a record that is an image of u8 samples, as those of `rgb` and `flow`.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`] if the stream holds other records. [`ClipRecords::shape`] works for
    /// all.
    pub fn size(&self, frame: usize, plane: usize) -> Result<ImageSize> {
        let shape = self.shape(frame, plane)?;
        shape.u8_image_size().ok_or_else(|| {
            let (stream, form) = (&self.spec().name, self.spec().form());
            Error::Usage(format!("clip {}: stream {stream} has {form}, not u8 images; use shape", self.id()))
        })
    }

    /// Returns the shape of a record: its dimensions and the type of its samples.
    pub fn shape(&self, frame: usize, plane: usize) -> Result<Shape> {
        Ok(self.entry(frame, plane)?.shape(self.spec()))
    }

    fn spec(&self) -> &'a StreamSpec {
        self.shard.spec()
    }

    /// Returns the index entry of a record without reading the record.
    pub fn info(&self, frame: usize, plane: usize) -> Result<RecordInfo> {
        let entry = self.entry(frame, plane)?;
        let (codec, filter) = codec_of(entry);
        Ok(RecordInfo {
            offset: entry.offset.get(),
            stored_bytes: entry.stored_bytes.get(),
            shape: entry.shape(self.spec()),
            codec,
            filter,
            crc32: entry.crc32.get(),
        })
    }

    /// Returns the stored bytes of a record after checking their checksum.
    pub fn record(&self, frame: usize, plane: usize) -> Result<Record<'a>> {
        let (entry, info) = (self.entry(frame, plane)?, self.info(frame, plane)?);
        let bytes =
            self.shard.contents().record(range_of(entry)).map_err(|e| Error::io(self.shard.path(), "read it")(e))?;
        self.check(frame, plane, entry, &bytes)?;
        let RecordInfo { shape, codec, filter, .. } = info;
        Ok(Record {
            bytes,
            shape,
            codec,
            filter,
            #[cfg(feature = "write")]
            info,
        })
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

    /// Decodes a record into `out`, which must have `shape(frame, plane)?.bytes()` bytes.
    ///
    /// The result has little-endian samples in the order of the dimensions: of an image, rows of
    /// pixels with interleaved channels.
    pub fn decode(&self, frame: usize, plane: usize, decoder: &mut Decoder, out: &mut [u8]) -> Result<()> {
        let entry = self.entry(frame, plane)?;
        let shape = entry.shape(self.spec());
        if out.len() != shape.bytes() {
            let (id, n) = (self.id(), out.len());
            return Err(Error::Usage(format!("clip {id}: a record of {shape} does not fit the buffer of {n} bytes")));
        }
        self.decode_entry((frame, plane, entry), None, decoder, out)
    }

    /// Decodes a record into samples of the type that the stream holds.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`] if the stream holds another type, or `out` has another length.
    ///
    /// # Example
    ///
    /// ```
    /// use clipshard::{Dataset, Decoder};
    ///
    /// let data = Dataset::open("tests/golden-wide")?;
    /// let depth = data.clip("depth", 0)?;
    /// let mut pixels = vec![0_u16; depth.shape(0, 0)?.bytes() / 2];
    /// depth.decode_samples(0, 0, &mut Decoder::new()?, &mut pixels)?;
    /// # Ok::<(), clipshard::Error>(())
    /// ```
    pub fn decode_samples<T: Sample>(
        &self,
        frame: usize,
        plane: usize,
        decoder: &mut Decoder,
        out: &mut [T],
    ) -> Result<()> {
        if T::TYPE != self.spec().samples {
            let (id, wanted) = (self.id(), T::TYPE);
            let (stream, form) = (&self.spec().name, self.spec().form());
            return Err(Error::Usage(format!("clip {id}: stream {stream} has {form}, not {wanted}")));
        }
        self.decode(frame, plane, decoder, out.as_mut_bytes())?;
        to_little_endian(out.as_mut_bytes(), T::TYPE);
        Ok(())
    }

    /// Decodes a part of an image into `out`, which must have the bytes of the window:
    /// `window.bytes(size)` for u8 samples.
    ///
    /// For baseline JPEG files this is faster than decoding the whole image: pixels outside of the
    /// window are not computed, and data after the window is not read.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Usage`] if the record is an array, or if the window does not fit.
    pub fn decode_window(
        &self,
        frame: usize,
        plane: usize,
        window: Window,
        decoder: &mut Decoder,
        out: &mut [u8],
    ) -> Result<()> {
        let entry = self.entry(frame, plane)?;
        let shape = entry.shape(self.spec());
        let (id, n) = (self.id(), out.len());
        let Some(size) = shape.image_size() else {
            return Err(Error::Usage(format!("clip {id}: an array of {shape} has no windows; decode all of it")));
        };
        if !window.is_inside(size) || n != window.bytes(size) * shape.samples().bytes() {
            return Err(Error::Usage(format!(
                "clip {id}: window {window} of an image of {shape} does not fit the image or the buffer of {n} bytes"
            )));
        }
        self.decode_entry((frame, plane, entry), Some(window), decoder, out)
    }

    fn decode_entry(
        &self,
        (frame, plane, entry): (usize, usize, &IndexEntry),
        window: Option<Window>,
        decoder: &mut Decoder,
        out: &mut [u8],
    ) -> Result<()> {
        let shape = entry.shape(self.spec());
        // The buffer is moved out of the decoder, because the decoder is borrowed as a whole below.
        // It is put back after decoding, so its memory is reused.
        let mut scratch = std::mem::take(&mut decoder.stored);
        let bytes = self.shard.contents().record_in(range_of(entry), &mut scratch);
        let bytes = bytes.map_err(|e| Error::io(self.shard.path(), "read it")(e));
        let decoded = bytes.and_then(|bytes| {
            self.check(frame, plane, entry, bytes)?;
            let (codec, filter) = codec_of(entry);
            if !codec.is_compiled() {
                return Err(self.not_compiled(codec));
            }
            let fault =
                |fault| self.damage(frame, plane, format!("its checksum matches, but it cannot be decoded: {fault}"));
            decoder.decode(bytes, shape, (codec, filter), window, out).map_err(fault)
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
    /// each frame adjacent. All records must have the same shape. `out` must have
    /// `frames * planes() * shape(start, 0)?.bytes()` bytes.
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
        let size = self.shape(start, 0)?;
        // On a system of 32 bits, the number of bytes of many frames may overflow.
        if (frames * self.planes()).checked_mul(size.bytes()) != Some(out.len()) {
            let n = out.len();
            let planes = self.planes();
            return Err(Error::Usage(format!(
                "clip {id}: a buffer of {n} bytes does not fit {frames} frames of {planes} planes of {size}"
            )));
        }
        if size.is_empty() {
            // There is nothing to write, and chunks cannot be empty.
            return (start..start + frames).try_for_each(|frame| self.decode(frame, 0, decoder, &mut []));
        }
        for (i, out) in out.chunks_exact_mut(size.bytes()).enumerate() {
            let (frame, plane) = (start + i / self.planes(), i % self.planes());
            let other = self.shape(frame, plane)?;
            if other != size {
                return Err(Error::Usage(format!(
                    "clip {id}: a stack needs records of one shape, \
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

    /// Builds the error for records of a codec that this program was built without.
    fn not_compiled(&self, codec: Codec) -> Error {
        let (path, clip, stream) = (self.shard.path().to_owned(), self.id().to_owned(), self.spec().name.clone());
        Error::CodecNotCompiled { path, clip, stream, codec }
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

    /// Returns the shape of the record of a plane.
    pub fn shape(&self, plane: usize) -> Result<Shape> {
        self.clip.shape(self.number, plane)
    }

    /// Returns the size of the image of a plane, if it has u8 samples.
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

    /// Decodes a plane into `out`, which must have `shape(plane)?.bytes()` bytes.
    pub fn decode(&self, plane: usize, decoder: &mut Decoder, out: &mut [u8]) -> Result<()> {
        self.clip.decode(self.number, plane, decoder, out)
    }
}

impl IndexEntry {
    /// Returns the shape of the record in a stream. It need not be storable.
    pub(crate) fn shape(&self, spec: &StreamSpec) -> Shape {
        let first = u32::from(self.height.get()) << 16 | u32::from(self.width.get());
        spec.array_of(first).unwrap_or_else(|| {
            let size = ImageSize { width: self.width.get(), height: self.height.get(), channels: self.channels };
            Shape::image(size, spec.samples)
        })
    }
}

/// Returns codec and filter of a checked entry.
fn codec_of(entry: &IndexEntry) -> (Codec, Filter) {
    let codec = Codec::from_byte(entry.codec).expect("checked with the clip's index");
    (codec, Filter::from_byte(entry.filter).expect("checked with the clip's index"))
}

/// Returns the byte range of a record in its file.
fn range_of(entry: &IndexEntry) -> Range<u64> {
    let start = entry.offset.get();
    start..start + u64::from(entry.stored_bytes.get())
}
