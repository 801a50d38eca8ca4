//! Lists: which clips there are, their classes, and who trains or tests in each split. One module a kind of lists.

mod custom;
mod hmdb51;
mod ucf101;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clipshard::Subset;

use crate::error::{Error, Result};

/// What the lists say: classes, splits and every clip with its label and its part in each split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lists {
    /// Name of the data set: `ucf101`, `hmdb51`, `custom`.
    pub dataset: &'static str,
    /// Class names; the position is the label.
    pub classes: Vec<String>,
    /// Names of the splits, e.g. `1`, `2`, `3`.
    pub splits: Vec<String>,
    /// Clips in byte order of their ids.
    pub clips: Vec<ListedClip>,
    /// Things worth a word that are no errors.
    pub notes: Vec<String>,
}

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
    /// Position of its class in [`Lists::classes`].
    pub label: u32,
    /// Its part in each split, in the order of [`Lists::splits`].
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

impl Lists {
    /// Keeps these classes only, in the order of the class list, with labels from 0.
    /// Upper and lower case count as the same. An unknown name is a usage error that offers near ones.
    pub fn keep_classes(&mut self, wanted: &[String]) -> Result<()> {
        let mut kept = vec![false; self.classes.len()];
        for name in wanted {
            let Some(label) = self.classes.iter().position(|c| c.eq_ignore_ascii_case(name)) else {
                return Err(Error::Usage(format!("--classes: the class list has no `{name}`{}", self.near(name))));
            };
            kept[label] = true;
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
        self.clips.retain_mut(|clip| match new_label[clip.label as usize] {
            Some(label) => {
                clip.label = label;
                true
            }
            None => false,
        });
        Ok(())
    }

    fn near(&self, name: &str) -> String {
        let name = name.to_ascii_lowercase();
        let mut ranked: Vec<(usize, &str)> = self
            .classes
            .iter()
            .filter_map(|class| {
                let lower = class.to_ascii_lowercase();
                let distance = if lower.contains(&name) || name.contains(&lower) { 1 } else { edits(&lower, &name) };
                (distance <= name.len().div_ceil(3)).then_some((distance, class.as_str()))
            })
            .collect();
        ranked.sort_unstable();
        let names: Vec<&str> = ranked.into_iter().take(3).map(|(_, class)| class).collect();
        if names.is_empty() {
            format!("; it has {}", self.some_classes())
        } else {
            format!("; near: {}", names.join(", "))
        }
    }

    fn some_classes(&self) -> String {
        let more = if self.classes.len() > 5 { ", ..." } else { "" };
        format!("{}{more}", self.classes.iter().take(5).cloned().collect::<Vec<_>>().join(", "))
    }
}

/// Non-empty lines with their 1-based numbers, without line ends (CRLF or LF) and byte order mark.
fn lines(path: &Path) -> Result<Vec<(usize, String)>> {
    let text = fs::read_to_string(path).map_err(Error::io(path, "cannot read the list"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Ok(text
        .lines()
        .enumerate()
        .map(|(i, line)| (i + 1, line.trim().to_owned()))
        .filter(|(_, line)| !line.is_empty())
        .collect())
}

/// Clips as lists name them, by class and name.
#[derive(Default)]
struct Clips {
    clips: BTreeMap<(String, usize), NamedClip>,
}

struct NamedClip {
    name: String,
    class_folder: String,
    class: String,
    subsets: Vec<Subset>,
    group: Option<String>,
}

impl Clips {
    /// Adds what a line of a list says; a fault in words.
    fn add(
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

    fn finish(self, splits: usize) -> Vec<ListedClip> {
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
fn strip_extension(file: &str) -> &str {
    match file.rsplit_once('.') {
        Some((stem, ending)) if !ending.contains('_') && ending.len() <= 4 => stem,
        _ => file,
    }
}

/// Number of single-letter edits between two names (Levenshtein).
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

    /// A folder of lists.
    pub(super) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn edits_count_letters() {
        assert_eq!(edits("archery", "archrey"), 2);
        assert_eq!(edits("", "abc"), 3);
    }

    #[test]
    fn endings_of_videos_are_dropped_and_dots_in_names_kept() {
        for (file, name) in [("v_X_g01.avi", "v_X_g01"), ("a.webm", "a"), ("dr.jump_f_nm", "dr.jump_f_nm"), ("a", "a")]
        {
            assert_eq!(strip_extension(file), name);
        }
    }
}
