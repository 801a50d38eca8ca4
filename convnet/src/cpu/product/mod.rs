//! The matrix product that convolutions use: rows anywhere in memory times panels of packed
//! columns.
//!
//! Rows need no packing: each is a list of runs, so the pixels under the kernel of a convolution are
//! read from the image.
//!
//! The depth of a product is counted in steps: one value of f32, or two neighbouring ones of bf16.
//! A panel has the values of a step next to each other: [steps, columns, values of a step].
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod tiles;
mod vectors;

use super::element::Element;
use super::simd::{Isa, Vector};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Steps of a row that a product with tiles adds together.
const TILE_STEPS: usize = 16;

/// Returns the number of columns per panel.
pub(crate) fn panel_width(isa: Isa) -> usize {
    2 * isa.lanes()
}

/// Returns whether products of values of this type use tiles.
pub(crate) fn uses_tiles<T: Element>(isa: Isa) -> bool {
    isa.has_tiles() && T::bf16s(&[]).is_some()
}

/// Returns the number of steps for a run of `len` values, with as many zeros at its end as the fastest
/// product wants.
pub(crate) fn steps<T: Element>(isa: Isa, len: usize) -> usize {
    let steps = len.div_ceil(T::STEP);
    // Short runs would be mostly zeros.
    if uses_tiles::<T>(isa) && 2 * steps >= TILE_STEPS { steps.next_multiple_of(TILE_STEPS) } else { steps }
}

/// Positions of the steps of a row, relative to the start of the row: from each of `starts`, `len`
/// steps at distance `step`, in values.
#[derive(Clone, Copy)]
pub(crate) struct Runs<'a> {
    pub starts: &'a [usize],
    pub len: usize,
    pub step: usize,
}

impl Runs<'_> {
    /// Returns the number of steps per row.
    pub(crate) fn depth(self) -> usize {
        self.starts.len() * self.len
    }

    /// Returns the distance from the start of a row to its last step.
    fn span(self) -> usize {
        last(self.starts) + (self.len - 1) * self.step
    }
}

/// Returns the largest of `starts`, or 0 if there are none.
#[inline(always)]
pub(crate) fn last(starts: &[usize]) -> usize {
    let mut last = 0;
    for &start in starts {
        last = if start > last { start } else { last };
    }
    last
}

/// Rows of a product: row i starts at `starts[i]` of `data`.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a, T> {
    pub data: &'a [T],
    pub starts: &'a [usize],
    pub runs: Runs<'a>,
}

/// The result of a product: row i is `cols` values from `starts[i]` of the memory.
pub(crate) struct Target<'a, R> {
    memory: *mut R,
    len: usize,
    starts: &'a [usize],
    cols: usize,
    /// Whether the memory is initialised, and the product is added to it.
    accumulate: bool,
    borrow: PhantomData<&'a mut [R]>,
}

impl<'a, R> Target<'a, R> {
    /// Returns a target in memory that may be uninitialised. A product writes `cols` values from
    /// each of `starts`.
    pub(crate) fn unwritten(memory: &'a mut [MaybeUninit<R>], starts: &'a [usize], cols: usize) -> Self {
        let len = memory.len();
        Self { memory: memory.as_mut_ptr().cast(), len, starts, cols, accumulate: false, borrow: PhantomData }
    }

    /// Returns a target whose values a product replaces.
    pub(crate) fn replaced(memory: &'a mut [R], starts: &'a [usize], cols: usize) -> Self {
        let len = memory.len();
        Self { memory: memory.as_mut_ptr(), len, starts, cols, accumulate: false, borrow: PhantomData }
    }

    /// Returns a target to whose values a product is added.
    pub(crate) fn sum(memory: &'a mut [R], starts: &'a [usize], cols: usize) -> Self {
        Self { accumulate: true, ..Self::replaced(memory, starts, cols) }
    }

    /// Stores two vectors of sums, or adds them to the target, for `columns` of the row that starts at
    /// `start`. There are at most as many columns as sums.
    ///
    /// # Safety
    /// The columns must be inside the memory, and initialised if the target accumulates.
    #[inline(always)]
    unsafe fn store<V: Vector>(&mut self, start: usize, columns: &Range<usize>, sums: [V; 2])
    where
        R: Element,
    {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let to = self.memory.add(start + columns.start);
            if columns.len() == 2 * V::LANES {
                for (half, sum) in [(0, sums[0]), (V::LANES, sums[1])] {
                    let to = to.add(half);
                    R::store(if self.accumulate { R::load::<V>(to).add(sum) } else { sum }, to);
                }
                return;
            }
            let mut row = [0f32; 32];
            sums[0].store(row.as_mut_ptr());
            sums[1].store(row.as_mut_ptr().add(V::LANES));
            for (col, sum) in row.iter().take(columns.len()).enumerate() {
                let before = if self.accumulate { (*to.add(col)).value() } else { 0. };
                to.add(col).write(R::of(before + sum));
            }
        }
    }
}

/// A product: `target = rows · panels`, or `target += rows · panels`.
///
/// Panels follow each other. Each is `[steps, panel width, values of a step]`; columns from
/// `target.cols` on are not used.
pub(crate) struct Product<'a, T, R> {
    pub rows: Rows<'a, T>,
    pub panels: &'a [T],
    pub target: Target<'a, R>,
}

