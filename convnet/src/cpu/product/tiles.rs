//! Products of bf16 with tiles.
//!
//! Four tiles hold the sums of 32 rows and a panel. The rows of a tile have equal distances in
//! memory. So a tile can also have rows that the product does not need, such as the border between
//! two rows of an image. Their sums are not stored. If a product has many of them, and enough panels
//! to be worth it, its rows are copied for the tiles first.
#![allow(unsafe_code)]

use super::operands::{Product, Rows, Runs, TILE_STEPS};
use crate::cpu::aligned::{Aligned, LINE};
use crate::cpu::element::Element;
use crate::cpu::simd::amx::{COLS, ROWS, TileRows, Tiles};
use crate::cpu::simd::{Job, Vector};
use crate::cpu::unwritten::Unwritten;
use half::bf16;
use std::ops::Range;

/// A product that satisfies the assertions of [`Product::run`], and whose runs have whole tiles.
pub(super) struct TileProduct<'a, R>(Product<'a, bf16, R>);

impl<'a, R> TileProduct<'a, R> {
    /// Returns the product as a job.
    ///
    /// # Safety
    /// The CPU must have tiles. The assertions of [`Product::run`] must hold. Steps of a row must
    /// follow each other, and their number per run must be a multiple of [`TILE_STEPS`].
    pub(super) unsafe fn new(product: Product<'a, bf16, R>) -> Self {
        Self(product)
    }
}

/// Rows of a product in a tile. Row i of the tile starts at `first + i * stride`.
#[derive(Debug, PartialEq)]
struct Group {
    first: usize,
    stride: usize,
    /// The rows of the product.
    rows: Range<usize>,
}

impl Group {
    /// Returns the row of the tile for a row of the product that starts at `start`.
    #[inline(always)]
    fn place(&self, start: usize) -> usize {
        (start - self.first).checked_div(self.stride).unwrap_or(0)
    }
}

/// Groups rows of a product. All rows of the tiles are inside the first `len` values of the data, if
/// each row reads `reach` values, and if all of `starts` are inside.
fn grouped(starts: &[usize], reach: usize, len: usize) -> Vec<Group> {
    let mut groups = Vec::with_capacity(starts.len() / ROWS + 1);
    let mut row = 0;
    while row < starts.len() {
        let first = starts[row];
        let mut group = Group { first, stride: 0, rows: row..row + 1 };
        let stride = starts.get(row + 1).map_or(0, |&next| next.saturating_sub(first));
        // The largest start of a tile that is inside the data.
        let room = len.checked_sub((ROWS - 1) * stride + reach);
        if let Some(room) = room.filter(|&room| stride > 0 && first % stride <= room) {
            group.stride = stride;
            let fits = |&&start: &&usize| {
                start >= first && (start - first).is_multiple_of(stride) && start - first < ROWS * stride
            };
            group.rows.end += starts[row + 1..].iter().take_while(fits).count();
            // The last rows of the data are at the end of their tile.
            group.first -= first.saturating_sub(room).next_multiple_of(stride);
        }
        row = group.rows.end;
        groups.push(group);
    }
    groups
}

/// Least number of panels for which rows are packed. Each panel reads them again.
const PACKED_PANELS: usize = 4;

/// Returns whether the tiles have many rows that the product does not need.
fn wasteful(groups: &[Group]) -> bool {
    let rows = groups.last().map_or(0, |group| group.rows.end);
    10 * groups.len() * ROWS > 11 * rows.next_multiple_of(ROWS)
}

/// Returns whether all rows of the tiles are in single cache lines.
fn is_aligned(groups: &[Group], data: &[bf16], runs: Runs<'_>) -> bool {
    let line = TILE_STEPS * bf16::STEP;
    let is_whole = |place: usize| place.is_multiple_of(line);
    data.as_ptr().addr().is_multiple_of(LINE)
        && groups.iter().all(|group| is_whole(group.first) && is_whole(group.stride))
        && runs.starts.iter().all(|&start| is_whole(start))
}

/// Copies the rows for tiles: [tile, part of the rows, row of the tile, values of a part]. Returns the
/// copy, and the start of each row in it.
#[inline(always)]
fn pack(rows: Rows<'_, bf16>) -> (Aligned<bf16>, Vec<usize>) {
    let line = TILE_STEPS * bf16::STEP;
    let parts = rows.runs.depth() / TILE_STEPS;
    let tile = parts * ROWS * line;
    let mut packed = Unwritten::aligned(rows.starts.len().div_ceil(ROWS) * tile);
    let slots = packed.slots();
    for (tile, starts) in slots.chunks_exact_mut(tile).zip(rows.starts.chunks(ROWS)) {
        for row in 0..ROWS {
            // The last tile has copies of its last row.
            let start = starts[row.min(starts.len() - 1)];
            let mut part = 0;
            for &run in rows.runs.starts {
                for at in 0..rows.runs.len / TILE_STEPS {
                    let from = &rows.data[start + run + at * line..][..line];
                    tile[(part * ROWS + row) * line..][..line].write_copy_of_slice(from);
                    part += 1;
                }
            }
        }
    }
    let starts = (0..rows.starts.len()).map(|row| row / ROWS * tile + row % ROWS * line).collect();
    // SAFETY: the loops wrote all parts of all rows of each tile.
    (unsafe { packed.into_aligned() }, starts)
}

