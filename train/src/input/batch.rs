//! u8 pixels of a batch -> the network's input: one fused pass that normalises, casts and lays out as NHWC.

use super::pipeline::Batch;
use crate::stream::Stream;
use anyhow::Result;
use candle_core::{Device, Tensor};
use rayon::prelude::*;

/// ImageNet's channel means and standard deviations, as torchvision's models expect.
const RGB_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const RGB_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// What a pixel's 256 values become, for each channel of a stream.
pub struct InputRange {
    stream: Stream,
    side: usize,
    tables: Vec<[f32; 256]>,
}

impl InputRange {
    /// The seed's: RGB (v / 255 - mean) / std; flow v / 255.
    pub fn new(stream: Stream, side: usize) -> Self {
        let table = |mean: f32, std: f32| std::array::from_fn(|v| (v as f32 / 255.0 - mean) / std);
        let tables = match stream {
            Stream::Spatial => RGB_MEAN.iter().zip(RGB_STD).map(|(&mean, std)| table(mean, std)).collect(),
            Stream::Temporal => vec![table(0.0, 1.0)],
        };
        Self { stream, side, tables }
    }

    /// One view of one sample: u8 in the source's layout -> f32 `[side, side, channels]`.
    fn convert(&self, pixels: &[u8], out: &mut [f32]) {
        match self.stream {
            Stream::Spatial => {
                for (pixel, out) in pixels.chunks_exact(3).zip(out.chunks_exact_mut(3)) {
                    for c in 0..3 {
                        out[c] = self.tables[c][pixel[c] as usize];
                    }
                }
            }
            Stream::Temporal => {
                let plane = self.side * self.side;
                let channels = self.stream.channels();
                for (i, out) in out.chunks_exact_mut(channels).enumerate() {
                    for (c, out) in out.iter_mut().enumerate() {
                        *out = self.tables[0][pixels[c * plane + i] as usize];
                    }
                }
            }
        }
    }
}

/// The network's inputs of a batch, one tensor `[n, side, side, channels]` of f32 a view.
pub fn to_tensors(batch: &Batch<'_>, views: usize, range: &InputRange, device: &Device) -> Result<Vec<Tensor>> {
    let (n, side, channels) = (batch.samples.len(), range.side, range.stream.channels());
    let view = side * side * channels;
    let tensor = |v: usize| {
        let mut data = vec![0_f32; n * view];
        data.par_chunks_exact_mut(view).enumerate().for_each(|(i, out)| {
            range.convert(&batch.pixels(i)[v * view..(v + 1) * view], out);
        });
        Ok(Tensor::from_vec(data, (n, side, side, channels), device)?)
    };
    (0..views).map(tensor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rgb_is_normalised_as_torchvision_does() {
        let range = InputRange::new(Stream::Spatial, 1);
        let mut out = [0.0; 3];
        range.convert(&[0, 128, 255], &mut out);
        // transforms.Normalize(mean, std)(transforms.ToTensor()(pixel))
        for (found, expected) in out.iter().zip([-2.117_904, 0.205_182_1, 2.64]) {
            assert!((found - expected).abs() < 1e-5, "{out:?}");
        }
    }

    #[test]
    fn flow_planes_become_interleaved_channels() {
        let range = InputRange::new(Stream::Temporal, 2);
        let pixels: Vec<u8> = (0..80).collect();
        let mut out = [0.0; 80];
        range.convert(&pixels, &mut out);
        for pixel in 0..4 {
            for channel in 0..20 {
                assert!((out[pixel * 20 + channel] * 255.0 - (channel * 4 + pixel) as f32).abs() < 1e-4);
            }
        }
    }
}
