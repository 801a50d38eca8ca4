//! Forward pass and data gradient: transforms inputs and kernels, multiplies them, and transforms
//! the products to results.
#![allow(unsafe_code)]

use super::shape::{Sharing, Winograd};
use super::tiles::{Factors, SPREAD, Tiles, Transform};
use super::transform::{self, IN, PRODUCTS};
use crate::cpu::aligned::{Aligned, LINE};
use crate::cpu::conv::finish::Finish;
use crate::cpu::conv::pack::Weights;
use crate::cpu::element::Element;
use crate::cpu::parallel::split_by_lengths;
use crate::cpu::product::{Product, Rows, Runs, Target, panel_width};
use crate::cpu::simd::{Job, Vector};
use crate::cpu::unwritten::{Unwritten, written};
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Kernels with more bytes are written past the caches, because they would not stay in them.
const PAST_CACHES: usize = 16 << 20;

/// Planes of the inputs of a block, and of their products. Blocks reuse the memory.
#[derive(Default)]
struct Planes {
    factors: Factors,
    products: Aligned<f32>,
}

impl Winograd {
    /// Computes the destination with what [`Winograd::kernels`] returned.
    pub(crate) fn run<T: Element>(&self, src: &[T], kernels: &[f32], finish: &impl Finish<T>) -> Vec<T> {
        let tiles = self.tiles();
        let mut out = Unwritten::new(self.dst.len());
        let blocks = self.blocks(tiles);
        let lengths = blocks.iter().map(|block| block.clone().map(|row| tiles.pixels(row) * self.dst.c).sum());
        let parts = split_by_lengths(out.slots(), lengths);
        let run = |planes: &mut Planes, (part, block): (&mut [_], &Range<usize>)| {
            self.run_block(src, kernels, tiles, block, planes, part, finish);
        };
        match self.sharing() {
            Sharing::Blocks => parts.into_par_iter().zip(&blocks).for_each_init(Planes::default, run),
            Sharing::Planes => {
                let mut planes = Planes::default();
                parts.into_iter().zip(&blocks).for_each(|part| run(&mut planes, part));
            }
        }
        // SAFETY: the blocks cover all pixels, and each of them writes all of its pixels.
        unsafe { out.into_written() }
    }

    /// Writes all pixels of a block of rows of tiles.
    #[allow(clippy::too_many_arguments)]
    fn run_block<T: Element>(
        &self,
        src: &[T],
        kernels: &[f32],
        tiles: Tiles,
        block: &Range<usize>,
        planes: &mut Planes,
        out: &mut [MaybeUninit<T>],
        finish: &impl Finish<T>,
    ) {
        let (isa, c, o) = (self.isa, self.src.c, self.dst.c);
        let Planes { factors, products } = planes;
        let count = block.len() * tiles.per_row;
        factors.fill(isa, Transform::Inputs(src), tiles, block.clone());
        let pitch = count * o + SPREAD;
        let mut sums = Unwritten::reusing(std::mem::take(products), PRODUCTS * pitch);
        let targets: Vec<usize> = (0..count).map(|tile| tile * o).collect();
        let least = self.sharing().planes();
        sums.slots().par_chunks_mut(pitch).enumerate().with_min_len(least).for_each(|(plane, sums)| {
            let starts = factors.starts(plane, count);
            let width = panel_width(isa);
            let runs = Runs { starts: &[0], len: c, step: 1 };
            for (panel, kernels) in kernels.chunks_exact(PRODUCTS * c * width).enumerate() {
                let product = Product {
                    rows: Rows { data: &factors.data, starts: &starts, runs },
                    panels: &kernels[plane * c * width..][..c * width],
                    target: Target::unwritten(&mut sums[panel * width..], &targets, width),
                };
                product.run(isa);
            }
            sums[count * o..].fill(MaybeUninit::new(0.));
        });
        // SAFETY: the panels are those of all `o` channels, so the products of all tiles were written. The
        // values after them were filled.
        *products = unsafe { sums.into_aligned() };
        let lengths = block.clone().map(|row| tiles.pixels(row) * o);
        let rows = split_by_lengths(out, lengths).into_par_iter().enumerate().with_min_len(least);
        rows.for_each(|(row, out)| {
            let products = &products[row * tiles.per_row * o..];
            let (c, row_out) = (o, &mut *out);
            match tiles.side {
                4 => isa.run(Results::<_, 4> { products, pitch, tiles, c, out: row_out }),
                _ => isa.run(Results::<_, 3> { products, pitch, tiles, c, out: row_out }),
            }
            // SAFETY: the job writes all pixels of the row of tiles.
            finish.finish(tiles.first_pixel(block.start + row) * o, unsafe { written(out) });
        });
    }

