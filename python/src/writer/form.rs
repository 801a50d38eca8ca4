//! The form of a stream: kind, type of samples, planes and channels. It says how arrays of numpy are
//! divided into records.

use crate::array::type_name;
use crate::error;
use clipshard::{ImageSize, SampleType, Shape, StreamSpec};
use pyo3::prelude::*;
use pyo3::types::PyString;

/// The part of a stream's form that a codec states. The first clip decides the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Form {
    pub is_array: bool,
    pub samples: Option<SampleType>,
    pub planes: Option<u8>,
    pub channels: Option<u8>,
}

const TYPES: [SampleType; 5] = [SampleType::U8, SampleType::U16, SampleType::I16, SampleType::F16, SampleType::F32];

/// Returns the type of samples with this name in numpy.
fn sample_type(name: &str) -> Option<SampleType> {
    TYPES.into_iter().find(|samples| type_name(*samples) == name)
}

/// Reads a dtype: its name, or anything from which numpy makes one.
pub fn parse_dtype(dtype: Option<&Bound<'_, PyAny>>) -> PyResult<Option<SampleType>> {
    let Some(dtype) = dtype else { return Ok(None) };
    // The usual names need no numpy.
    if let Some(known) = dtype.cast::<PyString>().ok().and_then(|name| sample_type(name.to_str().ok()?)) {
        return Ok(Some(known));
    }
    let name: String = dtype.py().import("numpy")?.call_method1("dtype", (dtype,))?.getattr("name")?.extract()?;
    let fault = || {
        let known = TYPES.map(type_name).join(", ");
        error::option(format!("no stream has the dtype {name}; use one of {known}"))
    };
    sample_type(&name).map(Some).ok_or_else(fault)
}

impl Form {
    /// Checks the arguments of a codec.
    pub fn new(kind: &str, samples: Option<SampleType>, planes: Option<i64>, channels: Option<i64>) -> PyResult<Self> {
        let is_array = match kind {
            "image" => false,
            "array" => true,
            _ => return Err(error::option(format!("no kind {kind:?}; use \"image\" or \"array\""))),
        };
        let within = |what: &str, number: Option<i64>, most: i64| {
            let Some(number) = number else { return Ok(None) };
            let found = u8::try_from(number).ok().filter(|_| (1..=most).contains(&number));
            found.map(Some).ok_or_else(|| error::option(format!("{what} is {number}, not 1 to {most}")))
        };
        let (planes, channels) = (within("planes", planes, 255)?, within("channels", channels, 4)?);
        if is_array && channels.is_some() {
            return Err(error::option("arrays have no channels: omit channels, or use kind=\"image\""));
        }
        Ok(Self { is_array, samples, planes, channels })
    }

    /// Returns the stream of a first clip, or the fault in words.
    pub fn infer(self, name: &str, first: &First<'_>) -> Result<StreamSpec, String> {
        let (samples, dims) = match *first {
            First::Frame { samples, dims } => (samples, dims),
            First::Files { planes, channels } => {
                if self.is_array || self.samples.is_some_and(|samples| samples != SampleType::U8) {
                    return Err("found JPEG files, which only a stream of uint8 images takes".into());
                }
                let spec = StreamSpec::new(name, planes, self.channels.unwrap_or(channels));
                return match self.planes {
                    Some(stated) if stated != planes => {
                        Err(format!("found {planes} files per frame, expected {stated}"))
                    }
                    _ => Ok(spec),
                };
            }
        };
        let found = || format!("found frames of {}", describe(samples, dims));
        if self.is_array {
            let planes = self.planes.unwrap_or(1);
            let dims = match dims {
                [first, rest @ ..] if planes > 1 && *first == usize::from(planes) => rest,
                _ if planes > 1 => return Err(format!("{}, expected {planes} planes first", found())),
                dims => dims,
            };
            let inner: Option<Vec<u32>> = dims.iter().skip(1).map(|&dim| u32::try_from(dim).ok()).collect();
            return match inner {
                Some(inner) if (1..=4).contains(&dims.len()) && !inner.contains(&0) => {
                    Ok(StreamSpec::arrays(name, samples, &inner).with_planes(planes))
                }
                _ => Err(format!("{}, but an array has 1 to 4 dimensions, and only the first may be 0", found())),
            };
        }
        let fits = |planes: usize, channels: usize| {
            let stated = |stated: Option<u8>, found| stated.is_none_or(|stated| usize::from(stated) == found);
            let numbers = (u8::try_from(planes).ok()?, u8::try_from(channels).ok().filter(|n| (1..=4).contains(n))?);
            (planes > 0 && stated(self.planes, planes) && stated(self.channels, channels)).then_some(numbers)
        };
        // Programs store colours, or x and y of flow, in either order. A wrong guess would be silent.
        if let ([first, height, width], None, None) = (dims, self.planes, self.channels) {
            if *width == 2 {
                return Err(format!(
                    "{}: state channels=2 in the codec, or move the last axis before H and W, as flow needs it",
                    found()
                ));
            }
            if matches!(first, 3 | 4) && *width > 4 && *height > 4 {
                return Err(format!(
                    "{}: for colours, move the first axis behind H and W; for {first} planes, state planes={first} in \
                     the codec",
                    found()
                ));
            }
        }
        let numbers = match *dims {
            [_, _] => fits(1, 1),
            [first, _, last] => fits(1, last).or_else(|| {
                // Without help, only a few planes are plausible: more are a wrong order of dimensions.
                fits(first, 1).filter(|_| first <= 4 || self.planes.is_some())
            }),
            [planes, _, _, channels] => fits(planes, channels),
            _ => None,
        };
        let Some((planes, channels)) = numbers else {
            return Err(match (self.planes, self.channels) {
                (None, None) => format!(
                    "{}, which are not images [H, W], [H, W, channels] or [planes, H, W]; give planes and channels to \
                     the codec, or kind=\"array\"",
                    found()
                ),
                (planes, channels) => {
                    let text = |n: Option<u8>| n.map_or_else(|| "any".into(), |n| n.to_string());
                    format!("{}, expected {} planes of {} channels", found(), text(planes), text(channels))
                }
            });
        };
        Ok(StreamSpec::new(name, planes, channels).with_samples(samples))
    }

