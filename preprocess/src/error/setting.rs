//! Settings that errors name.

use std::fmt;

/// A setting that an error names, because changing it is the cure.
///
/// Its default name is that of the field that holds it. A program replaces it with the name of its option
/// ([`crate::Error::named`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Setting {
    /// Attributes of the dataset.
    Attributes,
    /// Check of source files.
    Check,
    /// Classes to keep.
    Classes,
    /// Clips to export.
    Clip,
    /// Number of clips per class of a synthetic dataset.
    Clips,
    /// Codec of a recoded stream.
    Codec,
    /// Format of the split lists.
    Dataset,
    /// Device that computes flow.
    Device,
    /// Filter of a recoded stream.
    Filter,
    /// Root of the flow images.
    Flow,
    /// Codec of flow.
    FlowCodec,
    /// Method that computes flow.
    FlowMethod,
    /// Size of stored flow.
    FlowSize,
    /// Dataset that provides the images of a synthetic dataset.
    Images,
    /// Number of threads.
    Jobs,
    /// Whether to skip clips that cannot be used.
    KeepGoing,
    /// Layout of the tree.
    Layout,
    /// Compression level.
    Level,
    /// Split lists.
    Lists,
    /// Whether to accept clips that other versions packed.
    OtherVersions,
    /// Whether to replace an existing output.
    Overwrite,
    /// Part of a build.
    Part,
    /// JPEG quality of an extracted tree.
    Quality,
    /// Whether to continue an interrupted run.
    Resume,
    /// Root of the RGB frames.
    Rgb,
    /// Codec of RGB.
    RgbCodec,
    /// JPEG quality of stored RGB.
    RgbQuality,
    /// Shorter side of RGB frames.
    ShortSide,
    /// Size of a shard.
    ShardSize,
    /// Size of synthetic images.
    Size,
    /// Whether to skip clips that the dataset has already.
    SkipExisting,
    /// Split of these subsets.
    Split,
    /// Stream to store again.
    Stream,
    /// Streams to copy.
    Streams,
    /// Subsets of the clips to copy.
    Subset,
    /// Root of both streams.
    Tree,
}

impl Setting {
    /// Returns the name of the field that holds the setting.
    pub fn field(self) -> &'static str {
        match self {
            Self::Attributes => "attributes",
            Self::Check => "check",
            Self::Classes => "classes",
            Self::Clip | Self::Clips => "clips",
            Self::Codec => "codec",
            Self::Dataset => "dataset",
            Self::Device => "video.gpu",
            Self::Filter => "filter",
            Self::Flow => "location.flow",
            Self::FlowCodec => "flow.codec",
            Self::FlowMethod => "video.flow",
            Self::FlowSize => "flow.geometry",
            Self::Images => "images",
            Self::Jobs => "jobs",
            Self::KeepGoing => "keep_going",
            Self::Layout => "layout",
            Self::Level => "level",
            Self::Lists => "lists",
            Self::OtherVersions => "other_versions",
            Self::Overwrite => "overwrite",
            Self::Part => "part",
            Self::Quality | Self::RgbQuality => "video.quality",
            Self::Resume => "resume",
            Self::Rgb => "location.rgb",
            Self::RgbCodec => "rgb.codec",
            Self::ShardSize => "shard_bytes",
            Self::ShortSide => "video.short_side",
            Self::Size => "width",
            Self::SkipExisting => "skip_existing",
            Self::Split => "split",
            Self::Stream => "stream",
            Self::Streams => "streams",
            Self::Subset => "subsets",
            Self::Tree => "location",
        }
    }
}

/// Writes the name of the field in backticks.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.field())
    }
}
