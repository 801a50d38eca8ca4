//! Preparation of a convolution: padded images and packed weights.
#![allow(unsafe_code)]

use crate::cpu::aligned::Aligned;
use crate::cpu::element::Element;
use crate::cpu::product::{panel_width, steps};
use crate::cpu::simd::{Isa, Job, Vector};
use crate::cpu::unwritten::Unwritten;
use crate::geometry::Images;
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

/// A border of zeros around images, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Border {
    pub top: usize,
    pub bottom: usize,
    pub left: usize,
    pub right: usize,
}

/// Images with a border, or without one.
pub(crate) enum Padded<'a, T> {
    Unchanged(&'a [T]),
    Copied(Aligned<T>),
}

impl<T> std::ops::Deref for Padded<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Unchanged(values) => values,
            Self::Copied(values) => values,
        }
    }
}

/// Returns `src` with a border of zeros, and its new sizes.
pub(crate) fn pad<T: Element>(src: &[T], images: Images, border: Border) -> (Padded<'_, T>, Images) {
    let Border { top, bottom, left, right } = border;
    if border == Border::default() {
        return (Padded::Unchanged(src), images);
    }
    let Images { n, h, w, c } = images;
    let padded = Images { n, h: h + top + bottom, w: w + left + right, c };
    assert_eq!(src.len(), images.len(), "images of another size");
    if src.is_empty() {
        return (Padded::Copied(Aligned::zeros(padded.len())), padded);
    }
    let mut out = Unwritten::aligned(padded.len());
    out.slots().par_chunks_mut(padded.h * padded.w * c).zip(src.par_chunks(h * w * c)).for_each(|(out, image)| {
        copy_rows(image, Images { n: 1, ..images }, -(top as isize), (left, right), out);
    });
    // SAFETY: each image was written: its borders and its rows.
    (Padded::Copied(unsafe { out.into_aligned() }), padded)
}

/// Writes rows of an image, from row `first` on, with zeros at the left and the right. Rows outside of
/// the image are zeros. `out` has whole rows.
pub(crate) fn copy_rows<T: Element>(
    image: &[T],
    Images { h, w, c, .. }: Images,
    first: isize,
    (left, right): (usize, usize),
    out: &mut [MaybeUninit<T>],
) {
    let zero = |slots: &mut [MaybeUninit<T>]| slots.fill(MaybeUninit::new(T::default()));
    for (y, out) in (first..).zip(out.chunks_exact_mut((left + w + right) * c)) {
        if !(0..h as isize).contains(&y) {
            zero(out);
            continue;
        }
        let (before, out) = out.split_at_mut(left * c);
        let (inside, after) = out.split_at_mut(w * c);
        zero(before);
        inside.write_copy_of_slice(&image[y as usize * w * c..][..w * c]);
        zero(after);
    }
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

    /// Returns panels of columns, each [runs, steps, panel width, values of a step].
    ///
    /// A run has the rows of `per_run` positions. Columns after the last one, and values after the
    /// end of a run, are 0.
    pub(crate) fn panels<T: Element>(&self, isa: Isa, positions: &[usize], per_run: usize) -> Aligned<T> {
        let (rows, cols, width) = (self.rows(), self.cols(), panel_width(isa));
        let steps = steps::<T>(isa, per_run * rows);
        let len = positions.len().div_ceil(per_run.max(1)) * steps * width * T::STEP;
        let place = |at: usize| (at / per_run * steps * T::STEP, at % per_run * rows);
        let places: Vec<(usize, usize)> = (0..positions.len()).map(place).collect();
        let mut panels = Unwritten::aligned(cols.div_ceil(width) * len);
        panels.slots().par_chunks_mut(len.max(1)).enumerate().for_each(|(at, panel)| {
            let columns = at * width..cols.min((at + 1) * width);
            if columns.len() < width || per_run * rows < steps * T::STEP || !rows.is_multiple_of(T::STEP) {
                panel.fill(MaybeUninit::new(T::default()));
            }
            isa.run(Panel { weights: *self, positions, places: &places, columns, out: panel });
        });
        // SAFETY: a panel with fewer columns than its width, or with values after the end of its
        // runs, was filled with zeros. In all others, the loops write each column of each row for
        // each position.
        unsafe { panels.into_aligned() }
    }
}

/// Writes the weights of a panel.
struct Panel<'a, T> {
    weights: Weights<'a>,
    positions: &'a [usize],
    /// For each position: values before its run, and values before it in its run.
    places: &'a [(usize, usize)],
    columns: Range<usize>,
    /// [runs, steps, panel width, values of a step]
    out: &'a mut [MaybeUninit<T>],
}

impl<T: Element> Job for Panel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { weights, positions, places, columns, out } = self;
        let (width, rows) = (2 * V::LANES, weights.rows());
        let mut scales = [0f32; 32];
        for (scale, col) in scales.iter_mut().zip(columns.clone()) {
            *scale = weights.scale_of(col);
        }
        // The weights of a row at one position are neighbours here.
        let mut turned = vec![[[0f32; 32]; 2]; positions.len()];
        let whole = places.iter().all(|(_, before)| before % T::STEP == 0);
        let together = if whole { T::STEP } else { 1 };
        for first in (0..rows).step_by(together) {
            let count = together.min(rows - first);
            for k in 0..count {
                for (lane, col) in columns.clone().enumerate() {
                    let weights = weights.at(first + k, col);
                    for (turned, &position) in turned.iter_mut().zip(positions) {
                        turned[k][lane] = weights[position];
                    }
                }
            }
            if count < T::STEP {
                for (turned, &(run, before)) in turned.iter().zip(places) {
                    let value = before + first;
                    let place = (run + value / T::STEP * T::STEP) * width + value % T::STEP;
                    for (lane, (weight, scale)) in turned[0].iter().zip(&scales).take(columns.len()).enumerate() {
                        out[place + lane * T::STEP].write(T::of(scale * weight));
                    }
                }
                continue;
            }
            for (turned, &(run, before)) in turned.iter().zip(places) {
                let slots = &mut out[(run + before + first) * width..][..T::STEP * width];
                for half in [0, V::LANES] {
                    // SAFETY: the arrays have two vectors, and the slots two vectors of steps.
                    unsafe {
                        let scale = V::load(scales.as_ptr().add(half));
                        let values = [0, 1].map(|k| V::load(turned[k].as_ptr().add(half)).mul(scale));
                        T::store_steps::<V>(values, slots.as_mut_ptr().cast::<T>().add(half * T::STEP));
                    }
                }
            }
        }
    }
}
