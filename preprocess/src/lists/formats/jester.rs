//! Lists of Jester and Something-Something-v1: CSV files `id;label` for train and validation, `id`
//! for test, and a file with one class name per line.

use std::path::Path;

use clipshard::Attributes;

use crate::error::{Error, Result};
use crate::lists::listed::Lists;
use crate::lists::reading::classes::Classes;
use crate::lists::reading::part_rows::{PartRow, clips_of};
use crate::lists::reading::parts::find_parts;
use crate::lists::reading::rows::Rows;
use crate::lists::reading::text::{files_in, has_ending, lines, name_of};
use crate::quantity::counted;

impl Lists {
    /// Reads the lists of Jester: `...train.csv`, `...validation.csv`, `...test.csv` and
    /// `...labels.csv`. `path` is their folder or one of them. Values are separated by semicolons or
    /// commas. A row without a class is a clip without a label.
    ///
    /// # Errors
    /// Returns [`Error::List`] with the line of an invalid row, and [`Error::Input`] if there are
    /// no lists or no clips.
    pub fn read_jester(path: &Path) -> Result<Self> {
        read(path, "jester", "Jester")
    }

    /// Reads the lists of Something-Something-v1, which have the format of Jester's.
    ///
    /// # Errors
    /// As [`Lists::read_jester`].
    pub fn read_something_v1(path: &Path) -> Result<Self> {
        read(path, "something-v1", "Something-Something-v1")
    }
}

fn read(path: &Path, dataset: &'static str, shown: &str) -> Result<Lists> {
    let parts = find_parts(path, shown, is_list)?;
    let folder = parts[0].path.parent().unwrap_or(Path::new("."));
    let mut rows = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        read_rows(number, &part.path, &mut rows)?;
    }
    let mut notes = Vec::new();
    let classes = if let Some(file) = files_in(folder)?.iter().find(|file| is_labels(file)) {
        read_labels(file)?
    } else {
        notes.push(format!(
            "{} has no labels.csv, so classes are numbered in the byte order of their names",
            folder.display()
        ));
        Classes::of_labels(rows.iter().filter_map(|row| row.class.as_deref()))
    };
    let clips = clips_of(rows, &parts, &classes)?;
    let unlabelled = clips.iter().filter(|clip| clip.label.is_none()).count() as u64;
    if unlabelled > 0 {
        notes.push(format!("{} no label in the lists", counted(unlabelled, "clip has", "clips have")));
    }
    let (classes, splits) = (classes.names, vec!["1".into()]);
    Ok(Lists { dataset, classes, splits, clips, notes })
}

/// Returns whether a file may be a list of clips.
fn is_list(path: &Path) -> bool {
    let name = name_of(path);
    has_ending(path, &["csv"]) && !is_labels(path) && !name.contains("answers")
}

fn is_labels(path: &Path) -> bool {
    has_ending(path, &["csv"]) && name_of(path).trim_end_matches(".csv").ends_with("labels")
}

/// Reads class names: one per line.
fn read_labels(path: &Path) -> Result<Classes> {
    let mut lines = lines(path)?;
    for (_, line) in &mut lines {
        let bare = line.trim_end_matches([';', ',']).trim();
        let bare = bare.strip_prefix('"').and_then(|bare| bare.strip_suffix('"')).unwrap_or(bare);
        *line = bare.replace("\"\"", "\"");
    }
    Classes::of_lines(path, &lines)
}

