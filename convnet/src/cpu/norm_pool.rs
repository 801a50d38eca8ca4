//! Batch normalisation followed by max pooling, on the CPU.
//!
//! The values between them are the largest of a ResNet. They are computed band by band, and stay in cache.
#![allow(unsafe_code)]

use super::element::Element;
use super::max_pool::{MaxPoolGradRow, MaxPoolRow};
use super::norm::{Affine, Gradients, InputWeightBias};
use super::simd::Isa;
use super::unwritten::{Unwritten, written};
use crate::geometry::{Images, MaxPool2dConfig};
use candle_core::Result;
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Rows of maxima per band.
const POOLED_ROWS: usize = 4;
/// Rows of values per band.
const ROWS: usize = 8;

/// Max pooling of images.
#[derive(Clone, Copy)]
pub(crate) struct Pooling {
    pub config: MaxPool2dConfig,
    pub images: Images,
    /// Numbers of rows and columns of the maxima.
    pub rows: usize,
    pub cols: usize,
}

impl Pooling {
    /// Returns the maxima of the normalised `x`, and their positions, as
    /// [`max_pool::forward`](super::max_pool::forward) does.
    pub(crate) fn forward<T: Element>(&self, affine: &Affine<'_>, x: &[T]) -> (Vec<T>, Vec<u8>) {
        let Self { config, images: Images { n, h, w, c }, rows, cols } = *self;
        assert_eq!(x.len(), self.images.len(), "images of another size");
        let len = cols * c;
        let (mut out, mut argmax) = (Unwritten::new(n * rows * len), vec![0u8; n * rows * len]);
        let images = out.slots().par_chunks_mut(rows * len).zip(argmax.par_chunks_mut(rows * len));
        let bands = images.enumerate().flat_map(|(image, (out, argmax))| {
            let bands = out.par_chunks_mut(POOLED_ROWS * len).zip(argmax.par_chunks_mut(POOLED_ROWS * len));
            bands.enumerate().map(move |(band, parts)| (image, band * POOLED_ROWS, parts))
        });
        bands.for_each_init(Vec::new, |values: &mut Vec<MaybeUninit<T>>, (image, row, (out, argmax))| {
            let last = row + out.len() / len - 1;
            let (first, end) = (config.window(row, h), config.window(last, h));
            let (first, end) = ((first.2 + first.0 as isize) as usize, (end.2 + end.1 as isize) as usize);
            values.resize((end - first) * w * c, MaybeUninit::uninit());
            affine.write(&x[(image * h + first) * w * c..(image * h + end) * w * c], None, values);
            // SAFETY: all channels of the pixels were written.
            let values = unsafe { written(values) };
            for (at, (out, argmax)) in out.chunks_exact_mut(len).zip(argmax.chunks_exact_mut(len)).enumerate() {
                let (image, size, argmax) = (&*values, (h, w, c), Some(argmax));
                affine.isa.run(MaxPoolRow { config, image, first, size, row: row + at, out, argmax });
            }
        });
        // SAFETY: each job writes its whole row of maxima.
        (unsafe { out.into_written() }, argmax)
    }

    /// Returns the gradients of [`Pooling::forward`] from those of the maxima and their positions.
    pub(crate) fn gradients<T: Element>(
        &self,
        norm: &Gradients<'_>,
        x: &[T],
        grad: &[T],
        argmax: &[u8],
    ) -> Result<InputWeightBias<T>> {
        let Images { n, h, w, c } = self.images;
        assert_eq!(x.len(), self.images.len(), "images of another size");
        let bands_of_image = h.div_ceil(ROWS);
        let values = |band: usize| {
            let first = band / bands_of_image * h + band % bands_of_image * ROWS;
            let end = (first + ROWS).min((band / bands_of_image + 1) * h);
            &x[first * w * c..end * w * c]
        };
        let before = |band: usize, values: &mut Vec<MaybeUninit<T>>, len: usize| {
            values.resize(len, MaybeUninit::uninit());
            self.write(norm.affine.isa, (grad, argmax), band / bands_of_image, band % bands_of_image * ROWS, values);
        };
        let parts = (0..n * bands_of_image).into_par_iter().map_init(Vec::new, |grads, band| {
            let x = values(band);
            before(band, grads, x.len());
            // SAFETY: `write` writes all values.
            norm.part_sums(x, unsafe { written(grads) })
        });
        let sums = norm.total(parts.collect());
        let means = norm.means(&sums, n * h * w)?;
        let mut out = Unwritten::new(x.len());
        let images = out.slots().par_chunks_mut(h * w * c).enumerate();
        let bands = images.flat_map(|(image, out)| {
            let bands = out.par_chunks_mut(ROWS * w * c).enumerate();
            bands.map(move |(band, out)| (image * bands_of_image + band, out))
        });
        bands.for_each_init(Vec::new, |grads, (band, out)| {
            before(band, grads, out.len());
            // SAFETY: `write` writes all values.
            norm.write(&means, values(band), unsafe { written(grads) }, out);
        });
        // SAFETY: the bands cover all rows, and all channels of their pixels were written.
        let out = unsafe { out.into_written() };
        let (weight, bias) = sums.into_weight_and_bias();
        Ok((out, weight, bias))
    }

