//! The matrix product that convolutions use: rows anywhere in memory times panels of packed
//! columns.
//!
//! The sums of several rows and two vectors of columns stay in registers. Twelve sums hide the
//! latency of the multiply-add. With two vectors of the panel and one value of a row, they just fit
//! in sixteen registers. Products of bf16 have more latency, and processors with such instructions
//! have 32 registers, so 24 sums are best there. Rows need no packing: each is a list of runs, so
//! the pixels under the kernel of a convolution are read from the image.
//!
//! The depth of a product is counted in steps: one value of f32, or two neighbouring ones of bf16.
//! A panel has the values of a step next to each other: [steps, columns, values of a step].
#![allow(unsafe_code)]

use super::element::Element;
use super::simd::{Isa, Job, Vector};
use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// Largest numbers of rows that are multiplied together: of values whose steps are single values,
/// and of others.
const ROWS: [usize; 2] = [6, 12];

/// Returns the number of columns per panel.
pub(crate) fn panel_width(isa: Isa) -> usize {
    2 * isa.lanes()
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
}

/// Computes `target = rows · panels`, or `target += rows · panels`, and writes all values of the
/// target.
///
/// Panels follow each other. Each is `[steps, panel width, values of a step]`; columns from
/// `target.cols` on are not used.
#[inline(always)]
fn multiply<V: Vector, T: Element, R: Element>(rows: Rows<'_, T>, panels: &[T], target: &mut Target<'_, R>) {
    let width = 2 * V::LANES;
    let depth = rows.runs.depth();
    assert!(depth > 0, "a product of rows without values");
    assert_eq!(rows.starts.len(), target.starts.len(), "a product has different numbers of rows and results");
    let len = depth * width * T::STEP;
    assert!(panels.len() >= target.cols.div_ceil(width) * len, "too few panels for {} columns", target.cols);
    if rows.starts.is_empty() {
        return;
    }
    assert!(last(rows.starts) + rows.runs.span() + T::STEP <= rows.data.len(), "a row of a product ends past its data");
    assert!(last(target.starts) + target.cols <= target.len, "a result of a product ends past its target");
    let most = if T::STEP == 1 { ROWS[0] } else { ROWS[1] };
    for (at, panel) in panels.chunks_exact(len).enumerate().take(target.cols.div_ceil(width)) {
        let columns = at * width..target.cols.min((at + 1) * width);
        let mut row = 0;
        while row < rows.starts.len() {
            let rest = rows.starts.len() - row;
            let count = if rest >= most {
                most
            } else if rest > ROWS[0] {
                ROWS[0]
            } else {
                rest
            };
            let (starts, targets) = (&rows.starts[row..row + count], &target.starts[row..row + count]);
            let tile = Tile { rows: Rows { starts, ..rows }, panel, targets, columns: columns.clone() };
            // SAFETY: the assertions above show that all rows are inside their data and all results
            // inside the target. A panel has depth x width steps.
            unsafe {
                match count {
                    12 => tile.run::<V, R, 12>(target),
                    6 => tile.run::<V, R, 6>(target),
                    5 => tile.run::<V, R, 5>(target),
                    4 => tile.run::<V, R, 4>(target),
                    3 => tile.run::<V, R, 3>(target),
                    2 => tile.run::<V, R, 2>(target),
                    _ => tile.run::<V, R, 1>(target),
                }
            }
            row += count;
        }
    }
}

/// A product as a job.
pub(crate) struct Product<'a, T, R> {
    pub rows: Rows<'a, T>,
    pub panels: &'a [T],
    pub target: Target<'a, R>,
}

impl<T: Element, R: Element> Job for Product<'_, T, R> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        multiply::<V, T, R>(self.rows, self.panels, &mut self.target);
    }
}

/// A few rows times a panel.
struct Tile<'a, T> {
    rows: Rows<'a, T>,
    panel: &'a [T],
    targets: &'a [usize],
    columns: std::ops::Range<usize>,
}

