//! Inputs of a weight gradient whose products have two neighbouring pixels per step.
#![allow(unsafe_code)]

use super::shapes::{Inputs, Slice, WeightGrad};
use crate::cpu::aligned::Aligned;
use crate::cpu::conv::taps::Taps;
use crate::cpu::element::Element;
use crate::cpu::product::{Product, Rows, Runs, Target, panel_width, steps};
use crate::cpu::simd::{Job, SQUARE, Vector};
use crate::cpu::unwritten::{Unwritten, written};
use crate::geometry::Images;
use half::bf16;
use rayon::prelude::*;
use std::ops::Range;

/// Approximate number of pixels per band, and per matrix product.
const BLOCK_PIXELS: usize = 1024;

/// Images as one plane per channel and phase: [image, channel, phase, row, column].
///
/// Along an axis, the tap at distance d of output position i reads the padded input position `i *
/// step + d`. This is position `i + d / step` of those input positions whose rest by `step` is that of
/// d: of its phase. So the pixels that a tap reads follow each other in a plane, also from one
/// output row to the next, with a few pixels of the border between them. The gradients for these are
/// 0, and so are those after the end of a band. Their inputs can be any pixels of the images.
pub(super) struct Planes<'a> {
    shapes: &'a WeightGrad,
    data: Aligned<bf16>,
    rows: Phases,
    cols: Phases,
    bands_per_image: usize,
    rows_per_band: usize,
}

/// The phases along an axis.
struct Phases {
    /// The rests of the distances by the step, without those that no tap has.
    rests: Vec<usize>,
    /// Positions of a phase.
    len: usize,
    /// For each tap, the index of its phase, and the distance in it.
    taps: Vec<(usize, usize)>,
}

impl Phases {
    fn new(taps: Taps, outputs: usize) -> Self {
        let mut rests: Vec<usize> = taps.distances().map(|distance| distance % taps.step).collect();
        rests.sort_unstable();
        rests.dedup();
        let last = taps.distances().map(|distance| distance / taps.step).max().unwrap_or(0);
        let index = |rest| rests.partition_point(|&other| other < rest);
        let taps = taps.distances().map(|distance| (index(distance % taps.step), distance / taps.step)).collect();
        Self { rests, len: outputs + last, taps }
    }
}

impl<'a> Planes<'a> {
    pub(super) fn new(shapes: &'a WeightGrad, input: &[bf16]) -> Self {
        let Images { h, w, .. } = shapes.output;
        let (rows, cols) = (Phases::new(shapes.rows, h), Phases::new(shapes.cols, w));
        let bands_per_image = (h * cols.len).div_ceil(BLOCK_PIXELS).min(h);
        let rows_per_band = h.div_ceil(bands_per_image);
        let bands_per_image = h.div_ceil(rows_per_band);
        let mut planes = Self { shapes, data: Aligned::default(), rows, cols, bands_per_image, rows_per_band };
        planes.fill(input);
        planes
    }

    /// Returns the number of values per plane.
    fn plane(&self) -> usize {
        self.rows.len * self.cols.len
    }

    /// Returns the number of values per channel of an image.
    fn pitch(&self) -> usize {
        self.rows.rests.len() * self.cols.rests.len() * self.plane()
    }

    /// Returns the number of steps per band.
    fn steps(&self) -> usize {
        steps::<bf16>(self.shapes.isa, self.rows_per_band * self.cols.len)
    }

    /// Returns the start of each tap in the planes of a channel: that of its phase, and the distance
    /// from there.
    fn taps(&self) -> impl Iterator<Item = (usize, usize)> {
        self.rows.taps.iter().flat_map(move |&(row_phase, y)| {
            self.cols.taps.iter().map(move |&(col_phase, x)| {
                ((row_phase * self.cols.rests.len() + col_phase) * self.plane(), y * self.cols.len + x)
            })
        })
    }

