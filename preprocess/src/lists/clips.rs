//! Clips as lists and folders name them.

use std::collections::BTreeMap;

use clipshard::Subset;

/// One clip as the lists have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedClip {
    /// Canonical id: the spelling of the first list that names it, without class directory and `.avi`. Where clips of
    /// several classes have one name, it is `Class__name`.
    pub id: String,
    /// Name of its folder in a tree: the id without a class.
    pub folder: String,
    /// The class folder that holds it in trees that have these.
    pub class_folder: Option<String>,
    /// Position of its class in `Lists::classes`.
    pub label: u32,
    /// Its part in each split, in the order of `Lists::splits`.
    pub subsets: Vec<Subset>,
    /// What it has in common with other clips, where the lists say so.
    pub group: Option<String>,
}

impl ListedClip {
    /// Its id with its group, if it has one.
    pub(crate) fn id_and_group(&self) -> Option<(String, String)> {
        self.group.as_ref().map(|group| (self.id.clone(), group.clone()))
    }
}

/// What two spellings of one clip have in common: the lists have `v_HandStandPushups_*`, many trees `v_HandstandPushups_*`.
pub fn clip_key(id: &str) -> String {
    id.to_ascii_lowercase()
}

/// Clips as lists name them, by class and name.
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
}

impl Clips {
    /// Adds what a line of a list says; a fault in words.
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
        });
        clip.subsets.resize(clip.subsets.len().max(split + 1), Subset::Unused);
        match clip.subsets[split] {
            Subset::Unused => clip.subsets[split] = subset,
            _ => return Err(format!("{name} is named twice in this split")),
        }
        Ok(clip)
    }

    pub(super) fn finish(self, splits: usize) -> Vec<ListedClip> {
        let mut of_name: BTreeMap<String, usize> = BTreeMap::new();
        for (key, _) in self.clips.keys() {
            *of_name.entry(key.clone()).or_default() += 1;
        }
        let clip = |((key, label), clip): ((String, usize), NamedClip)| {
            let NamedClip { name, class_folder, class, mut subsets, group } = clip;
            subsets.resize(splits, Subset::Unused);
            let id = if of_name.get(&key) == Some(&1) { name.clone() } else { format!("{class}__{name}") };
            ListedClip { id, folder: name, class_folder: Some(class_folder), label: label as u32, subsets, group }
        };
        let mut clips: Vec<ListedClip> = self.clips.into_iter().map(clip).collect();
        clips.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        clips
    }
}

/// A file name without the ending of a video.
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
