//! Reads regular files only. Without the check, a named pipe could block forever and a device could
//! be read without end.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Opens a regular file for reading. Follows links, and does not block on a pipe without a writer.
///
/// # Errors
///
/// Returns an error of kind [`InvalidInput`](io::ErrorKind::InvalidInput) that names the type of
/// the file if it is not a regular file.
///
/// # Example
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("list.txt"), "a\n")?;
/// assert!(clipshard::open_regular(folder.path().join("list.txt")).is_ok());
/// let error = clipshard::open_regular(folder.path()).unwrap_err();
/// assert_eq!(error.to_string(), "it is a folder, not a regular file");
/// # Ok(())
/// # }
/// ```
pub fn open_regular(path: impl AsRef<Path>) -> io::Result<File> {
    open(path.as_ref())
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // With this flag a pipe without a writer opens immediately. Regular files ignore it.
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    }
    let file = options.open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {}, not a regular file", name(kind))))
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
///
/// Returns an error of kind [`FileTooLarge`](io::ErrorKind::FileTooLarge) if the file is longer,
/// even if the operating system states a smaller size. Otherwise returns the errors of
/// [`open_regular`].
///
/// # Example
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("list.txt");
/// std::fs::write(&path, "abc")?;
/// assert_eq!(clipshard::read_regular(&path, 3)?, b"abc");
/// let error = clipshard::read_regular(&path, 2).unwrap_err();
/// assert_eq!(error.to_string(), "it has more than 2 bytes");
/// # Ok(())
/// # }
/// ```
pub fn read_regular(path: impl AsRef<Path>, most: u64) -> io::Result<Vec<u8>> {
    read(path.as_ref(), most)
}

fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let too_large = || Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {most} bytes")));
    // The stated size only avoids reallocations and needless reading. The number of bytes read
    // decides.
    let stated = file.metadata()?.len();
    if stated > most {
        return too_large();
    }
    let mut bytes = Vec::new();
    bytes.try_reserve(usize::try_from(stated).unwrap_or(usize::MAX)).map_err(|_| io::ErrorKind::OutOfMemory)?;
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return too_large();
    }
    Ok(bytes)
}

/// Describes the type of a file that is not regular.
pub(crate) fn name(kind: std::fs::FileType) -> &'static str {
    if kind.is_dir() {
        return "a folder";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a named pipe";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
        if kind.is_socket() {
            return "a socket";
        }
    }
    "something else"
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn only_regular_files_are_read_and_no_more_than_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "12345").unwrap();
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path("zero")).unwrap();
        assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();

        for name in ["file", "link"] {
            assert_eq!(read_regular(path(name), 5).unwrap(), b"12345");
            assert_eq!(read_regular(path(name), u64::MAX).unwrap(), b"12345");
            let error = read_regular(path(name), 4).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        }
        let refused = |name: &str| read_regular(path(name), 5).unwrap_err().to_string();
        assert_eq!(refused("zero"), "it is a device, not a regular file");
        assert_eq!(refused("pipe"), "it is a named pipe, not a regular file");
        assert_eq!(refused("."), "it is a folder, not a regular file");
        // A socket cannot be opened at all.
        assert!(read_regular(path("socket"), 5).is_err());
        assert_eq!(read_regular(path("none"), 5).unwrap_err().kind(), io::ErrorKind::NotFound);
        // Files of /proc state no size.
        assert!(!read_regular("/proc/self/status", 1 << 20).unwrap().is_empty() || cfg!(not(target_os = "linux")));
    }
}
