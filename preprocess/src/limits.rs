//! Limits of the system for this process.

/// Number of open files that the programs may need.
#[cfg(unix)]
const WANTED_FILES: u64 = 1 << 16;

/// Raises the limit of open files to 65,536, or to the highest value that the system allows.
/// Systems start programs with 256 or 1,024.
pub fn raise_open_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let wanted = maximum.map_or(WANTED_FILES, |maximum| maximum.min(WANTED_FILES));
        if current.is_some_and(|current| current < wanted) {
            // If this fails, the limit stays. The error for too many open files explains how to raise it.
            let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
        }
    }
}
