//! Writes a file whole or not at all.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Puts bytes in place of `path`: a temporary file beside it, brought to the disk, renamed.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".partial-").tempfile_in(dir)?;
    file.write_all(bytes)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Temporary files are private; results are as readable as any other new file of the usual umask.
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    // Where a folder cannot be synced (Windows), the rename itself is all there is.
    let _ = File::open(dir).and_then(|dir| dir.sync_all());
    Ok(())
}
