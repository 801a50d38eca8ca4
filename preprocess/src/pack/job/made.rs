//! Compares an existing dataset with the one that a build makes.

use std::collections::BTreeMap;

use clipshard::{Manifest, VerifyDepth};

use super::planned::Job;
use crate::error::{Error, Problem, Result, Setting};
use crate::pack::part_record::PartRecord;
use crate::pack::plan::BuildPlan;
use crate::pack::report::{BuildReport, Totals};
use crate::progress::Watch;
use crate::verify::verify;

impl Job<'_> {
    /// Compares the existing dataset with the one that this build makes. Returns the difference, or
    /// `None` if they are the same; the report then describes the dataset. If it is the same but
    /// damaged, that is an error, or a difference if the dataset may be overwritten.
    pub fn compare_made(&self, report: &mut BuildReport, watch: Watch<'_>) -> Result<Option<Problem>> {
        let out = &self.options.out;
        let manifest = match Manifest::read(out) {
            Ok(manifest) => manifest,
            Err(error) => return Ok(Some(error.to_string().into())),
        };
        let part = PartRecord::read(out).ok().flatten().and_then(|record| record.plan.part);
        let plan = self.build_plan();
        let there = BuildPlan {
            dataset: manifest.dataset.clone(),
            classes: manifest.classes.clone(),
            splits: manifest.splits.clone(),
            build: manifest.build.clone(),
            part,
            ..plan.clone()
        };
        if let Some(difference) = there.difference(&plan) {
            return Ok(Some(difference));
        }
        let listed: BTreeMap<&str, usize> =
            self.lists.clips.iter().enumerate().map(|(i, clip)| (clip.id.as_str(), i)).collect();
        let planned = |clip: &clipshard::Clip| {
            listed.get(clip.id.as_str()).is_some_and(|&i| {
                let expected = &self.lists.clips[i];
                (clip.label, &clip.subsets, &clip.attributes)
                    == (expected.label, &expected.subsets, &expected.attributes)
                    && manifest.groups.get(&clip.id) == expected.group.as_ref()
                    && self.files[i].is_some()
            })
        };
        if let Some(clip) = manifest.clips.iter().find(|clip| !planned(clip)) {
            return Ok(Some(format!("clip {} does not match the lists", clip.id).into()));
        }
        if manifest.clips.len() as u64 != report.clips && !self.options.keep_going {
            return Ok(Some(
                format!("the number of clips is {}, but should be {}", manifest.clips.len(), report.clips).into(),
            ));
        }
        let checked = verify(out, VerifyDepth::Checksums, watch.progress)?;
        if let Some(damage) = checked.damage.first() {
            if self.options.overwrite {
                return Ok(Some(damage.to_string().into()));
            }
            let again = Problem::from(format!("{damage}; to pack the dataset again, use "));
            return Err(Error::Input(again.name(Setting::Overwrite).then(" instead of ").name(Setting::Resume)));
        }
        report.summarise(&manifest, &Totals::default());
        Ok(None)
    }
}
