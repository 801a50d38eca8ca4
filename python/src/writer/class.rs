//! The class `Writer`.

use super::clip::{self, Addition};
use super::input;
use super::session::Session;
use super::start::{self, Mode, Start};
use crate::arguments::{path as path_of, whole_or_none};
use crate::error;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFrozenSet, PyTuple};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Writes a dataset of your own arrays: shards and manifest.
///
/// A dataset appears, or changes, only when the writer finishes. The `with` block does that at its
/// end. If an exception leaves the block, there is no finished dataset, but all clips so far are
/// stored: `mode="resume"` continues with them. After a crash, clips of unfinished shards are lost;
/// `id in writer` says which clips are there. `flush` bounds the loss.
///
/// Methods encode on all cores without Python's lock. A writer works in one process: after a fork,
/// the child's copy raises `ClosedError`, and never touches the files.
///
/// Args:
///     path: folder of the dataset.
///     streams: dict from names of streams to codecs: `Jpeg`, `Zstd`, `Lz4` or `Raw`. A name has 1
///         to 16 letters, digits, - or _. A dataset that continues needs the codecs of the streams
///         to which arrays are added.
///     classes: names of the classes. If the dataset has classes, these come first in the same
///         order, and new ones follow.
///     splits: names of the splits. A new dataset has one split "1" if it is None.
///     name: name of the dataset. A new dataset has the name of its folder if it is None.
///     attrs: dict with anything else that is worth knowing, such as a licence.
///     mode: "create" writes a new dataset. "append" changes a finished one. "resume" continues what
///         was interrupted; it appends to a finished dataset, and creates one if there is none.
///     shard_bytes: size from which a shard is full. 1 GiB if it is None.
///     threads: number of threads that encode. One per core if it is None.
///
/// Raises:
///     FileExistsError: if mode is "create" and the folder has a dataset or an interrupted writer.
///     FileNotFoundError: if mode is "append" and the folder has no dataset.
///     OptionError: if an argument has a value that is not allowed, or does not fit the dataset.
///
/// Example:
///     >>> with clipshard.Writer("out.shards", streams={"rgb": clipshard.Jpeg(90)}, classes=["wave"]) as writer:
///     ...     writer.add("clip7", rgb=frames, label="wave", subset="train", attrs={"fps": 25})
#[pyclass(frozen, module = "clipshard")]
pub struct Writer {
    path: PathBuf,
    /// The process that made the writer.
    process: u32,
    state: Mutex<State>,
}

enum State {
    Open(Box<Session>),
    Finished,
    /// Closed, for the reason that errors state.
    Closed(&'static str),
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            // The files, locks and threads belong to the parent process.
            let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(std::mem::replace(state, State::Finished));
        }
    }
}

impl Writer {
    /// Calls a function with the open dataset, without the GIL.
    fn with<R: Send>(&self, py: Python<'_>, call: impl FnOnce(&mut Session) -> PyResult<R> + Send) -> PyResult<R> {
        self.check_process()?;
        // The lock is taken without the GIL: a thread that holds it never waits for one with the GIL.
        py.detach(|| call(self.open(&mut self.lock())?))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the open dataset, or the exception of a closed writer.
    fn open<'a>(&self, state: &'a mut State) -> PyResult<&'a mut Session> {
        let reason = match state {
            State::Open(session) => return Ok(session),
            State::Finished => "this writer has finished; open another one with mode=\"append\"",
            State::Closed(reason) => reason,
        };
        Err(error::closed(format!("{}: {reason}", self.path.display())))
    }

    fn check_process(&self) -> PyResult<()> {
        if self.process == std::process::id() {
            return Ok(());
        }
        let what = "this writer belongs to the parent process; add clips there, and make only their arrays in children";
        Err(error::closed(format!("{}: {what}", self.path.display())))
    }
}

