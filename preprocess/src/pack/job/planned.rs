//! The plan of a build: the shard of each clip, for each stream.

use clipshard::{DecodingBudget, ShardMetadata};

use crate::clip::Absence;
use crate::error::{Error, NotWhole, Result, Skipped};
use crate::lists::Lists;
use crate::pack::encode::EncodeSetup;
use crate::pack::estimate::{CLIPS, Sample};
use crate::pack::options::{BuildOptions, content_options};
use crate::pack::plan::{BuildPlan, PlannedClip, StreamPlan, assign, nominal_clip_bytes};
use crate::pack::report::BuildReport;
use crate::progress::Watch;
use crate::quantity::{counted, show_count};
use crate::source::{FoundClip, Input, Scan, ScannedClip};
use crate::stored::StreamOptions;
use crate::stream::StreamKind;
use crate::video::VideoDecoder;

/// A planned build. Counts and remarks go to a separate [`BuildReport`].
pub(crate) struct Job<'a> {
    pub(super) options: &'a BuildOptions,
    shown: &'a str,
    pub(super) streams: Vec<(StreamKind, StreamOptions)>,
    pub(super) plans: Vec<StreamPlan>,
    pub(super) lists: Lists,
    /// Number of listed clips plus clips that no list can name.
    asked: usize,
    /// The files of each listed clip; `None` for a clip that is not packed.
    pub(super) files: Vec<Option<FoundClip>>,
    /// The decoder, if clips are videos.
    pub(super) video: Option<&'a VideoDecoder>,
    /// Nominal number of frames of each clip in each stream.
    pub(super) frames: Vec<Vec<u32>>,
    pub(super) metadata: ShardMetadata,
    /// Whether another run can continue from the finished shards if this one is interrupted.
    pub(super) can_resume: bool,
    /// Limit of the memory that all threads together use to decode images.
    budget: DecodingBudget,
}

