//! The list of an extracted tree: labels, subsets, groups and attributes of its clips. A build from
//! the tree reads it, so that the clips keep what only their videos tell. A journal keeps the
//! attributes until the list is written at the end.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use clipshard::{Attributes, Disk, Subset, read_regular, write_whole};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::lists::Lists;
use crate::pack::plan::MAX_PLAN_BYTES;

/// Folder of the list, as in an exported tree.
const FOLDER: &str = "lists";
/// Name of the list.
const FILE: &str = "clips.jsonl";
/// Name of the journal in the tree. Its ending marks it as unfinished.
const JOURNAL: &str = ".clips.partial";
/// The ending of the paths. Without it, a part of the name could look like an ending.
const ENDING: &str = ".avi";

/// The first line of the list.
#[derive(Serialize)]
struct Head<'a> {
    classes: &'a [String],
    splits: &'a [String],
}

/// The line of a clip.
#[derive(Serialize)]
struct Line<'a> {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    split: BTreeMap<&'a str, &'a Subset>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    attributes: &'a Attributes,
}

/// The part of a line that a later run needs.
#[derive(Deserialize)]
struct Earlier {
    path: Option<String>,
    #[serde(default)]
    attributes: Attributes,
}

/// Writes the list of the clips in `described`, which has their attributes by id.
pub(super) fn write_list(tree: &Path, lists: &Lists, described: &BTreeMap<String, Attributes>) -> Result<()> {
    let folder = tree.join(FOLDER);
    let path = folder.join(FILE);
    let fault = |e: serde_json::Error| Error::input(format!("{}: {e}", path.display()));
    let head = Head { classes: &lists.classes, splits: &lists.splits };
    let mut text = serde_json::to_string(&head).map_err(fault)?;
    text.push('\n');
    for clip in &lists.clips {
        let Some(attributes) = described.get(&clip.id) else { continue };
        let line = Line {
            path: format!("{}{ENDING}", clip.id),
            label: clip.label.and_then(|label| lists.classes.get(label as usize)).map(String::as_str),
            split: lists.splits.iter().map(String::as_str).zip(&clip.subsets).collect(),
            group: clip.group.as_deref(),
            attributes,
        };
        let line = serde_json::to_string(&line).map_err(fault)?;
        // Line breaks in JSON occur only between values.
        text.push_str(&line.replace(['\n', '\r'], " "));
        text.push('\n');
    }
    fs::create_dir_all(&folder).map_err(Error::io(&folder, "cannot create the folder"))?;
    Ok(write_whole(&Disk, &path, ".clips-", text.as_bytes())?)
}

/// Returns the attributes in the list of an earlier run and in the journal of a killed one, by clip
/// id. They are empty without a readable file, because the list is written again.
pub(super) fn read_earlier(tree: &Path) -> BTreeMap<String, Attributes> {
    let mut earlier = BTreeMap::new();
    for file in [tree.join(FOLDER).join(FILE), tree.join(JOURNAL)] {
        let bytes = read_regular(file, MAX_PLAN_BYTES).unwrap_or_default();
        let lines = bytes.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice::<Earlier>(line).ok());
        earlier.extend(lines.filter_map(|line| Some((line.path?.strip_suffix(ENDING)?.to_owned(), line.attributes))));
    }
    earlier
}

/// The attributes of the clips that are complete, one line each. A killed run leaves it instead of a
/// list.
pub(super) struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

impl Journal {
    /// Opens the journal of a tree. Keeps the lines of a killed run.
    pub fn open(tree: &Path) -> Result<Self> {
        let path = tree.join(JOURNAL);
        let open = || {
            let mut file = File::options().create(true).append(true).open(&path)?;
            // The last line of a killed run may be incomplete.
            file.write_all(b"\n")?;
            Ok(Mutex::new(file))
        };
        let file = open().map_err(Error::io(&path, "cannot write the file"))?;
        Ok(Self { path, file })
    }

    /// Adds the measured attributes of a clip.
    pub fn add(&self, id: &str, measured: &Attributes) -> Result<()> {
        let line = serde_json::json!({ "path": format!("{id}{ENDING}"), "attributes": measured });
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(format!("{line}\n").as_bytes()).map_err(Error::io(&self.path, "cannot write the file"))
    }

    /// Removes the journal, after the list is written.
    pub fn remove(self) {
        drop(self.file);
        let _ = fs::remove_file(self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::ListedClip;

    #[test]
    fn a_list_keeps_what_is_known_about_complete_clips() {
        let clip = |id: &str, label, subset: &str, group: Option<&str>| ListedClip {
            id: id.to_owned(),
            folder: id.to_owned(),
            class_folder: None,
            label,
            subsets: vec![subset.into()],
            group: group.map(str::to_owned),
            row: None,
            attributes: Attributes::new(),
        };
        let lists = Lists {
            dataset: "custom",
            classes: vec!["jump".into(), "wave".into()],
            splits: vec!["1".into()],
            clips: vec![
                clip("a b.1", Some(1), "train", Some("anna")),
                clip("b", Some(0), "val", None),
                clip("c", None, "hard", None),
            ],
            notes: Vec::new(),
        };
        let of = |text: &str| Attributes::from_json(text).unwrap();
        let described = BTreeMap::from([("a b.1".to_owned(), of("{\"n\":\n1.50}")), ("c".to_owned(), of("{}"))]);
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_earlier(dir.path()), BTreeMap::new());
        write_list(dir.path(), &lists, &described).unwrap();
        assert_eq!(
            fs::read_to_string(dir.path().join("lists/clips.jsonl")).unwrap(),
            "{\"classes\":[\"jump\",\"wave\"],\"splits\":[\"1\"]}\n\
             {\"path\":\"a b.1.avi\",\"label\":\"wave\",\"split\":{\"1\":\"train\"},\"group\":\"anna\",\
             \"attributes\":{\"n\": 1.50}}\n\
             {\"path\":\"c.avi\",\"split\":{\"1\":\"hard\"}}\n"
        );
        assert_eq!(read_earlier(dir.path()), described);
        fs::write(dir.path().join("lists/clips.jsonl"), b"{\n[]\n\xff\n{\"path\":\"x.avi\",\"attributes\":1}\n")
            .unwrap();
        assert_eq!(read_earlier(dir.path()), BTreeMap::new());
    }

    #[test]
    fn a_journal_survives_a_kill_in_the_middle_of_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let of = |width: u32| Attributes::from_json(&format!("{{\"width\":{width}}}")).unwrap();
        Journal::open(dir.path()).unwrap().add("a.1", &of(96)).unwrap();
        let path = dir.path().join(".clips.partial");
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend(b"{\"path\":\"b.avi\",\"attr");
        fs::write(&path, bytes).unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        journal.add("c", &of(64)).unwrap();
        let expected = [("a.1".to_owned(), of(96)), ("c".to_owned(), of(64))];
        assert_eq!(read_earlier(dir.path()), BTreeMap::from(expected));
        journal.remove();
        assert_eq!(read_earlier(dir.path()), BTreeMap::new());
        assert!(!path.exists());
    }
}
