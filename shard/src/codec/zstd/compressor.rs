//! Compresses records to zstd frames.

use super::matches::Finder;
use super::sequences::SequenceEncoder;
use crate::error::{Error, Result};
use std::ops::RangeInclusive;

/// Length of the shortest match that zstd looks for. Fewer, longer matches decode faster.
const MIN_MATCH: u32 = 7;
/// The lowest level at which [`MIN_MATCH`] is set. Lower levels look for long matches anyway.
const LOWEST_LEVEL_SET: i32 = 5;
/// The levels at which [`Finder`] looks for the matches of planes instead of zstd.
///
/// Lower levels are for speed. Higher levels of zstd weigh the cost of storing each match, which
/// saves more bytes.
const OURS: RangeInclusive<i32> = 5..=12;

/// A compressor of one image after the other.
pub(in crate::codec) struct Compressor {
    library: zstd::bulk::Compressor<'static>,
    /// The match finder of this crate, used for planes.
    ours: Option<(Finder, SequenceEncoder)>,
}

/// Creates a compressor for a level.
pub(in crate::codec) fn compressor(level: i32) -> Result<Compressor> {
    let fault = |why: String| Error::Usage(format!("zstd level {level}: {why}"));
    let library = zstd::bulk::Compressor::new(level).and_then(|mut compressor| {
        if level >= LOWEST_LEVEL_SET {
            compressor.set_parameter(zstd::zstd_safe::CParameter::MinMatch(MIN_MATCH))?;
        }
        Ok(compressor)
    });
    let ours = OURS.contains(&level).then(|| {
        // The depth is 16 at the default level 9, and doubles with each level.
        Ok((Finder::new(1 << (level - OURS.start())), SequenceEncoder::new(level)?))
    });
    Ok(Compressor { library: library.map_err(|e| fault(e.to_string()))?, ours: ours.transpose().map_err(fault)? })
}

/// Compresses `pixels` to one frame.
///
/// In a plane with small differences between rows, few long matches take as few bytes as many short
/// ones, and decode faster. Colour images would grow, so they use the matches that zstd finds.
pub(in crate::codec) fn encode(compressor: &mut Compressor, pixels: &[u8], is_plane: bool) -> Result<Vec<u8>> {
    let encoded = match &mut compressor.ours {
        Some((finder, encoder)) if is_plane => {
            finder.sequences(pixels, |sequence| encoder.push(sequence));
            encoder.encode(pixels)
        }
        _ => compressor.library.compress(pixels).map_err(|e| e.to_string()),
    };
    encoded.map_err(|why| Error::Usage(format!("zstd cannot compress {} bytes: {why}", pixels.len())))
}

#[cfg(test)]
mod tests {
    use super::super::{decode, decompressor};
    use super::*;

    /// Returns bytes with noise, with near and far repetitions, and with runs.
    fn plane(len: usize) -> Vec<u8> {
        let pixel = |i: usize| match i / 700 % 4 {
            0 => (i.wrapping_mul(2_654_435_761) >> 13) as u8,
            1 => (i % 37) as u8,
            2 => 0,
            _ => (i % 700 * (i / 90_000 + 1)) as u8,
        };
        (0..len).map(pixel).collect()
    }

    #[test]
    fn planes_of_all_sizes_come_back_from_matches_found_here() {
        for level in OURS {
            let mut compressor = compressor(level).unwrap();
            // The lengths: one byte, less than a hash needs, small blocks of zstd, one block,
            // several blocks, and more than the window.
            for len in [1, 7, 16, 900, 50_176, 140_000, 600_001] {
                let pixels = plane(len);
                let frame = encode(&mut compressor, &pixels, true).unwrap();
                let mut out = vec![1; len];
                decode(&mut decompressor().unwrap(), &frame, &mut out).unwrap();
                assert!(out == pixels, "level {level}, {len} bytes");
                assert!(frame.len() < len / 2 + 20 || len < 1000, "level {level}: {} of {len} bytes", frame.len());
            }
        }
    }

    #[test]
    fn the_same_compressor_gives_the_same_frames_again() {
        let (first, second) = (plane(50_176), plane(20_000));
        let mut used = compressor(9).unwrap();
        let mut frames = |pixels: &[u8]| encode(&mut used, pixels, true).unwrap();
        let before = frames(&first);
        frames(&second);
        assert!(before == frames(&first) && before == encode(&mut compressor(9).unwrap(), &first, true).unwrap());
    }
}
