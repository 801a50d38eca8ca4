//! Training clips that are held out as val clips, which choose the best epoch.

use crate::base::console::note;
use crate::base::usage::Usage;
use anyhow::Result;
use clip_loader::{Error, Split};
use clipshard::Dataset;
use std::collections::BTreeMap;

/// Largest number of groups, classes or clips that a message names.
const NAMED: usize = 30;

/// Moves training clips to the val clips: those of the groups `groups`, or groups with about `share`
/// of the clips of each class. Prints a note on classes that then have no val clip.
///
/// # Errors
/// A group has no training clip, a clip has no group, no group can be held out, or no training clip
/// remains.
pub fn hold_out(split: &mut Split, data: &Dataset, groups: &[String], share: f64) -> Result<()> {
    split.hold_out(data, groups).map_err(|error| match &error {
        Error::NoGroup { group, known } => {
            let cure = if known.is_empty() {
                "the clips have no groups, so remove --val-groups".into()
            } else {
                format!("use some of {}", few(known))
            };
            Usage(format!("--val-groups {group}: no training clip belongs to this group; {cure}"))
        }
        _ => Usage("--val-groups names all groups, so no training clip remains; name fewer groups".into()),
    })?;
    let lacking = split.hold_out_share(data, share).map_err(|error| {
        let fault = match &error {
            Error::WithoutGroup { clip, clips, all } => format!(
                "{clips} of {all} training clips have no group, for example {clip}; remove --val-share, or pack the \
                 dataset again from lists with the column group"
            ),
            Error::NothingHeldOut { .. } => "no group of clips can be held out, because each class has only one \
                                             group, its groups are too large, or their clips cannot be used; use a \
                                             larger --val-share, or remove it"
                .into(),
            Error::NothingToTrain => "no training clip remains; use a smaller --val-share".into(),
            other => other.to_string(),
        };
        Usage(format!("--val-share {share}: {fault}"))
    })?;
    if !lacking.is_empty() {
        let classes = lacking.iter().filter_map(|&label| data.manifest().classes.get(label as usize));
        note(&format!(
            "note: --val-share {share} holds out no clip of {} classes, because each has one group, or its groups are \
             too large: {}",
            lacking.len(),
            few(&classes.collect::<Vec<_>>())
        ));
    }
    Ok(())
}

/// Describes the val clips: their number per class, and the names of the first ones.
pub fn val_lines(split: &Split, data: &Dataset) -> Vec<String> {
    if split.val.is_empty() {
        return Vec::new();
    }
    let mut counts: BTreeMap<u32, [usize; 2]> = BTreeMap::new();
    for (place, clips) in [&split.val, &split.train].into_iter().enumerate() {
        for label in clips.iter().filter_map(|clip| clip.label) {
            counts.entry(label).or_default()[place] += 1;
        }
    }
    let per_class = counts.into_iter().filter_map(|(label, [val, train])| {
        let class = data.manifest().classes.get(label as usize)?;
        Some(format!("{class} {val} of {}", val + train))
    });
    let ids: Vec<&str> = split.val.iter().map(|clip| clip.id.as_str()).collect();
    vec![format!("val clips per class: {}", few(&per_class.collect::<Vec<_>>())), format!("val clips: {}", few(&ids))]
}

/// Joins names. Counts those after the first 30.
fn few<S: AsRef<str>>(names: &[S]) -> String {
    let first: Vec<&str> = names.iter().take(NAMED).map(AsRef::as_ref).collect();
    let more = names.len() - first.len();
    if more == 0 { first.join(", ") } else { format!("{} and {more} more", first.join(", ")) }
}
