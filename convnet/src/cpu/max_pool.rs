//! Max pooling on the CPU.
#![allow(unsafe_code)]

use super::element::Element;
use super::simd::{Isa, Job, Vector};
use super::unwritten::Unwritten;
use crate::geometry::{Images, MaxPool2dConfig};
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Returns the maxima of the windows, and the positions of these maxima in their windows: row · kernel +
/// column. Both are [N, rows, columns, C].
pub(crate) fn forward<T: Element>(
    config: MaxPool2dConfig,
    x: &[T],
    Images { n, h, w, c }: Images,
    (rows, cols): (usize, usize),
) -> (Vec<T>, Vec<u8>) {
    let isa = Isa::best();
    let (mut out, mut argmax) = (Unwritten::new(n * rows * cols * c), vec![0u8; n * rows * cols * c]);
    let len = (cols * c).max(1);
    out.slots().par_chunks_mut(len).zip(argmax.par_chunks_mut(len)).enumerate().for_each(|(row, (out, argmax))| {
        let image = &x[row / rows * h * w * c..][..h * w * c];
        isa.run(MaxPoolRow { config, image, first: 0, size: (h, w, c), row: row % rows, out, argmax: Some(argmax) });
    });
    // SAFETY: each job writes its whole row.
    (unsafe { out.into_written() }, argmax)
}

/// Returns the gradient of images from that of the maxima and their positions.
pub(crate) fn gradient<T: Element>(
    config: MaxPool2dConfig,
    (grad, argmax): (&[T], &[u8]),
    (rows, cols): (usize, usize),
    Images { n, h, w, c }: Images,
) -> Vec<T> {
    let isa = Isa::best();
    let mut out = Unwritten::new(n * h * w * c);
    out.slots().par_chunks_mut((w * c).max(1)).enumerate().for_each(|(row, out)| {
        let start = row / h * rows * cols * c;
        let (grad, argmax) = (&grad[start..][..rows * cols * c], &argmax[start..][..rows * cols * c]);
        isa.run(MaxPoolGradRow { config, grad, argmax, size: (rows, cols, c), row: row % h, out });
    });
    // SAFETY: each job writes its whole row.
    unsafe { out.into_written() }
}

/// Writes the maxima of the windows of an image of `h` x `w` pixels with `c` channels: [rows, columns, C].
/// `cols` is the number of columns.
pub(crate) fn maxima<T: Element>(
    config: MaxPool2dConfig,
    image: &[T],
    (h, w, c): (usize, usize, usize),
    cols: usize,
    out: &mut [MaybeUninit<T>],
) {
    let isa = Isa::best();
    for (row, out) in out.chunks_exact_mut((cols * c).max(1)).enumerate() {
        isa.run(MaxPoolRow { config, image, first: 0, size: (h, w, c), row, out, argmax: None });
    }
}

/// A row of maxima of an image, and the positions of these maxima in their windows.
pub(super) struct MaxPoolRow<'a, T> {
    pub config: MaxPool2dConfig,
    /// Rows of the image from `first` on, with all that the windows need.
    pub image: &'a [T],
    pub first: usize,
    /// Height, width and channels of the image.
    pub size: (usize, usize, usize),
    /// The row of the output.
    pub row: usize,
    /// The job writes all of it.
    pub out: &'a mut [MaybeUninit<T>],
    /// If the positions are wanted: the job writes all of them.
    pub argmax: Option<&'a mut [u8]>,
}

