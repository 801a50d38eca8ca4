//! The frames of a stream that a sample shows: `Frames` and `Stack`.

use super::layout;
use crate::arguments::{count, whole};
use crate::error;
use clip_loader::{Crop, View};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// The values that `Frames` and `Stack` share.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    pub frames: usize,
    pub stride: usize,
    pub offset: usize,
    pub size: usize,
    /// The name of a crop of training or of tests.
    pub crop: String,
    pub flip: bool,
    pub jitter: f64,
    pub trivial_augment: bool,
    pub frame_dropout: f64,
    pub layout: Option<String>,
    /// The stream, if it is not the name of the array.
    pub stream: Option<String>,
    pub is_stack: bool,
}

/// The crops of tests that show several parts of a frame.
const SEVERAL: [&str; 2] = ["three", "ten"];

/// Checks the least values of the numbers of a spec. The loader crate checks the largest ones.
fn numbers(frames: i64, stride: i64, offset: i64, size: i64) -> PyResult<[usize; 4]> {
    let frames = count("the number of frames", frames, 1)?;
    Ok([frames, count("stride", stride, 1)?, count("offset", offset, 0)?, count("size", size, 1)?])
}

impl Spec {
    fn new([frames, stride, offset, size]: [usize; 4], crop: &str, is_stack: bool) -> Self {
        let crop = crop.to_owned();
        Self {
            frames,
            stride,
            offset,
            size,
            crop,
            flip: false,
            jitter: 0.0,
            trivial_augment: false,
            frame_dropout: 0.0,
            layout: None,
            stream: None,
            is_stack,
        }
    }

    fn check(self) -> PyResult<Self> {
        if let Some(layout) = &self.layout {
            layout::check(layout)?;
        }
        let known: Vec<&str> = Crop::ALL.map(Crop::name).into_iter().chain(SEVERAL).collect();
        if !known.contains(&self.crop.as_str()) {
            return Err(error::option(format!("crop {:?} is not one of {}", self.crop, known.join(", "))));
        }
        Ok(self)
    }

    /// Returns whether the frames change at random, apart from the choice of their part.
    pub fn changes(&self) -> bool {
        self.flip || self.jitter != 0.0 || self.trivial_augment || self.frame_dropout != 0.0
    }

    /// Returns the view of a stream, with the crop if it is one of training.
    pub fn view(&self, stream: &str) -> View {
        let crop = Crop::ALL.into_iter().find(|crop| crop.name() == self.crop).unwrap_or_default();
        let view = View::stack(stream, self.frames).stride(self.stride).offset(self.offset).side(self.size);
        let view = view.crop(crop).flip(self.flip).jitter(self.jitter);
        view.trivial_augment(self.trivial_augment).frame_dropout(self.frame_dropout)
    }

    /// Returns the arguments after the first, as keywords.
    fn keywords<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let keywords = PyDict::new(py);
        for (name, value) in [("stride", self.stride), ("offset", self.offset), ("size", self.size)] {
            keywords.set_item(name, value)?;
        }
        keywords.set_item("crop", &self.crop)?;
        keywords.set_item("flip", self.flip)?;
        if !self.is_stack {
            keywords.set_item("jitter", self.jitter)?;
            keywords.set_item("trivial_augment", self.trivial_augment)?;
        }
        keywords.set_item("frame_dropout", self.frame_dropout)?;
        keywords.set_item("layout", &self.layout)?;
        keywords.set_item("stream", &self.stream)?;
        Ok(keywords)
    }

    fn repr(&self, class: &str) -> String {
        let numbers = [("stride", self.stride, 1), ("offset", self.offset, 0), ("size", self.size, 224)];
        let numbers = numbers.into_iter().filter(|(_, value, default)| value != default);
        let texts = [("layout", &self.layout), ("stream", &self.stream)].into_iter();
        let texts = texts.filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}='{value}'")));
        let mut arguments = vec![self.frames.to_string()];
        arguments.extend(numbers.map(|(name, value, _)| format!("{name}={value}")));
        arguments.extend((self.crop != "whole").then(|| format!("crop='{}'", self.crop)));
        arguments.extend(self.flip.then(|| "flip=True".to_owned()));
        arguments.extend((self.jitter != 0.0).then(|| format!("jitter={}", self.jitter)));
        arguments.extend(self.trivial_augment.then(|| "trivial_augment=True".to_owned()));
        arguments.extend((self.frame_dropout != 0.0).then(|| format!("frame_dropout={}", self.frame_dropout)));
        arguments.extend(texts);
        format!("{class}({})", arguments.join(", "))
    }
}

