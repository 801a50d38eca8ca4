//! The rules that choose the frames of a sample, as pure functions.
//!
//! Frames are numbered from 0 here. The rules of the reference run number them from 1.

use crate::split::SplitClip;
use crate::view::MAX_SEGMENTS;
use clipshard::order::Draws;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The rule that chooses the frames of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Sampling {
    /// The rule of the reference run.
    ///
    /// A training sample has one frame from each of three overlapping thirds of the clip, or one
    /// stack from anywhere. Test samples start at frame 0 and have a constant distance, which is a
    /// whole number of frames.
    Seed,
    /// The rule of Temporal Segment Networks (Wang et al. 2016).
    ///
    /// In training, the clip is divided into as many equal parts as a sample has views. Each view
    /// is drawn from its part. In tests, the clip is divided into as many equal parts as it has
    /// samples. Each sample is the middle of its part.
    #[default]
    Segments,
}

impl Sampling {
    /// All values.
    pub const ALL: [Self; 2] = [Self::Seed, Self::Segments];

    /// Returns the name that files and options use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Segments => "segments",
        }
    }

    /// Returns the largest number of views of a training sample.
    pub const fn most_segments(self, frames_of_view: usize) -> usize {
        match (self, frames_of_view) {
            (Self::Seed, 1) => 3,
            (Self::Seed, _) => 1,
            (Self::Segments, _) => MAX_SEGMENTS,
        }
    }

    /// Returns the number of flow frames that a clip needs, also for views of other streams.
    pub(crate) fn fewest_flow_frames(self) -> u32 {
        if self == Self::Seed { STACK } else { 0 }
    }

    /// Draws the first frames of the segments of a training sample. There are `all` possible starts.
    pub(crate) fn train_starts(
        self,
        clip: &SplitClip,
        (frames, all): (u32, u32),
        segments: usize,
        draws: &mut Draws,
    ) -> [u32; MAX_SEGMENTS] {
        let mut starts = [0; MAX_SEGMENTS];
        match (self, frames) {
            (Self::Seed, 1) => starts[..3].copy_from_slice(&segment_frames(clip.flow_frames, clip.frames, draws)),
            (Self::Seed, _) => starts[0] = draws.below(all.into()) as u32,
            (Self::Segments, _) => {
                for (part, start) in starts[..segments].iter_mut().enumerate() {
                    *start = part_start(all, segments, part, draws);
                }
            }
        }
        starts
    }

    /// Returns the first frame of test sample `i` of `samples`. There are `all` possible starts.
    pub(crate) fn test_start(self, clip: &SplitClip, (frames, all): (u32, u32), samples: usize, i: usize) -> u32 {
        match (self, frames) {
            (Self::Seed, 1) => test_frame(clip.flow_frames, clip.frames, samples, i),
            (Self::Seed, _) => test_start(all.into(), samples, i),
            (Self::Segments, _) => part_middle(all, samples, i),
        }
    }
}

impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Number of flow frames per stack of the reference run. Its rules use this number for RGB frames,
/// too.
const STACK: u32 = 10;

/// Returns the number of places at which `frames` consecutive frames can start in a clip of `all`
/// frames.
fn count(all: u32, frames: u32) -> u64 {
    u64::from(all + 1 - frames)
}

/// Draws three frames of a clip, about one from each third.
///
/// As in the reference run, the segments overlap by one frame, and the last one reaches one frame
/// too far. Frames that do not exist are clamped to those that do.
fn segment_frames(flow_frames: u32, rgb_frames: u32, draws: &mut Draws) -> [u32; 3] {
    let n = count(flow_frames, STACK);
    [(1, n / 3), (n / 3, 2 * n / 3), (2 * n / 3, n + 1)].map(|(low, high)| {
        let frame = draws.between(low, high.max(low));
        frame.clamp(1, rgb_frames.into()) as u32 - 1
    })
}

/// Draws a start from part `part` of `parts` equal parts of all `starts`. A part that contains no
/// start returns a start next to it.
fn part_start(starts: u32, parts: usize, part: usize, draws: &mut Draws) -> u32 {
    let (starts, parts, part) = (u64::from(starts), parts as u64, part as u64);
    let (low, high) = (starts * part / parts, starts * (part + 1) / parts);
    draws.between(low, high.max(low + 1) - 1).min(starts - 1) as u32
}

/// Returns the start in the middle of part `i` of `parts` equal parts.
fn part_middle(starts: u32, parts: usize, i: usize) -> u32 {
    (u64::from(starts) * (2 * i as u64 + 1) / (2 * parts as u64)) as u32
}

/// Returns the distance in frames between the `samples` samples of a test clip with `starts`
/// starts.
fn test_interval(starts: u64, samples: usize) -> u64 {
    (starts / samples as u64).max(1)
}

/// Returns the frame of test sample `i` of `samples`.
fn test_frame(flow_frames: u32, rgb_frames: u32, samples: usize, i: usize) -> u32 {
    let interval = test_interval(count(flow_frames, STACK), samples);
    (i as u64 * interval).min(u64::from(rgb_frames) - 1) as u32
}

/// Returns the first frame of the stack of test sample `i` of `samples`.
fn test_start(starts: u64, samples: usize, i: usize) -> u32 {
    (i as u64 * test_interval(starts, samples)).min(starts - 1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack_starts(flow_frames: u32) -> u32 {
        count(flow_frames, 10) as u32
    }

    fn stack_start(flow_frames: u32, draws: &mut Draws) -> u32 {
        let clip = SplitClip { clip: 0, id: String::new(), label: Some(0), frames: flow_frames, flow_frames };
        Sampling::Seed.train_starts(&clip, (10, stack_starts(flow_frames)), 1, draws)[0]
    }

    #[test]
    fn segments_have_the_inclusive_bounds_of_the_reference_run() {
        // 39 flow frames have n = 30 starts. Numbered from 1, the frames are in 1..=10, 10..=20 and
        // 20..=31.
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
                    assert!(test_frame(flow, rgb, 19, i) < rgb && test_start(count(flow, 10), 19, i) + 10 <= flow);
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
    fn test_samples_are_as_far_apart_as_in_the_reference_run() {
        // The interval of 28 frames is 1; that of 200 frames is (200 - 9) / 19 = 10.
        let starts = |f| [0, 1, 18].map(|i| test_start(count(f, 10), 19, i));
        assert_eq!((starts(28), starts(200)), ([0, 1, 18], [0, 10, 180]));
        assert_eq!(test_frame(200, 201, 19, 18), 180);
        // An interval below ten: the stacks overlap.
        assert_eq!(test_start(count(198, 10), 19, 1), 9);
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
