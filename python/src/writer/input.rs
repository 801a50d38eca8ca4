//! Reads the arguments of the classes from Python objects.

use super::frames::{Frames, View};
use crate::arguments::{clearer, whole};
use crate::array::Borrowed;
use crate::error;
use clipshard::Attributes;
use pyo3::exceptions::{PyException, PyMemoryError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyMapping, PyString, PyTuple};

/// The frames of a clip in one stream, with the objects that own the memory.
pub enum Given<'py> {
    Array(Borrowed<'py>),
    List(Vec<Borrowed<'py>>),
    Files(Vec<Vec<Bound<'py, PyBytes>>>),
}

/// Returns the memory of an array.
fn view<'a>(array: &'a Borrowed<'_>) -> View<'a> {
    View { samples: array.samples(), dims: array.shape(), bytes: array.bytes() }
}

impl Given<'_> {
    /// Returns the memory, which threads without the GIL can read.
    pub fn frames(&self) -> Frames<'_> {
        match self {
            Self::Array(array) => Frames::Array(view(array)),
            Self::List(arrays) => Frames::List(arrays.iter().map(view).collect()),
            Self::Files(frames) => {
                let mut all = Vec::with_capacity(frames.len());
                for files in frames {
                    all.push(files.iter().map(PyBytesMethods::as_bytes).collect());
                }
                Frames::Files(all)
            }
        }
    }
}

/// Reads the frames of a stream. `place` names clip and stream in errors.
pub fn given<'py>(value: &Bound<'py, PyAny>, place: &str) -> PyResult<Given<'py>> {
    let wrong =
        |found: &str| error::wrong_type(format!("{place}: found {found}, expected an array [n, ...] or a list"));
    if value.is_instance_of::<PyBytes>() || value.is_instance_of::<PyString>() || value.is_instance_of::<PyDict>() {
        return Err(wrong(&value.get_type().name()?.to_string()));
    }
    let is_list = value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>();
    if !is_list && (value.hasattr("__array__")? || value.hasattr("__array_interface__")?) {
        return Ok(Given::Array(array(value, place)?));
    }
    let Ok(items) = value.try_iter() else { return Err(wrong(&value.get_type().name()?.to_string())) };
    let items: Vec<Bound<'py, PyAny>> = items.collect::<PyResult<_>>()?;
    let Some(first) = items.first() else { return Ok(Given::List(Vec::new())) };
    if let Some(files) = files(&items, first, place)? {
        return Ok(Given::Files(files));
    }
    let frame = |(number, item): (usize, &Bound<'py, PyAny>)| array(item, &format!("{place}: frame {number}"));
    Ok(Given::List(items.iter().enumerate().map(frame).collect::<PyResult<_>>()?))
}

/// Reads a list of JPEG files, or of a list of files per frame. Returns `None` if the first frame is
/// no file.
fn files<'py>(
    items: &[Bound<'py, PyAny>],
    first: &Bound<'py, PyAny>,
    place: &str,
) -> PyResult<Option<Vec<Vec<Bound<'py, PyBytes>>>>> {
    let inner = |item: &Bound<'py, PyAny>| -> PyResult<Vec<Bound<'py, PyAny>>> {
        if item.is_instance_of::<PyList>() || item.is_instance_of::<PyTuple>() {
            item.try_iter()?.collect()
        } else {
            Ok(vec![item.clone()])
        }
    };
    if !inner(first)?.first().is_some_and(Bound::is_instance_of::<PyBytes>) {
        return Ok(None);
    }
    let mut frames = Vec::with_capacity(items.len());
    for (number, item) in items.iter().enumerate() {
        let file = |file: Bound<'py, PyAny>| {
            file.cast_into::<PyBytes>().map_err(|error| {
                let found = error.into_inner().get_type().to_string();
                error::wrong_type(format!("{place}: frame {number}: found {found}, expected a JPEG file as bytes"))
            })
        };
        frames.push(inner(item)?.into_iter().map(file).collect::<PyResult<_>>()?);
    }
    Ok(Some(frames))
}

/// Reads an array, or anything that `numpy.asarray` accepts. `place` names it in errors.
fn array<'py>(value: &Bound<'py, PyAny>, place: &str) -> PyResult<Borrowed<'py>> {
    let py = value.py();
    Borrowed::new(value, None, place).map_err(|cause| {
        if cause.value(py).to_string().starts_with(place) {
            return cause;
        }
        let is_memory = cause.is_instance_of::<PyMemoryError>(py);
        wrapped(py, cause, |text| {
            let text = format!("{place}: numpy cannot make an array of it: {text}");
            if is_memory { error::memory(text) } else { error::wrong_type(text) }
        })
    })
}