    /// Returns the start of each row of a product with some channels, and its number.
    ///
    /// Rows with the same distance are neighbours. So tiles are full also if there are few channels.
    fn product_rows(&self, channels: Range<usize>) -> (Vec<usize>, Vec<usize>) {
        let pitch = self.pitch();
        let places = self
            .taps()
            .flat_map(|(phase, distance)| channels.clone().map(move |channel| (distance, channel * pitch + phase)));
        let mut places: Vec<(usize, usize, usize)> =
            places.enumerate().map(|(row, (distance, plane))| (distance, plane, row)).collect();
        places.sort_unstable();
        places.into_iter().map(|(distance, plane, row)| (plane + distance, row)).unzip()
    }

    /// Returns the first value of a band, for the first tap of the first channel. Bands are counted
    /// across images.
    fn start(&self, band: usize) -> usize {
        let (image, band) = (band / self.bands_per_image, band % self.bands_per_image);
        image * self.shapes.input.c * self.pitch() + band * self.rows_per_band * self.cols.len
    }

    fn fill(&mut self, input: &[bf16]) {
        let Images { n, h, w, c } = self.shapes.input;
        let (image, pitch) = (c * self.pitch(), self.pitch());
        let end = self.start(n * self.bands_per_image - 1)
            + (c - 1) * pitch
            + self.taps().map(|(phase, distance)| phase + distance).max().unwrap_or(0)
            + self.steps() * bf16::STEP;
        let mut data = Aligned::zeros(end.max(n * image));
        let (rows, cols, isa) = (self.shapes.rows, self.shapes.cols, self.shapes.isa);
        data.values().par_chunks_mut(image).zip(input.par_chunks((h * w * c).max(1))).for_each(|(planes, pixels)| {
            for (row_phase, rest) in self.rows.rests.iter().enumerate() {
                for row in 0..self.rows.len {
                    let y = (row * rows.step + rest) as isize + rows.first;
                    if !(0..h as isize).contains(&y) {
                        continue;
                    }
                    let pixels = &pixels[y as usize * w * c..][..w * c];
                    for (col_phase, rest) in self.cols.rests.iter().enumerate() {
                        // The first column that is inside the image, and the number of columns.
                        let before = (-cols.first - *rest as isize).max(0) as usize;
                        let first = before.div_ceil(cols.step);
                        let x = (first * cols.step + rest) as isize + cols.first;
                        let count = (w as isize - x).max(0) as usize;
                        let count = count.div_ceil(cols.step).min(self.cols.len.saturating_sub(first));
                        if count == 0 {
                            continue;
                        }
                        let phase = row_phase * self.cols.rests.len() + col_phase;
                        let planes = &mut planes[phase * self.plane() + row * self.cols.len + first..];
                        let pixels = &pixels[x as usize * c..];
                        isa.run(Transposed { pixels, step: cols.step * c, count, c, planes, pitch });
                    }
                }
            }
        });
        self.data = data;
    }
}

impl Inputs<bf16> for Planes<'_> {
    fn bands(&self) -> usize {
        self.shapes.output.n * self.bands_per_image
    }

    fn sums(&self, slice: &Slice, bands: Range<usize>, grad: &[bf16]) -> Vec<f32> {
        let WeightGrad { isa, input, groups, .. } = *self.shapes;
        let inputs = input.c / groups;
        let (columns, numbers) = self.product_rows(slice.group * inputs..(slice.group + 1) * inputs);
        let width = slice.channels.len();
        let targets: Vec<usize> = numbers.into_iter().map(|row| row * width).collect();
        let mut sum = Unwritten::new(columns.len() * width);
        let mut panels = Aligned::default();
        assert!(!bands.is_empty(), "a task without bands");
        let per_block = (BLOCK_PIXELS / (self.rows_per_band * self.cols.len)).max(1);
        for first in bands.clone().step_by(per_block) {
            let block = first..bands.end.min(first + per_block);
            self.pack(grad, slice.channels.clone(), block.clone(), &mut panels);
            let starts: Vec<usize> = block.map(|band| self.start(band)).collect();
            let runs = Runs { starts: &starts, len: self.steps(), step: bf16::STEP };
            let target = if first == bands.start {
                Target::unwritten(sum.slots(), &targets, width)
            } else {
                // SAFETY: the first product wrote `width` values of each row.
                Target::sum(unsafe { written(sum.slots()) }, &targets, width)
            };
            Product { rows: Rows { data: &self.data, starts: &columns, runs }, panels: &panels, target }.run(isa);
        }
        // SAFETY: there are bands, so there was a first product, and it wrote `width` values of each
        // row.
        unsafe { sum.into_written() }
    }
}

