//! Text lists of mmaction2, TSN and programs like them: lines `path frames label` for frame trees, or
//! `path label` for videos, with labels from 0.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::{Error, Result};
use crate::lists::listed::Lists;
use crate::lists::reading::classes::Classes;
use crate::lists::reading::clips::{Clips, NamedClip, Place, split_path};
use crate::lists::reading::parts::{PartFile, find_parts, names_of, splits_of};
use crate::lists::reading::text::{files_in, has_ending, lines, name_of};

impl Lists {
    /// Reads text lists such as `ucf101_train_split_1_rawframes.txt`, `kinetics_val_list_videos.txt`
    /// or `something_train_v1.txt`. `path` is their folder or one of them.
    ///
    /// The name of a list says its subset and its split. Class names come from a file next to the
    /// lists or in `annotations/`, such as `classInd.txt`, `label_map.txt` or `category.txt`. Without
    /// one, the class folders or the numbers are the names.
    ///
    /// # Errors
    /// Returns [`Error::List`] with an invalid line, and [`Error::Input`] if there are no lists or no
    /// clips.
    pub fn read_text_lists(path: &Path) -> Result<Self> {
        let parts = find_parts(path, "mmaction2", is_list)?;
        let folder = parts[0].path.parent().unwrap_or(Path::new("."));
        let (splits, places) = splits_of(&parts);
        let mut rows = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            read_rows(number, &part.path, &mut rows)?;
        }
        if rows.is_empty() {
            return Err(Error::input(format!("the lists {} contain no clips", names_of(&parts))));
        }
        let mut notes = Vec::new();
        let classes = find_classes(folder, &rows, &parts, &mut notes)?;
        let mut clips = Clips::default();
        for row in rows {
            let part = &parts[row.part];
            let place = Place { path: &part.path, line: row.line, entry: None };
            let clip =
                NamedClip { name: row.name, class_folder: row.folder, label: Some(row.label), ..NamedClip::default() };
            clips.add(clip, places[row.part], part.subset.clone(), place)?;
        }
        let clips = clips.finish(splits.len(), &classes)?;
        Ok(Self { dataset: "mmaction2", classes, splits, clips, notes })
    }
}

/// A line of a list.
struct Row {
    part: usize,
    line: usize,
    name: String,
    folder: Option<String>,
    label: u32,
}

/// Returns whether a file may be a list.
fn is_list(path: &Path) -> bool {
    has_ending(path, &["txt", "csv"]) && !is_class_file(path)
}

/// Returns whether a file has class names.
fn is_class_file(path: &Path) -> bool {
    let name = name_of(path);
    let known = ["classind.txt", "classes.txt", "category.txt", "categories.txt", "labels.txt"];
    known.contains(&name.as_str()) || name.starts_with("label_map") && has_ending(path, &["txt"])
}

/// A line: path, number of frames if there is one, and label.
#[derive(Debug, PartialEq, Eq)]
struct Entry<'a> {
    path: &'a str,
    frames: Option<u32>,
    label: u32,
}

/// Splits a text at its last blank or comma.
fn last_word(text: &str) -> Option<(&str, &str)> {
    let is_separator = |c: char| c.is_whitespace() || c == ',';
    let text = text.trim_end_matches(is_separator);
    let (rest, word) = text.rsplit_once(is_separator)?;
    Some((rest.trim_end_matches(is_separator), word))
}

/// Reads a line. The error is a message.
fn entry(text: &str) -> Result<Entry<'_>, String> {
    let wrong = || format!("expected `path frames label` or `path label`, found `{text}`");
    let (rest, label) = last_word(text).ok_or_else(wrong)?;
    let label: u32 = label.parse().map_err(|_| wrong())?;
    let (path, frames) = match last_word(rest).map(|(path, frames)| (path, frames.parse::<u32>())) {
        Some((path, Ok(frames))) if !path.is_empty() => (path, Some(frames)),
        _ => (rest, None),
    };
    // Such a line has several labels, or an offset.
    if frames.is_some() && last_word(path).is_some_and(|(_, word)| word.parse::<i64>().is_ok()) {
        return Err(format!(
            "`{text}` has more than two numbers; for clips with several labels, or for names that end in a number, \
             use JSON lines (.jsonl)"
        ));
    }
    let bare = path.strip_prefix('"').and_then(|path| path.strip_suffix('"')).unwrap_or(path);
    if bare.is_empty() { Err(wrong()) } else { Ok(Entry { path: bare, frames, label }) }
}

/// Returns whether a line is one of these lists.
pub(in crate::lists) fn is_entry(text: &str) -> bool {
    entry(text.trim()).is_ok()
}

