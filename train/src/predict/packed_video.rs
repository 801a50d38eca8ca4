//! A video as a data set of one clip, made in passing: it is seen exactly as the clips that `ucfpack build --videos` packs.

use crate::checkpoint::Network;
use crate::console::note;
use crate::stop::Stop;
use crate::stream::Stream;
use crate::view::TestCrop;
use anyhow::{Context, Result, anyhow, bail};
use clipshard::{Codec, Filter};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use ucfpack::pack::{BuildOptions, DatasetKind, build};
use ucfpack::progress::{Progress, Watch};
use ucfpack::source::Location;
use ucfpack::stored::{Check, Geometry, StreamOptions};
use ucfpack::video::VideoOptions;

/// Side of flow images that data sets have if not told otherwise.
const FLOW_SIDE: u16 = 224;

/// How flow is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FlowMethod {
    /// TV-L1, as most data sets have it
    #[default]
    Tvl1,
    /// Dense inverse search, ten times as fast
    Dis,
}

/// A video's clip, packed in a temporary folder that goes with this.
pub(super) struct PackedVideo {
    temp: TempDir,
}

impl PackedVideo {
    /// Decodes a video and computes what these networks look at.
    pub(super) fn of(file: &Path, networks: &[&Network], method: FlowMethod, stop: &Stop) -> Result<Self> {
        let shown = file.display();
        if !file.is_file() {
            bail!("{shown}: no such video file");
        }
        let file = file.canonicalize().with_context(|| format!("{shown}: cannot read it"))?;
        let temp =
            tempfile::Builder::new().prefix("ucftrain-video-").tempdir().context("cannot make a temporary folder")?;
        // A class folder with one video is a data set.
        let folder = temp.path().join("videos/clip");
        std::fs::create_dir_all(&folder).context("cannot make a temporary folder")?;
        // Named as a video, whatever it is called: ffmpeg looks at the content.
        let stem = file.file_stem().with_context(|| format!("{shown}: it has no name"))?;
        let place = folder.join(format!("{}.avi", stem.to_string_lossy()));
        link(&file, &place).with_context(|| format!("{shown}: cannot link or copy it to {}", place.display()))?;
        let raw = |geometry| StreamOptions { codec: Codec::Raw, filter: Filter::None, level: 0, geometry };
        let temporal = networks.iter().filter(|network| network.stream == Stream::Temporal);
        let side = |network: &&&Network| {
            let input = network.input_size as u16;
            if network.view().test_crop == TestCrop::Whole { input } else { input.max(FLOW_SIDE) }
        };
        let flow_side = temporal.map(|network| side(&network)).max();
        let method = match method {
            FlowMethod::Tvl1 => ucfpack::video::FlowMethod::TvL1,
            FlowMethod::Dis => ucfpack::video::FlowMethod::Dis,
        };
        let options = BuildOptions {
            out: temp.path().join("packed"),
            dataset: DatasetKind::Custom,
            lists: None,
            location: Location::Videos(temp.path().join("videos")),
            layout: None,
            video: VideoOptions { flow: flow_side.map(|_| method), ..VideoOptions::default() },
            classes: None,
            rgb: StreamOptions { codec: Codec::Jpeg, ..raw(Geometry::Source) },
            flow: raw(Geometry::Square(flow_side.unwrap_or(FLOW_SIDE))),
            check: Check::Header,
            shard_bytes: u64::MAX / 2,
            // All of them compute the flow of the one clip.
            jobs: rayon::current_num_threads(),
            readers: 1,
            part: None,
            keep_going: false,
            overwrite: false,
            resume: false,
            dry_run: false,
        };
        let flow = match (flow_side, method) {
            (None, _) => "",
            (_, ucfpack::video::FlowMethod::TvL1) => ", computing TV-L1 flow",
            (_, ucfpack::video::FlowMethod::Dis) => ", computing DIS flow",
        };
        note(&format!("{shown}: decoding{flow}"));
        let report = build(&options, Watch { progress: &Progress::hidden(), cancel: stop.flag() }).map_err(
            |error| match stop.interrupted(super::LEFT) {
                Some(interrupted) => interrupted.into(),
                None => anyhow!("{}", of_file(&error, &place, &shown.to_string())),
            },
        )?;
        // What is said of the temporary folder is of no use to anybody.
        let inner = temp.path().display().to_string();
        for text in report.notes.iter().filter(|text| !text.contains(&inner)) {
            note(&format!("note: {text}"));
        }
        Ok(Self { temp })
    }

    /// The data set.
    pub(super) fn dir(&self) -> PathBuf {
        self.temp.path().join("packed")
    }
}

/// What is said of the link, said of the file.
fn of_file(error: &ucfpack::Error, place: &Path, shown: &str) -> String {
    let words = match error {
        // There is one clip only.
        ucfpack::Error::NotWhole(not_whole) => {
            not_whole.faults.first().map_or_else(|| error.to_string(), |fault| fault.reason.clone())
        }
        other => other.to_string(),
    };
    let named = words.replace(&place.display().to_string(), shown);
    // What comes before the file's name is about the temporary folder.
    named.find(shown).map_or_else(|| format!("{shown}: {named}"), |at| named[at..].to_owned())
}

#[cfg(unix)]
fn link(file: &Path, place: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(file, place)
}

#[cfg(not(unix))]
fn link(file: &Path, place: &Path) -> std::io::Result<()> {
    std::fs::copy(file, place).map(drop)
}
