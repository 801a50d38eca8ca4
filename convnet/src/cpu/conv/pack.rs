//! Preparation of a convolution: padded images and packed weights.
#![allow(unsafe_code)]

use crate::cpu::element::Element;
use crate::cpu::unwritten::Unwritten;
use crate::geometry::Images;
use rayon::prelude::*;
use std::borrow::Cow;
use std::mem::MaybeUninit;

/// A border of zeros around images, in pixels.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Border {
    pub top: usize,
    pub bottom: usize,
    pub left: usize,
    pub right: usize,
}

/// Returns `src` with a border of zeros and `slack` zeros at its end, and its new sizes.
pub(crate) fn pad<T: Element>(src: &[T], images: Images, border: Border, slack: usize) -> (Cow<'_, [T]>, Images) {
    let Border { top, bottom, left, right } = border;
    if top + bottom + left + right + slack == 0 {
        return (Cow::Borrowed(src), images);
    }
    let Images { n, h, w, c } = images;
    let padded = Images { n, h: h + top + bottom, w: w + left + right, c };
    let mut out = vec![T::default(); padded.len() + slack];
    if !src.is_empty() {
        out.par_chunks_mut(padded.h * padded.w * c).zip(src.par_chunks(h * w * c)).for_each(|(out, image)| {
            for (out, row) in out.chunks_exact_mut(padded.w * c).skip(top).zip(image.chunks_exact(w * c)) {
                out[left * c..(left + w) * c].copy_from_slice(row);
            }
        });
    }
    (Cow::Owned(out), padded)
}

/// Weights OIHW, seen as one matrix per kernel position.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a> {
    pub data: &'a [f32],
    pub outputs: usize,
    pub inputs: usize,
    /// Number of kernel positions: height times width.
    pub positions: usize,
    /// Whether outputs are the rows and inputs the columns, for the data gradient. Otherwise it is
    /// the other way round.
    pub transposed: bool,
    /// Factors for the weights of each output.
    pub scale: Option<&'a [f32]>,
}

impl<'a> Weights<'a> {
    /// Returns the weights of each of `count` groups of output channels.
    pub(crate) fn groups(self, count: usize) -> impl Iterator<Item = Weights<'a>> {
        let outputs = self.outputs / count;
        let len = outputs * self.inputs * self.positions;
        (0..count).map(move |group| Weights {
            data: &self.data[group * len..][..len],
            outputs,
            scale: self.scale.map(|scale| &scale[group * outputs..][..outputs]),
            ..self
        })
    }

    /// Returns depthwise weights as [`positions`, channels].
    pub(crate) fn by_position(&self, positions: &[usize]) -> Vec<f32> {
        let scale = |channel: usize| self.scale.map_or(1., |scale| scale[channel]);
        let channels = 0..self.outputs;
        let row = |&at: &usize| {
            channels.clone().map(move |channel| scale(channel) * self.data[channel * self.positions + at])
        };
        positions.iter().flat_map(row).collect()
    }

    pub(crate) fn rows(&self) -> usize {
        if self.transposed { self.outputs } else { self.inputs }
    }

    pub(crate) fn cols(&self) -> usize {
        if self.transposed { self.inputs } else { self.outputs }
    }

    /// Returns the weights of one row and column at all kernel positions.
    pub(crate) fn at(&self, row: usize, col: usize) -> &[f32] {
        let (output, input) = if self.transposed { (row, col) } else { (col, row) };
        &self.data[(output * self.inputs + input) * self.positions..][..self.positions]
    }

    /// Returns the factor for the weights of a column. Transposed weights have factor 1.
    pub(crate) fn scale_of(&self, col: usize) -> f32 {
        self.scale.filter(|_| !self.transposed).map_or(1., |scale| scale[col])
    }

    /// Returns panels of `width` columns, each [runs, steps, `width`, values of a step].
    ///
    /// A run has the rows of `per_run` positions. Columns after the last one, and values after the
    /// end of a run, are 0.
    pub(crate) fn panels<T: Element>(&self, positions: &[usize], per_run: usize, width: usize) -> Vec<T> {
        let (rows, cols) = (self.rows(), self.cols());
        let steps = (per_run * rows).div_ceil(T::STEP);
        let len = positions.len().div_ceil(per_run.max(1)) * steps * width * T::STEP;
        let is_whole = (per_run * rows).is_multiple_of(T::STEP);
        let mut panels = Unwritten::new(cols.div_ceil(width) * len);
        panels.slots().par_chunks_mut(len.max(1)).enumerate().for_each(|(at, panel)| {
            let columns = at * width..cols.min((at + 1) * width);
            if columns.len() < width || !is_whole {
                panel.fill(MaybeUninit::new(T::default()));
            }
            for row in 0..rows {
                for (lane, col) in columns.clone().enumerate() {
                    let (weights, scale) = (self.at(row, col), self.scale_of(col));
                    for (at, &position) in positions.iter().enumerate() {
                        let value = at % per_run * rows + row;
                        let step = at / per_run * steps + value / T::STEP;
                        let place = (step * width + lane) * T::STEP + value % T::STEP;
                        panel[place].write(T::of(scale * weights[position]));
                    }
                }
            }
        });
        // SAFETY: a panel with fewer columns than its width, or with values after the end of its
        // runs, was filled with zeros. In all others, the loops write each column of each row for
        // each position.
        unsafe { panels.into_written() }
    }
}
