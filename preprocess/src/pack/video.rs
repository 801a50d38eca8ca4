//! Packs one video as a dataset of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use clipshard::{DecodingBudget, Disk, ShardMetadata, Subset};
use serde_json::json;

use super::encode::{ClipEncoder, EncodeSetup, ReadClip};
use super::encoded::EncodedClip;
use super::plan::StreamPlan;
use super::writer::Writer;
use crate::error::{ClipError, Error, Result};
use crate::lists::ListedClip;
use crate::progress::Watch;
use crate::stored::{Check, StreamOptions};
use crate::stream::StreamKind;
use crate::video::{Ffmpeg, VideoDecoder, VideoFile, VideoOptions};

/// Options of [`pack_video`].
#[derive(Debug, Clone, Copy)]
pub struct OneVideoOptions {
    /// How the video becomes images.
    pub video: VideoOptions,
    /// How RGB is stored.
    pub rgb: StreamOptions,
    /// How flow is stored.
    pub flow: StreamOptions,
    /// Number of threads that compute the flow.
    pub jobs: usize,
}

/// The result of [`pack_video`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OneVideoReport {
    /// Id of the clip: the file name without its extension.
    pub clip: String,
    /// Remarks about the video.
    pub notes: Vec<String>,
}

/// Packs one video as the only clip of a dataset in the empty folder `dir`. The file may have any
/// extension.
///
/// The records equal those that [`super::build()`] makes from the video with the same options.
///
/// # Errors
/// Returns [`Error::Clip`] with the path `file` if the file is no video, damaged or too short. Other
/// errors concern ffmpeg, the machine, `dir` or an interruption.
pub fn pack_video(file: &Path, dir: &Path, options: &OneVideoOptions, watch: Watch<'_>) -> Result<OneVideoReport> {
    options.video.check()?;
    let decoder = VideoDecoder::new(Ffmpeg::find()?, options.video);
    let mut streams = vec![(StreamKind::Rgb, options.rgb)];
    streams.extend(options.video.flow.map(|_| (StreamKind::Flow, options.flow)));
    let id = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let encoded = match encode(file, &decoder, &streams, options.jobs, watch) {
        Ok(encoded) => encoded,
        Err(ClipError::Clip(absence)) => return Err(Error::Clip(absence)),
        Err(ClipError::Work(error)) => return Err(error),
    };
    write(dir, &id, &decoder, &streams, &encoded)?;
    Ok(OneVideoReport { clip: id, notes: encoded.notes })
}

fn encode(
    path: &Path,
    decoder: &VideoDecoder,
    streams: &[(StreamKind, StreamOptions)],
    threads: usize,
    watch: Watch<'_>,
) -> Result<EncodedClip, ClipError> {
    let file = VideoFile::probe(path, None, watch.cancel)?;
    file.check()?;
    let budget = DecodingBudget::default();
    let setup = EncodeSetup {
        streams,
        check: Check::Header,
        video: Some(decoder),
        threads,
        budget: &budget,
        cancel: watch.cancel,
    };
    let frames = 0..file.frames;
    let read = ReadClip::Video { file: &file, wanted: vec![true; streams.len()], frames };
    ClipEncoder::new(setup)?.encode(read, true)
}

fn write(
    dir: &Path,
    id: &str,
    decoder: &VideoDecoder,
    streams: &[(StreamKind, StreamOptions)],
    encoded: &EncodedClip,
) -> Result<()> {
    let mut build = BTreeMap::from([
        ("packer".to_owned(), json!(concat!("ucfpack ", env!("CARGO_PKG_VERSION")))),
        ("layout".to_owned(), json!("one video")),
        ("video_decoder".to_owned(), decoder.describe_decoder()),
    ]);
    build.extend(streams.iter().map(|(kind, stored)| (kind.name().to_owned(), decoder.describe(*kind, stored))));
    // Class and split of the video are unknown.
    let mut metadata = ShardMetadata::new("custom", Vec::new(), vec!["1".into()]);
    metadata.build = build;
    let listed = ListedClip {
        id: id.to_owned(),
        folder: id.to_owned(),
        class_folder: None,
        label: None,
        subsets: vec![Subset::Unused],
        group: None,
        row: None,
        attributes: encoded.measured.clone(),
    };
    let plans = vec![StreamPlan { shard_of: vec![0], nominal_bytes: 0 }; streams.len()];
    let mut writer = Writer::new(Arc::new(Disk), dir, streams.iter().map(|(kind, _)| *kind), &plans, &metadata);
    writer.add(0, &listed, &listed.attributes, &encoded.streams)?;
    Ok(writer.finish()?.write(dir)?)
}
