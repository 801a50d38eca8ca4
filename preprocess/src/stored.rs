//! How images are stored: their size, their codec, and how much is checked of files that are kept as they are.

use clipshard::{Codec, Filter};
use serde_json::{Value, json};

use crate::versions;

/// The size that images are stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Geometry {
    /// As found.
    Source,
    /// Squashed to a square of this side, as the network takes it.
    Square(u16),
    /// The shorter side resized to this, the aspect ratio kept.
    ShortSide(u16),
}

impl Geometry {
    /// As written in manifests: `source`, `224x224`, `short side 256`.
    pub fn describe(self) -> String {
        match self {
            Self::Source => "source".into(),
            Self::Square(side) => format!("{side}x{side}"),
            Self::ShortSide(side) => format!("short side {side}"),
        }
    }

    /// Stored width and height of an image of `width` x `height`.
    pub(crate) fn extent(self, width: u16, height: u16) -> (u16, u16) {
        match self {
            Self::Source => (width, height),
            Self::Square(side) => (side, side),
            Self::ShortSide(side) => {
                let short = u32::from(width.min(height));
                // Rounded to nearest, halves up, in integers.
                let long = |n: u16| {
                    let scaled = (2 * u64::from(n) * u64::from(side) + u64::from(short)) / (2 * u64::from(short));
                    scaled.min(u64::from(u16::MAX)) as u16
                };
                (long(width), long(height))
            }
        }
    }
}

/// How one stream is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamOptions {
    /// `jpeg` keeps the source bytes.
    pub codec: Codec,
    /// Ignored for `jpeg` and `raw`.
    pub filter: Filter,
    /// zstd 1 to 22, LZ4-HC 1 to 12; ignored for `jpeg` and `raw`.
    pub level: i32,
    /// `Source` for `jpeg`.
    pub geometry: Geometry,
}

/// How much is checked of a JPEG that is stored as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check {
    /// Markers, size, components and the end marker.
    Header,
    /// Also that its image data are whole (a decoder alone fills up what is missing), and that it can be decoded.
    Decode,
}

impl StreamOptions {
    /// The options and versions that decide the bytes of a stream, for the manifest.
    pub fn describe(&self) -> Value {
        let mut map = json!({ "codec": self.codec.name(), "size": self.geometry.describe() });
        match self.codec {
            Codec::Jpeg => return map,
            Codec::Zstd => map["encoder"] = json!(format!("zstd {}", versions::ZSTD)),
            Codec::Lz4 => map["encoder"] = json!(format!("lz4 {}", versions::LZ4)),
            _ => {}
        }
        if self.codec != Codec::Raw {
            map["level"] = json!(self.level);
            map["filter"] = json!(self.filter.name());
        }
        map["jpeg_decoder"] =
            json!(format!("clipshard (pixels of libjpeg), zune-jpeg {} for progressive files", versions::ZUNE_JPEG));
        if self.geometry != Geometry::Source {
            map["resize"] = json!("bilinear, antialiased, 22-bit weights, as Pillow");
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_side_decides_and_the_aspect_is_kept() {
        assert_eq!(Geometry::ShortSide(128).extent(342, 256), (171, 128));
        assert_eq!(Geometry::ShortSide(128).extent(256, 341), (128, 171));
        assert_eq!(Geometry::ShortSide(300).extent(100, 100), (300, 300));
        assert_eq!(Geometry::Square(224).extent(342, 256), (224, 224));
        assert_eq!(Geometry::Source.extent(7, 9), (7, 9));
    }
}
