//! The description of a stream in `build` of a manifest: makes it for a recoded stream, and reads
//! the options back.

use clipshard::{Codec, Filter};
use serde_json::{Value, json};

use crate::stored::{Geometry, StreamOptions};

/// The keys that depend on the codec alone.
const CODEC_KEYS: [&str; 4] = ["codec", "encoder", "level", "filter"];
/// The key of the earlier description, if the pixels depend on it.
const EARLIER: &str = "recoded_from";

/// Returns the description of a stream that was stored with `new` options after it had the
/// description `earlier`. `was_jpeg` tells whether some of its records were JPEG files.
///
/// If packing the source with the new options gives the same pixels, the description is that of
/// such a build. Otherwise the earlier description is part of the new one.
pub(super) fn recoded(earlier: Option<&Value>, was_jpeg: bool, new: &StreamOptions) -> Value {
    let mut described = new.describe();
    let Some(members) = described.as_object_mut() else { return described };
    if !was_jpeg {
        members.remove("jpeg_decoder");
    }
    let Some(earlier) = earlier else { return described };
    if was_jpeg && is_source_files(earlier) {
        return described;
    }
    match earlier.as_object() {
        Some(before) if !was_jpeg && new.geometry == Geometry::Source => {
            let mut merged = before.clone();
            for key in CODEC_KEYS {
                match members.remove(key) {
                    Some(value) => drop(merged.insert(key.to_owned(), value)),
                    None => drop(merged.remove(key)),
                }
            }
            Value::Object(merged)
        }
        _ => {
            members.insert(EARLIER.to_owned(), earlier.clone());
            described
        }
    }
}

/// Returns whether a description is that of unchanged JPEG files of a frame tree.
fn is_source_files(described: &Value) -> bool {
    *described == json!({ "codec": Codec::Jpeg.name(), "size": Geometry::Source.describe() })
}

/// Returns whether the pixels of a stream were decoded and stored again.
pub(super) fn is_recoded(described: &Value) -> bool {
    described.get(EARLIER).is_some()
}

/// Reads the options of a stream from its description. Returns `None` if it has other members than
/// a build writes.
pub(super) fn options(described: &Value) -> Option<StreamOptions> {
    let text = |key: &str| described.get(key).and_then(Value::as_str);
    let codecs = [Codec::Raw, Codec::Jpeg, Codec::Zstd, Codec::Lz4];
    let codec = codecs.into_iter().find(|codec| text("codec") == Some(codec.name()))?;
    let geometry = match text("size")? {
        "source" => Geometry::Source,
        size => match size.strip_prefix("short side ") {
            Some(side) => Geometry::ShortSide(side.parse().ok()?),
            None => Geometry::Square(size.split_once('x')?.0.parse().ok()?),
        },
    };
    let filter = match text("filter") {
        None => Filter::None,
        Some(name) => (0..=u8::MAX).find_map(|byte| Filter::from_byte(byte).filter(|filter| filter.name() == name))?,
    };
    let level = described.get("level").and_then(Value::as_i64).map_or(Some(0), |level| i32::try_from(level).ok())?;
    let options = StreamOptions { codec, filter, level, geometry };
    let is_empty = matches!(geometry, Geometry::Square(0) | Geometry::ShortSide(0));
    (!is_empty && options.geometry.describe() == text("size")?).then_some(options)
}

/// Returns the shorter side of the frames that were decoded from videos.
pub(super) fn short_side(described: &Value) -> Option<u16> {
    described.get("frames")?.as_str()?.strip_prefix("short side ")?.split(',').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(codec: Codec, filter: Filter, level: i32, geometry: Geometry) -> StreamOptions {
        StreamOptions { codec, filter, level, geometry }
    }

    #[test]
    fn options_come_back_from_their_description() {
        for geometry in [Geometry::Source, Geometry::Square(224), Geometry::ShortSide(128)] {
            for (codec, filter, level) in [
                (Codec::Zstd, Filter::Up, 9),
                (Codec::Zstd, Filter::None, 22),
                (Codec::Lz4, Filter::UpShuffle, 1),
                (Codec::Raw, Filter::None, 0),
                (Codec::Jpeg, Filter::None, 0),
            ] {
                let wanted = stored(codec, filter, level, geometry);
                assert_eq!(options(&wanted.describe()), Some(wanted));
            }
        }
        for broken in [
            json!({}),
            json!({"codec": "webp", "size": "source"}),
            json!({"codec": "raw", "size": "2x3"}),
            json!({"codec": "raw", "size": "0x0"}),
            json!({"codec": "raw", "size": "short side 0"}),
            json!({"codec": "zstd", "size": "source", "level": 9, "filter": "paeth"}),
        ] {
            assert_eq!(options(&broken), None, "{broken}");
        }
        assert_eq!(short_side(&json!({"frames": "short side 256, bilinear"})), Some(256));
    }

    #[test]
    fn a_stream_that_could_be_packed_like_this_is_described_like_a_build() {
        let (zstd, lz4) = (
            stored(Codec::Zstd, Filter::Up, 9, Geometry::Square(28)),
            stored(Codec::Lz4, Filter::None, 3, Geometry::Source),
        );
        let wanted = StreamOptions { geometry: Geometry::Square(28), ..lz4 }.describe();
        assert_eq!(recoded(Some(&zstd.describe()), false, &lz4), wanted);
        let raw = stored(Codec::Raw, Filter::None, 9, Geometry::Source);
        let of_raw = recoded(Some(&zstd.describe()), false, &raw);
        assert_eq!(of_raw, StreamOptions { geometry: Geometry::Square(28), ..raw }.describe());
        let jpeg = stored(Codec::Jpeg, Filter::None, 0, Geometry::Source).describe();
        assert_eq!(recoded(Some(&jpeg), true, &zstd), zstd.describe());
    }

    #[test]
    fn other_streams_keep_their_earlier_description() {
        let small = stored(Codec::Zstd, Filter::Up, 9, Geometry::Square(28));
        let earlier = stored(Codec::Zstd, Filter::Up, 9, Geometry::Square(224)).describe();
        let twice = recoded(Some(&earlier), false, &small);
        assert_eq!((&twice["recoded_from"], &twice["size"]), (&earlier, &json!("28x28")));
        assert!(is_recoded(&twice) && twice.get("jpeg_decoder").is_none() && twice["resize"].is_string());
        // Frames of videos went through a lossy encoder.
        let of_video = json!({"codec": "jpeg", "size": "short side 256", "quality": 90});
        let pixels = recoded(Some(&of_video), true, &StreamOptions { geometry: Geometry::Source, ..small });
        assert_eq!(pixels["recoded_from"], of_video);
        assert!(pixels["jpeg_decoder"].is_string());
        assert_eq!(recoded(None, false, &small)["codec"], "zstd");
    }
}
