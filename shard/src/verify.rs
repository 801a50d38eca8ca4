//! Checks a whole dataset and lists all damaged parts, not only the first.

use crate::budget::DecodingBudget;
use crate::clip_records::ClipRecords;
use crate::codec::Decoder;
use crate::contents::Access;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::manifest::{Manifest, ShardInfo, Stream};
use crate::parallel::map_init;
use crate::shard::Shard;
use std::path::Path;

/// The depth of the checks of [`verify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VerifyDepth {
    /// Checks manifest, headers, trailers, clip tables, metadata and the index of every clip.
    Quick,
    /// Also checks the stored bytes of every record against their checksum. Reads all shards
    /// completely.
    Checksums,
    /// Also decodes every record.
    Deep,
}

/// The result of [`verify`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Number of records of the clips that were checked.
    pub records: u64,
    /// Size in bytes of the shards that were opened.
    pub bytes: u64,
    /// One error per damaged part, shard by shard.
    ///
    /// If this program was built without a codec, [`VerifyDepth::Deep`] adds one
    /// [`Error::CodecNotCompiled`] for each shard with records of the codec. It has checked the
    /// checksums of these records.
    pub damage: Vec<Error>,
}

/// Checks the dataset in `dir` on all cores.
///
/// Calls `progress` with the number of stored bytes of each clip after it has checked the clip.
///
/// # Errors
///
/// Returns an error only if the manifest cannot be read. Other damage is listed in the report.
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

/// Checks the dataset in `dir` like [`verify`], with a manifest that was read before.
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
    // For each shard, errors of the shard as a whole come before errors of its clips.
    let listed: Vec<_> = manifest.streams.iter().flat_map(|s| s.shards.iter().map(move |info| (s, info))).collect();
    let opened = map_init(listed, || (), |(), (stream, info)| open_listed(dir, stream, info));
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
    // Only the whole dataset shows clips that are missing or present twice.
    if report.damage.is_empty() {
        let mut opened = opened.into_iter().flatten();
        let of_streams =
            manifest.streams.iter().map(|s| Some(opened.by_ref().take(s.shards.len()).collect())).collect();
        report.damage.extend(Dataset::assemble(dir, manifest, of_streams).err());
    }
    report
}

/// The result of [`check_shards`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct CheckedShards {
    /// Number of records that were checked.
    pub records: u64,
    /// The errors of each shard.
    pub damage: Vec<Vec<Error>>,
}

/// Checks the clips of open shards in parallel.
///
/// Calls `progress` with the number of stored bytes of each clip after it has checked the clip. All
/// threads together use at most 512 MiB to decode large images, or as much as the largest image
/// needs if that is more.
pub fn check_shards(shards: &[&Shard], depth: VerifyDepth, progress: &(dyn Fn(u64) + Sync)) -> CheckedShards {
    let budget = DecodingBudget::default();
    // The clips of all shards form one list, so that no core is idle while the last clips of a
    // shard are checked.
    let clips: Vec<(usize, usize)> =
        shards.iter().enumerate().flat_map(|(at, shard)| (0..shard.clip_count()).map(move |clip| (at, clip))).collect();
    let check = |decoder: &mut Option<Decoder>, (at, clip): (usize, usize)| {
        (at, check_clip(shards[at], clip, depth, (decoder, &budget), progress))
    };
    let checked = map_init(clips, || None, check);
    let mut found = CheckedShards { records: 0, damage: shards.iter().map(|_| Vec::new()).collect() };
    for (at, (records, of_clip)) in checked {
        found.records += records;
        for error in of_clip {
            add(&mut found.damage[at], error);
        }
    }
    found
}

/// Opens a listed shard. Returns it, if it opens, with the errors that concern the shard as a
/// whole.
fn open_listed(dir: &Path, stream: &Stream, info: &ShardInfo) -> (Option<Shard>, Vec<Error>) {
    let shard = match stream.open(dir, info, Access::Map) {
        Ok(shard) => shard,
        Err(error) => return (None, vec![error]),
    };
    let damage = [info.check(&shard, &stream.spec).err(), shard.metadata().err()].into_iter().flatten().collect();
    (Some(shard), damage)
}

/// Checks a clip. Returns the number of its records, and its errors.
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
                let reserved = budget.reserve(info.shape, info.codec);
                pixels.resize(info.shape.bytes(), 0);
                let open = match &mut *decoder {
                    Some(open) => open,
                    none => none.insert(Decoder::new()?),
                };
                let decoded = records.decode(frame, plane, open, &mut pixels);
                if reserved.is_large() {
                    // Buffer and decoder have grown with the image. Freeing them keeps the threads
                    // within the budget.
                    (pixels, *decoder) = (Vec::new(), None);
                }
                decoded
            })
        }
    };
    progress(bytes.end - bytes.start);
    ((records.frame_count() * records.planes()) as u64, damage)
}

/// Checks every record of a clip and lists the errors of damaged records.
fn check_all(records: &ClipRecords<'_>, mut check: impl FnMut(usize, usize) -> Result<()>) -> Vec<Error> {
    let mut damage = Vec::new();
    for frame in 0..records.frame_count() {
        for plane in 0..records.planes() {
            match check(frame, plane) {
                Ok(()) => {}
                Err(error @ (Error::Record { .. } | Error::CodecNotCompiled { .. })) => add(&mut damage, error),
                Err(error) => return vec![error],
            }
        }
    }
    damage
}

/// Adds an error to a list that has one error at most per codec that this program was built without.
fn add(damage: &mut Vec<Error>, error: Error) {
    if let Error::CodecNotCompiled { codec, .. } = error {
        let is_same = |known: &Error| matches!(known, Error::CodecNotCompiled { codec: other, .. } if *other == codec);
        if damage.iter().any(is_same) {
            return;
        }
    }
    damage.push(error);
}