impl<T: Element> Tile<'_, T> {
    /// Computes the product and stores it.
    ///
    /// # Safety
    /// `N` must be the number of rows and of targets. Rows, panel and targets must satisfy the
    /// assertions of [`multiply`].
    #[inline(always)]
    unsafe fn run<V: Vector, R: Element, const N: usize>(&self, target: &mut Target<'_, R>) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let sums = self.sums::<V, N>();
            let width = self.columns.len();
            for i in 0..N {
                let to = target.memory.add(self.targets.get_unchecked(i) + self.columns.start);
                if width == 2 * V::LANES {
                    store(sums[i][0], to, target.accumulate);
                    store(sums[i][1], to.add(V::LANES), target.accumulate);
                } else {
                    let mut row = [0f32; 32];
                    sums[i][0].store(row.as_mut_ptr());
                    sums[i][1].store(row.as_mut_ptr().add(V::LANES));
                    for (col, sum) in row.iter().take(width).enumerate() {
                        let before = if target.accumulate { (*to.add(col)).value() } else { 0. };
                        to.add(col).write(R::of(before + sum));
                    }
                }
            }
        }
    }

    /// Computes the sums.
    ///
    /// The loops use indices, because the small functions of iterators were not always inlined into
    /// the code for the instruction set.
    ///
    /// # Safety
    /// The conditions of [`Tile::run`] apply.
    #[inline(always)]
    unsafe fn sums<V: Vector, const N: usize>(&self) -> [[V; 2]; N] {
        let Runs { starts, len, step } = self.rows.runs;
        let mut sums = [[V::splat(0.); 2]; N];
        let mut panel = self.panel.as_ptr();
        let mut rows = [self.rows.data.as_ptr(); N];
        // SAFETY: guaranteed by the caller.
        unsafe {
            for run in 0..starts.len() {
                let run = *starts.get_unchecked(run);
                for i in 0..N {
                    rows[i] = self.rows.data.as_ptr().add(self.rows.starts.get_unchecked(i) + run);
                }
                for _ in 0..len {
                    let left = T::load_steps::<V>(panel);
                    let right = T::load_steps::<V>(panel.add(V::LANES * T::STEP));
                    panel = panel.add(2 * V::LANES * T::STEP);
                    for i in 0..N {
                        let factor = T::splat_step::<V>(rows[i]);
                        rows[i] = rows[i].wrapping_add(step);
                        sums[i][0] = T::add_products(sums[i][0], factor, left);
                        sums[i][1] = T::add_products(sums[i][1], factor, right);
                    }
                }
            }
        }
        sums
    }
}

/// Stores `sum`, or adds it if `accumulate`.
///
/// # Safety
/// `to` must be valid for writes of a vector, and for reads of one if `accumulate`.
#[inline(always)]
unsafe fn store<V: Vector, R: Element>(sum: V, to: *mut R, accumulate: bool) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let sum = if accumulate { R::load::<V>(to).add(sum) } else { sum };
        R::store(sum, to);
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
                for cols in [1usize, 7, 8, 16, 17, 31, 32, 70] {
                    for (starts, len, step) in [(vec![0], 9, T::STEP), (vec![5, 0, 40], 4, 3), (vec![2], 1, 1)] {
                        let runs = Runs { starts: &starts, len, step };
                        let data: Vec<T> = whole(300, 7);
                        let rows: Vec<usize> = (0..count).map(|i| i * 13 % 200).collect();
                        let panels: Vec<T> = whole(cols.div_ceil(width) * runs.depth() * width * T::STEP, 5);
                        for accumulate in [false, true] {
                            let places: Vec<usize> = (0..count).rev().map(|i| i * (cols + 3)).collect();
                            let mut out = vec![1f32; count * (cols + 3)];
                            let target =
                                if accumulate { Target::sum } else { Target::replaced }(&mut out, &places, cols);
                            isa.run(Product {
                                rows: Rows { data: &data, starts: &rows, runs },
                                panels: &panels,
                                target,
                            });
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
        Isa::best().run(Product { rows, panels: &[0.; 128], target });
    }

    #[test]
    #[should_panic(expected = "ends past its data")]
    fn a_pair_past_the_end_panics() {
        let runs = Runs { starts: &[0], len: 3, step: 2 };
        let mut out = [0f32; 1];
        let target = Target::replaced(&mut out, &[0], 1);
        let rows = Rows { data: &[bf16::ZERO; 5], starts: &[0], runs };
        Isa::best().run(Product { rows, panels: &[bf16::ZERO; 256], target });
    }
}
