//! Moves groups of training clips to the val clips.
//!
//! Clips of one group show the same people in the same place. A val clip is therefore only a fair
//! test if no clip of its group is trained on.

use super::Split;
use super::groups::group_of;
use crate::{Error, Result};
use clipshard::order::mix64;
use clipshard::{Dataset, Manifest, Subset};
use std::collections::{BTreeMap, BTreeSet};

impl Split {
    /// Moves the clips of these groups from `train` to `val`.
    ///
    /// The group of a clip is the one in the manifest, or else the one in its name. Names of UCF101
    /// have `gNN`, and names of HMDB51 and JHMDB have the source video.
    ///
    /// # Errors
    /// Returns [`Error::NoGroup`] or [`Error::NothingToTrain`]. The split then stays as it was.
    pub fn hold_out(&mut self, data: &Dataset, groups: &[String]) -> Result<()> {
        let manifest = data.manifest();
        let known: BTreeSet<&str> =
            self.train.iter().filter_map(|clip| group_of(manifest, manifest.clips.get(clip.clip)?)).collect();
        if let Some(unknown) = groups.iter().find(|group| !known.contains(group.as_str())) {
            let known = known.into_iter().map(str::to_owned).collect();
            return Err(Error::NoGroup { group: unknown.clone(), known });
        }
        self.move_groups(data, &groups.iter().map(String::as_str).collect())
    }

    /// Moves groups of training clips to `val`, until about `share` of the training clips of each
    /// class are val clips. Returns the labels of the classes that have training clips but no val
    /// clips.
    ///
    /// A class keeps at least one group in `train`. A class can get fewer val clips if its groups are
    /// large. Groups are those of [`Split::hold_out`]. If clips of several classes have the same
    /// group, they move together.
    ///
    /// The choice depends on the names of the groups and on the number of training clips per class
    /// and group in the manifest. It does not depend on the stream, on the order of the clips, on a
    /// seed or on the machine. All views of a split therefore hold out the same groups.
    ///
    /// Groups are visited in the order of the hash of their names. A group moves if that brings the
    /// numbers of val clips closer to the wanted ones, summed over the classes.
    ///
    /// # Errors
    /// Returns [`Error::Option`] if `share` is not in 0..1, [`Error::WithoutGroup`] if a training clip
    /// has no group, [`Error::NothingHeldOut`] if no group with usable clips can move, and [`Error::NothingToTrain`] if
    /// no usable clip would remain. The split then stays as it was.
    pub fn hold_out_share(&mut self, data: &Dataset, share: f64) -> Result<Vec<u32>> {
        if !(0.0..1.0).contains(&share) {
            return Err(Error::option("share", share, "at least 0 and less than 1"));
        }
        if share == 0.0 {
            return Ok(Vec::new());
        }
        let clips = training_clips(data.manifest(), self.number)?;
        let held_out = choose(&clips, share);
        if held_out.is_empty() {
            return Err(Error::NothingHeldOut { share });
        }
        let before = self.val.len();
        let mut moved = self.clone();
        moved.move_groups(data, &held_out)?;
        // All clips of these groups may be too short for the view, or their frames may be lost.
        if moved.val.len() == before {
            return Err(Error::NothingHeldOut { share });
        }
        *self = moved;
        let labels = |is_held_out: bool| -> BTreeSet<u32> {
            clips.iter().filter(|(_, group)| held_out.contains(group) == is_held_out).map(|&(label, _)| label).collect()
        };
        Ok(labels(false).difference(&labels(true)).copied().collect())
    }

    /// Moves the clips of groups from `train` to `val`.
    fn move_groups(&mut self, data: &Dataset, groups: &BTreeSet<&str>) -> Result<()> {
        let manifest = data.manifest();
        let (moved, train): (Vec<_>, Vec<_>) = self.train.iter().cloned().partition(|clip| {
            let group = manifest.clips.get(clip.clip).and_then(|clip| group_of(manifest, clip));
            group.is_some_and(|group| groups.contains(group))
        });
        if train.is_empty() {
            return Err(Error::NothingToTrain);
        }
        let mut val: Vec<_> = self.val.iter().cloned().chain(moved).collect();
        val.sort_by_key(|clip| clip.clip);
        (self.val, self.train) = (val.into(), train.into());
        Ok(())
    }
}

/// Lists label and group of all labelled training clips of split number `split`. Also lists those that
/// are too short for a view.
fn training_clips(manifest: &Manifest, split: usize) -> Result<Vec<(u32, &str)>> {
    let (mut clips, mut without, mut first) = (Vec::new(), 0, None);
    for clip in manifest.clips.iter().filter(|clip| clip.subsets.get(split) == Some(&Subset::Train)) {
        let Some(label) = clip.label else { continue };
        if let Some(group) = group_of(manifest, clip) {
            clips.push((label, group));
        } else {
            without += 1;
            first = first.or(Some(&clip.id));
        }
    }
    match first {
        Some(first) => Err(Error::WithoutGroup { clip: first.clone(), clips: without, all: clips.len() + without }),
        None => Ok(clips),
    }
}

/// The training clips of one class.
#[derive(Default)]
struct Class {
    clips: usize,
    /// Number of groups that are not held out.
    groups: usize,
    /// Number of clips that are held out.
    held_out: usize,
}