/// Returns the groups of rows of [`pack`].
fn in_order(starts: &[usize]) -> Vec<Group> {
    let tiles = (0..starts.len()).step_by(ROWS);
    let rows = tiles.map(|first| first..starts.len().min(first + ROWS));
    rows.map(|rows| Group { first: starts[rows.start], stride: TILE_STEPS * bf16::STEP, rows }).collect()
}

impl<R: Element> Job for TileProduct<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Product { rows, panels, mut target } = self.0;
        let (runs, width) = (rows.runs, 2 * V::LANES);
        assert_eq!(width, COLS);
        let mut groups = grouped(rows.starts, runs.span() + bf16::STEP, rows.data.len());
        let (mut starts, mut data, mut runs, mut advance) = (rows.starts, rows.data, runs, bf16::STEP * TILE_STEPS);
        let (packed, packed_starts);
        if target.cols.div_ceil(width) >= PACKED_PANELS && (wasteful(&groups) || !is_aligned(&groups, data, runs)) {
            (packed, packed_starts) = pack(rows);
            (starts, data, advance) = (&packed_starts, &packed, ROWS * advance);
            runs = Runs { starts: &[0], len: runs.depth(), step: runs.step };
            groups = in_order(starts);
        }
        // SAFETY: guaranteed by the caller of `TileProduct::new`. A job does not run inside another.
        let mut tiles = unsafe { Tiles::new() };
        let mut sums = [[0f32; COLS]; 2 * ROWS];
        let len = runs.depth() * width * bf16::STEP;
        for (at, panel) in panels.chunks_exact(len).enumerate().take(target.cols.div_ceil(width)) {
            let columns = at * width..target.cols.min((at + 1) * width);
            for pair in groups.chunks(2) {
                // SAFETY: `grouped` shows that all rows of the tiles are inside the data, and the
                // panel has as many steps as the runs.
                unsafe {
                    match pair {
                        [first, second] => multiply([first, second], data, runs, advance, panel, &mut tiles),
                        _ => multiply([&pair[0]], data, runs, advance, panel, &mut tiles),
                    }
                }
                if pair.len() == 2 {
                    tiles.store::<2>(&mut sums);
                } else {
                    tiles.store::<1>(&mut sums);
                }
                for (at, group) in pair.iter().enumerate() {
                    for row in group.rows.clone() {
                        let sums = &sums[at * ROWS + group.place(starts[row])];
                        // SAFETY: the sums of a row are two vectors, and the caller of
                        // `TileProduct::new` guarantees the target.
                        unsafe {
                            let sums = [V::load(sums.as_ptr()), V::load(sums.as_ptr().add(V::LANES))];
                            target.store(target.starts[row], &columns, sums);
                        }
                    }
                }
            }
        }
    }
}

/// Computes the sums of groups of rows and a panel. The next part of each row is `advance` values
/// further.
///
/// # Safety
/// All rows of the groups must be inside `data`, and the panel must have as many steps as the runs.
#[inline(always)]
unsafe fn multiply<const N: usize>(
    groups: [&Group; N],
    data: &[bf16],
    runs: Runs<'_>,
    advance: usize,
    panel: &[bf16],
    tiles: &mut Tiles,
) {
    let chunks = runs.len / TILE_STEPS;
    let mut panel = panel.as_ptr();
    tiles.clear::<N>();
    for &run in runs.starts {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let rows =
                groups.map(|group| TileRows { first: data.as_ptr().add(group.first + run), stride: group.stride });
            tiles.add_products::<N>(rows, advance, panel, chunks);
            panel = panel.add(runs.len * COLS * bf16::STEP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_equal_distances_share_a_tile_and_borders_are_left_out() {
        // Two image rows of 5 pixels with 4 values, with borders of 1 pixel at each side.
        let starts: Vec<usize> = [0, 4, 8, 12, 16, 28, 32, 36, 40, 44].into();
        let groups = grouped(&starts, 12, 1000);
        assert_eq!(groups, [Group { first: 0, stride: 4, rows: 0..10 }]);
        assert_eq!(
            starts.iter().map(|&start| groups[0].place(start)).collect::<Vec<_>>(),
            [0, 1, 2, 3, 4, 7, 8, 9, 10, 11]
        );
        assert_eq!(
            grouped(&[0, 4, 100, 90, 90], 1, 1000),
            [
                Group { first: 0, stride: 4, rows: 0..2 },
                Group { first: 100, stride: 0, rows: 2..3 },
                Group { first: 90, stride: 0, rows: 3..4 },
                Group { first: 90, stride: 0, rows: 4..5 },
            ]
        );
    }

    #[test]
    fn all_rows_of_a_tile_are_inside_the_data() {
        for len in 1..120 {
            for reach in [1, 7] {
                for stride in [1, 3, 8] {
                    let starts: Vec<usize> = (2..len).step_by(stride).filter(|start| start + reach <= len).collect();
                    let groups = grouped(&starts, reach, len);
                    let rows: Vec<usize> = groups.iter().flat_map(|group| group.rows.clone()).collect();
                    assert_eq!(rows, (0..starts.len()).collect::<Vec<_>>());
                    for group in groups {
                        assert!(group.first + (ROWS - 1) * group.stride + reach <= len, "{group:?} of {len}");
                        for row in group.rows.clone() {
                            let place = group.place(starts[row]);
                            assert!(place < ROWS, "{group:?} of {len}");
                            assert_eq!(group.first + place * group.stride, starts[row], "{group:?} of {len}");
                        }
                    }
                }
            }
        }
    }
}
