//! Access to the bytes of a shard: through a memory map, or by reading the file.

use crate::layout::{HEADER_BYTES, TRAILER_BYTES};
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
    #[default]
    Map,
    /// Reads each record with a system call. Everything after the records, such as the index, is
    /// kept in memory.
    ///
    /// Use it on file systems that cannot map files, or if a failing disk must give an error. With
    /// a map, a failing disk ends the program with SIGBUS.
    Read,
}

/// An open file.
pub(crate) enum Contents {
    Map(Mmap),
    Read {
        file: File,
        length: usize,
        header: [u8; HEADER_BYTES],
        trailer: [u8; TRAILER_BYTES],
        /// The bytes from `tail_at` to the end of the file.
        tail: Vec<u8>,
        tail_at: usize,
    },
}

impl Contents {
    /// Opens the contents of a file of `length` bytes, which must be enough for a header and a
    /// trailer.
    pub fn new(file: File, length: usize, access: Access) -> io::Result<Self> {
        match access {
            Access::Map => {
                // SAFETY: the map is read-only. Shards get their name when they are complete, and
                // are never changed afterwards. If another program shortens the file while it is
                // open, the operating system raises SIGBUS; the documentation of the crate says so.
                #[allow(unsafe_code)]
                let map = unsafe { Mmap::map(&file) }?;
                Ok(Self::Map(map))
            }
            Access::Read => {
                let (mut header, mut trailer) = ([0; HEADER_BYTES], [0; TRAILER_BYTES]);
                read_at(&file, &mut header, 0)?;
                read_at(&file, &mut trailer, length - TRAILER_BYTES)?;
                Ok(Self::Read { file, length, header, trailer, tail: Vec::new(), tail_at: length })
            }
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Map(map) => map.len(),
            Self::Read { length, .. } => *length,
        }
    }

    pub fn header(&self) -> &[u8] {
        match self {
            Self::Map(map) => &map[..HEADER_BYTES],
            Self::Read { header, .. } => header,
        }
    }

    pub fn trailer(&self) -> &[u8] {
        match self {
            Self::Map(map) => &map[map.len() - TRAILER_BYTES..],
            Self::Read { trailer, .. } => trailer,
        }
    }

    /// Loads the bytes from `from` to the end of the file, so that [`Contents::tail`] can return
    /// them.
    pub fn load_tail(&mut self, from: usize) -> io::Result<()> {
        let Self::Read { file, length, tail, tail_at, .. } = self else { return Ok(()) };
        tail.try_reserve_exact(*length - from)?;
        tail.resize(*length - from, 0);
        read_at(file, tail, from)?;
        *tail_at = from;
        Ok(())
    }

    /// Returns bytes of the part that [`Contents::load_tail`] loaded.
    pub fn tail(&self, range: Range<usize>) -> &[u8] {
        match self {
            Self::Map(map) => &map[range],
            Self::Read { tail, tail_at, .. } => &tail[range.start - tail_at..range.end - tail_at],
        }
    }

    /// Returns the bytes of a record.
    pub fn record(&self, range: Range<usize>) -> io::Result<Cow<'_, [u8]>> {
        match self {
            Self::Map(map) => Ok(Cow::Borrowed(&map[range])),
            Self::Read { file, .. } => {
                let mut bytes = vec![0; range.len()];
                read_at(file, &mut bytes, range.start)?;
                Ok(Cow::Owned(bytes))
            }
        }
    }

    /// Returns the bytes of a record. They are read into `scratch` if the file is not mapped.
    pub fn record_in<'a>(&'a self, range: Range<usize>, scratch: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        match self {
            Self::Map(map) => Ok(&map[range]),
            Self::Read { file, .. } => {
                scratch.resize(range.len(), 0);
                read_at(file, scratch, range.start)?;
                Ok(scratch)
            }
        }
    }

    /// Tells the operating system that these bytes will be read soon. Errors are ignored, because
    /// it is only a hint.
    pub fn will_need(&self, range: Range<usize>) {
        #[cfg(unix)]
        if let Self::Map(map) = self {
            let _ = map.advise_range(memmap2::Advice::WillNeed, range.start, range.len());
        }
        #[cfg(target_os = "linux")]
        if let Self::Read { file, .. } = self {
            let bytes = std::num::NonZeroU64::new(range.len() as u64);
            let _ = rustix::fs::fadvise(file, range.start as u64, bytes, rustix::fs::Advice::WillNeed);
        }
        #[cfg(not(unix))]
        let _ = range;
    }
}

/// Reads a part of a file. Any number of threads may do so at the same time.
fn read_at(file: &File, out: &mut [u8], at: usize) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, out, at as u64);
    #[cfg(windows)]
    {
        let mut done = 0;
        while done < out.len() {
            match std::os::windows::fs::FileExt::seek_read(file, &mut out[done..], (at + done) as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => done += n,
            }
        }
        Ok(())
    }
}
