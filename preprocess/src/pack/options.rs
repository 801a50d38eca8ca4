//! The options of a build, and which of them decide the bytes of the shards.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clipshard::Attributes;
use serde_json::{Value, json};

use super::part::Part;
use crate::error::{Error, Problem, Result, Setting};
use crate::lists::{DatasetKind, Lists};
use crate::source::{Input, Layout, Location};
use crate::stored::{Check, StreamOptions};
use crate::stream::StreamKind;
use crate::video::{VideoDecoder, VideoOptions};

/// Options of [`build()`](super::build()).
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is an independent switch")]
pub struct BuildOptions {
    /// The dataset to make.
    pub out: PathBuf,
    /// The kind of dataset, which decides how split lists are read.
    pub dataset: DatasetKind,
    /// Split lists: their folder, or one of their files. If a custom dataset has none, each folder
    /// is a class.
    pub lists: Option<PathBuf>,
    /// The place of the frame tree or videos.
    pub location: Location,
    /// The layout of the frame tree. `None` recognises it.
    pub layout: Option<Layout>,
    /// How videos become images. Ignored for frame trees.
    pub video: VideoOptions,
    /// Attributes of the dataset, such as its licence. They are stored in the manifest and in all
    /// shards.
    pub attributes: Attributes,
    /// Classes to pack; `None` packs all. Their labels keep the order of the class list.
    pub classes: Option<Vec<String>>,
    /// How RGB is stored.
    pub rgb: StreamOptions,
    /// How flow is stored.
    pub flow: StreamOptions,
    /// How thoroughly to check JPEG files that are stored unchanged.
    pub check: Check,
    /// Largest size of a shard in bytes, estimated from nominal image sizes. A shard always holds
    /// at least one clip.
    pub shard_bytes: u64,
    /// Number of encoding threads.
    pub jobs: usize,
    /// Number of clips that are read at the same time. Use 1 for a spinning disk.
    pub readers: usize,
    /// The part of the build to make; `None` makes the whole dataset.
    pub part: Option<Part>,
    /// Whether to pack the remaining clips if some are missing or damaged.
    pub keep_going: bool,
    /// Whether to replace an existing dataset.
    pub overwrite: bool,
    /// Whether to continue an unfinished build, or to accept a finished one.
    pub resume: bool,
    /// Whether to plan and estimate only. Nothing is written then.
    pub dry_run: bool,
}

impl DatasetKind {
    /// Reads the lists. A custom dataset without lists has a class per folder of the source.
    pub(crate) fn read_lists(self, lists: Option<&Path>, source: &Input) -> Result<Lists> {
        match (self, lists) {
            (_, Some(path)) => self.read(path, &|| source.clip_keys()),
            (Self::Custom, None) => Lists::from_folders(&source.classed_folders()?, source.shown()),
            (_, None) => Err(lists_missing()),
        }
    }
}

pub(crate) fn lists_missing() -> Error {
    let missing =
        Problem::from(Setting::Lists).then(" is missing: it must be the folder of the official lists, unless ");
    Error::Usage(missing.name(Setting::Dataset).then(" is custom"))
}

/// Returns the options that decide the content of the shards, for the manifest. Paths, numbers of
/// threads and times are not among them.
pub(crate) fn content_options(
    options: &BuildOptions,
    source: &Input,
    streams: &[(StreamKind, StreamOptions)],
) -> BTreeMap<String, Value> {
    let check = match options.check {
        Check::Header => "header",
        Check::Decode => "decode",
    };
    let mut map = BTreeMap::from([
        ("packer".to_owned(), json!(concat!("ucfpack ", env!("CARGO_PKG_VERSION")))),
        ("layout".to_owned(), json!(source.layout())),
        ("check".to_owned(), json!(check)),
        ("shard_bytes".to_owned(), json!(options.shard_bytes)),
    ]);
    for (kind, stream) in streams {
        let described = source.video().map_or_else(|| stream.describe(), |video| video.describe(*kind, stream));
        map.insert(kind.name().into(), described);
    }
    if let Some(decoder) = source.video().map(VideoDecoder::describe_decoder) {
        map.insert("video_decoder".into(), decoder);
    }
    map
}
