//! The class `Samples`: what a model sees of each clip, by number.

use super::entropy::Entropy;
use super::iterator::SamplesIterator;
use super::layout::Part;
use super::recipe::{Opened, Recipe};
use crate::arguments::{clearer, count, whole};
use crate::array::{self, Writable};
use crate::dataset::Dataset;
use crate::error;
use crate::process::{PerProcess, Signals};
use clip_loader::{SplitClip, Worker};
use numpy::PyArray1;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use std::cell::RefCell;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    /// The decoder of this thread, for samples that are read by number.
    static WORKER: RefCell<Worker> = RefCell::default();
}

/// The names of the other values of a sample.
pub const RESERVED: [&str; 3] = ["label", "id", "index"];

/// The samples of a model: for each clip the arrays of one or more streams, and the label.
///
/// `Dataset.samples` makes it. It is a sequence of dicts, and a dataset in the sense of PyTorch and
/// of Grain:
///
/// >>> view = ds.samples(split="1", subset="train", streams={"flow": cs.Stack(10)})
/// >>> view[3]["flow"].shape, view[3]["label"], view[3]["id"]
/// ((20, 224, 224), 0, 'v_ApplyEyeMakeup_g08_c04')
/// >>> torch.utils.data.DataLoader(view, batch_size=32, num_workers=2)
///
/// :class:`Loader` makes batches of it without worker processes. Samples can be pickled, and used
/// after a fork and in any number of threads.
#[pyclass(frozen, module = "clipshard")]
pub struct Samples {
    pub(super) dataset: Py<Dataset>,
    /// The arguments of `Dataset.samples`, for pickles.
    pub(super) arguments: Py<PyDict>,
    pub(super) recipe: Recipe,
    pub(super) opened: Opened,
    pub(super) parts: Arc<Vec<Part>>,
    pub(super) seed: Option<u64>,
    pub(super) epoch: AtomicU64,
    pub(super) entropy: PerProcess<Entropy>,
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
        let count = self.len();
        let wrong = || {
            error::wrong_type(format!(
                "{} is not the number of a sample; pass a whole number, or several to batch([...])",
                index.repr().map_or_else(|_| "the index".into(), |text| text.to_string())
            ))
        };
        let number = whole(index).map_err(|cause| clearer(index.py(), cause, wrong))?;
        usize::try_from(number).ok().filter(|number| *number < count).ok_or_else(|| {
            error::index(format!("no sample number {number}; the numbers of the {count} samples start at 0"))
        })
    }

    /// Returns the epoch of the next access. Without a seed, it is a new one for each access.
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
        let decode = |worker: &mut Worker| -> PyResult<Vec<&SplitClip>> {
            let mut chunks: Vec<_> =
                buffers.iter_mut().zip(&**parts).map(|(buffer, part)| buffer.chunks_exact_mut(part.bytes)).collect();
            let (mut clips, mut signals) = (Vec::with_capacity(numbers.len()), Signals::new());
            for (&number, epoch) in numbers.iter().zip(epochs) {
                let mut out: Vec<&mut [u8]> = chunks.iter_mut().filter_map(Iterator::next).collect();
                clips.push(opened.fill(number, epoch, worker, &mut out).map_err(error::loader)?);
                signals.look()?;
            }
            Ok(clips)
        };
        py.detach(|| {
            // The worker is taken out, because a signal handler may read samples in this thread, too.
            let mut worker = WORKER.take();
            let clips = decode(&mut worker);
            WORKER.set(worker);
            clips
        })
    }
}

#[pymethods]
impl Samples {
    fn __len__(&self) -> usize {
        self.len()
    }

