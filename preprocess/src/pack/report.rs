//! What a build did.

use std::collections::BTreeMap;

use clipshard::Manifest;

use super::encoded::EncodedClip;
use super::estimate::Estimate;
use crate::error::Skipped;

/// What a build did.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct BuildReport {
    /// Clips packed.
    pub clips: u64,
    /// Records by stream.
    pub records: BTreeMap<String, u64>,
    /// Shards by stream.
    pub shards: BTreeMap<String, u64>,
    /// Bytes of the source images.
    pub bytes_in: u64,
    /// Bytes of all shards.
    pub bytes_out: u64,
    /// Of a dry run, what the build would take.
    pub estimate: Option<Estimate>,
    /// Time taken.
    pub seconds: f64,
    /// Clips left out, by id.
    pub skipped: Vec<Skipped>,
    /// Things worth a word that are no errors.
    pub notes: Vec<String>,
}

impl BuildReport {
    /// Counts what a data set holds: clips, and by stream records, shards and bytes.
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

    /// The same, with what a run read.
    pub(super) fn summarise(&mut self, manifest: &Manifest, totals: &Totals) {
        self.count(manifest);
        self.bytes_in = totals.bytes_in;
        let mut note = |clips: u32, what: &str| {
            if clips > 0 {
                self.notes.push(format!("{clips} clips have {what}"));
            }
        };
        note(totals.odd_channels, "colour flow or grey RGB images; they are read as luma, or as grey RGB");
        note(
            totals.turned,
            "images whose EXIF orientation is not upright; their pixels are stored as they lie in the files, so turn them first (exiftran -ai) if they should stand upright",
        );
    }
}

/// What a run read.
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