/// Frames of a stream in a sample: one, several consecutive ones, or every `stride`-th frame.
///
/// >>> cs.Frames(1, size=224, crop="random", flip=True)      # one RGB frame, as for ResNet
/// >>> cs.Frames(16, stride=4, crop="random-resized", layout="CTHW")   # a dense clip, as for SlowFast
///
/// The array has the axes T, H, W, C for RGB, and T, C, H, W for optical flow, where C is x and y.
/// `layout` gives another order without a copy. An axis of one element may be omitted, so
/// `Frames(1, layout="CHW")` is [3, H, W].
///
/// Args:
///     frames (int): number of frames.
///     stride (int): distance from one frame to the next.
///     offset (int): distance from the start of the sample to the first frame. `offset=5` next to
///         `Stack(10)` is the frame in the middle of the stack.
///     size (int): height and width in pixels.
///     crop (str): part of each frame. "whole" squashes the frame to a square. For random samples
///         also "random" (stored pixels), "corners" (Wang et al. 2015), "random-resized"
///         (RandomResizedCrop) and "center". For uniform samples also "center" (7/8 of the shorter
///         side), "three" and "ten".
///     flip (bool): mirror half of the samples. Optical flow changes its direction, too.
///     jitter (float): strength of random changes of brightness, contrast and saturation of RGB.
///     trivial_augment (bool): change RGB by one random operation. The pixels are those of torchvision's
///         TrivialAugmentWide.
///     frame_dropout (float): probability to replace a frame of optical flow by one without motion.
///         At least one frame stays. For several frames.
///     layout (str, optional): order of the axes T, C, H, W in the array.
///     stream (str, optional): name of the stream. Default: the name of the array.
#[pyclass(frozen, eq, module = "clipshard", from_py_object)]
#[derive(Clone, Debug, PartialEq)]
pub struct Frames(pub Spec);

#[pymethods]
impl Frames {
    #[new]
    #[pyo3(signature = (
        frames = 1, *, stride = 1, offset = 0, size = 224, crop = "whole", flip = false, jitter = 0.0,
        trivial_augment = false, frame_dropout = 0.0, layout = None, stream = None
    ))]
    #[allow(clippy::too_many_arguments, reason = "keywords of Python")]
    fn new(
        #[pyo3(from_py_with = whole)] frames: i64,
        #[pyo3(from_py_with = whole)] stride: i64,
        #[pyo3(from_py_with = whole)] offset: i64,
        #[pyo3(from_py_with = whole)] size: i64,
        crop: &str,
        flip: bool,
        jitter: f64,
        trivial_augment: bool,
        frame_dropout: f64,
        layout: Option<String>,
        stream: Option<String>,
    ) -> PyResult<Self> {
        let numbers = numbers(frames, stride, offset, size)?;
        let spec = Spec::new(numbers, crop, false);
        Ok(Self(Spec { flip, jitter, trivial_augment, frame_dropout, layout, stream, ..spec }.check()?))
    }

    fn __repr__(&self) -> String {
        self.0.repr("Frames")
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        Ok((PyTuple::new(py, [self.0.frames])?, self.0.keywords(py)?))
    }
}

/// Consecutive frames of one channel per plane, as the channels of one image.
///
/// >>> cs.Stack(10)      # ten frames of optical flow: [20, 224, 224], in the order x1, y1, x2, y2, ...
///
/// The arguments are those of :class:`Frames`, without those for RGB. The array has the axes C, H, W.
#[pyclass(frozen, eq, module = "clipshard", from_py_object)]
#[derive(Clone, Debug, PartialEq)]
pub struct Stack(pub Spec);

#[pymethods]
impl Stack {
    #[new]
    #[pyo3(signature = (
        frames, *, stride = 1, offset = 0, size = 224, crop = "whole", flip = false, frame_dropout = 0.0,
        layout = None, stream = None
    ))]
    #[allow(clippy::too_many_arguments, reason = "keywords of Python")]
    fn new(
        #[pyo3(from_py_with = whole)] frames: i64,
        #[pyo3(from_py_with = whole)] stride: i64,
        #[pyo3(from_py_with = whole)] offset: i64,
        #[pyo3(from_py_with = whole)] size: i64,
        crop: &str,
        flip: bool,
        frame_dropout: f64,
        layout: Option<String>,
        stream: Option<String>,
    ) -> PyResult<Self> {
        let numbers = numbers(frames, stride, offset, size)?;
        Ok(Self(Spec { flip, frame_dropout, layout, stream, ..Spec::new(numbers, crop, true) }.check()?))
    }

    fn __repr__(&self) -> String {
        self.0.repr("Stack")
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        Ok((PyTuple::new(py, [self.0.frames])?, self.0.keywords(py)?))
    }
}

/// Returns the values of a `Frames` or a `Stack`.
pub fn spec_of(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Spec> {
    if let Ok(frames) = value.cast::<Frames>() {
        return Ok(frames.get().0.clone());
    }
    if let Ok(stack) = value.cast::<Stack>() {
        return Ok(stack.get().0.clone());
    }
    let found = value.get_type().name()?;
    Err(error::wrong_type(format!(
        "streams[{name:?}] is of type {found}; use clipshard.Frames(...) or clipshard.Stack(...)"
    )))
}
