//! The frames of a clip in one stream: memory of Python, divided into records.

use super::form::{First, describe, expected, expected_dims, record_shape};
use crate::array::type_name;
use crate::error;
use clipshard::{EncodedRecord, MAX_IMAGE_BYTES, SampleType, Shape, StreamSpec};
use pyo3::PyErr;

/// Most records of a clip that has fewer bytes than records: arrays without samples.
const MAX_EMPTY: usize = 1 << 20;

/// An array: little-endian samples in the order of the dimensions.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub samples: SampleType,
    pub dims: &'a [usize],
    pub bytes: &'a [u8],
}

/// The frames of a clip in one stream.
#[derive(Debug)]
pub enum Frames<'a> {
    /// One array, whose first dimension is the frames.
    Array(View<'a>),
    /// One array per frame.
    List(Vec<View<'a>>),
    /// One JPEG file per frame and plane.
    Files(Vec<Vec<&'a [u8]>>),
}

impl<'a> Frames<'a> {
    /// Returns the first frame, or a fault if there is none.
    pub fn first(&self) -> Result<First<'_>, String> {
        let none = || "it has no frames; give at least one, or omit the stream".to_owned();
        match self {
            Self::Array(view) => match view.dims {
                [] => Err("found a number, expected an array [n, ...] of n frames".into()),
                [0, ..] => Err(none()),
                [_, dims @ ..] => Ok(First::Frame { samples: view.samples, dims }),
            },
            Self::List(views) => {
                let first = views.first().ok_or_else(none)?;
                Ok(First::Frame { samples: first.samples, dims: first.dims })
            }
            Self::Files(frames) => {
                let files = frames.first().ok_or_else(none)?;
                let file = files.first().ok_or("its first frame has no files")?;
                let planes = u8::try_from(files.len()).map_err(|_| "a frame has more than 255 files".to_owned())?;
                let record = jpeg_record(file).map_err(|fault| format!("frame 0: {fault}"))?;
                Ok(First::Files { planes, channels: record.shape().image_size().map_or(0, |size| size.channels) })
            }
        }
    }

    /// Divides the arrays into the records of a stream, frame after frame and plane after plane.
    ///
    /// `place` names clip and stream in errors.
    pub fn records(&self, spec: &StreamSpec, place: &str) -> Result<Vec<(Shape, &'a [u8])>, PyErr> {
        let planes = usize::from(spec.planes.max(1));
        let mut records = Vec::new();
        match self {
            Self::Array(view) => {
                let [count, dims @ ..] = view.dims else { return Err(mismatch(place, "a number: ", view, spec)) };
                let shape = check(spec, view, dims).ok_or_else(|| mismatch(place, "an array of ", view, spec))?;
                if count.saturating_mul(planes) > view.bytes.len().max(MAX_EMPTY) {
                    return Err(error::option(format!("{place}: {count} frames without samples are too many")));
                }
                for frame in 0..*count {
                    records.extend(planes_of(shape, view.bytes, frame * planes, planes));
                }
            }
            Self::List(views) => {
                for (frame, view) in views.iter().enumerate() {
                    let shape = check(spec, view, view.dims);
                    let shape = shape.ok_or_else(|| mismatch(place, &format!("frame {frame} of "), view, spec))?;
                    records.extend(planes_of(shape, view.bytes, 0, planes));
                }
            }
            Self::Files(_) => return Err(error::option(format!("{place}: found JPEG files, expected arrays"))),
        }
        Ok(records)
    }

    /// Makes records of JPEG files. Returns `None` if these are arrays.
    ///
    /// `channels` is the number that the codec states: files of other components are then decoded to
    /// it.
    pub fn files(
        &self,
        spec: &StreamSpec,
        channels: Option<u8>,
        place: &str,
    ) -> Result<Option<Vec<EncodedRecord>>, PyErr> {
        let Self::Files(frames) = self else { return Ok(None) };
        let fault = |frame: usize, text: &str| error::option(format!("{place}: frame {frame}: {text}"));
        let mut records = Vec::new();
        for (frame, files) in frames.iter().enumerate() {
            if files.len() != usize::from(spec.planes) || !spec.is_u8_images() {
                let found = format!("found {} JPEG files, expected {}", files.len(), expected(spec));
                return Err(fault(frame, &found));
            }
            for file in files {
                let mut record = jpeg_record(file).map_err(|text| fault(frame, &text))?;
                if channels.is_some() {
                    record = record.with_channels(spec.channels).map_err(|e| fault(frame, &e.to_string()))?;
                }
                if !spec.accepts(&record.shape()) {
                    let size = record.shape();
                    return Err(fault(
                        frame,
                        &format!(
                            "found a JPEG file of {size} (width x height x channels), expected {} channels; \
                         the codec's option channels={} makes readers convert it",
                            spec.channels, spec.channels
                        ),
                    ));
                }
                records.push(record);
            }
        }
        Ok(Some(records))
    }
}

/// Makes a record of a JPEG file, whose bytes stay as they are.
fn jpeg_record(file: &[u8]) -> Result<EncodedRecord, String> {
    EncodedRecord::from_jpeg(file.to_vec()).map_err(|fault| format!("not a JPEG file that can be stored: {fault}"))
}

/// Returns the shape of the records of a frame, if the stream takes it.
fn check(spec: &StreamSpec, view: &View<'_>, dims: &[usize]) -> Option<Shape> {
    if view.samples == spec.samples { record_shape(spec, dims) } else { None }
}

/// Returns the records of a frame, which start at record `first` of the bytes.
fn planes_of(shape: Shape, bytes: &[u8], first: usize, planes: usize) -> impl Iterator<Item = (Shape, &[u8])> {
    let size = shape.bytes();
    // The bytes are those of an existing array of this shape, so no product overflows.
    (first..first + planes).filter_map(move |plane| Some((shape, bytes.get(plane * size..(plane + 1) * size)?)))
}

/// Says how to convert frames from one type of samples to another.
pub fn conversion(from: SampleType, to: SampleType) -> String {
    let (name, is_float) = (type_name(to), |samples| matches!(samples, SampleType::F16 | SampleType::F32));
    if is_float(from) && !is_float(to) {
        return format!(
            "convert it with .astype({name:?}), after a multiplication by 255 if its values are between 0 and 1"
        );
    }
    format!("convert it with .astype({name:?})")
}

/// Makes the exception for frames that do not fit their stream.
fn mismatch(place: &str, what: &str, view: &View<'_>, spec: &StreamSpec) -> PyErr {
    let found = format!("{place}: found {what}{}", describe(view.samples, view.dims));
    if view.samples != spec.samples {
        let name = type_name(spec.samples);
        return error::wrong_type(format!("{found}, expected {name}; {}", conversion(view.samples, spec.samples)));
    }
    let is_array = what.starts_with("an array");
    let wanted = if is_array { format!("an array of {}", expected_dims(spec, &["n"])) } else { expected(spec) };
    let is_large = spec.array.is_none() && view.dims.iter().skip(usize::from(is_array)).any(|&dim| dim > 65_535);
    let limits = match (is_large, view.bytes.len() > MAX_IMAGE_BYTES) {
        (true, _) => "; an image has at most 65535 rows and columns",
        (false, true) => "; a record has at most 268435456 bytes",
        (false, false) => "",
    };
    error::option(format!("{found}, expected {wanted}{limits}"))
}
