//! The class `Dataset`: an open dataset.
//!
//! A dataset works in the child of a fork as it is. The child inherits memory maps and open files,
//! and reads records without a shared position. The only lock is that of the table of ids, which is
//! complete before another thread can see the dataset.

use crate::arguments::{attributes, names, path as path_of, whole};
use crate::clip::Clip;
use crate::error;
use crate::stream::Stream;
use clipshard::{Access, Manifest, Subset, VerifyDepth};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyMappingProxy, PyString, PyTuple, PyType};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Dataset>()?;
    module.add_class::<Clip>()?;
    module.add_class::<Stream>()?;
    Ok(())
}

/// An open dataset: clips, and the streams of their frames.
///
/// Opening takes milliseconds, because it reads no frame. Any number of threads can use one
/// dataset, also processes that are forked later. A dataset can be pickled: its copy opens the
/// same folder.
///
/// >>> ds = clipshard.Dataset("ucf101.shards")
/// >>> len(ds), ds.classes[:2], list(ds.streams)
/// (13320, ('ApplyEyeMakeup', 'ApplyLipstick'), ['rgb', 'flow'])
/// >>> clip = ds["v_Archery_g01_c01"]
/// >>> clip.read("flow", 0, 10).shape
/// (10, 2, 240, 320)
///
/// Args:
///     path (str or os.PathLike): folder of the dataset, with the file manifest.json.
///     streams (list of str, optional): names of the streams to open. The shards of the other
///         streams may be missing. Default: all streams.
///     access (str): "map" reads from memory maps without a copy. "read" reads each record with a
///         system call. Use "read" on file systems that fail: a failing disk under a memory map
///         ends the program with SIGBUS.
///
/// Raises:
///     FileNotFoundError: no dataset is in the folder, or a shard is missing.
///     DamageError: the manifest or a shard is damaged, or they do not match.
///     NotFoundError: the dataset has no stream of this name.
#[pyclass(module = "clipshard", frozen)]
pub struct Dataset {
    data: Arc<clipshard::Dataset>,
    /// The folder, also for a process that works in another one.
    folder: PathBuf,
    access: Access,
    /// The names of the streams to open, if the caller named any.
    opened: Option<Vec<String>>,
    ids: PyOnceLock<Py<PyTuple>>,
    classes: PyOnceLock<Py<PyTuple>>,
    streams: PyOnceLock<Py<PyMappingProxy>>,
}

impl Dataset {
    /// Returns the dataset, to share it with threads.
    pub fn data(&self) -> &Arc<clipshard::Dataset> {
        &self.data
    }

    pub fn manifest(&self) -> &Manifest {
        self.data.manifest()
    }

    /// Returns the absolute path of the folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the path for messages.
    fn dir(&self) -> String {
        self.data.dir().display().to_string()
    }

    /// Returns the number of a split.
    pub fn split(&self, name: &str) -> PyResult<usize> {
        let splits = &self.manifest().splits;
        let unknown = || error::not_found(error::unknown_name(self.data.dir(), "split", name, splits));
        splits.iter().position(|split| split == name).ok_or_else(unknown)
    }

    /// Checks that the dataset has a stream.
    pub fn check_stream(&self, name: &str) -> PyResult<()> {
        self.data.stream(name).map(|_| ()).map_err(error::shard)
    }

    /// Returns the numbers of the clips in a subset of a split: of all clips if neither is given,
    /// and of all clips that the split uses if no subset is given.
    pub fn numbers(&self, split: Option<&str>, subset: Option<&str>) -> PyResult<Vec<usize>> {
        let clips = &self.manifest().clips;
        let Some(split) = split else {
            return match subset {
                None => Ok((0..clips.len()).collect()),
                Some(subset) => Err(error::option(format!(
                    "subset {subset:?} needs a split; pass split= with one of {}",
                    self.manifest().splits.join(", ")
                ))),
            };
        };
        let place = self.split(split)?;
        let wanted = subset.map(Subset::from);
        let is_wanted = |found: &Subset| wanted.as_ref().map_or(*found != Subset::Unused, |wanted| found == wanted);
        let numbers: Vec<usize> = (0..clips.len()).filter(|&n| is_wanted(&clips[n].subsets[place])).collect();
        if let (Some(subset), true) = (subset, numbers.is_empty()) {
            let known: BTreeSet<&str> = clips.iter().map(|clip| clip.subsets[place].name()).collect();
            let known: Vec<&str> = known.into_iter().collect();
            return Err(error::not_found(format!(
                "{}: split {split} has no clips in subset {subset:?}; its subsets are {}",
                self.dir(),
                error::few(&known)
            )));
        }
        Ok(numbers)
    }

