//! Options for storing images: size, codec, and the check of files that are stored unchanged.

use clipshard::{Codec, Filter};
use serde_json::{Value, json};

use crate::versions;

/// Size of stored images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Geometry {
    /// The size of the source.
    Source,
    /// A square with this side in pixels. The aspect ratio is not kept.
    Square(u16),
    /// A shorter side of this many pixels. The aspect ratio is kept.
    ShortSide(u16),
}

impl Geometry {
    /// Returns the description for the manifest: `source`, `224x224`, `short side 256`.
    pub fn describe(self) -> String {
        match self {
            Self::Source => "source".into(),
            Self::Square(side) => format!("{side}x{side}"),
            Self::ShortSide(side) => format!("short side {side}"),
        }
    }

    /// Returns the stored width and height of an image of `width` x `height` pixels.
    pub(crate) fn extent(self, width: u16, height: u16) -> (u16, u16) {
        match self {
            Self::Source => (width, height),
            Self::Square(side) => (side, side),
            Self::ShortSide(side) => {
                let short = u32::from(width.min(height));
                // Rounds to the nearest integer, halves up, without floating point.
                let long = |n: u16| {
                    let scaled = (2 * u64::from(n) * u64::from(side) + u64::from(short)) / (2 * u64::from(short));
                    scaled.min(u64::from(u16::MAX)) as u16
                };
                (long(width), long(height))
            }
        }
    }
}

/// Options for storing one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamOptions {
    /// Codec. `jpeg` keeps the source bytes.
    pub codec: Codec,
    /// Filter. Ignored for `jpeg` and `raw`.
    pub filter: Filter,
    /// Compression level: zstd 1 to 22, LZ4-HC 1 to 12. Ignored for `jpeg` and `raw`.
    pub level: i32,
    /// Size. Must be [`Geometry::Source`] for `jpeg` files of a tree.
    pub geometry: Geometry,
}

/// Check of a JPEG file that is stored unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check {
    /// Markers, size, components and the end marker.
    Header,
    /// Also the completeness of the image data, and decoding. Decoders alone fill missing image data.
    Decode,
}

impl StreamOptions {
    /// Returns the options and versions that decide the bytes of a stream, for the manifest.
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
