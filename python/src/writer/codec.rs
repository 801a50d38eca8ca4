//! The codecs of a writer as Python classes: `Jpeg`, `Zstd`, `Lz4` and `Raw`.

use super::form::{Form, parse_dtype};
use crate::arguments::{whole, whole_or_none};
use crate::array::type_name;
use crate::error;
use clipshard::{EncodeOptions, Filter, SampleType};
use pyo3::PyClass;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// How records are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    Jpeg { quality: u8 },
    Zstd { level: i32, filter: Option<Filter> },
    Lz4 { level: i32, filter: Option<Filter> },
    Raw,
}

/// How a stream of a `Writer` is stored, and which frames it takes.
///
/// Base class of `Jpeg`, `Zstd`, `Lz4` and `Raw`. Codecs are immutable. They can be compared, hashed
/// and pickled.
#[pyclass(frozen, subclass, eq, hash, module = "clipshard")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Codec {
    pub compression: Compression,
    pub form: Form,
}

impl Codec {
    /// Returns the options of the encoder for a type of samples. Returns `None` for JPEG.
    pub fn options(&self, samples: SampleType) -> Option<EncodeOptions> {
        let (options, filter) = match self.compression {
            Compression::Jpeg { .. } => return None,
            Compression::Zstd { level, filter } => (EncodeOptions::zstd(level), filter),
            Compression::Lz4 { level, filter } => (EncodeOptions::lz4(level), filter),
            Compression::Raw => (EncodeOptions::raw(), Some(Filter::None)),
        };
        Some(filter.map_or_else(|| options.for_samples(samples), |filter| options.with_filter(filter)))
    }

    /// Makes an object of a class of Python that extends this one.
    fn with<C: PyClass<BaseType = Self>>(self, class: C) -> PyClassInitializer<C> {
        PyClassInitializer::from(self).add_subclass(class)
    }

    fn name(&self) -> &'static str {
        match self.compression {
            Compression::Jpeg { .. } => "Jpeg",
            Compression::Zstd { .. } => "Zstd",
            Compression::Lz4 { .. } => "Lz4",
            Compression::Raw => "Raw",
        }
    }

    fn filter_name(&self) -> Option<&'static str> {
        match self.compression {
            Compression::Zstd { filter, .. } | Compression::Lz4 { filter, .. } => filter.map(Filter::name),
            Compression::Jpeg { .. } | Compression::Raw => None,
        }
    }

    /// Returns quality or level.
    fn number(&self) -> Option<i32> {
        match self.compression {
            Compression::Jpeg { quality } => Some(quality.into()),
            Compression::Zstd { level, .. } | Compression::Lz4 { level, .. } => Some(level),
            Compression::Raw => None,
        }
    }

    /// Returns how Python would make the codec, such as `Zstd(9, dtype="uint16")`.
    pub fn text(&self) -> String {
        let Form { is_array, samples, planes, channels } = self.form;
        let mut parts: Vec<String> = self.number().iter().map(ToString::to_string).collect();
        parts.extend(self.filter_name().map(|filter| format!("filter={filter:?}")));
        if is_array {
            parts.push("kind=\"array\"".into());
        }
        if !matches!(self.compression, Compression::Jpeg { .. }) {
            parts.extend(samples.map(|samples| format!("dtype={:?}", type_name(samples))));
        }
        parts.extend(planes.map(|planes| format!("planes={planes}")));
        parts.extend(channels.map(|channels| format!("channels={channels}")));
        format!("{}({})", self.name(), parts.join(", "))
    }
}

#[pymethods]
impl Codec {
    /// "image" or "array".
    #[getter]
    fn kind(&self) -> &'static str {
        if self.form.is_array { "array" } else { "image" }
    }

    /// Name of the type of the samples in numpy, or None if the first clip decides.
    #[getter]
    fn dtype(&self) -> Option<&'static str> {
        self.form.samples.map(type_name)
    }

    /// Planes per frame, or None if the first clip decides.
    #[getter]
    fn planes(&self) -> Option<u8> {
        self.form.planes
    }

    /// Channels per image, or None if the first clip decides.
    #[getter]
    fn channels(&self) -> Option<u8> {
        self.form.channels
    }

    fn __repr__(&self) -> String {
        self.text()
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let options = PyDict::new(py);
        if let Some(filter) = self.filter_name() {
            options.set_item("filter", filter)?;
        }
        if !matches!(self.compression, Compression::Jpeg { .. }) {
            options.set_item("kind", self.kind())?;
            options.set_item("dtype", self.dtype())?;
        }
        options.set_item("planes", self.form.planes)?;
        options.set_item("channels", self.form.channels)?;
        Ok((PyTuple::new(py, self.number())?, options))
    }
}

