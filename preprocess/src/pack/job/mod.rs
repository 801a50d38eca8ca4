//! One run of a build: what of the plan is to be done, doing it, and what is said of it.

mod made;
mod task;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clipshard::{DecodingBudget, Manifest, ShardMetadata, Storage};

use crate::clip::Absence;
use crate::error::{Error, NotWhole, Result, Skipped};
use crate::lists::Lists;
use crate::pack::encode::{ClipEncoder, EncodeSetup, ReadClip};
use crate::pack::encoded::EncodedClip;
use crate::pack::estimate::{CLIPS, Sample, announce};
use crate::pack::finished::{FinishedShards, find_finished, remove_strays};
use crate::pack::options::{BuildOptions, content_options};
use crate::pack::part_record::PartRecord;
use crate::pack::partial::{Leftover, PartialBuild};
use crate::pack::pipeline::{Held, Threads, run_ordered};
use crate::pack::plan::{BuildPlan, PlannedClip, StreamPlan, USUAL_PIXELS, assign, nominal_clip_bytes};
use crate::pack::report::BuildReport;
use crate::pack::writer::Writer;
use crate::place::target::Place;
use crate::progress::{Watch, Work};
use crate::source::{FoundClip, Input, Scan};
use crate::stored::StreamOptions;
use crate::stream::StreamKind;
use crate::video::VideoDecoder;
use task::Task;

/// A build under way.
pub(crate) struct Job<'a> {
    options: &'a BuildOptions,
    shown: &'a str,
    streams: Vec<(StreamKind, StreamOptions)>,
    plans: Vec<StreamPlan>,
    lists: Lists,
    /// Listed clips, and those that no list can name.
    asked: usize,
    /// One for each listed clip; `None` is left out.
    files: Vec<Option<FoundClip>>,
    /// Where clips are videos.
    video: Option<&'a VideoDecoder>,
    /// Nominal frames of each clip in each stream.
    frames: Vec<Vec<u32>>,
    metadata: ShardMetadata,
    /// Of the memory that all threads decode images in.
    budget: DecodingBudget,
    pub report: BuildReport,
}