impl<'a> Job<'a> {
    /// Plans a build from the lists and the scan. The report describes the planned dataset.
    pub fn new(
        options: &'a BuildOptions,
        source: &'a Input,
        lists: Lists,
        mut scan: Scan,
    ) -> Result<(Self, BuildReport)> {
        let strangers = scan.faults_of_strangers(options.lists.is_some());
        let streams = streams(options, source);
        let plans = plans(options, &streams, &scan);
        let mut report = BuildReport::default();
        report.notes.extend(source.found());
        report.notes.extend(scan.notes.iter().chain(&lists.notes).cloned());
        if scan.unlisted > 0 && options.classes.is_none() {
            let (unit, shown) = (source.unit(), source.shown());
            let (unlisted, are) = (scan.unlisted as u64, if scan.unlisted == 1 { "is" } else { "are" });
            report
                .notes
                .push(format!("skipped {} in {shown} that {are} not in the lists", counted(unlisted, unit.0, unit.1)));
        }
        let is_missing = |clip: &ScannedClip| clip.files.as_ref().is_err_and(Absence::is_missing);
        report.some_classes = lists.present_classes(scan.clips.iter().map(is_missing));
        let (mut files, mut frames, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for (listed, scanned) in lists.clips.iter().zip(scan.clips) {
            frames.push(scanned.nominal_frames);
            files.push(match scanned.files {
                Ok(found) => Some(found),
                Err(absence) => {
                    let skipped = Skipped { clip: listed.id.clone(), reason: absence.to_string() };
                    let is_short = matches!(absence, Absence::Short(_));
                    if is_short { &mut report.skipped } else { &mut faults }.push(skipped);
                    None
                }
            });
        }
        let mut metadata = ShardMetadata::new(lists.dataset, lists.classes.clone(), lists.splits.clone());
        metadata.build = content_options(options, source, &streams);
        metadata.attributes = options.attributes.clone();
        let (shown, video) = (source.shown(), source.video());
        let asked = lists.clips.len() + strangers.len();
        faults.extend(strangers);
        let budget = DecodingBudget::default();
        let job = Self {
            options,
            shown,
            streams,
            plans,
            lists,
            asked,
            files,
            video,
            frames,
            metadata,
            can_resume: true,
            budget,
        };
        job.skip(faults, &mut report)?;
        job.count(&mut report);
        Ok((job, report))
    }

    /// Makes the clips a part of a larger dataset, which `metadata` describes. The labels of the
    /// lists must be those of that dataset.
    pub fn join(&mut self, metadata: ShardMetadata) {
        self.metadata = metadata;
        self.can_resume = false;
    }

    /// Records skipped clips. Returns an error if clips are missing or damaged and the build must
    /// be complete, or if no clip remains.
    pub(super) fn skip(&self, faults: Vec<Skipped>, report: &mut BuildReport) -> Result<()> {
        if !faults.is_empty() && !self.options.keep_going {
            return Err(Error::NotWhole(NotWhole::new(faults, self.asked, self.shown, report.some_classes.clone())));
        }
        report.skipped.extend(faults);
        report.skipped.sort_by(|a, b| a.clip.cmp(&b.clip));
        if report.skipped.len() == self.asked {
            let Skipped { clip, reason } = &report.skipped[0];
            return Err(Error::input(match self.asked {
                1 => format!("{}: the only clip, {clip}, cannot be packed: {reason}", self.shown),
                asked => format!(
                    "{}: none of the {} clips can be packed; the first one, {clip}: {reason}",
                    self.shown,
                    show_count(asked as u64)
                ),
            }));
        }
        Ok(())
    }

    /// Returns whether this run makes a shard: any shard, or only those of its part.
    pub(super) fn makes(&self, stream: usize, shard: u32) -> bool {
        self.options.part.is_none_or(|part| part.makes(shard, self.plans[stream].shards()))
    }

    /// Returns whether this run makes the shard that holds a clip's stream.
    pub(super) fn makes_clip(&self, stream: usize, clip: usize) -> bool {
        self.makes(stream, self.plans[stream].shard_of[clip])
    }

    /// Counts the planned clips, records and shards.
    fn count(&self, report: &mut BuildReport) {
        let (mut clips, kinds) = (vec![false; self.files.len()], self.kinds());
        for (stream, (kind, _)) in self.streams.iter().enumerate() {
            let mut records = 0;
            for (clip, files) in self.files.iter().enumerate().filter(|(clip, _)| self.makes_clip(stream, *clip)) {
                let frames = files.as_ref().map_or(0, |files| files.frames(&kinds, stream));
                clips[clip] |= files.is_some();
                records += u64::from(frames) * u64::from(kind.planes());
            }
            let shards = (0..self.plans[stream].shards()).filter(|&shard| self.makes(stream, shard)).count();
            report.records.insert(kind.name().into(), records);
            report.shards.insert(kind.name().into(), shards as u64);
        }
        report.clips = clips.into_iter().filter(|made| *made).count() as u64;
    }

    /// Returns everything that decides the content of the build.
    pub(super) fn build_plan(&self) -> BuildPlan {
        let clips = self.lists.clips.iter().zip(&self.files).zip(&self.frames);
        let planned = clips.map(|((listed, files), frames)| PlannedClip {
            id: listed.id.clone(),
            label: listed.label,
            subsets: listed.subsets.clone(),
            group: listed.group.clone(),
            attributes: listed.attributes.clone(),
            frames: frames.clone(),
            video_bytes: files.as_ref().and_then(FoundClip::video_bytes),
            whole: files.is_some(),
        });
        BuildPlan {
            dataset: self.metadata.dataset.clone(),
            classes: self.metadata.classes.clone(),
            splits: self.metadata.splits.clone(),
            build: self.metadata.build.clone(),
            attributes: self.metadata.attributes.clone(),
            streams: self.streams.iter().map(|(kind, _)| kind.name().to_owned()).collect(),
            clips: planned.collect(),
            part: self.options.part,
        }
    }

    pub(super) fn kinds(&self) -> Vec<StreamKind> {
        self.streams.iter().map(|(kind, _)| *kind).collect()
    }

    pub(super) fn setup<'s>(&'s self, watch: Watch<'s>) -> EncodeSetup<'s> {
        EncodeSetup {
            streams: &self.streams,
            check: self.options.check,
            video: self.video,
            threads: self.options.jobs,
            budget: &self.budget,
            cancel: watch.cancel,
        }
    }

    /// Estimates size and time of the build from a sample, and adds them to the report.
    pub fn estimate(&self, report: &mut BuildReport, watch: Watch<'_>) -> Result<()> {
        let makes = |stream: usize, clip: usize| self.makes_clip(stream, clip);
        let sample = Sample::take(self.setup(watch), &self.files, makes, CLIPS, watch)?;
        let estimate = sample.estimate(&report.records, self.options.jobs, self.options.readers);
        (report.bytes_in, report.bytes_out) = (estimate.bytes_in, estimate.bytes_out);
        report.estimate = Some(estimate);
        Ok(())
    }
}

/// Returns the streams of a source, and how each is stored.
fn streams(options: &BuildOptions, source: &Input) -> Vec<(StreamKind, StreamOptions)> {
    let stored = |kind| if kind == StreamKind::Rgb { options.rgb } else { options.flow };
    source.streams().into_iter().map(|kind| (kind, stored(kind))).collect()
}

/// Plans the shards of each stream.
fn plans(options: &BuildOptions, streams: &[(StreamKind, StreamOptions)], scan: &Scan) -> Vec<StreamPlan> {
    let plan = |(stream, (kind, stored)): (usize, &(StreamKind, StreamOptions))| {
        let bytes = scan.clips.iter().map(|clip| nominal_clip_bytes(*kind, stored, clip.nominal_frames[stream]));
        assign(bytes, options.shard_bytes)
    };
    streams.iter().enumerate().map(plan).collect()
}
