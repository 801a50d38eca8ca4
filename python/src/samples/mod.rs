//! The class `Samples`: what a model sees of each clip, by number.

mod entropy;
mod layout;
mod recipe;
mod spec;

pub use layout::Part;
pub use recipe::{Choices, Opened, Recipe};

use crate::arguments::{names, whole};
use crate::array::{self, Writable};
use crate::dataset::Dataset;
use crate::error;
use crate::process::PerProcess;
use clip_loader::{Short, SplitClip, Worker};
use entropy::Entropy;
use numpy::PyArray1;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use spec::{Frames, Stack, spec_of};
use std::cell::RefCell;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Frames>()?;
    module.add_class::<Stack>()?;
    module.add_class::<Samples>()?;
    module.add_function(wrap_pyfunction!(samples, module)?)?;
    module.add_function(wrap_pyfunction!(restore_samples, module)?)
}

thread_local! {
    /// The decoder of this thread, for samples that are read by number.
    static WORKER: RefCell<Worker> = RefCell::default();
}

/// The names of the values of a sample that are not arrays of streams.
pub const RESERVED: [&str; 3] = ["label", "id", "index"];

/// What a model sees of each clip: arrays of one or more streams, with the label.
///
/// `Dataset.samples` makes it. It is a sequence of dicts, and a dataset in the sense of PyTorch and
/// of Grain:
///
/// >>> view = ds.samples(split="1", subset="train", streams={"flow": cs.Stack(10)})
/// >>> view[3]["flow"].shape, view[3]["label"], view[3]["id"]
/// ((20, 224, 224), 0, 'v_ApplyEyeMakeup_g08_c04')
/// >>> torch.utils.data.DataLoader(view, batch_size=32, num_workers=2)
///
/// :class:`Loader` makes batches of it much faster. It can be pickled, and used after a fork and in
/// any number of threads.
#[pyclass(frozen, module = "clipshard")]
pub struct Samples {
    dataset: Py<Dataset>,
    /// The arguments of `Dataset.samples`, for pickles.
    arguments: Py<PyDict>,
    recipe: Recipe,
    opened: Opened,
    parts: Arc<Vec<Part>>,
    seed: Option<u64>,
    epoch: AtomicU64,
    entropy: PerProcess<Entropy>,
}

impl Samples {
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    pub fn dataset(&self) -> &Py<Dataset> {
        &self.dataset
    }

    pub fn parts(&self) -> &Arc<Vec<Part>> {
        &self.parts
    }

    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// Returns the number of samples.
    pub fn len(&self) -> usize {
        self.opened.samples().len()
    }

    fn number(&self, index: &Bound<'_, PyAny>) -> PyResult<usize> {
        let (number, count) = (whole(index)?, self.len());
        usize::try_from(number).ok().filter(|number| *number < count).ok_or_else(|| {
            error::index(format!("no sample number {number}; the numbers of the {count} samples start at 0"))
        })
    }

    /// Returns the epoch whose random choices the next access uses: a new one for each access if
    /// there is no seed.
    fn draw(&self) -> PyResult<u64> {
        if self.seed.is_some() {
            return Ok(self.epoch.load(Ordering::Relaxed));
        }
        Ok(self.entropy.get(|_| Ok::<_, PyErr>(Entropy::new()))?.next())
    }

    /// Decodes samples into one buffer per part. Returns the clips that they show.
    fn decode<'a>(
        &'a self,
        py: Python<'_>,
        numbers: &[usize],
        buffers: &mut [&mut [u8]],
    ) -> PyResult<Vec<&'a SplitClip>> {
        let epochs = numbers.iter().map(|_| self.draw()).collect::<PyResult<Vec<_>>>()?;
        let (parts, opened) = (&self.parts, &self.opened);
        let decode = || -> clip_loader::Result<Vec<&SplitClip>> {
            WORKER.with_borrow_mut(|worker| {
                let mut chunks: Vec<_> = buffers
                    .iter_mut()
                    .zip(&**parts)
                    .map(|(buffer, part)| buffer.chunks_exact_mut(part.bytes))
                    .collect();
                let mut clips = Vec::with_capacity(numbers.len());
                for (&number, epoch) in numbers.iter().zip(epochs) {
                    let mut out: Vec<&mut [u8]> = chunks.iter_mut().filter_map(Iterator::next).collect();
                    clips.push(opened.fill(number, epoch, worker, &mut out)?);
                }
                Ok(clips)
            })
        };
        py.detach(decode).map_err(error::loader)
    }
}

#[pymethods]
impl Samples {
    fn __len__(&self) -> usize {
        self.len()
    }

