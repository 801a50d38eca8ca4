//! Lists of Something-Something-v2: JSON arrays of
//! `{"id","label","template","placeholders"}` for train and validation, of `{"id"}` for test, and
//! `labels.json` with the number of each template.

use std::collections::HashMap;
use std::path::Path;

use clipshard::{Attributes, Subset};
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::lists::listed::Lists;
use crate::lists::reading::classes::Classes;
use crate::lists::reading::clips::{Clips, Entry, NamedClip, Place};
use crate::lists::reading::json::{At, AttributeText, Members, for_each_object, text_of};
use crate::lists::reading::parts::{PartFile, find_parts, names_of};
use crate::lists::reading::rows::Rows;
use crate::lists::reading::text::{files_in, has_ending, name_of, read_text};
use crate::quantity::counted;

impl Lists {
    /// Reads the lists of Something-Something-v2: `...train.json`, `...validation.json`,
    /// `...test.json` and `...labels.json`. `path` is their folder or one of them.
    ///
    /// The class is the template without brackets. Clips of the test list have no label, unless
    /// there is a `test-answers.csv`. The text of a clip becomes the attribute `caption`.
    ///
    /// # Errors
    /// Returns [`Error::List`] with the line of an invalid entry, and [`Error::Input`] if lists are
    /// missing or name no clip.
    pub fn read_something_v2(path: &Path) -> Result<Self> {
        let parts = find_parts(path, "Something-Something-v2", is_list)?;
        let folder = parts[0].path.parent().unwrap_or(Path::new(".")).to_owned();
        let companions = files_in(&folder)?;
        let mut rows = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            read_list(number, part, &mut rows)?;
        }
        let mut notes = Vec::new();
        if let Some(file) = companions.iter().find(|file| is_answers(file)) {
            add_answers(file, &mut rows)?;
        }
        let labels = companions.iter().find(|file| is_labels(file));
        let classes = if let Some(file) = labels {
            read_labels(file)?
        } else {
            notes.push(format!(
                "{} has no labels.json, so classes are numbered in the byte order of their names",
                folder.display()
            ));
            Classes::of_labels(rows.iter().filter_map(|row| row.class.as_deref()))
        };
        let mut clips = Clips::default();
        for row in rows {
            let part = &parts[row.part];
            let entry = Entry { number: row.at.number, key: "id", name: &row.id };
            let place = Place { path: &part.path, line: row.at.line, entry: Some(entry) };
            let label = row.class.as_deref().map(|class| classes.label(class)).transpose();
            let label = label.map_err(|what| place.fault(what))?;
            let clip = NamedClip { name: row.id.clone(), label, attributes: row.attributes, ..NamedClip::default() };
            clips.add(clip, 0, part.subset.clone(), place)?;
        }
        let clips = clips.finish(1, &classes.names)?;
        if clips.is_empty() {
            return Err(Error::input(format!("the lists {} contain no clips", names_of(&parts))));
        }
        notes.extend(note_of_unlabelled(&clips, &parts));
        let (classes, splits) = (classes.names, vec!["1".into()]);
        Ok(Self { dataset: "something-v2", classes, splits, clips, notes })
    }
}

/// Returns a note about test clips without a label.
fn note_of_unlabelled(clips: &[crate::lists::ListedClip], parts: &[PartFile]) -> Option<String> {
    let count = clips.iter().filter(|clip| clip.label.is_none()).count() as u64;
    (count > 0).then(|| {
        let of = if parts.iter().any(|part| part.subset == Subset::Test) { " of the test list" } else { "" };
        format!("{}{of} without a label", counted(count, "clip is", "clips are"))
    })
}

/// A clip of a list.
struct Row {
    part: usize,
    at: At,
    id: String,
    class: Option<String>,
    attributes: Attributes,
}

/// Returns whether a file is a list of clips.
fn is_list(path: &Path) -> bool {
    has_ending(path, &["json"]) && !is_labels(path)
}

fn is_labels(path: &Path) -> bool {
    has_ending(path, &["json"]) && name_of(path).trim_end_matches(".json").ends_with("labels")
}

