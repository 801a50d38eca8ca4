//! Reads frames of a clip into an array.

use crate::arguments::{clearer, whole};
use crate::array::Writable;
use crate::error;
use crate::process::Signals;
use clipshard::{ClipRecords, Decoder, Shape, StreamSpec, Window};
use pyo3::prelude::*;
use std::cell::RefCell;

/// The frames to read: `range(start, start + count * step, step)`. All of them exist.
pub struct Reading {
    start: usize,
    step: usize,
    count: usize,
}

impl Reading {
    /// Takes the arguments of `range`. `stop` is by default the number of frames.
    pub fn frames(
        records: &ClipRecords<'_>,
        stream: &str,
        (start, stop, step): (i64, Option<i64>, i64),
    ) -> PyResult<Self> {
        let frames = records.frame_count();
        let stop = stop.unwrap_or(frames as i64);
        let missing = |number: i64| {
            error::index(format!(
                "clip {}: no frame {number} in stream {stream}; the numbers of its {frames} frames start at 0",
                records.id()
            ))
        };
        if step < 1 {
            return Err(error::option(format!(
                "step is {step}, but must be at least 1; reverse the result with [::-1]"
            )));
        }
        let Ok(first) = usize::try_from(start) else { return Err(missing(start)) };
        let Ok(end) = usize::try_from(stop) else { return Err(missing(stop)) };
        // An empty range may start after the last frame, as that of a slice.
        if first > frames || (first == frames && end > frames) {
            return Err(missing(start));
        }
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        let count = end.saturating_sub(first).div_ceil(step);
        if end > frames && count > 0 {
            return Err(missing(stop - 1));
        }
        Ok(Self { start: first, step, count })
    }

    fn numbers(&self) -> impl Iterator<Item = usize> + use<> {
        let (start, step) = (self.start, self.step);
        // All numbers exist, so they do not overflow.
        (0..self.count).map(move |i| start + i * step)
    }
}

/// Reads an argument that is a window.
fn window_of(argument: &Bound<'_, PyAny>) -> PyResult<Window> {
    let wrong = || error::wrong_type("window is not a tuple of 4 numbers; pass window=(x, y, width, height)");
    let clear = |cause| clearer(argument.py(), cause, wrong);
    let parts = argument.try_iter().map_err(clear)?;
    let parts: Vec<i64> = parts.take(5).map(|part| whole(&part?).map_err(clear)).collect::<PyResult<_>>()?;
    let [x, y, width, height] = parts[..] else { return Err(wrong()) };
    let number = |n: i64| {
        u16::try_from(n).map_err(|_| {
            error::option(format!(
                "window ({x}, {y}, {width}, {height}) is not inside any image; \
                 x, y, width and height are between 0 and 65535 pixels"
            ))
        })
    };
    Ok(Window { x: number(x)?, y: number(y)?, width: number(width)?, height: number(height)? })
}

/// Returns the shape of the record of a frame, after it has checked that all records to read have
/// this shape, or hold the window.
fn common_shape(
    records: &ClipRecords<'_>,
    spec: &StreamSpec,
    reading: &Reading,
    window: Option<Window>,
) -> PyResult<Shape> {
    let known = reading.start.min(records.frame_count().saturating_sub(1));
    let shape = records.shape(known, 0).map_err(error::shard)?;
    if window.is_some() && !shape.is_image() {
        return Err(error::stream_type(format!(
            "stream {} has {}, which have no windows; read without window=",
            spec.name,
            spec.form()
        )));
    }
    let numbers = reading.numbers().flat_map(|frame| (0..records.planes()).map(move |plane| (frame, plane)));
    for (frame, plane) in std::iter::once((known, 0)).chain(numbers) {
        let found = records.shape(frame, plane).map_err(error::shard)?;
        match (window, found.image_size()) {
            (Some(window), Some(size)) if !window.is_inside(size) => {
                return Err(error::option(format!(
                    "clip {}: window ({}, {}, {}, {}) is empty or not inside frame {frame} of stream {}, \
                     which is {} pixels wide and {} high; window is (x, y, width, height)",
                    records.id(),
                    window.x,
                    window.y,
                    window.width,
                    window.height,
                    spec.name,
                    size.width,
                    size.height
                )));
            }
            (None, _) if found != shape => {
                let cure = if shape.is_image() {
                    "read frames of one size at a time, or the same window= of all"
                } else {
                    "read one frame at a time"
                };
                return Err(error::option(format!(
                    "clip {}: frames of stream {} differ in size: frame {known} is {shape}, but frame {frame} is \
                     {found}; {cure}",
                    records.id(),
                    spec.name
                )));
            }
            _ => {}
        }
    }
    Ok(shape)
}

