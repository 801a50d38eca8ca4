//! The order of axes in which a view is returned.

use crate::{array, error};
use clipshard::SampleType;
use numpy::PyUntypedArray;
use pyo3::prelude::*;
use std::ptr::NonNull;

/// An axis of a view: frames, planes, channels, height or width. In a layout with planes merged into
/// channels, `C` stands for both.
const AXES: &str = "TPCHW";

/// Checks the letters of a layout. The sizes are checked when the stream is known.
pub fn check(layout: &str) -> PyResult<()> {
    let once = |axis: char| layout.matches(axis).count() <= 1;
    let (height, width) = (layout.find('H'), layout.find('W'));
    if layout.chars().all(|axis| AXES.contains(axis) && once(axis)) && height.is_some() && height < width {
        return Ok(());
    }
    Err(error::option(format!(
        "layout {layout:?} is not an order of axes; use some of T (frames), C (channels), H (height), W (width), \
         each once and H before W, such as \"THWC\", \"TCHW\" or \"CTHW\""
    )))
}

/// One array of a sample: its place in memory, and in which order its axes are returned.
#[derive(Debug)]
pub struct Part {
    pub name: String,
    pub samples: SampleType,
    /// Sizes of the axes without the batch.
    pub shape: Vec<usize>,
    /// Distances in bytes of the axes without the batch.
    pub strides: Vec<isize>,
    /// Number of bytes per sample.
    pub bytes: usize,
}

impl Part {
    /// Orders the axes of `[views, frames, planes, height, width, channels]`.
    ///
    /// `is_stack` merges frames and planes into `C`. `has_views` keeps the axis of the views.
    pub fn new(
        name: &str,
        samples: SampleType,
        sizes: [usize; 6],
        (layout, is_stack, has_views): (Option<&str>, bool, bool),
    ) -> PyResult<Self> {
        let fault = |text: &str| error::option(format!("stream {name}: {text}"));
        let [views, frames, planes, height, width, channels] = sizes;
        let item = samples.bytes();
        let of_plane = item * channels * width * height;
        let of_frame = of_plane * planes;
        let merged = match (is_stack, planes, channels) {
            (true, _, 1) => (frames * planes, of_plane),
            (true, ..) => return Err(fault("a stack needs frames of one channel; use Frames")),
            (false, 1, _) => (channels, item),
            (false, ..) => (planes, of_plane),
        };
        let default = match (is_stack, planes, channels) {
            (true, ..) => "CHW",
            (false, 1, 1) => "THW",
            (false, 1, _) => "THWC",
            (false, _, 1) => "TCHW",
            (false, ..) => "TPHWC",
        };
        let layout = layout.unwrap_or(default);
        let both = planes > 1 && channels > 1;
        if both && !layout.contains('P') {
            return Err(fault("frames with planes and channels need P in the layout, such as \"TPHWC\""));
        }
        if is_stack && layout.contains(['T', 'P']) {
            return Err(fault("a stack has the axes C, H and W; use Frames for an axis T"));
        }
        let missing = [('T', !is_stack && frames > 1), ('C', merged.0 > 1)];
        if let Some((axis, _)) = missing.iter().find(|(axis, is_needed)| *is_needed && !layout.contains(*axis)) {
            return Err(fault(&format!("layout {layout:?} needs the axis {axis}, which has more than one element")));
        }
        let (mut shape, mut strides) = (Vec::new(), Vec::new());
        if has_views {
            shape.push(views);
            strides.push((of_frame * frames) as isize);
        }
        for axis in layout.chars() {
            let (size, stride) = match axis {
                'T' => (frames, of_frame),
                'P' => (planes, of_plane),
                'C' if both || layout.contains('P') => (channels, item),
                'C' => merged,
                'H' => (height, item * channels * width),
                _ => (width, item * channels),
            };
            shape.push(size);
            strides.push(stride as isize);
        }
        Ok(Self { name: name.to_owned(), samples, shape, strides, bytes: views * of_frame * frames })
    }

    /// Returns whether the axes are in the order of memory.
    pub fn is_in_order(&self) -> bool {
        self.shape.iter().zip(&self.strides).filter(|(size, _)| **size > 1).is_sorted_by(|a, b| a.1 >= b.1)
    }

    /// Returns the shape of a batch of `count` samples.
    pub fn batch_shape(&self, count: usize) -> Vec<usize> {
        [count].into_iter().chain(self.shape.iter().copied()).collect()
    }

    /// Returns the strides of a batch in bytes.
    pub fn batch_strides(&self) -> Vec<isize> {
        [self.bytes as isize].into_iter().chain(self.strides.iter().copied()).collect()
    }

    /// Makes an array of one sample, or of a batch of `count` samples, over memory of `owner`.
    ///
    /// # Safety
    /// `data` has the bytes of so many samples, and stays where it is as long as `owner` lives.
    #[allow(unsafe_code, reason = "passes the condition on to the caller")]
    pub unsafe fn array<'py>(
        &self,
        owner: Bound<'py, PyAny>,
        data: NonNull<u8>,
        count: Option<usize>,
    ) -> PyResult<Bound<'py, PyUntypedArray>> {
        let dtype = array::dtype(owner.py(), self.samples)?;
        // SAFETY: all elements are within the bytes of the samples, and the caller guarantees them.
        unsafe {
            match count {
                None => array::shared(owner, data, dtype, &self.shape, Some(&self.strides)),
                Some(count) => array::shared(owner, data, dtype, &self.batch_shape(count), Some(&self.batch_strides())),
            }
        }
    }
}