    /// Checks that a stream is what the codec states. Returns what differs.
    pub fn check(self, spec: &StreamSpec) -> Result<(), String> {
        let differs = self.is_array != spec.array.is_some()
            || self.samples.is_some_and(|samples| samples != spec.samples)
            || self.planes.is_some_and(|planes| planes != spec.planes)
            || self.channels.is_some_and(|channels| channels != spec.channels);
        if differs { Err(format!("found {}", expected(spec))) } else { Ok(()) }
    }
}

/// The first frame of a clip: an array, or JPEG files.
pub enum First<'a> {
    Frame { samples: SampleType, dims: &'a [usize] },
    Files { planes: u8, channels: u8 },
}

/// Writes a type and dimensions, such as `uint8 [240, 320, 3]`.
pub fn describe(samples: SampleType, dims: &[usize]) -> String {
    format!("{} {dims:?}", type_name(samples))
}

/// Describes the frames that a stream takes, such as `frames of uint8 [H, W, 3]`.
pub fn expected(spec: &StreamSpec) -> String {
    format!("frames of {}", expected_dims(spec, &[]))
}

/// Writes the type and the dimensions that a stream takes, after some other dimensions.
pub fn expected_dims(spec: &StreamSpec, before: &[&str]) -> String {
    let mut dims: Vec<String> = before.iter().map(ToString::to_string).collect();
    dims.extend((spec.planes > 1).then(|| spec.planes.to_string()));
    if let Some(inner) = &spec.array {
        dims.push("any".into());
        dims.extend(inner.iter().map(u32::to_string));
    } else {
        dims.extend(["H".into(), "W".into()]);
        dims.extend((spec.channels > 1).then(|| spec.channels.to_string()));
    }
    format!("{} [{}]", type_name(spec.samples), dims.join(", "))
}

/// Returns the shape of the records of a frame with these dimensions, if the stream takes it.
///
/// The dimensions of planes and channels may be missing if they are 1.
pub fn record_shape(spec: &StreamSpec, dims: &[usize]) -> Option<Shape> {
    let (planes, channels) = (usize::from(spec.planes), usize::from(spec.channels));
    let size = |dim: usize| u16::try_from(dim).ok();
    let shape = match (&spec.array, dims) {
        (Some(inner), dims) => {
            let dims = match dims {
                [first, rest @ ..] if *first == planes && rest.len() == inner.len() + 1 => rest,
                dims if planes == 1 => dims,
                _ => return None,
            };
            let dims: Vec<u32> = dims.iter().map(|&dim| u32::try_from(dim).ok()).collect::<Option<_>>()?;
            Shape::array(&dims, spec.samples).ok()?
        }
        (None, dims) => {
            let (height, width) = match *dims {
                [height, width] if planes == 1 && channels == 1 => (height, width),
                [height, width, last] if planes == 1 && last == channels => (height, width),
                [first, height, width] if channels == 1 && first == planes => (height, width),
                [first, height, width, last] if first == planes && last == channels => (height, width),
                _ => return None,
            };
            let size = ImageSize { width: size(width)?, height: size(height)?, channels: spec.channels };
            Shape::image(size, spec.samples)
        }
    };
    spec.accepts(&shape).then_some(shape)
}