    /// Returns the transformed weights: panels of destination channels, each [plane, source channels, panel width].
    ///
    /// The rows of `weights` are the channels of the source.
    pub(crate) fn kernels(&self, weights: Weights<'_>) -> Aligned<f32> {
        let width = panel_width(self.isa);
        let mut kernels = Unwritten::aligned(PRODUCTS * weights.rows() * weights.cols());
        let past_caches = kernels.slots().len() * size_of::<f32>() > PAST_CACHES;
        kernels.slots().par_chunks_mut(PRODUCTS * weights.rows() * width).enumerate().for_each(|(at, panel)| {
            let first = at * width;
            match self.kernel {
                3 => self.isa.run(Kernels::<3> { weights, first, panel, past_caches }),
                _ => self.isa.run(Kernels::<4> { weights, first, panel, past_caches }),
            }
        });
        // SAFETY: each job writes its whole panel, whose size it asserts.
        unsafe { kernels.into_aligned() }
    }
}

/// Transforms the kernels of a panel.
struct Kernels<'a, const K: usize> {
    weights: Weights<'a>,
    /// The first column of the panel.
    first: usize,
    /// Starts at a cache line. The job writes all of it.
    panel: &'a mut [MaybeUninit<f32>],
    /// Whether the panel is written past the caches.
    past_caches: bool,
}

impl<const K: usize> Job for Kernels<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let width = 2 * V::LANES;
        let (rows, turned) = (self.weights.rows(), self.weights.transposed);
        assert_eq!(self.panel.len(), PRODUCTS * rows * width);
        assert_eq!(self.panel.as_ptr().addr() % LINE, 0);
        let past_caches = self.past_caches;
        let mut lanes = [[[0f32; 32]; K]; K];
        assert_eq!(self.weights.positions, K * K);
        for row in 0..rows {
            for lane in 0..width {
                let weights = self.weights.at(row, self.first + lane);
                let scale = self.weights.scale_of(self.first + lane);
                for position in 0..K * K {
                    let from = if turned { K * K - 1 - position } else { position };
                    lanes[position / K][position % K][lane] = scale * weights[from];
                }
            }
            for half in [0, V::LANES] {
                // SAFETY: each of `lanes` has at least two vectors, and `half` is the start of one.
                // The panel has 36 planes of `rows` times two vectors, as asserted above.
                unsafe {
                    let to = self.panel.as_mut_ptr().cast::<f32>().add(row * width + half);
                    transform::square!(
                        transform::kernel,
                        K => IN,
                        |y, x| V::load(lanes[y][x].as_ptr().add(half)),
                        |y, x, value| if past_caches {
                            value.stream(to.add((y * IN + x) * rows * width));
                        } else {
                            value.store(to.add((y * IN + x) * rows * width));
                        }
                    );
                }
            }
        }
        V::fence();
    }
}

/// Transforms the products of a row of tiles to results.
struct Results<'a, T, const M: usize> {
    /// Starts with the first product of the row in the first plane. The next tile is `c` values
    /// further, the next plane `pitch`.
    products: &'a [f32],
    pitch: usize,
    tiles: Tiles,
    c: usize,
    /// The pixels of the row. The job writes all of them.
    out: &'a mut [MaybeUninit<T>],
}

impl<T: Element, const M: usize> Job for Results<'_, T, M> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { products, pitch, tiles, c, out } = self;
        let w = tiles.dst.w;
        let rows = out.len() / (w * c);
        assert!(c % V::LANES == 0 && out.len() == rows * w * c && rows <= M);
        assert!(products.len() >= (PRODUCTS - 1) * pitch + tiles.per_row * c && tiles.per_row * M >= w);
        for tile in 0..tiles.per_row {
            let cols = (w - tile * M).min(M);
            for channel in (0..c).step_by(V::LANES) {
                // SAFETY: a plane has `c` values per tile of the row, and `out` has the pixels that
                // are stored, as asserted above.
                unsafe {
                    let from = products.as_ptr().add(tile * c + channel);
                    let to = out.as_mut_ptr().cast::<T>().add(tile * M * c + channel);
                    transform::square!(
                        transform::results,
                        IN => M,
                        |y, x| V::load(from.add((y * IN + x) * pitch)),
                        |y, x, value| if y < rows && x < cols {
                            T::store(value, to.add((y * w + x) * c));
                        }
                    );
                }
            }
        }
    }
}
