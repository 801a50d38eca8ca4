//! Puts the parts of a build together. What comes out is byte for byte what one machine alone would have made.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use clipshard::{
    Clip, Dataset, Disk, EncodedRecord, Manifest, Shard, ShardClip, ShardInfo, ShardWriter, Storage, Stream,
    VerifyDepth, check_shards, open_regular,
};

use super::part_record::PartRecord;
use super::plan::BuildPlan;
use super::report::BuildReport;
use crate::error::{Error, Problem, Result, Setting, Skipped};
use crate::place::name::PART_FILE;
use crate::place::staging::Staging;
use crate::place::target::Contents;
use crate::progress::{Watch, Work};

/// What to merge.
#[derive(Debug, Clone)]
pub struct MergeOptions {
    /// The data set to make.
    pub out: PathBuf,
    /// All parts of one build, in any order.
    pub parts: Vec<PathBuf>,
    /// Replace a data set that is there.
    pub overwrite: bool,
}

/// A part that was opened.
struct OpenPart {
    dir: PathBuf,
    data: Dataset,
    record: PartRecord,
}

/// Merges parts. Shards are linked where that is possible, else copied; the parts stay as they are.
pub fn merge(options: &MergeOptions, watch: Watch<'_>) -> Result<BuildReport> {
    let started = Instant::now();
    let mut parts = options.parts.iter().map(|dir| open(dir)).collect::<Result<Vec<_>>>()?;
    check(&mut parts)?;
    let Some(first) = parts.first() else {
        return Err(Error::usage("name the folders of the parts"));
    };
    let plan = first.record.plan.clone();
    let mut skipped: BTreeMap<&str, &Skipped> = BTreeMap::new();
    for skip in parts.iter().flat_map(|part| &part.record.skipped) {
        skipped.entry(&skip.clip).or_insert(skip);
    }
    let left_out: BTreeSet<&str> = skipped.keys().copied().collect();
    let staging = Staging::new(&options.out, options.overwrite, Contents::DataSet)?;
    let bytes = parts.iter().flat_map(OpenPart::shards).map(|(_, shard)| shard.file_bytes()).sum();
    check_records(&parts, bytes, watch)?;
    watch.progress.begin("merging", Work { bytes, ..Work::default() });
    let mut frames: HashMap<String, BTreeMap<String, u32>> = HashMap::new();
    let mut streams: Vec<Stream> = Vec::new();
    for name in &plan.streams {
        let mut shards: Vec<ShardInfo> = Vec::new();
        let mut spec = None;
        for shard in parts.iter().flat_map(OpenPart::shards).filter(|(stream, _)| *stream == name).map(|(_, s)| s) {
            if watch.cancel.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            spec.get_or_insert_with(|| shard.spec().clone());
            if let Some(info) = take(shard, staging.path(), &left_out)? {
                shards.push(info);
            }
            for (clip, id) in shard.clip_ids().enumerate().filter(|(_, id)| !left_out.contains(id)) {
                let of_clip = frames.entry(id.into()).or_default();
                of_clip.extend(shard.frame_count(clip).map(|count| (name.clone(), count)));
            }
            watch.progress.add(Work { bytes: shard.file_bytes(), ..Work::default() });
        }
        shards.sort_by(|a, b| a.file.cmp(&b.file));
        let Some(spec) = spec else {
            return Err(Error::input(format!("no part holds a shard of {name}; pack the parts again")));
        };
        streams.push(Stream::new(spec, shards));
    }
    watch.progress.end();
    let manifest = manifest(&plan, &left_out, streams, frames)?;
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
            Problem::from(format!("{} is no part of a build; a build makes one with ", dir.display()))
                .name(Setting::Part),
        )),
    }
}

impl OpenPart {
    /// Its shards, each with the name of its stream.
    fn shards(&self) -> impl Iterator<Item = (&String, &Shard)> {
        let streams = self.data.manifest().streams.iter();
        streams.flat_map(|stream| {
            self.data.shards(&stream.spec.name).unwrap_or_default().iter().map(|shard| (&stream.spec.name, shard))
        })
    }

    /// (I, N).
    fn part(&self) -> (u32, u32) {
        self.record.plan.part.map_or((0, 0), |part| (part.number, part.of))
    }
}

/// The parts are those of one build, each of them once; they are sorted by number.
fn check(parts: &mut [OpenPart]) -> Result<()> {
    parts.sort_by_key(OpenPart::part);
    let Some(first) = parts.first() else { return Ok(()) };
    let mut expected = first.record.plan.clone();
    for part in parts.iter() {
        let shown = part.dir.display();
        if part.part().1 != first.part().1 {
            return Err(Error::input(format!(
                "{shown} is a part of {}, {} of {}; merge parts of one number",
                part.part().1,
                first.dir.display(),
                first.part().1
            )));
        }
        expected.part = part.record.plan.part;
        if part.data.manifest().build != part.record.plan.build {
            return Err(Error::input(format!(
                "{shown} is of another build than its own {PART_FILE} says; pack this part again"
            )));
        }
        if let Some(what) = expected.difference(&part.record.plan) {
            return Err(Error::input(
                Problem::from(format!("{shown} is of another build than {}: ", first.dir.display()))
                    .with(what)
                    .then("; pack all parts by one version with the same options and tree"),
            ));
        }
    }
    let of = first.part().1;
    for pair in parts.windows(2) {
        if pair[0].part() == pair[1].part() {
            return Err(Error::input(format!(
                "{} and {} are both part {}; name each part once",
                pair[0].dir.display(),
                pair[1].dir.display(),
                pair[0].part().0
            )));
        }
    }
    let there: BTreeSet<u32> = parts.iter().map(|part| part.part().0).collect();
    let missing: Vec<String> = (1..=of).filter(|n| !there.contains(n)).map(|n| format!("{n}/{of}")).collect();
    if !missing.is_empty() {
        return Err(Error::input(format!("parts are missing: {}", missing.join(", "))));
    }
    Ok(())
}

