//! The content of split lists, and the selection of classes.

use std::collections::BTreeMap;

use clipshard::{Attributes, Subset};
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Problem, Result, Setting, SomeClasses};
use crate::quantity::counted;

/// A clip of the split lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedClip {
    /// Id of the clip: its name in the first list that has it, without class folder and extension.
    /// If clips of several classes share a name, the id is `Class__name`.
    pub id: String,
    /// Name of its folder in a frame tree, which is the id without the class.
    pub folder: String,
    /// Name of its class folder, in trees that have class folders.
    pub class_folder: Option<String>,
    /// Label of its class: the index into `Lists::classes`. `None` if the lists have no label for
    /// the clip.
    pub label: Option<u32>,
    /// Subset in each split, in the order of `Lists::splits`.
    pub subsets: Vec<Subset>,
    /// Group of related clips, such as those of one recording, if the lists have groups.
    pub group: Option<String>,
    /// Line of your own list, if its path names the class folder.
    pub row: Option<usize>,
    /// Anything else that the lists say about the clip, such as a caption.
    pub attributes: Attributes,
}

impl ListedClip {
    /// Returns its id and its group, if it has a group.
    pub(crate) fn id_and_group(&self) -> Option<(String, String)> {
        self.group.as_ref().map(|group| (self.id.clone(), group.clone()))
    }
}

/// Returns the key that all spellings of a clip's name share. The official lists spell
/// `v_HandStandPushups_*`, while many trees have `v_HandstandPushups_*`. File names from macOS have
/// accents as characters of their own.
///
/// ```
/// use ucfpack::lists::clip_key;
///
/// assert_eq!(clip_key("e\u{301}t\u{e9}"), clip_key("\u{e9}te\u{301}"));
/// assert_eq!(clip_key("\u{1112}\u{1161}\u{11ab}"), clip_key("\u{d55c}")); // Hangul
/// assert_eq!(clip_key("v_HandStandPushups_g01_c01"), clip_key("v_HandstandPushups_g01_c01"));
/// ```
pub fn clip_key(id: &str) -> String {
    id.to_ascii_lowercase().nfc().collect()
}

/// Returns the key that all spellings of a class name share: upper and lower case, and accents as
/// characters of their own.
fn class_key(name: &str) -> String {
    name.nfc().flat_map(char::to_lowercase).nfc().collect()
}

/// Returns whether two names differ at most in their spelling, as in [`clip_key`].
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    clip_key(a) == clip_key(b)
}

/// The content of split lists: classes, splits, and every clip with its label and its subset in
/// each split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lists {
    /// Name of the format, which is also that of the dataset, such as `ucf101` or `custom`.
    pub dataset: &'static str,
    /// Class names. The index is the label.
    pub classes: Vec<String>,
    /// Names of the splits, for example `1`, `2`, `3`.
    pub splits: Vec<String>,
    /// Clips, in byte order of their ids.
    pub clips: Vec<ListedClip>,
    /// Remarks that are no errors.
    pub notes: Vec<String>,
}

impl Lists {
    /// Keeps only the classes in `wanted`. Case does not matter, unless two classes differ only in
    /// it. They keep the order of the class list and get new labels from 0. Clips of no wanted class
    /// are removed, also those without a label.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] for an unknown class, with similar names, and for a name that means
    /// several classes.
    pub fn keep_classes(&mut self, wanted: &[String]) -> Result<()> {
        let mut kept = vec![false; self.classes.len()];
        for name in wanted {
            kept[self.label_of(name)?] = true;
        }
        let mut label = 0;
        let new_label: Vec<Option<u32>> = kept
            .iter()
            .map(|&keep| {
                keep.then(|| {
                    label += 1;
                    label - 1
                })
            })
            .collect();
        let mut kept = kept.iter();
        self.classes.retain(|_| *kept.next().unwrap_or(&false));
        let new_label = |label: u32| new_label.get(label as usize).copied().flatten();
        self.clips.retain_mut(|clip| {
            let was_labelled = clip.label.is_some();
            clip.label = clip.label.and_then(new_label);
            let has_others = renumber_labels(&mut clip.attributes, new_label);
            clip.label.is_some() || !was_labelled && has_others
        });
        Ok(())
    }

