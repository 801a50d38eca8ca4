//! The samples of a pass, and how they are decoded from records.

mod damage;
mod reader;
mod render;
mod short;
mod test;
mod train;

pub use damage::Damage;
pub use render::Worker;
pub use short::Short;
pub use test::{TestOptions, TestSamples};
pub use train::{TrainOptions, TrainSamples};

use crate::Result;

/// The samples of one pass, in order.
///
/// [`TrainSamples`] and [`TestSamples`] implement it. If you implement it for a type of your own, a
/// [`Loader`](crate::Loader) makes batches of it with worker threads:
///
/// ```
/// use clip_loader::{Loader, Result, Samples, Worker};
/// use std::sync::Arc;
///
/// struct Squares;
///
/// impl Samples for Squares {
///     fn len(&self) -> usize {
///         5
///     }
///     fn part_bytes(&self) -> Vec<usize> {
///         vec![1]
///     }
///     fn fill(&self, i: usize, _: &mut Worker, _: Option<&[&[u8]]>, out: &mut [&mut [u8]]) -> Result<()> {
///         out[0].fill((i * i) as u8);
///         Ok(())
///     }
/// }
///
/// let loader = Loader::builder(Arc::new(Squares)).batch_size(2).start()?;
/// let batches: Vec<Vec<u8>> = loader.map(|batch| Ok(batch?.bytes().to_vec())).collect::<Result<_>>()?;
/// assert_eq!(batches, [vec![0, 1], vec![4, 9], vec![16]]);
/// # Ok::<(), clip_loader::Error>(())
/// ```
#[allow(clippy::len_without_is_empty, reason = "`is_empty` has a default")]
pub trait Samples: Send + Sync {
    /// Returns the number of samples.
    fn len(&self) -> usize;

    /// Returns whether there are no samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of bytes per sample of each part: for [`TrainSamples`] and
    /// [`TestSamples`], of each view. All samples have the same numbers. A sample has 1 to 16 parts.
    fn part_bytes(&self) -> Vec<usize>;

    /// Returns the number of bytes per sample, of all parts together.
    fn sample_bytes(&self) -> usize {
        self.part_bytes().iter().sum()
    }

    /// Writes sample number `i` to `out`, one slice of [`Samples::part_bytes`] bytes per part.
    ///
    /// The result must depend on `i` only, because threads write samples in any order. `previous`
    /// holds the parts of sample `i - 1` if the same thread has just written it.
    ///
    /// # Errors
    /// An error ends the pass. [`Error::other`](crate::Error::other) wraps an error of your own.
    fn fill(&self, i: usize, worker: &mut Worker, previous: Option<&[&[u8]]>, out: &mut [&mut [u8]]) -> Result<()>;

    /// Returns the exclusive end of the run of samples that share frames with sample `i`. One
    /// thread writes a run in order.
    fn run_end(&self, i: usize) -> usize {
        i + 1
    }

    /// Returns the mean number of stored bytes per sample, or 0 to disable reading ahead.
    fn stored_bytes(&self) -> u64 {
        0
    }

    /// Asks the system to read the stored bytes of sample `i` soon. It does not change the sample.
    fn will_need(&self, i: usize) {
        let _ = i;
    }

    /// Returns a number that depends on seed, epoch, clips and views. A [`State`](crate::State)
    /// stores it to detect that it does not belong to the samples.
    fn fingerprint(&self) -> u64 {
        0
    }
}
