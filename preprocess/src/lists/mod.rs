//! Lists: which clips there are, their classes, and who trains or tests in each split. One module a kind of lists.

mod custom;
mod hmdb51;
mod ucf101;

use std::collections::BTreeMap;
use std::path::Path;

use clipshard::{Subset, read_regular};

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

/// What a clip is for, as lists of people's own and folders name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Learnt from.
    Train,
    /// Tested on.
    Test,
    /// Tested on, to choose between networks.
    Validation,
    /// Neither.
    Unused,
}

impl Part {
    /// The part that a word names, in upper or lower case.
    pub fn of_name(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "test" | "testing" => Some(Self::Test),
            "val" | "valid" | "validation" => Some(Self::Validation),
            "unused" | "none" => Some(Self::Unused),
            _ => None,
        }
    }

    /// The part that a folder is of: its name, or its name with something behind it, such as `train_256`.
    pub fn of_folder(name: &str) -> Option<Self> {
        let word = name.split(['_', '-', '.', ' ']).next()?;
        Self::of_name(word).filter(|part| *part != Self::Unused)
    }

    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
            Self::Validation => "val",
            Self::Unused => "unused",
        }
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

/// A list is not larger than this: UCF101's largest has 0.5 MB.
const MAX_LIST_BYTES: u64 = 1 << 28;

/// The text of a list, without a byte order mark.
fn read_text(path: &Path) -> Result<String> {
    let bytes = read_regular(path, MAX_LIST_BYTES).map_err(Error::io(path, "cannot read the list"))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = split_lines(&String::from_utf8_lossy(before)).count().max(1);
        Error::List { path: path.into(), line, what: "it is no UTF-8 text; save the list as UTF-8".into() }
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Lines that end in LF, CR LF or CR.
fn split_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n')
        .flat_map(|line| line.strip_suffix("\r\n").or(line.strip_suffix('\n')).unwrap_or(line).split('\r'))
}

/// Non-empty lines with their 1-based numbers, without line ends and blanks around.
fn lines(path: &Path) -> Result<Vec<(usize, String)>> {
    let text = read_text(path)?;
    let numbered = split_lines(&text).enumerate().map(|(i, line)| (i + 1, line.trim().to_owned()));
    Ok(numbered.filter(|(_, line)| !line.is_empty()).collect())
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
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn edits_count_letters() {
        assert_eq!(edits("archery", "archrey"), 2);
        assert_eq!(edits("", "abc"), 3);
    }

    #[test]
    fn all_three_line_ends_are_read() {
        let list = |text: &str| lines(&folder(&[("l", text)]).path().join("l")).unwrap();
        let expected = [(1, "a 1".to_owned()), (2, "b 2".to_owned()), (4, "c".to_owned())];
        for text in ["a 1\nb 2\n\nc\n", "a 1\r\nb 2\r\n\r\nc", "\u{feff}a 1\rb 2\r\r c\r", "a 1\rb 2\r\n\nc"] {
            assert_eq!(list(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_text_is_named_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l");
        for (bytes, line) in [(&b"a 1\nb\xe9 1\n"[..], 2), (b"\xff\xfea\0", 1)] {
            std::fs::write(&path, bytes).unwrap();
            let error = lines(&path).unwrap_err().to_string();
            assert!(
                error.ends_with(&format!("l: line {line}: it is no UTF-8 text; save the list as UTF-8")),
                "{error}"
            );
        }
        assert!(lines(dir.path()).unwrap_err().to_string().contains("it is a folder, not a regular file"));
    }

    #[test]
    fn endings_of_videos_are_dropped_and_dots_in_names_kept() {
        for (file, name) in [("v_X_g01.avi", "v_X_g01"), ("a.webm", "a"), ("dr.jump_f_nm", "dr.jump_f_nm"), ("a", "a")]
        {
            assert_eq!(strip_extension(file), name);
        }
    }
}