    /// Returns a sample: a dict with one array per stream, "label" (-1 if the clip has none), "id"
    /// and "index".
    fn __getitem__<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let number = self.number(index)?;
        let mut arrays = self.allocate(py, 1)?;
        let clip = self.decode(py, &[number], &mut bytes_of(&mut arrays))?[0];
        let sample = PyDict::new(py);
        for (part, array) in self.parts.iter().zip(arrays) {
            let (owner, data) = finished(array)?;
            // SAFETY: the buffer has the bytes of one sample, and its array keeps it alive.
            #[allow(unsafe_code)]
            sample.set_item(&part.name, unsafe { part.array(owner, data, None)? })?;
        }
        describe(&sample, clip, number)?;
        Ok(sample)
    }

    /// Returns a list of samples. In a worker process of PyTorch's DataLoader, the samples lie in one
    /// piece of shared memory, so that the default `collate_fn` need not copy them.
    fn __getitems__<'py>(slf: &Bound<'py, Self>, indices: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let modules = py.import(intern!(py, "sys"))?.getattr(intern!(py, "modules"))?;
        if modules.contains(intern!(py, "torch.utils.data"))? {
            let glue = py.import(intern!(py, "clipshard._torch"))?;
            let items = glue.call_method1(intern!(py, "items"), (slf, indices))?;
            if !items.is_none() {
                return Ok(items);
            }
        }
        let items = PyList::empty(py);
        for index in indices.try_iter()? {
            items.append(slf.get().__getitem__(py, &index?)?)?;
        }
        Ok(items.into_any())
    }

    /// Returns a batch of samples: a dict of arrays with an axis more, "label" and "index" as arrays
    /// of int64, and "id" as a list.
    ///
    /// >>> view.batch([0, 5, 7])["flow"].shape
    /// (3, 20, 224, 224)
    ///
    /// Args:
    ///     indices (sequence of int): numbers of the samples.
    ///     out (dict, optional): for each stream a writable buffer of `view.nbytes[name]` bytes per
    ///         sample, such as an array of uint8, to decode into.
    #[pyo3(signature = (indices, out = None))]
    fn batch<'py>(
        &self,
        py: Python<'py>,
        indices: &Bound<'py, PyAny>,
        out: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let numbers = indices.try_iter()?.map(|index| self.number(&index?)).collect::<PyResult<Vec<_>>>()?;
        let mut arrays = match out {
            None => self.allocate(py, numbers.len())?,
            Some(out) => self.given(out, numbers.len())?,
        };
        let clips = self.decode(py, &numbers, &mut bytes_of(&mut arrays))?;
        let batch = PyDict::new(py);
        for (part, array) in self.parts.iter().zip(arrays) {
            let (owner, data) = finished(array)?;
            // SAFETY: the buffer has the bytes of so many samples, and its array keeps it alive.
            #[allow(unsafe_code)]
            batch.set_item(&part.name, unsafe { part.array(owner, data, Some(numbers.len()))? })?;
        }
        describe_all(&batch, &clips, &numbers)?;
        Ok(batch)
    }

    /// Iterates over the samples once, in order.
    fn __iter__(slf: Py<Self>) -> SamplesIterator {
        SamplesIterator { samples: slf, next: AtomicU64::new(0) }
    }

    /// Shape of each array of a sample, by name.
    #[getter]
    fn shapes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let shapes = PyDict::new(py);
        for part in &**self.parts {
            shapes.set_item(&part.name, PyTuple::new(py, &part.shape)?)?;
        }
        Ok(shapes)
    }

    /// Number of bytes of each array of a sample, by name.
    #[getter]
    fn nbytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let bytes = PyDict::new(py);
        for part in &**self.parts {
            bytes.set_item(&part.name, part.bytes)?;
        }
        Ok(bytes)
    }

    /// Ids of the clips that the samples show, one per sample.
    #[getter]
    fn ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, (0..self.len()).map(|i| self.opened.clip(i).id.as_str()))
    }

    /// Labels of the samples: a list of int, with -1 for clips without a label.
    #[getter]
    fn labels<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, (0..self.len()).map(|i| label(self.opened.clip(i))))
    }

    /// Names of the classes.
    #[getter]
    fn classes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.dataset.bind(py).getattr(intern!(py, "classes"))
    }

    /// "random" or "uniform".
    #[getter]
    fn sampling(&self) -> &'static str {
        if self.recipe.is_random { "random" } else { "uniform" }
    }

    /// Epoch of the random choices of `view[i]`, if there is a seed.
    #[getter]
    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Sets the epoch of the random choices of `view[i]`. A :class:`Loader` counts epochs itself.
    fn set_epoch(&self, epoch: u64) {
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    fn __repr__(&self) -> String {
        let arrays: Vec<String> = self
            .parts
            .iter()
            .map(|part| format!("{}: {:?} {}", part.name, part.shape, array::type_name(part.samples)))
            .collect();
        format!("Samples({} {} samples of {})", self.len(), self.sampling(), arrays.join(", "))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (py, this) = (slf.py(), slf.get());
        let restore = py.import("clipshard._native")?.getattr("restore_samples")?;
        let arguments = (this.dataset.bind(py), this.arguments.bind(py), this.epoch());
        Ok((restore, arguments.into_pyobject(py)?))
    }
}