fn read_rows(number: usize, path: &Path, rows: &mut Vec<PartRow>) -> Result<()> {
    let mut list = Rows::open_pairs(path)?;
    let mut is_first = true;
    while let Some((line, record)) = list.next()? {
        let fault = |what: String| Error::List { path: path.into(), line, what };
        let is_header =
            ["id", "video_id"].iter().any(|name| record.get(0).is_some_and(|id| id.eq_ignore_ascii_case(name)));
        if std::mem::take(&mut is_first) && is_header {
            continue;
        }
        if let Some(text) = record.iter().skip(2).find(|text| !text.is_empty()) {
            return Err(fault(format!("unexpected `{text}` after `id;label`; put labels with commas in quotes")));
        }
        let field = |at: usize| record.get(at).filter(|text| !text.is_empty()).map(str::to_owned);
        let path = field(0).ok_or_else(|| fault("the row has no id; expected `id;label`".into()))?;
        rows.push(PartRow { part: number, line, path, class: field(1), attributes: Attributes::new() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::reading::text::tests::folder;

    const LABELS: &str = "Swiping Left\r\nDoing other things\r\nZooming Out With Two Fingers\r\n";

    fn seen(lists: &Lists) -> Vec<(&str, Option<u32>, &str)> {
        lists.clips.iter().map(|c| (c.id.as_str(), c.label, c.subsets[0].name())).collect()
    }

    #[test]
    fn train_validation_and_test_are_read_with_semicolons_or_commas() {
        let expected =
            [("10", Some(1), "train"), ("20", Some(0), "val"), ("30", None, "test"), ("34870", Some(2), "train")];
        for separator in [";", ","] {
            let with = |text: &str| text.replace(';', separator);
            let dir = folder(&[
                ("jester-v1-labels.csv", LABELS),
                (
                    "jester-v1-train.csv",
                    &with("\u{feff}34870;Zooming Out With Two Fingers\r\n10;Doing other things;\r\n\r\n"),
                ),
                ("jester-v1-validation.csv", &with("id;label\n20;\"Swiping Left\"\n")),
                ("jester-v1-test.csv", &with("30;\n")),
                ("readme.csv", ""),
            ]);
            let lists = Lists::read_jester(dir.path()).unwrap();
            assert_eq!((lists.dataset, seen(&lists)), ("jester", expected.to_vec()), "{separator}");
            assert_eq!(lists.classes[2], "Zooming Out With Two Fingers");
            assert_eq!(lists.notes, ["1 clip has no label in the lists"]);
        }
    }

    #[test]
    fn labels_with_commas_are_whole_after_a_semicolon() {
        let dir = folder(&[("something-something-v1-train.csv", "7;Trying, but failing\n8;A\n")]);
        let lists = Lists::read_something_v1(&dir.path().join("something-something-v1-train.csv")).unwrap();
        assert_eq!(
            (lists.dataset, lists.classes.as_slice()),
            ("something-v1", &["A", "Trying, but failing"].map(String::from)[..])
        );
        assert!(lists.notes[0].contains("has no labels.csv"), "{:?}", lists.notes);
    }

    #[test]
    fn each_bad_list_has_its_error() {
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[("labels.csv", LABELS)], "has no lists of Jester with train, val or test in their names"),
            (&[("train.csv", "1;A;B\n")], "train.csv: line 1: unexpected `B` after `id;label`"),
            (&[("train.csv", "1;A\n;B\n")], "train.csv: line 2: the row has no id"),
            (&[("labels.csv", "B\n"), ("train.csv", "1;A\n")], "train.csv: line 1: class A is not in labels.csv"),
            (&[("labels.csv", "B\nB\n"), ("train.csv", "1;B\n")], "labels.csv: line 2: class B is listed twice"),
            (
                &[("train.csv", "2;A\n1;A\n"), ("val.csv", "1;B\n")],
                "val.csv: line 1: 1 is in train.csv line 2 and in val.csv line 1, with different labels",
            ),
            (&[("train.csv", "1;A\n"), ("val.csv", "1\n")], "1 is in train.csv line 1 and in val.csv line 1"),
            (&[("train.csv", "1;A\n"), ("val.csv", "2;A\n1;A\n")], "val.csv: line 2: 1 is listed twice in this split"),
            (&[("train.csv", "\n")], "the lists train.csv contain no clips"),
            (&[("a_train.csv", "1;A\n"), ("b_train.csv", "1;A\n")], "several kinds of lists"),
        ];
        for (files, expected) in cases {
            let error = Lists::read_jester(folder(files).path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} should contain {expected}");
        }
    }
}
