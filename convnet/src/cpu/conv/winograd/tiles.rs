//! Images in tiles, and the planes of their transforms.
#![allow(unsafe_code)]

use super::transform::{self, IN, PRODUCTS};
use crate::cpu::aligned::Aligned;
use crate::cpu::element::Element;
use crate::cpu::simd::{Isa, Job, Vector};
use crate::cpu::unwritten::Unwritten;
use crate::geometry::Images;
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Values between planes, so that planes do not all start in the same cache set.
pub(super) const SPREAD: usize = 16;
/// Number of tiles whose planes are stored together.
pub(super) const CHUNK: usize = 48;

/// A destination in square tiles of `side` x `side` pixels. Rows of tiles are counted across images.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    pub src: Images,
    pub dst: Images,
    pub padding: usize,
    pub side: usize,
    pub per_row: usize,
    rows_per_image: usize,
}

impl Tiles {
    pub(super) fn new(src: Images, dst: Images, padding: usize, side: usize) -> Self {
        Self { src, dst, padding, side, per_row: dst.w.div_ceil(side), rows_per_image: dst.h.div_ceil(side) }
    }

    pub(super) fn rows(self) -> usize {
        self.dst.n * self.rows_per_image
    }

    /// Returns the number of destination pixels of a row of tiles.
    pub(super) fn pixels(self, row: usize) -> usize {
        (self.dst.h - row % self.rows_per_image * self.side).min(self.side) * self.dst.w
    }

    /// Returns the index of the first destination pixel of a row of tiles.
    pub(super) fn first_pixel(self, row: usize) -> usize {
        (row / self.rows_per_image * self.dst.h + row % self.rows_per_image * self.side) * self.dst.w
    }

    /// Splits all rows into blocks of about equal size. A block has at most `bytes` bytes, or one
    /// row, if a tile has `tile_bytes`.
    pub(super) fn blocks(self, bytes: usize, tile_bytes: usize) -> Vec<Range<usize>> {
        let rows = self.rows();
        let count = rows.div_ceil((bytes / (self.per_row * tile_bytes)).max(1));
        (0..count).map(|at| rows * at / count..rows * (at + 1) / count).collect()
    }

    /// Returns the image, the first row and the first column of a tile. Tiles are counted across
    /// images.
    fn place(self, tile: usize) -> (usize, usize, usize) {
        let row = tile / self.per_row;
        (row / self.rows_per_image, row % self.rows_per_image * self.side, tile % self.per_row * self.side)
    }
}

/// The values from which [`Factors`] are computed.
#[derive(Clone, Copy)]
pub(super) enum Transform<'a, T> {
    /// The source: 6 x 6 pixels per tile.
    Inputs(&'a [T]),
    /// The gradient of the destination: the pixels of a tile. The factors are in panels of the
    /// instruction set's width.
    ResultsGrad(&'a [T]),
}

/// The 36 planes of a block of tiles, in chunks: [chunk, plane, tile, channel]. The next plane is
/// `pitch` values further.
#[derive(Default)]
pub(super) struct Factors {
    pub data: Aligned<f32>,
    pub pitch: usize,
    c: usize,
}

impl Factors {
    pub(super) fn fill<T: Element>(&mut self, isa: Isa, transform: Transform<'_, T>, tiles: Tiles, rows: Range<usize>) {
        let count = rows.len() * tiles.per_row;
        let first = rows.start * tiles.per_row;
        self.c = match transform {
            Transform::Inputs(_) => tiles.src.c,
            Transform::ResultsGrad(_) => tiles.dst.c,
        };
        self.pitch = CHUNK * self.c + SPREAD;
        let len = count.div_ceil(CHUNK) * PRODUCTS * self.pitch;
        let mut data = Unwritten::reusing(std::mem::take(&mut self.data), len);
        let (pitch, values) = (self.pitch, CHUNK * self.c);
        let zeros = vec![T::default(); self.c];
        data.slots().par_chunks_mut(PRODUCTS * pitch).enumerate().for_each(|(chunk, planes)| {
            let tiles_here = first + chunk * CHUNK..first + count.min((chunk + 1) * CHUNK);
            for plane in planes.chunks_exact_mut(pitch) {
                let written = if tiles_here.len() == CHUNK { values } else { 0 };
                plane[written..].fill(MaybeUninit::new(0.));
            }
            match transform {
                Transform::Inputs(src) => {
                    isa.run(Inputs { src, zeros: &zeros, tiles, count: tiles_here, pitch, planes });
                }
                Transform::ResultsGrad(grad) => {
                    let (zeros, count) = (&zeros, tiles_here);
                    match tiles.side {
                        4 => isa.run(ResultsGrad::<_, 4> { grad, zeros, tiles, count, pitch, planes }),
                        _ => isa.run(ResultsGrad::<_, 3> { grad, zeros, tiles, count, pitch, planes }),
                    }
                }
            }
        });
        // SAFETY: the jobs write the values of all tiles. All other values were filled.
        self.data = unsafe { data.into_aligned() };
    }

    /// Returns the positions of the first `count` tiles in a plane.
    pub(super) fn starts(&self, plane: usize, count: usize) -> Vec<usize> {
        (0..count).map(|tile| (tile / CHUNK * PRODUCTS + plane) * self.pitch + tile % CHUNK * self.c).collect()
    }
}

/// Writes the planes of the inputs of some tiles.
struct Inputs<'a, T> {
    src: &'a [T],
    zeros: &'a [T],
    tiles: Tiles,
    count: Range<usize>,
    pitch: usize,
    planes: &'a mut [MaybeUninit<f32>],
}

