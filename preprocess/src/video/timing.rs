//! The frame rate of a video, from the timestamps in its container.
//!
//! A container states rates, but they can be guesses of ffprobe. A rate counts only if it agrees
//! with the timestamps and with the number of frames. Otherwise the rate is measured.

use std::fmt;

/// Number of timestamps whose distances are compared. A longer video is judged by its start.
const COMPARED: usize = 1 << 16;
/// Number of timestamps at the end of that start that are not compared, because frames that are
/// stored later may lie between them.
const REORDERED: usize = 64;
/// Largest difference between timestamps and a stated rate, in frames.
const LARGEST_ERROR: f64 = 0.5;

/// A positive fraction, such as the frame rate 30000/1001.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fraction {
    numerator: u32,
    denominator: u32,
}

impl Fraction {
    /// Parses a fraction as ffprobe writes it. Returns `None` for `0/0`, which means unknown.
    pub fn parse(text: &str) -> Option<Self> {
        let (numerator, denominator) = text.split_once('/')?;
        let (numerator, denominator) = (numerator.parse::<u32>().ok()?, denominator.parse::<u32>().ok()?);
        if numerator == 0 || denominator == 0 {
            return None;
        }
        let divisor = gcd(numerator, denominator);
        Some(Self { numerator: numerator / divisor, denominator: denominator / divisor })
    }

    /// Returns the nearest number.
    pub fn value(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }

    /// Returns whether six digits after the decimal point suffice to write the fraction.
    pub fn is_short_decimal(self) -> bool {
        1_000_000 % self.denominator == 0
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The rate of the stored frames.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FrameRate {
    /// Frames per second: exact, or the average if the distances between frames vary.
    pub fps: f64,
    /// The exact rate, if the file states one that fits.
    pub fraction: Option<Fraction>,
    /// Whether the distances between frames vary.
    pub is_variable: bool,
}

/// The timestamps of a video, summarised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timing {
    /// Number of packets that may contain a shown frame.
    packets: u32,
    /// Time from the first frame to the last one, in ticks.
    span: u64,
    /// Seconds per tick.
    tick: Fraction,
    /// Rates that the container states, the most likely one first.
    stated: [Option<Fraction>; 2],
    /// Number of frames with an unusual distance to the next one.
    irregular: u32,
}

impl Timing {
    /// Summarises timestamps. Returns `None` if they cannot give a rate.
    pub fn new(stamps: Stamps, tick: Fraction, stated: [Option<Fraction>; 2]) -> Option<Self> {
        let (first, last) = stamps.ends?;
        let span = last.abs_diff(first);
        let (packets, irregular) = (stamps.count, stamps.irregular());
        (packets > 1 && span > 0).then_some(Self { packets, span, tick, stated, irregular })
    }

    /// Returns the rate of the frames. `decoded` is the number of decoded frames.
    ///
    /// Fewer frames than packets mean that some packets have no frame of their own, or that the
    /// first frames cannot be decoded. In the first case the stated rate fits to the frames, in the
    /// second to the packets.
    pub fn rate(&self, decoded: u32) -> Option<FrameRate> {
        let hidden = self.packets.saturating_sub(decoded);
        let is_variable = self.irregular > 2 * hidden;
        let fitting = |frames: u32| {
            let stated = self.stated.into_iter().flatten();
            // ffprobe may state 30000/1001 and, after rounding, 19001/634.
            stated.filter(|&rate| self.fits(frames, rate)).min_by_key(|rate| rate.denominator)
        };
        let stated = fitting(decoded).or_else(|| if hidden > 0 { fitting(self.packets) } else { None });
        let measured = || f64::from(decoded.saturating_sub(1)) / self.seconds();
        let fps = stated.map_or_else(measured, Fraction::value);
        let fraction = stated.filter(|_| !is_variable);
        (fps > 0.0 && fps.is_finite()).then_some(FrameRate { fps, fraction, is_variable })
    }

    /// Returns the time from the first frame to the last one in seconds.
    fn seconds(&self) -> f64 {
        self.span as f64 * self.tick.value()
    }

    /// Returns whether `frames` frames at a rate have these timestamps.
    fn fits(&self, frames: u32, rate: Fraction) -> bool {
        // Rounding to ticks moves a timestamp, and so does the clock of a camera.
        let allowed = (0.1 + self.tick.value() * rate.value()).min(LARGEST_ERROR);
        (f64::from(frames) - 1.0 - self.seconds() * rate.value()).abs() <= allowed
    }
}

/// Collects timestamps in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    count: u32,
    ends: Option<(i64, i64)>,
    /// The first timestamps, at most [`COMPARED`].
    start: Vec<i64>,
}

impl Stamps {
    /// Adds the timestamp of a packet, in ticks.
    pub fn add(&mut self, stamp: i64) {
        self.count = self.count.saturating_add(1);
        let (first, last) = self.ends.unwrap_or((stamp, stamp));
        self.ends = Some((first.min(stamp), last.max(stamp)));
        if self.start.len() < COMPARED {
            self.start.push(stamp);
        }
    }