fn read_rows(number: usize, path: &Path, rows: &mut Vec<Row>) -> Result<()> {
    let mut has_frames = None;
    for (line, text) in lines(path)? {
        let fault = |what: String| Error::List { path: path.into(), line, what };
        let Entry { path, frames, label } = entry(&text).map_err(fault)?;
        if *has_frames.get_or_insert(frames.is_some()) != frames.is_some() {
            let expected = if frames.is_some() { "`path label`" } else { "`path frames label`" };
            return Err(fault(format!("expected {expected}, as in the lines before, found `{text}`")));
        }
        let (name, folder) = split_path(path).map_err(fault)?;
        rows.push(Row { part: number, line, name, folder, label });
    }
    Ok(())
}

/// Returns the class names, and adds a note about where they come from.
fn find_classes(folder: &Path, rows: &[Row], parts: &[PartFile], notes: &mut Vec<String>) -> Result<Vec<String>> {
    let Some(highest) = rows.iter().max_by_key(|row| row.label) else { return Ok(Vec::new()) };
    let fault = |what| Error::List { path: parts[highest.part].path.clone(), line: highest.line, what };
    let numbers = Classes::of_numbers(highest.label).map_err(fault)?;
    let mut files = files_in(folder)?;
    let annotations = folder.join("annotations");
    if annotations.is_dir() {
        files.extend(files_in(&annotations)?);
    }
    if let Some(file) = files.into_iter().find(|file| is_class_file(file)) {
        let classes = read_classes(&file)?;
        let (count, label) = (classes.names.len(), highest.label);
        if label as usize >= count {
            return Err(fault(format!(
                "the label {label} is not in {}, which has {count} classes; labels start at 0",
                file.display()
            )));
        }
        notes.push(format!("the class names come from {}", file.display()));
        return Ok(classes.names);
    }
    if let Some(names) = class_folders(rows, highest.label) {
        notes.push("the class names come from the folders of the clips in the lists".into());
        return Ok(names);
    }
    notes.push(format!(
        "{} has no classInd.txt, label_map.txt or category.txt, so classes are named by their numbers",
        folder.display()
    ));
    Ok(numbers.names)
}

/// Returns the names of the class folders, if each class from 0 to the highest label has one.
fn class_folders(rows: &[Row], highest: u32) -> Option<Vec<String>> {
    let mut folders: BTreeMap<u32, &str> = BTreeMap::new();
    for row in rows {
        let folder = row.folder.as_deref()?;
        if *folders.entry(row.label).or_insert(folder) != folder {
            return None;
        }
    }
    let distinct: BTreeSet<&str> = folders.values().copied().collect();
    let is_whole = folders.len() == highest as usize + 1 && folders.len() > 1 && distinct.len() == folders.len();
    is_whole.then(|| folders.into_values().map(str::to_owned).collect())
}