/// Every record of the parts is as its checksum says.
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
                    "{first}{more}. Nothing was merged. Pack part {}/{} again; verifying {} lists all damage",
                    part.part().0,
                    part.part().1,
                    part.dir.display()
                )));
            }
        }
    }
    watch.progress.end();
    Ok(())
}

/// Brings a shard to its new place, without the clips that any part left out. `None` where no clip remains.
fn take(shard: &Shard, to: &Path, left_out: &BTreeSet<&str>) -> Result<Option<ShardInfo>> {
    let name = shard.path().file_name().unwrap_or_default();
    let path = to.join(name);
    let ids = shard.clip_ids().enumerate();
    let kept: Vec<usize> = ids.filter(|(_, id)| !left_out.contains(id)).map(|(clip, _)| clip).collect();
    if kept.len() == shard.clip_count() {
        // The file itself: the part may hold a symbolic link, which would lead nowhere from here.
        let real = fs::canonicalize(shard.path()).map_err(Error::io(shard.path(), "cannot find the shard"))?;
        if fs::hard_link(&real, &path).is_err() {
            copy(&real, &path)?;
        }
        return Ok(Some(shard.info()));
    }
    if kept.is_empty() {
        return Ok(None);
    }
    let mut told = shard.metadata()?;
    told.groups.retain(|id, _| !left_out.contains(id.as_str()));
    let mut writer = ShardWriter::create(&path, shard.spec())?;
    for &clip in &kept {
        let records = shard.clip(clip)?;
        let mut copied = Vec::new();
        for frame in records.frames() {
            for plane in 0..records.planes() {
                copied.push(EncodedRecord::from(frame.record(plane)?));
            }
        }
        writer.add_clip(records.id(), &copied)?;
    }
    let clips: Vec<ShardClip> = kept.iter().map(|&clip| told.clips[clip].clone()).collect();
    Ok(Some(writer.finish(&told.with_clips(clips))?))
}

/// Copies a shard whole or not at all. The umask decides who may read the copy, as for any new file.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let fault = Error::io(to, "cannot copy the shard");
    let mut source = open_regular(from).map_err(Error::io(from, "cannot read the shard"))?;
    let folder = to.parent().unwrap_or(to);
    let copied = Disk.create(folder, ".shard-").and_then(|mut file| {
        io::copy(&mut source, &mut file)?;
        file.sync()?;
        file.persist(to)
    });
    copied.map_err(fault)
}

fn manifest(
    plan: &BuildPlan,
    left_out: &BTreeSet<&str>,
    streams: Vec<Stream>,
    mut frames: HashMap<String, BTreeMap<String, u32>>,
) -> Result<Manifest> {
    let (mut clips, mut groups) = (Vec::new(), BTreeMap::new());
    for planned in &plan.clips {
        let frames = frames.remove(&planned.id).unwrap_or_default();
        if frames.is_empty() && (!planned.whole || left_out.contains(planned.id.as_str())) {
            continue;
        }
        if frames.len() != streams.len() {
            return Err(Error::input(format!(
                "clip {} is in {} of {} streams; pack the parts again",
                planned.id,
                frames.len(),
                streams.len()
            )));
        }
        let (id, label, subsets) = (planned.id.clone(), planned.label, planned.subsets.clone());
        groups.extend(planned.group.clone().map(|group| (id.clone(), group)));
        let mut clip = Clip::new(id, label, subsets);
        clip.frames = frames;
        clips.push(clip);
    }
    let mut manifest = Manifest::new(plan.dataset.clone(), plan.classes.clone(), plan.splits.clone());
    manifest.build = plan.build.clone();
    (manifest.streams, manifest.clips, manifest.groups) = (streams, clips, groups);
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where no hard link can be made, e.g. on another disk.
    #[test]
    fn a_copy_is_whole_and_not_as_closed_as_its_source() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to/rgb-00000.clipshard"));
        fs::create_dir(dir.path().join("to")).unwrap();
        fs::write(&from, "shard").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            fs::set_permissions(&from, fs::Permissions::from_mode(0o400)).unwrap();
            copy(&from, &to).unwrap();
            fs::write(dir.path().join("new"), "").unwrap();
            assert_eq!(mode(&to), mode(&dir.path().join("new")), "as any new file");
        }
        #[cfg(not(unix))]
        copy(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "shard");
        assert_eq!(fs::read_dir(dir.path().join("to")).unwrap().count(), 1);
        assert!(copy(&dir.path().join("none"), &to).unwrap_err().to_string().contains("none: cannot read the shard"));
        assert_eq!(fs::read_to_string(&to).unwrap(), "shard");
    }
}