impl<'a> Job<'a> {
    /// Plans a build from what was listed and found.
    pub fn new(options: &'a BuildOptions, source: &'a Input, lists: Lists, mut scan: Scan) -> Result<Self> {
        let strangers = scan.faults_of_strangers(options.lists.is_some());
        let streams: Vec<(StreamKind, StreamOptions)> = source
            .streams()
            .into_iter()
            .map(|kind| (kind, if kind == StreamKind::Rgb { options.rgb } else { options.flow }))
            .collect();
        let nominal = |stream: usize, clip: usize| {
            let (kind, options) = &streams[stream];
            nominal_clip_bytes(*kind, options, scan.clips[clip].nominal_frames[stream])
        };
        let clips = 0..scan.clips.len();
        let plans: Vec<StreamPlan> = (0..streams.len())
            .map(|stream| assign(clips.clone().map(|clip| nominal(stream, clip)), options.shard_bytes))
            .collect();
        let mut report = BuildReport::default();
        report.notes.extend(source.found());
        report.notes.extend(scan.notes.iter().chain(&lists.notes).cloned());
        if scan.unlisted > 0 && options.classes.is_none() {
            report.notes.push(format!(
                "{} {} of {} are in no list; they are left out",
                scan.unlisted,
                source.unit(),
                source.shown()
            ));
        }
        let (mut files, mut frames, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for (listed, scanned) in lists.clips.iter().zip(scan.clips) {
            frames.push(scanned.nominal_frames);
            let skipped = |reason| Skipped { clip: listed.id.clone(), reason };
            match scanned.files {
                Ok(found) => {
                    files.push(Some(found));
                    continue;
                }
                Err(Absence::Short(reason)) => report.skipped.push(skipped(reason)),
                Err(Absence::Fault(reason)) => faults.push(skipped(reason)),
            }
            files.push(None);
        }
        let metadata = ShardMetadata {
            dataset: lists.dataset.into(),
            classes: lists.classes.clone(),
            splits: lists.splits.clone(),
            build: content_options(options, source, &streams),
            ..ShardMetadata::default()
        };
        let shown = source.shown();
        let video = source.video();
        let asked = lists.clips.len() + strangers.len();
        faults.extend(strangers);
        let budget = DecodingBudget::default();
        let mut job =
            Self { options, shown, streams, plans, lists, asked, files, video, frames, metadata, budget, report };
        job.leave_out(faults)?;
        job.count();
        Ok(job)
    }

    /// Clips that are not whole end the build, unless it is to keep going.
    fn leave_out(&mut self, faults: Vec<Skipped>) -> Result<()> {
        if !faults.is_empty() && !self.options.keep_going {
            return Err(Error::NotWhole(NotWhole { faults, asked: self.asked, tree: self.shown.into() }));
        }
        self.report.skipped.extend(faults);
        self.report.skipped.sort_by(|a, b| a.clip.cmp(&b.clip));
        if self.report.skipped.len() == self.asked {
            return Err(Error::Input(format!(
                "{}: none of the {} clips can be packed; the first: {}: {}",
                self.shown, self.asked, self.report.skipped[0].clip, self.report.skipped[0].reason
            )));
        }
        Ok(())
    }

    /// Whether this run makes a shard: all, or those of its part.
    fn makes(&self, stream: usize, shard: u32) -> bool {
        self.options.part.is_none_or(|part| part.makes(shard, self.plans[stream].shards()))
    }

    /// Whether this run makes the shard of a clip in a stream.
    fn makes_clip(&self, stream: usize, clip: usize) -> bool {
        self.makes(stream, self.plans[stream].shard_of[clip])
    }

    /// Counts what the plan holds, for dry runs and the progress bar.
    fn count(&mut self) {
        let (mut clips, kinds) = (vec![false; self.files.len()], self.kinds());
        for (stream, (kind, _)) in self.streams.iter().enumerate() {
            let mut records = 0;
            for (clip, files) in self.files.iter().enumerate().filter(|(clip, _)| self.makes_clip(stream, *clip)) {
                let frames = files.as_ref().map_or(0, |files| files.frames(&kinds, stream));
                clips[clip] |= files.is_some();
                records += u64::from(frames) * u64::from(kind.planes());
            }
            let shards = (0..self.plans[stream].shards()).filter(|&shard| self.makes(stream, shard)).count();
            self.report.records.insert(kind.name().into(), records);
            self.report.shards.insert(kind.name().into(), shards as u64);
        }
        self.report.clips = clips.into_iter().filter(|made| *made).count() as u64;
    }

    /// Everything that decides what comes out.
    fn build_plan(&self) -> BuildPlan {
        let clips = self.lists.clips.iter().zip(&self.files).zip(&self.frames);
        let planned = clips.map(|((listed, files), frames)| PlannedClip {
            id: listed.id.clone(),
            label: listed.label,
            subsets: listed.subsets.clone(),
            group: listed.group.clone(),
            frames: frames.clone(),
            video_bytes: files.as_ref().and_then(FoundClip::video_bytes),
            whole: files.is_some(),
        });
        BuildPlan {
            dataset: self.metadata.dataset.clone(),
            classes: self.metadata.classes.clone(),
            splits: self.metadata.splits.clone(),
            build: self.metadata.build.clone(),
            streams: self.streams.iter().map(|(kind, _)| kind.name().to_owned()).collect(),
            clips: planned.collect(),
            part: self.options.part,
        }
    }

    fn kinds(&self) -> Vec<StreamKind> {
        self.streams.iter().map(|(kind, _)| *kind).collect()
    }

    fn setup<'s>(&'s self, watch: Watch<'s>) -> EncodeSetup<'s> {
        EncodeSetup {
            streams: &self.streams,
            check: self.options.check,
            video: self.video,
            threads: self.options.jobs,
            budget: &self.budget,
            cancel: watch.cancel,
        }
    }

    /// What the build would take, from a sample.
    pub fn estimate(&mut self, watch: Watch<'_>) -> Result<()> {
        let makes = |stream: usize, clip: usize| self.makes_clip(stream, clip);
        let sample = Sample::take(self.setup(watch), &self.files, makes, CLIPS, watch)?;
        let estimate = sample.estimate(&self.report.records, self.options.jobs, self.options.readers);
        (self.report.bytes_in, self.report.bytes_out) = (estimate.bytes_in, estimate.bytes_out);
        self.report.estimate = Some(estimate);
        Ok(())
    }

    pub fn pack(&mut self, storage: &Arc<dyn Storage>, place: Place, watch: Watch<'_>) -> Result<()> {
        let leftover = match (self.options.resume, self.options.overwrite) {
            (true, _) => Leftover::Resume,
            (false, true) => Leftover::Discard,
            (false, false) => Leftover::Refuse,
        };
        let plan = self.build_plan();
        let partial = PartialBuild::open(Arc::clone(storage), &self.options.out, place, leftover, &plan)?;
        match self.fill(storage, &partial.set(), plan, watch) {
            Ok((manifest, totals)) => {
                partial.commit()?;
                self.summarise(&manifest, &totals);
                Ok(())
            }
            Err(error) => Err(partial.abandon(error)),
        }
    }

    /// Makes the shards that are not finished, and the manifest.
    fn fill(
        &mut self,
        storage: &Arc<dyn Storage>,
        set: &Path,
        plan: BuildPlan,
        watch: Watch<'_>,
    ) -> Result<(Manifest, Totals)> {
        remove_strays(set, self.streams.iter().map(|(kind, _)| *kind).zip(&self.plans))?;
        let mut finished: Vec<FinishedShards> = Vec::new();
        for ((kind, _), plan) in self.streams.iter().zip(&self.plans) {
            let found = find_finished(set, *kind, plan, &self.lists.clips, &self.metadata, watch)?;
            finished.push(found.shards);
            self.report.notes.extend(found.notes);
        }
        let (plans, metadata) = (self.plans.clone(), self.metadata.clone());
        let kinds = self.streams.iter().map(|(kind, _)| *kind);
        let mut writer = Writer::new(Arc::clone(storage), set, kinds, &plans, &metadata);
        for (stream, shards) in finished.iter().enumerate() {
            for (&number, shard) in shards {
                writer.keep_shard(stream, number, shard.info.clone());
                for (&clip, &frames) in &shard.frames {
                    writer.keep_clip(clip, &self.lists.clips[clip], stream, frames);
                }
            }
        }
        let kept: usize = finished.iter().map(FinishedShards::len).sum();
        if kept > 0 {
            self.report.notes.push(format!("{kept} shards were finished already"));
        }
        let tasks: Vec<Option<Task>> = (0..self.files.len()).map(|clip| self.task(clip, &finished)).collect();
        let weights: Vec<u64> = tasks.iter().enumerate().map(|(clip, task)| self.weight(clip, task.as_ref())).collect();
        let total = Work {
            clips: tasks.iter().flatten().count() as u64,
            images: tasks.iter().enumerate().map(|(clip, task)| self.images(clip, task.as_ref())).sum(),
            bytes: 0,
        };
        if self.video.is_some() && tasks.iter().flatten().next().is_some() {
            let reads = |stream: usize, clip: usize| tasks[clip].as_ref().is_some_and(|task| task.read[stream]);
            announce(self.setup(watch), &self.files, reads, self.options.jobs, watch)?;
        }
        watch.progress.begin_counting("packing", total, if self.video.is_some() { "frames" } else { "images" });
        // Once the build cannot succeed, the remaining clips are only checked, so that the error names all of them.
        let storing = AtomicBool::new(true);
        let (mut totals, mut faults, mut short, mut notes) = (Totals::default(), Vec::new(), Vec::new(), Vec::new());
        let outcome = run_ordered(
            &weights,
            Threads { readers: self.options.readers, jobs: self.options.jobs },
            watch.cancel,
            |clip| match (&tasks[clip], &self.files[clip]) {
                (Some(task), Some(files)) => {
                    let read = ReadClip::read(files, &task.read, |frames| 0..frames, watch.cancel)?;
                    let pixels = |stream| read.pixels(stream).unwrap_or(USUAL_PIXELS);
                    let bytes = read.bytes() + self.stored_bytes(clip, task, pixels);
                    Ok(Held { value: Some(read), bytes })
                }
                _ => Ok(Held { value: None, bytes: 0 }),
            },
            || ClipEncoder::new(self.setup(watch)),
            |encoder, clip, read| match (read, &tasks[clip]) {
                (Some(read), Some(task)) => {
                    let encoded = encoder.encode(read, task.store && storing.load(Ordering::Relaxed))?;
                    let bytes = encoded.as_ref().map_or(0, EncodedClip::bytes);
                    Ok(Held { value: Some(encoded), bytes })
                }
                _ => Ok(Held { value: None, bytes: 0 }),
            },
            |clip, encoded| {
                let (Some(encoded), Some(task)) = (encoded, &tasks[clip]) else { return Ok(()) };
                let listed = &self.lists.clips[clip];
                match encoded {
                    Ok(encoded) => {
                        if !task.store {
                            return Err(self.mended(clip, &finished));
                        }
                        totals.add(&encoded);
                        let images = if self.video.is_some() { encoded.frames } else { encoded.images };
                        watch.progress.add(Work { clips: 1, images, bytes: encoded.bytes_in });
                        notes.extend(encoded.notes.iter().map(|note| format!("{}: {note}", listed.id)));
                        if storing.load(Ordering::Relaxed) {
                            writer.add(clip, listed, &encoded.streams)?;
                        }
                    }
                    Err(Absence::Short(reason)) if task.in_finished.is_none() => {
                        short.push(Skipped { clip: listed.id.clone(), reason });
                    }
                    Err(Absence::Short(reason) | Absence::Fault(reason)) => {
                        if let Some(shard) = &task.in_finished {
                            return Err(Error::Input(format!(
                                "{}: {reason}; it was whole when {shard} was finished: mend it, or start again with --overwrite",
                                listed.id
                            )));
                        }
                        storing.store(self.options.keep_going, Ordering::Relaxed);
                        faults.push(Skipped { clip: listed.id.clone(), reason });
                    }
                }
                Ok(())
            },
        );
        watch.progress.end();
        outcome?;
        self.report.notes.extend(notes);
        self.report.skipped.extend(short);
        self.leave_out(faults)?;
        let manifest = writer.finish()?;
        if self.options.part.is_some() {
            let record = PartRecord { plan, skipped: self.report.skipped.clone() };
            record.write(&**storage, set)?;
        }
        manifest.write_in(&**storage, set)?;
        if watch.cancel.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        Ok((manifest, totals))
    }

    fn summarise(&mut self, manifest: &Manifest, totals: &Totals) {
        let shards = || manifest.streams.iter().flat_map(|stream| &stream.shards);
        self.report.clips = manifest.clips.len() as u64;
        self.report.bytes_in = totals.bytes_in;
        self.report.bytes_out = shards().map(|shard| shard.bytes).sum();
        for stream in &manifest.streams {
            let name = &stream.spec.name;
            self.report.records.insert(name.clone(), stream.shards.iter().map(|shard| shard.records).sum());
            self.report.shards.insert(name.clone(), stream.shards.len() as u64);
        }
        let mut note = |clips: u32, what: &str| {
            if clips > 0 {
                self.report.notes.push(format!("{clips} clips have {what}"));
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
struct Totals {
    bytes_in: u64,
    odd_channels: u32,
    turned: u32,
}

impl Totals {
    fn add(&mut self, clip: &EncodedClip) {
        self.bytes_in += clip.bytes_in;
        self.odd_channels += u32::from(clip.odd_channels);
        self.turned += u32::from(clip.turned);
    }
}