impl<T: Element, R: Element> Product<'_, T, R> {
    /// Writes all values of the target.
    pub(crate) fn run(self, isa: Isa) {
        let (width, runs) = (panel_width(isa), self.rows.runs);
        let depth = runs.depth();
        assert!(depth > 0, "a product of rows without values");
        let (starts, target) = (self.rows.starts, &self.target);
        assert_eq!(starts.len(), target.starts.len(), "a product has different numbers of rows and results");
        let len = depth * width * T::STEP;
        assert!(self.panels.len() >= target.cols.div_ceil(width) * len, "too few panels for {} columns", target.cols);
        if starts.is_empty() {
            return;
        }
        let reach = runs.span() + T::STEP;
        assert!(last(starts) + reach <= self.rows.data.len(), "a row of a product ends past its data");
        assert!(last(target.starts) + target.cols <= target.len, "a result of a product ends past its target");
        #[cfg(target_arch = "x86_64")]
        if isa.has_tiles()
            && let (Some(data), Some(panels)) = (T::bf16s(self.rows.data), T::bf16s(self.panels))
            && (runs.step, runs.len % TILE_STEPS) == (T::STEP, 0)
        {
            let Self { rows: Rows { starts, runs, .. }, target, .. } = self;
            let product = Product { rows: Rows { data, starts, runs }, panels, target };
            // SAFETY: this set has tiles, and the assertions show that all rows are inside their data
            // and all results inside the target. A panel has depth x width steps.
            return isa.run(unsafe { tiles::TileProduct::new(product) });
        }
        // SAFETY: as above.
        isa.run(unsafe { vectors::VectorProduct::new(self) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::bf16;

    /// Returns small whole numbers, whose sums are exact in any order.
    fn whole<T: Element>(count: usize, factor: usize) -> Vec<T> {
        (0..count).map(|i| T::of(((i * factor) % 11) as f32 - 5.)).collect()
    }

    fn agrees_with_the_definition<T: Element>() {
        for isa in Isa::available() {
            let width = panel_width(isa);
            for count in 1..=26usize {
                for cols in [1usize, 7, 8, 16, 17, 31, 32, 70, 128] {
                    for (starts, len, step) in [
                        (vec![0], 9, T::STEP),
                        (vec![5, 0, 40], 4, 3),
                        (vec![2], 1, 1),
                        (vec![3], TILE_STEPS, T::STEP),
                        (vec![100, 0], 2 * TILE_STEPS, T::STEP),
                    ] {
                        let runs = Runs { starts: &starts, len, step };
                        let data: Vec<T> = whole(364, 7);
                        let rows: Vec<usize> = (0..count).map(|i| i * 13 % 200).collect();
                        let panels: Vec<T> = whole(cols.div_ceil(width) * runs.depth() * width * T::STEP, 5);
                        for accumulate in [false, true] {
                            let places: Vec<usize> = (0..count).rev().map(|i| i * (cols + 3)).collect();
                            let mut out = vec![1f32; count * (cols + 3)];
                            let target =
                                if accumulate { Target::sum } else { Target::replaced }(&mut out, &places, cols);
                            Product { rows: Rows { data: &data, starts: &rows, runs }, panels: &panels, target }
                                .run(isa);
                            let mut expected = vec![1f32; out.len()];
                            let steps = || starts.iter().flat_map(|run| (0..len).map(move |l| run + l * step));
                            for (row, place) in rows.iter().zip(&places) {
                                for col in 0..cols {
                                    let mut sum = if accumulate { 1. } else { 0. };
                                    let panel = &panels[col / width * runs.depth() * width * T::STEP..];
                                    for (at, value) in steps().enumerate() {
                                        for k in 0..T::STEP {
                                            let column = (at * width + col % width) * T::STEP + k;
                                            sum += data[row + value + k].value() * panel[column].value();
                                        }
                                    }
                                    expected[place + col] = sum;
                                }
                            }
                            assert_eq!(out, expected, "{isa:?} {:?} {count} x {cols}", T::DTYPE);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn agrees_with_the_definition_for_all_numbers_of_rows_and_columns() {
        agrees_with_the_definition::<f32>();
        agrees_with_the_definition::<bf16>();
    }

    #[test]
    #[should_panic(expected = "ends past its data")]
    fn a_row_past_the_end_panics() {
        let runs = Runs { starts: &[0], len: 3, step: 2 };
        let mut out = [0f32; 1];
        let target = Target::replaced(&mut out, &[0], 1);
        let rows = Rows { data: &[0f32; 5], starts: &[1], runs };
        Product { rows, panels: &[0.; 128], target }.run(Isa::best());
    }

    #[test]
    #[should_panic(expected = "ends past its data")]
    fn a_pair_past_the_end_panics() {
        let runs = Runs { starts: &[0], len: 3, step: 2 };
        let mut out = [0f32; 1];
        let target = Target::replaced(&mut out, &[0], 1);
        let rows = Rows { data: &[bf16::ZERO; 5], starts: &[0], runs };
        Product { rows, panels: &[bf16::ZERO; 256], target }.run(Isa::best());
    }
}
