//! Turns errors of the crates into Python exceptions, and makes those of the bindings.
//!
//! `python/clipshard/_errors.py` defines the classes. Each function here can be called with or
//! without the GIL, so that `.map_err(error::shard)?` works everywhere.

use pyo3::exceptions::{PyIndexError, PyMemoryError, PyOSError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};
use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};

/// A class of `clipshard._errors`.
#[derive(Clone, Copy)]
enum Class {
    Error,
    Damage,
    NotFound,
    Option,
    Closed,
    State,
    StreamType,
}

impl Class {
    fn get(self, py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
        static CLASSES: [PyOnceLock<Py<PyType>>; 7] = [const { PyOnceLock::new() }; 7];
        let name = match self {
            Self::Error => "Error",
            Self::Damage => "DamageError",
            Self::NotFound => "NotFoundError",
            Self::Option => "OptionError",
            Self::Closed => "ClosedError",
            Self::State => "StateError",
            Self::StreamType => "StreamTypeError",
        };
        CLASSES[self as usize].import(py, "clipshard._errors", name)
    }

    /// Makes an exception of this class.
    fn with(self, text: impl Into<String>) -> PyErr {
        let text = text.into();
        Python::attach(|py| match self.get(py).and_then(|class| class.call1((text,))) {
            Ok(exception) => PyErr::from_value(exception),
            Err(error) => error,
        })
    }
}

/// Makes the exception for an argument with a value that is not allowed: an `OptionError`.
pub fn option(text: impl Into<String>) -> PyErr {
    Class::Option.with(text)
}

/// Makes the exception for an unknown name: a `NotFoundError`.
pub fn not_found(text: impl Into<String>) -> PyErr {
    Class::NotFound.with(text)
}

/// Makes the exception for a closed object: a `ClosedError`.
pub fn closed(text: impl Into<String>) -> PyErr {
    Class::Closed.with(text)
}

/// Makes the exception for a state of another loader: a `StateError`.
pub fn state(text: impl Into<String>) -> PyErr {
    Class::State.with(text)
}

/// Makes the exception for a stream of a form that the caller does not support: a
/// `StreamTypeError`.
pub fn stream_type(text: impl Into<String>) -> PyErr {
    Class::StreamType.with(text)
}

/// Makes the exception for an argument of a wrong type: the built-in `TypeError`.
pub fn wrong_type(text: impl Into<String>) -> PyErr {
    PyTypeError::new_err(text.into())
}

/// Makes the exception for a number out of range: the built-in `IndexError`.
pub fn index(text: impl Into<String>) -> PyErr {
    PyIndexError::new_err(text.into())
}

/// Makes the exception for memory that is not sufficient: the built-in `MemoryError`.
pub fn memory(text: impl Into<String>) -> PyErr {
    PyMemoryError::new_err(text.into())
}

/// Makes the exception for an error that no other function here fits: an `Error`.
pub fn other(text: impl Into<String>) -> PyErr {
    Class::Error.with(text)
}

/// Makes a `DamageError`.
fn damage(text: String, file: &Path, clip: Option<&str>) -> PyErr {
    let make = |py: Python<'_>| {
        let details = PyDict::new(py);
        details.set_item("clip", clip)?;
        details.set_item("file", file.as_os_str())?;
        Ok(PyErr::from_value(Class::Damage.get(py)?.call((text,), Some(&details))?))
    };
    Python::attach(|py| make(py).unwrap_or_else(|error| error))
}

/// Makes the exception for an error of the file system: the subclass of `OSError` that fits its
/// number, with the name of the file.
pub fn file(action: &str, path: &Path, reason: &io::Error) -> PyErr {
    // Without a number, Python would not print the text.
    let number = reason.raw_os_error().unwrap_or(match reason.kind() {
        io::ErrorKind::InvalidInput => EINVAL,
        _ => EIO,
    });
    // Python prints the number and the path itself.
    let reason = match reason.kind() {
        io::ErrorKind::UnexpectedEof => "the file ends too early, so something has shortened it".to_owned(),
        _ => reason.to_string().replace(&format!(" (os error {number})"), ""),
    };
    os_error(number, format!("{action}: {reason}"), path)
}

fn os_error(number: i32, text: String, path: &Path) -> PyErr {
    PyOSError::new_err((number, text, path.as_os_str().to_owned()))
}

/// Numbers of errors, which are the same on all systems that Python knows: of a missing file, of a
/// failure to read or write, and of a wrong argument.
const ENOENT: i32 = 2;
const EIO: i32 = 5;
const EINVAL: i32 = 22;