    /// Returns the name of a way to read.
    fn access(&self) -> &'static str {
        if self.access == Access::Read { "read" } else { "map" }
    }
}

#[pymethods]
impl Dataset {
    #[new]
    #[pyo3(signature = (path, streams = None, access = "map"))]
    fn new(
        py: Python<'_>,
        #[pyo3(from_py_with = path_of)] path: PathBuf,
        streams: Option<&Bound<'_, PyAny>>,
        access: &str,
    ) -> PyResult<Self> {
        let access = match access {
            "map" => Access::Map,
            "read" => Access::Read,
            other => return Err(error::option(format!("access is {other:?}, not \"map\" or \"read\""))),
        };
        let opened = streams.map(|streams| names(streams, "streams", "[\"rgb\", \"flow\"]")).transpose()?;
        let open = || {
            let data = match &opened {
                None => clipshard::Dataset::open_with(&path, access)?,
                Some(names) => {
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    clipshard::Dataset::open_streams(&path, &names, access)?
                }
            };
            // Builds the table of ids now, so that no fork happens while a thread builds it.
            data.find_clip("");
            Ok(data)
        };
        let data = Arc::new(py.detach(open).map_err(error::shard)?);
        let (ids, classes, streams) = (PyOnceLock::new(), PyOnceLock::new(), PyOnceLock::new());
        let folder = std::path::absolute(&path).unwrap_or(path);
        Ok(Self { data, folder, access, opened, ids, classes, streams })
    }

    /// The folder, as it was given.
    #[getter]
    fn path(&self) -> &OsStr {
        self.data.dir().as_os_str()
    }

    /// Name of the dataset, for people.
    #[getter]
    fn name(&self) -> &str {
        &self.manifest().dataset
    }

    /// Names of the classes. A label is an index into this tuple.
    #[getter]
    fn classes<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyTuple>> {
        let classes =
            self.classes.get_or_try_init(py, || PyTuple::new(py, &self.manifest().classes).map(Bound::unbind))?;
        Ok(classes.bind(py))
    }

