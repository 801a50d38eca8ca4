//! The task of each clip, and its size.

use clipshard::Codec;

use super::planned::Job;
use crate::error::{Error, Problem, Setting};
use crate::pack::finished::FinishedShards;
use crate::pack::plan::{USUAL_PIXELS, nominal_source_bytes, record_bytes, shard_file};

/// The work that remains for a clip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    /// Whether each stream is read.
    pub(super) read: Vec<bool>,
    /// Whether the clip is stored. Otherwise it is only checked, because a finished shard lacks it.
    pub(super) store: bool,
    /// A finished shard that holds the clip.
    pub(super) in_finished: Option<String>,
}

impl Job<'_> {
    /// Returns the task of a clip, given the finished shards. Returns `None` if nothing remains to
    /// do.
    pub(super) fn task(&self, clip: usize, finished: &[FinishedShards]) -> Option<Task> {
        self.files[clip].as_ref()?;
        let (mut make, mut lacking, mut in_finished) = (vec![false; self.streams.len()], false, None);
        for (stream, shards) in finished.iter().enumerate() {
            let number = self.plans[stream].shard_of[clip];
            match shards.get(&number) {
                Some(shard) if shard.clips.contains_key(&clip) => {
                    in_finished = Some(shard_file(self.streams[stream].0, number));
                }
                Some(_) => lacking = true,
                None => make[stream] = self.makes(stream, number),
            }
        }
        if lacking {
            // A finished shard lacks the clip, so all shards must. Checking it again finds the
            // reason.
            let local = |stream| self.makes_clip(stream, clip);
            return Some(Task { read: (0..self.streams.len()).map(local).collect(), store: false, in_finished: None });
        }
        make.contains(&true).then_some(Task { read: make, store: true, in_finished })
    }

    /// Returns the error for a clip that is whole now but that a finished shard lacks.
    pub(super) fn now_whole(&self, clip: usize, finished: &[FinishedShards]) -> Error {
        let lacks = finished.iter().enumerate().find_map(|(stream, shards)| {
            let number = self.plans[stream].shard_of[clip];
            let shard = shards.get(&number).filter(|shard| !shard.clips.contains_key(&clip))?;
            Some(shard.info.file.clone())
        });
        let (id, shard) = (&self.lists.clips[clip].id, lacks.unwrap_or_default());
        let problem =
            Problem::from(format!("{id} is complete now, but was skipped when {shard} was packed; start again with "));
        Error::Input(problem.name(Setting::Overwrite))
    }

    /// Returns the bytes that a clip is expected to hold while it is in progress.
    pub(super) fn weight(&self, clip: usize, task: Option<&Task>) -> u64 {
        let Some(task) = task else { return 0 };
        if self.video.is_some() {
            // Frames are encoded one by one, so only their records stay in memory.
            return self.stored_bytes(clip, task, |_| USUAL_PIXELS);
        }
        let streams = self.streams.iter().enumerate().filter(|(stream, _)| task.read[*stream]);
        let read: u64 = streams.map(|(stream, (kind, _))| nominal_source_bytes(*kind, self.frames[clip][stream])).sum();
        read + self.stored_bytes(clip, task, |_| USUAL_PIXELS)
    }

    /// Returns the expected bytes of a clip's records, in addition to its files. `pixels` gives the
    /// number of pixels of a stream's images. Files that are stored unchanged need no extra bytes.
    pub(super) fn stored_bytes(&self, clip: usize, task: &Task, pixels: impl Fn(usize) -> u64) -> u64 {
        let mut bytes = 0;
        for (stream, (kind, options)) in self.streams.iter().enumerate() {
            if task.read[stream] && (options.codec != Codec::Jpeg || self.video.is_some()) {
                let records = u64::from(self.frames[clip][stream]) * u64::from(kind.planes());
                bytes += records * record_bytes(*kind, options, pixels(stream));
            }
        }
        bytes
    }

    /// Returns the number of images that a clip's task reads, or makes from a video.
    pub(super) fn images(&self, clip: usize, task: Option<&Task>) -> u64 {
        let (Some(task), Some(files)) = (task, &self.files[clip]) else { return 0 };
        let kinds = self.kinds();
        let read = kinds.iter().enumerate().filter(|(stream, _)| task.read[*stream]);
        read.map(|(stream, kind)| u64::from(files.frames(&kinds, stream)) * u64::from(kind.planes())).sum()
    }
}
