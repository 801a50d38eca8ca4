//! The operands of a product, and the target of its results.
#![allow(unsafe_code)]

use crate::cpu::element::Element;
use crate::cpu::simd::{Isa, Vector};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Steps of a row that a product with tiles adds together.
pub(super) const TILE_STEPS: usize = 16;

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
    pub(super) fn span(self) -> usize {
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
    pub(super) len: usize,
    pub(super) starts: &'a [usize],
    pub(super) cols: usize,
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
    pub(super) unsafe fn store<V: Vector>(&mut self, start: usize, columns: &Range<usize>, sums: [V; 2])
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
