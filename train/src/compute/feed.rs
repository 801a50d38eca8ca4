//! Turns the u8 pixels of a batch into the network's input on its device.
//!
//! A GPU receives the raw pixels in a stream of copies that runs parallel to its computation, and
//! normalises them. The functions of [`Feed`] must be called in one order, which
//! [`super::batches`], the only caller, keeps.

use super::backend::{Upload, Uploads};
use super::device::Compute;
use crate::stream::Stream;
use anyhow::{Context, Result};
use candle_convnet::{Normalisation, PixelLayout, normalise};
use candle_core::{Device, Tensor};
use clip_loader::Batch;
use std::time::{Duration, Instant};

/// The layout of a sample's pixels, and the range of the network's input.
#[derive(Clone, Debug)]
pub struct SamplePixels {
    /// Stream of the sample: RGB is interleaved, flow is stored plane by plane.
    pub stream: Stream,
    /// Number of images in a view: RGB frames, flow frames or differences of RGB frames.
    pub stack: usize,
    /// Height and width of an image in pixels.
    pub side: usize,
    /// Number of images in a sample; each is a separate input.
    pub views: usize,
    /// The range of the network's input values.
    pub range: Normalisation,
}

impl SamplePixels {
    fn bytes(&self) -> usize {
        self.views * self.stream.bytes(self.stack) * self.side * self.side
    }
}

/// A path for batches to the device.
pub(super) struct Feed {
    compute: Compute,
    pixels: SamplePixels,
    /// Time that the caller has waited for copies.
    copied: Duration,
    /// Copies to the GPU; none on the CPU.
    uploads: Option<Uploads>,
}

/// A batch on its way to the device.
pub(super) struct Staged {
    pub(super) pixels: StagedPixels,
    /// The batch keeps its slot in the ring until a copy to a GPU has read it.
    batch: Option<Batch>,
}

/// The pixels of a batch, on the device or on their way to it.
pub(super) struct StagedPixels {
    /// Indices of the samples in the pass.
    pub(super) samples: std::ops::Range<usize>,
    place: Place,
}

enum Place {
    Host(Tensor),
    Gpu(Upload),
}

impl StagedPixels {
    /// Returns the number of the GPU buffer that holds the batch; equal numbers mean equal
    /// addresses. Returns none on the CPU.
    pub(super) fn slot(&self) -> Option<usize> {
        match &self.place {
            Place::Host(_) => None,
            Place::Gpu(upload) => Some(upload.slot()),
        }
    }
}

impl Feed {
    /// Prepares for batches of at most `batch_size` samples.
    pub(super) fn new(compute: &Compute, pixels: SamplePixels, batch_size: usize) -> Result<Self> {
        let uploads = if compute.device.is_cuda() {
            Some(Uploads::new(&compute.device, batch_size * pixels.bytes())?)
        } else {
            None
        };
        Ok(Self { compute: compute.clone(), pixels, copied: Duration::ZERO, uploads })
    }

    /// Returns the time that the caller has waited for copies so far.
    pub(super) fn copied(&self) -> Duration {
        self.copied
    }

    /// Starts the copy of a batch to the device.
    pub(super) fn stage(&mut self, batch: Batch) -> Result<Staged> {
        let start = Instant::now();
        let staged = self.copy(batch);
        self.copied += start.elapsed();
        staged
    }

    fn copy(&mut self, batch: Batch) -> Result<Staged> {
        let first = batch.samples().next().unwrap_or(0);
        let samples = first..first + batch.len();
        if let Some(uploads) = &mut self.uploads {
            uploads.push(batch.bytes())?;
            let place = Place::Gpu(uploads.finish()?);
            return Ok(Staged { pixels: StagedPixels { samples, place }, batch: Some(batch) });
        }
        let bytes = batch.bytes().to_vec();
        drop(batch);
        let len = bytes.len();
        let place = Place::Host(Tensor::from_vec(bytes, len, &Device::Cpu)?);
        Ok(Staged { pixels: StagedPixels { samples, place }, batch: None })
    }

    /// Makes all work that starts from now on wait for the copy of the batch.
    pub(super) fn arrive(&self, pixels: &StagedPixels) -> Result<()> {
        match &pixels.place {
            Place::Host(_) => Ok(()),
            Place::Gpu(upload) => {
                let uploads = self.uploads.as_ref().context("an upload needs a GPU")?;
                Ok(uploads.arrive(upload)?)
            }
        }
    }

    /// Returns the network's inputs, one tensor `[n, side, side, channels]` per view. A GPU can
    /// record this work.
    pub(super) fn inputs(&self, pixels: &StagedPixels) -> candle_core::Result<Vec<Tensor>> {
        let n = pixels.samples.len();
        match &pixels.place {
            Place::Host(pixels) => self.views_of(n, pixels),
            Place::Gpu(upload) => {
                let Some(uploads) = &self.uploads else { candle_core::bail!("an upload needs a GPU") };
                self.views_of(n, &uploads.tensor(upload)?)
            }
        }
    }

    /// Declares that all work on the batch has started. Waits for the end of the copy and frees the
    /// batch's slot in the ring.
    pub(super) fn release(&mut self, staged: Staged) -> Result<()> {
        let Staged { pixels, batch } = staged;
        if let Place::Gpu(upload) = pixels.place {
            if let Some(uploads) = &mut self.uploads {
                uploads.release(&upload)?;
            }
            let start = Instant::now();
            upload.wait()?;
            self.copied += start.elapsed();
        }
        drop(batch);
        Ok(())
    }

    fn views_of(&self, n: usize, pixels: &Tensor) -> candle_core::Result<Vec<Tensor>> {
        let SamplePixels { stream, stack, side, views, ref range } = self.pixels;
        let normalised = |images: &Tensor, layout| normalise(images, layout, range, self.compute.dtype);
        match stream {
            Stream::Spatial => {
                let pixels = pixels.reshape((n, views, side, side, 3))?;
                let view = |view| normalised(&pixels.narrow(1, view, 1)?.squeeze(1)?, PixelLayout::Interleaved);
                (0..views).map(view).collect()
            }
            Stream::Temporal => {
                let pixels = pixels.reshape((n, views, 2 * stack, side, side))?;
                let view = |view| normalised(&pixels.narrow(1, view, 1)?.squeeze(1)?, PixelLayout::Planes);
                (0..views).map(view).collect()
            }
            Stream::Difference => {
                let pixels = pixels.reshape((n * views, stack + 1, side * side * 3))?;
                let frame = |frame| {
                    let images = pixels.narrow(1, frame, 1)?.reshape((n * views, side, side, 3))?;
                    normalised(&images, PixelLayout::Interleaved)
                };
                let frames = (0..=stack).map(frame).collect::<candle_core::Result<Vec<_>>>()?;
                let differences = frames.windows(2).map(|pair| &pair[1] - &pair[0]);
                let differences = differences.collect::<candle_core::Result<Vec<_>>>()?;
                let images = Tensor::cat(&differences, 3)?.reshape((n, views, side, side, 3 * stack))?;
                (0..views).map(|view| images.narrow(1, view, 1)?.squeeze(1)?.contiguous()).collect()
            }
        }
    }
}
