//! Lists of Diving48: JSON arrays of `{"vid_name","label","start_frame","end_frame"}`, and
//! `Diving48_vocab.json` with the four words of each class.

use std::path::Path;

use crate::error::{Error, Result};
use crate::lists::listed::Lists;
use crate::lists::reading::classes::Classes;
use crate::lists::reading::clips::{Clips, Entry, NamedClip, Place};
use crate::lists::reading::json::{At, AttributeText, for_each_object};
use crate::lists::reading::parts::{PartFile, find_parts, names_of};
use crate::lists::reading::text::{files_in, has_ending, name_of, read_text};

impl Lists {
    /// Reads the lists of Diving48: `Diving48_V2_train.json`, `Diving48_V2_test.json` and
    /// `Diving48_vocab.json`. `path` is their folder or one of them.
    ///
    /// A class is named by its four words, as in `Back_15som_05Twis_FREE`. Without the vocabulary it
    /// is named by its number.
    ///
    /// # Errors
    /// Returns [`Error::List`] with the line of an invalid entry, and [`Error::Input`] if there are
    /// no lists or no clips.
    pub fn read_diving48(path: &Path) -> Result<Self> {
        let parts = find_parts(path, "Diving48", is_list)?;
        let folder = parts[0].path.parent().unwrap_or(Path::new("."));
        let mut rows = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            let text = read_text(&part.path)?;
            for_each_object(&part.path, &text, "vid_name", |at, members| {
                let name = members.text("vid_name")?.filter(|name| !name.is_empty());
                let name = name.ok_or("the entry has no `vid_name`; add it, or remove the entry")?;
                let label = members.text("label")?;
                let label = label.map(|label| {
                    label.parse::<u32>().map_err(|_| {
                        format!("`label` is {label}, expected a number from 0; write the number of the class")
                    })
                });
                let mut attributes = AttributeText::default();
                for (key, raw) in members.0.iter().filter(|(key, _)| !matches!(key.as_str(), "vid_name" | "label")) {
                    attributes.add_json(key, raw.get());
                }
                rows.push((number, at, name, label.transpose()?, attributes.finish()?));
                Ok(())
            })?;
        }
        if rows.is_empty() {
            return Err(Error::input(format!("the lists {} contain no clips", names_of(&parts))));
        }
        let mut notes = Vec::new();
        let vocabulary = files_in(folder)?.into_iter().find(|file| is_vocabulary(file));
        let classes = if let Some(file) = &vocabulary {
            read_vocabulary(file)?
        } else {
            notes.push(format!(
                "{} has no Diving48_vocab.json, so classes are named by their numbers",
                folder.display()
            ));
            let highest = rows.iter().filter_map(|(number, at, name, label, _)| Some(((*label)?, number, (at, name))));
            let highest = highest.max_by_key(|(label, ..)| *label);
            highest.map_or(Ok(Classes::default()), |(label, number, (at, name))| {
                Classes::of_numbers(label).map_err(|what| place(&parts[*number], *at, name).fault(what))
            })?
        };
        let mut clips = Clips::default();
        for (number, at, name, label, attributes) in rows {
            let part = &parts[number];
            let entry = name.clone();
            let place = place(part, at, &entry);
            if let (Some(label), Some(file)) =
                (label.filter(|label| *label as usize >= classes.names.len()), &vocabulary)
            {
                let (count, file) = (classes.names.len(), file.display());
                return Err(place.fault(format!(
                    "the label {label} is not in {file}, which has {count} classes; correct the label, or add the class"
                )));
            }
            let clip = NamedClip { name, label, attributes, ..NamedClip::default() };
            clips.add(clip, 0, part.subset.clone(), place)?;
        }
        let clips = clips.finish(1, &classes.names)?;
        let (classes, splits) = (classes.names, vec!["1".into()]);
        Ok(Self { dataset: "diving48", classes, splits, clips, notes })
    }
}

fn place<'a>(part: &'a PartFile, at: At, name: &'a str) -> Place<'a> {
    let entry = Entry { number: at.number, key: "vid_name", name };
    Place { path: &part.path, line: at.line, entry: Some(entry) }
}

fn is_list(path: &Path) -> bool {
    has_ending(path, &["json"]) && !is_vocabulary(path)
}

fn is_vocabulary(path: &Path) -> bool {
    has_ending(path, &["json"]) && name_of(path).trim_end_matches(".json").ends_with("vocab")
}

