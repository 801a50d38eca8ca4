//! Joins the lists of new clips with those of a dataset.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use clipshard::{Clip, Manifest, Subset};

use crate::error::{Error, Problem, Result, Setting};
use crate::lists::{ListedClip, Lists, clip_key, renumber_labels};
use crate::quantity::{counted, show_count};

/// Stands for the class in the id of a clip without a label.
const UNLABELLED: &str = "unlabelled";

/// The result of [`join`].
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Joined {
    /// Clips that the dataset has already, and that are no longer in the lists.
    pub existing: Vec<ListedClip>,
    /// Classes that the dataset lacks.
    pub new_classes: Vec<String>,
}

/// Gives the listed clips the splits and labels of the dataset in `dir`. New classes come after
/// those of the dataset. If `skip` is set, clips that the dataset has already are removed.
///
/// # Errors
/// Returns [`Error::Input`] if the dataset has some of the clips already, or lacks a split.
pub(super) fn join(lists: &mut Lists, dir: &Path, old: &Manifest, skip: bool) -> Result<Joined> {
    join_splits(lists, dir, old)?;
    let existing = remove_existing(lists, dir, old, skip)?;
    let new_classes = join_classes(lists, old);
    Ok(Joined { existing, new_classes })
}

fn join_splits(lists: &mut Lists, dir: &Path, old: &Manifest) -> Result<()> {
    let mut places = Vec::new();
    for split in &lists.splits {
        let Some(place) = old.splits.iter().position(|name| name == split) else {
            let names = if old.splits.is_empty() { "none".into() } else { old.splits.join(", ") };
            return Err(Error::input(
                Problem::from(Setting::Lists)
                    .then(format!(" has the split {split}, but the splits of {} are: {names}", dir.display())),
            ));
        };
        places.push(place);
    }
    let others: Vec<&str> = old.splits.iter().filter(|name| !lists.splits.contains(name)).map(String::as_str).collect();
    if !others.is_empty() {
        let splits = if others.len() == 1 { "split" } else { "splits" };
        lists.notes.push(format!("the new clips are unused in {splits} {}, which the lists lack", others.join(", ")));
    }
    for clip in &mut lists.clips {
        let mut subsets = vec![Subset::Unused; old.splits.len()];
        for (subset, &place) in clip.subsets.drain(..).zip(&places) {
            subsets[place] = subset;
        }
        clip.subsets = subsets;
    }
    lists.splits.clone_from(&old.splits);
    Ok(())
}

/// Finds the clip of a dataset that is a listed clip of the class `class`. The id of either may
/// have the class before the name: that depends on the other clips of its lists.
fn find<'a>(
    there: &HashMap<String, &'a Clip>,
    old: &Manifest,
    clip: &ListedClip,
    class: Option<&str>,
) -> Option<&'a Clip> {
    let with_class = format!("{}__{}", class.unwrap_or(UNLABELLED), clip.folder);
    let is_of_class = |one: &&&Clip| match (class_of(one.label, &old.classes), class) {
        (Some(was), Some(is)) => was.eq_ignore_ascii_case(is),
        (was, is) => was == is,
    };
    let other = |id: &str| there.get(&clip_key(id)).filter(is_of_class).copied();
    other(&with_class).or_else(|| other(&clip.folder)).or_else(|| there.get(&clip_key(&clip.id)).copied())
}

fn class_of(label: Option<u32>, classes: &[String]) -> Option<&str> {
    label.and_then(|label| classes.get(label as usize)).map(String::as_str)
}

fn remove_existing(lists: &mut Lists, dir: &Path, old: &Manifest, skip: bool) -> Result<Vec<ListedClip>> {
    let there: HashMap<String, &Clip> = old.clips.iter().map(|clip| (clip_key(&clip.id), clip)).collect();
    let (mut existing, mut first, mut is_there) = (0_u64, None, Vec::new());
    for clip in &lists.clips {
        let is = class_of(clip.label, &lists.classes);
        let found = find(&there, old, clip, is);
        is_there.push(found.is_some());
        let Some(one) = found else { continue };
        let was = class_of(one.label, &old.classes);
        if was.zip(is).is_some_and(|(was, is)| !was.eq_ignore_ascii_case(is)) {
            return Err(Error::input(format!(
                "{} has a clip {} of the class {}, but the lists have one of the class {}; rename the new clip",
                dir.display(),
                one.id,
                was.unwrap_or_default(),
                is.unwrap_or_default()
            )));
        }
        existing += 1;
        first.get_or_insert(&clip.id);
    }
    if let Some(first) = first.filter(|_| !skip) {
        let all = counted(lists.clips.len() as u64, "clip", "clips");
        let are = if existing == 1 { "is" } else { "are" };
        let what = format!(
            "{} of {all} {are} in {} already, such as {first}; skip them with ",
            show_count(existing),
            dir.display()
        );
        return Err(Error::Input(Problem::from(what).name(Setting::SkipExisting)));
    }
    let mut is_there = is_there.into_iter();
    Ok(lists.clips.extract_if(.., |_| is_there.next().unwrap_or(false)).collect())
}

