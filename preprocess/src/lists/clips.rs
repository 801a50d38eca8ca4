//! Clips as lists and folders name them.

use std::collections::BTreeMap;

use clipshard::{Attributes, Subset};
use unicode_normalization::UnicodeNormalization;

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
    /// Line of the CSV file, if its path names the class folder.
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

/// Returns whether two names differ at most in their spelling, as in [`clip_key`].
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    clip_key(a) == clip_key(b)
}

/// Collects the clips that lists name, by name and class.
#[derive(Default)]
pub(super) struct Clips {
    clips: BTreeMap<(String, usize), NamedClip>,
}

pub(super) struct NamedClip {
    name: String,
    class_folder: String,
    class: String,
    subsets: Vec<Subset>,
    pub(super) group: Option<String>,
    pub(super) row: Option<usize>,
}

impl Clips {
    /// Adds a clip of one line of a list. The error is a message.
    pub(super) fn add(
        &mut self,
        name: &str,
        label: usize,
        class_folder: &str,
        split: usize,
        subset: Subset,
        classes: &[String],
    ) -> Result<&mut NamedClip, String> {
        let clip = self.clips.entry((clip_key(name), label)).or_insert_with(|| NamedClip {
            name: name.to_owned(),
            class_folder: class_folder.to_owned(),
            class: classes[label].clone(),
            subsets: Vec::new(),
            group: None,
            row: None,
        });
        clip.subsets.resize(clip.subsets.len().max(split + 1), Subset::Unused);
        match clip.subsets[split] {
            Subset::Unused => clip.subsets[split] = subset,
            _ => return Err(format!("{name} is listed twice in this split")),
        }
        Ok(clip)
    }

    pub(super) fn finish(self, splits: usize) -> Vec<ListedClip> {
        let mut of_name: BTreeMap<String, usize> = BTreeMap::new();
        for (key, _) in self.clips.keys() {
            *of_name.entry(key.clone()).or_default() += 1;
        }
        let clip = |((key, label), clip): ((String, usize), NamedClip)| {
            let NamedClip { name, class_folder, class, mut subsets, group, row } = clip;
            subsets.resize(splits, Subset::Unused);
            let id = if of_name.get(&key) == Some(&1) { name.clone() } else { format!("{class}__{name}") };
            ListedClip {
                id,
                folder: name,
                class_folder: Some(class_folder),
                label: Some(label as u32),
                subsets,
                group,
                row,
                attributes: Attributes::new(),
            }
        };
        let mut clips: Vec<ListedClip> = self.clips.into_iter().map(clip).collect();
        clips.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        clips
    }
}

/// Returns a file name without the extension of a video.
pub(super) fn strip_extension(file: &str) -> &str {
    match file.rsplit_once('.') {
        Some((stem, ending)) if !ending.contains('_') && ending.len() <= 4 => stem,
        _ => file,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_of_videos_are_dropped_and_dots_in_names_kept() {
        for (file, name) in [("v_X_g01.avi", "v_X_g01"), ("a.webm", "a"), ("dr.jump_f_nm", "dr.jump_f_nm"), ("a", "a")]
        {
            assert_eq!(strip_extension(file), name);
        }
    }
}