fn is_answers(path: &Path) -> bool {
    has_ending(path, &["csv"]) && name_of(path).trim_end_matches(".csv").ends_with("answers")
}

/// Returns the class of a template: its text without brackets.
fn class_of(template: &str) -> String {
    template.replace(['[', ']'], "")
}

fn read_list(number: usize, part: &PartFile, rows: &mut Vec<Row>) -> Result<()> {
    let text = read_text(&part.path)?;
    for_each_object(&part.path, &text, "id", |at, members| {
        let id = members
            .text("id")?
            .filter(|id| !id.is_empty())
            .ok_or("the entry has no `id`; add it, or remove the entry")?;
        let template = members.text("template")?;
        let mut attributes = AttributeText::default();
        if let Some(caption) = members.get("label") {
            attributes.add_json("caption", caption.get());
        }
        for (key, raw) in members.0.iter().filter(|(key, _)| !matches!(key.as_str(), "id" | "label")) {
            attributes.add_json(key, raw.get());
        }
        let class = template.as_deref().map(class_of);
        rows.push(Row { part: number, at, id, class, attributes: attributes.finish()? });
        Ok(())
    })
}

/// Reads `labels.json`: an object with the number of each class.
fn read_labels(path: &Path) -> Result<Classes> {
    let text = read_text(path)?;
    let wrong = |what: String| {
        Error::input(format!("{}: {what}; expected {{\"Class name\":\"0\",...}} with numbers from 0", path.display()))
    };
    let members = Members::parse(&text).map_err(wrong)?;
    let mut names: Vec<Option<String>> = vec![None; members.0.len()];
    for (name, raw) in &members.0 {
        let number = |raw: &RawValue| text_of(raw).ok().flatten()?.parse::<usize>().ok();
        match number(raw).and_then(|number| names.get_mut(number)) {
            Some(place @ None) => *place = Some(name.clone()),
            _ => return Err(wrong(format!("class `{name}` has the number {}", raw.get()))),
        }
    }
    let classes = Classes::of_names(names.into_iter().flatten().collect());
    Ok(classes.map_err(|name| wrong(format!("class {name} is listed twice")))?.in_file(path))
}

