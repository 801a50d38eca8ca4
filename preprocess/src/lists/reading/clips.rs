//! Collects the clips that lists name.

use std::collections::BTreeMap;

use clipshard::{Attributes, Subset};

use crate::lists::listed::{ListedClip, clip_key};

/// A clip as one line of a list names it.
#[derive(Debug, Clone, Default)]
pub(in crate::lists) struct NamedClip {
    /// Name of its video without extension, or of its folder.
    pub name: String,
    pub class_folder: Option<String>,
    pub label: Option<u32>,
    pub group: Option<String>,
    pub row: Option<usize>,
    pub attributes: Attributes,
}

/// The [`clip_key`] and the label of a clip.
type Key = (String, Option<u32>);
/// A clip and its subset in each split, or `None` if no list names it.
type Known = (NamedClip, Vec<Option<Subset>>);

/// The clips that lists name, by name and label.
#[derive(Default)]
pub(in crate::lists) struct Clips {
    clips: BTreeMap<Key, Known>,
}

impl Clips {
    /// Adds the clip of a line to a split. The error is a message.
    pub fn add(&mut self, clip: NamedClip, split: usize, subset: Subset) -> Result<(), String> {
        let key = (clip_key(&clip.name), clip.label);
        let (clip, subsets) = self.clips.entry(key).or_insert_with(|| (clip, Vec::new()));
        if subsets.len() <= split {
            subsets.resize(split + 1, None);
        }
        if subsets[split].is_some() {
            return Err(format!("{} is listed twice in this split; remove one of the entries", clip.name));
        }
        subsets[split] = Some(subset);
        Ok(())
    }

    /// Adds a clip with its subsets in all splits. The error is a message.
    pub fn add_to_all(&mut self, clip: NamedClip, subsets: Vec<Subset>) -> Result<(), String> {
        let name = clip.name.clone();
        let key = (clip_key(&clip.name), clip.label);
        let subsets = subsets.into_iter().map(Some).collect();
        match self.clips.insert(key, (clip, subsets)) {
            None => Ok(()),
            Some(_) => Err(format!("{name} is listed twice; remove one of the entries")),
        }
    }

    /// Returns the clips in byte order of their ids.
    pub fn finish(self, splits: usize, classes: &[String]) -> Vec<ListedClip> {
        let mut of_name: BTreeMap<String, usize> = BTreeMap::new();
        for (key, _) in self.clips.keys() {
            *of_name.entry(key.clone()).or_default() += 1;
        }
        let clip = |((key, label), (clip, subsets)): (Key, Known)| {
            let NamedClip { name, class_folder, group, row, attributes, .. } = clip;
            let mut subsets: Vec<Subset> = subsets.into_iter().map(|subset| subset.unwrap_or(Subset::Unused)).collect();
            subsets.resize(splits, Subset::Unused);
            let class = label.and_then(|label| classes.get(label as usize)).map_or("unlabelled", String::as_str);
            let id = if of_name.get(&key) == Some(&1) { name.clone() } else { format!("{class}__{name}") };
            ListedClip { id, folder: name, class_folder, label, subsets, group, row, attributes }
        };
        let mut clips: Vec<ListedClip> = self.clips.into_iter().map(clip).collect();
        clips.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        clips
    }
}

/// Returns the name of a clip and of its class folder from a path with `/` or `\`. The error is a
/// message.
pub(in crate::lists) fn split_path(path: &str) -> Result<(String, Option<String>), String> {
    let mut components = path.split(['/', '\\']).rev().filter(|component| !matches!(*component, "" | "."));
    let name = strip_extension(components.next().unwrap_or_default());
    if name.is_empty() || name == ".." {
        return Err(format!("the path `{path}` has no clip name"));
    }
    Ok((name.to_owned(), components.next().map(str::to_owned)))
}

/// Returns a file name without the extension of a video: up to four letters and digits, at least
/// one of them a letter.
pub(crate) fn strip_extension(file: &str) -> &str {
    let is_ending = |ending: &str| {
        ending.len() <= 4
            && ending.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && ending.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    match file.rsplit_once('.') {
        Some((stem, ending)) if is_ending(ending) => stem,
        _ => file,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_of_videos_are_dropped_and_dots_in_names_kept() {
        for (file, name) in [
            ("v_X_g01.avi", "v_X_g01"),
            ("a.webm", "a"),
            ("a.3gp", "a"),
            ("dr.jump_f_nm", "dr.jump_f_nm"),
            ("no. 3", "no. 3"),
            ("take.2", "take.2"),
            ("a", "a"),
        ] {
            assert_eq!(strip_extension(file), name);
        }
    }

    #[test]
    fn paths_have_a_name_and_a_folder() {
        let split = |path: &str| split_path(path).unwrap();
        for (path, name, folder) in [
            ("a.mp4", "a", None),
            ("x/y/a & b #1.mp4", "a & b #1", Some("y")),
            ("C:\\x\\100%\\a.avi", "a", Some("100%")),
            ("./y//a/", "a", Some("y")),
        ] {
            assert_eq!(split(path), (name.to_owned(), folder.map(str::to_owned)), "{path}");
        }
        assert_eq!(split_path("/.").unwrap_err(), "the path `/.` has no clip name");
    }

    #[test]
    fn clips_without_label_that_share_a_name_have_an_id_of_their_own() {
        let mut clips = Clips::default();
        for label in [None, Some(0)] {
            let clip = NamedClip { name: "a".into(), label, ..NamedClip::default() };
            clips.add(clip.clone(), 0, Subset::Train).unwrap();
            assert!(clips.add(clip, 0, Subset::Unused).unwrap_err().contains("a is listed twice in this split"));
        }
        let ids: Vec<String> = clips.finish(1, &["run".into()]).into_iter().map(|clip| clip.id).collect();
        assert_eq!(ids, ["run__a", "unlabelled__a"]);
    }
}
