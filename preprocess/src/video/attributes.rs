//! The attributes that a video gives its clip.

use clipshard::Attributes;
use serde_json::Value;

use super::timing::{FrameRate, Timing};

/// Frames per second: a whole number, or rounded to six digits after the decimal point.
pub(crate) const FPS: &str = "fps";
/// The exact frame rate as a fraction, such as `30000/1001`, if [`FPS`] is rounded.
pub(crate) const FPS_FRACTION: &str = "fps_fraction";
/// `true` if the distances between frames vary, so that [`FPS`] is an average.
pub(crate) const VARIABLE_FPS: &str = "variable_fps";
/// Number of stored frames, divided by [`FPS`].
pub(crate) const DURATION: &str = "duration_seconds";
/// Width of the decoded frames in pixels, before they are resized.
pub(crate) const WIDTH: &str = "width";
/// Height of the decoded frames in pixels, before they are resized.
pub(crate) const HEIGHT: &str = "height";

/// All of these keys, in the order in which they are added to a clip.
pub(crate) const MEASURED: [&str; 6] = [FPS, FPS_FRACTION, VARIABLE_FPS, DURATION, WIDTH, HEIGHT];

/// Returns the attributes of a video with `frames` decoded frames. `size` is their width and height,
/// if it is known.
pub(super) fn measured(timing: Option<&Timing>, frames: u32, size: Option<(u16, u16)>) -> Attributes {
    let mut attributes = Attributes::new();
    if let Some(FrameRate { fps, fraction, is_variable }) = timing.and_then(|timing| timing.rate(frames)) {
        attributes.set(FPS, rounded(fps));
        if let Some(fraction) = fraction.filter(|fraction| !fraction.is_short_decimal()) {
            attributes.set(FPS_FRACTION, fraction.to_string());
        }
        if is_variable {
            attributes.set(VARIABLE_FPS, true);
        }
        attributes.set(DURATION, rounded(f64::from(frames) / fps));
    }
    if let Some((width, height)) = size {
        attributes.set(WIDTH, width);
        attributes.set(HEIGHT, height);
    }
    attributes
}

/// Rounds a positive number to six digits after the decimal point.
fn rounded(number: f64) -> Value {
    let millionths = (number * 1e6).round();
    if millionths % 1e6 == 0.0 && millionths < 1e15 {
        Value::from((millionths / 1e6) as u64)
    } else {
        Value::from(millionths / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (number, text) in [
            (25.0, "25"),
            (12.5, "12.5"),
            (30_000.0 / 1001.0, "29.97003"),
            (24_000.0 / 1001.0, "23.976024"),
            (164.0 * 1001.0 / 30_000.0, "5.472133"),
            (0.1 + 0.2, "0.3"),
            (10.000_000_4, "10"),
        ] {
            assert_eq!(rounded(number).to_string(), text);
        }
    }

    #[test]
    fn a_video_without_timestamps_has_a_size() {
        assert!(measured(None, 20, None).is_empty());
        assert_eq!(measured(None, 20, Some((96, 64))).as_json(), r#"{"width":96,"height":64}"#);
    }
}