/// Stores images as JPEG files, which loses some detail.
///
/// For 8-bit images of 1 or 3 channels. Colours have half the resolution (4:2:0), like those of most
/// videos. Frames that are JPEG files already are stored unchanged with any codec.
///
/// Args:
///     quality: 1 to 100.
///     planes: images per frame. The first clip decides if it is None.
///     channels: 1 or 3. The first clip decides if it is None.
///
/// Raises:
///     OptionError: if a number is out of range.
///
/// Example:
///     >>> clipshard.Jpeg(90)
///     Jpeg(90)
#[pyclass(frozen, extends = Codec, module = "clipshard")]
#[derive(Debug)]
pub struct Jpeg;

#[pymethods]
impl Jpeg {
    #[new]
    #[pyo3(signature = (quality = 90, *, planes = None, channels = None))]
    fn new(
        #[pyo3(from_py_with = whole)] quality: i64,
        #[pyo3(from_py_with = whole_or_none)] planes: Option<i64>,
        #[pyo3(from_py_with = whole_or_none)] channels: Option<i64>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let form = Form::new("image", Some(SampleType::U8), planes, channels)?;
        if form.channels.is_some_and(|channels| channels != 1 && channels != 3) {
            return Err(error::option("Jpeg: JPEG images have 1 or 3 channels; use Zstd for other numbers"));
        }
        let quality = within("Jpeg", "quality", quality, 1, 100)? as u8;
        Ok(Codec { compression: Compression::Jpeg { quality }, form }.with(Self))
    }

    /// Quality, 1 to 100.
    #[getter]
    fn quality(slf: &Bound<'_, Self>) -> Option<i32> {
        slf.as_super().get().number()
    }
}

/// Stores frames without loss, compressed with zstd.
///
/// The usual codec for optical flow, depth and arrays.
///
/// Args:
///     level: 1 to 22. Higher levels take longer to write, and about as long to read.
///     filter: "none", "up", "shuffle" or "up-shuffle". None chooses the one that suits the dtype.
///     kind: "image", or "array" for poses, boxes, audio and other records that are not images.
///     dtype: "uint8", "uint16", "int16", "float16" or "float32". The first clip decides if it is
///         None, also for planes and channels.
///     planes: records per frame, such as 2 for flow.
///     channels: channels per image, 1 to 4.
///
/// Raises:
///     OptionError: if a value is not allowed.
///
/// Example:
///     >>> clipshard.Zstd(9, dtype="uint16", planes=1, channels=1)
///     Zstd(9, dtype="uint16", planes=1, channels=1)
#[pyclass(frozen, extends = Codec, module = "clipshard")]
#[derive(Debug)]
pub struct Zstd;

#[pymethods]
impl Zstd {
    #[new]
    #[pyo3(signature = (level = 9, filter = None, *, kind = "image", dtype = None, planes = None, channels = None))]
    fn new(
        #[pyo3(from_py_with = whole)] level: i64,
        filter: Option<&str>,
        kind: &str,
        dtype: Option<&Bound<'_, PyAny>>,
        #[pyo3(from_py_with = whole_or_none)] planes: Option<i64>,
        #[pyo3(from_py_with = whole_or_none)] channels: Option<i64>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let level = within("Zstd", "level", level, 1, 22)?;
        let filter = parse_filter("Zstd", filter)?;
        let form = Form::new(kind, parse_dtype(dtype)?, planes, channels)?;
        Ok(checked("Zstd", Codec { compression: Compression::Zstd { level, filter }, form })?.with(Self))
    }

    /// Compression level, 1 to 22.
    #[getter]
    fn level(slf: &Bound<'_, Self>) -> Option<i32> {
        slf.as_super().get().number()
    }