    /// Returns the label of the class with this name, or else of the only class with a name that
    /// differs in case or in the way to write accents.
    fn label_of(&self, name: &str) -> Result<usize> {
        if let Some(label) = self.classes.iter().position(|class| class == name) {
            return Ok(label);
        }
        let key = class_key(name);
        let mut similar = self.classes.iter().enumerate().filter(|(_, class)| class_key(class) == key);
        let what = match (similar.next(), similar.next()) {
            (Some((label, _)), None) => return Ok(label),
            (Some((_, first)), Some((_, second))) => {
                format!(": `{name}` can be `{first}` or `{second}`; write the name exactly")
            }
            (None, _) => format!(": there is no class `{name}`{}", self.near(name)),
        };
        Err(Error::usage(Problem::from(Setting::Classes).then(what)))
    }

    /// Adds a note about each subset that has a name of its own, as programs may not know it.
    pub(super) fn note_other_subsets(&mut self) {
        let mut others: BTreeMap<&str, u64> = BTreeMap::new();
        for clip in &self.clips {
            let names: std::collections::BTreeSet<&str> =
                clip.subsets.iter().filter(|subset| matches!(subset, Subset::Other(_))).map(Subset::name).collect();
            for name in names {
                *others.entry(name).or_default() += 1;
            }
        }
        let note = |(name, clips): (&str, u64)| {
            format!(
                "the subset `{name}` ({}) is none of train, val, test and unused; programs may treat it as unused",
                counted(clips, "clip", "clips")
            )
        };
        let notes: Vec<String> = others.into_iter().map(note).collect();
        self.notes.extend(notes);
    }

    /// Returns the classes that have clips in a source, if it lacks all listed clips of some class.
    /// `missing` tells for each clip whether the source lacks it. Returns `None` if no class has
    /// clips, or if the setting cannot name one because its name contains a comma.
    pub(crate) fn present_classes(&self, missing: impl Iterator<Item = bool>) -> Option<SomeClasses> {
        let (mut listed, mut present) = (vec![false; self.classes.len()], vec![false; self.classes.len()]);
        for (clip, is_missing) in self.clips.iter().zip(missing) {
            let Some(label) = clip.label.map(|label| label as usize) else { continue };
            listed[label] = true;
            present[label] |= !is_missing;
        }
        let lacks_one = listed.iter().zip(&present).any(|(listed, present)| *listed && !present);
        let named = self.classes.iter().zip(&present).filter(|(_, present)| **present).map(|(name, _)| name.clone());
        let present: Vec<String> = named.collect();
        let can_name = !present.is_empty() && !present.iter().any(|name| name.contains(','));
        (lacks_one && can_name).then_some(SomeClasses { present, of: self.classes.len() })
    }

    fn near(&self, name: &str) -> String {
        let name = class_key(name);
        let mut ranked: Vec<(usize, &str)> = self
            .classes
            .iter()
            .filter_map(|class| {
                let lower = class_key(class);
                let distance = if lower.contains(&name) || name.contains(&lower) { 1 } else { edits(&lower, &name) };
                (distance <= name.chars().count().div_ceil(3)).then_some((distance, class.as_str()))
            })
            .collect();
        ranked.sort_unstable();
        let names: Vec<&str> = ranked.into_iter().take(3).map(|(_, class)| class).collect();
        if names.is_empty() {
            format!("; the classes are {}", self.some_classes())
        } else {
            format!("; similar: {}", names.join(", "))
        }
    }

    fn some_classes(&self) -> String {
        let more = if self.classes.len() > 5 { ", ..." } else { "" };
        format!("{}{more}", self.classes.iter().take(5).cloned().collect::<Vec<_>>().join(", "))
    }
}

