//! Checks a whole data set and lists every damage, not only the first.

use crate::codec::Decoder;
use crate::error::{Error, Result};
use crate::manifest::Manifest;
use crate::shard::{ClipRecords, Shard};
use rayon::prelude::*;
use std::path::Path;

/// How much is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyDepth {
    /// Manifest, headers, trailers, clip tables, metadata and every clip's index.
    Quick,
    /// Also every record against its checksum, and decoded.
    Deep,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// Records whose index (quick) or content (deep) was checked.
    pub records: u64,
    /// Bytes of the shards that were opened.
    pub bytes: u64,
    /// One sentence for each damage.
    pub damage: Vec<String>,
}

/// Checks the data set in `dir`. `progress` gets the stored bytes of each clip as it is done.
pub fn verify(dir: &Path, depth: VerifyDepth, progress: &(dyn Fn(u64) + Sync)) -> Result<VerifyReport> {
    let manifest = Manifest::read(dir)?;
    let mut report = VerifyReport::default();
    let mut listed: u64 = 0;
    for info in manifest.streams.iter().flat_map(|stream| &stream.shards) {
        listed += u64::from(info.clips);
        match Shard::open(&dir.join(&info.file)) {
            Ok(shard) => {
                report.bytes += shard.file_bytes();
                if let Err(error) = shard.metadata() {
                    report.damage.push(error.to_string());
                }
                let clips: Vec<_> = (0..shard.clips())
                    .into_par_iter()
                    .map_init(Decoder::new, |decoder, clip| check_clip(&shard, clip, depth, decoder, progress))
                    .collect();
                let mut next_offset = crate::layout::HEADER_BYTES as u64;
                for (clip, (records, damage)) in clips.into_iter().enumerate() {
                    report.records += records;
                    report.damage.extend(damage);
                    if let Ok(records) = shard.clip(clip) {
                        let (start, end) = records.byte_range();
                        if start != next_offset {
                            let (id, path) = (records.id(), shard.path().display());
                            report.damage.push(format!("{path}: clip {id} does not follow the one before; pack again"));
                        }
                        next_offset = end;
                    } else {
                        next_offset = shard.clip(clip + 1).map_or(next_offset, |next| next.byte_range().0);
                    }
                }
            }
            Err(error) => report.damage.push(error.to_string()),
        }
    }
    // What only the whole shows: shards that are not the listed ones, clips that are missing or doubled.
    if report.damage.is_empty()
        && let Err(error) = crate::Dataset::open(dir)
    {
        report.damage.push(error.to_string());
    }
    let stored: u64 = manifest.clips.iter().map(|clip| clip.frames.len() as u64).sum();
    if report.damage.is_empty() && stored != listed {
        report.damage.push(format!("{}: the manifest lists {stored} clip streams, its shards {listed}", dir.display()));
    }
    Ok(report)
}

fn check_clip(
    shard: &Shard,
    clip: usize,
    depth: VerifyDepth,
    decoder: &mut Result<Decoder>,
    progress: &(dyn Fn(u64) + Sync),
) -> (u64, Vec<String>) {
    let records = match shard.clip(clip) {
        Ok(records) => records,
        Err(error) => return (0, vec![error.to_string()]),
    };
    let (start, end) = records.byte_range();
    let damage = match (depth, decoder) {
        (VerifyDepth::Quick, _) => Vec::new(),
        (VerifyDepth::Deep, Ok(decoder)) => decode_all(&records, decoder),
        (VerifyDepth::Deep, Err(error)) => vec![error.to_string()],
    };
    progress(end - start);
    ((records.frames() * records.planes()) as u64, damage)
}

fn decode_all(records: &ClipRecords<'_>, decoder: &mut Decoder) -> Vec<String> {
    let mut pixels = Vec::new();
    let mut damage = Vec::new();
    for frame in 0..records.frames() {
        for plane in 0..records.planes() {
            pixels.resize(records.size(frame, plane).bytes(), 0);
            match records.decode(frame, plane, decoder, &mut pixels) {
                Ok(()) => {}
                Err(error @ Error::Record { .. }) => damage.push(error.to_string()),
                Err(error) => return vec![error.to_string()],
            }
        }
    }
    damage
}