    /// Returns the number of timestamps.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Returns the number of frames whose distance to the next one differs from the usual one by
    /// more than a tenth and more than rounding explains.
    fn irregular(mut self) -> u32 {
        self.start.sort_unstable();
        if self.start.len() == COMPARED {
            self.start.truncate(COMPARED - REORDERED);
        }
        let distances: Vec<u64> = self.start.windows(2).map(|pair| pair[1].abs_diff(pair[0])).collect();
        let mut sorted = distances.clone();
        sorted.sort_unstable();
        let Some(&usual) = sorted.get(sorted.len() / 2) else { return 0 };
        let allowed = (usual / 10).max(u64::from(usual > 2));
        distances.iter().filter(|distance| distance.abs_diff(usual) > allowed).count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fraction(text: &str) -> Fraction {
        Fraction::parse(text).unwrap()
    }

    fn timing(stamps: impl IntoIterator<Item = i64>, tick: &str, stated: [&str; 2]) -> Timing {
        let mut collected = Stamps::default();
        for stamp in stamps {
            collected.add(stamp);
        }
        Timing::new(collected, fraction(tick), stated.map(Fraction::parse)).unwrap()
    }

    #[test]
    fn fractions_are_reduced_and_unknown_ones_refused() {
        assert_eq!(fraction("50/2").to_string(), "25/1");
        assert_eq!(fraction("60000/2002").to_string(), "30000/1001");
        for text in ["0/0", "25/0", "0/1", "25", "", "-25/1", "99999999999/1"] {
            assert_eq!(Fraction::parse(text), None, "{text}");
        }
        assert!(fraction("25/2").is_short_decimal() && fraction("25/1").is_short_decimal());
        assert!(!fraction("30000/1001").is_short_decimal());
    }

    #[test]
    fn a_stated_rate_that_fits_is_exact() {
        // Matroska rounds timestamps to milliseconds, and B-frames change their order.
        let rounded = [0, 100, 33, 67, 133, 234, 167, 200, 267, 300, 334, 367];
        let rate = timing(rounded, "1/1000", ["30000/1001", "30000/1001"]).rate(12).unwrap();
        assert_eq!(rate.fraction, Some(fraction("30000/1001")));
        assert!(!rate.is_variable && (rate.fps - 29.97003).abs() < 1e-6, "{rate:?}");
        // The simpler one of two fitting rates is the intended one.
        let rate = timing(rounded, "1/1000", ["19001/634", "30000/1001"]).rate(12).unwrap();
        assert_eq!(rate.fraction, Some(fraction("19001/634")));
        let rate = timing(rounded, "1/1000", ["190010/6340", "30/1"]).rate(12).unwrap();
        assert_eq!(rate.fraction, Some(fraction("30/1")));
    }

    #[test]
    fn a_rate_that_does_not_fit_is_measured() {
        let rate = timing((0..100).map(|n| n * 80), "1/1000", ["25/1", "1000/1"]).rate(100).unwrap();
        assert_eq!(rate, FrameRate { fps: 12.5, fraction: None, is_variable: false });
    }

    #[test]
    fn gaps_make_the_rate_an_average() {
        // An AVI file leaves places for dropped frames: 49 distances, but 43 frames.
        let stamps = (0..50).filter(|n| n % 7 != 3);
        let rate = timing(stamps, "1/25", ["25/1", "25/1"]).rate(43).unwrap();
        assert_eq!(rate, FrameRate { fps: 42.0 / (49.0 * (1.0 / 25.0)), fraction: None, is_variable: true });
        // MP4 files state an average that counts the last frame, too. The result is the same.
        let stamps = (0..50).filter(|n| n % 7 != 3).map(|n| n * 512);
        let in_mp4 = timing(stamps, "1/12800", ["43/2", "25/1"]).rate(43).unwrap();
        assert!((in_mp4.fps - rate.fps).abs() < 1e-9 && in_mp4.is_variable, "{in_mp4:?}");
    }

    #[test]
    fn packets_without_a_frame_do_not_change_the_rate() {
        // VP8 stores hidden frames as packets with the time of the next frame.
        let stamps = (0..120).flat_map(|n| if n % 20 == 1 { vec![n * 40, n * 40] } else { vec![n * 40] });
        let rate = timing(stamps, "1/1000", ["25/1", "25/1"]).rate(120).unwrap();
        assert_eq!(rate, FrameRate { fps: 25.0, fraction: Some(fraction("25/1")), is_variable: false });
        // A cut between key frames loses the first frames.
        let rate = timing(0..100, "1/25", ["25/1", "25/1"]).rate(88).unwrap();
        assert_eq!(rate, FrameRate { fps: 25.0, fraction: Some(fraction("25/1")), is_variable: false });
    }

    #[test]
    fn timestamps_without_a_distance_give_no_rate() {
        for stamps in [vec![], vec![5], vec![5, 5]] {
            let mut collected = Stamps::default();
            for stamp in stamps {
                collected.add(stamp);
            }
            assert_eq!(Timing::new(collected, fraction("1/25"), [None, None]), None);
        }
        // Extreme numbers of a hostile file do not overflow.
        let rate = timing([i64::MIN, i64::MAX, 0], "1/25", ["25/1", "4294967295/1"]).rate(3).unwrap();
        assert!(rate.fps > 0.0 && rate.fps < 1e-15 && !rate.is_variable, "{rate:?}");
    }

    #[test]
    fn a_long_video_is_judged_by_its_start() {
        let stamps = (0..200_001_i64).map(|n| {
            if n % 3 == 1 {
                n * 40 + 40
            } else if n % 3 == 2 {
                n * 40 - 40
            } else {
                n * 40
            }
        });
        let timing = timing(stamps, "1/1000", ["25/1", "25/1"]);
        assert_eq!(timing.irregular, 0);
        assert_eq!(timing.rate(200_001).unwrap().fraction, Some(fraction("25/1")));
    }
}
