//! Convolution with 3 x 3 kernels and stride 1 by Winograd's F(4 x 4, 3 x 3): a quarter of the products, and a few sums.
//!
//! Destinations are cut into tiles of 4 x 4 pixels. For a block of tiles that fits the last-level cache: transform the inputs of
//! each tile into 36 planes, multiply each plane with the kernels' plane of the same number, transform back. The data gradient
//! is the forward pass with channels exchanged and the kernels turned round.
#![allow(unsafe_code)]

mod tiles;
mod transform;
mod weight_grad;

use super::finish::Finish;
use super::images::Images;
use super::pack::Weights;
use super::product::{Product, Rows, Runs, Target, panel_width};
use super::simd::{Isa, Job, Vector};
use crate::parallel::{split_by_lengths, unwritten};
use rayon::prelude::*;
use tiles::{Factors, SPREAD, Tiles, Transform};
use transform::{IN, OUT, PRODUCTS};

/// A convolution that [`suits`].
#[derive(Clone, Copy)]
pub(crate) struct Winograd {
    pub isa: Isa,
    pub src: Images,
    pub dst: Images,
    /// Zeros around the source, in pixels.
    pub padding: usize,
}

/// Whether a convolution from `src` to `dst` by a kernel of `kernel` and `stride` can be computed so, and gains by it.
pub(crate) fn suits(isa: Isa, src: Images, dst: Images, kernel: (usize, usize), stride: usize) -> bool {
    let width = panel_width(isa);
    // Tiles that hang over the edge waste products.
    let products = dst.h.div_ceil(OUT) * dst.w.div_ceil(OUT) * PRODUCTS;
    kernel == (3, 3)
        && stride == 1
        && src.c.is_multiple_of(width)
        && dst.c.is_multiple_of(width)
        && src.len() > 0
        && dst.len() > 0
        && 2 * products <= dst.h * dst.w * 9
}

/// Bytes of planes that a block may fill: a share of the last-level cache.
const BLOCK_BYTES: usize = 6 << 20;

impl Winograd {
    /// The destination; `weights` are OIHW, seen so that the source's channels are the rows.
    pub(crate) fn run(&self, src: &[f32], weights: Weights<'_>, finish: &impl Finish) -> Vec<f32> {
        let Self { isa, dst, .. } = *self;
        let (c, o) = (self.src.c, dst.c);
        let kernels = self.kernels(weights);
        let tiles = Tiles::new(self.src, dst, self.padding);
        let mut out = unwritten(dst.len());
        let blocks = tiles.blocks(BLOCK_BYTES, PRODUCTS * (c + o) * 4);
        let lengths = blocks.iter().map(|block| block.clone().map(|row| tiles.pixels(row) * o).sum());
        let (mut factors, mut products) = (Factors::default(), Vec::new());
        for (out, block) in split_by_lengths(&mut out, lengths).into_iter().zip(&blocks) {
            let count = block.len() * tiles.per_row;
            factors.fill(isa, Transform::Inputs(src), tiles, block.clone());
            let pitch = count * o + SPREAD;
            products.resize(products.len().max(PRODUCTS * pitch), 0f32);
            let targets: Vec<usize> = (0..count).map(|tile| tile * o).collect();
            products[..PRODUCTS * pitch].par_chunks_mut(pitch).enumerate().for_each(|(plane, products)| {
                let starts = factors.starts(plane, count);
                let width = panel_width(isa);
                let runs = Runs { starts: &[0], len: c, step: 1 };
                for (panel, kernels) in kernels.chunks_exact(PRODUCTS * c * width).enumerate() {
                    isa.run(Product {
                        rows: Rows { data: &factors.data, starts: &starts, runs },
                        panels: &kernels[plane * c * width..][..c * width],
                        target: Target {
                            data: &mut products[panel * width..],
                            starts: &targets,
                            cols: width,
                            accumulate: false,
                        },
                    });
                }
            });
            let lengths = block.clone().map(|row| tiles.pixels(row) * o);
            split_by_lengths(out, lengths).into_par_iter().enumerate().for_each(|(row, out)| {
                let products = &products[row * tiles.per_row * o..];
                isa.run(Results { products, pitch, tiles, c: o, out: &mut *out });
                finish.finish(tiles.first_pixel(block.start + row) * o, out);
            });
        }
        out
    }

    /// Panels of destination channels, each [plane, source channels, panel width].
    fn kernels(&self, weights: Weights<'_>) -> Vec<f32> {
        let width = panel_width(self.isa);
        let mut kernels = unwritten(PRODUCTS * weights.rows() * weights.cols());
        kernels.par_chunks_mut(PRODUCTS * weights.rows() * width).enumerate().for_each(|(at, panel)| {
            self.isa.run(Kernels { weights, first: at * width, panel });
        });
        kernels
    }
}

/// Transforms the kernels of a panel.
struct Kernels<'a> {
    weights: Weights<'a>,
    /// Column of the panel's first.
    first: usize,
    panel: &'a mut [f32],
}

impl Job for Kernels<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let width = 2 * V::LANES;
        let (rows, turned) = (self.weights.rows(), self.weights.transposed);
        assert_eq!(self.panel.len(), PRODUCTS * rows * width);
        let mut lanes = [[0f32; 32]; 9];
        for row in 0..rows {
            for lane in 0..width {
                let weights = self.weights.at(row, self.first + lane);
                let scale = self.weights.scale_of(self.first + lane);
                for position in 0..9 {
                    lanes[position][lane] = scale * weights[if turned { 8 - position } else { position }];
                }
            }
            for half in [0, V::LANES] {
                // SAFETY: `lanes` has two vectors, `half` is the start of one; the panel has 36 planes of `rows` times two vectors,
                // as asserted above.
                unsafe {
                    let to = self.panel.as_mut_ptr().add(row * width + half);
                    transform::square!(
                        transform::kernel,
                        3 => IN,
                        |y, x| V::load(lanes[y * 3 + x].as_ptr().add(half)),
                        |y, x, value| value.store(to.add((y * IN + x) * rows * width))
                    );
                }
            }
        }
    }
}

/// Transforms a row of tiles back.
struct Results<'a> {
    /// From the row's first product of the first plane on; a tile's are `c` apart, a plane's `pitch`.
    products: &'a [f32],
    pitch: usize,
    tiles: Tiles,
    c: usize,
    /// The pixels of the row.
    out: &'a mut [f32],
}

impl Job for Results<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { products, pitch, tiles, c, out } = self;
        let w = tiles.dst.w;
        let rows = out.len() / (w * c);
        assert!(c % V::LANES == 0 && out.len() == rows * w * c && rows <= OUT);
        assert!(products.len() >= (PRODUCTS - 1) * pitch + tiles.per_row * c && tiles.per_row * OUT >= w);
        for tile in 0..tiles.per_row {
            let cols = (w - tile * OUT).min(OUT);
            for channel in (0..c).step_by(V::LANES) {
                // SAFETY: a plane has `c` numbers for each tile of the row, and `out` the pixels that are stored, as asserted above.
                unsafe {
                    let from = products.as_ptr().add(tile * c + channel);
                    let to = out.as_mut_ptr().add(tile * OUT * c + channel);
                    transform::square!(
                        transform::results,
                        IN => OUT,
                        |y, x| V::load(from.add((y * IN + x) * pitch)),
                        |y, x, value| if y < rows && x < cols {
                            value.store(to.add((y * w + x) * c));
                        }
                    );
                }
            }
        }
    }
}