/// Replaces the labels in the attribute `labels`, and removes those without a new one. Returns
/// whether any remain. An attribute with anything else than labels is kept as it is.
pub(crate) fn renumber_labels(attributes: &mut Attributes, new_label: impl FnMut(u32) -> Option<u32>) -> bool {
    if attributes.is_empty() {
        return false;
    }
    let Some(Value::Array(labels)) = attributes.get("labels") else { return false };
    let old = labels.iter().map(|label| u32::try_from(label.as_u64()?).ok()).collect::<Option<Vec<u32>>>();
    let Some(old) = old else { return false };
    let kept: Vec<u32> = old.into_iter().filter_map(new_label).collect();
    let remain = !kept.is_empty();
    attributes.set("labels", kept);
    remain
}

/// Returns the number of single-letter edits between two names (Levenshtein distance).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let best = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = best;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_classes_renumber_the_labels_of_clips_with_several() {
        let clip = |id: &str, label, labels: &str| ListedClip {
            id: id.into(),
            folder: id.into(),
            class_folder: None,
            label,
            subsets: vec![Subset::Train],
            group: None,
            row: None,
            attributes: Attributes::from_json(labels).unwrap(),
        };
        let mut lists = Lists {
            dataset: "custom",
            classes: ["a", "b", "c"].map(String::from).into(),
            splits: vec!["1".into()],
            clips: vec![
                clip("several", None, r#"{"labels":[2,0],"x":1.0}"#),
                clip("others", None, r#"{"labels":[0]}"#),
                clip("one", Some(1), "{}"),
                clip("other", Some(0), r#"{"labels":[1]}"#),
                clip("none", None, "{}"),
            ],
            notes: Vec::new(),
        };
        lists.keep_classes(&["B".into(), "c".into()]).unwrap();
        let seen: Vec<_> = lists.clips.iter().map(|c| (c.id.as_str(), c.label, c.attributes.as_json())).collect();
        assert_eq!(
            (lists.classes.join(","), seen),
            ("b,c".into(), vec![("several", None, r#"{"x":1.0,"labels":[1]}"#), ("one", Some(0), "{}")])
        );
    }

    #[test]
    fn classes_are_chosen_exactly_or_else_in_any_spelling() {
        let chosen = |name: &str| {
            let classes = ["Javelin", "javelin", "\u{dc}bung", "e\u{301}t\u{e9}"].map(String::from).into();
            let (splits, clips, notes) = (Vec::new(), Vec::new(), Vec::new());
            let mut lists = Lists { dataset: "custom", classes, splits, clips, notes };
            lists.keep_classes(&[name.to_owned()]).map(|()| lists.classes).map_err(|error| error.to_string())
        };
        for (name, class) in [
            ("javelin", "javelin"),
            ("Javelin", "Javelin"),
            ("\u{fc}bung", "\u{dc}bung"),
            ("u\u{308}BUNG", "\u{dc}bung"),
            ("\u{e9}T\u{c9}", "e\u{301}t\u{e9}"),
        ] {
            assert_eq!(chosen(name), Ok(vec![class.to_owned()]), "{name}");
        }
        let error = chosen("JAVELIN").unwrap_err();
        assert_eq!(error, "`classes`: `JAVELIN` can be `Javelin` or `javelin`; write the name exactly");
        let error = chosen("\u{fc}bunk").unwrap_err();
        assert_eq!(error, "`classes`: there is no class `\u{fc}bunk`; similar: \u{dc}bung");
    }

    #[test]
    fn labels_that_are_no_numbers_of_classes_are_kept() {
        for text in [r#"{"labels":["red", "tall"]}"#, r#"{"labels":[0,"red"]}"#, r#"{"labels":[1.5]}"#] {
            let mut attributes = Attributes::from_json(text).unwrap();
            assert!(!renumber_labels(&mut attributes, |_| Some(7)), "{text}");
            assert_eq!(attributes.as_json(), text);
        }
    }

    #[test]
    fn edits_count_letters() {
        assert_eq!(edits("archery", "archrey"), 2);
        assert_eq!(edits("", "abc"), 3);
    }
}
