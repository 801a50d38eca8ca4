//! The batches of a pass, one after the other on a device: [`DeviceBatches`] moves each batch from
//! the ring of the loader to the device, and frees its slot in the ring.

use super::device::Compute;
pub use super::feed::SamplePixels;
use super::feed::{Feed, Staged, StagedPixels};
use super::memory::PinnedMemory;
use crate::input::SLOTS;
use anyhow::Result;
use candle_core::Tensor;
use clip_loader::{Loader, Samples, Work};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Options of the batches of a pass.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Number of samples in a batch; the last batch may have fewer.
    pub batch_size: usize,
    /// Index of the first sample.
    pub first_sample: usize,
    /// Number of decode threads.
    pub threads: usize,
}

/// The batches of a pass on a device.
///
/// A pass calls [`next`](Self::next) until it returns none. In between it may call
/// [`look_ahead`](Self::look_ahead) or [`look_ahead_if_ready`](Self::look_ahead_if_ready), which
/// copy the next batch to the device while the device computes. They make the pass faster and do
/// not change its batches.
pub struct DeviceBatches {
    loader: Loader,
    feed: Feed,
    /// The batch that [`next`](Self::next) uses, if it is already on its way.
    staged: Option<Staged>,
    /// The waits that [`take_waits`](Self::take_waits) has returned.
    counted: Waits,
}

/// The times that a pass has waited.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Waits {
    /// Time of waiting for decode threads.
    pub data: Duration,
    /// Time of waiting for copies to the device.
    pub copy: Duration,
}

impl DeviceBatches {
    /// Starts the threads that load the batches of a pass.
    ///
    /// # Errors
    /// The system has no memory or thread left.
    pub fn start(compute: &Compute, samples: Arc<dyn Samples>, plan: Plan, pixels: SamplePixels) -> Result<Self> {
        let Plan { batch_size, first_sample, threads } = plan;
        let feed = Feed::new(compute, pixels, batch_size)?;
        let loader =
            Loader::builder(samples).batch_size(batch_size).threads(threads).slots(SLOTS).start_at(first_sample);
        let loader =
            if compute.device.is_cuda() { loader.memory(PinnedMemory(compute.device.clone())) } else { loader };
        let loader = loader.start()?;
        Ok(Self { loader, feed, staged: None, counted: Waits::default() })
    }

    /// Waits for the next batch and calls `work`, which must start everything that reads the batch.
    /// Returns the result of `work`, or none after the last batch.
    ///
    /// # Errors
    /// A decode thread, the copy or `work` fails.
    pub fn next<R>(&mut self, work: impl FnOnce(&DeviceBatch<'_>) -> Result<R>) -> Result<Option<R>> {
        self.look_ahead()?;
        let Some(staged) = self.staged.take() else { return Ok(None) };
        self.feed.arrive(&staged.pixels)?;
        let result = work(&DeviceBatch { feed: &self.feed, pixels: &staged.pixels })?;
        self.feed.release(staged)?;
        Ok(Some(result))
    }

    /// Waits for the next batch and starts its copy to the device.
    ///
    /// # Errors
    /// A decode thread or the copy fails.
    pub fn look_ahead(&mut self) -> Result<()> {
        if self.staged.is_none()
            && let Some(batch) = self.loader.next_batch()?
        {
            self.staged = Some(self.feed.stage(batch)?);
        }
        Ok(())
    }

    /// Starts the copy of the next batch to the device, if that batch is ready.
    ///
    /// # Errors
    /// A decode thread or the copy fails.
    pub fn look_ahead_if_ready(&mut self) -> Result<()> {
        if self.loader.is_ready() { self.look_ahead() } else { Ok(()) }
    }

    /// Returns the work of the decode threads so far.
    pub fn work(&self) -> Work {
        self.loader.work()
    }

    /// Returns the times that the pass has waited since the last call.
    pub fn take_waits(&mut self) -> Waits {
        let now = Waits { data: self.loader.waited(), copy: self.feed.copied() };
        let before = std::mem::replace(&mut self.counted, now);
        Waits { data: now.data.saturating_sub(before.data), copy: now.copy.saturating_sub(before.copy) }
    }
}

impl fmt::Debug for DeviceBatches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let staged = self.staged.as_ref().map(|staged| &staged.pixels.samples);
        f.debug_struct("DeviceBatches").field("staged", &staged).field("counted", &self.counted).finish_non_exhaustive()
    }
}

/// A batch on the device, borrowed from [`DeviceBatches::next`].
pub struct DeviceBatch<'d> {
    feed: &'d Feed,
    pixels: &'d StagedPixels,
}

impl DeviceBatch<'_> {
    /// Returns the indices of the batch's samples in the pass.
    pub fn samples(&self) -> Range<usize> {
        self.pixels.samples.clone()
    }

    /// Returns the network's inputs, one tensor `[n, side, side, channels]` per view. A GPU can
    /// record this work.
    ///
    /// # Errors
    /// The device fails.
    pub fn inputs(&self) -> candle_core::Result<Vec<Tensor>> {
        self.feed.inputs(self.pixels)
    }

    /// Returns the number of the GPU buffer that holds the batch; equal numbers mean equal
    /// addresses. Returns none on the CPU.
    pub(super) fn slot(&self) -> Option<usize> {
        self.pixels.slot()
    }
}

