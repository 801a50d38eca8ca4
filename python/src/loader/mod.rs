//! The class `Loader`: batches of samples, made by threads.

mod batch;
mod memory;
mod pass;

use crate::arguments::{count, seed as seed_of, whole, whole_or_none};
use crate::error;
use crate::samples::{Choices, Opened, Samples};
use batch::{Slot, To};
use memory::PinnedByTorch;
use pass::Pass;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Loader>()?;
    module.add_class::<Pass>()?;
    module.add_class::<Slot>()
}

/// How far a loader has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    pub epoch: u64,
    /// Number of samples of the epoch that all ranks together have seen.
    pub seen: u64,
    /// Whether the next pass continues here instead of at the start of the epoch.
    pub resumes: bool,
    /// Number of damaged samples that the last pass has replaced.
    pub damaged: u64,
    /// Number of the pass that reports its progress here. Earlier passes no longer do.
    pub pass: u64,
}

/// Makes batches of samples with threads, ahead of the caller.
///
/// >>> loader = cs.Loader(view, batch_size=32, threads=8, seed=7, to="torch")
/// >>> for epoch in range(80):
/// ...     for batch in loader:
/// ...         batch["flow"], batch["label"]     # [32, 20, 224, 224] uint8, [32] int64
///
/// Each `for` loop is one epoch. The order, the frames and the crops depend only on the seed, the
/// epoch and the sample: not on the number of threads or ranks. After a loop that ended early, the
/// next one starts the same epoch again.
///
/// A batch is a dict with one array per stream, "label" (-1 for clips without one), "id" (a list of
/// str) and "index": `samples[index]` shows the same clip. Its arrays belong to the caller: the
/// loader uses their memory again when the last of them is gone, also if they live on as tensors.
///
/// Only one thread may take batches from an iterator. After a fork, the child makes its own threads
/// and continues where the parent was.
///
/// Args:
///     samples (Samples): what `Dataset.samples` returned.
///     batch_size (int): samples per batch. The last batch of an epoch holds the rest.
///     threads (int, optional): threads that decode. Default: one per available processor.
///     seed (int, optional): seed of the order and of the random choices. Default: that of the
///         samples, or 0.
///     shuffle (bool, optional): random order. Default: True for random samples.
///     drop_last (bool): omit the last batch of an epoch if it is not full.
///     rank, world_size (int): make only every `world_size`-th sample, starting with sample `rank`.
///         Together the ranks follow the order of a single process. The last samples of an epoch are
///         omitted if they do not suffice for all ranks.
///     to (str): "numpy", "torch" or "jax".
///     pin_memory (bool): decode into page-locked memory of PyTorch, for copies to a GPU with
///         `non_blocking=True`. Needs `to="torch"` and CUDA.
///     buffers (int): batches in memory: the one in use, and those that are made ahead.
#[pyclass(frozen, module = "clipshard")]
pub struct Loader {
    samples: Py<Samples>,
    options: Options,
    /// Locked for a few instructions, with the GIL.
    progress: Mutex<Progress>,
}

#[derive(Clone, Copy, Debug)]
struct Options {
    batch_size: usize,
    threads: Option<usize>,
    buffers: usize,
    seed: u64,
    shuffle: bool,
    drop_last: bool,
    rank: usize,
    world_size: usize,
    to: To,
    pin_memory: bool,
}

