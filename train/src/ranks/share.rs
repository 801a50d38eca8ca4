//! The share of a rank in the samples of a training pass.

use clip_loader::{Result, Samples, Worker};
use std::ops::Range;
use std::sync::Arc;

/// Returns the micro-batches of a batch of `n` samples: their numbers, and their samples in the batch. There are
/// `count` of them, whose sizes differ by at most one. Those without samples are omitted.
pub fn micro_batches(n: usize, count: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
    (0..count).map(move |at| (at, n * at / count..n * (at + 1) / count)).filter(|(_, samples)| !samples.is_empty())
}

/// How ranks share the samples of a pass: of each batch, rank r has the micro-batches r, r + size and so on.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Number of the rank.
    pub rank: usize,
    /// Number of ranks.
    pub size: usize,
    /// Number of samples in a batch of all ranks.
    pub batch_size: usize,
    /// Number of micro-batches in a batch. They are equal in whole batches, and `size` divides their number.
    pub micro_batches: usize,
}

impl Share {
    /// Returns the rank's micro-batches of a batch of `n` samples.
    pub fn of_batch(self, n: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
        micro_batches(n, self.micro_batches).filter(move |(at, _)| at % self.size == self.rank)
    }

    /// Returns the rank's micro-batches of a batch of `n` samples: their numbers, and how many samples each has,
    /// which may be none. All ranks have the same number of micro-batches, so they can exchange the results of
    /// one after the other.
    pub fn rounds(self, n: usize) -> impl Iterator<Item = (usize, usize)> {
        let Self { rank, size, micro_batches: count, .. } = self;
        (rank..count).step_by(size).map(move |at| (at, n * (at + 1) / count - n * at / count))
    }

    /// Returns the number of the rank's samples in a whole batch.
    pub fn batch(self) -> usize {
        self.batch_size / self.size
    }
}

/// The samples of a rank in a training pass.
pub struct OwnSamples {
    samples: Arc<dyn Samples>,
    share: Share,
    /// The rank's samples of the last batch, if that is not whole: their numbers in the pass.
    last: Vec<usize>,
}

impl OwnSamples {
    /// Returns the rank's share of `samples`.
    pub fn new(samples: Arc<dyn Samples>, share: Share) -> Self {
        let (len, rest) = (samples.len(), samples.len() % share.batch_size);
        let last = share.of_batch(rest).flat_map(|(_, of_batch)| of_batch).map(|i| len - rest + i).collect();
        Self { samples, share, last }
    }

    /// Returns the number in the pass of the rank's sample `i`.
    pub fn number(&self, i: usize) -> usize {
        let Share { rank, size, batch_size, micro_batches } = self.share;
        let (batch, own) = (i / self.share.batch(), i % self.share.batch());
        if batch == self.samples.len() / batch_size {
            return self.last[own];
        }
        let micro_batch = batch_size / micro_batches;
        let (round, place) = (own / micro_batch, own % micro_batch);
        batch * batch_size + (round * size + rank) * micro_batch + place
    }
}

impl Samples for OwnSamples {
    fn len(&self) -> usize {
        self.samples.len() / self.share.batch_size * self.share.batch() + self.last.len()
    }

    fn part_bytes(&self) -> Vec<usize> {
        self.samples.part_bytes()
    }

    fn fill(&self, i: usize, worker: &mut Worker, previous: Option<&[&[u8]]>, out: &mut [&mut [u8]]) -> Result<()> {
        let number = self.number(i);
        let previous = previous.filter(|_| i > 0 && self.number(i - 1) + 1 == number);
        self.samples.fill(number, worker, previous, out)
    }

    fn run_end(&self, i: usize) -> usize {
        let end = self.samples.run_end(self.number(i));
        (i + 1..self.len())
            .take_while(|&next| self.number(next) == self.number(next - 1) + 1 && self.number(next) < end)
            .last()
            .map_or(i + 1, |last| last + 1)
    }