    /// Writes the gradients of rows of an image, from row `first` on, from those of the maxima.
    fn write<T: Element>(
        &self,
        isa: Isa,
        (grad, argmax): (&[T], &[u8]),
        image: usize,
        first: usize,
        out: &mut [MaybeUninit<T>],
    ) {
        let Self { config, images: Images { w, c, .. }, rows, cols } = *self;
        let maxima = image * rows * cols * c..(image + 1) * rows * cols * c;
        let (grad, argmax) = (&grad[maxima.clone()], &argmax[maxima]);
        for (at, out) in out.chunks_exact_mut(w * c).enumerate() {
            isa.run(MaxPoolGradRow { config, grad, argmax, size: (rows, cols, c), row: first + at, out });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::max_pool;
    use half::bf16;

    /// Returns whole numbers and halves, which are exact in bf16, some of them equal to their neighbours.
    fn values<T: Element>(count: usize, factor: usize) -> Vec<T> {
        (0..count).map(|i| T::of(((i * factor + i / 7) % 23) as f32 / 2. - 5.)).collect()
    }

    fn agrees_with_separate_passes<T: Element + std::fmt::Debug + PartialEq>() {
        for isa in Isa::available() {
            for (images, config) in [
                ([3, 21, 18, 64], MaxPool2dConfig::new(3, 2).with_padding(1)),
                ([2, 8, 9, 5], MaxPool2dConfig::new(2, 2)),
                ([1, 5, 4, 19], MaxPool2dConfig::new(3, 1).with_padding(1)),
                ([2, 30, 3, 16], MaxPool2dConfig::new(2, 4).with_padding(1)),
            ] {
                let [n, h, w, c] = images;
                let images = Images { n, h, w, c };
                let (_, rows, cols, _) = config.output(&images.shape()).unwrap();
                let pooling = Pooling { config, images, rows, cols };
                let [mean, scale, bias, inv_std] = [3, 5, 7, 11].map(|factor| values::<f32>(c, factor));
                let x: Vec<T> = values(images.len(), 13);
                let grad: Vec<T> = values(n * rows * cols * c, 17);
                for (relu, fixed) in [(true, false), (false, false), (true, true)] {
                    let affine = Affine { isa, mean: &mean, scale: &scale, bias: &bias, relu };
                    let found = pooling.forward(&affine, &x);
                    assert_eq!(found, max_pool::forward(config, &affine.apply(&x, None), images, (rows, cols)));
                    let before = max_pool::gradient(config, (&grad, &found.1), (rows, cols), images);
                    let norm = Gradients { affine, inv_std: &inv_std, fixed, gather: None };
                    let (input, weight, bias) = pooling.gradients(&norm, &x, &grad, &found.1).unwrap();
                    let expected = norm.run(&x, &before).unwrap();
                    // The sums of whole numbers are exact in any order.
                    assert_eq!((weight, bias), (expected.1, expected.2), "{isa:?} {images:?}");
                    assert_eq!(input, expected.0, "{isa:?} {images:?} {relu} {fixed}");
                }
            }
        }
    }

    #[test]
    fn maxima_and_gradients_are_those_of_separate_passes() {
        agrees_with_separate_passes::<f32>();
        agrees_with_separate_passes::<bf16>();
    }
}
