//! Which clip goes into which shard, decided from frame counts and nominal sizes before anything is encoded.
//!
//! Boundaries therefore do not depend on what encoding gives, on the number of jobs, or on clips that turn out to be
//! damaged: a shard that loses a clip keeps the others, and its neighbours stay as they are.

use clipshard::Codec;

use crate::encode::{Geometry, StreamOptions};
use crate::stream::StreamKind;

/// Bytes of an index entry.
const INDEX_BYTES: u64 = 32;
/// Pixels of a usual image: 342x256.
const USUAL_PIXELS: u64 = 342 * 256;

/// The shards of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPlan {
    /// For each clip the number of its shard; never falls.
    pub shard_of: Vec<u32>,
    /// Estimated size of all shards.
    pub nominal_bytes: u64,
}

/// Bytes that a record is expected to take: measured averages over real clips of UCF101 (see the design notes),
/// scaled by the number of pixels.
pub fn nominal_record_bytes(kind: StreamKind, options: &StreamOptions) -> u64 {
    let pixels = match options.geometry {
        Geometry::Source => USUAL_PIXELS,
        Geometry::Square(side) => u64::from(side) * u64::from(side),
        Geometry::ShortSide(side) => u64::from(side) * u64::from(side) * 4 / 3,
    };
    let bytes_per_1000_pixels = match (kind, options.codec) {
        (StreamKind::Rgb, Codec::Jpeg) => 160,
        (StreamKind::Rgb, Codec::Zstd) => 810,
        (StreamKind::Rgb, Codec::Lz4) => 1_100,
        (StreamKind::Rgb, Codec::Raw) => 3_000,
        (StreamKind::Flow, Codec::Jpeg) => 45,
        (StreamKind::Flow, Codec::Zstd) => 60,
        (StreamKind::Flow, Codec::Lz4) => 75,
        (StreamKind::Flow, Codec::Raw) => 1_000,
    };
    INDEX_BYTES + (pixels * bytes_per_1000_pixels).div_ceil(1000)
}

/// Nominal bytes of a clip in one stream.
pub fn nominal_clip_bytes(kind: StreamKind, options: &StreamOptions, frames: u32) -> u64 {
    u64::from(frames) * u64::from(kind.planes()) * nominal_record_bytes(kind, options)
}

/// Assigns clips in their order: a shard is closed before the clip that would make it larger than `shard_bytes`.
/// A clip is never divided, so a shard holds at least one.
pub fn assign(clip_bytes: impl IntoIterator<Item = u64>, shard_bytes: u64) -> StreamPlan {
    let mut plan = StreamPlan { shard_of: Vec::new(), nominal_bytes: 0 };
    let (mut shard, mut filled) = (0, 0);
    for bytes in clip_bytes {
        if filled > 0 && filled + bytes > shard_bytes {
            shard += 1;
            filled = 0;
        }
        filled += bytes;
        plan.nominal_bytes += bytes;
        plan.shard_of.push(shard);
    }
    plan
}

/// File name of a shard.
pub fn shard_file(kind: StreamKind, number: u32) -> String {
    format!("{}-{number:05}.clipshard", kind.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_close_before_they_grow_too_large() {
        let plan = assign([40, 40, 30, 200, 10, 10], 100);
        assert_eq!(plan.shard_of, [0, 0, 1, 2, 3, 3]);
        assert_eq!(plan.nominal_bytes, 330);
        assert_eq!(assign([0, 0, 5], 1).shard_of, [0, 0, 0]);
    }

    #[test]
    fn nominal_sizes_are_near_the_measured_ones() {
        let bytes = |kind, codec, geometry| {
            nominal_record_bytes(kind, &StreamOptions { codec, filter: clipshard::Filter::Up, level: 9, geometry })
        };
        assert_eq!(bytes(StreamKind::Rgb, Codec::Jpeg, Geometry::Source), 14_041);
        assert_eq!(bytes(StreamKind::Flow, Codec::Zstd, Geometry::Square(224)), 3_043);
        assert_eq!(bytes(StreamKind::Flow, Codec::Raw, Geometry::Square(224)), 50_208);
    }

    #[test]
    fn shard_names_sort_in_order() {
        assert_eq!(shard_file(StreamKind::Flow, 7), "flow-00007.clipshard");
    }
}
