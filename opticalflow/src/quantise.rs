//! Quantises flow to bytes, the input of two-stream networks.
//!
//! The tools `dense_flow`, `gpu_flow` and `denseflow` clip motions to +-20 pixels and write
//! `round(255 * (v + 20) / 40)`. They round with OpenCV's `cvRound`, which rounds halves to even.
//! No motion is 127.5 and becomes 128.

/// Largest motion in pixels. Larger motions are clipped to it.
pub const BOUND: f32 = 20.0;
/// The byte that means no motion.
pub const NO_MOTION: u8 = 128;

/// Quantises one component of a motion, in pixels, to a byte. NaN becomes [`NO_MOTION`].
///
/// # Example
///
/// ```
/// use clip_flow::{NO_MOTION, quantise_value};
///
/// assert_eq!([-20.0, 0.0, 20.0].map(quantise_value), [0, NO_MOTION, 255]);
/// ```
pub fn quantise_value(motion: f32) -> u8 {
    if motion.is_nan() {
        return NO_MOTION;
    }
    // `dense_flow` computes `255 * (v - low) / (high - low)` in double precision.
    let clipped = f64::from(motion.clamp(-BOUND, BOUND));
    (255.0 * (clipped + f64::from(BOUND)) / f64::from(2.0 * BOUND)).round_ties_even() as u8
}

/// Quantises one component of a field. Replaces the content of `bytes`.
///
/// # Example
///
/// ```
/// let mut bytes = Vec::new();
/// clip_flow::quantise(&[0.0, 1.0, -1.0], &mut bytes);
/// assert_eq!(bytes, [128, 134, 121]);
/// ```
pub fn quantise(motions: &[f32], bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.extend(motions.iter().map(|&motion| quantise_value(motion)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_macro_in_dense_flow() {
        // Expected: (v - low) * 255 / (high - low), rounded half to even.
        for (motion, byte) in [
            (0.0, 128),
            (-0.0, 128),
            (20.0, 255),
            (-20.0, 0),
            (1000.0, 255),
            (-1000.0, 0),
            (f32::INFINITY, 255),
            (f32::NAN, 128),
            // 127.5 + 6.375 = 133.875
            (1.0, 134),
            // 127.5 - 6.375 = 121.125
            (-1.0, 121),
            // Halves: 16 * 6.375 = 102 exactly, which gives 229.5 and 25.5.
            (16.0, 230),
            (-16.0, 26),
        ] {
            assert_eq!(quantise_value(motion), byte, "{motion}");
        }
        assert_eq!(quantise_value(0.0), NO_MOTION);
    }

    #[test]
    fn a_step_is_40_255ths_of_a_pixel() {
        let mut bytes = vec![9; 3];
        let motions: Vec<f32> = (0..=255).map(|byte| (f64::from(byte) * 40.0 / 255.0 - 20.0) as f32).collect();
        quantise(&motions, &mut bytes);
        assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
    }
}