/// Reads class names: one per line, or `number name` with numbers from 0 or 1.
fn read_classes(path: &Path) -> Result<Classes> {
    let mut lines = lines(path)?;
    let split = |text: &str| {
        let (number, name) = text.split_once(char::is_whitespace)?;
        Some((number.parse::<usize>().ok()?, name.trim().to_owned()))
    };
    let numbered: Option<Vec<(usize, String)>> = lines.iter().map(|(_, text)| split(text)).collect();
    if let Some(numbered) = numbered {
        let first = numbered.first().map_or(0, |(number, _)| *number);
        let in_order = numbered.iter().enumerate().all(|(place, (number, _))| place + first == *number);
        if first <= 1 && in_order {
            for ((_, text), (_, name)) in lines.iter_mut().zip(numbered) {
                *text = name;
            }
        }
    }
    Classes::of_lines(path, &lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::reading::text::tests::folder;

    fn seen(lists: &Lists) -> Vec<(&str, u32, Vec<&str>)> {
        lists
            .clips
            .iter()
            .map(|c| (c.id.as_str(), c.label.unwrap(), c.subsets.iter().map(clipshard::Subset::name).collect()))
            .collect()
    }

    #[test]
    fn lines_have_a_path_perhaps_frames_and_a_label() {
        let of = |path, frames, label| Ok(Entry { path, frames, label });
        assert_eq!(
            entry("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01 165 0"),
            of("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01", Some(165), 0)
        );
        assert_eq!(entry("abseiling/x y&z #1.mp4 12"), of("abseiling/x y&z #1.mp4", None, 12));
        assert_eq!(entry("a b.mp4\t 7\t3 "), of("a b.mp4", Some(7), 3));
        assert_eq!(entry("\"a, b.mp4\", 3,"), of("a, b.mp4", None, 3));
        assert_eq!(entry("100218 46 171"), of("100218", Some(46), 171));
        assert_eq!(entry("100218 171"), of("100218", None, 171));
        for text in ["a", "a b", "3", "a -1", "a 3 x"] {
            assert_eq!(entry(text), Err(format!("expected `path frames label` or `path label`, found `{text}`")));
        }
        assert!(entry("some/path 163 1 4").unwrap_err().contains("has more than two numbers; for clips with several"));
    }

    #[test]
    fn splits_of_ucf101_have_train_and_val() {
        let dir = folder(&[
            (
                "ucf101_train_split_1_rawframes.txt",
                "Archery/v_Archery_g08_c01 50 0\r\nRowing/v_Rowing_g08_c01 60 1\r\n",
            ),
            ("ucf101_val_split_1_rawframes.txt", "Archery/v_Archery_g01_c01 50 0\n"),
            ("ucf101_train_split_2_rawframes.txt", "Archery/v_Archery_g01_c01 50 0\n"),
            ("ucf101_val_split_2_rawframes.txt", "Rowing/v_Rowing_g08_c01 60 1\n"),
        ]);
        let lists = Lists::read_text_lists(dir.path()).unwrap();
        assert_eq!(
            (lists.dataset, lists.splits.join(","), lists.classes.join(",")),
            ("mmaction2", "1,2".into(), "Archery,Rowing".into())
        );
        assert_eq!(
            seen(&lists),
            [
                ("v_Archery_g01_c01", 0, vec!["val", "train"]),
                ("v_Archery_g08_c01", 0, vec!["train", "unused"]),
                ("v_Rowing_g08_c01", 1, vec!["train", "val"]),
            ]
        );
        assert_eq!(lists.notes, ["the class names come from the folders of the clips in the lists"]);
        std::fs::create_dir(dir.path().join("annotations")).unwrap();
        std::fs::write(dir.path().join("annotations/classInd.txt"), "1 Bow and arrow\r\n2 Boat\r\n").unwrap();
        let lists = Lists::read_text_lists(&dir.path().join("ucf101_val_split_2_rawframes.txt")).unwrap();
        assert_eq!(lists.classes, ["Bow and arrow", "Boat"]);
        assert_eq!(lists.clips.len(), 3);
        assert!(lists.notes[0].contains("the class names come from ") && lists.notes[0].ends_with("classInd.txt"));
    }

    #[test]
    fn lists_of_videos_and_of_three_parts_are_read() {
        let dir = folder(&[
            ("kinetics400_train_list_videos.txt", "a b/x y.mp4 1\n"),
            ("kinetics400_val_list_videos.txt", "\u{feff}a b/z.mp4 1\n"),
            ("kinetics400_test_list_videos.txt", "c/w.mp4 0\n"),
            ("label_map_k400.txt", "abseiling\nair drumming\n"),
        ]);
        let lists = Lists::read_text_lists(dir.path()).unwrap();
        assert_eq!(seen(&lists), [("w", 0, vec!["test"]), ("x y", 1, vec!["train"]), ("z", 1, vec!["val"])]);
        assert_eq!(lists.classes, ["abseiling", "air drumming"]);
        let dir = folder(&[("train.csv", "d/1.mp4,2\n"), ("val.csv", "d/2.mp4,0\n")]);
        let lists = Lists::read_text_lists(dir.path()).unwrap();
        assert_eq!((lists.classes.join(","), seen(&lists)[0].1), ("0,1,2".into(), 2));
        assert!(lists.notes[0].ends_with("so classes are named by their numbers"), "{:?}", lists.notes);
    }

    #[test]
    fn each_bad_list_has_its_error() {
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[("something_train_v1.txt", "7 46 171\n8 x\n")], "v1.txt: line 2: expected `path frames label` or"),
            (
                &[("train.txt", "a 46 1\nb 2\n")],
                "line 2: expected `path frames label`, as in the lines before, found `b 2`",
            ),
            (&[("train.txt", "a 1\nb 46 2\n")], "line 2: expected `path label`, as in the lines before"),
            (&[("train.txt", "/ 1\n")], "line 1: the path `/` has no clip name"),
            (&[("train.txt", "a 1\n"), ("val.txt", "A.mp4 1\n")], "val.txt: line 1: a is listed twice in this split"),
            (&[("train.txt", "a 1\nb 2\n"), ("category.txt", "x\ny\n")], "train.txt: line 2: the label 2 is not in "),
            (&[("train.txt", "a 99999999\n")], "train.txt: line 1: the label 99999999 is above 65535"),
            (&[("train.txt", "")], "the lists train.txt contain no clips"),
            (&[("list.txt", "a 1")], "has no lists of mmaction2 with train, val or test in their names"),
        ];
        for (files, expected) in cases {
            let error = Lists::read_text_lists(folder(files).path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} should contain {expected}");
        }
    }
}
