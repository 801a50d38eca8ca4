//! Conversion of u8 pixels to the normalised NHWC images that a network expects.

use crate::cpu::element::Element;
use crate::geometry::{Images, Normalisation, PixelLayout, images};
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};
use half::bf16;
use rayon::prelude::*;

/// Converts u8 images to normalised images `[N, H, W, C]` of type `dtype`, in one pass:
/// `(v / 255 - mean) / std`.
///
/// `x` is u8, `[N, H, W, C]` or `[N, C, H, W]`, as `layout` states. `dtype` is f32 or bf16. The
/// result is on the device of `x` and has no gradient.
///
/// Each image of `x` must be contiguous, but the images need not follow each other: `x` can be
/// every second image of a batch.
///
/// ```
/// # use candle_convnet::{Normalisation, PixelLayout, normalise};
/// # use candle_core::{DType, Device, Tensor};
/// # fn main() -> candle_core::Result<()> {
/// let planes = Tensor::zeros((2, 3, 8, 6), DType::U8, &Device::Cpu)?;
/// let images = normalise(&planes, PixelLayout::Planes, &Normalisation::unit(), DType::F32)?;
/// assert_eq!(images.dims(), [2, 8, 6, 3]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Returns an error if `x` is not u8, if an image is not contiguous, if the device does not support
/// `dtype`, or if `normalisation` is invalid; see [`Normalisation::new`].
pub fn normalise(x: &Tensor, layout: PixelLayout, normalisation: &Normalisation, dtype: DType) -> Result<Tensor> {
    normalisation.check()?;
    x.apply_op1_no_bwd(&Normalise { layout, normalisation, dtype })
}

struct Normalise<'a> {
    layout: PixelLayout,
    normalisation: &'a Normalisation,
    dtype: DType,
}

impl CustomOp1 for Normalise<'_> {
    fn name(&self) -> &'static str {
        "normalise"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let CpuStorage::U8(x) = x else { bail!("normalise: the images are not u8") };
        let (n, h, w, c) = self.layout.sizes(layout.shape())?;
        let (first, step) = images(layout)?;
        let tables: Vec<[f32; 256]> = (self.normalisation.mean.iter().zip(&self.normalisation.std))
            .map(|(mean, std)| std::array::from_fn(|v| (v as f32 / 255. - mean) / std))
            .collect();
        let tables: Vec<&[f32; 256]> = tables.iter().cycle().take(c).collect();
        let sizes = Images { n, h, w, c };
        let image_of = |i: usize| &x[first + i * step..][..h * w * c];
        let out = match self.dtype {
            DType::F32 => f32::storage(looked_up(sizes, self.layout, &tables, image_of)),
            DType::BF16 => bf16::storage(looked_up(sizes, self.layout, &tables, image_of)),
            other => bail!("normalise: the CPU supports f32 and bf16, not {other:?}"),
        };
        Ok((out, sizes.shape()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (n, h, w, c) = self.layout.sizes(layout.shape())?;
        Ok((
            crate::cuda::pixels::normalise((x, layout), self.layout, self.normalisation, self.dtype)?,
            (n, h, w, c).into(),
        ))
    }
}

/// Returns the images as NHWC, with each value replaced by that in the table of its channel.
fn looked_up<'a, T: Element>(
    sizes: Images,
    layout: PixelLayout,
    tables: &[&[f32; 256]],
    image_of: impl Fn(usize) -> &'a [u8] + Sync,
) -> Vec<T> {
    let Images { h, w, c, .. } = sizes;
    let tables: Vec<[T; 256]> = tables.iter().map(|table| table.map(T::of)).collect();
    let mut out = vec![T::default(); sizes.len()];
    out.par_chunks_mut((h * w * c).max(1)).enumerate().for_each(|(i, out)| {
        let image = image_of(i);
        match layout {
            PixelLayout::Interleaved => {
                for (pixel, out) in image.chunks_exact(c).zip(out.chunks_exact_mut(c)) {
                    for ((out, &v), table) in out.iter_mut().zip(pixel).zip(&tables) {
                        *out = table[usize::from(v)];
                    }
                }
            }
            PixelLayout::Planes => {
                for ((channel, plane), table) in image.chunks_exact(h * w).enumerate().zip(&tables) {
                    for (&v, pixel) in plane.iter().zip(out.chunks_exact_mut(c)) {
                        pixel[channel] = table[usize::from(v)];
                    }
                }
            }
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn rgb_is_normalised_as_torchvision_does() {
        let x = Tensor::new(&[0u8, 128, 255], &Device::Cpu).unwrap().reshape((1, 1, 1, 3)).unwrap();
        let y = normalise(&x, PixelLayout::Interleaved, &Normalisation::imagenet(), DType::F32).unwrap();
        // transforms.Normalize(mean, std)(transforms.ToTensor()(pixel))
        let found: Vec<f32> = y.flatten_all().unwrap().to_vec1().unwrap();
        for (found, expected) in found.iter().zip([-2.117_904, 0.205_182_1, 2.64]) {
            assert!((found - expected).abs() < 1e-5, "{found}");
        }
    }

    #[test]
    fn values_that_no_pixel_can_be_computed_with_are_refused() {
        let x = Tensor::zeros((1, 1, 1, 3), DType::U8, &Device::Cpu).unwrap();
        for (mean, std, part) in [
            (vec![], vec![], "0 means and 0 deviations"),
            (vec![0.; 3], vec![1.; 2], "3 means and 2 deviations"),
            (vec![f32::NAN], vec![1.], "the mean NaN is not finite"),
            (vec![0.], vec![0.], "the deviation 0 is 0 or not finite"),
            (vec![0.], vec![f32::INFINITY], "the deviation inf is 0 or not finite"),
        ] {
            let range = Normalisation::new(mean, std);
            let error = normalise(&x, PixelLayout::Interleaved, &range, DType::F32).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn planes_of_every_second_image_become_interleaved_channels() {
        let x = Tensor::arange(0u8, 160, &Device::Cpu).unwrap().reshape((2, 2, 10, 2, 2)).unwrap();
        let second = x.narrow(1, 1, 1).unwrap().squeeze(1).unwrap();
        let y = normalise(&second, PixelLayout::Planes, &Normalisation::unit(), DType::F32).unwrap();
        let found: Vec<f32> = y.flatten_all().unwrap().to_vec1().unwrap();
        for image in 0..2 {
            for pixel in 0..4 {
                for channel in 0..10 {
                    let expected = (image * 80 + 40 + channel * 4 + pixel) as f32 / 255.;
                    assert!((found[(image * 4 + pixel) * 10 + channel] - expected).abs() < 1e-6);
                }
            }
        }
    }
}
