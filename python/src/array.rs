//! Numpy arrays over memory of Rust, and memory of Python for Rust.
//!
//! This is the only module of the bindings with unsafe code. numpy is imported at the first use.
#![allow(unsafe_code, reason = "numpy's C interface takes pointers")]

use crate::error;
use clipshard::SampleType;
use numpy::npyffi::{NPY_ARRAY_WRITEABLE, NPY_TYPES, NpyTypes, PY_ARRAY_API, get_type_object, npy_intp};
use numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyImportError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyCapsule;
use std::ffi::c_int;
use std::ptr;

/// Returns numpy, or the exception of its import.
fn numpy(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static NUMPY: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let import = || {
        let module = py.import("numpy")?;
        has_interface(&module).map_err(|cause| {
            let file = module.getattr("__file__").map_or_else(|_| "an unknown file".into(), |file| file.to_string());
            let text = "the module numpy is not the package numpy, or is broken";
            let error =
                PyImportError::new_err(format!("{text}: it is {file}; rename your own file, or reinstall numpy"));
            error.set_cause(py, Some(cause));
            error
        })?;
        Ok(module.unbind())
    };
    NUMPY.get_or_try_init(py, import).map(|module| module.bind(py))
}

/// Checks that numpy has the C interface, without which the crate `numpy` panics.
fn has_interface(numpy: &Bound<'_, PyModule>) -> PyResult<()> {
    let version: String = numpy.getattr("__version__")?.extract()?;
    let major = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0_u32);
    let name = if major >= 2 { "numpy._core.multiarray" } else { "numpy.core.multiarray" };
    numpy.py().import(name)?.getattr("_ARRAY_API")?.cast_into::<PyCapsule>()?;
    Ok(())
}

/// Returns numpy's name of a type of samples, such as `uint8`.
pub fn type_name(samples: SampleType) -> &'static str {
    match samples {
        SampleType::U16 => "uint16",
        SampleType::I16 => "int16",
        SampleType::F16 => "float16",
        SampleType::F32 => "float32",
        _ => "uint8",
    }
}

/// Returns the numpy type of samples.
pub fn dtype(py: Python<'_>, samples: SampleType) -> PyResult<Bound<'_, PyArrayDescr>> {
    numpy(py)?;
    PyArrayDescr::new(py, type_name(samples))
}

/// Returns the type of samples that a numpy type is, if the format has it. The order of bytes must
/// be that of the processor.
pub fn sample_type(dtype: &Bound<'_, PyArrayDescr>) -> Option<SampleType> {
    const TYPES: [(NPY_TYPES, SampleType); 5] = [
        (NPY_TYPES::NPY_UBYTE, SampleType::U8),
        (NPY_TYPES::NPY_USHORT, SampleType::U16),
        (NPY_TYPES::NPY_SHORT, SampleType::I16),
        (NPY_TYPES::NPY_HALF, SampleType::F16),
        (NPY_TYPES::NPY_FLOAT, SampleType::F32),
    ];
    let is_native = dtype.is_native_byteorder() != Some(false);
    TYPES.into_iter().find(|(number, _)| is_native && dtype.num() == *number as c_int).map(|(_, samples)| samples)
}

/// Makes a numpy array over the memory at `data`, or over new memory if `data` is null.
///
/// # Safety
///
/// `data` is null, or the elements that `shape` and `strides` describe are inside one allocation
/// that lives as long as the array.
unsafe fn new_array<'py>(
    dtype: Bound<'py, PyArrayDescr>,
    shape: &[usize],
    strides: Option<&[isize]>,
    data: *mut u8,
) -> PyResult<Bound<'py, PyUntypedArray>> {
    let py = dtype.py();
    numpy(py)?;
    let elements = shape.iter().try_fold(dtype.itemsize(), |bytes, &dim| bytes.checked_mul(dim));
    if elements.is_none_or(|bytes| bytes > isize::MAX as usize) {
        return Err(error::memory(format!("an array of shape {shape:?} does not fit into memory; read fewer frames")));
    }
    let mut dims: Vec<npy_intp> = shape.iter().map(|&dim| dim as npy_intp).collect();
    let mut strides: Option<Vec<npy_intp>> = strides.map(<[isize]>::to_vec);
    let strides = strides.as_mut().map_or(ptr::null_mut(), Vec::as_mut_ptr);
    let flags = if data.is_null() { 0 } else { NPY_ARRAY_WRITEABLE };
    // SAFETY: the type objects and numbers are valid, `dims` and `strides` have one number per
    // dimension, and the call takes over the reference to the dtype. The caller guarantees `data`.
    let array = unsafe {
        PY_ARRAY_API.PyArray_NewFromDescr(
            py,
            get_type_object(py, NpyTypes::PyArray_Type),
            dtype.into_ptr().cast(),
            dims.len() as c_int,
            dims.as_mut_ptr(),
            strides,
            data.cast(),
            flags,
            ptr::null_mut(),
        )
    };
    // SAFETY: the call returned an array that we own, or null with an exception.
    unsafe { Ok(Bound::from_owned_ptr_or_err(py, array)?.cast_into_unchecked()) }
}

