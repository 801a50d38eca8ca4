//! What a build is asked to do, and what of it decides the bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::part::Part;
use crate::error::{Error, Problem, Result, Setting};
use crate::lists::Lists;
use crate::source::{Input, Layout, Location};
use crate::stored::{Check, StreamOptions};
use crate::stream::StreamKind;
use crate::video::{VideoDecoder, VideoOptions};

/// Everything that a build is told.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch that is typed or not, apart from the others")]
pub struct BuildOptions {
    /// The data set to make.
    pub out: PathBuf,
    /// Whose lists these are.
    pub dataset: DatasetKind,
    /// Folder of the lists, or the CSV file of custom data; without one the classes of custom data are folders.
    pub lists: Option<PathBuf>,
    /// Where the images are.
    pub location: Location,
    /// `None`: recognise it.
    pub layout: Option<Layout>,
    /// What is made of videos, where there are such.
    pub video: VideoOptions,
    /// These classes only, in classInd's order.
    pub classes: Option<Vec<String>>,
    /// How RGB is stored.
    pub rgb: StreamOptions,
    /// How flow is stored.
    pub flow: StreamOptions,
    /// How much is checked of JPEGs that are stored as they are.
    pub check: Check,
    /// Shards are closed before they grow larger than this, by nominal sizes.
    pub shard_bytes: u64,
    /// Encoding threads.
    pub jobs: usize,
    /// Clips that are read at the same time: 1 for a spinning disk.
    pub readers: usize,
    /// Make this part only.
    pub part: Option<Part>,
    /// Pack the whole clips of a tree that is not whole.
    pub keep_going: bool,
    /// Replace a data set that is there.
    pub overwrite: bool,
    /// Go on with a build that was cut off.
    pub resume: bool,
    /// Plan only; `out` is not written.
    pub dry_run: bool,
}

/// Whose lists say what the clips are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatasetKind {
    /// classInd.txt, trainlist0N.txt, testlist0N.txt.
    Ucf101,
    /// `<class>_test_splitN.txt`.
    Hmdb51,
    /// A CSV file `path,label,split[,group]`, or a class a folder.
    Custom,
}

impl DatasetKind {
    pub(crate) fn read_lists(self, lists: Option<&Path>, source: &Input) -> Result<Lists> {
        match (self, lists) {
            (Self::Ucf101, Some(folder)) => Lists::read_ucf101(folder),
            (Self::Hmdb51, Some(folder)) => Lists::read_hmdb51(folder),
            (Self::Custom, Some(file)) => Lists::read_csv(file),
            (Self::Custom, None) => Lists::from_folders(&source.classed_folders()?, source.shown()),
            (Self::Ucf101 | Self::Hmdb51, None) => Err(lists_missing()),
        }
    }
}

pub(crate) fn lists_missing() -> Error {
    let missing = Problem::from(Setting::Lists).then(" is missing: the folder of the official lists; only ");
    Error::Usage(missing.name(Setting::Dataset).then(" custom goes without"))
}

/// What decides the content of the shards, for the manifest: never paths, jobs or times.
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
