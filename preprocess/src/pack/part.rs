//! One of N parts of a build, so that N machines can work at the same time.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One of N parts of a build.
///
/// N machines can make the parts at the same time; [`merge()`](super::merge()) joins them.
///
/// ```
/// use ucfpack::pack::Part;
///
/// let part = Part { number: 2, of: 3 };
/// assert_eq!(part.to_string(), "2/3");
/// let shards: Vec<u32> = (0..6).filter(|&shard| part.makes(shard, 6)).collect();
/// assert_eq!(shards, [2, 3]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Number of this part, from 1.
    pub number: u32,
    /// Number of all parts.
    pub of: u32,
}

impl Part {
    /// Returns whether this part makes shard `shard` of a stream that has `shards` shards. Each
    /// part makes consecutive shards, and all parts make about the same number.
    pub fn makes(self, shard: u32, shards: u32) -> bool {
        u64::from(shard) * u64::from(self.of) / u64::from(shards.max(1)) == u64::from(self.number - 1)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_share_out_every_shard_once() {
        for (of, shards) in [(1, 1), (3, 7), (4, 4), (5, 2), (8, 100)] {
            let mut makers = Vec::new();
            for shard in 0..shards {
                let of_shard: Vec<u32> = (1..=of).filter(|&number| Part { number, of }.makes(shard, shards)).collect();
                assert_eq!(of_shard.len(), 1, "{of} {shards} {shard}");
                makers.extend(of_shard);
            }
            assert!(makers.is_sorted());
            let counts: Vec<_> = (1..=of).map(|n| makers.iter().filter(|m| **m == n).count()).collect();
            assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
        }
    }
}