impl Loader {
    pub fn view<'py>(&self, py: Python<'py>) -> &Bound<'py, Samples> {
        self.samples.bind(py)
    }

    pub fn output(&self) -> (To, bool) {
        (self.options.to, self.options.pin_memory)
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn progress(&self) -> Progress {
        *self.lock()
    }

    /// Takes the report of a pass, unless a later pass has started or a caller has set another place.
    pub fn report(&self, progress: Progress) {
        let mut current = self.lock();
        if current.pass == progress.pass {
            *current = progress;
        }
    }

    /// Sets the place of the next pass. The passes that run no longer report theirs.
    fn set_place(&self, progress: Progress) -> Progress {
        let mut current = self.lock();
        *current = Progress { pass: current.pass + 1, ..progress };
        *current
    }

    /// Makes the samples of an epoch.
    pub fn open(&self, py: Python<'_>, epoch: u64) -> PyResult<Opened> {
        let (view, Options { seed, shuffle, .. }) = (self.samples.bind(py).get(), self.options);
        let data = view.dataset().bind(py).get().data();
        // Samples that are repeated make several epochs of random choices.
        let epoch = epoch.wrapping_mul(view.recipe().repeat as u64);
        view.recipe().open(data, Choices { seed, epoch, shuffle })
    }

    /// Returns the loader of a pass that has seen `seen` samples.
    pub fn builder(&self, samples: Arc<dyn clip_loader::Samples>, seen: u64) -> clip_loader::LoaderBuilder {
        let Options { batch_size, threads, buffers, drop_last, rank, world_size, pin_memory, .. } = self.options;
        let builder = clip_loader::Loader::builder(samples).batch_size(batch_size).slots(buffers).drop_last(drop_last);
        let builder = builder.rank(rank, world_size).start_at(seen as usize);
        let builder = if let Some(threads) = threads { builder.threads(threads) } else { builder };
        if pin_memory { builder.memory(PinnedByTorch) } else { builder }
    }

    /// Returns the number of batches of an epoch after the first `seen` samples.
    pub fn batches_from(&self, py: Python<'_>, seen: u64) -> usize {
        let Options { batch_size, drop_last, world_size, .. } = self.options;
        let samples = self.samples.bind(py).get().len();
        let own = samples.saturating_sub(seen as usize) / world_size;
        if drop_last { own / batch_size } else { own.div_ceil(batch_size) }
    }
}

