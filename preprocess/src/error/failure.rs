//! The error of this crate.

use std::fmt;
use std::path::PathBuf;

use super::problem::{Names, Problem};
use super::setting::Setting;
use super::skipped::NotWhole;
use crate::clip::Absence;
use crate::escape::escape;

/// An error of this crate. [`Error::is_usage`] distinguishes wrong requests from bad data.
///
/// A message contains its cause, so [`std::error::Error::source`] is `None`. Messages name settings by their fields;
/// [`Error::named`] replaces them with the names of a program's options.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The request is wrong: settings contradict each other, a class is unknown, or the output exists.
    Usage(Problem),
    /// A file or folder could not be read or written.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The failed action, such as "cannot read the list".
        what: &'static str,
        /// The error of the system.
        reason: std::io::Error,
    },
    /// A line of a split list is invalid.
    List {
        /// The list file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// The fault, and what was expected.
        what: String,
    },
    /// The input is wrong: a path does not exist, a tree is empty, or lists belong to another dataset.
    Input(Problem),
    /// Clips of the lists are missing or damaged.
    NotWhole(NotWhole),
    /// The only requested clip is missing, damaged or too short.
    Clip(Absence),
    /// A packed dataset is damaged.
    Damaged {
        /// Folder of the dataset.
        path: PathBuf,
        /// Number of damaged places.
        count: usize,
    },
    /// An error of the shard format.
    Format(clipshard::Error),
    /// An image could not be encoded.
    Image {
        /// The image file.
        path: PathBuf,
        /// The error of the encoder.
        reason: image::ImageError,
    },
    /// A build failed after it finished some shards.
    Kept {
        /// The reason of the failure.
        cause: Box<Error>,
        /// Number of finished shards.
        shards: usize,
        /// The folder that holds them.
        folder: PathBuf,
    },
    /// The machine ran out of a resource, such as memory or open files. The data is not at fault.
    Machine {
        /// The failed action.
        what: String,
        /// The error of the system, if there is one.
        reason: Option<std::io::Error>,
        /// The cure.
        cure: Problem,
    },
    /// Ctrl-C or a termination signal.
    Interrupted,
    /// Ctrl-C or a termination signal, after some clips of a tree were complete.
    InterruptedTree {
        /// Number of complete clips.
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

    /// Returns whether the message has several lines. Names in such a message are escaped already;
    /// in other messages they may contain line breaks.
    pub fn has_lines(&self) -> bool {
        match self {
            Self::NotWhole(_) => true,
            Self::Kept { cause, .. } => cause.has_lines(),
            _ => false,
        }
    }

    /// Returns the message with other names for the settings, such as the options of a program.
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
                let path = path.display();
                write!(f, "{path} is damaged in {count} {places}; copy it again, or pack it again")
            }
            Self::Format(error) => write!(f, "{error}"),
            Self::Image { path, reason } => write!(f, "{}: cannot encode the image: {reason}", path.display()),
            Self::Kept { cause, shards, folder } => {
                match &**cause {
                    Self::Interrupted => f.write_str("interrupted")?,
                    other => other.write(f, names)?,
                }
                let are = if *shards == 1 { "shard is" } else { "shards are" };
                // A message with several lines gets one more.
                let separator = if cause.has_lines() { "\n" } else { "; " };
                let folder = folder.display().to_string();
                let folder = if cause.has_lines() { escape(&folder) } else { folder.as_str().into() };
                let resume = names(Setting::Resume);
                write!(
                    f,
                    "{separator}{shards} finished {are} kept in {folder}; run the same command with {resume} to \
                     continue"
                )
            }
            Self::Machine { what, reason, cure } => {
                let reason = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
                write!(f, "{what}{reason}; {}", cure.named(names))
            }
            Self::Interrupted => f.write_str("interrupted; nothing was written"),
            Self::InterruptedTree { clips, folder } => {
                let (folder, resume) = (folder.display(), names(Setting::Resume));
                let are = if *clips == 1 { "complete clip is" } else { "complete clips are" };
                write!(f, "interrupted; {clips} {are} in {folder}; run the same command with {resume} to continue")
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

/// An error that is shown with a program's names for the settings.
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
