//! The class `Clip`: one clip of a dataset.

use crate::arguments::{attributes, whole};
use crate::dataset::Dataset;
use crate::error;
use crate::read::{Reading, frame_shape, read};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A clip of a dataset. It is a reference to the dataset and a number, so it is cheap to make and
/// to keep.
///
/// >>> clip = ds["v_Archery_g01_c01"]
/// >>> clip.label, clip.class_name, clip.subset("1"), clip.frames("rgb")
/// (2, 'Archery', 'test', 164)
/// >>> frames = clip.read("rgb", 0, 64, 8)  # frames 0, 8, ..., 56: [8, 240, 320, 3] uint8
#[pyclass(module = "clipshard", frozen)]
pub struct Clip {
    dataset: Py<Dataset>,
    number: usize,
}

impl Clip {
    /// Makes the clip of a number, which the dataset must have.
    pub fn new(dataset: &Bound<'_, Dataset>, number: usize) -> Self {
        Self { dataset: dataset.clone().unbind(), number }
    }

    fn listed(&self) -> &clipshard::Clip {
        &self.dataset.get().manifest().clips[self.number]
    }
}

#[pymethods]
impl Clip {
    /// The dataset of the clip.
    #[getter]
    fn dataset(&self, py: Python<'_>) -> Py<Dataset> {
        self.dataset.clone_ref(py)
    }

    /// Id of the clip, unique in the dataset.
    #[getter]
    fn id(&self) -> &str {
        &self.listed().id
    }

    /// Number of the clip in the dataset, from 0.
    #[getter]
    fn number(&self) -> usize {
        self.number
    }

    /// Number of its class, an index into `Dataset.classes`; None for a clip without a label.
    #[getter]
    fn label(&self) -> Option<u32> {
        self.listed().label
    }

    /// Name of its class; None for a clip without a label.
    #[getter]
    fn class_name(&self) -> Option<&str> {
        let classes = &self.dataset.get().manifest().classes;
        self.label().and_then(|label| classes.get(label as usize)).map(String::as_str)
    }

    /// Name of its group; None without one. The clips of a group have, for example, the same actor.
    #[getter]
    fn group(&self) -> Option<&str> {
        self.dataset.get().manifest().groups.get(self.id()).map(String::as_str)
    }