/// Returns the shape of a frame as an array, without the axes that have one element by definition.
pub fn frame_shape(
    records: &ClipRecords<'_>,
    spec: &StreamSpec,
    reading: &Reading,
    window: Option<Window>,
) -> PyResult<Vec<usize>> {
    let shape = common_shape(records, spec, reading, window)?;
    let planes = (records.planes() > 1).then_some(records.planes());
    let dims: Vec<usize> = match shape.image_size() {
        Some(size) => {
            let (height, width) = window.map_or((size.height, size.width), |window| (window.height, window.width));
            let channels = (size.channels > 1).then_some(size.channels);
            [height.into(), width.into()].into_iter().chain(channels.map(usize::from)).collect()
        }
        None => shape.dims().iter().map(|&dim| dim as usize).collect(),
    };
    Ok(planes.into_iter().chain(dims).collect())
}

/// Reads frames into a new array, or into `out`.
pub fn read<'py>(
    py: Python<'py>,
    records: &ClipRecords<'_>,
    spec: &StreamSpec,
    reading: &Reading,
    window: Option<&Bound<'py, PyAny>>,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let window = window.map(window_of).transpose()?;
    let frame = frame_shape(records, spec, reading, window)?;
    let shape: Vec<usize> = [reading.count].into_iter().chain(frame).collect();
    let mut target = match out {
        Some(out) => Writable::out(out, spec.samples, &shape)?,
        None => Writable::new(py, spec.samples, &shape)?,
    };
    let bytes = target.bytes_mut();
    py.detach(|| decode(records, reading, window, bytes))?;
    target.finish()
}

thread_local! {
    /// The decoder of this thread, while it is not in use.
    static DECODER: RefCell<Option<Decoder>> = const { RefCell::new(None) };
}

/// Decodes frames without the GIL. `out` has the bytes of all of them.
fn decode(records: &ClipRecords<'_>, reading: &Reading, window: Option<Window>, out: &mut [u8]) -> PyResult<()> {
    // The decoder is taken out, because a signal handler may read frames in this thread too.
    let decoder = DECODER.with(RefCell::take);
    let mut decoder = decoder.map_or_else(Decoder::new, Ok).map_err(error::shard)?;
    if reading.step == 1 && reading.count > 1 {
        records.will_need(reading.start..reading.start + reading.count);
    }
    let result = decode_with(&mut decoder, records, reading, window, out);
    DECODER.with(|place| place.replace(Some(decoder)));
    result
}

fn decode_with(
    decoder: &mut Decoder,
    records: &ClipRecords<'_>,
    reading: &Reading,
    window: Option<Window>,
    out: &mut [u8],
) -> PyResult<()> {
    let images = reading.count * records.planes();
    let bytes = out.len().checked_div(images).unwrap_or(0);
    let mut rest = out;
    let mut signals = Signals::new();
    for frame in reading.numbers() {
        for plane in 0..records.planes() {
            let (image, after) = rest.split_at_mut(bytes);
            rest = after;
            match window {
                Some(window) => records.decode_window(frame, plane, window, decoder, image),
                None => records.decode(frame, plane, decoder, image),
            }
            .map_err(error::shard)?;
        }
        signals.look()?;
    }
    Ok(())
}