    /// Name of the filter, or None for the one that suits the dtype.
    #[getter]
    fn filter(slf: &Bound<'_, Self>) -> Option<&'static str> {
        slf.as_super().get().filter_name()
    }
}

/// Stores frames without loss, compressed with LZ4.
///
/// It is faster to read than zstd, and larger.
///
/// Args:
///     level: 1 to 12.
///     filter, kind, dtype, planes, channels: see `Zstd`.
///
/// Raises:
///     OptionError: if a value is not allowed.
#[pyclass(frozen, extends = Codec, module = "clipshard")]
#[derive(Debug)]
pub struct Lz4;

#[pymethods]
impl Lz4 {
    #[new]
    #[pyo3(signature = (level = 9, filter = None, *, kind = "image", dtype = None, planes = None, channels = None))]
    fn new(
        #[pyo3(from_py_with = whole)] level: i64,
        filter: Option<&str>,
        kind: &str,
        dtype: Option<&Bound<'_, PyAny>>,
        #[pyo3(from_py_with = whole_or_none)] planes: Option<i64>,
        #[pyo3(from_py_with = whole_or_none)] channels: Option<i64>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let level = within("Lz4", "level", level, 1, 12)?;
        let filter = parse_filter("Lz4", filter)?;
        let form = Form::new(kind, parse_dtype(dtype)?, planes, channels)?;
        Ok(checked("Lz4", Codec { compression: Compression::Lz4 { level, filter }, form })?.with(Self))
    }

    /// Compression level, 1 to 12.
    #[getter]
    fn level(slf: &Bound<'_, Self>) -> Option<i32> {
        slf.as_super().get().number()
    }

    /// Name of the filter, or None for the one that suits the dtype.
    #[getter]
    fn filter(slf: &Bound<'_, Self>) -> Option<&'static str> {
        slf.as_super().get().filter_name()
    }
}

/// Stores frames without compression.
///
/// Args:
///     kind, dtype, planes, channels: see `Zstd`.
///
/// Raises:
///     OptionError: if a value is not allowed.
#[pyclass(frozen, extends = Codec, module = "clipshard")]
#[derive(Debug)]
pub struct Raw;

#[pymethods]
impl Raw {
    #[new]
    #[pyo3(signature = (*, kind = "image", dtype = None, planes = None, channels = None))]
    fn new(
        kind: &str,
        dtype: Option<&Bound<'_, PyAny>>,
        #[pyo3(from_py_with = whole_or_none)] planes: Option<i64>,
        #[pyo3(from_py_with = whole_or_none)] channels: Option<i64>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let form = Form::new(kind, parse_dtype(dtype)?, planes, channels)?;
        Ok(Codec { compression: Compression::Raw, form }.with(Self))
    }
}

/// Checks that a number is in a range.
fn within(codec: &str, what: &str, number: i64, low: i32, high: i32) -> PyResult<i32> {
    let found = i32::try_from(number).ok().filter(|number| (low..=high).contains(number));
    found.ok_or_else(|| error::option(format!("{codec}: {what} {number} is not {low} to {high}")))
}

fn parse_filter(codec: &str, name: Option<&str>) -> PyResult<Option<Filter>> {
    let Some(name) = name else { return Ok(None) };
    let all = [Filter::None, Filter::Up, Filter::Shuffle, Filter::UpShuffle];
    let found = all.into_iter().find(|filter| filter.name() == name);
    let fault = || {
        error::option(format!("{codec}: no filter {name:?}; use \"none\", \"up\", \"shuffle\", \"up-shuffle\" or None"))
    };
    found.map(Some).ok_or_else(fault)
}

/// Checks that the filter fits the type of samples, if both are given.
fn checked(name: &str, codec: Codec) -> PyResult<Codec> {
    if let Some(samples) = codec.form.samples {
        check_filter(&codec, samples).map_err(|fault| error::option(format!("{name}: {fault}")))?;
    }
    Ok(codec)
}

/// Checks that the filter of a codec fits a type of samples. Returns the fault in words.
pub fn check_filter(codec: &Codec, samples: SampleType) -> Result<(), String> {
    match codec.options(samples) {
        Some(options) if !options.filter.fits(options.codec, samples) => Err(format!(
            "filter {:?} does not fit {} samples; use filter=None, which chooses one",
            options.filter.name(),
            type_name(samples)
        )),
        _ => Ok(()),
    }
}
