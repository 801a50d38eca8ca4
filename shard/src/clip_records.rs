//! The records of one clip: their stored bytes, checked, and their images.

use crate::codec::{Codec, Decoder, EncodedRecord, Filter, ImageSize, Window};
use crate::error::{Error, Result};
use crate::layout::IndexEntry;
use crate::shard::Shard;
use std::borrow::Cow;
use std::ops::Range;

/// The records of one clip, whose index is as its checksum says and keeps the format's rules.
#[derive(Clone, Copy)]
pub struct ClipRecords<'a> {
    shard: &'a Shard,
    clip: usize,
    first: usize,
    entries: &'a [IndexEntry],
}

/// The stored bytes of one record, as their checksum says.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// The stored bytes: in the map, or a copy where there is none.
    pub bytes: Cow<'a, [u8]>,
    /// Size of the decoded image.
    pub size: ImageSize,
    /// What the bytes are.
    pub codec: Codec,
    /// What was done to the pixels before they were compressed.
    pub filter: Filter,
}

impl From<Record<'_>> for EncodedRecord {
    /// For another shard.
    fn from(record: Record<'_>) -> Self {
        Self::new(record.bytes.into_owned(), record.size, record.codec, record.filter)
    }
}

impl<'a> ClipRecords<'a> {
    /// Records from number `first` on, whose index entries were checked.
    pub(crate) fn new(shard: &'a Shard, clip: usize, first: usize, entries: &'a [IndexEntry]) -> Self {
        Self { shard, clip, first, entries }
    }

    /// The clip's id.
    pub fn id(&self) -> &'a str {
        self.shard.clip_id(self.clip)
    }

    /// Frames.
    pub fn frames(&self) -> usize {
        self.entries.len() / self.planes()
    }

    /// Records a frame.
    pub fn planes(&self) -> usize {
        self.shard.spec().planes as usize
    }

    /// Size of a decoded record. Panics where there is no such record.
    pub fn size(&self, frame: usize, plane: usize) -> ImageSize {
        self.entries[frame * self.planes() + plane].size()
    }

    /// Stored bytes, codec and filter of a record, without reading it. Panics where there is no such record.
    pub fn stored(&self, frame: usize, plane: usize) -> (u32, Codec, Filter) {
        let entry = &self.entries[frame * self.planes() + plane];
        let codec = Codec::from_byte(entry.codec).expect("checked with the clip's index");
        let filter = Filter::from_byte(entry.filter).expect("checked with the clip's index");
        (entry.stored_bytes.get(), codec, filter)
    }

    /// The record of a frame and plane, both from 0, its bytes checked against their checksum.
    pub fn record(&self, frame: usize, plane: usize) -> Result<Record<'a>> {
        let entry = self.entry(frame, plane)?;
        let (_, codec, filter) = self.stored(frame, plane);
        let bytes =
            self.shard.contents().record(range_of(entry)).map_err(|e| Error::io(self.shard.path(), "read it")(e))?;
        self.check(frame, plane, entry, &bytes)?;
        Ok(Record { bytes, size: entry.size(), codec, filter })
    }

    fn entry(&self, frame: usize, plane: usize) -> Result<&'a IndexEntry> {
        if frame >= self.frames() || plane >= self.planes() {
            let (id, frames) = (self.id(), self.frames());
            let stream = &self.shard.spec().name;
            return Err(Error::Usage(format!(
                "{id} has {frames} {stream} frames; frame {frame} plane {plane} is none of them"
            )));
        }
        Ok(&self.entries[frame * self.planes() + plane])
    }

    fn check(&self, frame: usize, plane: usize, entry: &IndexEntry, bytes: &[u8]) -> Result<()> {
        let found = crc32fast::hash(bytes);
        if found != entry.crc32.get() {
            return Err(self.damage(frame, plane, format!("checksum {found:08x} differs from {:08x}", entry.crc32)));
        }
        Ok(())
    }

    /// Decodes one record into `out`, `size(frame, plane).bytes()` long: rows, channels interleaved.
    pub fn decode(&self, frame: usize, plane: usize, decoder: &mut Decoder, out: &mut [u8]) -> Result<()> {
        let whole = self.entry(frame, plane)?.size().whole();
        self.decode_window(frame, plane, whole, decoder, out)
    }

    /// Decodes a part of one record into `out`, which has the window's size. Of a JPEG only that part is decoded, and what is
    /// needed to get there.
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
            return Err(Error::Usage(format!("{id}: a buffer of {n} bytes for {window} of an image of {size}")));
        }
        let (_, codec, filter) = self.stored(frame, plane);
        // Out of the decoder, which is needed as a whole; its memory stays.
        let mut scratch = std::mem::take(&mut decoder.stored);
        let bytes = self.shard.contents().record_in(range_of(entry), &mut scratch);
        let bytes = bytes.map_err(|e| Error::io(self.shard.path(), "read it")(e));
        let decoded = bytes.and_then(|bytes| {
            self.check(frame, plane, entry, bytes)?;
            let fault =
                |fault| self.damage(frame, plane, format!("its checksum fits but it cannot be decoded: {fault}"));
            decoder.decode(bytes, size, (codec, filter), window, out).map_err(fault)
        });
        decoder.stored = scratch;
        decoded
    }

    /// Tells the system that all records of these frames will be read soon.
    pub fn will_need(&self, frames: Range<usize>) {
        let records = frames.start * self.planes()..(frames.end * self.planes()).min(self.entries.len());
        let entries = &self.entries[records];
        if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
            self.shard.contents().will_need(range_of(first).start..range_of(last).end);
        }
    }

    /// Decodes `frames` frames from `start` on, all planes, one after the other: for flow the stack
    /// `[2 * frames, height, width]`, x and y of each frame adjacent. All records must have the same size.
    pub fn decode_stack(&self, start: usize, frames: usize, decoder: &mut Decoder, out: &mut [u8]) -> Result<()> {
        let (id, have) = (self.id(), self.frames());
        if frames == 0 || start.saturating_add(frames) > have {
            return Err(Error::Usage(format!("{id} has {have} frames, not {frames} from frame {start} on")));
        }
        let size = self.size(start, 0);
        if out.len() != frames * self.planes() * size.bytes() {
            let n = out.len();
            return Err(Error::Usage(format!("{id}: a buffer of {n} bytes for {frames} frames of {size}")));
        }
        for (i, out) in out.chunks_exact_mut(size.bytes()).enumerate() {
            let (frame, plane) = (start + i / self.planes(), i % self.planes());
            let other = self.size(frame, plane);
            if other != size {
                return Err(Error::Usage(format!("{id}: frame {frame} is {other}, frame {start} is {size}: no stack")));
            }
            self.decode(frame, plane, decoder, out)?;
        }
        Ok(())
    }

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

/// Where a record lies in its file.
fn range_of(entry: &IndexEntry) -> Range<usize> {
    let start = entry.offset.get() as usize;
    start..start + entry.stored_bytes.get() as usize
}

impl ClipRecords<'_> {
    /// Where the clip's records start and end in the file: one contiguous range.
    pub fn byte_range(&self) -> (u64, u64) {
        let last = &self.entries[self.entries.len() - 1];
        (self.entries[0].offset.get(), last.offset.get() + u64::from(last.stored_bytes.get()))
    }
}