/// Returns the classes that the dataset lacks.
fn join_classes(lists: &mut Lists, old: &Manifest) -> Vec<String> {
    let mut used: BTreeSet<u32> = lists.clips.iter().filter_map(|clip| clip.label).collect();
    for clip in &lists.clips {
        // Visits the labels of a clip with several classes.
        renumber_labels(&mut clip.attributes.clone(), |label| {
            used.insert(label);
            Some(label)
        });
    }
    let (mut joined, mut labels) = (old.classes.clone(), HashMap::new());
    for (number, name) in (0_u32..).zip(&lists.classes).filter(|(number, _)| used.contains(number)) {
        let same = old.classes.iter().position(|class| class == name);
        let same = same.or_else(|| {
            let similar = old.classes.iter().position(|class| class.eq_ignore_ascii_case(name))?;
            lists
                .notes
                .push(format!("the class {name} of the lists is the class {} of the dataset", old.classes[similar]));
            Some(similar)
        });
        let label = same.unwrap_or_else(|| {
            joined.push(name.clone());
            joined.len() - 1
        });
        labels.insert(number, label as u32);
    }
    for clip in &mut lists.clips {
        let new_label = |label: u32| labels.get(&label).copied();
        clip.label = clip.label.and_then(new_label);
        renumber_labels(&mut clip.attributes, new_label);
    }
    let new = joined[old.classes.len()..].to_vec();
    lists.classes = joined;
    new
}

#[cfg(test)]
mod tests {
    use clipshard::Attributes;

    use super::*;

    fn lists(clips: &[(&str, u32)], classes: &[&str], splits: &[&str]) -> Lists {
        let clip = |&(id, label): &(&str, u32)| ListedClip {
            id: id.to_owned(),
            folder: id.to_owned(),
            class_folder: None,
            label: Some(label),
            subsets: vec![Subset::Train; splits.len()],
            group: None,
            row: None,
            attributes: Attributes::new(),
        };
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Lists {
            dataset: "custom",
            classes: names(classes),
            splits: names(splits),
            clips: clips.iter().map(clip).collect(),
            notes: Vec::new(),
        }
    }

    fn old() -> Manifest {
        let mut old = Manifest::new("x", vec!["Dive".into(), "Row".into()], vec!["1".into(), "2".into(), "3".into()]);
        old.clips.push(Clip::new("v_Row_1", 1, vec![Subset::Train; 3]));
        old
    }

    #[test]
    fn classes_keep_their_labels_and_new_ones_follow() {
        let mut lists = lists(&[("a", 0), ("b", 2), ("c", 3)], &["Archery", "Unused", "row", "Dive"], &["3", "1"]);
        lists.clips[0].subsets = vec![Subset::Test, Subset::Train];
        let joined = join(&mut lists, Path::new("d"), &old(), false).unwrap();
        assert_eq!(joined, Joined { existing: vec![], new_classes: vec!["Archery".into()] });
        assert_eq!(lists.classes, ["Dive", "Row", "Archery"]);
        assert_eq!(lists.clips.iter().map(|clip| clip.label).collect::<Vec<_>>(), [Some(2), Some(1), Some(0)]);
        assert_eq!(lists.clips[0].subsets, [Subset::Train, Subset::Unused, Subset::Test]);
        assert_eq!(
            lists.notes,
            [
                "the new clips are unused in split 2, which the lists lack",
                "the class row of the lists is the class Row of the dataset"
            ]
        );
    }

    #[test]
    fn existing_clips_are_refused_or_skipped_however_they_are_spelt() {
        let two = || lists(&[("V_row_1", 1), ("new", 0)], &["Dive", "Row"], &["1"]);
        let error = join(&mut two(), Path::new("d"), &old(), false).unwrap_err().to_string();
        assert_eq!(error, "1 of 2 clips is in d already, such as V_row_1; skip them with `skip_existing`");
        let mut kept = two();
        assert_eq!(join(&mut kept, Path::new("d"), &old(), true).unwrap().existing.len(), 1);
        assert_eq!(kept.clips.iter().map(|clip| clip.id.as_str()).collect::<Vec<_>>(), ["new"]);
        let mut other = lists(&[("v_Row_1", 0)], &["Dive"], &["1"]);
        let error = join(&mut other, Path::new("d"), &old(), true).unwrap_err().to_string();
        assert!(error.contains("d has a clip v_Row_1 of the class Row, but the lists have one of the class Dive"));
    }

    #[test]
    fn a_clip_is_the_same_with_and_without_the_class_in_its_id() {
        let named = |id: &str, label| {
            let mut lists = lists(&[(id, label)], &["Dive", "Row"], &["1"]);
            lists.clips[0].folder = "x".into();
            lists
        };
        let dataset = |ids: &[(&str, u32)]| {
            let mut dataset = old();
            dataset.clips = ids.iter().map(|&(id, label)| Clip::new(id, label, vec![Subset::Train; 3])).collect();
            dataset
        };
        let existing = |dataset: &Manifest, id: &str, label| {
            join(&mut named(id, label), Path::new("d"), dataset, true).unwrap().existing.len()
        };
        let plain = dataset(&[("x", 0)]);
        assert_eq!((existing(&plain, "Dive__x", 0), existing(&plain, "Row__x", 1)), (1, 0));
        let both = dataset(&[("Dive__x", 0), ("Row__x", 1)]);
        assert_eq!((existing(&both, "x", 0), existing(&both, "x", 1)), (1, 1));
        let other = dataset(&[("Dive__x", 0)]);
        assert_eq!((existing(&other, "x", 1), existing(&other, "row__x", 1)), (0, 0));
        // The same id of another class is no new clip.
        let error = join(&mut named("x", 1), Path::new("d"), &plain, true).unwrap_err().to_string();
        assert!(error.contains("d has a clip x of the class Dive"), "{error}");
    }

    #[test]
    fn splits_must_be_those_of_the_dataset() {
        let error = join(&mut lists(&[("a", 0)], &["Dive"], &["4"]), Path::new("d"), &old(), false).unwrap_err();
        assert_eq!(error.to_string(), "`lists` has the split 4, but the splits of d are: 1, 2, 3");
    }
}
