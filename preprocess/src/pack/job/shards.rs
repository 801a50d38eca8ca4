//! Makes the shards of a build in its partial folder, and moves the finished dataset to its place.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clipshard::{Manifest, Storage};

use super::planned::Job;
use super::round::Round;
use super::run::{Outcome, Run};
use crate::error::{Error, Result};
use crate::pack::part_record::PartRecord;
use crate::pack::partial::{Leftover, PartialBuild};
use crate::pack::plan::BuildPlan;
use crate::pack::report::{BuildReport, Totals};
use crate::pack::writer::Writer;
use crate::place::target::Place;
use crate::progress::Watch;

impl Job<'_> {
    /// Packs all clips. If that fails, finished shards stay in the partial folder.
    pub fn pack(
        &self,
        storage: &Arc<dyn Storage>,
        place: Place,
        report: &mut BuildReport,
        watch: Watch<'_>,
    ) -> Result<()> {
        let leftover = match (self.options.resume, self.options.overwrite) {
            (true, _) => Leftover::Resume,
            (false, true) => Leftover::Discard,
            (false, false) => Leftover::Refuse,
        };
        let plan = self.build_plan();
        let partial = PartialBuild::open(Arc::clone(storage), &self.options.out, place, leftover, &plan)?;
        match self.fill(storage, &partial.set(), plan, report, watch) {
            Ok((manifest, totals)) => {
                partial.commit()?;
                report.summarise(&manifest, &totals);
                Ok(())
            }
            Err(error) => Err(partial.abandon(error)),
        }
    }

    /// Packs all clips into the folder `set`, which has no shards yet. If that fails, the folder has
    /// no manifest.
    pub fn pack_into(
        &self,
        storage: &Arc<dyn Storage>,
        set: &Path,
        report: &mut BuildReport,
        watch: Watch<'_>,
    ) -> Result<Manifest> {
        let (manifest, totals) = self.fill(storage, set, self.build_plan(), report, watch)?;
        report.summarise(&manifest, &totals);
        Ok(manifest)
    }

    /// Makes the missing shards and the manifest.
    fn fill(
        &self,
        storage: &Arc<dyn Storage>,
        set: &Path,
        plan: BuildPlan,
        report: &mut BuildReport,
        watch: Watch<'_>,
    ) -> Result<(Manifest, Totals)> {
        let round = Round::plan(self, set, report, watch)?;
        let kinds = self.streams.iter().map(|(kind, _)| *kind);
        let mut writer = Writer::new(Arc::clone(storage), set, kinds, &self.plans, &self.metadata);
        round.keep_finished(self, &mut writer)?;
        round.announce(self, watch)?;
        let outcome = Run::new(self, &round, watch).pack(&mut writer);
        watch.progress.end();
        let Outcome { totals, faults, short, notes, contradictions } = outcome?;
        report.notes.extend(notes.into_iter().chain(contradictions.note()));
        report.skipped.extend(short);
        self.skip(faults, report)?;
        let manifest = self.finish(writer, &**storage, set, plan, report)?;
        if watch.cancel.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        Ok((manifest, totals))
    }

    /// Closes the last shards, and writes the part's record, if the build is a part, and the
    /// manifest.
    fn finish(
        &self,
        writer: Writer<'_>,
        storage: &dyn Storage,
        set: &Path,
        plan: BuildPlan,
        report: &BuildReport,
    ) -> Result<Manifest> {
        let manifest = writer.finish()?;
        if self.options.part.is_some() {
            PartRecord { plan, skipped: report.skipped.clone() }.write(storage, set)?;
        }
        manifest.write_in(storage, set)?;
        Ok(manifest)
    }
}
