//! Lists of Moments in Time: `trainingSet.csv` and `validationSet.csv` with rows
//! `path,label[,agreed,disagreed]`, and `moments_categories.txt` with lines `label,number`.

use std::path::Path;

use crate::error::{Error, Result};
use crate::lists::listed::Lists;
use crate::lists::reading::classes::Classes;
use crate::lists::reading::json::AttributeText;
use crate::lists::reading::part_rows::{PartRow, clips_of};
use crate::lists::reading::parts::find_parts;
use crate::lists::reading::rows::Rows;
use crate::lists::reading::text::{files_in, has_ending, lines, name_of};

/// Attributes of the third and fourth column: the numbers of people who agree with the label, and
/// who do not.
const ANSWERS: [&str; 2] = ["agreed", "disagreed"];

impl Lists {
    /// Reads the lists of Moments in Time. `path` is their folder or one of them.
    ///
    /// # Errors
    /// Returns [`Error::List`] with the line of an invalid row, and [`Error::Input`] if there are no
    /// lists or no clips.
    pub fn read_moments(path: &Path) -> Result<Self> {
        let parts = find_parts(path, "Moments in Time", is_list)?;
        let folder = parts[0].path.parent().unwrap_or(Path::new("."));
        let mut notes = Vec::new();
        let known = if let Some(file) = files_in(folder)?.iter().find(|file| is_categories(file)) {
            Some(read_categories(file)?)
        } else {
            notes.push(format!(
                "{} has no moments_categories.txt, so classes are numbered in the byte order of their names",
                folder.display()
            ));
            None
        };
        let mut rows = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            read_rows(number, &part.path, &mut rows)?;
        }
        let classes = known.unwrap_or_else(|| Classes::of_labels(rows.iter().filter_map(|row| row.class.as_deref())));
        let clips = clips_of(rows, &parts, &classes)?;
        let (classes, splits) = (classes.names, vec!["1".into()]);
        Ok(Self { dataset: "moments", classes, splits, clips, notes })
    }
}

fn is_list(path: &Path) -> bool {
    has_ending(path, &["csv"])
}

/// Returns whether a file has the class names.
pub(in crate::lists) fn is_categories(path: &Path) -> bool {
    name_of(path) == "moments_categories.txt"
}

fn read_categories(path: &Path) -> Result<Classes> {
    let mut lines = lines(path)?;
    for (place, (line, text)) in lines.iter_mut().enumerate() {
        let fault = |what: String| Error::List { path: path.to_owned(), line: *line, what };
        let (name, number) = text
            .rsplit_once([',', ';', '\t'])
            .ok_or_else(|| fault(format!("expected `label,number`, found `{text}`")))?;
        if number.trim().parse() != Ok(place) {
            return Err(fault(format!("class {name} has the number {number}, expected {place}")));
        }
        *text = name.trim().to_owned();
    }
    Classes::of_lines(path, &lines)
}

fn read_rows(number: usize, path: &Path, rows: &mut Vec<PartRow>) -> Result<()> {
    let mut list = Rows::open(path)?;
    while let Some((line, record)) = list.next()? {
        let fault = |what: String| Error::List { path: path.into(), line, what };
        if let Some(text) = record.iter().skip(4).find(|text| !text.is_empty()) {
            return Err(fault(format!("unexpected `{text}` after `path,label,agreed,disagreed`")));
        }
        let field = |at: usize| record.get(at).filter(|text| !text.is_empty());
        let clip = field(0).ok_or_else(|| fault("the row has no path; expected `path,label`".into()))?;
        let mut attributes = AttributeText::default();
        for (at, name) in ANSWERS.into_iter().enumerate() {
            let answers = field(at + 2).unwrap_or_default();
            if !answers.is_empty() && answers.parse::<u64>().is_err() {
                return Err(fault(format!("the number of people is `{answers}`; expected `path,label,4,0`")));
            }
            attributes.add_cell(name, answers);
        }
        rows.push(PartRow {
            part: number,
            line,
            path: clip.to_owned(),
            class: field(1).map(str::to_owned),
            attributes: attributes.finish().map_err(fault)?,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::reading::text::tests::folder;

    const CATEGORIES: &str = "clapping,0\r\nadult+male+singing,1\r\n";
    const TRAIN: &str =
        "clapping/getty-karate id_4.mp4,clapping,4,0\nadult+male+singing/yt-5of6_205.mp4,adult+male+singing,3,1\n";

    #[test]
    fn paths_labels_and_answers_are_read() {
        let dir = folder(&[
            ("moments_categories.txt", CATEGORIES),
            ("trainingSet.csv", TRAIN),
            ("validationSet.csv", "clapping/b.mp4;clapping;\n"),
        ]);
        let lists = Lists::read_moments(dir.path()).unwrap();
        assert_eq!(
            (lists.dataset, lists.classes.as_slice()),
            ("moments", &["clapping", "adult+male+singing"].map(String::from)[..])
        );
        let seen: Vec<_> = lists
            .clips
            .iter()
            .map(|c| (c.id.as_str(), c.label, c.class_folder.as_deref(), c.subsets[0].name(), c.attributes.as_json()))
            .collect();
        assert_eq!(
            seen,
            [
                ("b", Some(0), Some("clapping"), "val", "{}"),
                ("getty-karate id_4", Some(0), Some("clapping"), "train", r#"{"agreed":4,"disagreed":0}"#),
                ("yt-5of6_205", Some(1), Some("adult+male+singing"), "train", r#"{"agreed":3,"disagreed":1}"#),
            ]
        );
        std::fs::remove_file(dir.path().join("moments_categories.txt")).unwrap();
        let lists = Lists::read_moments(&dir.path().join("trainingSet.csv")).unwrap();
        assert_eq!((lists.classes[0].as_str(), lists.clips.len()), ("adult+male+singing", 3));
        assert!(lists.notes[0].contains("has no moments_categories.txt"), "{:?}", lists.notes);
    }

    #[test]
    fn each_bad_list_has_its_error() {
        let train = ("trainingSet.csv", TRAIN);
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[train, ("moments_categories.txt", "clapping\n")], "line 1: expected `label,number`, found `clapping`"),
            (
                &[train, ("moments_categories.txt", "clapping,1\n")],
                "line 1: class clapping has the number 1, expected 0",
            ),
            (
                &[train, ("moments_categories.txt", "clapping,0\n")],
                "trainingSet.csv: line 2: class adult+male+singing is not in moments_categories.txt",
            ),
            (&[("trainingSet.csv", "a/b.mp4,a,four\n")], "line 1: the number of people is `four`"),
            (&[("trainingSet.csv", "a/b.mp4,a,4,0,1\n")], "line 1: unexpected `1` after `path,label,agreed,disagreed`"),
            (&[("trainingSet.csv", ",a\n")], "line 1: the row has no path"),
            (&[("clips.csv", "a/b.mp4,a\n")], "has no lists of Moments in Time"),
        ];
        for (files, expected) in cases {
            let error = Lists::read_moments(folder(files).path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} should contain {expected}");
        }
    }
}
