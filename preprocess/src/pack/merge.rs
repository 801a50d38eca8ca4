//! Merges the parts of a build. The result is byte for byte the dataset that one machine makes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use clipshard::{
    Attributes, Clip, Dataset, Manifest, Shard, ShardClip, ShardInfo, ShardWriter, Stream, VerifyDepth, check_shards,
};

use super::carry::{copied_records, link_or_copy};
use super::difference::attributes_difference;
use super::part_record::PartRecord;
use super::plan::BuildPlan;
use super::report::BuildReport;
use crate::error::{Error, Problem, Result, Setting, Skipped};
use crate::place::name::PART_FILE;
use crate::place::staging::Staging;
use crate::place::target::Contents;
use crate::progress::{Watch, Work};

/// Options of [`merge()`].
#[derive(Debug, Clone)]
pub struct MergeOptions {
    /// The dataset to make.
    pub out: PathBuf,
    /// The parts of one build: all of them, in any order.
    pub parts: Vec<PathBuf>,
    /// Whether to replace an existing dataset.
    pub overwrite: bool,
}

/// An opened part.
struct OpenPart {
    dir: PathBuf,
    data: Dataset,
    record: PartRecord,
}

/// A clip in the shards of the parts.
#[derive(Default)]
struct PackedClip {
    /// Number of frames by stream.
    frames: BTreeMap<String, u32>,
    attributes: Attributes,
}

/// Merges the parts of a build into one dataset.
///
/// Checks every record first. Links the shards if the file system allows it, and copies them
/// otherwise. The parts stay unchanged. A clip that any part skipped is omitted from all shards.
///
/// # Errors
/// Returns [`Error::Usage`] if no part is named or the output must not be replaced. Returns
/// [`Error::Input`] if parts are missing, repeated, damaged or from different builds. Nothing is
/// written then.
pub fn merge(options: &MergeOptions, watch: Watch<'_>) -> Result<BuildReport> {
    let started = Instant::now();
    let mut parts = options.parts.iter().map(|dir| open(dir)).collect::<Result<Vec<_>>>()?;
    check(&mut parts)?;
    let Some(first) = parts.first() else {
        return Err(Error::usage("no parts to merge; list the folders of all parts"));
    };
    let plan = first.record.plan.clone();
    let mut skipped: BTreeMap<&str, &Skipped> = BTreeMap::new();
    for skip in parts.iter().flat_map(|part| &part.record.skipped) {
        skipped.entry(&skip.clip).or_insert(skip);
    }
    let skipped_ids: BTreeSet<&str> = skipped.keys().copied().collect();
    let staging = Staging::new(&options.out, options.overwrite, Contents::Dataset)?;
    let bytes = parts.iter().flat_map(OpenPart::shards).map(|(_, shard)| shard.file_bytes()).sum();
    check_records(&parts, bytes, watch)?;
    watch.progress.begin("merging", Work { bytes, ..Work::default() });
    let mut packed: HashMap<String, PackedClip> = HashMap::new();
    let mut streams: Vec<Stream> = Vec::new();
    for name in &plan.streams {
        let mut shards: Vec<ShardInfo> = Vec::new();
        let mut spec = None;
        for shard in parts.iter().flat_map(OpenPart::shards).filter(|(stream, _)| *stream == name).map(|(_, s)| s) {
            if watch.cancel.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            spec.get_or_insert_with(|| shard.spec().clone());
            if let Some(info) = take(shard, staging.path(), &skipped_ids)? {
                shards.push(info);
            }
            add_clips(&mut packed, name, shard, &skipped_ids)?;
            watch.progress.add(Work { bytes: shard.file_bytes(), ..Work::default() });
        }
        shards.sort_by(|a, b| a.file.cmp(&b.file));
        let Some(spec) = spec else {
            return Err(Error::input(format!("no part has a {name} shard; pack the parts again")));
        };
        streams.push(Stream::new(spec, shards));
    }
    watch.progress.end();
    let manifest = manifest(&plan, &skipped_ids, streams, packed)?;
    manifest.write(staging.path())?;
    staging.commit()?;
    let mut report = BuildReport {
        skipped: skipped.into_values().cloned().collect(),
        seconds: started.elapsed().as_secs_f64(),
        bytes_in: bytes,
        ..BuildReport::default()
    };
    report.count(&manifest);
    Ok(report)
}