    /// Attributes of the clip, such as {"fps": 25}: a new dict.
    #[getter]
    fn attrs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        attributes(py, &self.listed().attributes, &format!("clip {}", self.id()))
    }

    /// Names of the streams in which the clip has frames.
    #[getter]
    fn streams<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let listed = self.dataset.get().manifest().streams.iter().map(|stream| stream.spec.name.as_str());
        PyTuple::new(py, listed.filter(|name| self.listed().frames.contains_key(*name)).collect::<Vec<_>>())
    }

    /// Returns the number of frames in a stream, which is 0 if the clip has none.
    ///
    /// Raises:
    ///     NotFoundError: the dataset has no stream of this name.
    fn frames(&self, stream: &str) -> PyResult<u32> {
        self.dataset.get().check_stream(stream)?;
        Ok(self.listed().frames.get(stream).copied().unwrap_or_default())
    }

    /// Returns the shape of a frame, as `read` returns it without the axis of frames.
    ///
    /// >>> clip.shape("rgb"), clip.shape("flow")
    /// ((240, 320, 3), (2, 240, 320))
    ///
    /// Args:
    ///     stream (str): name of a stream.
    ///     frame (int): number of the frame.
    ///
    /// Raises:
    ///     NotFoundError: the dataset has no stream of this name, or the clip no frames in it.
    ///     IndexError: the clip has no such frame.
    #[pyo3(signature = (stream, frame = None), text_signature = "($self, stream, frame=0)")]
    fn shape<'py>(
        &self,
        py: Python<'py>,
        stream: &str,
        frame: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let data = self.dataset.get().data();
        let records = data.clip(stream, self.number).map_err(error::shard)?;
        let frame = frame.map_or(Ok(0), whole)?;
        let reading = Reading::frames(&records, stream, (frame, Some(frame.saturating_add(1)), 1))?;
        PyTuple::new(py, frame_shape(&records, data.stream(stream).map_err(error::shard)?, &reading, None)?)
    }

    /// Returns the subset of the clip in a split, such as "train".
    ///
    /// Raises:
    ///     NotFoundError: the dataset has no split of this name.
    fn subset(&self, split: &str) -> PyResult<&str> {
        let place = self.dataset.get().split(split)?;
        Ok(self.listed().subsets[place].name())
    }

    /// Reads and decodes frames. Other Python threads run meanwhile.
    ///
    /// The checksum of each record is checked. The numbers of the frames are those of
    /// `range(start, stop, step)`.
    ///
    /// >>> clip.read("rgb", 0, 64, 8).shape  # 8 frames
    /// (8, 240, 320, 3)
    /// >>> clip.read("flow", 5, 15, window=(48, 8, 224, 224)).shape  # x and y of 10 frames
    /// (10, 2, 224, 224)
    /// >>> batch = torch.empty(32, 10, 2, 240, 320, dtype=torch.uint8)
    /// >>> clip.read("flow", 0, 10, out=batch[3])
    ///
    /// Args:
    ///     stream (str): name of a stream.
    ///     start (int): number of the first frame, from 0.
    ///     stop (int, optional): number after the last frame. Default: the number of frames.
    ///     step (int): distance of the frames, at least 1.
    ///     window (tuple of int, optional): part of each image in pixels: (x, y, width, height).
    ///         Decoding a window of a JPEG image is faster than decoding all of it.
    ///     out (optional): array for the result: a writable numpy array in C order, a torch tensor
    ///         of the CPU or a bytearray. It has the shape of the result, or one dimension with as
    ///         many elements. Its type is that of the stream, or one that holds all of its values.
    ///         No other thread may use it meanwhile. Its content is undefined after an exception.
    ///
    /// Returns:
    ///     An array of shape [frames, planes, height, width, channels]. It has no axis of planes if
    ///     there is one plane, and no axis of channels if there is one channel. RGB is [n, H, W, 3],
    ///     flow [n, 2, H, W] and depth [n, H, W]. Arrays are [n, *dims]. With `out`, that object.
    ///
    /// Raises:
    ///     DamageError: a record is damaged. The exception has its clip and file.
    ///     NotFoundError: the dataset has no stream of this name, or the clip no frames in it.
    ///     IndexError: the clip has no such frame.
    ///     OptionError: the frames differ in size, the window is not inside a frame, or out has
    ///         another shape. It is a ValueError.
    ///     TypeError: out has another type.
    #[pyo3(signature = (stream, start = None, stop = None, step = None, *, window = None, out = None))]
    #[pyo3(text_signature = "($self, stream, start=0, stop=None, step=1, *, window=None, out=None)")]
    #[allow(clippy::too_many_arguments, reason = "Python has keywords")]
    fn read<'py>(
        &self,
        py: Python<'py>,
        stream: &str,
        start: Option<&Bound<'py, PyAny>>,
        stop: Option<&Bound<'py, PyAny>>,
        step: Option<&Bound<'py, PyAny>>,
        window: Option<&Bound<'py, PyAny>>,
        out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let data = self.dataset.get().data();
        let records = data.clip(stream, self.number).map_err(error::shard)?;
        let range = (start.map_or(Ok(0), whole)?, stop.map(whole).transpose()?, step.map_or(Ok(1), whole)?);
        let reading = Reading::frames(&records, stream, range)?;
        read(py, &records, data.stream(stream).map_err(error::shard)?, &reading, window, out)
    }

    fn __repr__(&self) -> String {
        let class = self.class_name().map_or("no label".to_owned(), |class| format!("class {class:?}"));
        format!("Clip({:?}, number {}, {class})", self.id(), self.number)
    }

    fn __eq__(&self, other: &Self) -> bool {
        let (dataset, others) = (self.dataset.get(), other.dataset.get());
        self.number == other.number && self.id() == other.id() && dataset.folder() == others.folder()
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.id().hash(&mut hasher);
        hasher.finish()
    }

    /// Pickles the dataset and the number.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (usize,))> {
        Ok((self.dataset.bind(py).getattr("clip")?, (self.number,)))
    }
}
