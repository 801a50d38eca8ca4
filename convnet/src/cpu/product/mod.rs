//! The matrix product that convolutions use: rows anywhere in memory times panels of packed
//! columns.
//!
//! Rows need no packing: each is a list of runs, so the pixels under the kernel of a convolution are
//! read from the image.
//!
//! The depth of a product is counted in steps: one value of f32, or two neighbouring ones of bf16.
//! A panel has the values of a step next to each other: [steps, columns, values of a step].
#![allow(unsafe_code)]

mod operands;
#[cfg(target_arch = "x86_64")]
mod tiles;
mod vectors;

use super::element::Element;
use super::simd::Isa;
pub(crate) use operands::{Product, Rows, Runs, Target, last, panel_width, steps, uses_tiles};

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
            && (runs.step, runs.len % operands::TILE_STEPS) == (T::STEP, 0)
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
    use super::operands::TILE_STEPS;
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