/// Reads attributes: anything that `json.dumps` accepts as a JSON object. `place` names them in
/// errors.
pub fn attributes(value: Option<&Bound<'_, PyAny>>, place: &str) -> PyResult<Attributes> {
    let Some(value) = value else { return Ok(Attributes::new()) };
    let py = value.py();
    let fault = |text: &str| error::option(format!("{place}: attrs: {text}"));
    if value.cast::<PyMapping>().is_err() {
        let found = value.get_type().name()?;
        return Err(error::wrong_type(format!("{place}: attrs: found {found}, expected a dict")));
    }
    let dict = py.get_type::<PyDict>().call1((value,))?;
    let options = PyDict::new(py);
    options.set_item("allow_nan", false)?;
    options.set_item("ensure_ascii", false)?;
    let text = py.import("json")?.call_method("dumps", (dict,), Some(&options)).map_err(|cause| {
        let is_type = cause.is_instance_of::<PyTypeError>(py);
        wrapped(py, cause, |text| {
            let text = format!("{text}; use dicts, lists, texts, finite numbers, True, False and None");
            if is_type { error::wrong_type(format!("{place}: attrs: {text}")) } else { fault(&text) }
        })
    })?;
    let text =
        text.cast::<PyString>()?.to_str().map_err(|_| fault("a text has a lone surrogate, which is not Unicode"))?;
    Attributes::from_json(text).map_err(|text| fault(&text))
}

/// Wraps an exception that is an error. `KeyboardInterrupt` and its like stay as they are.
fn wrapped(py: Python<'_>, cause: PyErr, wrap: impl FnOnce(&str) -> PyErr) -> PyErr {
    if !cause.is_instance_of::<PyException>(py) {
        return cause;
    }
    let error = wrap(&cause.value(py).to_string());
    error.set_cause(py, Some(cause));
    error
}

/// The label of a clip: nothing, a number or the name of a class.
pub enum Label {
    None,
    Number(u32),
    Class(String),
}

/// Reads a label. `place` names the clip in errors.
pub fn label(value: Option<&Bound<'_, PyAny>>, place: &str) -> PyResult<Label> {
    let Some(value) = value else { return Ok(Label::None) };
    if let Ok(name) = value.cast::<PyString>() {
        return Ok(Label::Class(name.to_str()?.to_owned()));
    }
    let wrong = || {
        let found = value.get_type().name().map_or_else(|_| "an object".into(), |name| name.to_string());
        error::wrong_type(format!("{place}: label: found {found}, expected a number, the name of a class or None"))
    };
    let number = whole(value).map_err(|cause| clearer(value.py(), cause, wrong))?;
    let fault = || error::option(format!("{place}: label {number} is not the number of a class; None means no label"));
    u32::try_from(number).map(Label::Number).map_err(|_| fault())
}

/// The subsets of a clip.
pub enum Subsets {
    Unused,
    /// The same in each split.
    All(String),
    /// By the name of the split.
    Of(Vec<(String, String)>),
}

/// Reads the subsets of a clip. `place` names the clip in errors.
pub fn subsets(value: Option<&Bound<'_, PyAny>>, place: &str) -> PyResult<Subsets> {
    let Some(value) = value else { return Ok(Subsets::Unused) };
    if let Ok(name) = value.cast::<PyString>() {
        return Ok(Subsets::All(name.to_str()?.to_owned()));
    }
    let fault = || error::wrong_type(format!("{place}: subset: expected a name, a dict from splits to names, or None"));
    let pairs = value.cast::<PyMapping>().map_err(|_| fault())?.items()?;
    let pair = |pair: Bound<'_, PyAny>| pair.extract::<(String, String)>().map_err(|_| fault());
    pairs.iter().map(pair).collect::<PyResult<_>>().map(Subsets::Of)
}

/// Reads a list of texts. `what` names it in errors.
pub fn texts(value: Option<&Bound<'_, PyAny>>, what: &str) -> PyResult<Option<Vec<String>>> {
    let Some(value) = value else { return Ok(None) };
    let fault = || error::wrong_type(format!("{what}: expected a list of texts"));
    if value.is_instance_of::<PyString>() {
        return Err(fault());
    }
    let items = value.try_iter().map_err(|_| fault())?;
    items.map(|item| item?.extract::<String>().map_err(|_| fault())).collect::<PyResult<_>>().map(Some)
}
