//! Codec 2, `zstd`: one independent frame that states its content size; no dictionary, no frame checksum (the record has one).

use super::matches::Finder;
use super::sequences::SequenceEncoder;
use crate::error::{Error, Result};
use std::ops::RangeInclusive;

/// The shortest match that zstd looks for. Fewer sequences are decoded faster.
const MIN_MATCH: u32 = 7;
/// The levels below look for long matches anyway, by other methods.
const LOWEST_LEVEL_TOLD: i32 = 5;
/// The levels at which matches of planes are looked for here. Those below are for haste; those above weigh what each match costs
/// to store, which is worth more bytes than its length.
const OURS: RangeInclusive<i32> = 5..=12;

/// Compresses image after image.
pub(super) struct Compressor {
    library: zstd::bulk::Compressor<'static>,
    /// For planes.
    ours: Option<(Finder, SequenceEncoder)>,
}

pub(super) fn compressor(level: i32) -> Result<Compressor> {
    let fault = |why: String| Error::Usage(format!("zstd level {level}: {why}"));
    let library = zstd::bulk::Compressor::new(level).and_then(|mut compressor| {
        if level >= LOWEST_LEVEL_TOLD {
            compressor.set_parameter(zstd::zstd_safe::CParameter::MinMatch(MIN_MATCH))?;
        }
        Ok(compressor)
    });
    let ours = OURS.contains(&level).then(|| {
        // 16 positions at the default level 9, twice as many at the next.
        Ok((Finder::new(1 << (level - OURS.start())), SequenceEncoder::new(level)?))
    });
    Ok(Compressor { library: library.map_err(|e| fault(e.to_string()))?, ours: ours.transpose().map_err(fault)? })
}

pub(super) fn decompressor() -> Result<zstd::bulk::Decompressor<'static>> {
    zstd::bulk::Decompressor::new().map_err(|e| Error::Usage(format!("no zstd context: {e}")))
}

/// A frame of `pixels`. Of a plane that differs little from row to row few long matches are as small as many short ones, and decode
/// faster by a quarter; colours grow by as much.
pub(super) fn encode(compressor: &mut Compressor, pixels: &[u8], is_plane: bool) -> Result<Vec<u8>> {
    let encoded = match &mut compressor.ours {
        Some((finder, encoder)) if is_plane => {
            finder.sequences(pixels, |sequence| encoder.push(sequence));
            encoder.encode(pixels)
        }
        _ => compressor.library.compress(pixels).map_err(|e| e.to_string()),
    };
    encoded.map_err(|why| Error::Usage(format!("zstd cannot compress {} bytes: {why}", pixels.len())))
}

pub(super) fn decode(
    decompressor: &mut zstd::bulk::Decompressor<'static>,
    bytes: &[u8],
    out: &mut [u8],
) -> Result<(), String> {
    // The library would accept frames of unknown size and several frames in a row; the format has one that states its size.
    match zstd::zstd_safe::get_frame_content_size(bytes) {
        Ok(Some(n)) if n == out.len() as u64 => {}
        Ok(Some(n)) => return Err(format!("zstd frame of {n} bytes where the image has {}", out.len())),
        Ok(None) => return Err("zstd frame that does not state its content size".into()),
        Err(_) => return Err("not a zstd frame".into()),
    }
    if zstd::zstd_safe::find_frame_compressed_size(bytes) != Ok(bytes.len()) {
        return Err("more or less than one whole zstd frame".into());
    }
    match decompressor.decompress_to_buffer(bytes, out) {
        Ok(n) if n == out.len() => Ok(()),
        Ok(n) => Err(format!("zstd frame of {n} bytes where the image has {}", out.len())),
        Err(e) => Err(format!("zstd: {e}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise, what repeats from near and from far, and runs.
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
            // One byte, less than a hash takes, zstd's small blocks, one block, several, more than the window.
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