fn open(dir: &Path) -> Result<OpenPart> {
    let data = Dataset::open(dir)?;
    match PartRecord::read(dir)? {
        Some(record) if record.plan.part.is_some() => Ok(OpenPart { dir: dir.to_owned(), data, record }),
        _ => Err(Error::input(
            Problem::from(format!("{} is not a part of a build; pack parts with ", dir.display())).name(Setting::Part),
        )),
    }
}

impl OpenPart {
    /// Returns its shards, each with the name of its stream.
    fn shards(&self) -> impl Iterator<Item = (&String, &Shard)> {
        let streams = self.data.manifest().streams.iter();
        streams.flat_map(|stream| {
            self.data.shards(&stream.spec.name).unwrap_or_default().iter().map(|shard| (&stream.spec.name, shard))
        })
    }

    /// Returns the number of this part and the number of all parts.
    fn part(&self) -> (u32, u32) {
        self.record.plan.part.map_or((0, 0), |part| (part.number, part.of))
    }
}

/// Checks that the parts belong to one build and that each is there once. Sorts them by number.
fn check(parts: &mut [OpenPart]) -> Result<()> {
    parts.sort_by_key(OpenPart::part);
    let Some(first) = parts.first() else { return Ok(()) };
    let mut expected = first.record.plan.clone();
    for part in parts.iter() {
        let shown = part.dir.display();
        if part.part().1 != first.part().1 {
            return Err(Error::input(format!(
                "{shown} is one of {} parts, but {} is one of {}; all parts must belong to the same build",
                part.part().1,
                first.dir.display(),
                first.part().1
            )));
        }
        expected.part = part.record.plan.part;
        let (manifest, plan) = (part.data.manifest(), &part.record.plan);
        if (&manifest.build, &manifest.attributes) != (&plan.build, &plan.attributes) {
            return Err(Error::input(format!(
                "the shards of {shown} do not match its {PART_FILE}; pack this part again"
            )));
        }
        if let Some(what) = expected.difference(&part.record.plan) {
            return Err(Error::input(
                Problem::from(format!("{shown} does not belong to the same build as {}: ", first.dir.display()))
                    .with(what)
                    .then("; pack all parts with the same version, options and source"),
            ));
        }
    }
    let of = first.part().1;
    for pair in parts.windows(2) {
        if pair[0].part() == pair[1].part() {
            return Err(Error::input(format!(
                "{} and {} are both part {}; list each part once",
                pair[0].dir.display(),
                pair[1].dir.display(),
                pair[0].part().0
            )));
        }
    }
    let there: BTreeSet<u32> = parts.iter().map(|part| part.part().0).collect();
    let missing: Vec<String> = (1..=of).filter(|n| !there.contains(n)).map(|n| format!("{n}/{of}")).collect();
    if !missing.is_empty() {
        let parts = if missing.len() == 1 { "part" } else { "parts" };
        return Err(Error::input(format!("missing {parts} {}; all {of} parts are needed", missing.join(", "))));
    }
    Ok(())
}

/// Compares every record of the parts with its checksum.
fn check_records(parts: &[OpenPart], bytes: u64, watch: Watch<'_>) -> Result<()> {
    watch.progress.begin("checking", Work { bytes, ..Work::default() });
    for part in parts {
        let shards: Vec<&Shard> = part.shards().map(|(_, shard)| shard).collect();
        let progress = |bytes| watch.progress.add(Work { bytes, ..Work::default() });
        for shard in shards {
            if watch.cancel.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let damage: Vec<_> =
                check_shards(&[shard], VerifyDepth::Checksums, &progress).damage.into_iter().flatten().collect();
            if let Some(first) = damage.first() {
                let more = if damage.len() > 1 { format!(" (and {} more)", damage.len() - 1) } else { String::new() };
                return Err(Error::input(format!(
                    "part {}/{} is damaged, pack it again: {first}{more}",
                    part.part().0,
                    part.part().1
                )));
            }
        }
    }
    watch.progress.end();
    Ok(())
}

