//! Your own lists as JSON lines: one object per clip.

use std::path::Path;

use clipshard::Subset;
use serde_json::value::RawValue;

use super::custom::{OwnLists, Row, check_group};
use crate::error::{Error, Result};
use crate::lists::listed::Lists;
use crate::lists::reading::classes::Classes;
use crate::lists::reading::json::{Members, text_of};
use crate::lists::reading::text::{read_text, split_lines};
use crate::lists::subset::subset_of_cell;

impl Lists {
    /// Reads JSON lines: one object per clip.
    ///
    /// | key | value |
    /// |---|---|
    /// | `path` | path of the video or clip folder |
    /// | `label` | class name; absent for a clip without a label |
    /// | `labels` | class names of a clip with several labels; becomes an attribute of their numbers |
    /// | `split` | subset, or an object with the subset in each split: `{"1":"train","2":"test"}` |
    /// | `group` | group of related clips |
    /// | `attributes` | object with attributes of the clip |
    /// | others | attributes of the clip |
    ///
    /// Values of attributes keep their text. A first line without `path` gives the lists of
    /// `classes` and `splits`. Without it, the classes are those of [`Lists::read_csv`].
    ///
    /// # Errors
    /// Returns [`Error::List`] with an invalid line, and [`Error::Input`] if the file names no
    /// clip.
    pub fn read_json_lines(path: &Path) -> Result<Self> {
        OwnLists::read_json_lines(path)?.finish()
    }
}

impl OwnLists {
    /// Reads JSON lines.
    pub fn read_json_lines(path: &Path) -> Result<Self> {
        let text = read_text(path)?;
        let mut lists = Self { path: path.to_owned(), ..Self::default() };
        let mut file = File::default();
        let lines = split_lines(&text).enumerate().map(|(i, line)| (i + 1, line.trim()));
        for (i, (line, text)) in lines.filter(|(_, text)| !text.is_empty()).enumerate() {
            let fault = |what: String| Error::List { path: path.into(), line, what };
            let members = Members::parse(text).map_err(|what| fault(format!("{what}; write one object per line")))?;
            if i == 0 && members.get("path").is_none() && !members.0.is_empty() {
                file.describe(&members, &mut lists).map_err(fault)?;
            } else {
                lists.rows.push(file.row(line, &members).map_err(fault)?);
            }
        }
        file.check_splits(&lists)?;
        lists.is_split_unnamed = !file.names_splits;
        (lists.splits, lists.has_all_splits) = (file.splits, file.has_all_splits);
        Ok(lists)
    }
}

/// The splits that the lines so far name.
#[derive(Default)]
struct File {
    splits: Vec<String>,
    /// Whether the first line lists the splits, so that there are no others.
    has_all_splits: bool,
    /// Whether a line names its splits.
    names_splits: bool,
}

