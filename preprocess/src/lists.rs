//! Official lists: which clips there are, their classes, and who trains or tests in each split.
//!
//! UCF101 comes with `classInd.txt` (`<1-based id> <Name>`), `trainlist0N.txt` (`Class/v_X_gNN_cNN.avi <id>`) and
//! `testlist0N.txt` (the same without the id). The label of a clip comes from its class directory through classInd.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clipshard::Subset;

use crate::error::{Error, Result, shown};

/// What the lists say: classes, splits and every clip with its label and its part in each split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lists {
    /// Class names; the position is the label.
    pub classes: Vec<String>,
    /// Names of the splits, e.g. `1`, `2`, `3`.
    pub splits: Vec<String>,
    /// Clips in byte order of their ids.
    pub clips: Vec<ListedClip>,
}

/// One clip as the lists have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedClip {
    /// Canonical id: the spelling of the first list that names it, without class directory and `.avi`.
    pub id: String,
    /// Position of its class in [`Lists::classes`].
    pub label: u32,
    /// Its part in each split, in the order of [`Lists::splits`].
    pub subsets: Vec<Subset>,
}

/// What two spellings of one clip have in common: the lists have `v_HandStandPushups_*`, many trees `v_HandstandPushups_*`.
pub fn clip_key(id: &str) -> String {
    id.to_ascii_lowercase()
}

impl Lists {
    /// Reads classInd.txt and every `trainlist0N.txt`, `testlist0N.txt` (N = 1 to 9) in `folder`.
    pub fn read_ucf101(folder: &Path) -> Result<Self> {
        let class_file = folder.join("classInd.txt");
        if !class_file.is_file() {
            return Err(Error::Input(format!(
                "found no classInd.txt in {}; --lists wants the folder of the official lists (classInd.txt, trainlist01.txt, testlist01.txt, ...)",
                shown(folder)
            )));
        }
        let classes = read_classes(&class_file)?;
        let mut reader = Reader { classes: &classes, clips: BTreeMap::new() };
        let mut splits = Vec::new();
        for n in 1..=9 {
            let (train, test) = (folder.join(format!("trainlist0{n}.txt")), folder.join(format!("testlist0{n}.txt")));
            match (train.is_file(), test.is_file()) {
                (true, true) => {}
                (false, false) => continue,
                (has_train, _) => {
                    let (there, missing) = if has_train { (&train, &test) } else { (&test, &train) };
                    return Err(Error::Input(format!(
                        "{} is there but {} is not; a split needs both",
                        shown(there),
                        shown(missing)
                    )));
                }
            }
            reader.read_list(&train, splits.len(), Subset::Train)?;
            reader.read_list(&test, splits.len(), Subset::Test)?;
            splits.push(n.to_string());
        }
        let clips = reader.finish(splits.len());
        if splits.is_empty() {
            return Err(Error::Input(format!(
                "found no trainlist0N.txt with its testlist0N.txt in {}; --lists wants the folder of the official lists",
                shown(folder)
            )));
        }
        if clips.is_empty() {
            return Err(Error::Input(format!("the lists in {} name no clip", shown(folder))));
        }
        Ok(Self { classes, splits, clips })
    }

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
        if names.is_empty() { "; classInd.txt has the names".into() } else { format!("; near: {}", names.join(", ")) }
    }
}

fn read_classes(path: &Path) -> Result<Vec<String>> {
    let mut classes: Vec<String> = Vec::new();
    for (line, text) in lines(path)? {
        let fault = |what: String| Error::List { path: path.into(), line, what };
        let (id, name) = text
            .split_once(char::is_whitespace)
            .and_then(|(id, name)| Some((id.parse::<usize>().ok()?, name.trim())))
            .ok_or_else(|| fault(format!("`{text}` is not `<number> <ClassName>`")))?;
        if id != classes.len() + 1 {
            return Err(fault(format!("class {name} has number {id}, expected {}", classes.len() + 1)));
        }
        if classes.iter().any(|c| c.eq_ignore_ascii_case(name)) {
            return Err(fault(format!("class {name} is listed twice")));
        }
        classes.push(name.to_owned());
    }
    if classes.is_empty() {
        return Err(Error::Input(format!("{} names no class", shown(path))));
    }
    Ok(classes)
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

struct Reader<'a> {
    classes: &'a [String],
    clips: BTreeMap<String, (String, u32, Vec<Subset>)>,
}

