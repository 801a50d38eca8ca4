//! Which frames a sample shows: the recipes' rules as pure functions. Frames are counted from 0 here; the seed's rules in
//! `docs/recipes.md` count from 1 as the seed did.

use crate::stream::STACK_FRAMES;
use clipshard::order::Draws;

/// A clip with fewer flow frames than a stack has no sample.
pub const MIN_FLOW_FRAMES: u32 = STACK_FRAMES as u32;

/// Starts of all stacks of a clip with `flow_frames` frames: F - 9.
fn starts(flow_frames: u32) -> u64 {
    u64::from(flow_frames + 1 - MIN_FLOW_FRAMES)
}

/// Three frames of a clip, one from about each third: the segments overlap by a frame and reach one too far, as the
/// seed's did, and every index is clamped to the frames that there are.
pub fn segment_frames(flow_frames: u32, rgb_frames: u32, draws: &mut Draws) -> [u32; 3] {
    let n = starts(flow_frames);
    [(1, n / 3), (n / 3, 2 * n / 3), (2 * n / 3, n + 1)].map(|(low, high)| {
        let frame = draws.between(low, high.max(low));
        frame.clamp(1, rgb_frames.into()) as u32 - 1
    })
}

/// First frame of a stack, uniform over all stacks of a clip.
pub fn stack_start(flow_frames: u32, draws: &mut Draws) -> u32 {
    draws.below(starts(flow_frames)) as u32
}

/// A start from part number `part` of `parts` equal parts of the `starts` that there are; a part of less than one gives the start
/// nearest to it.
pub fn part_start(starts: u32, parts: usize, part: usize, draws: &mut Draws) -> u32 {
    let (starts, parts, part) = (u64::from(starts), parts as u64, part as u64);
    let (low, high) = (starts * part / parts, starts * (part + 1) / parts);
    draws.between(low, high.max(low + 1) - 1).min(starts - 1) as u32
}

/// The start in the middle of part `i` of `parts` equal parts.
pub fn part_middle(starts: u32, parts: usize, i: usize) -> u32 {
    (u64::from(starts) * (2 * i as u64 + 1) / (2 * parts as u64)) as u32
}

/// Number of stacks of a clip with `flow_frames` frames.
pub fn stack_starts(flow_frames: u32) -> u32 {
    starts(flow_frames) as u32
}

/// Distance between `samples` samples of a test clip.
fn test_interval(flow_frames: u32, samples: usize) -> u64 {
    (starts(flow_frames) / samples as u64).max(1)
}

/// Frame of test sample `i` of `samples`.
pub fn test_frame(flow_frames: u32, rgb_frames: u32, samples: usize, i: usize) -> u32 {
    (i as u64 * test_interval(flow_frames, samples)).min(u64::from(rgb_frames) - 1) as u32
}

/// First frame of the stack of test sample `i` of `samples`.
pub fn test_start(flow_frames: u32, samples: usize, i: usize) -> u32 {
    (i as u64 * test_interval(flow_frames, samples)).min(starts(flow_frames) - 1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_have_the_seeds_inclusive_bounds() {
        // F = 39: n = 30, so a in 1..=10, b in 10..=20, c in 20..=31 (from 1).
        let mut low = [u32::MAX; 3];
        let mut high = [0; 3];
        for sample in 0..2000 {
            let frames = segment_frames(39, 40, &mut Draws::new(1, 0, sample));
            for i in 0..3 {
                low[i] = low[i].min(frames[i] + 1);
                high[i] = high[i].max(frames[i] + 1);
            }
        }
        assert_eq!((low, high), ([1, 10, 20], [10, 20, 31]));
    }

    #[test]
    fn the_shortest_clips_stay_inside_their_frames() {
        for flow in 10..40 {
            for rgb in [flow, flow + 1] {
                for sample in 0..50 {
                    let mut draws = Draws::new(2, 0, sample);
                    assert!(segment_frames(flow, rgb, &mut draws).iter().all(|&f| f < rgb));
                    assert!(stack_start(flow, &mut draws) + 10 <= flow);
                }
                for i in 0..19 {
                    assert!(test_frame(flow, rgb, 19, i) < rgb && test_start(flow, 19, i) + 10 <= flow);
                }
                for parts in [1, 3, 25] {
                    let mut draws = Draws::new(3, 0, parts as u64);
                    let found: Vec<_> =
                        (0..parts).map(|part| part_start(stack_starts(flow), parts, part, &mut draws)).collect();
                    assert!(found.is_sorted() && found.iter().all(|start| start + 10 <= flow));
                    assert!((0..parts).all(|i| part_middle(stack_starts(flow), parts, i) + 10 <= flow));
                }
            }
        }
    }

    #[test]
    fn test_samples_are_as_far_apart_as_the_seeds() {
        // F = 28: interval 1; F = 200: (200 - 9) / 19 = 10.
        let starts = |f| [0, 1, 18].map(|i| test_start(f, 19, i));
        assert_eq!((starts(28), starts(200)), ([0, 1, 18], [0, 10, 180]));
        assert_eq!(test_frame(200, 201, 19, 18), 180);
        // 63 % of the test clips have an interval below ten, so their stacks overlap.
        assert_eq!(test_start(198, 19, 1), 9);
    }

    #[test]
    fn parts_are_equal_and_each_is_drawn_from_as_a_whole() {
        let mut seen = [0; 30];
        for sample in 0..10_000 {
            let mut draws = Draws::new(5, 1, sample);
            for part in 0..3 {
                let start = part_start(30, 3, part, &mut draws) as usize;
                assert_eq!(start / 10, part);
                seen[start] += 1;
            }
        }
        assert!(seen.iter().all(|n| (850..1150).contains(n)), "{seen:?}");
        assert_eq!([0, 1, 2].map(|i| part_middle(30, 3, i)), [5, 15, 25]);
        // TSN: int(tick / 2 + tick * i) with tick = 191 / 25.
        assert_eq!([0, 1, 24].map(|i| part_middle(191, 25, i)), [3, 11, 187]);
    }

    #[test]
    fn stack_starts_are_uniform() {
        let mut seen = [0; 11];
        for sample in 0..11_000 {
            seen[stack_start(20, &mut Draws::new(5, 1, sample)) as usize] += 1;
        }
        assert!(seen.iter().all(|n| (850..1150).contains(n)), "{seen:?}");
    }
}