impl Samples {
    /// Makes an array for each part of `count` samples, with axes in the order of memory.
    fn allocate<'py>(&self, py: Python<'py>, count: usize) -> PyResult<Vec<Writable<'py>>> {
        let array = |part: &Part| {
            let elements = part.bytes / part.samples.bytes();
            Writable::new(py, part.samples, &[count, elements])
        };
        self.parts.iter().map(array).collect()
    }

    /// Takes the buffers of the argument `out`.
    fn given<'py>(&self, out: &Bound<'py, PyDict>, count: usize) -> PyResult<Vec<Writable<'py>>> {
        let buffer = |part: &Part| {
            let missing = || error::option(format!("out has no buffer for {:?}; pass one per stream", part.name));
            let buffer = out.get_item(&part.name)?.ok_or_else(missing)?;
            Writable::out(&buffer, clipshard::SampleType::U8, &[count.saturating_mul(part.bytes)])
        };
        self.parts.iter().map(buffer).collect()
    }
}

fn bytes_of<'a>(arrays: &'a mut [Writable<'_>]) -> Vec<&'a mut [u8]> {
    arrays.iter_mut().map(Writable::bytes_mut).collect()
}

/// Returns a filled array and its first byte.
fn finished<'py>(mut array: Writable<'py>) -> PyResult<(Bound<'py, PyAny>, NonNull<u8>)> {
    let data = NonNull::from(array.bytes_mut()).cast();
    Ok((array.finish()?, data))
}

/// Returns the label of a clip for Python.
fn label(clip: &SplitClip) -> i64 {
    clip.label.map_or(-1, i64::from)
}

fn describe(sample: &Bound<'_, PyDict>, clip: &SplitClip, number: usize) -> PyResult<()> {
    let py = sample.py();
    sample.set_item(intern!(py, "label"), label(clip))?;
    sample.set_item(intern!(py, "id"), &clip.id)?;
    sample.set_item(intern!(py, "index"), number)
}

/// Adds labels, ids and numbers to a batch.
pub fn describe_all(batch: &Bound<'_, PyDict>, clips: &[&SplitClip], numbers: &[usize]) -> PyResult<()> {
    let py = batch.py();
    // Makes sure that numpy is imported, and that a failure is an exception.
    array::dtype(py, clipshard::SampleType::U8)?;
    let labels = PyArray1::from_vec(py, clips.iter().map(|clip| label(clip)).collect());
    batch.set_item(intern!(py, "label"), labels)?;
    batch.set_item(intern!(py, "id"), PyList::new(py, clips.iter().map(|clip| clip.id.as_str()))?)?;
    let numbers = PyArray1::from_vec(py, numbers.iter().map(|number| *number as i64).collect());
    batch.set_item(intern!(py, "index"), numbers)
}

/// Iterates over samples.
#[pyclass(frozen, module = "clipshard")]
struct SamplesIterator {
    samples: Py<Samples>,
    next: AtomicU64,
}

#[pymethods]
impl SamplesIterator {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let samples = self.samples.bind(py).get();
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        if next >= samples.len() as u64 {
            return Ok(None);
        }
        samples.__getitem__(py, next.into_pyobject(py)?.as_any()).map(Some)
    }
}