impl File {
    /// Reads a first line that describes the dataset. The error is a message.
    fn describe(&mut self, members: &Members<'_>, lists: &mut OwnLists) -> Result<(), String> {
        for (key, raw) in &members.0 {
            match key.as_str() {
                "classes" => {
                    let twice = |name| format!("class {name} is listed twice; remove one");
                    lists.classes = Some(Classes::of_names(texts(key, raw)?).map_err(twice)?);
                }
                "splits" => {
                    self.splits = texts(key, raw)?;
                    (self.has_all_splits, self.names_splits) = (true, true);
                }
                _ => {
                    return Err(format!(
                        "the object has no `path`, and `{key}` does not describe a dataset; add `path`"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Reads a clip. The error is a message.
    fn row(&mut self, line: usize, members: &Members<'_>) -> Result<Row, String> {
        let path = members.text("path")?.ok_or("the object has no `path`; add the path of the clip")?;
        let mut row = Row { line, path, ..Row::default() };
        row.label = members.text("label")?;
        row.group = members.text("group")?;
        row.group.as_deref().map_or(Ok(()), check_group)?;
        let mut keys = Vec::new();
        for (key, raw) in &members.0 {
            match key.as_str() {
                "path" | "label" | "group" => {}
                "labels" => row.labels = Some(texts(key, raw)?),
                "split" => row.subsets = self.subsets(raw)?,
                "attributes" => {
                    let inner = Members::parse(raw.get()).map_err(|what| format!("`attributes`: {what}"))?;
                    for (key, raw) in inner.0 {
                        row.attributes.add_json(&key, raw.get());
                        keys.push(key);
                    }
                }
                _ => {
                    row.attributes.add_json(key, raw.get());
                    keys.push(key.clone());
                }
            }
        }
        keys.extend(row.labels.is_some().then(|| "labels".to_owned()));
        keys.sort_unstable();
        match keys.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!("the attribute `{}` is given twice; remove one", pair[0])),
            None => Ok(row),
        }
    }

    /// Reads the subsets of a clip. The error is a message.
    fn subsets(&mut self, raw: &RawValue) -> Result<Vec<Option<Subset>>, String> {
        let mut subsets = Vec::new();
        if let Ok(word) = text_of(raw) {
            if let Some(word) = word {
                self.put(&mut subsets, "1", &word)?;
            }
            return Ok(subsets);
        }
        let splits = Members::parse(raw.get()).map_err(|_| {
            format!("`split` is {}; write a subset, or an object as in {{\"1\":\"train\"}}", start(raw))
        })?;
        self.names_splits = true;
        for (name, raw) in &splits.0 {
            match text_of(raw) {
                Ok(Some(word)) => self.put(&mut subsets, name, &word)?,
                Ok(None) => {}
                Err(found) => return Err(format!("the subset in split {name} is {found}; write a text")),
            }
        }
        Ok(subsets)
    }

    fn put(&mut self, subsets: &mut Vec<Option<Subset>>, split: &str, word: &str) -> Result<(), String> {
        let at = match self.splits.iter().position(|known| known == split) {
            Some(at) => at,
            None if self.has_all_splits => {
                return Err(format!("split {split} is not in the list of splits; add it to the first line"));
            }
            None => {
                self.splits.push(split.to_owned());
                self.splits.len() - 1
            }
        };
        if subsets.len() <= at {
            subsets.resize(at + 1, None);
        }
        subsets[at] = Some(subset_of_cell(word)?);
        Ok(())
    }

    /// Checks that all clips of a file with one split have a subset in it.
    fn check_splits(&self, lists: &OwnLists) -> Result<()> {
        if self.has_all_splits || self.splits.len() != 1 {
            return Ok(());
        }
        match lists.rows.iter().find(|row| row.subsets.is_empty()) {
            None => Ok(()),
            Some(row) => Err(Error::List {
                path: lists.path.clone(),
                line: row.line,
                what: "the object has no `split`, but others have one; add train, val, test or unused".into(),
            }),
        }
    }
}

/// Reads a list of texts or numbers. The error is a message.
fn texts(key: &str, raw: &RawValue) -> Result<Vec<String>, String> {
    let wrong = || format!("`{key}` is {}; write a list of texts, as in [\"a\",\"b\"]", start(raw));
    let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
    items.into_iter().map(|item| text_of(item).ok().flatten().ok_or_else(wrong)).collect()
}

/// Returns the start of a value for messages.
fn start(raw: &RawValue) -> String {
    raw.get().chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::reading::text::tests::folder;

    fn read(text: &str) -> Result<Lists> {
        let dir = folder(&[("clips.jsonl", text)]);
        Lists::read_custom(dir.path())
    }

    #[test]
    fn lines_give_clips_with_attributes_as_they_are_written() {
        let lists = read(concat!(
            "\u{feff}{\"path\":\"run/a & b #1.mp4\",\"label\":\"run\",\"split\":\"train\",\"group\":7,\"fps\":29.970,",
            "\"id\":12345678901234567890123}\r\n\r\n",
            " {\"path\":\"b\",\"label\":\"jump\",\"split\":\"validation\",\"x\":{\"y\": [1.0, null]}} \r\n",
            "{\"path\":\"c\",\"labels\":[\"swim\",\"run\"],\"split\":\"test\"}\r\n",
            "{\"path\":\"d\",\"label\":null,\"split\":\"holdout\",\"attributes\":{\"labels\":[9],\"label\":\"z\"}}\r\n",
        ))
        .unwrap();
        assert_eq!(
            (lists.classes.as_slice(), lists.splits.as_slice()),
            (&["jump", "run", "swim"].map(String::from)[..], &["1".to_owned()][..])
        );
        let seen: Vec<_> =
            lists.clips.iter().map(|c| (c.id.as_str(), c.label, c.subsets[0].name(), c.attributes.as_json())).collect();
        assert_eq!(
            seen,
            [
                ("a & b #1", Some(1), "train", r#"{"fps":29.970,"id":12345678901234567890123}"#),
                ("b", Some(0), "val", r#"{"x":{"y": [1.0, null]}}"#),
                ("c", None, "test", r#"{"labels":[2,1]}"#),
                ("d", None, "holdout", r#"{"labels":[9],"label":"z"}"#),
            ]
        );
        assert_eq!(lists.clips[0].group.as_deref(), Some("7"));
        assert!(
            lists.notes[0].ends_with("1 row has no label (the first is line 5), so these clips are packed without one")
        );
        assert!(lists.notes[1].contains("the subset `holdout` (1 clip)"), "{:?}", lists.notes);
    }

    #[test]
    fn a_clip_may_have_a_subset_in_each_split() {
        let lists = read(concat!(
            "{\"path\":\"a\",\"split\":{\"1\":\"train\",\"fold B\":\"test\"}}\n",
            "{\"path\":\"b\",\"split\":{\"fold B\":\"train\",\"1\":null}}\n{\"path\":\"c\"}\n"
        ))
        .unwrap();
        assert_eq!(lists.splits, ["1", "fold B"]);
        let [train, test, unused] = [Subset::Train, Subset::Test, Subset::Unused];
        let subsets: Vec<_> = lists.clips.into_iter().map(|c| c.subsets).collect();
        assert_eq!(subsets, [vec![train.clone(), test], vec![unused.clone(), train], vec![unused.clone(), unused]]);
        let lists = read("{\"path\":\"a\"}\n").unwrap();
        assert!(lists.notes[0].ends_with("no row names a split, so all clips are for training"), "{:?}", lists.notes);
    }

    #[test]
    fn a_first_line_may_describe_the_dataset() {
        let lists = read(concat!(
            "{\"classes\":[\"b\",\" a\\n\",\"7\"],\"splits\":[\"x\",\"y\"]}\n",
            "{\"path\":\"a\",\"label\":7,\"labels\":[\" a\\n\",\"b\"],\"split\":{\"y\":\"train\"}}\n",
        ))
        .unwrap();
        assert_eq!((lists.classes[1].as_str(), lists.splits.len()), (" a\n", 2));
        let clip = &lists.clips[0];
        assert_eq!((clip.label, clip.attributes.as_json()), (Some(2), r#"{"labels":[1,0]}"#));
        assert_eq!(clip.subsets, [Subset::Unused, Subset::Train]);
    }

    #[test]
    fn a_label_outside_the_labels_is_noted() {
        let line = |path: &str, label: &str| {
            format!("{{\"path\":\"{path}\",\"label\":\"{label}\",\"labels\":[\"x\",\"y\"]}}\n")
        };
        let notes = read(&[line("a", "x"), line("b", "z"), line("c", "Y")].concat()).unwrap().notes;
        let expected = "clips.jsonl: 2 rows have a `label` that is not in `labels` (the first is line 2)";
        assert!(notes.iter().any(|note| note.ends_with(expected)), "{notes:?}");
        let notes = read(&line("a", "y")).unwrap().notes;
        assert!(notes.iter().all(|note| !note.contains("not in `labels`")), "{notes:?}");
    }

    #[test]
    fn each_bad_line_has_its_error() {
        let a = "{\"path\":\"a\",\"split\":\"train\"}\n";
        for (text, expected) in [
            ("", "contains no clips"),
            ("[{\"path\":\"a\"}]", "line 1: invalid type: sequence, expected a JSON object; write one object per line"),
            (&format!("{a}{{\"path\":\"b\""), "line 2: EOF while parsing an object; write one object per line"),
            (&format!("{a}{{}}"), "line 2: the object has no `path`; add the path of the clip"),
            ("{\"video\":\"a\"}", "line 1: the object has no `path`, and `video` does not describe a dataset"),
            (&format!("{a}{{\"path\":\"b\"}}"), "line 2: the object has no `split`, but others have one"),
            (&format!("{a}{a}"), "line 2: a is listed twice"),
            ("{\"path\":[1]}", "line 1: `path` is [1]; write a text or a number"),
            ("{\"path\":\"a\",\"split\":[1]}", "line 1: `split` is [1]; write a subset, or an object as in {\"1\":"),
            ("{\"path\":\"a\",\"split\":{\"1\":[]}}", "line 1: the subset in split 1 is []; write a text"),
            ("{\"path\":\"a\",\"labels\":\"x\"}", "line 1: `labels` is \"x\"; write a list of texts"),
            ("{\"path\":\"a\",\"fps\":1,\"fps\":2}", "line 1: the key `fps` occurs twice"),
            ("{\"path\":\"a\",\"fps\":1,\"attributes\":{\"fps\":2}}", "line 1: the attribute `fps` is given twice"),
            ("{\"path\":\"a\",\"attributes\":1}", "line 1: `attributes`: invalid type: integer `1`"),
            ("{\"classes\":[\"a\",\"a\"]}", "line 1: class a is listed twice"),
            ("{\"splits\":[\"1\"]}\n{\"path\":\"a\",\"split\":{\"2\":\"test\"}}", "line 2: split 2 is not in the list"),
            ("{\"classes\":[]}\n{\"path\":\"a\",\"label\":\"x\"}", "line 2: class x is not known"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} should contain {expected}");
        }
        let deep = format!("{{\"path\":\"a\",\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(read(&deep).unwrap_err().to_string().contains("line 1: attributes nest deeper than 64 levels"));
    }
}