#[pymethods]
impl Writer {
    #[new]
    #[pyo3(signature = (
        path, streams = None, classes = None, *, splits = None, name = None, attrs = None, mode = "create",
        shard_bytes = None, threads = None
    ))]
    #[allow(clippy::too_many_arguments, reason = "they are the arguments of Python")]
    fn new(
        py: Python<'_>,
        #[pyo3(from_py_with = path_of)] path: PathBuf,
        streams: Option<&Bound<'_, PyAny>>,
        classes: Option<&Bound<'_, PyAny>>,
        splits: Option<&Bound<'_, PyAny>>,
        name: Option<String>,
        attrs: Option<&Bound<'_, PyAny>>,
        mode: &str,
        #[pyo3(from_py_with = whole_or_none)] shard_bytes: Option<i64>,
        #[pyo3(from_py_with = whole_or_none)] threads: Option<i64>,
    ) -> PyResult<Self> {
        let start = Start {
            mode: Mode::parse(mode)?,
            streams: start::streams(streams)?,
            classes: input::texts(classes, "classes")?,
            splits: input::texts(splits, "splits")?,
            name,
            attributes: attrs.map(|attrs| input::attributes(Some(attrs), "the dataset")).transpose()?,
            shard_bytes: start::shard_bytes(shard_bytes)?,
            threads: start::threads(threads)?,
            path,
        };
        let session = py.detach(|| Session::start(&start))?;
        let state = Mutex::new(State::Open(Box::new(session)));
        Ok(Self { path: start.path, process: std::process::id(), state })
    }

    /// Adds a clip: encodes its frames and writes them.
    ///
    /// Give the frames of each stream under its name. A value is one of
    ///
    /// * an array `[n, H, W, 3]` (colours), `[n, H, W]` (one channel, such as depth), `[n, 2, H, W]`
    ///   (two planes, such as flow) or `[n, planes, H, W, channels]`; a last dimension of at most 4
    ///   is the channels;
    /// * of a codec with `kind="array"`: an array `[n, ...]`, such as `[n, 17, 3]`;
    /// * a list with one array per frame, whose sizes may differ; of `kind="array"`, only the first
    ///   dimension of a frame may differ;
    /// * a list of `bytes`, each a JPEG file, which is stored unchanged.
    ///
    /// What `Clip.read` returns goes in again unchanged. The first clip decides the form of a
    /// stream, unless its codec states it. A clip may lack streams: omit them, or give None.
    ///
    /// Args:
    ///     id: name of the clip, unique in the dataset.
    ///     label: number or name of a class, or None.
    ///     subset: name for all splits, such as "train", "val" or "test"; or a dict from splits to
    ///         names. The clip is unused in other splits.
    ///     group: name of a group of clips that belong on the same side of a split, or None.
    ///     attrs: dict with anything else: what `json.dumps` accepts, but no NaN or infinity.
    ///
    /// Raises:
    ///     TypeError: if an array has another dtype than the stream, or one that no stream has.
    ///     OptionError: if frames do not fit the stream, the id is taken, or a value is not allowed.
    ///         The dataset stays as it was.
    ///     NotFoundError: if the writer has no such stream, class or split.
    ///     ClosedError: if the writer is closed.
    ///     OSError: if the files cannot be written. Continue with `mode="resume"`.
    ///
    /// Example:
    ///     >>> writer.add("clip7", rgb=frames, flow=uv, label=3, subset={"1": "train", "2": "test"}, group="g07")
    #[pyo3(signature = (id, /, *, label = None, subset = None, group = None, attrs = None, **streams))]
    #[allow(clippy::too_many_arguments, reason = "they are the arguments of Python")]
    fn add(
        &self,
        py: Python<'_>,
        id: String,
        label: Option<&Bound<'_, PyAny>>,
        subset: Option<&Bound<'_, PyAny>>,
        group: Option<String>,
        attrs: Option<&Bound<'_, PyAny>>,
        streams: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        self.check_process()?;
        let clip = format!("clip {id}");
        let mut given = Vec::new();
        // These may call Python code that changes an array, so they come before `Given::frames`.
        let (label, subsets) = (input::label(label, &clip)?, input::subsets(subset, &clip)?);
        let attributes = input::attributes(attrs, &clip)?;
        for (name, frames) in streams.into_iter().flatten().filter(|(_, frames)| !frames.is_none()) {
            let name: String = name.extract()?;
            let frames = input::given(&frames, &clip::place(&id, &name))?;
            given.push((name, frames));
        }
        let frames = given.iter().map(|(name, given)| (name.clone(), given.frames()));
        let addition = Addition { label, subsets, attributes, streams: frames.collect(), group, id };
        self.with(py, |session| session.add(&addition))
    }

    /// Stores all clips so far, so that `mode="resume"` has them after a crash.
    ///
    /// The next clip starts new shards, so do not call it after each clip. `compact` merges small
    /// shards.
    ///
    /// Raises:
    ///     ClosedError: if the writer is closed.
    ///     OSError: if the files cannot be written. Continue with `mode="resume"`.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, Session::flush)
    }

    /// Removes clips. Shards that hold them are written again without them.
    ///
    /// Give all ids at once, because each call copies shards.
    ///
    /// Args:
    ///     ids: list of ids.
    ///
    /// Raises:
    ///     OptionError: if the dataset has no such clip, or no clip would remain.
    ///     DamageError: if a clip that remains is damaged. The dataset stays as it was.
    fn remove(&self, py: Python<'_>, ids: &Bound<'_, PyAny>) -> PyResult<()> {
        let ids = input::texts(Some(ids), "ids")?.unwrap_or_default();
        self.with(py, |session| if ids.is_empty() { Ok(()) } else { session.remove(&ids) })
    }

    /// Merges small shards.
    ///
    /// Raises:
    ///     DamageError: if a clip is damaged. The dataset stays as it was.
    fn compact(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, Session::compact)
    }

    /// Writes the manifest and closes the writer: the dataset is complete.
    ///
    /// Does nothing if the writer has finished already.
    ///
    /// Raises:
    ///     OptionError: if there are no clips. The writer stays open.
    ///     ClosedError: if the writer is closed.
    ///     OSError: if the files cannot be written. Continue with `mode="resume"`.
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        self.check_process()?;
        py.detach(|| {
            let mut state = self.lock();
            if matches!(*state, State::Finished) {
                return Ok(());
            }
            if self.open(&mut state)?.clip_count() == 0 {
                let what = "a dataset needs at least one clip; add one before you finish, or close the writer";
                return Err(error::option(format!("{}: {what}", self.path.display())));
            }
            let failed = State::Closed("this writer could not finish; continue with mode=\"resume\"");
            if let State::Open(session) = std::mem::replace(&mut *state, failed) {
                session.finish()?;
                *state = State::Finished;
            }
            Ok(())
        })
    }

    /// Stores all clips so far and closes the writer, without finishing the dataset.
    ///
    /// `mode="resume"` continues. Does nothing if the writer is closed already.
    ///
    /// Raises:
    ///     OSError: if the files cannot be written. Clips of unfinished shards are then lost.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if self.process != std::process::id() {
            return Ok(());
        }
        py.detach(|| {
            let mut state = self.lock();
            if !matches!(*state, State::Open(_)) {
                return Ok(());
            }
            let closed = State::Closed("this writer is closed; continue with mode=\"resume\"");
            match std::mem::replace(&mut *state, closed) {
                State::Open(session) => session.close(),
                State::Finished | State::Closed(_) => Ok(()),
            }
        })
    }

    /// Removes everything that this writer and an interrupted writer before it have written, and
    /// closes the writer.
    ///
    /// A dataset to which the writer appends stays as it was.
    ///
    /// Raises:
    ///     ClosedError: if the writer is closed.
    ///     OSError: if a file cannot be removed.
    fn discard(&self, py: Python<'_>) -> PyResult<()> {
        self.check_process()?;
        py.detach(|| {
            let mut state = self.lock();
            self.open(&mut state)?;
            let discarded = State::Closed("what this writer has written was discarded; open another one");
            match std::mem::replace(&mut *state, discarded) {
                State::Open(session) => session.discard(),
                State::Finished | State::Closed(_) => Ok(()),
            }
        })
    }

    /// Ids of the clips that the dataset will have, as a frozenset.
    ///
    /// After `mode="resume"`, these are the clips that are completely stored.
    #[getter]
    fn ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyFrozenSet>> {
        PyFrozenSet::new(py, self.with(py, |session| Ok(session.ids()))?)
    }

    /// Names of the classes.
    #[getter]
    fn classes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.with(py, |session| Ok(session.classes()))?)
    }

    /// Names of the splits.
    #[getter]
    fn splits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.with(py, |session| Ok(session.splits()))?)
    }

    /// Names of the streams.
    #[getter]
    fn streams<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.with(py, |session| Ok(session.stream_names()))?)
    }

    /// Folder of the dataset.
    #[getter]
    fn path(&self) -> &OsStr {
        self.path.as_os_str()
    }

    /// Whether the writer has finished or is closed.
    #[getter]
    fn closed(&self, py: Python<'_>) -> bool {
        self.process != std::process::id() || py.detach(|| !matches!(*self.lock(), State::Open(_)))
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |session| Ok(session.clip_count()))
    }

    #[allow(clippy::unused_self, reason = "Python passes it")]
    fn __bool__(&self) -> bool {
        true
    }

    fn __contains__(&self, py: Python<'_>, id: &str) -> PyResult<bool> {
        self.with(py, |session| Ok(session.contains(id)))
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let state = if self.closed(py) { ", closed" } else { "" };
        format!("<clipshard.Writer {:?}{state}>", self.path.to_string_lossy())
    }

    #[allow(clippy::unused_self, reason = "Python passes it")]
    fn __reduce__(&self) -> PyResult<()> {
        let what =
            "a Writer works in one process and cannot be pickled; make arrays in others, and add them in this one";
        Err(PyTypeError::new_err(what))
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        exception_type: Option<&Bound<'_, PyAny>>,
        _exception: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        if exception_type.is_some() {
            // The exception of the block is more important than one of closing.
            let _ = self.close(py);
        } else if !self.is_closed_here(py) {
            self.finish(py).inspect_err(|_| drop(self.close(py)))?;
        }
        Ok(false)
    }
}

impl Writer {
    /// Returns whether the writer was closed in this process.
    fn is_closed_here(&self, py: Python<'_>) -> bool {
        self.process == std::process::id() && self.closed(py)
    }
}
