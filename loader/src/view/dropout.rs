//! Chooses the frames of a view that training replaces by frames without motion.

use clipshard::order::Draws;

/// Returns for each frame of a view whether it is dropped, with the probability `share`. At least one
/// of the `frames` > 0 frames is not.
///
/// Draws the frame that stays if all would be dropped, then one number per frame.
pub(crate) fn dropped(share: f64, frames: usize, mut draws: Draws) -> impl ExactSizeIterator<Item = bool> {
    let stays = draws.below(frames as u64) as usize;
    let mut again = draws.clone();
    let all = (0..frames).all(|_| again.unit() < share);
    (0..frames).map(move |frame| {
        let is_dropped = draws.unit() < share;
        is_dropped && !(all && frame == stays)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped_of(share: f64, frames: usize, sample: u64) -> Vec<bool> {
        dropped(share, frames, Draws::new(5, 2, sample)).collect()
    }

    #[test]
    fn the_share_of_the_frames_is_dropped() {
        let mut counts = [0; 10];
        for sample in 0..10_000 {
            for (count, is_dropped) in counts.iter_mut().zip(dropped_of(0.3, 10, sample)) {
                *count += u32::from(is_dropped);
            }
        }
        // The mean is 3000 per frame. The bounds are five standard deviations away.
        assert!(counts.iter().all(|n| (2771..3229).contains(n)), "{counts:?}");
        assert_eq!(dropped_of(0.0, 10, 1), [false; 10]);
    }

    #[test]
    fn one_frame_stays_and_each_is_as_likely_to_stay() {
        let mut stayed = [0; 4];
        for sample in 0..4000 {
            let dropped = dropped_of(1.0, 4, sample);
            assert_eq!(dropped.iter().filter(|dropped| !**dropped).count(), 1);
            stayed[dropped.iter().position(|dropped| !dropped).unwrap()] += 1;
        }
        assert!(stayed.iter().all(|n| (863..1137).contains(n)), "{stayed:?}");
    }
}