/// Reads the vocabulary: an array with the words of each class.
fn read_vocabulary(path: &Path) -> Result<Classes> {
    let wrong = |what: String| {
        Error::input(format!("{}: {what}; expected [[\"Back\",\"15som\",\"05Twis\",\"FREE\"],...]", path.display()))
    };
    let words: Vec<Vec<String>> = serde_json::from_str(&read_text(path)?).map_err(|e| wrong(e.to_string()))?;
    let names = words.into_iter().map(|words| words.join("_")).collect();
    Ok(Classes::of_names(names).map_err(|name| wrong(format!("class {name} is listed twice")))?.in_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::reading::text::tests::folder;

    const VOCABULARY: &str = r#"[["Back","15som","05Twis","FREE"],["Back","15som","15Twis","FREE"]]"#;
    const TRAIN: &str = "[{\"vid_name\": \"w6NFQd9tvYg_00005\", \"label\": 1, \"start_frame\": 0, \
                         \"end_frame\": 153},\r\n\
                         {\"vid_name\": \"_8Vy3dlHg2w_00000\", \"label\": 0, \"start_frame\": 0, \"end_frame\": 9}]";
    const TEST: &str = "[{\"vid_name\":\"x_1\",\"label\":0,\"start_frame\":0,\"end_frame\":70}]";

    fn seen(lists: &Lists) -> Vec<(&str, Option<u32>, &str, &str)> {
        lists.clips.iter().map(|c| (c.id.as_str(), c.label, c.subsets[0].name(), c.attributes.as_json())).collect()
    }

    #[test]
    fn words_name_classes_and_frames_are_attributes() {
        let dir = folder(&[
            ("Diving48_V2_train.json", TRAIN),
            ("Diving48_V2_test.json", TEST),
            ("Diving48_train.json", TEST),
            ("Diving48_vocab.json", VOCABULARY),
        ]);
        let error = Lists::read_diving48(dir.path()).unwrap_err().to_string();
        assert!(error.contains("several kinds of lists"), "{error}");
        let lists = Lists::read_diving48(&dir.path().join("Diving48_V2_train.json")).unwrap();
        assert_eq!((lists.dataset, lists.classes[1].as_str()), ("diving48", "Back_15som_15Twis_FREE"));
        assert_eq!(
            seen(&lists),
            [
                ("_8Vy3dlHg2w_00000", Some(0), "train", r#"{"start_frame":0,"end_frame":9}"#),
                ("w6NFQd9tvYg_00005", Some(1), "train", r#"{"start_frame":0,"end_frame":153}"#),
                ("x_1", Some(0), "test", r#"{"start_frame":0,"end_frame":70}"#),
            ]
        );
        std::fs::remove_file(dir.path().join("Diving48_vocab.json")).unwrap();
        let lists = Lists::read_diving48(&dir.path().join("Diving48_V2_test.json")).unwrap();
        assert_eq!(lists.classes, ["0", "1"]);
        assert!(lists.notes[0].contains("has no Diving48_vocab.json, so classes are named by their numbers"));
    }

    #[test]
    fn each_bad_list_has_its_error() {
        let train = ("Diving48_V2_train.json", TRAIN);
        let vocab = |text| ("Diving48_vocab.json", text);
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[vocab(VOCABULARY)], "has no lists of Diving48 with train, val or test in their names"),
            (
                &[train, vocab("[[\"a\"]]")],
                "train.json: line 1: entry 1 (vid_name w6NFQd9tvYg_00005): the label 1 is not in ",
            ),
            (&[train, vocab("[[\"a\"],[\"a\"]]")], "vocab.json: class a is listed twice; expected [["),
            (&[train, vocab("{}")], "vocab.json: invalid type: map"),
            (&[("train.json", "[{\"label\":1}]")], "train.json: line 1: entry 1: the entry has no `vid_name`; add it"),
            (&[("train.json", "[{\"vid_name\":\"a\",\"label\":-1}]")], "line 1: entry 1 (vid_name a): `label` is -1"),
            (
                &[
                    ("train.json", "[{\"vid_name\":\"b\"},{\"vid_name\":\"a\",\"label\":1}]"),
                    ("test.json", "[{\"vid_name\":\"A\"}]"),
                ],
                "test.json: line 1: entry 1 (vid_name A): A is in train.json entry 2 and in test.json entry 1",
            ),
            (
                &[("train.json", "[\n{\"vid_name\":\"a\",\"label\":4000000000}]")],
                "line 2: entry 1 (vid_name a): the label 4000000000 is above",
            ),
            (&[("train.json", "[]")], "the lists train.json contain no clips"),
            (
                &[("train.json", "[1]")],
                "train.json: line 1: entry 1: invalid type: integer `1`, expected a JSON object",
            ),
        ];
        for (files, expected) in cases {
            let error = Lists::read_diving48(folder(files).path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} should contain {expected}");
        }
    }
}
