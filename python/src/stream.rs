//! The class `Stream`: the description of a stream.

use crate::array;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// A stream of a dataset: one kind of records of every clip, such as "rgb" or "flow".
///
/// >>> ds.streams["flow"]
/// Stream('flow', planes=2, channels=1, dtype=uint8, clips=13320, frames=2470000)
#[pyclass(module = "clipshard", frozen)]
pub struct Stream {
    spec: clipshard::StreamSpec,
    clips: usize,
    frames: u64,
    is_open: bool,
}

impl Stream {
    /// Describes a stream of a dataset.
    pub fn new(data: &clipshard::Dataset, spec: &clipshard::StreamSpec) -> Self {
        let frames = data.manifest().clips.iter().filter_map(|clip| clip.frames.get(&spec.name));
        let (clips, frames) = frames.fold((0, 0), |(clips, all), &frames| (clips + 1, all + u64::from(frames)));
        Self { spec: spec.clone(), clips, frames, is_open: data.is_open(&spec.name) }
    }
}

#[pymethods]
impl Stream {
    /// Name of the stream.
    #[getter]
    fn name(&self) -> &str {
        &self.spec.name
    }

    /// Records per frame: 1 for RGB; 2 for flow, x then y.
    #[getter]
    fn planes(&self) -> u8 {
        self.spec.planes
    }

    /// Channels of each image: 3 for RGB, 1 for a plane of flow; None for arrays.
    #[getter]
    fn channels(&self) -> Option<u8> {
        self.spec.array.is_none().then_some(self.spec.channels)
    }

    /// Sizes of the dimensions after the first, if the records are arrays; None for images.
    #[getter]
    fn array<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.spec.array.as_ref().map(|inner| PyTuple::new(py, inner)).transpose()
    }

    /// Type of the samples: a numpy.dtype.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, numpy::PyArrayDescr>> {
        array::dtype(py, self.spec.samples)
    }

    /// Number of clips that have frames in this stream.
    #[getter]
    fn clips(&self) -> usize {
        self.clips
    }

    /// Number of frames of all clips.
    #[getter]
    fn frames(&self) -> u64 {
        self.frames
    }

    /// Whether the dataset was opened with this stream.
    #[getter]
    fn is_open(&self) -> bool {
        self.is_open
    }

    fn __repr__(&self) -> String {
        let form = match &self.spec.array {
            None => format!("channels={}", self.spec.channels),
            Some(inner) => format!("array={inner:?}"),
        };
        format!(
            "Stream('{}', planes={}, {form}, dtype={}, clips={}, frames={})",
            self.spec.name,
            self.spec.planes,
            array::type_name(self.spec.samples),
            self.clips,
            self.frames
        )
    }
}
