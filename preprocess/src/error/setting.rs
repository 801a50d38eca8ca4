//! The settings of this crate, as errors name them.

use std::fmt;

/// A setting that an error names: what must be changed, or what can be.
///
/// Its own name is that of the field that holds it. A program gives each the name of its option
/// ([`crate::Error::named`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Setting {
    /// How much is checked of source files.
    Check,
    /// The classes that are kept.
    Classes,
    /// Clips a class of a synthetic set.
    Clips,
    /// Whose lists are read.
    Dataset,
    /// What computes flow.
    Device,
    /// The root of the flow images.
    Flow,
    /// How flow is stored.
    FlowCodec,
    /// How flow is computed.
    FlowMethod,
    /// The size of stored flow.
    FlowSize,
    /// The data set whose images a synthetic set takes.
    Images,
    /// Threads.
    Jobs,
    /// Whether clips that cannot be packed are left out.
    KeepGoing,
    /// The layout of the tree.
    Layout,
    /// The compression level.
    Level,
    /// The lists.
    Lists,
    /// Whether an output is replaced.
    Overwrite,
    /// The part of a build.
    Part,
    /// The JPEG quality of an extracted tree.
    Quality,
    /// Whether an interrupted run is continued.
    Resume,
    /// The root of the RGB frames.
    Rgb,
    /// How RGB is stored.
    RgbCodec,
    /// The JPEG quality of stored RGB.
    RgbQuality,
    /// The shorter side of RGB frames.
    ShortSide,
    /// The size of a shard.
    ShardSize,
    /// The size of synthetic images.
    Size,
    /// The root of both streams.
    Tree,
}

impl Setting {
    /// Returns the name of the field that holds the setting.
    pub fn field(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Classes => "classes",
            Self::Clips => "clips",
            Self::Dataset => "dataset",
            Self::Device => "video.card",
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
            Self::Overwrite => "overwrite",
            Self::Part => "part",
            Self::Quality | Self::RgbQuality => "video.quality",
            Self::Resume => "resume",
            Self::Rgb => "location.rgb",
            Self::RgbCodec => "rgb.codec",
            Self::ShardSize => "shard_bytes",
            Self::ShortSide => "video.short_side",
            Self::Size => "width",
            Self::Tree => "location",
        }
    }
}

/// Writes the field in backticks.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.field())
    }
}