    /// Returns a sample: a dict with one array per stream, "label" (-1 if the clip has none), "id"
    /// and "index".
    pub fn __getitem__<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let number = self.number(index)?;
        let mut arrays = self.allocate(py, 1)?;
        let clips = self.decode(py, &[number], &mut bytes_of(&mut arrays))?;
        let sample = PyDict::new(py);
        for (part, array) in self.parts.iter().zip(arrays) {
            let (owner, data) = finished(array);
            // SAFETY: the buffer has the bytes of one sample, and its array keeps it alive.
            #[allow(unsafe_code)]
            sample.set_item(&part.name, unsafe { part.array(owner, data, None)? })?;
        }
        for clip in clips {
            describe(&sample, clip, number)?;
        }
        Ok(sample)
    }

    /// Returns a list of samples. In a worker process of PyTorch's DataLoader, the samples are
    /// in one piece of shared memory, so that the default `collate_fn` need not copy them.
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
    ///     out (dict, optional): a writable buffer for each stream to decode into. The result shares
    ///         its memory. It is flat and has `view.nbytes[name]` bytes per sample, as a `bytearray`.
    ///         Or it is an array of the type and the shape of the result.
    ///
    /// Raises:
    ///     IndexError: there is no sample of such a number.
    ///     OptionError: a buffer is missing, too small, too large or read-only.
    ///     DamageError: a record is damaged.
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
            let (owner, data) = finished(array);
            // SAFETY: the buffer has the bytes of so many samples, and its array keeps it alive.
            #[allow(unsafe_code)]
            batch.set_item(&part.name, unsafe { part.array(owner, data, Some(numbers.len()))? })?;
        }
        describe_all(&batch, &clips, &numbers)?;
        Ok(batch)
    }

    /// Iterates over the samples once, in order.
    fn __iter__(slf: Py<Self>) -> SamplesIterator {
        SamplesIterator::new(slf)
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
    ///
    /// The workers of a DataLoader have copies, which they get at the start of an epoch. With
    /// `persistent_workers=True`, they keep the first epoch: omit the seed then.
    fn set_epoch(&self, #[pyo3(from_py_with = whole)] epoch: i64) -> PyResult<()> {
        self.epoch.store(count("epoch", epoch, 0)? as u64, Ordering::Relaxed);
        Ok(())
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
            let name = &part.name;
            let missing = || error::option(format!("out has no buffer for {name:?}; pass one per stream"));
            let buffer = out.get_item(name)?.ok_or_else(missing)?;
            let shape = part.batch_shape(count);
            let flat = [count.saturating_mul(part.bytes / part.samples.bytes())];
            let shape = if part.is_in_order() { &shape[..] } else { &flat[..] };
            let buffer = Writable::out(&buffer, part.samples, shape)?;
            if buffer.is_converted() {
                return Err(error::wrong_type(format!(
                    "the buffer for {name:?} has another type; pass numpy.empty({flat:?}, {:?})",
                    array::type_name(part.samples)
                )));
            }
            Ok(buffer)
        };
        let mut buffers = self.parts.iter().map(buffer).collect::<PyResult<Vec<_>>>()?;
        // Taking a buffer may call Python code, which may have changed those before it.
        let places: Vec<_> = buffers.iter_mut().map(|buffer| buffer.bytes_mut().as_ptr_range()).collect();
        for (number, (part, place)) in self.parts.iter().zip(&places).enumerate() {
            if place.end.addr() - place.start.addr() != count * part.bytes {
                return Err(error::option(format!("the buffer for {:?} changed its size meanwhile", part.name)));
            }
            let shares = |other: &Range<*const u8>| other.start < place.end && place.start < other.end;
            if places[..number].iter().any(shares) {
                let text = "shares memory with the buffer of another stream; pass one per stream";
                return Err(error::option(format!("the buffer for {:?} {text}", part.name)));
            }
        }
        Ok(buffers)
    }
}

fn bytes_of<'a>(arrays: &'a mut [Writable<'_>]) -> Vec<&'a mut [u8]> {
    arrays.iter_mut().map(Writable::bytes_mut).collect()
}

/// Returns a filled array and its first byte.
fn finished(mut array: Writable<'_>) -> (Bound<'_, PyAny>, NonNull<u8>) {
    let data = NonNull::from(array.bytes_mut()).cast();
    (array.into_array(), data)
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

/// Makes the samples of a pickle.
#[pyfunction]
pub fn restore_samples<'py>(
    dataset: &Bound<'py, Dataset>,
    arguments: &Bound<'py, PyDict>,
    epoch: u64,
) -> PyResult<Bound<'py, PyAny>> {
    let samples = dataset.call_method("samples", (), Some(arguments))?;
    samples.call_method1("set_epoch", (epoch,))?;
    Ok(samples)
}
