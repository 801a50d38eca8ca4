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

/// How much [`verify`] checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VerifyDepth {
    /// Manifest, headers, trailers, clip tables, metadata and every clip's index.
    Quick,
    /// Also every record's stored bytes against their checksum: at the speed of the disk.
    Checksums,
    /// Also every record decoded.
    Deep,
}

/// What [`verify`] found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Records whose index (quick), stored bytes (checksums) or content (deep) was checked.
    pub records: u64,
    /// Bytes of the shards that were opened.
    pub bytes: u64,
    /// Every damage, shard by shard. Its message is one sentence that names file, clip and record; its variant tells what is
    /// damaged.
    pub damage: Vec<Error>,
}

/// Checks the data set in `dir` on all cores. Calls `progress` with the stored bytes of each clip as it is done.
///
/// Damage is no error of this function: it is listed in the report. A manifest that cannot be read is an error.
///
/// # Example
///
/// ```
/// use clipshard::{Error, VerifyDepth, verify};
///
/// let report = verify("tests/golden", VerifyDepth::Deep, &|_| ())?;
/// assert_eq!((report.records, report.damage.len()), (15, 0));
/// for damage in &report.damage {
///     match damage {
///         Error::Record { clip, frame, .. } => println!("pack {clip} again: frame {frame} is damaged"),
///         other => println!("{other}"),
///     }
/// }
/// # Ok::<(), Error>(())
/// ```
pub fn verify(dir: impl AsRef<Path>, depth: VerifyDepth, progress: &(dyn Fn(u64) + Sync)) -> Result<VerifyReport> {
    Ok(verify_in(dir.as_ref(), Manifest::read(&dir)?, depth, progress))
}

/// Checks the data set in `dir`, whose manifest was read already, as [`verify`] does.
pub fn verify_listed(
    dir: impl AsRef<Path>,
    manifest: Manifest,
    depth: VerifyDepth,
    progress: &(dyn Fn(u64) + Sync),
) -> VerifyReport {
    verify_in(dir.as_ref(), manifest, depth, progress)
}

fn verify_in(dir: &Path, manifest: Manifest, depth: VerifyDepth, progress: &(dyn Fn(u64) + Sync)) -> VerifyReport {
    let mut report = VerifyReport::default();
    // What is wrong with each shard as a whole comes before its clips.
    let listed: Vec<_> = manifest.streams.iter().flat_map(|s| s.shards.iter().map(move |info| (s, info))).collect();
    let opened: Vec<_> = listed.par_iter().map(|(stream, info)| open_listed(dir, stream, info)).collect();
    let (opened, mut damage): (Vec<Option<Shard>>, Vec<Vec<Error>>) = opened.into_iter().unzip();
    let (places, shards): (Vec<usize>, Vec<&Shard>) =
        opened.iter().enumerate().filter_map(|(at, shard)| Some((at, shard.as_ref()?))).unzip();
    report.bytes = shards.iter().map(|shard| shard.file_bytes()).sum();
    let checked = check_shards(&shards, depth, progress);
    report.records = checked.records;
    for (at, of_shard) in places.into_iter().zip(checked.damage) {
        damage[at].extend(of_shard);
    }
    report.damage = damage.into_iter().flatten().collect();
    // What only the whole shows: clips that are missing or doubled.
    if report.damage.is_empty() {
        let mut opened = opened.into_iter().flatten();
        let of_streams = manifest.streams.iter().map(|s| opened.by_ref().take(s.shards.len()).collect()).collect();
        report.damage.extend(Dataset::assemble(dir, manifest, of_streams).err());
    }
    report
}

/// What [`check_shards`] found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct CheckedShards {
    /// Number of records that were checked.
    pub records: u64,
    /// For each shard its damage.
    pub damage: Vec<Vec<Error>>,
}

/// Checks the clips of open shards in parallel. Calls `progress` with the stored bytes of each clip as it is done.
///
/// However many threads there are, decoding takes no more memory at a time than the largest image needs, or half a
/// gigabyte if that is more.
pub fn check_shards(shards: &[&Shard], depth: VerifyDepth, progress: &(dyn Fn(u64) + Sync)) -> CheckedShards {
    let budget = DecodingBudget::default();
    // The clips of all shards at once: a small or nearly finished shard keeps no processor idle.
    let clips: Vec<(usize, usize)> =
        shards.iter().enumerate().flat_map(|(at, shard)| (0..shard.clip_count()).map(move |clip| (at, clip))).collect();
    let checked: Vec<_> = clips
        .into_par_iter()
        .map_init(
            || None,
            |decoder, (at, clip)| (at, check_clip(shards[at], clip, depth, (decoder, &budget), progress)),
        )
        .collect();
    let mut found = CheckedShards { records: 0, damage: shards.iter().map(|_| Vec::new()).collect() };
    for (at, (records, of_clip)) in checked {
        found.records += records;
        found.damage[at].extend(of_clip);
    }
    found
}

/// A shard if it opens, and what is wrong with it as a whole.
fn open_listed(dir: &Path, stream: &Stream, info: &ShardInfo) -> (Option<Shard>, Vec<Error>) {
    let shard = match Shard::open(dir.join(&info.file)) {
        Ok(shard) => shard,
        Err(error) => return (None, vec![error]),
    };
    let damage = [info.check(&shard, &stream.spec).err(), shard.metadata().err()].into_iter().flatten().collect();
    (Some(shard), damage)
}

fn check_clip(
    shard: &Shard,
    clip: usize,
    depth: VerifyDepth,
    (decoder, budget): (&mut Option<Decoder>, &DecodingBudget),
    progress: &(dyn Fn(u64) + Sync),
) -> (u64, Vec<Error>) {
    let records = match shard.clip(clip) {
        Ok(records) => records,
        Err(error) => return (0, vec![error]),
    };
    let bytes = records.byte_range();
    let damage = match depth {
        VerifyDepth::Quick => Vec::new(),
        VerifyDepth::Checksums => check_all(&records, |frame, plane| records.record(frame, plane).map(drop)),
        VerifyDepth::Deep => {
            let mut pixels = Vec::new();
            check_all(&records, |frame, plane| {
                let info = records.info(frame, plane)?;
                let reserved = budget.reserve(info.size, info.codec);
                pixels.resize(info.size.bytes(), 0);
                let open = match &mut *decoder {
                    Some(open) => open,
                    none => none.insert(Decoder::new()?),
                };
                let decoded = records.decode(frame, plane, open, &mut pixels);
                if reserved.is_large() {
                    // Their memory has grown with the image.
                    (pixels, *decoder) = (Vec::new(), None);
                }
                decoded
            })
        }
    };
    progress(bytes.end - bytes.start);
    ((records.frame_count() * records.planes()) as u64, damage)
}

/// Checks every record and lists those that are damaged.
fn check_all(records: &ClipRecords<'_>, mut check: impl FnMut(usize, usize) -> Result<()>) -> Vec<Error> {
    let mut damage = Vec::new();
    for frame in 0..records.frame_count() {
        for plane in 0..records.planes() {
            match check(frame, plane) {
                Ok(()) => {}
                Err(error @ Error::Record { .. }) => damage.push(error),
                Err(error) => return vec![error],
            }
        }
    }
    damage
}