    /// Names of the splits.
    #[getter]
    fn splits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.manifest().splits)
    }

    /// Ids of all clips, in the order of their numbers.
    #[getter]
    fn ids<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyTuple>> {
        let ids = || PyTuple::new(py, self.manifest().clips.iter().map(|clip| clip.id.as_str())).map(Bound::unbind);
        Ok(self.ids.get_or_try_init(py, ids)?.bind(py))
    }

    /// The streams by name: a read-only dict of :class:`Stream`.
    #[getter]
    fn streams<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyMappingProxy>> {
        let streams = || {
            let streams = PyDict::new(py);
            for stream in &self.manifest().streams {
                streams.set_item(&stream.spec.name, Stream::new(&self.data, &stream.spec))?;
            }
            Ok::<_, PyErr>(PyMappingProxy::new(py, streams.as_mapping()).unbind())
        };
        Ok(self.streams.get_or_try_init(py, streams)?.bind(py))
    }

    /// Attributes of the dataset, such as a licence or a citation: a new dict.
    #[getter]
    fn attrs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        attributes(py, &self.manifest().attributes, &self.dir())
    }

    fn __len__(&self) -> usize {
        self.manifest().clips.len()
    }

    /// Returns the clip of an id.
    fn __getitem__<'py>(slf: &Bound<'py, Self>, id: &Bound<'py, PyAny>) -> PyResult<Clip> {
        let Ok(id) = id.cast::<PyString>() else {
            return Err(match id.extract::<i64>() {
                Ok(number) => error::wrong_type(format!(
                    "a dataset is indexed by the id of a clip, not by the number {number}; use ds.clip({number})"
                )),
                Err(_) => error::wrong_type(format!(
                    "a dataset is indexed by the id of a clip, a str, not by {}; \
                     use ds[\"some id\"], ds.clip(number) or ds.clips(...)",
                    id.get_type().name()?
                )),
            });
        };
        let this = slf.get();
        // A text that is not Unicode is no id.
        match id.to_str().ok().and_then(|id| this.data.find_clip(id)) {
            Some(number) => Ok(Clip::new(slf, number)),
            None => Err(error::not_found(format!(
                "{}: no clip {:?} in this dataset; ds.ids has the ids of its {} clips",
                this.dir(),
                id.to_string_lossy(),
                this.__len__()
            ))),
        }
    }

    /// Returns whether the dataset has a clip of this id.
    fn __contains__(&self, id: &Bound<'_, PyAny>) -> bool {
        id.cast::<PyString>().is_ok_and(|id| id.to_str().is_ok_and(|id| self.data.find_clip(id).is_some()))
    }

    /// Iterates over all clips, in the order of their numbers.
    fn __iter__(slf: &Bound<'_, Self>) -> ClipIterator {
        ClipIterator { dataset: slf.clone().unbind(), next: AtomicUsize::new(0) }
    }

    /// Returns the clip of a number, which is its index in `ids`.
    ///
    /// >>> ds.clip(17).id
    /// 'v_ApplyEyeMakeup_g03_c05'
    ///
    /// Raises:
    ///     IndexError: there is no such clip. Numbers start at 0 and are not negative.
    fn clip(slf: &Bound<'_, Self>, number: &Bound<'_, PyAny>) -> PyResult<Clip> {
        let (number, clips) = (whole(number)?, slf.get().__len__());
        match usize::try_from(number) {
            Ok(number) if number < clips => Ok(Clip::new(slf, number)),
            _ => Err(error::index(format!(
                "{}: no clip number {number}; the numbers of its {clips} clips start at 0",
                slf.get().dir()
            ))),
        }
    }

    /// Returns a list of clips, in the order of their numbers.
    ///
    /// >>> train = ds.clips(split="1", subset="train")
    /// >>> test = ds.clips("1", "test")
    ///
    /// Args:
    ///     split (str, optional): name of a split. Default: all clips.
    ///     subset (str, optional): name of a subset, such as "train". Default: all clips that the
    ///         split uses.
    ///
    /// Raises:
    ///     NotFoundError: there is no such split, or no clip is in the subset.
    ///     OptionError: a subset is given without a split.
    #[pyo3(signature = (split = None, subset = None))]
    fn clips<'py>(slf: &Bound<'py, Self>, split: Option<&str>, subset: Option<&str>) -> PyResult<Bound<'py, PyList>> {
        let numbers = slf.get().numbers(split, subset)?;
        PyList::new(slf.py(), numbers.into_iter().map(|number| Clip::new(slf, number)))
    }

    /// Chooses what a model sees of each clip. Returns :class:`Samples`.
    ///
    /// >>> train = ds.samples(split="1", subset="train", streams={
    /// ...     "rgb": cs.Frames(1, crop="corners", flip=True), "flow": cs.Stack(10, crop="corners", flip=True)})
    /// >>> test = ds.samples(split="1", subset="test", streams={"flow": cs.Stack(10)}, per_clip=25)
    ///
    /// All streams of a sample start with the same frame, apart from their offsets. Streams with the
    /// same crop show the same relative place, and streams with a flip are mirrored together. If
    /// their stored frames have different aspect ratios, the places differ a little.
    ///
    /// Args:
    ///     streams (dict): for each array its :class:`Frames` or :class:`Stack`. The key is the name
    ///         of the array, and of the stream.
    ///     split, subset (str, optional): the clips, as in :meth:`clips`. Default: all clips.
    ///     ids (sequence of str, optional): ids of the clips, instead of a split.
    ///     sampling (str, optional): "random" takes one sample per clip from anywhere in it. "uniform"
    ///         takes `per_clip` samples at equal distances. Default: "random" for the subset train
    ///         and without a subset, else "uniform".
    ///     segments (int, optional): random samples show this number of equal parts of the clip, as
    ///         in Temporal Segment Networks. The arrays get a first axis of this size.
    ///     per_clip (int, optional): uniform samples per clip. Default: 1, from the middle.
    ///     short (str): what to do with clips that have fewer frames than a sample spans. "error"
    ///         raises OptionError, "omit" omits the clips, "loop" shows them again from the first
    ///         frame, and "hold" repeats the last frame.
    ///     seed (int, optional): `samples[i]` then depends on seed, epoch and i only. Default:
    ///         random choices differ at each access. A :class:`Loader` always has a seed.
    ///     damage (str): "error" raises DamageError for a damaged record, "replace" shows other frames
    ///         or another clip.
    ///     repeat (int): shows each clip this number of times per epoch.
    ///
    /// Raises:
    ///     NotFoundError: there is no such stream, split, subset or clip.
    ///     OptionError: an argument has a wrong value, or a clip has too few frames.
    #[pyo3(signature = (streams, **options), text_signature = "($self, streams, *, split=None, subset=None, ids=None, \
         sampling=None, segments=None, per_clip=None, short='error', seed=None, damage='error', repeat=1)")]
    fn samples<'py>(
        slf: &Bound<'py, Self>,
        streams: &Bound<'py, PyAny>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        // The module `samples` imports this one, so it is called by its name in Python.
        let make = slf.py().import("clipshard._native")?.getattr("samples")?;
        make.call((slf, streams), options)
    }

    /// Checks the files of the dataset on all cores. Returns a list with an exception for each
    /// damaged part, which is empty if nothing is damaged.
    ///
    /// >>> for error in ds.verify():
    /// ...     print(error.file, error.clip, error)
    ///
    /// Args:
    ///     depth (str): "quick" checks everything but the records. "checksums" also checks the
    ///         checksum of each record. "deep" also decodes each record.
    #[pyo3(signature = (depth = "checksums"))]
    fn verify<'py>(&self, py: Python<'py>, depth: &str) -> PyResult<Bound<'py, PyList>> {
        let depth = match depth {
            "quick" => VerifyDepth::Quick,
            "checksums" => VerifyDepth::Checksums,
            "deep" => VerifyDepth::Deep,
            other => {
                return Err(error::option(format!("depth is {other:?}, not \"quick\", \"checksums\" or \"deep\"")));
            }
        };
        let report = py.detach(|| clipshard::verify(self.data.dir(), depth, &|_| ())).map_err(error::shard)?;
        PyList::new(py, report.damage.into_iter().map(|damage| error::shard(damage).into_value(py)))
    }

    fn __repr__(&self) -> String {
        let streams: Vec<&str> = self.manifest().streams.iter().map(|stream| stream.spec.name.as_str()).collect();
        format!("Dataset({:?}, {} clips, streams {})", self.dir(), self.__len__(), streams.join(", "))
    }

    /// Pickles the path and the arguments. The copy opens the dataset.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyType>, Bound<'py, PyTuple>)> {
        let (py, this) = (slf.py(), slf.get());
        let arguments = (this.folder.as_os_str(), &this.opened, this.access());
        Ok((slf.get_type(), arguments.into_pyobject(py)?))
    }
}

/// Iterates over the clips of a dataset.
#[pyclass(module = "clipshard", frozen)]
struct ClipIterator {
    dataset: Py<Dataset>,
    next: AtomicUsize,
}

#[pymethods]
impl ClipIterator {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> Option<Clip> {
        let dataset = self.dataset.bind(py);
        let number = self.next.load(Ordering::Relaxed);
        if number >= dataset.get().__len__() {
            return None;
        }
        self.next.store(number + 1, Ordering::Relaxed);
        Some(Clip::new(dataset, number))
    }
}