impl Reader<'_> {
    fn read_list(&mut self, path: &PathBuf, split: usize, subset: Subset) -> Result<()> {
        for (line, text) in lines(path)? {
            let fault = |what: String| Error::List { path: path.into(), line, what };
            let mut words = text.split_whitespace();
            let name = words.next().unwrap_or_default();
            let Some((class, file)) =
                name.rsplit_once('/').map(|(dir, file)| (dir.rsplit('/').next().unwrap_or(dir), file))
            else {
                return Err(fault(format!("`{name}` has no class directory; expected `Class/v_Class_g01_c01.avi`")));
            };
            let label = self
                .classes
                .iter()
                .position(|c| c.eq_ignore_ascii_case(class))
                .ok_or_else(|| fault(format!("class {class} is not in classInd.txt")))?;
            if let Some(number) = words.next()
                && number.parse() != Ok(label + 1)
            {
                return Err(fault(format!("class {class} has number {} in classInd.txt, not {number}", label + 1)));
            }
            let id = strip_extension(file);
            if id.is_empty() {
                return Err(fault(format!("`{name}` names no clip")));
            }
            let (_, clip_label, subsets) =
                self.clips.entry(clip_key(id)).or_insert_with(|| (id.to_owned(), label as u32, Vec::new()));
            if *clip_label != label as u32 {
                let other = &self.classes[*clip_label as usize];
                return Err(fault(format!("{id} is in class {class} here and in {other} elsewhere")));
            }
            subsets.resize(subsets.len().max(split + 1), Subset::Unused);
            match subsets[split] {
                Subset::Unused => subsets[split] = subset,
                _ => return Err(fault(format!("{id} is named twice in this split"))),
            }
        }
        Ok(())
    }

    fn finish(self, splits: usize) -> Vec<ListedClip> {
        let mut clips: Vec<ListedClip> = self
            .clips
            .into_values()
            .map(|(id, label, mut subsets)| {
                subsets.resize(splits, Subset::Unused);
                ListedClip { id, label, subsets }
            })
            .collect();
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

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    const CLASSES: &str = "1 Archery\r\n2 HandstandPushups\r\n3 Rowing\r\n";

    #[test]
    fn crlf_lists_and_either_spelling_give_one_clip() {
        let dir = folder(&[
            ("classInd.txt", CLASSES),
            (
                "trainlist01.txt",
                "HandstandPushups/v_HandStandPushups_g08_c01.avi 2\r\nArchery/v_Archery_g08_c01.avi 1\r\n",
            ),
            ("testlist01.txt", "HandstandPushups/v_HandStandPushups_g01_c01.avi\r\n\r\n"),
            ("trainlist02.txt", "HandStandPushups/v_HandstandPushups_g01_c01.avi 2\n"),
            ("testlist02.txt", "Archery/v_Archery_g08_c01.avi\n"),
        ]);
        let lists = Lists::read_ucf101(dir.path()).unwrap();
        assert_eq!(lists.classes, ["Archery", "HandstandPushups", "Rowing"]);
        assert_eq!(lists.splits, ["1", "2"]);
        let got: Vec<_> = lists.clips.iter().map(|c| (c.id.as_str(), c.label, c.subsets.clone())).collect();
        assert_eq!(
            got,
            [
                ("v_Archery_g08_c01", 0, vec![Subset::Train, Subset::Test]),
                ("v_HandStandPushups_g01_c01", 1, vec![Subset::Test, Subset::Train]),
                ("v_HandStandPushups_g08_c01", 1, vec![Subset::Train, Subset::Unused]),
            ]
        );
    }

    #[test]
    fn chosen_classes_are_the_whole_class_list_in_its_order() {
        let dir = folder(&[
            ("classInd.txt", CLASSES),
            ("trainlist01.txt", "Rowing/v_Rowing_g08_c01.avi 3\nArchery/v_Archery_g08_c01.avi 1\n"),
            ("testlist01.txt", "HandstandPushups/v_HandStandPushups_g01_c01.avi\n"),
        ]);
        let mut lists = Lists::read_ucf101(dir.path()).unwrap();
        lists.keep_classes(&["rowing".into(), "HandstandPushups".into()]).unwrap();
        assert_eq!(lists.classes, ["HandstandPushups", "Rowing"]);
        let got: Vec<_> = lists.clips.iter().map(|c| (c.id.as_str(), c.label)).collect();
        assert_eq!(got, [("v_HandStandPushups_g01_c01", 0), ("v_Rowing_g08_c01", 1)]);
    }

    #[test]
    fn an_unknown_class_is_a_usage_error_that_names_near_ones() {
        let dir = folder(&[
            ("classInd.txt", CLASSES),
            ("trainlist01.txt", "Rowing/v_Rowing_g08_c01.avi 3\n"),
            ("testlist01.txt", "Rowing/v_Rowing_g01_c01.avi\n"),
        ]);
        let error = Lists::read_ucf101(dir.path()).unwrap().keep_classes(&["Archrey".into()]).unwrap_err();
        assert!(error.is_usage());
        assert!(error.to_string().contains("no `Archrey`; near: Archery"), "{error}");
    }

    #[test]
    fn each_bad_list_has_its_error() {
        let test = ("testlist01.txt", "Archery/v_Archery_g01_c01.avi\n");
        let good = ("trainlist01.txt", "Archery/v_Archery_g08_c01.avi 1\n");
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[], "found no classInd.txt"),
            (&[("classInd.txt", CLASSES)], "found no trainlist0N.txt"),
            (&[("classInd.txt", CLASSES), good], "a split needs both"),
            (&[("classInd.txt", "1 Archery\n3 Rowing\n"), good, test], "line 2: class Rowing has number 3, expected 2"),
            (
                &[("classInd.txt", CLASSES), ("trainlist01.txt", "v_Archery_g08_c01.avi 1\n"), test],
                "no class directory",
            ),
            (
                &[("classInd.txt", CLASSES), ("trainlist01.txt", "Archery/v_Archery_g08_c01.avi 2\n"), test],
                "has number 1 in classInd.txt, not 2",
            ),
            (
                &[("classInd.txt", CLASSES), ("trainlist01.txt", "Bowls/v_Bowls_g08_c01.avi 2\n"), test],
                "class Bowls is not in classInd.txt",
            ),
            (
                &[("classInd.txt", CLASSES), ("trainlist01.txt", "Archery/v_Archery_g01_c01.avi 1\n"), test],
                "named twice in this split",
            ),
            (&[("classInd.txt", CLASSES), ("trainlist01.txt", ""), ("testlist01.txt", "\n")], "name no clip"),
        ];
        for (files, expected) in cases {
            let dir = folder(files);
            let error = Lists::read_ucf101(dir.path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} should contain {expected}");
        }
    }

    #[test]
    fn edits_count_letters() {
        assert_eq!(edits("archery", "archrey"), 2);
        assert_eq!(edits("", "abc"), 3);
    }
}