/// Turns an error of the crate `clipshard` into an exception.
pub fn shard(error: clipshard::Error) -> PyErr {
    use clipshard::Error as E;
    let text = error.to_string();
    match error {
        E::Io { path, action, reason } => file(&format!("cannot {action}"), &path, &reason),
        E::Map { path, reason } => {
            file("cannot map it into memory; open the dataset with access=\"read\"", &path, &reason)
        }
        E::NoManifest { dir } => os_error(ENOENT, no_manifest(&dir), &dir),
        E::MissingShard { path, stream } => {
            let text = format!(
                "this shard of stream {stream} is missing; copy it here again, \
                 or name only the other streams: Dataset(path, streams=[...])"
            );
            os_error(ENOENT, text, &path)
        }
        E::Record { path, clip, .. } | E::ClipIndex { path, clip, .. } => damage(text, &path, Some(&clip)),
        E::Manifest { path, .. }
        | E::ManifestChecksum { path, .. }
        | E::ForeignShard { path }
        | E::Rebuild { dir: path, .. }
        | E::Journal { path, .. }
        | E::NotAShard { path }
        | E::Length { path, .. }
        | E::Damaged { path, .. } => damage(text, &path, None),
        E::StreamFeature { stream, unknown, path } => other(format!(
            "{}: stream {stream} needs format features {unknown}, which this version does not know; \
             update clipshard, or name only the other streams: Dataset(path, streams=[...])",
            path.display()
        )),
        E::NotOpen { dir, stream } => not_found(format!(
            "{}: stream {stream} is not open; name it when you open the dataset: Dataset(path, streams=[{stream:?}])",
            dir.display()
        )),
        E::NoStream { dir, stream, known } => not_found(unknown_name(&dir, "stream", &stream, &known)),
        E::NoSplit { dir, split, known } => not_found(unknown_name(&dir, "split", &split, &known)),
        E::NoFrames { .. } => not_found(format!("{text}; ask clip.streams for the streams of the clip")),
        E::NoClip { .. } => index(text),
        E::Usage(_) => option(text),
        _ => other(text),
    }
}

/// Says why a folder is not a dataset.
fn no_manifest(dir: &Path) -> String {
    let Ok(mut files) = std::fs::read_dir(dir) else {
        let found = if dir.exists() { "not a folder" } else { "no such folder" };
        return format!("{found}; name the folder of a packed dataset");
    };
    let is_journal = |file: io::Result<std::fs::DirEntry>| {
        file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with(".writing"))
    };
    if files.any(is_journal) {
        return "a Writer has not finished this dataset; continue with Writer(..., mode=\"resume\"), and call finish() \
                or leave its with block"
            .to_owned();
    }
    "no manifest.json here; name the folder of a packed dataset".to_owned()
}

/// Says that a dataset has nothing of this kind and name.
pub fn unknown_name<S: AsRef<str>>(dir: &Path, kind: &str, name: &str, known: &[S]) -> String {
    let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", few(known)) };
    format!("{}: no {kind} {name:?} in this dataset; {known}", dir.display())
}

/// Joins names. Counts those after the first 20.
pub fn few<S: AsRef<str>>(names: &[S]) -> String {
    let first: Vec<&str> = names.iter().take(20).map(AsRef::as_ref).collect();
    let more = names.len() - first.len();
    if more == 0 { first.join(", ") } else { format!("{} and {more} more", first.join(", ")) }
}

/// Turns an error of the crate `clip-loader` into an exception.
pub fn loader(error: clip_loader::Error) -> PyErr {
    use clip_loader::Error as E;
    let text = chain(&error);
    match error {
        E::Shard(error) => shard(error),
        E::NoSplit { dir, split, known } => not_found(unknown_name(&dir, "split", &split, &known)),
        E::NoGroup { .. } => not_found(text),
        E::NotImages { .. } => stream_type(format!("{text}, or read arrays with clip.read")),
        E::TooShort { .. } => option(format!("{text}; use fewer frames, or pass short=\"omit\", \"loop\" or \"hold\"")),
        E::TooSmall { .. } => option(format!("{text}; use a smaller size")),
        E::NothingToTrain | E::Option { .. } => option(text),
        E::NothingToReplace(source) => match damaged(&source) {
            Some((file, clip)) => damage(text, &file, Some(&clip)),
            None => other(text),
        },
        E::Memory { .. } => memory(format!("{text}; use smaller batches or fewer threads")),
        E::Thread(reason) => {
            let text = format!("cannot start a thread that decodes: {reason}; use fewer threads");
            reason
                .raw_os_error()
                .map_or_else(|| PyOSError::new_err(text.clone()), |number| PyOSError::new_err((number, text.clone())))
        }
        E::Panicked { .. } => other(format!("{text}; this is a defect of clipshard: please report it")),
        E::Stopped => closed(format!("{text}; make another loader and load the state of this one")),
        E::OtherSamples => state(format!("{text}; make the loader with the arguments of the one that saved the state")),
        E::BehindTheEnd { .. } => {
            state(format!("{text}; use the dataset and the view of the loader that saved the state"))
        }
        E::Other(error) => foreign(error),
        _ => other(text),
    }
}

/// Returns file and clip of a damage.
fn damaged(error: &clip_loader::Error) -> Option<(PathBuf, String)> {
    match error {
        clip_loader::Error::Shard(
            clipshard::Error::Record { path, clip, .. } | clipshard::Error::ClipIndex { path, clip, .. },
        ) => Some((path.clone(), clip.clone())),
        clip_loader::Error::NothingToReplace(source) => damaged(source),
        _ => None,
    }
}

/// Turns an error of the bindings' own code, which went through the loader, into an exception.
fn foreign(error: Box<dyn StdError + Send + Sync>) -> PyErr {
    let error = match error.downcast::<PyErr>() {
        Ok(exception) => return *exception,
        Err(error) => error,
    };
    match error.downcast::<clipshard::Error>() {
        Ok(error) => shard(*error),
        Err(error) => other(chain(&*error)),
    }
}

/// Joins the texts of an error and of its sources.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let more = source.to_string();
        // A transparent error repeats the text of its source.
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        next = source.source();
    }
    text
}