    fn stored_bytes(&self) -> u64 {
        self.samples.stored_bytes()
    }

    fn will_need(&self, i: usize) {
        self.samples.will_need(self.number(i));
    }

    fn fingerprint(&self) -> u64 {
        self.samples.fingerprint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn micro_batches_have_all_samples_and_differ_by_at_most_one() {
        let sizes = |n, count| micro_batches(n, count).map(|(at, samples)| (at, samples.len())).collect::<Vec<_>>();
        assert_eq!(sizes(12, 3), [(0, 4), (1, 4), (2, 4)]);
        assert_eq!(sizes(7, 3), [(0, 2), (1, 2), (2, 3)]);
        assert_eq!(sizes(2, 4), [(1, 1), (3, 1)]);
        for (n, count) in [(1, 1), (5, 8), (25, 4), (1, 3), (0, 2)] {
            let mut next = 0;
            for (_, samples) in micro_batches(n, count) {
                assert_eq!(samples.start, next);
                next = samples.end;
            }
            assert_eq!(next, n);
        }
    }

    /// Samples whose bytes are their numbers.
    struct Numbers(usize);

    impl Samples for Numbers {
        fn len(&self) -> usize {
            self.0
        }
        fn part_bytes(&self) -> Vec<usize> {
            vec![1]
        }
        fn fill(&self, i: usize, _: &mut Worker, _: Option<&[&[u8]]>, out: &mut [&mut [u8]]) -> Result<()> {
            out[0][0] = i as u8;
            Ok(())
        }
        fn run_end(&self, i: usize) -> usize {
            (i / 3 + 1) * 3
        }
    }

    #[test]
    fn all_ranks_together_have_each_sample_once_in_the_right_batch() {
        for (samples, batch_size, micro_batches, size) in
            [(24_usize, 12_usize, 4, 2), (25, 12, 4, 2), (23, 12, 6, 3), (3, 12, 4, 4), (13, 4, 4, 4), (0, 4, 2, 2)]
        {
            let mut batches: Vec<Vec<usize>> = vec![Vec::new(); samples.div_ceil(batch_size)];
            for rank in 0..size {
                let share = Share { rank, size, batch_size, micro_batches };
                let own = OwnSamples::new(Arc::new(Numbers(samples)), share);
                let numbers: Vec<usize> = (0..own.len()).map(|i| own.number(i)).collect();
                for (of_rank, batch) in numbers.chunks(share.batch()).zip(0..) {
                    let n = batch_size.min(samples - batch * batch_size);
                    let expected: Vec<usize> =
                        share.of_batch(n).flat_map(|(_, of_batch)| of_batch).map(|i| batch * batch_size + i).collect();
                    assert_eq!(of_rank, expected, "rank {rank} of {size}, batch {batch}");
                    let rounds: Vec<(usize, usize)> = share.rounds(n).collect();
                    assert_eq!(rounds.len(), micro_batches / size);
                    let parts = share.of_batch(n).map(|(at, of_batch)| (at, of_batch.len())).collect::<Vec<_>>();
                    assert_eq!(rounds.into_iter().filter(|round| round.1 > 0).collect::<Vec<_>>(), parts);
                    batches[batch].extend(of_rank);
                }
                for (i, first) in numbers.into_iter().enumerate() {
                    let run: Vec<usize> = (i..own.run_end(i)).map(|i| own.number(i)).collect();
                    let whole = run.iter().zip(first..).all(|(&number, expected)| number == expected);
                    assert!(whole && run.iter().all(|number| number / 3 == first / 3), "{run:?}");
                }
            }
            for (batch, mut numbers) in batches.into_iter().enumerate() {
                numbers.sort_unstable();
                let all: Vec<usize> = (batch * batch_size..samples.min((batch + 1) * batch_size)).collect();
                assert_eq!(numbers, all, "{samples} samples, {size} ranks");
            }
        }
    }
}
