//! Access to the bytes of a shard: through a memory map, in memory, or by reading the file.
//!
//! Offsets have 64 bits. On a system of 32 bits, a file that is read may thus be larger than memory.

use crate::layout::{HEADER_BYTES, TRAILER_BYTES};
use crate::positioned::PositionedFile;
#[cfg(any(unix, windows))]
use memmap2::Mmap;
use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::ops::Range;

/// The way in which the records of a shard are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Access {
    /// Reads from a read-only memory map, without a copy.
    ///
    /// Unix and Windows have memory maps. On a system of 32 bits, a shard of some GiB does not fit.
    #[default]
    Map,
    /// Reads each record with a system call. Everything after the records, such as the index, is
    /// kept in memory.
    ///
    /// Use it on file systems that cannot map files, or if a failing disk must give an error. With
    /// a map, a failing disk ends the program with SIGBUS.
    Read,
}

/// The bytes of a shard.
pub(crate) enum Contents {
    #[cfg(any(unix, windows))]
    Map(Mmap),
    Bytes(Cow<'static, [u8]>),
    Read(ReadFile),
}

/// A file whose records are read one by one.
pub(crate) struct ReadFile {
    file: PositionedFile,
    length: u64,
    header: [u8; HEADER_BYTES],
    trailer: [u8; TRAILER_BYTES],
    /// The bytes from `tail_at` to the end of the file.
    tail: Vec<u8>,
    tail_at: u64,
}

/// The place of the bytes.
enum Place<'a> {
    Memory(&'a [u8]),
    File(&'a ReadFile),
}

impl Contents {
    /// Opens the contents of a file of `length` bytes, which must be enough for a header and a
    /// trailer.
    pub fn new(file: File, length: u64, access: Access) -> io::Result<Self> {
        match access {
            Access::Map => map(&file, length),
            Access::Read => {
                let file = PositionedFile::new(file);
                let (mut header, mut trailer) = ([0; HEADER_BYTES], [0; TRAILER_BYTES]);
                file.read_at(&mut header, 0)?;
                file.read_at(&mut trailer, length - TRAILER_BYTES as u64)?;
                Ok(Self::Read(ReadFile { file, length, header, trailer, tail: Vec::new(), tail_at: length }))
            }
        }
    }

    fn place(&self) -> Place<'_> {
        match self {
            #[cfg(any(unix, windows))]
            Self::Map(map) => Place::Memory(map),
            Self::Bytes(bytes) => Place::Memory(bytes),
            Self::Read(file) => Place::File(file),
        }
    }

    pub fn len(&self) -> u64 {
        match self.place() {
            Place::Memory(bytes) => bytes.len() as u64,
            Place::File(file) => file.length,
        }
    }

    pub fn header(&self) -> &[u8] {
        match self.place() {
            Place::Memory(bytes) => &bytes[..HEADER_BYTES],
            Place::File(file) => &file.header,
        }
    }

    pub fn trailer(&self) -> &[u8] {
        match self.place() {
            Place::Memory(bytes) => &bytes[bytes.len() - TRAILER_BYTES..],
            Place::File(file) => &file.trailer,
        }
    }

    /// Loads the bytes from `from` to the end of the file, so that [`Contents::tail`] can return
    /// them.
    pub fn load_tail(&mut self, from: u64) -> io::Result<()> {
        let Self::Read(ReadFile { file, length, tail, tail_at, .. }) = self else { return Ok(()) };
        resize(tail, *length - from)?;
        file.read_at(tail, from)?;
        *tail_at = from;
        Ok(())
    }

    /// Returns bytes of the part that [`Contents::load_tail`] loaded.
    pub fn tail(&self, range: Range<u64>) -> &[u8] {
        match self.place() {
            Place::Memory(bytes) => &bytes[in_memory(range)],
            Place::File(ReadFile { tail, tail_at, .. }) => &tail[in_memory(range.start - tail_at..range.end - tail_at)],
        }
    }

    /// Returns the bytes of a record.
    pub fn record(&self, range: Range<u64>) -> io::Result<Cow<'_, [u8]>> {
        match self.place() {
            Place::Memory(bytes) => Ok(Cow::Borrowed(&bytes[in_memory(range)])),
            Place::File(ReadFile { file, .. }) => {
                let mut bytes = Vec::new();
                resize(&mut bytes, range.end - range.start)?;
                file.read_at(&mut bytes, range.start)?;
                Ok(Cow::Owned(bytes))
            }
        }
    }

    /// Returns the bytes of a record. They are read into `scratch` if the file is not in memory.
    pub fn record_in<'a>(&'a self, range: Range<u64>, scratch: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        match self.place() {
            Place::Memory(bytes) => Ok(&bytes[in_memory(range)]),
            Place::File(ReadFile { file, .. }) => {
                resize(scratch, range.end - range.start)?;
                file.read_at(scratch, range.start)?;
                Ok(scratch)
            }
        }
    }

    /// Tells the operating system that these bytes will be read soon. Errors are ignored, because
    /// it is only a hint.
    pub fn will_need(&self, range: Range<u64>) {
        match self {
            #[cfg(unix)]
            Self::Map(map) => {
                let range = in_memory(range);
                let _ = map.advise_range(memmap2::Advice::WillNeed, range.start, range.len());
            }
            #[cfg(windows)]
            Self::Map(_) => {}
            Self::Bytes(_) => {}
            Self::Read(ReadFile { file, .. }) => file.will_need(range),
        }
    }
}

#[cfg(any(unix, windows))]
fn map(file: &File, length: u64) -> io::Result<Contents> {
    // The sizes of slices are limited to half of the addresses.
    if isize::try_from(length).is_err() {
        let fault = format!("it has {length} bytes, more than this program can address; use Access::Read");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, fault));
    }
    // SAFETY: the map is read-only. Shards get their name when they are complete, and are never
    // changed afterwards. If another program shortens the file while it is open, the operating
    // system raises SIGBUS; the documentation of the crate says so.
    #[allow(unsafe_code)]
    let map = unsafe { Mmap::map(file) }?;
    Ok(Contents::Map(map))
}

#[cfg(not(any(unix, windows)))]
fn map(_: &File, _: u64) -> io::Result<Contents> {
    let fault = "this system has no memory maps; use Access::Read";
    Err(io::Error::new(io::ErrorKind::Unsupported, fault))
}

/// Converts a range of bytes that are in memory, whose offsets therefore fit.
fn in_memory(range: Range<u64>) -> Range<usize> {
    range.start as usize..range.end as usize
}

/// Changes the length of a buffer. Returns an error if there is no memory for it.
fn resize(buffer: &mut Vec<u8>, length: u64) -> io::Result<()> {
    let none = || io::Error::new(io::ErrorKind::OutOfMemory, format!("no memory for {length} bytes of it"));
    let length = usize::try_from(length).map_err(|_| none())?;
    buffer.try_reserve_exact(length.saturating_sub(buffer.len())).map_err(|_| none())?;
    buffer.resize(length, 0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_bytes_than_memory_give_an_error() {
        let mut buffer = vec![1; 10];
        let error = resize(&mut buffer, u64::MAX / 2).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
        assert_eq!(error.to_string(), "no memory for 9223372036854775807 bytes of it");
        resize(&mut buffer, 3).unwrap();
        assert_eq!(buffer, [1; 3]);
    }
}