/// Makes the samples of a dataset. `Dataset.samples` calls it with its arguments.
#[pyfunction]
#[pyo3(signature = (
    dataset, streams, *, split = None, subset = None, ids = None, sampling = None, segments = None, per_clip = None,
    short = "error", seed = None, damage = "error", repeat = 1
))]
#[allow(clippy::too_many_arguments, reason = "keywords of Python")]
fn samples<'py>(
    dataset: &Bound<'py, Dataset>,
    streams: &Bound<'py, PyAny>,
    split: Option<&str>,
    subset: Option<&str>,
    ids: Option<&Bound<'py, PyAny>>,
    sampling: Option<&str>,
    segments: Option<usize>,
    per_clip: Option<usize>,
    short: &str,
    seed: Option<u64>,
    damage: &str,
    repeat: usize,
) -> PyResult<Samples> {
    let py = dataset.py();
    let data = dataset.get().data();
    let Ok(given) = streams.cast::<PyDict>() else {
        return Err(error::wrong_type(format!(
            "streams is of type {}, not a dict; pass for example streams={{\"flow\": clipshard.Stack(10)}}",
            streams.get_type().name()?
        )));
    };
    let mut named = Vec::new();
    for (name, spec) in given.iter() {
        let name = name.cast::<PyString>().map_err(|_| error::wrong_type("a key of streams is not a str"))?;
        let name = name.to_string_lossy().into_owned();
        if RESERVED.contains(&name.as_str()) {
            return Err(error::option(format!("{name:?} is the name of another value; pass Frames(stream={name:?})")));
        }
        let spec = spec_of(&name, &spec)?;
        dataset.get().check_stream(spec.stream.as_deref().unwrap_or(&name))?;
        named.push((name, spec));
    }
    let Some(first) = named.first() else {
        return Err(error::option("streams is empty; pass for example {\"rgb\": clipshard.Frames(1)}"));
    };
    let is_random = match sampling {
        None => subset.is_none_or(|subset| subset == "train"),
        Some("random") => true,
        Some("uniform") => false,
        Some(other) => return Err(error::option(format!("sampling is {other:?}, not \"random\" or \"uniform\""))),
    };
    if is_random && per_clip.is_some() {
        return Err(error::option("per_clip is for uniform samples; pass sampling=\"uniform\", or repeat="));
    }
    if !is_random && segments.is_some() {
        return Err(error::option("segments is for random samples; pass sampling=\"random\", or per_clip="));
    }
    let (short, omits) = match short {
        "error" => (Short::Error, false),
        "omit" => (Short::Error, true),
        "loop" => (Short::Loop, false),
        "hold" => (Short::Hold, false),
        other => {
            return Err(error::option(format!("short is {other:?}, not \"error\", \"omit\", \"loop\" or \"hold\"")));
        }
    };
    let replaces_damage = match damage {
        "error" => false,
        "replace" => true,
        other => return Err(error::option(format!("damage is {other:?}, not \"error\" or \"replace\""))),
    };
    let mut numbers = dataset.get().numbers(split, subset)?;
    if let Some(ids) = ids {
        if split.is_some() {
            return Err(error::option("both ids and split are given; pass one of them"));
        }
        numbers = Vec::new();
        for id in names(ids)? {
            let number = data.find_clip(&id);
            let unknown = || error::not_found(error::unknown_name(data.dir(), "clip", &id, &[] as &[&str]));
            numbers.push(number.ok_or_else(unknown)?);
        }
    }
    let stream = first.1.stream.as_deref().unwrap_or(&first.0);
    let listed = numbers.into_iter().filter_map(|number| SplitClip::of(data, number, stream));
    let clips = &data.manifest().clips;
    let is_long = |clip: &SplitClip| {
        named.iter().all(|(name, spec)| {
            let stream = spec.stream.as_deref().unwrap_or(name);
            let frames = clips[clip.clip].frames.get(stream).copied().unwrap_or(0);
            frames as usize >= spec.view(stream).span()
        })
    };
    let clips: Arc<[SplitClip]> = listed.filter(|clip| !omits || is_long(clip)).collect();
    let per_clip = per_clip.unwrap_or(1);
    let recipe = Recipe { streams: named, clips, is_random, segments, per_clip, short, replaces_damage, repeat };
    let opened =
        recipe.open(data, Choices { seed: seed.unwrap_or_else(|| Entropy::new().next()), epoch: 0, shuffle: false })?;
    let parts = Arc::new(recipe.parts(data, &opened)?);
    let arguments = PyDict::new(py);
    arguments.set_item("streams", given.copy()?)?;
    for (name, value) in [("split", split), ("subset", subset), ("sampling", sampling)] {
        arguments.set_item(name, value)?;
    }
    arguments.set_item("ids", ids.map(|ids| ids.try_iter()?.collect::<PyResult<Vec<_>>>()).transpose()?)?;
    arguments.set_item("segments", segments)?;
    arguments.set_item("per_clip", (!is_random).then_some(per_clip))?;
    arguments.set_item("short", if omits { "omit" } else { short.name() })?;
    arguments.set_item("seed", seed)?;
    arguments.set_item("damage", damage)?;
    arguments.set_item("repeat", repeat)?;
    Ok(Samples {
        dataset: dataset.clone().unbind(),
        arguments: arguments.unbind(),
        recipe,
        opened,
        parts,
        seed,
        epoch: AtomicU64::new(0),
        entropy: PerProcess::new(Arc::new(Entropy::new())),
    })
}

/// Makes the samples of a pickle.
#[pyfunction]
fn restore_samples<'py>(
    dataset: &Bound<'py, Dataset>,
    arguments: &Bound<'py, PyDict>,
    epoch: u64,
) -> PyResult<Bound<'py, PyAny>> {
    let samples = dataset.call_method("samples", (), Some(arguments))?;
    samples.call_method1("set_epoch", (epoch,))?;
    Ok(samples)
}