/// Makes a writable numpy array over memory that the Python object `owner` keeps alive.
///
/// `strides` are in bytes and may be negative; `None` means C order.
///
/// # Safety
///
/// The elements that `shape` and `strides` describe are inside one allocation, which stays where it
/// is as long as `owner` lives. While Python code can reach the array, Rust makes no reference to
/// the memory.
pub unsafe fn shared<'py>(
    owner: Bound<'py, PyAny>,
    data: ptr::NonNull<u8>,
    dtype: Bound<'py, PyArrayDescr>,
    shape: &[usize],
    strides: Option<&[isize]>,
) -> PyResult<Bound<'py, PyUntypedArray>> {
    let py = owner.py();
    debug_assert!(strides.is_none_or(|strides| strides.len() == shape.len()));
    // SAFETY: the memory lives as long as `owner`, which becomes the base of the array below.
    let array = unsafe { new_array(dtype, shape, strides, data.as_ptr())? };
    // SAFETY: both are valid objects, and the call takes over the reference to `owner`.
    let status = unsafe { PY_ARRAY_API.PyArray_SetBaseObject(py, array.as_array_ptr(), owner.into_ptr()) };
    if status < 0 { Err(PyErr::fetch(py)) } else { Ok(array) }
}

/// Converts an argument to an array as `numpy.asarray` does.
fn as_array<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyUntypedArray>> {
    let py = object.py();
    let numpy = numpy(py)?;
    if let Ok(array) = object.cast::<PyUntypedArray>() {
        return Ok(array.clone());
    }
    let array = numpy.call_method1(intern!(py, "asarray"), (object,))?;
    Ok(array.cast_into::<PyUntypedArray>()?)
}

/// Returns whether numpy lets the memory of an array be written. It does not ask the attribute
/// `flags`, which a subclass may define.
fn is_writable(array: &Bound<'_, PyUntypedArray>) -> bool {
    // SAFETY: the array is a valid object.
    unsafe { (*array.as_array_ptr()).fields.flags & NPY_ARRAY_WRITEABLE != 0 }
}

/// Returns the first byte of an array in C order, and its number of bytes. The pointer of an array
/// without elements is dangling.
fn region(array: &Bound<'_, PyUntypedArray>) -> (*mut u8, usize) {
    let bytes = array.len() * array.dtype().itemsize();
    // SAFETY: the array is a valid object.
    let data: *mut u8 = unsafe { (*array.as_array_ptr()).fields.data.cast() };
    if bytes == 0 || data.is_null() { (ptr::NonNull::dangling().as_ptr(), 0) } else { (data, bytes) }
}

/// Samples of an argument, in C order. They are borrowed from the argument where its form allows
/// it, and copied where not.
pub struct Borrowed<'py> {
    array: Bound<'py, PyUntypedArray>,
    samples: SampleType,
    /// A copy: numpy frees the sizes of an array when a program sets its attribute `shape`.
    shape: Vec<usize>,
}

impl<'py> Borrowed<'py> {
    /// Takes an array, or anything that `numpy.asarray` accepts. `name` is the argument in errors.
    ///
    /// `samples` is the type that the array must have; `None` allows each type of the format.
    pub fn new(object: &Bound<'py, PyAny>, samples: Option<SampleType>, name: &str) -> PyResult<Self> {
        let py = object.py();
        let mut array = as_array(object)?;
        if array.dtype().is_native_byteorder() == Some(false) || !array.is_c_contiguous() || !array.is_aligned() {
            let native = array.dtype().call_method1(intern!(py, "newbyteorder"), ("=",))?;
            let whole = numpy(py)?.call_method1(intern!(py, "ascontiguousarray"), (&array, native))?;
            // `ascontiguousarray` gives an array without dimensions one.
            let whole = whole.call_method1(intern!(py, "reshape"), (array.getattr(intern!(py, "shape"))?,))?;
            array = whole.cast_into::<PyUntypedArray>()?;
        }
        let (found, shape) = (sample_type(&array.dtype()), array.shape().to_vec());
        match (found, samples) {
            (Some(found), None) => Ok(Self { array, samples: found, shape }),
            (Some(found), Some(wanted)) if found == wanted => Ok(Self { array, samples: found, shape }),
            (_, Some(wanted)) => {
                let wanted = type_name(wanted);
                Err(error::wrong_type(format!(
                    "{name} has samples of type {}, but needs {wanted}; convert it with .astype({wanted:?})",
                    array.dtype()
                )))
            }
            (None, None) => Err(error::wrong_type(format!(
                "{name} has samples of type {}, but a stream holds uint8, uint16, int16, float16 or float32; \
                 convert it with .astype",
                array.dtype()
            ))),
        }
    }

    /// Returns the type of the samples.
    pub fn samples(&self) -> SampleType {
        self.samples
    }

