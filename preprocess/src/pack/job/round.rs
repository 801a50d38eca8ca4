//! The remaining work of a build after an earlier run finished some shards.

use std::path::Path;

use super::planned::Job;
use super::task::Task;
use crate::error::Result;
use crate::pack::estimate::announce;
use crate::pack::finished::{FinishedClip, FinishedShards, find_finished, remove_strays};
use crate::pack::report::BuildReport;
use crate::pack::writer::Writer;
use crate::progress::{Watch, Work};
use crate::quantity::counted;

/// The remaining work.
pub(super) struct Round {
    /// Finished shards of each stream.
    pub finished: Vec<FinishedShards>,
    /// The task of each listed clip; `None` if nothing remains to do.
    pub tasks: Vec<Option<Task>>,
    /// Bytes that each clip is expected to hold while it is in progress.
    pub weights: Vec<u64>,
}

impl Round {
    /// Finds finished shards in `set`, removes everything else from it, and plans the rest.
    pub fn plan(job: &Job<'_>, set: &Path, report: &mut BuildReport, watch: Watch<'_>) -> Result<Self> {
        remove_strays(set, job.streams.iter().map(|(kind, _)| *kind).zip(&job.plans))?;
        let mut finished: Vec<FinishedShards> = Vec::new();
        for ((kind, _), plan) in job.streams.iter().zip(&job.plans) {
            let found = find_finished(set, *kind, plan, &job.lists.clips, &job.metadata, watch)?;
            finished.push(found.shards);
            report.notes.extend(found.notes);
        }
        let kept: usize = finished.iter().map(FinishedShards::len).sum();
        if kept > 0 {
            report.notes.push(format!("{} already finished", counted(kept as u64, "shard is", "shards are")));
        }
        let tasks: Vec<Option<Task>> = (0..job.files.len()).map(|clip| job.task(clip, &finished)).collect();
        let weights = tasks.iter().enumerate().map(|(clip, task)| job.weight(clip, task.as_ref())).collect();
        Ok(Self { finished, tasks, weights })
    }

    /// Adds the finished shards to a writer. Returns an error if they contradict each other.
    pub fn keep_finished(&self, job: &Job<'_>, writer: &mut Writer<'_>) -> Result<()> {
        for (stream, shards) in self.finished.iter().enumerate() {
            for (&number, shard) in shards {
                writer.keep_shard(stream, number, shard.info.clone());
                for (&clip, finished) in &shard.clips {
                    let FinishedClip { frames, attributes } = finished;
                    writer.keep_clip(clip, &job.lists.clips[clip], attributes, stream, *frames)?;
                }
            }
        }
        Ok(())
    }

    /// Reports how long videos will take, and starts the progress bar.
    pub fn announce(&self, job: &Job<'_>, watch: Watch<'_>) -> Result<()> {
        let total = Work {
            clips: self.tasks.iter().flatten().count() as u64,
            images: self.tasks.iter().enumerate().map(|(clip, task)| job.images(clip, task.as_ref())).sum(),
            bytes: 0,
        };
        if job.video.is_some() && total.clips > 0 {
            let reads = |stream: usize, clip: usize| self.tasks[clip].as_ref().is_some_and(|task| task.read[stream]);
            announce(job.setup(watch), &job.files, reads, (job.options.jobs, job.can_resume), watch)?;
        }
        watch.progress.begin("packing", total);
        Ok(())
    }
}