impl<T: Element> Job for MaxPoolRow<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { config, image, first: first_row, size: (h, w, c), row, out, mut argmax } = self;
        let kernel = config.kernel;
        let (y_first, y_end, y0) = config.window(row, h);
        let y0 = y0 - first_row as isize;
        assert!(out.len() % c == 0 && image.len() % (w * c) == 0);
        assert!(argmax.as_ref().is_none_or(|argmax| argmax.len() == out.len()));
        for i in 0..out.len() / c {
            let (x_first, x_end, x0) = config.window(i, w);
            let first = (y_first * kernel + x_first) as f32;
            let whole = c - c % V::LANES;
            for channel in (0..whole).step_by(V::LANES) {
                let mut best = (V::splat(f32::NEG_INFINITY), V::splat(first));
                for y in y_first..y_end {
                    for x in x_first..x_end {
                        let pixel = ((y0 + y as isize) as usize * w + (x0 + x as isize) as usize) * c;
                        let values = &image[pixel + channel..pixel + c];
                        // SAFETY: a whole vector starts at `channel`, so `values` has at least one.
                        let values = unsafe { T::load::<V>(values.as_ptr()) };
                        best = values.above(best.0, V::splat((y * kernel + x) as f32), best.1);
                    }
                }
                // SAFETY: a whole vector starts at `channel`, so `out` has one here.
                unsafe { T::store(best.0, out[i * c + channel..(i + 1) * c].as_mut_ptr().cast()) };
                if let Some(argmax) = &mut argmax {
                    let mut places = [0f32; 16];
                    // SAFETY: no vector has more than 16 lanes.
                    unsafe { best.1.store(places.as_mut_ptr()) };
                    for (argmax, place) in argmax[i * c + channel..].iter_mut().zip(&places[..V::LANES]) {
                        *argmax = *place as u8;
                    }
                }
            }
            for channel in whole..c {
                let mut best = (f32::NEG_INFINITY, first);
                for y in y_first..y_end {
                    for x in x_first..x_end {
                        let pixel = ((y0 + y as isize) as usize * w + (x0 + x as isize) as usize) * c;
                        let value = image[pixel + channel].value();
                        if value > best.0 || value.is_nan() {
                            best = (value, (y * kernel + x) as f32);
                        }
                    }
                }
                out[i * c + channel].write(T::of(best.0));
                if let Some(argmax) = &mut argmax {
                    argmax[i * c + channel] = best.1 as u8;
                }
            }
        }
    }
}

/// Computes a row of the gradient of the input.
pub(super) struct MaxPoolGradRow<'a, T> {
    pub config: MaxPool2dConfig,
    /// The gradient of the output, and the positions of the maxima in their windows, of the image.
    pub grad: &'a [T],
    pub argmax: &'a [u8],
    /// Height, width and channels of the output.
    pub size: (usize, usize, usize),
    pub row: usize,
    /// The job writes all of it.
    pub out: &'a mut [MaybeUninit<T>],
}

impl<T: Element> Job for MaxPoolGradRow<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        /// Channels that are added together.
        const CHANNELS: usize = 16;
        let Self { config: MaxPool2dConfig { kernel, stride, padding }, grad, argmax, size, row, out } = self;
        let (h, w, c) = size;
        assert!(grad.len() == h * w * c && argmax.len() == grad.len() && out.len() % c == 0);
        // The windows with a position of the input.
        let windows = |position: usize, count: usize| {
            let first = (position + padding + 1).saturating_sub(kernel).div_ceil(stride);
            first..((position + padding) / stride + 1).min(count)
        };
        // The divisions of `windows` take longer than the sums of some channels.
        let rows = windows(row, h);
        for (x, out) in out.chunks_exact_mut(c).enumerate() {
            let cols = windows(x, w);
            for (block, out) in out.chunks_mut(CHANNELS).enumerate() {
                let mut sums = [0f32; CHANNELS];
                for window_y in rows.clone() {
                    for window_x in cols.clone() {
                        let (y, x) = (row + padding - window_y * stride, x + padding - window_x * stride);
                        let at = (window_y * w + window_x) * c + block * CHANNELS;
                        let (grad, argmax) = (&grad[at..][..out.len()], &argmax[at..][..out.len()]);
                        let place = (y * kernel + x) as u8;
                        if let (Ok(grad), Ok(argmax)) =
                            (<&[T; CHANNELS]>::try_from(grad), <&[u8; CHANNELS]>::try_from(argmax))
                        {
                            for lane in 0..CHANNELS {
                                sums[lane] += value_if(argmax[lane] == place, grad[lane]);
                            }
                        } else {
                            for (sum, (&grad, &argmax)) in sums.iter_mut().zip(grad.iter().zip(argmax)) {
                                *sum += value_if(argmax == place, grad);
                            }
                        }
                    }
                }
                for (out, &sum) in out.iter_mut().zip(&sums) {
                    out.write(T::of(sum));
                }
            }
        }
    }
}

/// Returns the value, or 0 if not `condition`. It has no branch, so that the compiler can vectorise it.
#[inline(always)]
fn value_if<T: Element>(condition: bool, value: T) -> f32 {
    f32::from_bits(value.value().to_bits() & u32::from(condition).wrapping_neg())
}
