//! u8 pixels -> the normalised NHWC images that a network takes.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// Where the channels of u8 images are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelLayout {
    /// [N, H, W, C]: side by side in each pixel.
    Interleaved,
    /// [N, C, H, W]: an image each.
    Planes,
}

impl PixelLayout {
    /// N, H, W and C.
    pub(crate) fn sizes(self, shape: &Shape) -> Result<(usize, usize, usize, usize)> {
        let (n, a, b, c) = shape.dims4()?;
        Ok(match self {
            Self::Interleaved => (n, a, b, c),
            Self::Planes => (n, b, c, a),
        })
    }
}

/// What a pixel's values become: `(v / 255 - mean) / std`.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// One for each channel; fewer are repeated (channel c takes entry c mod length).
    pub mean: Vec<f32>,
    /// As `mean`, and as many.
    pub std: Vec<f32>,
}

impl Range {
    /// ImageNet's, for RGB, as torchvision's models expect it.
    pub fn imagenet() -> Self {
        Self { mean: vec![0.485, 0.456, 0.406], std: vec![0.229, 0.224, 0.225] }
    }

    /// 0 to 1 for every channel.
    pub fn unit() -> Self {
        Self { mean: vec![0.], std: vec![1.] }
    }
}

/// u8 images -> [N, H, W, C] of type `dtype` (f32; on CUDA also bf16), on the device of `x`, in one pass.
///
/// The images of `x` may be strided (every second one, say); each must be contiguous.
pub fn normalise(x: &Tensor, layout: PixelLayout, range: &Range, dtype: DType) -> Result<Tensor> {
    if range.mean.is_empty() || range.mean.len() != range.std.len() {
        bail!("normalise: {} means and {} deviations", range.mean.len(), range.std.len());
    }
    x.apply_op1_no_bwd(&Normalise { layout, range, dtype })
}

struct Normalise<'a> {
    layout: PixelLayout,
    range: &'a Range,
    dtype: DType,
}

/// First element of the first image, and elements from one image to the next.
pub(crate) fn images(layout: &Layout) -> Result<(usize, usize)> {
    let (dims, stride) = (layout.dims(), layout.stride());
    let len: usize = dims[1..].iter().product();
    let mut inner = len;
    for (&dim, &stride) in dims[1..].iter().zip(&stride[1..]) {
        inner /= dim.max(1);
        if stride != inner && dim > 1 {
            bail!("normalise: an image of shape {:?} is not contiguous", layout.shape());
        }
    }
    Ok((layout.start_offset(), if dims[0] > 1 { stride[0] } else { len }))
}

impl CustomOp1 for Normalise<'_> {
    fn name(&self) -> &'static str {
        "normalise"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let CpuStorage::U8(x) = x else { bail!("normalise: expected u8 pixels") };
        if self.dtype != DType::F32 {
            bail!("normalise: the CPU computes in f32, not {:?}", self.dtype);
        }
        let (n, h, w, c) = self.layout.sizes(layout.shape())?;
        let (first, step) = images(layout)?;
        let tables: Vec<[f32; 256]> = (self.range.mean.iter().zip(&self.range.std))
            .map(|(mean, std)| std::array::from_fn(|v| (v as f32 / 255. - mean) / std))
            .collect();
        let tables: Vec<&[f32; 256]> = tables.iter().cycle().take(c).collect();
        let mut out = vec![0f32; n * h * w * c];
        out.par_chunks_mut((h * w * c).max(1)).enumerate().for_each(|(i, out)| {
            let image = &x[first + i * step..][..h * w * c];
            match self.layout {
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
        Ok((CpuStorage::F32(out), (n, h, w, c).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (n, h, w, c) = self.layout.sizes(layout.shape())?;
        Ok((crate::cuda::pixels::normalise((x, layout), self.layout, self.range, self.dtype)?, (n, h, w, c).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn rgb_is_normalised_as_torchvision_does() {
        let x = Tensor::new(&[0u8, 128, 255], &Device::Cpu).unwrap().reshape((1, 1, 1, 3)).unwrap();
        let y = normalise(&x, PixelLayout::Interleaved, &Range::imagenet(), DType::F32).unwrap();
        // transforms.Normalize(mean, std)(transforms.ToTensor()(pixel))
        let found: Vec<f32> = y.flatten_all().unwrap().to_vec1().unwrap();
        for (found, expected) in found.iter().zip([-2.117_904, 0.205_182_1, 2.64]) {
            assert!((found - expected).abs() < 1e-5, "{found}");
        }
    }

    #[test]
    fn planes_of_every_second_image_become_interleaved_channels() {
        let x = Tensor::arange(0u8, 160, &Device::Cpu).unwrap().reshape((2, 2, 10, 2, 2)).unwrap();
        let second = x.narrow(1, 1, 1).unwrap().squeeze(1).unwrap();
        let y = normalise(&second, PixelLayout::Planes, &Range::unit(), DType::F32).unwrap();
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
