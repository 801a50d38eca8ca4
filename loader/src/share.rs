//! Which samples of a pass a rank makes, from where on.

use crate::{Error, Result, Samples};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// How far a pass has come, to go on from there later: with the same samples, but any number of threads, ranks or samples a
/// batch. It can be stored with serde.
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
/// let loader = Loader::builder(samples).batch_size(32).resume(&state)?.start()?; // begins with the second batch
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct State {
    /// [Fingerprint](Samples::fingerprint) of the samples.
    pub samples: u64,
    /// Samples that all ranks together have seen.
    pub seen: u64,
}

impl State {
    /// Returns the samples that were seen, if the state belongs to these samples.
    pub(crate) fn seen_of(&self, samples: &dyn Samples) -> Result<usize> {
        if self.samples != samples.fingerprint() {
            return Err(Error::OtherSamples);
        }
        let len = samples.len();
        let seen = usize::try_from(self.seen).ok().filter(|seen| *seen <= len);
        seen.ok_or(Error::BehindTheEnd { seen: self.seen, samples: len as u64 })
    }
}

/// The samples of one rank: number `i` of the rank is number `start + rank + i * world` of the pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub start: usize,
    pub rank: usize,
    pub world: usize,
}

impl Share {
    /// Samples of each rank. Where the samples cannot be shared out evenly, the last few are left out, so that all ranks have as
    /// many.
    pub fn len(self, samples: usize) -> usize {
        samples.saturating_sub(self.start) / self.world
    }

    /// Number in the pass of the rank's sample number `i`.
    pub fn sample(self, i: usize) -> usize {
        self.start + self.rank + i * self.world
    }

    /// Numbers in the pass of some of the rank's samples.
    pub fn samples(self, own: Range<usize>) -> impl ExactSizeIterator<Item = usize> + Clone + use<> {
        own.map(move |i| self.sample(i))
    }

    /// The end of the run of samples that share frames, from the rank's sample number `i` on.
    pub fn run_end(self, samples: &dyn Samples, i: usize) -> usize {
        if self.world == 1 { samples.run_end(self.sample(i)).saturating_sub(self.start) } else { i + 1 }
    }

    /// Samples that all ranks have seen when each has seen `own`.
    pub fn seen(self, own: usize) -> u64 {
        (self.start + own * self.world) as u64
    }
}