    /// Returns the sizes of the dimensions when the array was taken. Other code may have changed it
    /// since then, so that it has fewer bytes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Returns the samples as bytes, in C order. Other Python threads must not change the array
    /// meanwhile, as for any function of numpy.
    pub fn bytes(&self) -> &[u8] {
        let (data, bytes) = region(&self.array);
        // SAFETY: `new` checked that the array is in C order, so its elements are these bytes. They
        // are initialised, because Python made them, and `self` keeps them alive.
        unsafe { std::slice::from_raw_parts(data, bytes) }
    }
}

/// An array in C order that Rust fills, with or without the GIL.
pub struct Writable<'py> {
    array: Bound<'py, PyUntypedArray>,
    /// The caller's object, which is an array or shares its memory with `array`, and whether
    /// `array` must be copied into it because its type is larger.
    out: Option<(Bound<'py, PyAny>, Option<Bound<'py, PyUntypedArray>>)>,
}

impl<'py> Writable<'py> {
    /// Makes a new array. Its content is arbitrary until it is filled.
    ///
    /// # Errors
    ///
    /// Returns a `MemoryError` if memory is not sufficient.
    pub fn new(py: Python<'py>, samples: SampleType, shape: &[usize]) -> PyResult<Self> {
        let dtype = dtype(py, samples)?;
        // SAFETY: the array makes its own memory.
        let array = unsafe { new_array(dtype, shape, None, ptr::null_mut())? };
        Ok(Self { array, out: None })
    }

    /// Takes the argument `out`: a writable array in C order, or an object that shares its memory
    /// with `numpy.asarray` of it, such as a torch tensor of the CPU or a `bytearray`.
    ///
    /// It has this shape, or one dimension with as many elements. Its type is that of the samples,
    /// or one that holds all of their values. A flat buffer of bytes takes samples of any type.
    pub fn out(out: &Bound<'py, PyAny>, samples: SampleType, shape: &[usize]) -> PyResult<Self> {
        let py = out.py();
        let target = as_array(out)?;
        if !out.is_instance_of::<PyUntypedArray>() && region(&target).0 != region(&as_array(out)?).0 {
            return Err(error::wrong_type(format!(
                "out is of type {}, which numpy can only copy; pass a numpy array, a torch tensor of the CPU or a \
                 bytearray",
                out.get_type().name()?
            )));
        }
        if !is_writable(&target) {
            return Err(error::option("out is read-only; pass a writable array"));
        }
        if !target.is_c_contiguous() || !target.is_aligned() {
            return Err(error::option(
                "out is not contiguous in C order; pass numpy.empty(shape, dtype), or a slice of the first axis",
            ));
        }
        let elements: usize = shape.iter().product();
        let is_bytes = sample_type(&target.dtype()) == Some(SampleType::U8) && target.ndim() == 1;
        let wanted = if is_bytes { elements.saturating_mul(samples.bytes()) } else { elements };
        let fits = target.shape() == shape || target.ndim() == 1 && target.len() == wanted;
        if !fits {
            return Err(error::option(format!(
                "out has shape {:?}, but the result has shape {shape:?}; pass numpy.empty({shape:?}, \"{}\")",
                target.shape(),
                type_name(samples)
            )));
        }
        if sample_type(&target.dtype()) == Some(samples) || is_bytes {
            return Ok(Self { array: target, out: Some((out.clone(), None)) });
        }
        let source = dtype(py, samples)?;
        let can_cast = numpy(py)?.call_method1(intern!(py, "can_cast"), (source, target.dtype()))?;
        if !can_cast.extract::<bool>()? {
            return Err(error::wrong_type(format!(
                "out has type {}, which does not hold all values of {}; pass an array of type {1}",
                target.dtype(),
                type_name(samples)
            )));
        }
        let array = Self::new(py, samples, target.shape())?.array;
        Ok(Self { array, out: Some((out.clone(), Some(target))) })
    }

    /// Returns the memory to fill.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let (data, bytes) = region(&self.array);
        // SAFETY: the array is writable, in C order and alive. numpy has allocated its bytes, which
        // have arbitrary values. A new array is not visible to Python yet. An array of the caller
        // is; that other threads do not use it meanwhile is a condition of `out=`.
        unsafe { std::slice::from_raw_parts_mut(data, bytes) }
    }

    /// Returns whether the caller's array has another type, so that the samples are converted.
    pub fn is_converted(&self) -> bool {
        matches!(self.out, Some((_, Some(_))))
    }

    /// Returns the filled memory as an array, which keeps it alive and at its place. An array of a
    /// `bytearray`, for example, keeps other code from changing its length.
    pub fn into_array(self) -> Bound<'py, PyAny> {
        self.array.into_any()
    }

    /// Returns the filled array, or the caller's object.
    pub fn finish(self) -> PyResult<Bound<'py, PyAny>> {
        match self.out {
            None => Ok(self.array.into_any()),
            Some((out, None)) => Ok(out),
            Some((out, Some(target))) => {
                let py = out.py();
                numpy(py)?.call_method1(intern!(py, "copyto"), (target, self.array))?;
                Ok(out)
            }
        }
    }
}
