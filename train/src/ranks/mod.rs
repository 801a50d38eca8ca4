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

/// The ranks of a run, as one of them sees them.
///
/// All ranks must call the same functions in the same order.
pub trait Ranks: Debug {
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

    /// Returns the number of bytes that this rank has sent.
    fn bytes_sent(&self) -> u64;

    /// Returns whether this rank is the one that writes and prints.
    fn is_first(&self) -> bool {
        self.rank() == 0
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

    fn bytes_sent(&self) -> u64 {
        0
    }
}
