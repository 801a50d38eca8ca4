//! The result of a build.

use std::collections::BTreeMap;

use clipshard::Manifest;

use super::encoded::EncodedClip;
use super::estimate::Estimate;
use crate::error::{Skipped, SomeClasses};
use crate::quantity::counted;

/// The result of a build or merge.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct BuildReport {
    /// Number of packed clips.
    pub clips: u64,
    /// Number of records of each stream.
    pub records: BTreeMap<String, u64>,
    /// Number of shards of each stream.
    pub shards: BTreeMap<String, u64>,
    /// Bytes of the source images that were read; of a merge, bytes of the parts' shards.
    pub bytes_in: u64,
    /// Bytes of all shards.
    pub bytes_out: u64,
    /// The estimated size and time, for a dry run.
    pub estimate: Option<Estimate>,
    /// Seconds that the build took.
    pub seconds: f64,
    /// Skipped clips, sorted by id.
    pub skipped: Vec<Skipped>,
    /// The classes with clips, if the source lacks all clips of others.
    pub some_classes: Option<SomeClasses>,
    /// Remarks that are no errors.
    pub notes: Vec<String>,
}

impl BuildReport {
    /// Counts the clips of a dataset, and the records, shards and bytes of each stream.
    pub(crate) fn count(&mut self, manifest: &Manifest) {
        self.clips = manifest.clips.len() as u64;
        self.bytes_out = 0;
        for stream in &manifest.streams {
            let name = &stream.spec.name;
            self.records.insert(name.clone(), stream.shards.iter().map(|shard| shard.records).sum());
            self.shards.insert(name.clone(), stream.shards.len() as u64);
            self.bytes_out += stream.shards.iter().map(|shard| shard.bytes).sum::<u64>();
        }
    }

    /// Counts the content of a dataset, and adds the totals of a run.
    pub(super) fn summarise(&mut self, manifest: &Manifest, totals: &Totals) {
        self.count(manifest);
        self.bytes_in = totals.bytes_in;
        let mut note = |clips: u32, what: &str| {
            if clips > 0 {
                self.notes.push(format!("{} {what}", counted(clips.into(), "clip has", "clips have")));
            }
        };
        note(
            totals.odd_channels,
            "colour flow or grey RGB images; flow is converted to grey, and RGB gets three equal channels",
        );
        note(
            totals.turned,
            "images with an EXIF rotation, which is ignored; to rotate them, run `exiftran -ai` on the files first",
        );
    }
}

/// Totals over the clips of a run.
#[derive(Debug, Default)]
pub(super) struct Totals {
    bytes_in: u64,
    odd_channels: u32,
    turned: u32,
}

impl Totals {
    /// Adds a clip.
    pub fn add(&mut self, clip: &EncodedClip) {
        self.bytes_in += clip.bytes_in;
        self.odd_channels += u32::from(clip.odd_channels);
        self.turned += u32::from(clip.turned);
    }
}