#[pymethods]
impl Loader {
    #[new]
    #[pyo3(signature = (
        samples, batch_size = 32, *, threads = None, seed = None, shuffle = None, drop_last = false, rank = 0,
        world_size = 1, to = "numpy", pin_memory = false, buffers = 3
    ))]
    #[allow(clippy::too_many_arguments, reason = "keywords of Python")]
    fn new(
        samples: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = whole)] batch_size: i64,
        #[pyo3(from_py_with = whole_or_none)] threads: Option<i64>,
        seed: Option<i128>,
        shuffle: Option<bool>,
        drop_last: bool,
        #[pyo3(from_py_with = whole)] rank: i64,
        #[pyo3(from_py_with = whole)] world_size: i64,
        to: &str,
        pin_memory: bool,
        #[pyo3(from_py_with = whole)] buffers: i64,
    ) -> PyResult<Self> {
        let py = samples.py();
        let Ok(samples) = samples.cast::<Samples>() else {
            return Err(error::wrong_type(format!(
                "a loader needs Samples, not {}; use dataset.samples(streams={{...}})",
                samples.get_type().name()?
            )));
        };
        let (batch_size, buffers) = (count("batch_size", batch_size, 1)?, count("buffers", buffers, 1)?);
        let threads = threads.map(|threads| count("threads", threads, 1)).transpose()?;
        let (rank, world_size) = (count("rank", rank, 0)?, count("world_size", world_size, 1)?);
        let seed = seed_of(seed)?;
        if rank >= world_size {
            return Err(error::option(format!("rank is {rank}, not below world_size, which is {world_size}")));
        }
        let to = To::parse(to)?;
        if pin_memory && to != To::Torch {
            return Err(error::option("pin_memory is for tensors; pass to=\"torch\""));
        }
        // An exception here is clearer than one in the first pass.
        match to {
            To::Numpy => {}
            To::Torch => {
                py.import(intern!(py, "clipshard._torch"))?.call_method1(intern!(py, "check"), (pin_memory,))?;
            }
            To::Jax => {
                py.import(intern!(py, "clipshard._jax"))?;
            }
        }
        let view = samples.get();
        let is_random = view.recipe().is_random;
        if !is_random && shuffle == Some(true) {
            return Err(error::option("uniform samples have a fixed order; omit shuffle, or pass sampling=\"random\""));
        }
        let seed = seed.or_else(|| view.seed()).unwrap_or(0);
        let shuffle = shuffle.unwrap_or(is_random);
        let options =
            Options { batch_size, threads, buffers, seed, shuffle, drop_last, rank, world_size, to, pin_memory };
        let progress = Mutex::new(Progress::default());
        Ok(Self { samples: samples.clone().unbind(), options, progress })
    }

    /// Returns the number of batches of an epoch.
    fn __len__(&self, py: Python<'_>) -> usize {
        self.batches_from(py, 0)
    }

    /// Starts a pass through the current epoch, or through the rest of it after `load_state_dict`.
    fn __iter__(slf: &Bound<'_, Self>) -> PyResult<Pass> {
        let this = slf.get();
        let Progress { epoch, seen, resumes, .. } = this.progress();
        let seen = if resumes { seen } else { 0 };
        let opened = this.open(slf.py(), epoch)?;
        let place = this.set_place(Progress { epoch, seen, ..Progress::default() });
        Pass::start(slf, place, opened)
    }

    /// Returns the progress, to continue later: a dict of numbers for `torch.save` or JSON.
    ///
    /// It counts the batches that were returned. Another loader may load it with another number of
    /// threads, ranks or samples per batch.
    fn state_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let Progress { epoch, seen, .. } = self.progress();
        let state = PyDict::new(py);
        state.set_item("version", 1)?;
        state.set_item("epoch", epoch)?;
        state.set_item("seen", seen)?;
        // JSON has no whole numbers of 64 bits.
        state.set_item("samples", format!("{:016x}", self.open(py, epoch)?.samples().fingerprint()))?;
        Ok(state)
    }

    /// Continues where a loader was when `state_dict` returned this state.
    ///
    /// Raises:
    ///     StateError: the state belongs to other samples, or to another seed.
    fn load_state_dict(&self, py: Python<'_>, state: &Bound<'_, PyAny>) -> PyResult<()> {
        let state = state
            .cast::<PyDict>()
            .map_err(|_| error::wrong_type("the state is not a dict; pass what state_dict() returned"))?;
        let entry = |name: &str| {
            let missing = || error::state(format!("the state has no {name:?}; pass what state_dict() returned"));
            state.get_item(name)?.ok_or_else(missing)
        };
        let number = |name: &str| {
            let number = whole(&entry(name)?)?;
            u64::try_from(number).map_err(|_| error::state(format!("the state has the {name} {number}, below 0")))
        };
        if number("version")? != 1 {
            return Err(error::state("the state has another version; load it with the clipshard that saved it"));
        }
        let (epoch, seen) = (number("epoch")?, number("seen")?);
        let samples = self.open(py, epoch)?.samples();
        let found = entry("samples")?;
        let found = found.cast::<PyString>().map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
        if found != format!("{:016x}", samples.fingerprint()) {
            return Err(error::state(
                "the state belongs to other samples; make the loader with the same dataset, streams, options and \
                 seed as the one that saved it",
            ));
        }
        if seen > samples.len() as u64 {
            return Err(error::state(format!(
                "the state has seen {seen} samples, but there are only {}",
                samples.len()
            )));
        }
        self.set_place(Progress { epoch, seen, resumes: true, ..Progress::default() });
        Ok(())
    }

    /// Epoch of the next pass, or of the one that runs.
    #[getter]
    fn epoch(&self) -> u64 {
        self.progress().epoch
    }

    /// Sets the epoch of the next pass, which starts at its first sample.
    fn set_epoch(&self, #[pyo3(from_py_with = whole)] epoch: i64) -> PyResult<()> {
        let epoch = count("epoch", epoch, 0)? as u64;
        self.set_place(Progress { epoch, ..Progress::default() });
        Ok(())
    }

    /// The samples of the batches.
    #[getter]
    fn samples(&self, py: Python<'_>) -> Py<Samples> {
        self.samples.clone_ref(py)
    }

    /// Number of damaged samples that the last pass has replaced, with `damage="replace"`.
    #[getter]
    fn damaged(&self) -> u64 {
        self.progress().damaged
    }

    /// Number of samples per batch. The last batch of an epoch holds the rest.
    #[getter]
    fn batch_size(&self) -> usize {
        self.options.batch_size
    }

    /// Seed of the order and of the random choices.
    #[getter]
    fn seed(&self) -> u64 {
        self.options.seed
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let Options { batch_size, seed, rank, world_size, to, .. } = self.options;
        let (samples, to) = (self.samples.bind(py).repr()?, to.name());
        Ok(format!("Loader({samples}, batch_size={batch_size}, seed={seed}, rank={rank} of {world_size}, to='{to}')"))
    }
}