/// Adds the classes of test clips from a list `id;class`.
fn add_answers(path: &Path, rows: &mut [Row]) -> Result<()> {
    let mut answers: HashMap<String, String> = HashMap::new();
    let mut list = Rows::open_pairs(path)?;
    while let Some((line, record)) = list.next()? {
        match (record.get(0), record.get(1)) {
            (Some(id), Some(class)) if !id.is_empty() && !class.is_empty() => {
                answers.insert(id.to_owned(), class_of(class));
            }
            _ => {
                return Err(Error::List { path: path.to_owned(), line, what: "expected `id;class`".into() });
            }
        }
    }
    for row in rows.iter_mut().filter(|row| row.class.is_none()) {
        row.class = answers.remove(&row.id);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::reading::text::tests::folder;

    const TRAIN: &str = "\u{feff}[\r\n{\"id\":\"78687\", \"label\":\"holding potato next to vicks\", \
                         \"template\":\"Holding [something] next to [something]\", \
                         \"placeholders\":[\"potato\", \"vicks\"]},\r\n\
                         {\"id\":\"100\",\"label\":\"closing a b\\u00f6x\",\"template\":\"Closing [something]\",\
                         \"placeholders\":[\"a b\\u00f6x\"]}]";
    const VALIDATION: &str =
        "[{\"id\":\"7\",\"label\":\"closing x\",\"template\":\"Closing [something]\",\"placeholders\":[]}]";
    const LABELS: &str =
        "{\"Holding something next to something\":\"1\",\"Closing something\":\"0\",\"Opening something\":\"2\"}";
    const TEST: &str = "[{\"id\":\"1420\"}, {\"id\":\"1421\"}]";

    fn seen(lists: &Lists) -> Vec<(&str, Option<u32>, &str, &str)> {
        lists.clips.iter().map(|c| (c.id.as_str(), c.label, c.subsets[0].name(), c.attributes.as_json())).collect()
    }

    #[test]
    fn templates_are_classes_and_texts_are_captions() {
        let name = |part: &str| format!("something-something-v2-{part}.json");
        let dir = folder(&[
            (&name("train"), TRAIN),
            (&name("validation"), VALIDATION),
            (&name("test"), TEST),
            (&name("labels"), LABELS),
        ]);
        let lists = Lists::read_something_v2(dir.path()).unwrap();
        assert_eq!(lists.classes, ["Closing something", "Holding something next to something", "Opening something"]);
        assert_eq!(
            seen(&lists),
            [
                (
                    "100",
                    Some(0),
                    "train",
                    "{\"caption\":\"closing a b\\u00f6x\",\"template\":\"Closing [something]\",\
                     \"placeholders\":[\"a b\\u00f6x\"]}"
                ),
                ("1420", None, "test", "{}"),
                ("1421", None, "test", "{}"),
                (
                    "7",
                    Some(0),
                    "val",
                    "{\"caption\":\"closing x\",\"template\":\"Closing [something]\",\"placeholders\":[]}"
                ),
                (
                    "78687",
                    Some(1),
                    "train",
                    "{\"caption\":\"holding potato next to vicks\",\
                     \"template\":\"Holding [something] next to [something]\",\"placeholders\":[\"potato\", \"vicks\"]}"
                ),
            ]
        );
        assert_eq!(lists.notes, ["2 clips are of the test list without a label"]);
        let one = Lists::read_something_v2(&dir.path().join(name("validation"))).unwrap();
        assert_eq!(one, lists);
    }

    #[test]
    fn answers_label_the_test_list_and_labels_may_be_missing() {
        let dir = folder(&[
            ("train.json", TRAIN),
            ("test.json", TEST),
            ("test-answers.csv", "1420;Opening something\r\n1421;Closing something\r\n"),
        ]);
        let lists = Lists::read_something_v2(dir.path()).unwrap();
        assert_eq!(lists.classes, ["Closing something", "Holding something next to something", "Opening something"]);
        let labels: Vec<_> = seen(&lists).iter().map(|clip| (clip.0, clip.1)).collect::<Vec<_>>();
        assert_eq!(
            labels,
            [("100", Some(0)), ("1420", Some(2)), ("1421", Some(0)), ("78687", Some(1))].map(|(a, b)| (a, b))
        );
        assert!(lists.notes[0].contains("has no labels.json"), "{:?}", lists.notes);
        assert_eq!(lists.notes.len(), 1);
    }

    #[test]
    fn each_bad_list_has_its_error() {
        let train = ("train.json", TRAIN);
        let cases: &[(&[(&str, &str)], &str)] = &[
            (
                &[("labels.json", LABELS)],
                "has no lists of Something-Something-v2 with train, val or test in their names",
            ),
            (&[("train.json", "{}")], "train.json: line 1: expected a JSON array of objects: invalid type: map"),
            (&[("train.json", "[\n{\"label\":\"x\"}]")], "train.json: line 2: entry 1: the entry has no `id`; add it"),
            (
                &[train, ("labels.json", "{\"Closing something\":\"0\"}")],
                "train.json: line 2: entry 1 (id 78687): class Holding something next to",
            ),
            (&[train, ("labels.json", "{\"a\":\"1\"}")], "labels.json: class `a` has the number \"1\"; expected"),
            (&[train, ("labels.json", "{\"a\":0,\"b\":0}")], "labels.json: class `b` has the number 0"),
            (&[train, ("labels.json", "[]")], "labels.json: invalid type: sequence, expected a JSON object"),
            (
                &[train, ("val.json", TRAIN)],
                "val.json: line 2: entry 1 (id 78687): 78687 is listed twice in this split",
            ),
            (&[("test.json", TEST), ("test-answers.csv", "1420\n")], "test-answers.csv: line 1: expected `id;class`"),
            (&[("train.json", "[]"), ("labels.json", LABELS)], "the lists train.json contain no clips"),
        ];
        for (files, expected) in cases {
            let error = Lists::read_something_v2(folder(files).path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} should contain {expected}");
        }
    }
}
