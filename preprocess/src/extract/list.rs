//! The list of an extracted tree: labels, subsets, groups and attributes of its clips. A build from
//! the tree reads it, so that the clips keep what only their videos tell.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clipshard::{Attributes, Disk, Subset, read_regular, write_whole};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::lists::Lists;
use crate::pack::plan::MAX_PLAN_BYTES;

/// Folder of the list, as in an exported tree.
const FOLDER: &str = "lists";
/// Name of the list.
const FILE: &str = "clips.jsonl";
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

/// Returns the attributes in the list of an earlier run, by clip id. They are empty without a
/// readable list, because the list is written again.
pub(super) fn read_list(tree: &Path) -> BTreeMap<String, Attributes> {
    let bytes = read_regular(tree.join(FOLDER).join(FILE), MAX_PLAN_BYTES).unwrap_or_default();
    let lines = bytes.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice::<Earlier>(line).ok());
    lines.filter_map(|line| Some((line.path?.strip_suffix(ENDING)?.to_owned(), line.attributes))).collect()
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
        assert_eq!(read_list(dir.path()), BTreeMap::new());
        write_list(dir.path(), &lists, &described).unwrap();
        assert_eq!(
            fs::read_to_string(dir.path().join("lists/clips.jsonl")).unwrap(),
            "{\"classes\":[\"jump\",\"wave\"],\"splits\":[\"1\"]}\n\
             {\"path\":\"a b.1.avi\",\"label\":\"wave\",\"split\":{\"1\":\"train\"},\"group\":\"anna\",\
             \"attributes\":{\"n\": 1.50}}\n\
             {\"path\":\"c.avi\",\"split\":{\"1\":\"hard\"}}\n"
        );
        assert_eq!(read_list(dir.path()), described);
        fs::write(dir.path().join("lists/clips.jsonl"), b"{\n[]\n\xff\n{\"path\":\"x.avi\",\"attributes\":1}\n")
            .unwrap();
        assert_eq!(read_list(dir.path()), BTreeMap::new());
    }
}
