//! Collects the clips that lists name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clipshard::{Attributes, Subset};

use super::text::name_of;
use crate::error::{Error, Result};
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

/// Where a list names a clip.
#[derive(Debug, Clone, Copy)]
pub(in crate::lists) struct Place<'a> {
    pub path: &'a Path,
    pub line: usize,
    /// The entry of a JSON array, as these often are in one line.
    pub entry: Option<Entry<'a>>,
}

impl Place<'_> {
    /// Returns the error of a fault at this place.
    pub fn fault(self, what: String) -> Error {
        let what = match self.entry {
            Some(Entry { number, key, name }) => format!("entry {number} ({key} {name}): {what}"),
            None => what,
        };
        Error::List { path: self.path.into(), line: self.line, what }
    }
}

/// An entry of a JSON array.
#[derive(Debug, Clone, Copy)]
pub(in crate::lists) struct Entry<'a> {
    /// Number from 1.
    pub number: usize,
    /// The key of its name, and the name.
    pub key: &'static str,
    pub name: &'a str,
}

/// Returns a place in a file, such as `train.csv line 2`.
fn shown_at(path: &Path, line: usize, entry: Option<usize>) -> String {
    match entry {
        Some(number) => format!("{} entry {number}", name_of(path)),
        None => format!("{} line {line}", name_of(path)),
    }
}

/// A clip that lists name.
struct Known {
    clip: NamedClip,
    /// Subset in each split, or `None` if no list names it.
    subsets: Vec<Option<Subset>>,
    /// The first list that names it, as an index into [`Clips::files`], the line and the entry.
    at: (usize, usize, Option<usize>),
}

/// The clips that lists name, by name and label.
#[derive(Default)]
pub(in crate::lists) struct Clips {
    clips: BTreeMap<Key, Known>,
    files: Vec<PathBuf>,
}

impl Clips {
    /// Adds the clip of a line to a split.
    ///
    /// # Errors
    /// Returns [`Error::List`] for a clip that is in the split already, or that has another label
    /// elsewhere, if its class folder does not tell both apart.
    pub fn add(&mut self, clip: NamedClip, split: usize, subset: Subset, place: Place<'_>) -> Result<()> {
        let key = (clip_key(&clip.name), clip.label);
        if let Some(known) = self.with_other_label(&key, &clip) {
            let (file, line, entry) = known.at;
            let earlier = self.files.get(file).map(|file| shown_at(file, line, entry)).unwrap_or_default();
            return Err(place.fault(format!(
                "{} is in {earlier} and in {}, with different labels; a clip has one label, so remove one of the \
                 entries",
                clip.name,
                shown_at(place.path, place.line, place.entry.map(|entry| entry.number))
            )));
        }
        if self.files.last().is_none_or(|last| last != place.path) {
            self.files.push(place.path.to_owned());
        }
        let at = (self.files.len() - 1, place.line, place.entry.map(|entry| entry.number));
        let Known { clip, subsets, .. } =
            self.clips.entry(key).or_insert_with(|| Known { clip, subsets: Vec::new(), at });
        if subsets.len() <= split {
            subsets.resize(split + 1, None);
        }
        if subsets[split].is_some() {
            let what = format!("{} is listed twice in this split; remove one of the entries", clip.name);
            return Err(place.fault(what));
        }
        subsets[split] = Some(subset);
        Ok(())
    }

    /// Returns the clip of the same name with another label, unless both have class folders.
    fn with_other_label(&self, key: &Key, clip: &NamedClip) -> Option<&Known> {
        let same_name = self.clips.range((key.0.clone(), None)..=(key.0.clone(), Some(u32::MAX)));
        let mut others = same_name.filter(|(other, _)| other.1 != key.1).map(|(_, known)| known);
        others.find(|known| clip.class_folder.is_none() || known.clip.class_folder.is_none())
    }

    /// Adds a clip with its subsets in all splits. The error is a message.
    pub fn add_to_all(&mut self, clip: NamedClip, subsets: Vec<Subset>) -> Result<(), String> {
        let name = clip.name.clone();
        let key = (clip_key(&clip.name), clip.label);
        let subsets = subsets.into_iter().map(Some).collect();
        match self.clips.insert(key, Known { clip, subsets, at: (0, 0, None) }) {
            None => Ok(()),
            Some(_) => Err(format!("{name} is listed twice; remove one of the entries")),
        }
    }

