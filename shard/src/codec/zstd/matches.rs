//! Finds long matches between parts of an image, with hash chains and lazy matching.
//!
//! A chain links the positions whose next bytes have the same hash. Lazy matching prefers a longer
//! match that starts one or two bytes later.
//!
//! The time of a decoder depends more on the number of matches than on the number of literals. The
//! search of zstd also takes short matches, which save few bytes and make decoding slower.

/// Length of the shortest match that is used.
const SHORTEST: usize = 16;
/// Length at which the search for a longer match ends.
const ENOUGH: usize = 192;
/// Limit for the offset of a match. The window of zstd is at least as large, or holds the whole
/// image.
const WINDOW: usize = 1 << 17;
/// Number of bytes that are hashed.
const HASHED: usize = 8;
const HASH_BITS: u32 = 15;
const NOWHERE: u32 = u32::MAX;

/// Literals followed by a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    /// Number of literal bytes.
    pub literals: usize,
    /// Number of bytes that repeat those `offset` bytes earlier. Both ranges may overlap.
    pub length: usize,
    pub offset: usize,
}

/// The match found at a position. Length 0 means that there is none.
#[derive(Clone, Copy, Default)]
struct Found {
    length: usize,
    offset: usize,
}

/// A match finder that reuses its memory for each image.
pub(super) struct Finder {
    /// Number of earlier positions that are tried for each position.
    depth: usize,
    /// The latest position with each hash.
    heads: Vec<u32>,
    /// For each position modulo the window, the position before it with the same hash.
    before: Vec<u32>,
    /// Number of positions that are in the chains.
    known: usize,
}

impl Finder {
    pub fn new(depth: usize) -> Self {
        Self { depth, heads: vec![NOWHERE; 1 << HASH_BITS], before: vec![NOWHERE; WINDOW], known: 0 }
    }

    /// Calls `each` with the sequences of `bytes` in order. The bytes after the last sequence are
    /// literals.
    pub fn sequences(&mut self, bytes: &[u8], mut each: impl FnMut(Sequence)) {
        self.heads.fill(NOWHERE);
        self.known = 0;
        let (mut at, mut done) = (0, 0);
        while at + HASHED <= bytes.len() {
            let mut found = self.longest(bytes, at);
            if found.length < SHORTEST {
                at += 1;
                continue;
            }
            // A match that starts one or two bytes later is better if it is longer by at least as
            // many bytes.
            while found.length < ENOUGH {
                let (next, second) = (self.longest(bytes, at + 1), self.longest(bytes, at + 2));
                if next.length > found.length {
                    (at, found) = (at + 1, next);
                } else if second.length > found.length + 1 {
                    (at, found) = (at + 2, second);
                } else {
                    break;
                }
            }
            while at > done && at > found.offset && bytes[at - 1] == bytes[at - found.offset - 1] {
                at -= 1;
                found.length += 1;
            }
            each(Sequence { literals: at - done, length: found.length, offset: found.offset });
            at += found.length;
            done = at;
        }
    }

    /// Returns the longest of the matches that are tried at a position.
    fn longest(&mut self, bytes: &[u8], at: usize) -> Found {
        let Some(hash) = hash(bytes, at) else { return Found::default() };
        while self.known < at {
            if let Some(hash) = self::hash(bytes, self.known) {
                self.before[self.known % WINDOW] = self.heads[hash];
                self.heads[hash] = self.known as u32;
            }
            self.known += 1;
        }
        let mut found = Found::default();
        let mut candidate = self.heads[hash];
        for _ in 0..self.depth {
            // The chain has overwritten positions outside of the window.
            let from = candidate as usize;
            if candidate == NOWHERE || at - from >= WINDOW {
                break;
            }
            candidate = self.before[from % WINDOW];
            // A match can only be longer than the longest so far if the byte after that length
            // matches too.
            if found.length > 0 && bytes[from + found.length] != bytes[at + found.length] {
                continue;
            }
            let length = common(bytes, from, at);
            if length > found.length {
                found = Found { length, offset: at - from };
                if length >= ENOUGH || at + length == bytes.len() {
                    break;
                }
            }
        }
        found
    }
}

/// Returns the eight bytes at a position, unless fewer remain.
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|word| u64::from_le_bytes(*word))
}

fn hash(bytes: &[u8], at: usize) -> Option<usize> {
    word(bytes, at).map(|word| (word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - HASH_BITS)) as usize)
}

/// Returns the number of equal bytes at `from` and at `at`, where `at` is after `from`.
fn common(bytes: &[u8], from: usize, at: usize) -> usize {
    let mut length = 0;
    while let (Some(a), Some(b)) = (word(bytes, from + length), word(bytes, at + length)) {
        let differing = a ^ b;
        if differing != 0 {
            return length + differing.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    length + bytes[at + length..].iter().zip(&bytes[from + length..]).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8], depth: usize) -> Vec<Sequence> {
        let mut sequences = Vec::new();
        Finder::new(depth).sequences(bytes, |sequence| sequences.push(sequence));
        sequences
    }

    /// Decodes sequences as zstd does. The literals come from `bytes`.
    fn rebuilt(bytes: &[u8], sequences: &[Sequence]) -> Vec<u8> {
        let mut made: Vec<u8> = Vec::new();
        for &Sequence { literals, length, offset } in sequences {
            made.extend(&bytes[made.len()..made.len() + literals]);
            assert!((1..WINDOW).contains(&offset) && offset <= made.len() && length >= SHORTEST);
            (0..length).for_each(|_| made.push(made[made.len() - offset]));
        }
        made.extend(&bytes[made.len()..]);
        made
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn sequences_are_the_bytes_again() {
        let mut mixed = noise(3000);
        mixed.extend(noise(5000).iter().map(|byte| byte & 1));
        mixed.extend_from_within(100..2900);
        mixed.extend([7; 4000]);
        mixed.extend_from_within(2000..7000);
        for depth in [1, 4, 64] {
            let sequences = found(&mixed, depth);
            assert!(sequences.len() > 3);
            assert!(rebuilt(&mixed, &sequences) == mixed, "depth {depth}");
        }
        for end in 0..60 {
            let bytes = &[3; 60][..end];
            assert_eq!(rebuilt(bytes, &found(bytes, 8)), bytes);
        }
    }

    #[test]
    fn what_repeats_is_one_match_and_noise_none() {
        assert_eq!(found(&noise(20_000), 64), []);
        let runs = [[9; 500], [4; 500]].concat();
        let one_each = |literals, length| Sequence { literals, length, offset: 1 };
        assert_eq!(found(&runs, 64), [one_each(1, 499), one_each(1, 499)]);
        let mut twice = noise(1000);
        twice.extend_from_within(..);
        assert_eq!(found(&twice, 64), [Sequence { literals: 1000, length: 1000, offset: 1000 }]);
    }

    #[test]
    fn matches_end_at_the_window() {
        for (between, is_near) in [(WINDOW - 200, true), (WINDOW + 200, false)] {
            let mut bytes = noise(between);
            bytes.extend_from_within(..100);
            let sequences = found(&bytes, 64);
            assert_eq!(sequences.len(), usize::from(is_near));
            assert!(rebuilt(&bytes, &sequences) == bytes);
        }
    }
}
