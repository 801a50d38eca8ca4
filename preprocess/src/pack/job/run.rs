//! Reads and encodes clips in threads, and writes them in order.

use std::sync::atomic::{AtomicBool, Ordering};

use super::planned::Job;
use super::round::Round;
use super::task::Task;
use crate::clip::Absence;
use crate::error::{ClipError, Error, Problem, Result, Setting, Skipped};
use crate::pack::described::{Contradictions, Described, describe};
use crate::pack::encode::{ClipEncoder, ReadClip};
use crate::pack::encoded::EncodedClip;
use crate::pack::pipeline::{Held, Threads, run_ordered};
use crate::pack::plan::USUAL_PIXELS;
use crate::pack::report::Totals;
use crate::pack::writer::Writer;
use crate::progress::{Watch, Work};

/// State that all threads of a run share.
pub(super) struct Run<'r> {
    job: &'r Job<'r>,
    round: &'r Round,
    watch: Watch<'r>,
    /// Whether clips are still stored. Once the build cannot succeed, the remaining clips are only
    /// checked, so that the error names all faulty clips.
    storing: AtomicBool,
}

/// The results of a run.
#[derive(Default)]
pub(super) struct Outcome {
    pub totals: Totals,
    /// Clips that are missing or damaged.
    pub faults: Vec<Skipped>,
    /// Clips that are too short.
    pub short: Vec<Skipped>,
    pub notes: Vec<String>,
    /// Clips whose lists contradict their videos.
    pub contradictions: Contradictions,
}

/// The result for one clip.
enum Product {
    /// The clip had no task.
    Nothing,
    Encoded(EncodedClip),
    Absent(Absence),
}

impl<'r> Run<'r> {
    pub fn new(job: &'r Job<'r>, round: &'r Round, watch: Watch<'r>) -> Self {
        Self { job, round, watch, storing: AtomicBool::new(true) }
    }

    /// Packs all clips into the writer's shards. Reports clips that cannot be packed in the
    /// outcome, not as an error.
    pub fn pack(&self, writer: &mut Writer<'_>) -> Result<Outcome> {
        let options = self.job.options;
        let mut outcome = Outcome::default();
        run_ordered(
            &self.round.weights,
            Threads { readers: options.readers, jobs: options.jobs },
            self.watch.cancel,
            |clip| self.read(clip),
            || ClipEncoder::new(self.job.setup(self.watch)),
            |encoder, clip, read| self.encode(encoder, clip, read),
            |clip, product| self.take(clip, product, writer, &mut outcome),
        )?;
        Ok(outcome)
    }

    /// Reads the files of a clip that must be packed or checked.
    fn read(&self, clip: usize) -> Result<Held<Option<ReadClip<'r>>>> {
        let (Some(task), Some(files)) = (&self.round.tasks[clip], &self.job.files[clip]) else {
            return Ok(Held { value: None, bytes: 0 });
        };
        let read = ReadClip::read(files, &task.read, |frames| 0..frames, self.watch.cancel)?;
        let pixels = |stream| read.pixels(stream).unwrap_or(USUAL_PIXELS);
        let bytes = read.bytes() + self.job.stored_bytes(clip, task, pixels);
        Ok(Held { value: Some(read), bytes })
    }

    fn encode(&self, encoder: &mut ClipEncoder<'_>, clip: usize, read: Option<ReadClip<'r>>) -> Result<Held<Product>> {
        let (Some(read), Some(task)) = (read, &self.round.tasks[clip]) else {
            return Ok(Held { value: Product::Nothing, bytes: 0 });
        };
        match encoder.encode(read, task.store && self.storing.load(Ordering::Relaxed)) {
            Ok(encoded) => Ok(Held { bytes: encoded.bytes(), value: Product::Encoded(encoded) }),
            Err(ClipError::Clip(absence)) => Ok(Held { value: Product::Absent(absence), bytes: 0 }),
            Err(ClipError::Work(error)) => Err(error),
        }
    }

    /// Writes or records the result for the next clip.
    fn take(&self, clip: usize, product: Product, writer: &mut Writer<'_>, outcome: &mut Outcome) -> Result<()> {
        let Some(task) = &self.round.tasks[clip] else { return Ok(()) };
        match product {
            Product::Nothing => Ok(()),
            Product::Encoded(encoded) => self.store(clip, task, &encoded, writer, outcome),
            Product::Absent(absence) => self.skip(clip, task, &absence, outcome),
        }
    }

    fn store(
        &self,
        clip: usize,
        task: &Task,
        encoded: &EncodedClip,
        writer: &mut Writer<'_>,
        outcome: &mut Outcome,
    ) -> Result<()> {
        if !task.store {
            return Err(self.job.now_whole(clip, &self.round.finished));
        }
        let listed = &self.job.lists.clips[clip];
        outcome.totals.add(encoded);
        // As in the total, also for a clip that is only checked.
        let images = self.job.images(clip, Some(task));
        self.watch.progress.add(Work { clips: 1, images, bytes: encoded.bytes_in });
        outcome.notes.extend(encoded.notes.iter().map(|note| format!("{}: {note}", listed.id)));
        let Described { attributes, contradiction } = describe(&listed.attributes, &encoded.measured);
        outcome.contradictions.add(&listed.id, contradiction);
        if self.storing.load(Ordering::Relaxed) {
            writer.add(clip, listed, &attributes, &encoded.streams)?;
        }
        Ok(())
    }

    /// Records a clip that cannot be packed, although the scan found no fault.
    fn skip(&self, clip: usize, task: &Task, absence: &Absence, outcome: &mut Outcome) -> Result<()> {
        let id = &self.job.lists.clips[clip].id;
        if let Some(shard) = &task.in_finished {
            let problem = Problem::from(format!(
                "{id}: {absence}; it was complete when {shard} was packed: restore it, or start again with "
            ));
            return Err(Error::Input(problem.name(Setting::Overwrite)));
        }
        let skipped = Skipped { clip: id.clone(), reason: absence.to_string() };
        if matches!(absence, Absence::Short(_)) {
            outcome.short.push(skipped);
        } else {
            self.storing.store(self.job.options.keep_going, Ordering::Relaxed);
            outcome.faults.push(skipped);
        }
        Ok(())
    }
}
