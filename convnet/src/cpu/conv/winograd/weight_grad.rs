//! The weight gradient with the transposed transforms: 36 matrix products [input channels, tiles] x
//! [tiles, output channels].
#![allow(unsafe_code)]

use super::shape::{Sharing, Winograd};
use super::tiles::{CHUNK, Factors, Tiles, Transform};
use super::transform::{self, IN, PRODUCTS};
use crate::cpu::aligned::Aligned;
use crate::cpu::element::Element;
use crate::cpu::product::{Product, Rows, Runs, Target, panel_width};
use crate::cpu::simd::{Job, Vector};
use crate::cpu::unwritten::{Unwritten, written};
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Largest number of tasks whose sums are added.
const TASKS: usize = 32;
/// Least number of blocks per task.
const TASK_BLOCKS: usize = 4;

impl Winograd {
    /// Returns the gradient of the weights in OIHW order.
    pub(crate) fn weight_grad<T: Element>(&self, src: &[T], grad: &[T]) -> Vec<f32> {
        let (c, o, width) = (self.src.c, self.dst.c, panel_width(self.isa));
        let (tiles, positions) = (self.tiles(), self.kernel * self.kernel);
        assert!(
            o.is_multiple_of(width) && tiles.rows() > 0,
            "the convolution is not suitable for Winograd's algorithm"
        );
        let blocks = self.blocks(tiles);
        let sums = match self.sharing() {
            Sharing::Blocks => self.sums_of_tasks(src, grad, tiles, &blocks),
            Sharing::Planes => self.sums(src, grad, tiles, &blocks),
        };
        let mut out = Unwritten::new(o * c * positions);
        out.slots().par_chunks_mut(width * c * positions).enumerate().for_each(|(panel, out)| {
            let (sums, pitch) = (&sums[panel * c * width..], c * o);
            match self.kernel {
                3 => self.isa.run(KernelGrads::<3> { sums, pitch, c, out }),
                _ => self.isa.run(KernelGrads::<4> { sums, pitch, c, out }),
            }
        });
        // SAFETY: each job writes all kernels of its panel, whose number it asserts.
        unsafe { out.into_written() }
    }

    /// Returns the sums over all blocks, computed by some tasks. The sums of the tasks are added in their
    /// order.
    fn sums_of_tasks<T: Element>(&self, src: &[T], grad: &[T], tiles: Tiles, blocks: &[Range<usize>]) -> Aligned<f32> {
        let tasks = blocks.len().div_ceil(TASK_BLOCKS).min(TASKS);
        let task = |at: usize| &blocks[blocks.len() * at / tasks..blocks.len() * (at + 1) / tasks];
        let parts: Vec<_> = (0..tasks).into_par_iter().map(|at| self.sums(src, grad, tiles, task(at))).collect();
        let mut parts = parts.into_iter();
        let mut sums = parts.next().unwrap_or_default();
        let plane = self.src.c * self.dst.c;
        let rest: Vec<_> = parts.collect();
        sums.values().par_chunks_mut(plane).enumerate().for_each(|(at, sums)| {
            for part in &rest {
                sums.iter_mut().zip(&part[at * plane..]).for_each(|(sum, value)| *sum += value);
            }
        });
        sums
    }

    /// Returns the sums over `blocks`: [plane, panel of output channels, input channel, panel width]. There
    /// must be a block.
    fn sums<T: Element>(&self, src: &[T], grad: &[T], tiles: Tiles, blocks: &[Range<usize>]) -> Aligned<f32> {
        let (isa, c, o, width) = (self.isa, self.src.c, self.dst.c, panel_width(self.isa));
        let (mut inputs, mut grads) = (Factors::default(), Factors::default());
        let mut sums = Unwritten::aligned(PRODUCTS * c * o);
        let channels: Vec<usize> = (0..c).collect();
        let targets: Vec<usize> = (0..c).map(|channel| channel * width).collect();
        for (at, block) in blocks.iter().enumerate() {
            let count = block.len() * tiles.per_row;
            inputs.fill(isa, Transform::Inputs(src), tiles, block.clone());
            grads.fill(isa, Transform::ResultsGrad(grad), tiles, block.clone());
            let planes = sums.slots().par_chunks_mut(c * o).enumerate().with_min_len(self.sharing().planes());
            planes.for_each(|(plane, sums)| {
                for chunk in 0..count.div_ceil(CHUNK) {
                    let tiles_here = CHUNK.min(count - chunk * CHUNK);
                    let rows = &inputs.data[(chunk * PRODUCTS + plane) * inputs.pitch..][..inputs.pitch];
                    let panels = &grads.data[(chunk * PRODUCTS + plane) * grads.pitch..][..grads.pitch];
                    let runs = Runs { starts: &[0], len: tiles_here, step: c };
                    for (sums, panel) in sums.chunks_exact_mut(c * width).zip(panels.chunks_exact(CHUNK * width)) {
                        let target = if at + chunk == 0 {
                            Target::unwritten(sums, &targets, width)
                        } else {
                            // SAFETY: the first chunk of the first block wrote `width` values per
                            // channel.
                            Target::sum(unsafe { written(sums) }, &targets, width)
                        };
                        let rows = Rows { data: rows, starts: &channels, runs };
                        Product { rows, panels: &panel[..tiles_here * width], target }.run(isa);
                    }
                }
            });
        }
        // SAFETY: there is a block, and its first chunk wrote the panels of all channels.
        unsafe { sums.into_aligned() }
    }
}

/// Transforms the sums of a panel of output channels to gradients of kernels.
struct KernelGrads<'a, const K: usize> {
    /// Starts with the first value of the panel in the first plane: [input channels, panel width].
    /// The next plane is `pitch` values further.
    sums: &'a [f32],
    pitch: usize,
    c: usize,
    /// OIHW. The job writes all of it.
    out: &'a mut [MaybeUninit<f32>],
}

impl<const K: usize> Job for KernelGrads<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { sums, pitch, c, out } = self;
        let width = 2 * V::LANES;
        assert!(out.len() == width * c * K * K && sums.len() >= (PRODUCTS - 1) * pitch + c * width);
        let mut lanes = [[[0f32; 32]; K]; K];
        for channel in 0..c {
            for half in [0, V::LANES] {
                // SAFETY: each plane has `c` times two vectors, as asserted above. Each of `lanes`
                // has at least two vectors, and `half` is the start of one.
                unsafe {
                    let from = sums.as_ptr().add(channel * width + half);
                    transform::square!(
                        transform::kernel_grad,
                        IN => K,
                        |y, x| V::load(from.add((y * IN + x) * pitch)),
                        |y, x, value| value.store(lanes[y][x].as_mut_ptr().add(half))
                    );
                }
            }
            for lane in 0..width {
                let kernel = &mut out[(lane * c + channel) * K * K..][..K * K];
                for (position, out) in kernel.iter_mut().enumerate() {
                    out.write(lanes[position / K][position % K][lane]);
                }
            }
        }
    }
}