impl fmt::Debug for DeviceBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceBatch").field("samples", &self.pixels.samples).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Stream;
    use crate::view::View;
    use clip_loader::{Error, Worker};

    /// Samples of one 2 x 2 image, whose bytes are the index of the sample.
    struct Numbers(usize);

    impl Samples for Numbers {
        fn len(&self) -> usize {
            self.0
        }
        fn part_bytes(&self) -> Vec<usize> {
            vec![12]
        }
        fn fill(
            &self,
            i: usize,
            _: &mut Worker,
            _: Option<&[&[u8]]>,
            out: &mut [&mut [u8]],
        ) -> clip_loader::Result<()> {
            out[0].fill(i as u8);
            if i == 90 { Err(Error::other(format!("sample {i} fails"))) } else { Ok(()) }
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Ahead {
        No,
        IfReady,
        Yes,
    }

    /// Returns the samples and first input values of all batches.
    fn pass(samples: usize, ahead: Ahead) -> Result<Vec<(Range<usize>, Vec<f32>)>> {
        let compute = Compute::open("cpu", None, false)?;
        let stream = Stream::Spatial;
        let pixels = SamplePixels { stream, stack: 1, side: 2, views: 1, range: View::seed(stream).range(stream) };
        let plan = Plan { batch_size: 4, first_sample: 0, threads: 2 };
        let mut batches = DeviceBatches::start(&compute, Arc::new(Numbers(samples)), plan, pixels)?;
        let mut all = Vec::new();
        while let Some(batch) = batches.next(|batch| {
            let input = batch.inputs()?.swap_remove(0);
            assert_eq!((input.dims(), batch.slot()), (&[batch.samples().len(), 2, 2, 3][..], None));
            Ok((batch.samples(), input.narrow(3, 0, 1)?.narrow(1, 0, 1)?.narrow(2, 0, 1)?.flatten_all()?.to_vec1()?))
        })? {
            all.push(batch);
            match ahead {
                Ahead::No => {}
                Ahead::IfReady => batches.look_ahead_if_ready()?,
                // Called twice, because a second call changes nothing.
                Ahead::Yes => batches.look_ahead().and_then(|()| batches.look_ahead())?,
            }
        }
        assert!(batches.next(|_| Ok(()))?.is_none(), "no batch comes after the last");
        let before = batches.take_waits();
        assert_eq!((before.copy.is_zero(), batches.take_waits()), (all.is_empty(), Waits::default()));
        Ok(all)
    }

    #[test]
    fn each_batch_comes_once_and_in_order_however_far_the_pass_looks_ahead() {
        // ImageNet's mean and deviation of red.
        let red = |i: usize| ((i as f64 / 255.0 - 0.485) / 0.229) as f32;
        for ahead in [Ahead::No, Ahead::IfReady, Ahead::Yes] {
            let all = pass(10, ahead).unwrap();
            assert_eq!(all.iter().map(|(samples, _)| samples.clone()).collect::<Vec<_>>(), [0..4, 4..8, 8..10]);
            for (i, value) in all.iter().flat_map(|(_, values)| values).enumerate() {
                assert!((value - red(i)).abs() < 1e-5, "{ahead:?}: sample {i} is {value}, not {}", red(i));
            }
        }
        assert_eq!(pass(0, Ahead::Yes).unwrap(), []);
    }

    /// One sample of two views, each with three RGB frames of 2 x 2 pixels.
    struct Frames;

    /// Byte `at` of the sample of [`Frames`].
    fn byte(at: usize) -> u8 {
        (at * at * 7 + at * 31) as u8
    }

    impl Samples for Frames {
        fn len(&self) -> usize {
            1
        }
        fn part_bytes(&self) -> Vec<usize> {
            vec![2 * 3 * 12]
        }
        fn fill(
            &self,
            _: usize,
            _: &mut Worker,
            _: Option<&[&[u8]]>,
            out: &mut [&mut [u8]],
        ) -> clip_loader::Result<()> {
            out[0].iter_mut().enumerate().for_each(|(at, value)| *value = byte(at));
            Ok(())
        }
    }

    #[test]
    fn differences_are_those_of_normalised_frames_in_order() {
        let compute = Compute::open("cpu", None, false).unwrap();
        let stream = Stream::Difference;
        let range = View::seed(stream).range(stream);
        let pixels = SamplePixels { stream, stack: 2, side: 2, views: 2, range };
        let plan = Plan { batch_size: 1, first_sample: 0, threads: 1 };
        let mut batches = DeviceBatches::start(&compute, Arc::new(Frames), plan, pixels).unwrap();
        let views = batches.next(|batch| Ok(batch.inputs()?)).unwrap().unwrap();
        assert_eq!(views.len(), 2);
        for (view, found) in views.iter().enumerate() {
            assert_eq!(found.dims(), [1, 2, 2, 6]);
            let found: Vec<f32> = found.flatten_all().unwrap().to_vec1().unwrap();
            for (at, &found) in found.iter().enumerate() {
                let (pixel, difference, color) = (at / 6, at % 6 / 3, at % 3);
                let value = |frame: usize| f64::from(byte((view * 3 + frame) * 12 + pixel * 3 + color));
                let deviation = [0.229, 0.224, 0.225][color];
                let expected = (value(difference + 1) - value(difference)) / 255.0 / deviation;
                assert!((f64::from(found) - expected).abs() < 1e-5, "view {view}, value {at}: {found}, not {expected}");
            }
        }
    }

    #[test]
    fn an_error_of_a_decode_thread_ends_the_pass() {
        assert_eq!(pass(100, Ahead::Yes).unwrap_err().to_string(), "sample 90 fails");
    }
}