    /// Returns the clips in byte order of their ids.
    ///
    /// # Errors
    /// Returns [`Error::Input`] if two clips get the same id.
    pub fn finish(self, splits: usize, classes: &[String]) -> Result<Vec<ListedClip>> {
        let mut of_name: BTreeMap<String, usize> = BTreeMap::new();
        for (key, _) in self.clips.keys() {
            *of_name.entry(key.clone()).or_default() += 1;
        }
        let clip = |((key, label), Known { clip, subsets, .. }): (Key, Known)| {
            let NamedClip { name, class_folder, group, row, attributes, .. } = clip;
            let mut subsets: Vec<Subset> = subsets.into_iter().map(|subset| subset.unwrap_or(Subset::Unused)).collect();
            subsets.resize(splits, Subset::Unused);
            let class = label.and_then(|label| classes.get(label as usize)).map_or("unlabelled", String::as_str);
            let id = if of_name.get(&key) == Some(&1) { name.clone() } else { format!("{class}__{name}") };
            ListedClip { id, folder: name, class_folder, label, subsets, group, row, attributes }
        };
        let mut clips: Vec<ListedClip> = self.clips.into_iter().map(clip).collect();
        clips.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        if let Some([a, b]) = clips.windows(2).find(|pair| pair[0].id == pair[1].id) {
            let shown = |clip: &ListedClip| match clip.label.and_then(|label| classes.get(label as usize)) {
                Some(class) => format!("{} of class {class}", clip.folder),
                None => format!("{} without a label", clip.folder),
            };
            return Err(Error::input(format!(
                "the clips {} and {} both get the id {}; rename one of them",
                shown(a),
                shown(b),
                a.id
            )));
        }
        Ok(clips)
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
            clips.add_to_all(clip.clone(), vec![Subset::Train]).unwrap();
            assert!(clips.add_to_all(clip, vec![Subset::Unused]).unwrap_err().contains("a is listed twice"));
        }
        let ids: Vec<String> = clips.finish(1, &["run".into()]).unwrap().into_iter().map(|clip| clip.id).collect();
        assert_eq!(ids, ["run__a", "unlabelled__a"]);
    }

    #[test]
    fn clips_whose_ids_would_be_the_same_are_an_error() {
        let mut clips = Clips::default();
        for (name, label) in [("x", Some(0)), ("x", Some(1)), ("A__x", Some(2))] {
            let clip = NamedClip { name: name.into(), label, ..NamedClip::default() };
            clips.add_to_all(clip, vec![Subset::Train]).unwrap();
        }
        let error = clips.finish(1, &["A", "B", "C"].map(String::from)).unwrap_err().to_string();
        assert!(error.contains(" of class A"), "{error}");
        assert!(error.contains("A__x of class C") && error.ends_with(" both get the id A__x; rename one of them"));
    }

    #[test]
    fn a_clip_with_two_labels_is_an_error_unless_class_folders_tell_them_apart() {
        let place = |file: &'static str, line| Place { path: Path::new(file), line, entry: None };
        let clip = |label, folder: Option<&str>| NamedClip {
            name: "1".into(),
            label,
            class_folder: folder.map(str::to_owned),
            ..NamedClip::default()
        };
        for (first, second) in [(Some(0), Some(1)), (Some(0), None), (None, Some(u32::MAX))] {
            let mut clips = Clips::default();
            clips.add(clip(first, None), 0, Subset::Train, place("l/train.csv", 2)).unwrap();
            let error = clips.add(clip(second, None), 0, Subset::Val, place("l/validation.csv", 1)).unwrap_err();
            assert_eq!(
                error.to_string(),
                "l/validation.csv: line 1: 1 is in train.csv line 2 and in validation.csv line 1, with different \
                 labels; a clip has one label, so remove one of the entries"
            );
        }
        let mut clips = Clips::default();
        clips.add(clip(Some(0), Some("A")), 0, Subset::Train, place("t", 1)).unwrap();
        clips.add(clip(Some(1), Some("B")), 0, Subset::Train, place("t", 2)).unwrap();
        let error = clips.add(clip(Some(1), Some("B")), 0, Subset::Test, place("t", 3)).unwrap_err().to_string();
        assert_eq!(error, "t: line 3: 1 is listed twice in this split; remove one of the entries");
    }
}
