//! What can go wrong, each error with what was expected and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::console::escape;

/// An error of this crate. [`Error::is_usage`] tells a wrong command from bad data.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request itself is wrong: options that contradict each other, an unknown class, an output that exists.
    #[error("{0}")]
    Usage(String),
    /// A file or folder could not be read or written.
    #[error("{}: {what}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was being done, e.g. "cannot read the list".
        what: &'static str,
        /// The system's own words.
        source: std::io::Error,
    },
    /// A line of an official list does not say what it should.
    #[error("{}: line {line}: {what}", path.display())]
    List {
        /// The list file.
        path: PathBuf,
        /// 1-based.
        line: usize,
        /// What is wrong and what was expected.
        what: String,
    },
    /// The input is not what it was said to be (a wrong path, an empty tree, lists that do not fit).
    #[error("{0}")]
    Input(String),
    /// Clips that the lists name are missing or damaged.
    #[error("{0}")]
    NotWhole(NotWhole),
    /// A packed data set is damaged.
    #[error("{}: damaged in {count} {}", path.display(), if *count == 1 { "place" } else { "places" })]
    Damaged {
        /// The data set.
        path: PathBuf,
        /// Number of findings.
        count: usize,
    },
    /// The shard format refused something.
    #[error(transparent)]
    Format(#[from] clipshard::Error),
    /// An image could not be encoded or written.
    #[error("{}: {source}", path.display())]
    Image {
        /// The image file.
        path: PathBuf,
        /// The encoder's own words.
        source: image::ImageError,
    },
    /// A build failed after some of its shards were finished.
    #[error("{}; {shards} finished {} kept in {}: the same command with --resume goes on from there",
        match &**cause { Self::Interrupted => "interrupted".to_owned(), other => other.to_string() },
        if *shards == 1 { "shard is" } else { "shards are" }, folder.display())]
    Kept {
        /// Why it failed.
        cause: Box<Error>,
        /// Finished shards.
        shards: usize,
        /// Where they are.
        folder: PathBuf,
    },
    /// The machine ran out of something that the work needs. No clip is at fault.
    #[error("{what}{}; {cure}", source.as_ref().map_or_else(String::new, |source| format!(": {source}")))]
    Machine {
        /// What failed.
        what: String,
        /// The system's own words, where it said something.
        source: Option<std::io::Error>,
        /// What to do about it.
        cure: &'static str,
    },
    /// Ctrl-C or a termination signal.
    #[error("interrupted; nothing was written")]
    Interrupted,
    /// Ctrl-C or a termination signal, after clips of a tree were finished.
    #[error("interrupted; {clips} whole clips are in {}: the same command with --resume goes on from there", folder.display())]
    InterruptedTree {
        /// Finished clips.
        clips: u64,
        /// The tree.
        folder: PathBuf,
    },
    /// A result could not be written to stdout.
    #[error("stdout: cannot write the result: {0}")]
    Stdout(#[source] std::io::Error),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the command is wrong rather than the data: exit status 2 instead of 1.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Usage(_) => true,
            Self::Kept { cause, .. } => cause.is_usage(),
            _ => false,
        }
    }

    /// Whether the text has lines of its own. Names in it are escaped then; in other texts they may hold line breaks.
    pub fn has_lines(&self) -> bool {
        match self {
            Self::NotWhole(_) => true,
            Self::Kept { cause, .. } => cause.has_lines(),
            _ => false,
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>, what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, what, source }
    }
}

/// Turns an error into [`Error::Machine`] where it tells of the machine (open files, processes, memory), whatever file was
/// being read. Other errors come back.
pub(crate) fn machine_fault(what: &str, source: std::io::Error) -> Result<Error, std::io::Error> {
    let Some(cure) = machine_cure(&source) else { return Err(source) };
    Ok(Error::Machine { what: what.to_owned(), source: Some(source), cure })
}

/// What to do about an error that is the machine's; `None` for any other.
#[cfg(unix)]
pub(crate) fn machine_cure(error: &std::io::Error) -> Option<&'static str> {
    use rustix::io::Errno;
    let files = "raise the limit of open files (ulimit -n 4096), or use fewer --jobs, and run this again";
    let errno = Errno::from_io_error(error)?;
    match errno {
        Errno::MFILE | Errno::NFILE => Some(files),
        Errno::AGAIN => Some("raise the limit of processes (ulimit -u), or use fewer --jobs, and run this again"),
        Errno::NOMEM => Some("memory ran out: use fewer --jobs, and run this again"),
        _ => None,
    }
}

/// What to do about an error that is the machine's; `None` for any other.
#[cfg(not(unix))]
pub(crate) fn machine_cure(error: &std::io::Error) -> Option<&'static str> {
    (error.kind() == std::io::ErrorKind::OutOfMemory).then_some("memory ran out: use fewer --jobs, and run this again")
}

/// A clip that is left out of the data set, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Skipped {
    /// Canonical clip id, e.g. `v_Archery_g01_c03`.
    pub clip: String,
    /// The reason in words, with the file where there is one.
    pub reason: String,
}

/// The clips that keep a tree from being whole.
#[derive(Debug)]
pub struct NotWhole {
    /// Every damaged or missing clip, in order of ids.
    pub faults: Vec<Skipped>,
    /// Number of clips that the lists ask for.
    pub asked: usize,
    /// The tree or the folder of videos, as the user knows it.
    pub tree: String,
}

/// How many clips an error names before it only counts.
const NAMED: usize = 10;

impl fmt::Display for NotWhole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tree = escape(&self.tree);
        write!(f, "{tree} is not whole: {} of {} clips cannot be packed", self.faults.len(), self.asked)?;
        for fault in self.faults.iter().take(NAMED) {
            write!(f, "\n  {}: {}", escape(&fault.clip), escape(&fault.reason))?;
        }
        if self.faults.len() > NAMED {
            write!(f, "\n  ... and {} more", self.faults.len() - NAMED)?;
        }
        write!(f, "\nmend them, or pack the rest with --keep-going")
    }
}

/// `path` as the user typed it, for messages.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}