impl Planes<'_> {
    /// Packs channels of the gradient into panels, each [bands, steps, panel width, pixels of a step].
    fn pack(&self, grad: &[bf16], channels: Range<usize>, bands: Range<usize>, panels: &mut Aligned<bf16>) {
        let Images { h, w, c, .. } = self.shapes.output;
        let (isa, len) = (self.shapes.isa, self.steps() * bf16::STEP);
        let width = panel_width(isa);
        // The start of the pixel at each position, or `None` for zeros.
        let mut pixels: Vec<Option<usize>> = vec![None; bands.len() * len];
        for (band, pixels) in bands.clone().zip(pixels.chunks_exact_mut(len)) {
            let (image, first) = (band / self.bands_per_image, band % self.bands_per_image * self.rows_per_band);
            for (row, pixels) in (first..h.min(first + self.rows_per_band)).zip(pixels.chunks_mut(self.cols.len)) {
                for (x, pixel) in pixels.iter_mut().take(w).enumerate() {
                    *pixel = Some(((image * h + row) * w + x) * c);
                }
            }
        }
        let count = channels.len().div_ceil(width);
        let size = count * pixels.len() * width;
        if panels.len() != size {
            *panels = Aligned::zeros(size);
        }
        let places = panels.values().chunks_exact_mut(pixels.len() * width);
        for (first, panel) in channels.clone().step_by(width).zip(places) {
            isa.run(Interleaved { grad, channels: first..channels.end.min(first + width), pixels: &pixels, panel });
        }
    }
}

/// Writes pixels of a row as columns: value `channel` of pixel `i` to `planes[channel * pitch + i]`.
struct Transposed<'a> {
    /// The first pixel. The next one is `step` values further.
    pixels: &'a [bf16],
    step: usize,
    count: usize,
    c: usize,
    planes: &'a mut [bf16],
    pitch: usize,
}

impl Job for Transposed<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { pixels, step, count, c, planes, pitch } = self;
        assert!((count - 1) * step + c <= pixels.len() && (c - 1) * pitch + count <= planes.len());
        if count < SQUARE || c < SQUARE {
            for pixel in 0..count {
                for channel in 0..c {
                    planes[channel * pitch + pixel] = pixels[pixel * step + channel];
                }
            }
            return;
        }
        for channel in (0..c).step_by(SQUARE) {
            for pixel in (0..count).step_by(SQUARE) {
                // The last squares overlap those before.
                let (channel, pixel) = (channel.min(c - SQUARE), pixel.min(count - SQUARE));
                // SAFETY: a square of pixels has a square of channels from `channel` on, and so have
                // the planes, as asserted above.
                unsafe {
                    let from = pixels.as_ptr().add(pixel * step + channel);
                    V::transpose(from, step, planes.as_mut_ptr().add(channel * pitch + pixel), pitch);
                }
            }
        }
    }
}

/// Writes a panel of pairs of pixels: [pairs, panel width, 2].
struct Interleaved<'a> {
    grad: &'a [bf16],
    channels: Range<usize>,
    pixels: &'a [Option<usize>],
    panel: &'a mut [bf16],
}

impl Job for Interleaved<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { grad, channels, pixels, panel } = self;
        let width = 2 * V::LANES;
        assert_eq!(panel.len(), pixels.len() * width);
        let zeros = [bf16::ZERO; 32];
        let lanes = channels.len();
        for (pair, out) in pixels.chunks_exact(2).zip(panel.chunks_exact_mut(2 * width)) {
            let values = |pixel: Option<usize>| match pixel {
                Some(start) => &grad[start + channels.start..start + channels.end],
                None => &zeros[..lanes],
            };
            let (first, second) = (values(pair[0]), values(pair[1]));
            for (out, (&first, &second)) in out.chunks_exact_mut(2).zip(first.iter().zip(second)) {
                out[0] = first;
                out[1] = second;
            }
            out[2 * lanes..].fill(bf16::ZERO);
        }
    }
}
