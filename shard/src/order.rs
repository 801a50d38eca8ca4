//! The order of samples and all random choices, as pure functions of (seed, epoch, sample, draw).
//!
//! The results do not depend on state, threads or the machine. The [format](mod@crate::format) has
//! test vectors.

/// Computes the output function of `SplitMix64` (Steele, Lea and Flood 2014), including its
/// increment.
pub const fn mix64(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Returns 64 random bits for draw number `draw` of a sample.
pub const fn bits(seed: u64, epoch: u64, sample: u64, draw: u64) -> u64 {
    mix64(mix64(mix64(mix64(seed) ^ epoch) ^ sample) ^ draw)
}

/// A sequence of random numbers for one sample in one epoch.
///
/// # Example
///
/// ```
/// use clipshard::order::{Draws, bits};
///
/// let (seed, epoch, sample) = (7, 3, 5);
/// let mut draws = Draws::new(seed, epoch, sample);
/// assert_eq!(draws.bits(), bits(seed, epoch, sample, 0));
/// assert_eq!(draws.bits(), bits(seed, epoch, sample, 1));
/// assert!(draws.below(10) < 10);
/// ```
#[derive(Clone, Debug)]
pub struct Draws {
    key: u64,
    next: u64,
}

impl Draws {
    /// Creates the sequence, starting with draw number 0.
    pub const fn new(seed: u64, epoch: u64, sample: u64) -> Self {
        Self { key: mix64(mix64(mix64(seed) ^ epoch) ^ sample), next: 0 }
    }

    /// Returns the next 64 bits.
    pub fn bits(&mut self) -> u64 {
        let bits = mix64(self.key ^ self.next);
        self.next += 1;
        bits
    }

    /// Returns the number of draws so far.
    pub const fn taken(&self) -> u64 {
        self.next
    }

    /// Omits draws until `taken` draws have been made. Does nothing if there were as many already.
    pub fn skip_to(&mut self, taken: u64) {
        self.next = self.next.max(taken);
    }

    /// Returns an integer in `0..n`, for `n` > 0.
    ///
    /// Uses multiplication without rejection (Lemire 2019). The bias is below n / 2^64.
    pub fn below(&mut self, n: u64) -> u64 {
        ((self.bits() as u128 * n as u128) >> 64) as u64
    }

    /// Returns an integer in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// Returns a number in [0, 1) with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns true or false with equal probability.
    pub fn coin(&mut self) -> bool {
        self.bits() >> 63 == 1
    }
}

/// Number of the draw that orders the samples of an epoch. The draws of a sample never reach it.
const ORDER_DRAW: u64 = u64::MAX;

/// Returns the order of the `n` samples of an epoch: the numbers 0 to n - 1, sorted by
/// `bits(seed, epoch, sample, 2^64 - 1)`. Ties are sorted by number.
pub fn permutation(seed: u64, epoch: u64, n: usize) -> Vec<u32> {
    let mut keyed: Vec<(u64, u32)> = (0..n as u32).map(|i| (bits(seed, epoch, i.into(), ORDER_DRAW), i)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, i)| i).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mix64_is_splitmix64() {
        // The first outputs of the reference generator (splitmix64.c by Vigna) for state 1234567.
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        let step = 0x9e37_79b9_7f4a_7c15_u64;
        for (i, value) in expected.into_iter().enumerate() {
            assert_eq!(mix64(1_234_567_u64.wrapping_add(step.wrapping_mul(i as u64))), value);
        }
    }

    #[test]
    fn permutation_holds_every_sample_once_and_changes_with_seed_and_epoch() {
        let first = permutation(7, 0, 1000);
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(0..1000));
        assert_ne!(first, permutation(7, 1, 1000));
        assert_ne!(first, permutation(8, 0, 1000));
    }

    #[test]
    fn draws_equal_the_pure_function_and_cover_their_range() {
        let mut draws = Draws::new(3, 5, 9);
        assert_eq!([draws.bits(), draws.bits()], [bits(3, 5, 9, 0), bits(3, 5, 9, 1)]);
        assert_eq!(draws.taken(), 2);
        draws.skip_to(5);
        draws.skip_to(1);
        assert_eq!(draws.bits(), bits(3, 5, 9, 5));
        let mut seen = [0_u32; 6];
        for _ in 0..6000 {
            seen[draws.between(2, 7) as usize - 2] += 1;
        }
        assert!(seen.iter().all(|n| (850..1150).contains(n)), "{seen:?}");
        let mean = (0..10_000).map(|_| draws.unit()).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }
}
