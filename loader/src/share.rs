//! Divides the samples of a pass among ranks, and describes how far a pass has come.

use crate::{Error, Result, Samples};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The progress of a pass, to continue it later. You can store it with serde.
///
/// The samples must be the same. The number of threads, ranks and samples per batch may change.
///
/// ```no_run
/// # fn run(samples: std::sync::Arc<clip_loader::TrainSamples>) -> Result<(), Box<dyn std::error::Error>> {
/// use clip_loader::{Loader, State};
///
/// let mut loader = Loader::builder(samples.clone()).batch_size(32).start()?;
/// let first = loader.next_batch()?;
/// let text = serde_json::to_string(&loader.state())?;
///
/// let state: State = serde_json::from_str(&text)?;
/// let loader = Loader::builder(samples).batch_size(32).resume(&state)?.start()?; // starts with the second batch
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct State {
    /// [Fingerprint](Samples::fingerprint) of the samples.
    pub samples: u64,
    /// Number of samples that all ranks together have seen.
    pub seen: u64,
}

impl State {
    /// Returns the number of samples that were seen. Returns an error if the state does not belong
    /// to `samples`.
    pub(crate) fn seen_of(&self, samples: &dyn Samples) -> Result<usize> {
        if self.samples != samples.fingerprint() {
            return Err(Error::OtherSamples);
        }
        let len = samples.len();
        let seen = usize::try_from(self.seen).ok().filter(|seen| *seen <= len);
        seen.ok_or(Error::BehindTheEnd { seen: self.seen, samples: len as u64 })
    }
}

/// The samples of one rank: number `i` of the rank is number `start + rank + i * world` of the
/// pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub start: usize,
    pub rank: usize,
    pub world: usize,
}

impl Share {
    /// Returns the number of samples per rank. It is the same for all ranks, so the last few
    /// samples of the pass may be omitted.
    pub fn len(self, samples: usize) -> usize {
        samples.saturating_sub(self.start) / self.world
    }

    /// Returns the number in the pass of the rank's sample `i`.
    pub fn sample(self, i: usize) -> usize {
        self.start + self.rank + i * self.world
    }

    /// Returns the numbers in the pass of some of the rank's samples.
    pub fn samples(self, own: Range<usize>) -> impl ExactSizeIterator<Item = usize> + Clone + use<> {
        own.map(move |i| self.sample(i))
    }

    /// Returns the exclusive end of the run of samples that share frames with the rank's sample
    /// `i`.
    pub fn run_end(self, samples: &dyn Samples, i: usize) -> usize {
        if self.world == 1 { samples.run_end(self.sample(i)).saturating_sub(self.start) } else { i + 1 }
    }

    /// Returns the number of samples that all ranks have seen when each has seen `own` samples.
    pub fn seen(self, own: usize) -> u64 {
        (self.start + own * self.world) as u64
    }
}
