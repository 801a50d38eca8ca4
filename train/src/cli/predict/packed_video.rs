//! A video as a temporary dataset of one clip, packed exactly as `ucfpack build --videos` packs
//! clips.

use crate::base::console::note;
use crate::base::stop::Stop;
use crate::formats::network::Network;
use crate::stream::Stream;
use anyhow::{Context, Result, anyhow, bail};
use clip_loader::TestCrop;
use clipshard::{Codec, Filter};
use std::path::Path;
use tempfile::TempDir;
use ucfpack::Setting;
use ucfpack::pack::{OneVideoOptions, pack_video};
use ucfpack::progress::{Progress, Watch};
use ucfpack::stored::{Geometry, StreamOptions};
use ucfpack::video::{FlowMethod, VideoOptions};

/// Default width and height of flow images in datasets.
const FLOW_SIDE: u16 = 224;

/// The clip of a video, packed in a temporary folder that is removed on drop.
pub(super) struct PackedVideo {
    folder: TempDir,
}

impl PackedVideo {
    /// Decodes a video and computes optical flow if one of the networks needs it.
    pub(super) fn of(file: &Path, networks: &[&Network], method: FlowMethod, stop: &Stop) -> Result<Self> {
        let shown = file.display();
        if !file.is_file() {
            bail!("{shown}: no such video file; check the path");
        }
        let options = options(flow_side(networks), method);
        let flow = match options.video.flow {
            None => String::new(),
            Some(method) => format!(" and computing {method} flow"),
        };
        note(&format!("decoding {shown}{flow}"));
        let folder =
            tempfile::Builder::new().prefix("ucftrain-video-").tempdir().context("cannot create a temporary folder")?;
        let watch = Watch { progress: &Progress::hidden(), cancel: stop.flag() };
        let packed = pack_video(file, folder.path(), &options, watch);
        let report = packed.map_err(|error| match stop.interrupted(super::LEFT) {
            Some(interrupted) => interrupted.into(),
            None => anyhow!("{}", error.named(option)),
        })?;
        for text in &report.notes {
            note(&format!("note: {}: {text}", report.clip));
        }
        Ok(Self { folder })
    }

    /// Returns the folder of the dataset.
    pub(super) fn dir(&self) -> &Path {
        self.folder.path()
    }
}

/// Returns the width and height of flow images that these networks need; `None` if all networks are
/// spatial.
fn flow_side(networks: &[&Network]) -> Option<u16> {
    let temporal = networks.iter().filter(|network| network.stream == Stream::Temporal);
    let side = |network: &&&Network| {
        let input = network.input_size as u16;
        if network.view().test_crop == TestCrop::Whole { input } else { input.max(FLOW_SIDE) }
    };
    temporal.map(|network| side(&network)).max()
}

fn options(flow_side: Option<u16>, method: FlowMethod) -> OneVideoOptions {
    let stored = |codec, geometry| StreamOptions { codec, filter: Filter::None, level: 0, geometry };
    OneVideoOptions {
        video: VideoOptions { flow: flow_side.map(|_| method), ..VideoOptions::default() },
        rgb: stored(Codec::Jpeg, Geometry::Source),
        flow: stored(Codec::Raw, Geometry::Square(flow_side.unwrap_or(FLOW_SIDE))),
        // All threads compute the flow of this one clip.
        jobs: rayon::current_num_threads(),
    }
}

/// Returns the name in this program of a setting of the packer.
fn option(setting: Setting) -> String {
    match setting {
        Setting::FlowMethod => "--flow-method".into(),
        Setting::Jobs => "--threads".into(),
        other => other.to_string(),
    }
}