impl<T: Element> Job for Inputs<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Images { h, w, c, .. } = self.tiles.src;
        assert!(c % V::LANES == 0 && self.zeros.len() == c && self.src.len() == self.tiles.src.len());
        assert!(self.count.len() <= CHUNK && self.pitch >= CHUNK * c && self.planes.len() == PRODUCTS * self.pitch);
        let pitch = self.pitch;
        for (at, tile) in self.count.enumerate() {
            let (image, y0, x0) = self.tiles.place(tile);
            let mut pixels = [self.zeros.as_ptr(); PRODUCTS];
            for y in 0..IN {
                for x in 0..IN {
                    let (row, col) =
                        ((y0 + y).wrapping_sub(self.tiles.padding), (x0 + x).wrapping_sub(self.tiles.padding));
                    if row < h && col < w {
                        pixels[y * IN + x] = self.src[((image * h + row) * w + col) * c..].as_ptr();
                    }
                }
            }
            let planes = self.planes[at * c..].as_mut_ptr().cast::<f32>();
            for channel in (0..c).step_by(V::LANES) {
                // SAFETY: each pixel and `zeros` have `c` values. A plane has `c` values for each
                // of at most CHUNK tiles.
                unsafe {
                    transform::square!(
                        transform::inputs,
                        IN => IN,
                        |y, x| T::load::<V>(pixels[y * IN + x].add(channel)),
                        |y, x, value| value.store(planes.add((y * IN + x) * pitch + channel))
                    );
                }
            }
        }
    }
}

/// Writes the planes of the gradients of some tiles.
struct ResultsGrad<'a, T, const M: usize> {
    grad: &'a [T],
    zeros: &'a [T],
    tiles: Tiles,
    count: Range<usize>,
    pitch: usize,
    planes: &'a mut [MaybeUninit<f32>],
}

impl<T: Element, const M: usize> Job for ResultsGrad<'_, T, M> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Images { h, w, c, .. } = self.tiles.dst;
        assert!(c % (2 * V::LANES) == 0 && self.zeros.len() == c && self.grad.len() == self.tiles.dst.len());
        assert!(self.count.len() <= CHUNK && self.pitch >= CHUNK * c && self.planes.len() == PRODUCTS * self.pitch);
        assert_eq!(self.tiles.side, M);
        let (pitch, width) = (self.pitch, 2 * V::LANES);
        for (at, tile) in self.count.enumerate() {
            let (image, y0, x0) = self.tiles.place(tile);
            let mut pixels = [[self.zeros.as_ptr(); M]; M];
            for y in 0..M {
                for x in 0..M {
                    if y0 + y < h && x0 + x < w {
                        pixels[y][x] = self.grad[((image * h + y0 + y) * w + x0 + x) * c..].as_ptr();
                    }
                }
            }
            for channel in (0..c).step_by(V::LANES) {
                let place = channel / width * CHUNK * width + at * width + channel % width;
                let planes = self.planes[place..].as_mut_ptr().cast::<f32>();
                // SAFETY: each pixel and `zeros` have `c` values. A plane has panels with two
                // vectors for each of CHUNK tiles.
                unsafe {
                    transform::square!(
                        transform::results_grad,
                        M => IN,
                        |y, x| T::load::<V>(pixels[y][x].add(channel)),
                        |y, x, value| value.store(planes.add((y * IN + x) * pitch))
                    );
                }
            }
        }
    }
}
