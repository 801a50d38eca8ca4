//! Which frames a sample shows: the seed recipe's rules as pure functions. Frames are counted from 0 here; the rules in
//! `docs/recipes.md` count from 1 as the seed did.

use crate::stream::STACK_FRAMES;
use clipshard::order::Draws;

/// Samples of a test clip.
pub const TEST_SAMPLES: usize = 19;
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

/// Distance between the samples of a test clip.
fn test_interval(flow_frames: u32) -> u64 {
    (starts(flow_frames) / TEST_SAMPLES as u64).max(1)
}

/// Frame of test sample `i` of 19.
pub fn test_frame(flow_frames: u32, rgb_frames: u32, i: usize) -> u32 {
    (i as u64 * test_interval(flow_frames)).min(u64::from(rgb_frames) - 1) as u32
}

/// First frame of the stack of test sample `i` of 19.
pub fn test_start(flow_frames: u32, i: usize) -> u32 {
    (i as u64 * test_interval(flow_frames)).min(starts(flow_frames) - 1) as u32
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
                for i in 0..TEST_SAMPLES {
                    assert!(test_frame(flow, rgb, i) < rgb && test_start(flow, i) + 10 <= flow);
                }
            }
        }
    }

    #[test]
    fn test_samples_are_as_far_apart_as_the_seeds() {
        // F = 28: interval 1; F = 200: (200 - 9) / 19 = 10.
        let starts = |f| [0, 1, 18].map(|i| test_start(f, i));
        assert_eq!((starts(28), starts(200)), ([0, 1, 18], [0, 10, 180]));
        assert_eq!(test_frame(200, 201, 18), 180);
        // 63 % of the test clips have an interval below ten, so their stacks overlap.
        assert_eq!(test_start(198, 1), 9);
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
