//! u8 pixels of a batch -> the network's input, on its device.
//!
//! A GPU gets the pixels as they are, in a stream of copies beside its computing, and normalises them itself. Only
//! [`super::batches`] uses this: it calls the functions in the one order that is right.

use super::backend::{Upload, Uploads};
use super::device::Compute;
use crate::stream::Stream;
use anyhow::{Context, Result};
use candle_convnet::{Normalisation, PixelLayout, normalise};
use candle_core::{Device, Tensor};
use clip_loader::Batch;
use std::time::{Duration, Instant};

/// The pixels of a sample, and the values that they become.
#[derive(Clone, Debug)]
pub struct SamplePixels {
    /// RGB, interleaved, or flow, plane by plane.
    pub stream: Stream,
    /// Height and width of an image in pixels.
    pub side: usize,
    /// Images of a sample; each is an input of its own.
    pub views: usize,
    /// The range of the network's input values.
    pub range: Normalisation,
}

impl SamplePixels {
    fn bytes(&self) -> usize {
        self.views * self.stream.channels() * self.side * self.side
    }
}

/// Brings batches to the device.
pub(super) struct Feed {
    compute: Compute,
    pixels: SamplePixels,
    /// Time that the caller has waited for copies.
    copied: Duration,
    /// On a GPU.
    uploads: Option<Uploads>,
}

/// A batch that is being brought to the device.
pub(super) struct Staged {
    pub(super) pixels: StagedPixels,
    /// The batch keeps its slot in the ring until a copy to a GPU has read it.
    batch: Option<Batch>,
}

/// The pixels of a batch, on their way to the device or there.
pub(super) struct StagedPixels {
    /// Which samples of the pass they are of.
    pub(super) samples: std::ops::Range<usize>,
    place: Place,
}

enum Place {
    Host(Tensor),
    Gpu(Upload),
}

impl StagedPixels {
    /// Returns which buffer of the GPU holds the batch: the same number means the same addresses. None on the CPU.
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

    /// Starts to bring a batch to the device.
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

    /// Makes work that is started from now on see the batch.
    pub(super) fn arrive(&self, pixels: &StagedPixels) -> Result<()> {
        match &pixels.place {
            Place::Host(_) => Ok(()),
            Place::Gpu(upload) => {
                let uploads = self.uploads.as_ref().context("an upload without a GPU")?;
                Ok(uploads.arrive(upload)?)
            }
        }
    }

    /// Returns the network's inputs, one tensor `[n, side, side, channels]` a view. On a GPU this is work that may be recorded.
    pub(super) fn inputs(&self, pixels: &StagedPixels) -> candle_core::Result<Vec<Tensor>> {
        let n = pixels.samples.len();
        match &pixels.place {
            Place::Host(pixels) => self.views_of(n, pixels),
            Place::Gpu(upload) => {
                let Some(uploads) = &self.uploads else { candle_core::bail!("an upload without a GPU") };
                self.views_of(n, &uploads.tensor(upload)?)
            }
        }
    }

    /// Marks all work on the batch as started, and frees its slot in the ring as soon as it has been copied.
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
        let SamplePixels { stream, side, views, range } = &self.pixels;
        let (side, channels) = (*side, stream.channels());
        let (layout, [a, b, c]) = match stream {
            Stream::Spatial => (PixelLayout::Interleaved, [side, side, channels]),
            Stream::Temporal => (PixelLayout::Planes, [channels, side, side]),
        };
        let pixels = pixels.reshape((n, *views, a, b, c))?;
        let view = |view| {
            let images = pixels.narrow(1, view, 1)?.squeeze(1)?;
            normalise(&images, layout, range, self.compute.dtype)
        };
        (0..*views).map(view).collect()
    }
}
