//! Flow as bytes, the input of two-stream networks since 2014.
//!
//! `dense_flow`, `gpu_flow` and `denseflow` write `round(255 * (v + 20) / 40)` of motions clipped to +-20 pixels with OpenCV's
//! `cvRound`, which rounds halves to even: no motion is 127.5 and so becomes 128.

/// Motions beyond this many pixels are clipped.
pub const BOUND: f32 = 20.0;
/// The byte of no motion.
pub const NO_MOTION: u8 = 128;

/// Returns one component of a motion, in pixels, as a byte. NaN counts as no motion.
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
    // In f64, as C computes `255 * (v - low) / (high - low)` where the bounds are doubles.
    let clipped = f64::from(motion.clamp(-BOUND, BOUND));
    (255.0 * (clipped + f64::from(BOUND)) / f64::from(2.0 * BOUND)).round_ties_even() as u8
}

/// Quantises one component of a field into `bytes`, whose former content is lost.
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
        // (v - low) * 255 / (high - low), rounded half to even, by hand.
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
            // Half-way values: 16 * 6.375 = 102 exactly, so 229.5 and 25.5.
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
