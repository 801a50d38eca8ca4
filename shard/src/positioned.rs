//! Reads parts of a file from any number of threads.

use std::fs::File;
use std::io;
use std::ops::Range;
#[cfg(not(any(unix, windows)))]
use std::sync::{Mutex, PoisonError};

/// A file. Any number of threads may read parts of it at the same time.
pub(crate) struct PositionedFile {
    #[cfg(any(unix, windows))]
    file: File,
    /// Systems other than Unix and Windows read at the position of the file, so that one thread at a
    /// time may move it.
    #[cfg(not(any(unix, windows)))]
    file: Mutex<File>,
}

impl PositionedFile {
    pub fn new(file: File) -> Self {
        #[cfg(not(any(unix, windows)))]
        let file = Mutex::new(file);
        Self { file }
    }

    /// Reads exactly `out.len()` bytes that start at byte `at`.
    pub fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<()> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_exact_at(&self.file, out, at);
        #[cfg(windows)]
        {
            let mut done = 0;
            while done < out.len() {
                match std::os::windows::fs::FileExt::seek_read(&self.file, &mut out[done..], at + done as u64)? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    n => done += n,
                }
            }
            Ok(())
        }
        #[cfg(not(any(unix, windows)))]
        {
            use io::{Read, Seek};
            // A thread that panicked has not broken the file: each read sets the position first.
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(io::SeekFrom::Start(at))?;
            file.read_exact(out)
        }
    }

    /// Tells the operating system that these bytes will be read soon. Errors are ignored, because
    /// it is only a hint.
    pub fn will_need(&self, range: Range<u64>) {
        #[cfg(target_os = "linux")]
        {
            let bytes = std::num::NonZeroU64::new(range.end - range.start);
            let _ = rustix::fs::fadvise(&self.file, range.start, bytes, rustix::fs::Advice::WillNeed);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (self, range);
    }
}