/// Chooses the groups to hold out from the label and the group of each training clip.
fn choose<'a>(clips: &[(u32, &'a str)], share: f64) -> BTreeSet<&'a str> {
    let mut groups: BTreeMap<&str, BTreeMap<u32, usize>> = BTreeMap::new();
    let mut classes: BTreeMap<u32, Class> = BTreeMap::new();
    for &(label, group) in clips {
        classes.entry(label).or_default().clips += 1;
        *groups.entry(group).or_default().entry(label).or_default() += 1;
    }
    for label in groups.values().flat_map(BTreeMap::keys) {
        classes.entry(*label).or_default().groups += 1;
    }
    let mut ordered: Vec<_> = groups.into_iter().collect();
    ordered.sort_by_key(|(name, _)| hash(name));
    let mut held_out = BTreeSet::new();
    for (name, members) in ordered {
        let mut change = 0.0;
        let mut is_last = false;
        for (label, clips) in &members {
            let Some(class) = classes.get(label) else { continue };
            let wanted = share * class.clips as f64;
            let distance = |clips: usize| (clips as f64 - wanted).abs();
            change += distance(class.held_out + clips) - distance(class.held_out);
            is_last |= class.groups <= 1;
        }
        if is_last || change >= 0.0 {
            continue;
        }
        for (label, clips) in members {
            let class = classes.entry(label).or_default();
            class.held_out += clips;
            class.groups -= 1;
        }
        held_out.insert(name);
    }
    held_out
}

/// Returns a hash of a name that is the same on every machine: FNV-1a (Fowler, Noll and Vo) of its
/// bytes, mixed so that similar names are far apart.
fn hash(name: &str) -> u64 {
    let (offset, prime) = (0xcbf2_9ce4_8422_2325_u64, 0x0100_0000_01b3);
    mix64(name.bytes().fold(offset, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(prime)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clipshard::Clip;

    /// Reference values of an independent implementation in Python: FNV-1a with the published test
    /// vectors `"" -> cbf29ce484222325` and `"a" -> af63dc4c8601ec8c`, then `mix64`.
    #[test]
    fn hashes_are_the_same_everywhere() {
        for (name, value) in [
            ("", 0xc381_7c01_6ba4_ff30),
            ("a", 0x5f29_c2aa_dd9b_8527),
            ("g08", 0x0bea_bb46_67b5_b112),
            ("Härte", 0xaa20_d62e_3d31_bab3),
        ] {
            assert_eq!(hash(name), value, "{name}");
        }
    }

    #[test]
    fn each_labelled_training_clip_has_a_group() {
        let clip = |id: &str, label: Option<u32>, subset: &str| {
            let mut clip = Clip::new(id, 0, vec![Subset::Unused, subset.into()]);
            clip.label = label;
            clip
        };
        let mut manifest = Manifest::new("d", vec!["run".into()], vec!["1".into(), "2".into()]);
        manifest.clips = vec![
            clip("A_run_f_cm_np1_ba_med_0", Some(0), "train"),
            clip("b", Some(0), "test"),
            clip("c", None, "train"),
            clip("d", Some(0), "train"),
            clip("e", Some(0), "train"),
        ];
        let error = training_clips(&manifest, 1).unwrap_err().to_string();
        assert_eq!(error, "2 of 3 training clips have no group, for example d; pack the dataset with groups");
        manifest.groups = [("d", "x"), ("e", "y")].map(|(id, group)| (id.to_owned(), group.to_owned())).into();
        assert_eq!(training_clips(&manifest, 1).unwrap(), [(0, "A"), (0, "x"), (0, "y")]);
        assert_eq!(training_clips(&manifest, 0).unwrap(), []);
    }

    #[test]
    fn a_share_of_each_class_is_held_out_by_whole_groups() {
        // Three classes of 18 groups with 5 clips each, as in UCF101.
        let names: Vec<String> = (8..26).map(|number| format!("g{number:02}")).collect();
        let clips: Vec<(u32, &str)> =
            (0..3).flat_map(|label| names.iter().map(move |name| (label, name.as_str()))).collect();
        let clips = clips.repeat(5);
        // As chosen by an independent implementation in Python.
        assert_eq!(choose(&clips, 0.1), BTreeSet::from(["g15", "g23"]));
        assert_eq!(choose(&clips, 0.2), BTreeSet::from(["g08", "g15", "g22", "g23"]));
        // The order of the clips does not matter, nor do the numbers of the classes.
        let reversed: Vec<(u32, &str)> = clips.iter().rev().map(|&(label, group)| (7 - label, group)).collect();
        assert_eq!(choose(&reversed, 0.2), choose(&clips, 0.2));
    }

    #[test]
    fn a_class_keeps_a_group_to_train_on() {
        let clips = [(0, "a"), (0, "a"), (1, "b"), (1, "c"), (1, "d")];
        for (share, wanted) in [(0.01, 0), (0.3, 1), (0.6, 2), (0.99, 2)] {
            let held_out = choose(&clips, share);
            assert!(!held_out.contains("a"), "{share}");
            assert_eq!(held_out.len(), wanted, "{share}: {held_out:?}");
        }
        // Both groups of class 0 have clips of other classes, whose only group they are.
        assert_eq!(choose(&[(0, "a"), (1, "a"), (0, "b"), (2, "b")], 0.5), BTreeSet::new());
    }

    #[test]
    fn groups_that_are_too_large_stay_in_training() {
        let mut clips = vec![(0, "large"); 20];
        clips.extend([(0, "b"), (0, "b"), (0, "c"), (0, "d"), (0, "e"), (0, "f")]);
        for share in [0.05, 0.1, 0.15, 0.2] {
            let held_out = choose(&clips, share);
            assert!(!held_out.contains("large") && !held_out.is_empty(), "{share}: {held_out:?}");
        }
        assert!(choose(&clips, 0.8).contains("large"));
    }
}
