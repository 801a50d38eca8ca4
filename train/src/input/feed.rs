//! u8 pixels of a batch -> the network's input, on its device.
//!
//! A card gets the pixels as they are, in a stream of copies beside its computing, and normalises them itself.

use super::pipeline::Batch;
use crate::device::Compute;
use crate::stream::Stream;
use anyhow::Result;
use candle_convnet::{Normalisation, PixelLayout, normalise};
use candle_core::{Device, Tensor};
use std::time::{Duration, Instant};

/// Makes the inputs of a pass.
pub struct Feed {
    compute: Compute,
    stream: Stream,
    side: usize,
    /// Images of a sample, each an input of its own.
    views: usize,
    range: Normalisation,
    /// Time that the caller has waited for copies.
    pub copied: Duration,
    #[cfg(feature = "cuda")]
    uploads: Option<candle_convnet::cuda::Uploads>,
}

/// A batch that is being brought to the device.
pub struct Staged<'a> {
    /// Which samples of the pass it holds.
    pub samples: std::ops::Range<usize>,
    pixels: Pixels<'a>,
}

enum Pixels<'a> {
    Host(Tensor, std::marker::PhantomData<&'a ()>),
    /// The batch keeps its place in the ring until the copy has read it.
    #[cfg(feature = "cuda")]
    Card(Batch<'a>, candle_convnet::cuda::Upload),
}

impl Staged<'_> {
    /// Which buffer of the card holds the batch: the same number means the same addresses. None on the CPU.
    pub fn slot(&self) -> Option<usize> {
        match &self.pixels {
            Pixels::Host(..) => None,
            #[cfg(feature = "cuda")]
            Pixels::Card(_, upload) => Some(upload.slot()),
        }
    }
}

impl Feed {
    /// For batches of at most `batch_size` samples of `views` images each, whose values become those of `range`.
    pub fn new(
        compute: &Compute,
        (stream, range): (Stream, Normalisation),
        side: usize,
        views: usize,
        batch_size: usize,
    ) -> Result<Self> {
        #[cfg(feature = "cuda")]
        let uploads = if compute.device.is_cuda() {
            let bytes = batch_size * views * stream.channels() * side * side;
            Some(candle_convnet::cuda::Uploads::new(&compute.device, bytes)?)
        } else {
            None
        };
        let _ = batch_size;
        Ok(Self {
            compute: compute.clone(),
            stream,
            side,
            views,
            range,
            copied: Duration::ZERO,
            #[cfg(feature = "cuda")]
            uploads,
        })
    }

    /// Starts to bring a batch to the device.
    pub fn stage<'a>(&mut self, batch: Batch<'a>) -> Result<Staged<'a>> {
        let start = Instant::now();
        let staged = self.copy(batch);
        self.copied += start.elapsed();
        staged
    }

    #[allow(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "a card's uploads are in it")]
    fn copy<'a>(&mut self, batch: Batch<'a>) -> Result<Staged<'a>> {
        let samples = batch.samples.clone();
        #[cfg(feature = "cuda")]
        if let Some(uploads) = &mut self.uploads {
            for i in 0..samples.len() {
                uploads.push(&batch.pixels(i))?;
            }
            let upload = uploads.finish()?;
            return Ok(Staged { samples, pixels: Pixels::Card(batch, upload) });
        }
        let mut bytes = Vec::with_capacity(batch.bytes());
        for i in 0..samples.len() {
            bytes.extend_from_slice(&batch.pixels(i));
        }
        // Copied: its place in the ring is free.
        drop(batch);
        let len = bytes.len();
        let pixels = Tensor::from_vec(bytes, len, &Device::Cpu)?;
        Ok(Staged { samples, pixels: Pixels::Host(pixels, std::marker::PhantomData) })
    }

    /// Makes what is started from now on see the batch.
    pub fn arrive(&self, staged: &Staged<'_>) -> Result<()> {
        match &staged.pixels {
            Pixels::Host(..) => Ok(()),
            #[cfg(feature = "cuda")]
            Pixels::Card(_, upload) => Ok(self.uploads()?.arrive(upload)?),
        }
    }

    /// The network's inputs, one tensor `[n, side, side, channels]` a view. On a card this is work that may be recorded.
    pub fn inputs(&self, staged: &Staged<'_>) -> candle_core::Result<Vec<Tensor>> {
        let n = staged.samples.len();
        match &staged.pixels {
            Pixels::Host(pixels, _) => self.views_of(n, pixels),
            #[cfg(feature = "cuda")]
            Pixels::Card(_, upload) => {
                let Some(uploads) = &self.uploads else { candle_core::bail!("an upload without a card") };
                self.views_of(n, &uploads.tensor(upload)?)
            }
        }
    }

    /// Says that all work on the batch has been started; its place in the ring is free once it has been copied.
    pub fn release(&mut self, staged: Staged<'_>) -> Result<()> {
        let Staged { pixels, .. } = staged;
        match pixels {
            Pixels::Host(..) => Ok(()),
            #[cfg(feature = "cuda")]
            Pixels::Card(batch, upload) => {
                if let Some(uploads) = &mut self.uploads {
                    uploads.release(&upload)?;
                }
                let start = Instant::now();
                upload.wait()?;
                self.copied += start.elapsed();
                drop(batch);
                Ok(())
            }
        }
    }

    #[cfg(feature = "cuda")]
    fn uploads(&self) -> Result<&candle_convnet::cuda::Uploads> {
        self.uploads.as_ref().ok_or_else(|| anyhow::anyhow!("an upload without a card"))
    }

    fn views_of(&self, n: usize, pixels: &Tensor) -> candle_core::Result<Vec<Tensor>> {
        let (side, channels) = (self.side, self.stream.channels());
        let (layout, image) = match self.stream {
            Stream::Spatial => (PixelLayout::Interleaved, [side, side, channels]),
            Stream::Temporal => (PixelLayout::Planes, [channels, side, side]),
        };
        let [a, b, c] = image;
        let pixels = pixels.reshape((n, self.views, a, b, c))?;
        (0..self.views)
            .map(|view| {
                let images = pixels.narrow(1, view, 1)?.squeeze(1)?;
                normalise(&images, layout, &self.range, self.compute.dtype)
            })
            .collect()
    }
}
