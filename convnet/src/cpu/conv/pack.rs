//! The weights of a convolution, packed into panels.
#![allow(unsafe_code)]

use crate::cpu::aligned::Aligned;
use crate::cpu::element::Element;
use crate::cpu::product::{panel_width, steps};
use crate::cpu::simd::{Isa, Job, Vector};
use crate::cpu::unwritten::Unwritten;
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

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
