//! Compares an existing dataset with the one that a build makes.

use std::collections::BTreeMap;

use clipshard::{Clip, Manifest, VerifyDepth};

use super::planned::Job;
use crate::error::{Error, Problem, Result, Setting};
use crate::pack::described::without_measured;
use crate::pack::difference::attributes_difference;
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
            attributes: manifest.attributes.clone(),
            part,
            ..plan.clone()
        };
        if let Some(difference) = there.difference(&plan) {
            return Ok(Some(difference));
        }
        let listed: BTreeMap<&str, usize> =
            self.lists.clips.iter().enumerate().map(|(i, clip)| (clip.id.as_str(), i)).collect();
        for clip in &manifest.clips {
            let Some(&number) = listed.get(clip.id.as_str()) else {
                return Ok(Some(format!("clip {} is not in the lists", clip.id).into()));
            };
            if let Some(difference) = self.clip_difference(number, clip, manifest.groups.get(&clip.id)) {
                return Ok(Some(format!("clip {}{difference}", clip.id).into()));
            }
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

    /// Returns how a packed clip differs from the listed one, as the end of a message.
    fn clip_difference(&self, number: usize, clip: &Clip, group: Option<&String>) -> Option<String> {
        let expected = &self.lists.clips[number];
        if (clip.label, &clip.subsets, group) != (expected.label, &expected.subsets, expected.group.as_ref())
            || self.files[number].is_none()
        {
            return Some(" does not match the lists".into());
        }
        let stored = clip.attributes.clone();
        let stored = if self.video.is_some() { without_measured(stored, &expected.attributes) } else { stored };
        attributes_difference(&stored, &expected.attributes).map(|difference| format!(": {difference}"))
    }
}
