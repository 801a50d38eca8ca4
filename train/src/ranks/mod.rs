//! Several processes that train one run together, each with its share of every batch.
//!
//! Each process is a rank. [`Place`] learns from the environment which one, [`meet`] connects all ranks, and
//! [`Ranks`] exchanges their results. Rank 0 alone writes files and prints.

mod link;
mod meeting;
mod mesh;
mod place;
mod share;

pub use meeting::{Meeting, meet};
pub use place::{LAUNCH, Place};
pub use share::{OwnSamples, Share, micro_batches};

use anyhow::Result;
use std::fmt::Debug;
use std::time::Duration;

/// The ranks of a run, as one of them sees them.
///
/// All ranks must call the same functions in the same order.
pub trait Ranks: Debug + Send + Sync {
    /// Returns the number of this rank, from 0.
    fn rank(&self) -> usize;

    /// Returns the number of ranks.
    fn size(&self) -> usize;

    /// Starts a sum of vectors of `len` values, which is the same on all ranks.
    fn start_sum(&self, len: usize) -> PartialSum;

    /// Adds a vector of each rank to a sum, one after the other in the order of the ranks. A rank may have
    /// none.
    ///
    /// # Errors
    /// Another rank has ended, sends nothing within the time-out, or does not do the same.
    fn add(&self, sum: &mut PartialSum, values: Option<&[f32]>) -> Result<()>;

    /// Returns a sum, with the same bits on all ranks. It is zeros if no rank has added anything.
    ///
    /// # Errors
    /// Those of [`Ranks::add`].
    fn total(&self, sum: PartialSum) -> Result<Vec<f32>>;

    /// Returns the bytes of all ranks, in their order.
    ///
    /// # Errors
    /// Those of [`Ranks::add`].
    fn gather(&self, own: Vec<u8>) -> Result<Vec<Vec<u8>>>;

    /// Returns what this rank has exchanged so far.
    fn traffic(&self) -> Traffic;

    /// Returns whether this rank is the one that writes and prints.
    fn is_first(&self) -> bool {
        self.rank() == 0
    }
}

/// The exchanges of a rank so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Number of bytes that it has sent.
    pub sent: u64,
    /// Time of all exchanges.
    pub time: Duration,
    /// Time in them before another rank began to send. The rest moves and adds values.
    pub waiting: Duration,
}

impl Traffic {
    fn add(&mut self, more: Self) {
        self.sent += more.sent;
        self.time += more.time;
        self.waiting += more.waiting;
    }

    /// Returns what was exchanged after `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            sent: self.sent - earlier.sent,
            time: self.time.saturating_sub(earlier.time),
            waiting: self.waiting.saturating_sub(earlier.waiting),
        }
    }
}

/// A sum that is not complete. Each rank computes a part of its values.
#[derive(Clone, Debug)]
pub struct PartialSum {
    len: usize,
    /// The rank's part of the values; none if nothing was added.
    part: Option<Vec<f32>>,
}

impl PartialSum {
    fn add(&mut self, values: &[f32]) {
        match &mut self.part {
            Some(part) => part.iter_mut().zip(values).for_each(|(sum, value)| *sum += value),
            None => self.part = Some(values.to_vec()),
        }
    }
}

/// The only rank of a run.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Ranks for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn start_sum(&self, len: usize) -> PartialSum {
        PartialSum { len, part: None }
    }

    fn add(&self, sum: &mut PartialSum, values: Option<&[f32]>) -> Result<()> {
        if let Some(values) = values {
            sum.add(values);
        }
        Ok(())
    }

    fn total(&self, sum: PartialSum) -> Result<Vec<f32>> {
        Ok(sum.part.unwrap_or_else(|| vec![0.0; sum.len]))
    }

    fn gather(&self, own: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        Ok(vec![own])
    }

    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}
