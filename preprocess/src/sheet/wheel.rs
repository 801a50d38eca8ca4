//! Flow as colours: the hue is the direction, the saturation is the speed, and white is no motion.

use crate::synth::hsl;

/// Level of no motion: the middle of 0..=255 is 127.5, which is rounded up.
const NO_MOTION: f32 = 128.0;

/// Returns the colour of a motion. Length 1 has the full colour. Right is red, down is
/// yellow-green, left is cyan, and up is violet.
///
/// ```
/// use ucfpack::sheet::colour;
///
/// assert_eq!(colour(1.0, 0.0), [255, 0, 0]);
/// assert_eq!(colour(0.0, 0.0), [255, 255, 255]);
/// ```
pub fn colour(dx: f32, dy: f32) -> [u8; 3] {
    let saturation = dx.hypot(dy).min(1.0);
    let hue = dy.atan2(dx) / std::f32::consts::TAU;
    // The lightness falls from 1 (white) to one half (the pure hue).
    hsl(hue, 1.0, 1.0 - 0.5 * saturation).map(|c| (c * 255.0).round() as u8)
}

/// Converts flow planes of grey levels to RGB. A motion of `scale` levels has the full colour.
pub(super) fn colour_field(x: &[u8], y: &[u8], scale: f32) -> Vec<u8> {
    x.iter()
        .zip(y)
        .flat_map(|(&x, &y)| colour((f32::from(x) - NO_MOTION) / scale, (f32::from(y) - NO_MOTION) / scale))
        .collect()
}

/// Returns the speed in levels that 2 % of the pixels exceed.
pub(super) fn scale(fields: &[(Vec<u8>, Vec<u8>)]) -> f32 {
    let mut histogram = [0_u64; 182];
    for (x, y) in fields {
        for (&x, &y) in x.iter().zip(y) {
            let speed = (f32::from(x) - NO_MOTION).hypot(f32::from(y) - NO_MOTION);
            histogram[speed as usize] += 1;
        }
    }
    let total: u64 = histogram.iter().sum();
    let mut above = 0;
    for (speed, count) in histogram.iter().enumerate().rev() {
        above += count;
        if above * 50 > total {
            return speed as f32 + 1.0;
        }
    }
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hue_is_the_direction_and_white_no_motion() {
        assert_eq!(colour(0.0, 0.0), [255, 255, 255]);
        assert_eq!(colour(1.0, 0.0), [255, 0, 0]);
        assert_eq!(colour(-1.0, 0.0), [0, 255, 255]);
        assert_eq!(colour(0.5, 0.0), [255, 128, 128]);
        // Down is a quarter of the circle: halfway between yellow and green.
        assert_eq!(colour(0.0, 1.0), [128, 255, 0]);
        assert_eq!(colour_field(&[128, 148], &[128, 128], 20.0), [255, 255, 255, 255, 0, 0]);
    }

    #[test]
    fn the_scale_is_what_one_in_fifty_exceeds() {
        let mut x = vec![128; 100];
        x[..3].fill(138);
        assert!((scale(&[(x, vec![128; 100])]) - 11.0).abs() < 1e-6);
        assert!((scale(&[(vec![0; 10], vec![0; 10])]) - 182.0).abs() < 1e-6);
    }
}