/// Adds the clips of a shard of stream `name` that no part skipped. All shards of a clip must have
/// the same attributes.
fn add_clips(
    packed: &mut HashMap<String, PackedClip>,
    name: &str,
    shard: &Shard,
    skipped_ids: &BTreeSet<&str>,
) -> Result<()> {
    let described = shard.metadata()?.clips;
    for ((number, id), described) in shard.clip_ids().enumerate().zip(described) {
        if skipped_ids.contains(id) {
            continue;
        }
        let clip = packed.entry(id.into()).or_default();
        if clip.frames.is_empty() {
            clip.attributes = described.attributes;
        } else if let Some(difference) = attributes_difference(&clip.attributes, &described.attributes) {
            return Err(Error::input(format!(
                "{}: clip {id}: {difference} in another part; pack the parts again from the same source",
                shard.path().display()
            )));
        }
        clip.frames.extend(shard.frame_count(number).map(|frames| (name.to_owned(), frames)));
    }
    Ok(())
}

/// Puts a shard into the folder `to`, without the clips that any part skipped. Returns `None` if no
/// clip remains.
fn take(shard: &Shard, to: &Path, skipped_ids: &BTreeSet<&str>) -> Result<Option<ShardInfo>> {
    let name = shard.path().file_name().unwrap_or_default();
    let path = to.join(name);
    let ids = shard.clip_ids().enumerate();
    let kept: Vec<usize> = ids.filter(|(_, id)| !skipped_ids.contains(id)).map(|(clip, _)| clip).collect();
    if kept.len() == shard.clip_count() {
        link_or_copy(shard.path(), &path)?;
        return Ok(Some(shard.info()));
    }
    if kept.is_empty() {
        return Ok(None);
    }
    let mut metadata = shard.metadata()?;
    metadata.groups.retain(|id, _| !skipped_ids.contains(id.as_str()));
    let mut writer = ShardWriter::create(&path, shard.spec())?;
    for &clip in &kept {
        let records = shard.clip(clip)?;
        writer.add_clip(records.id(), &copied_records(&records)?)?;
    }
    let clips: Vec<ShardClip> = kept.iter().map(|&clip| metadata.clips[clip].clone()).collect();
    Ok(Some(writer.finish(&metadata.with_clips(clips))?))
}

fn manifest(
    plan: &BuildPlan,
    skipped_ids: &BTreeSet<&str>,
    streams: Vec<Stream>,
    mut packed: HashMap<String, PackedClip>,
) -> Result<Manifest> {
    let (mut clips, mut groups) = (Vec::new(), BTreeMap::new());
    for planned in &plan.clips {
        let PackedClip { frames, attributes } = packed.remove(&planned.id).unwrap_or_default();
        if frames.is_empty() && (!planned.whole || skipped_ids.contains(planned.id.as_str())) {
            continue;
        }
        if frames.len() != streams.len() {
            return Err(Error::input(format!(
                "clip {} is only in {} of {} streams; pack the parts again",
                planned.id,
                frames.len(),
                streams.len()
            )));
        }
        let (id, label, subsets) = (planned.id.clone(), planned.label, planned.subsets.clone());
        groups.extend(planned.group.clone().map(|group| (id.clone(), group)));
        let mut clip = Clip::new(id, label, subsets);
        (clip.attributes, clip.frames) = (attributes, frames);
        clips.push(clip);
    }
    let mut manifest = Manifest::new(plan.dataset.clone(), plan.classes.clone(), plan.splits.clone());
    (manifest.build, manifest.attributes) = (plan.build.clone(), plan.attributes.clone());
    (manifest.streams, manifest.clips, manifest.groups) = (streams, clips, groups);
    Ok(manifest)
}
