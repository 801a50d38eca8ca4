//! What the system allows this program.

/// Files that a program of this project may want open at a time; more are not asked for.
#[cfg(unix)]
const WANTED_FILES: u64 = 1 << 16;

/// Raises the limit of open files as far as the user may, up to 65,536. Systems start programs with 256 or 1,024.
pub fn raise_open_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let wanted = maximum.map_or(WANTED_FILES, |maximum| maximum.min(WANTED_FILES));
        if current.is_some_and(|current| current < wanted) {
            // Refused, it stays as it was; whoever runs out of files is told then.
            let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
        }
    }
}
