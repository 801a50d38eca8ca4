//! The error of this crate.

use std::fmt;
use std::path::PathBuf;

use super::problem::{Names, Problem};
use super::setting::Setting;
use super::skipped::NotWhole;
use crate::clip::Absence;

/// An error of this crate. [`Error::is_usage`] tells a wrong request from bad data.
///
/// A message holds its cause, so that [`std::error::Error::source`] is `None`: it is printed once. Settings go by the names of
/// their fields; [`Error::named`] gives them those of a program's options.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The request itself is wrong: settings that contradict each other, an unknown class, an output that exists.
    Usage(Problem),
    /// A file or folder could not be read or written.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was being done, e.g. "cannot read the list".
        what: &'static str,
        /// The system's own words.
        reason: std::io::Error,
    },
    /// A line of an official list does not say what it should.
    List {
        /// The list file.
        path: PathBuf,
        /// 1-based.
        line: usize,
        /// What is wrong and what was expected.
        what: String,
    },
    /// The input is not what it was said to be (a wrong path, an empty tree, lists that do not fit).
    Input(Problem),
    /// Clips that the lists name are missing or damaged.
    NotWhole(NotWhole),
    /// The one clip that is asked for is missing, damaged or too short.
    Clip(Absence),
    /// A packed data set is damaged.
    Damaged {
        /// The data set.
        path: PathBuf,
        /// Number of findings.
        count: usize,
    },
    /// The shard format refused something.
    Format(clipshard::Error),
    /// An image could not be encoded or written.
    Image {
        /// The image file.
        path: PathBuf,
        /// The encoder's own words.
        reason: image::ImageError,
    },
    /// A build failed after some of its shards were finished.
    Kept {
        /// Why it failed.
        cause: Box<Error>,
        /// Finished shards.
        shards: usize,
        /// Where they are.
        folder: PathBuf,
    },
    /// The machine ran out of something that the work needs. No clip is at fault.
    Machine {
        /// What failed.
        what: String,
        /// The system's own words, where it said something.
        reason: Option<std::io::Error>,
        /// What to do about it.
        cure: Problem,
    },
    /// Ctrl-C or a termination signal.
    Interrupted,
    /// Ctrl-C or a termination signal, after clips of a tree were finished.
    InterruptedTree {
        /// Finished clips.
        clips: u64,
        /// The tree.
        folder: PathBuf,
    },
    /// A result could not be written to stdout.
    Stdout(std::io::Error),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Returns whether the request is wrong rather than the data.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Usage(_) => true,
            Self::Kept { cause, .. } => cause.is_usage(),
            _ => false,
        }
    }

    /// Returns whether the message has lines of its own. Names in it are escaped then; in other messages they may hold line
    /// breaks.
    pub fn has_lines(&self) -> bool {
        match self {
            Self::NotWhole(_) => true,
            Self::Kept { cause, .. } => cause.has_lines(),
            _ => false,
        }
    }

    /// Returns the message with `names` for the settings, such as the options of a program.
    pub fn named<N: Fn(Setting) -> String>(&self, names: N) -> NamedError<'_, N> {
        NamedError { error: self, names }
    }

    pub(crate) fn io(path: impl Into<PathBuf>, what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |reason| Self::Io { path, what, reason }
    }

    pub(crate) fn usage(problem: impl Into<Problem>) -> Self {
        Self::Usage(problem.into())
    }

    pub(crate) fn input(problem: impl Into<Problem>) -> Self {
        Self::Input(problem.into())
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, names: Names<'_>) -> fmt::Result {
        match self {
            Self::Usage(problem) | Self::Input(problem) => f.write_str(&problem.named(names)),
            Self::Io { path, what, reason } => write!(f, "{}: {what}: {reason}", path.display()),
            Self::List { path, line, what } => write!(f, "{}: line {line}: {what}", path.display()),
            Self::NotWhole(not_whole) => not_whole.write(f, names),
            Self::Clip(absence) => write!(f, "{absence}"),
            Self::Damaged { path, count } => {
                let places = if *count == 1 { "place" } else { "places" };
                write!(f, "{}: damaged in {count} {places}", path.display())
            }
            Self::Format(error) => write!(f, "{error}"),
            Self::Image { path, reason } => write!(f, "{}: {reason}", path.display()),
            Self::Kept { cause, shards, folder } => {
                match &**cause {
                    Self::Interrupted => f.write_str("interrupted")?,
                    other => other.write(f, names)?,
                }
                let are = if *shards == 1 { "shard is" } else { "shards are" };
                let (folder, resume) = (folder.display(), names(Setting::Resume));
                write!(
                    f,
                    "; {shards} finished {are} kept in {folder}: the same command with {resume} goes on from there"
                )
            }
            Self::Machine { what, reason, cure } => {
                let reason = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
                write!(f, "{what}{reason}; {}", cure.named(names))
            }
            Self::Interrupted => f.write_str("interrupted; nothing was written"),
            Self::InterruptedTree { clips, folder } => {
                let (folder, resume) = (folder.display(), names(Setting::Resume));
                write!(
                    f,
                    "interrupted; {clips} whole clips are in {folder}: the same command with {resume} goes on from there"
                )
            }
            Self::Stdout(reason) => write!(f, "stdout: cannot write the result: {reason}"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &|setting| setting.to_string())
    }
}

impl std::error::Error for Error {}

impl From<clipshard::Error> for Error {
    fn from(error: clipshard::Error) -> Self {
        Self::Format(error)
    }
}

/// An error whose message has a program's names for the settings.
pub struct NamedError<'a, N> {
    error: &'a Error,
    names: N,
}

impl<N: Fn(Setting) -> String> fmt::Display for NamedError<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.write(f, &self.names)
    }
}

impl<N> fmt::Debug for NamedError<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedError").field("error", self.error).finish_non_exhaustive()
    }
}
