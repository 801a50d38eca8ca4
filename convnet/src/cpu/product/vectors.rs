//! Products with vectors.
//!
//! The sums of several rows and two vectors of columns stay in registers. Twelve sums hide the
//! latency of the multiply-add. With two vectors of the panel and one value of a row, they just fit
//! in sixteen registers. Products of bf16 have more latency, and processors with such instructions
//! have 32 registers of 16 values, so 24 sums are best there.
#![allow(unsafe_code)]

use super::operands::{Product, Rows, Runs, Target};
use crate::cpu::element::Element;
use crate::cpu::simd::{Job, Vector};
use std::ops::Range;

/// Largest numbers of rows that are multiplied together: in general, and for products of bf16 with
/// vectors of 16 lanes.
const ROWS: [usize; 2] = [6, 12];

/// A product that satisfies the assertions of [`Product::run`].
pub(super) struct VectorProduct<'a, T, R>(Product<'a, T, R>);

impl<'a, T, R> VectorProduct<'a, T, R> {
    /// Returns the product as a job.
    ///
    /// # Safety
    /// The assertions of [`Product::run`] must hold.
    pub(super) unsafe fn new(product: Product<'a, T, R>) -> Self {
        Self(product)
    }
}

impl<T: Element, R: Element> Job for VectorProduct<'_, T, R> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Product { rows, panels, mut target } = self.0;
        let width = 2 * V::LANES;
        let most = if T::STEP == 1 || V::LANES < 16 { ROWS[0] } else { ROWS[1] };
        let len = rows.runs.depth() * width * T::STEP;
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
                // SAFETY: guaranteed by the caller of `new`.
                unsafe {
                    match count {
                        12 => tile.run::<V, R, 12>(&mut target),
                        6 => tile.run::<V, R, 6>(&mut target),
                        5 => tile.run::<V, R, 5>(&mut target),
                        4 => tile.run::<V, R, 4>(&mut target),
                        3 => tile.run::<V, R, 3>(&mut target),
                        2 => tile.run::<V, R, 2>(&mut target),
                        _ => tile.run::<V, R, 1>(&mut target),
                    }
                }
                row += count;
            }
        }
    }
}

/// A few rows times a panel.
struct Tile<'a, T> {
    rows: Rows<'a, T>,
    panel: &'a [T],
    targets: &'a [usize],
    columns: Range<usize>,
}

impl<T: Element> Tile<'_, T> {
    /// Computes the product and stores it.
    ///
    /// # Safety
    /// `N` must be the number of rows and of targets. Rows, panel and targets must satisfy the
    /// assertions of [`Product::run`].
    #[inline(always)]
    unsafe fn run<V: Vector, R: Element, const N: usize>(&self, target: &mut Target<'_, R>) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let sums = self.sums::<V, N>();
            for i in 0..N {
                target.store(*self.targets.get_unchecked(i), &self.columns, sums[i]);
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
