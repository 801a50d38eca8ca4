//! Checks a whole data set and lists every damage, not only the first.

use crate::budget::DecodingBudget;
use crate::clip_records::ClipRecords;
use crate::codec::Decoder;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::manifest::{Manifest, ShardInfo, Stream};
use crate::shard::Shard;
use rayon::prelude::*;
use std::path::Path;

/// How much is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyDepth {
    /// Manifest, headers, trailers, clip tables, metadata and every clip's index.
    Quick,
    /// Also every record's stored bytes against their checksum: at the speed of the disk.
    Checksums,
    /// Also every record decoded.
    Deep,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// Records whose index (quick), stored bytes (checksums) or content (deep) was checked.
    pub records: u64,
    /// Bytes of the shards that were opened.
    pub bytes: u64,
    /// One sentence for each damage.
    pub damage: Vec<String>,
}

/// Checks the data set in `dir`. `progress` gets the stored bytes of each clip as it is done.
pub fn verify(dir: &Path, depth: VerifyDepth, progress: &(dyn Fn(u64) + Sync)) -> Result<VerifyReport> {
    verify_listed(dir, Manifest::read(dir)?, depth, progress)
}

/// The same where the manifest was read already.
pub fn verify_listed(
    dir: &Path,
    manifest: Manifest,
    depth: VerifyDepth,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<VerifyReport> {
    let mut report = VerifyReport::default();
    // What is wrong with each shard as a whole comes before its clips.
    let listed: Vec<_> = manifest.streams.iter().flat_map(|s| s.shards.iter().map(move |info| (s, info))).collect();
    let opened: Vec<_> = listed.par_iter().map(|(stream, info)| open_listed(dir, stream, info)).collect();
    let (opened, mut damage): (Vec<Option<Shard>>, Vec<Vec<String>>) = opened.into_iter().unzip();
    let (places, shards): (Vec<usize>, Vec<&Shard>) =
        opened.iter().enumerate().filter_map(|(at, shard)| Some((at, shard.as_ref()?))).unzip();
    report.bytes = shards.iter().map(|shard| shard.file_bytes()).sum();
    let checked = check_shards(&shards, depth, progress);
    report.records = checked.records;
    for (at, of_shard) in places.into_iter().zip(checked.damage) {
        damage[at].extend(of_shard);
    }
    report.damage = damage.concat();
    // What only the whole shows: clips that are missing or doubled.
    if report.damage.is_empty() {
        let mut opened = opened.into_iter().flatten();
        let of_streams = manifest.streams.iter().map(|s| opened.by_ref().take(s.shards.len()).collect()).collect();
        report.damage.extend(Dataset::assemble(dir, manifest, of_streams).err().map(|error| error.to_string()));
    }
    Ok(report)
}

/// What was found in the clips of some shards.
#[derive(Clone, Debug, Default)]
pub struct CheckedShards {
    /// Records that were checked.
    pub records: u64,
    /// For each shard one sentence for each damage.
    pub damage: Vec<Vec<String>>,
}

/// Checks the clips of open shards in parallel. `progress` gets the stored bytes of each clip as it is done.
///
/// However many threads there are, decoding takes no more memory at a time than the largest image needs, or half a
/// gigabyte if that is more.
pub fn check_shards(shards: &[&Shard], depth: VerifyDepth, progress: &(dyn Fn(u64) + Sync)) -> CheckedShards {
    let budget = DecodingBudget::default();
    // The clips of all shards at once: a small or nearly finished shard keeps no processor idle.
    let clips: Vec<(usize, usize)> =
        shards.iter().enumerate().flat_map(|(at, shard)| (0..shard.clips()).map(move |clip| (at, clip))).collect();
    let checked: Vec<_> = clips
        .into_par_iter()
        .map_init(Decoder::new, |decoder, (at, clip)| {
            (at, check_clip(shards[at], clip, depth, (decoder, &budget), progress))
        })
        .collect();
    let mut found = CheckedShards { records: 0, damage: vec![Vec::new(); shards.len()] };
    for (at, (records, of_clip)) in checked {
        found.records += records;
        found.damage[at].extend(of_clip);
    }
    found
}

/// A shard if it opens, and what is wrong with it as a whole.
fn open_listed(dir: &Path, stream: &Stream, info: &ShardInfo) -> (Option<Shard>, Vec<String>) {
    let shard = match Shard::open(&dir.join(&info.file)) {
        Ok(shard) => shard,
        Err(error) => return (None, vec![error.to_string()]),
    };
    let mut damage = Vec::new();
    if !info.is(&shard, &stream.spec) {
        damage.push(format!("{}: not the shard that the manifest lists (another build?)", shard.path().display()));
    }
    damage.extend(shard.metadata().err().map(|error| error.to_string()));
    (Some(shard), damage)
}

fn check_clip(
    shard: &Shard,
    clip: usize,
    depth: VerifyDepth,
    (decoder, budget): (&mut Result<Decoder>, &DecodingBudget),
    progress: &(dyn Fn(u64) + Sync),
) -> (u64, Vec<String>) {
    let records = match shard.clip(clip) {
        Ok(records) => records,
        Err(error) => return (0, vec![error.to_string()]),
    };
    let (start, end) = records.byte_range();
    let damage = match (depth, decoder) {
        (VerifyDepth::Quick, _) => Vec::new(),
        (VerifyDepth::Checksums, _) => check_all(&records, |frame, plane| records.record(frame, plane).map(drop)),
        (VerifyDepth::Deep, Ok(decoder)) => {
            let mut pixels = Vec::new();
            check_all(&records, |frame, plane| {
                let size = records.size(frame, plane);
                let (_, codec, _) = records.stored(frame, plane);
                let reserved = budget.reserve(size, codec);
                pixels.resize(size.bytes(), 0);
                let decoded = records.decode(frame, plane, decoder, &mut pixels);
                if reserved.is_large() {
                    pixels = Vec::new();
                    *decoder = Decoder::new()?;
                }
                decoded
            })
        }
        (VerifyDepth::Deep, Err(error)) => vec![error.to_string()],
    };
    progress(end - start);
    ((records.frames() * records.planes()) as u64, damage)
}

/// Checks every record; one sentence for each that is damaged.
fn check_all(records: &ClipRecords<'_>, mut check: impl FnMut(usize, usize) -> Result<()>) -> Vec<String> {
    let mut damage = Vec::new();
    for frame in 0..records.frames() {
        for plane in 0..records.planes() {
            match check(frame, plane) {
                Ok(()) => {}
                Err(error @ Error::Record { .. }) => damage.push(error.to_string()),
                Err(error) => return vec![error.to_string()],
            }
        }
    }
    damage
}
