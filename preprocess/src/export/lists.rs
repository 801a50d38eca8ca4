//! Writes the lists of an exported tree, so that it can be packed again to the same clips.
//!
//! The lists have the format of UCF101 if that can hold the names. If it loses something, there is
//! another list with everything: a CSV file with `classes.txt`, or JSON lines.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use clipshard::{Clip, Manifest, Subset};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::lists::{CLASSES_FILE, strip_extension, subset_of_word};

/// Name of the list with everything, without its ending.
const WHOLE: &str = "clips";

/// Writes the lists of some clips to a folder. Returns notes.
pub(super) fn write_lists(manifest: &Manifest, clips: &[usize], folder: &Path) -> Result<Vec<String>> {
    let clips: Vec<&Clip> = clips.iter().map(|&clip| &manifest.clips[clip]).collect();
    let lists = ListWriter { manifest, clips, folder };
    fs::create_dir_all(folder).map_err(Error::io(folder, "cannot create the folder"))?;
    let mut notes = Vec::new();
    let missing = if let Some(why) = lists.no_ucf101() {
        Some(format!("there are no lists of UCF101, because they cannot hold {why}"))
    } else {
        lists.write_ucf101()?;
        lists.lost_by_ucf101().map(|what| format!("the lists of UCF101 lack {what}"))
    };
    if let Some(missing) = missing {
        notes.push(match lists.write_whole()? {
            Ok(file) => format!("lists/{file} is the list with everything; {missing}"),
            Err(why) => format!("there is no list with everything, because {why}; {missing}"),
        });
        notes.extend(lists.renamed_subsets());
    }
    if !manifest.attributes.is_empty() {
        lists.write("attributes.json", &format!("{}\n", manifest.attributes.as_json()))?;
    }
    Ok(notes)
}

struct ListWriter<'a> {
    manifest: &'a Manifest,
    clips: Vec<&'a Clip>,
    folder: &'a Path,
}

impl ListWriter<'_> {
    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(Error::io(path, "cannot write the list"))
    }

    fn class(&self, clip: &Clip) -> Option<&str> {
        clip.label.and_then(|label| self.manifest.classes.get(label as usize)).map(String::as_str)
    }

    fn group(&self, clip: &Clip) -> Option<&str> {
        self.manifest.groups.get(&clip.id).map(String::as_str)
    }

    /// Returns what keeps lists of UCF101 from being written.
    fn no_ucf101(&self) -> Option<String> {
        let is_plain =
            |name: &str| !name.is_empty() && !name.contains(char::is_whitespace) && !name.contains(['/', '\\']);
        let mut names = HashSet::new();
        if let Some(class) = self.manifest.classes.iter().find(|name| !is_plain(name)) {
            return Some(format!("the class name {class:?}"));
        }
        if self.manifest.classes.iter().any(|name| !names.insert(name.to_ascii_lowercase())) {
            return Some("class names that differ only in case".into());
        }
        if let Some(clip) = self.clips.iter().find(|clip| !is_plain(&clip.id)) {
            return Some(format!("the clip name {:?}", clip.id));
        }
        if let Some(clip) = self.clips.iter().find(|clip| clip.label.is_none()) {
            return Some(format!("clip {}, which has no label", clip.id));
        }
        match self.manifest.splits.len() {
            0 => Some("a dataset without splits".into()),
            1..=9 => None,
            splits => Some(format!("{splits} splits")),
        }
    }

    /// Returns what lists of UCF101 do not say.
    fn lost_by_ucf101(&self) -> Option<&'static str> {
        let subsets = || self.clips.iter().flat_map(|clip| &clip.subsets);
        let is_numbered = (1..).zip(&self.manifest.splits).all(|(n, name): (usize, _)| *name == n.to_string());
        if subsets().any(|subset| *subset == Subset::Val) {
            Some("the validation clips")
        } else if subsets().any(|subset| matches!(subset, Subset::Other(_))) {
            Some("subsets with names of their own")
        } else if self.clips.iter().any(|clip| clip.subsets.iter().all(|subset| *subset == Subset::Unused)) {
            Some("the clips that no split uses")
        } else if self.clips.iter().any(|clip| self.group(clip).is_some()) {
            Some("the groups")
        } else if self.clips.iter().any(|clip| !clip.attributes.is_empty()) {
            Some("the attributes")
        } else if !is_numbered {
            Some("the names of the splits")
        } else {
            None
        }
    }

    /// Writes lists in the format of UCF101.
    fn write_ucf101(&self) -> Result<()> {
        let classes = self.manifest.classes.iter().enumerate();
        let classes: Vec<String> = classes.map(|(label, class)| format!("{} {class}\n", label + 1)).collect();
        self.write("classInd.txt", &classes.concat())?;
        for split in 0..self.manifest.splits.len() {
            for (subset, name) in [(Subset::Train, "trainlist"), (Subset::Test, "testlist")] {
                let of_subset = self.clips.iter().filter(|clip| clip.subsets.get(split) == Some(&subset));
                let line = |clip: &&Clip| {
                    let label = clip.label.filter(|_| subset == Subset::Train);
                    let label = label.map_or_else(String::new, |label| format!(" {}", label + 1));
                    format!("{}/{}.avi{label}\n", self.class(clip).unwrap_or_default(), clip.id)
                };
                self.write(&format!("{name}{:02}.txt", split + 1), &of_subset.map(line).collect::<Vec<_>>().concat())?;
            }
        }
        Ok(())
    }

    /// Writes the list with everything, and returns its name. The inner error says why there is
    /// none.
    fn write_whole(&self) -> Result<Result<String, String>> {
        let mut names = HashSet::new();
        if let Some(class) = self.manifest.classes.iter().find(|name| !names.insert(*name)) {
            return Ok(Err(format!("two classes have the name {class}")));
        }
        if self.is_for_csv() {
            self.write(CLASSES_FILE, &(self.manifest.classes.join("\n") + "\n"))?;
            self.write(&format!("{WHOLE}.csv"), &self.csv())?;
            return Ok(Ok(format!("{WHOLE}.csv")));
        }
        self.write(&format!("{WHOLE}.jsonl"), &self.json_lines())?;
        Ok(Ok(format!("{WHOLE}.jsonl")))
    }

    /// Returns whether a CSV file can hold everything.
    fn is_for_csv(&self) -> bool {
        let is_line = |name: &String| !name.is_empty() && name.trim() == name && !name.contains(['\n', '\r']);
        let is_cell = |text: &str| !text.is_empty() && !text.contains('\r');
        // The names of columns may not differ only in case.
        let mut columns = HashSet::new();
        self.manifest.classes.iter().all(is_line)
            && !self.manifest.splits.is_empty()
            && self.manifest.splits.iter().all(|name| is_line(name) && !name.contains([',', ';', '\t', '"']))
            && self.manifest.splits.iter().all(|name| columns.insert(name.to_ascii_lowercase()))
            && self.clips.iter().all(|clip| {
                clip.attributes.is_empty()
                    && is_cell(&clip.id)
                    && !clip.id.eq_ignore_ascii_case("path")
                    && self.group(clip).is_none_or(is_cell)
                    && clip.subsets.iter().all(|subset| is_cell(subset.name()))
            })
    }

    fn csv(&self) -> String {
        let has_groups = self.clips.iter().any(|clip| self.group(clip).is_some());
        let splits = match self.manifest.splits.as_slice() {
            [only] if only == "1" => vec!["split".to_owned()],
            several => several.iter().map(|name| format!("split_{name}")).collect(),
        };
        let row = |values: Vec<&str>| values.into_iter().map(cell).collect::<Vec<_>>().join(",") + "\n";
        let group = has_groups.then_some("group");
        let mut text =
            row(["path", "label"].into_iter().chain(splits.iter().map(String::as_str)).chain(group).collect());
        for clip in &self.clips {
            let path = path_of(&clip.id);
            let mut values = vec![path.as_str(), self.class(clip).unwrap_or_default()];
            values.extend(clip.subsets.iter().map(Subset::name));
            if has_groups {
                values.push(self.group(clip).unwrap_or_default());
            }
            text.push_str(&row(values));
        }
        text
    }

    fn json_lines(&self) -> String {
        let Manifest { classes, splits, .. } = self.manifest;
        let mut text = format!("{}\n", json!({"classes": classes, "splits": splits}));
        for clip in &self.clips {
            let subsets = splits.iter().zip(&clip.subsets);
            let subsets: Map<String, Value> =
                subsets.map(|(split, subset)| (split.clone(), subset.name().into())).collect();
            let mut members = vec![("path", Value::from(path_of(&clip.id)).to_string())];
            members.extend(self.class(clip).map(|class| ("label", Value::from(class).to_string())));
            members.push(("split", Value::Object(subsets).to_string()));
            members.extend(self.group(clip).map(|group| ("group", Value::from(group).to_string())));
            if !clip.attributes.is_empty() {
                // A line break in the text of attributes is white space between values.
                members.push(("attributes", clip.attributes.as_json().replace(['\n', '\r'], " ")));
            }
            let members: Vec<String> = members.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            text.extend(["{", &members.join(","), "}\n"]);
        }
        text
    }

    /// Returns notes about subsets whose name means another subset in a list.
    fn renamed_subsets(&self) -> Vec<String> {
        let others =
            self.clips.iter().flat_map(|clip| &clip.subsets).filter(|subset| matches!(subset, Subset::Other(_)));
        let names: std::collections::BTreeSet<&str> = others.map(Subset::name).collect();
        let renamed = names.into_iter().filter_map(|name| Some((name, subset_of_word(name)?)));
        renamed.map(|(name, subset)| format!("the subset {name} of the dataset means {subset} in a list")).collect()
    }
}

/// Returns the path that a list gives to a clip. The ending of a video is added if the id
/// seems to have one.
fn path_of(id: &str) -> String {
    if strip_extension(id) == id { id.to_owned() } else { format!("{id}.avi") }
}

/// Returns a value of a CSV file, in quotes if it needs them.
fn cell(text: &str) -> String {
    if text.trim() == text && !text.contains([',', ';', '\t', '"', '\n', '\r']) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use clipshard::Attributes;

    use super::*;
    use crate::lists::Lists;

    /// Writes the lists of a dataset, and reads the list with everything.
    fn again(manifest: &Manifest) -> (Vec<String>, Option<Lists>) {
        let dir = tempfile::tempdir().unwrap();
        let clips: Vec<usize> = (0..manifest.clips.len()).collect();
        let notes = write_lists(manifest, &clips, dir.path()).unwrap();
        (notes, Lists::read_custom(dir.path()).ok())
    }

    fn clip(id: &str, label: Option<u32>, subsets: &[&str], attributes: &str) -> Clip {
        let mut clip = Clip::new(id, label, subsets.iter().map(|&name| Subset::from(name)).collect());
        clip.attributes = Attributes::from_json(attributes).unwrap();
        clip
    }

    fn manifest(classes: &[&str], splits: &[&str], clips: Vec<Clip>) -> Manifest {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let mut manifest = Manifest::new("custom", texts(classes), texts(splits));
        manifest.clips = clips;
        manifest
    }

    /// Checks that the list with everything gives back the clips.
    fn assert_same(manifest: &Manifest, file: &str) {
        let (notes, lists) = again(manifest);
        assert!(notes[0].starts_with(&format!("lists/{file} is the list with everything; ")), "{notes:?}");
        let lists = lists.unwrap();
        assert_eq!((&lists.classes, &lists.splits), (&manifest.classes, &manifest.splits));
        let mut sorted = manifest.clips.clone();
        sorted.sort_by(|a, b| a.id.cmp(&b.id));
        assert_eq!(lists.clips.len(), sorted.len());
        for (read, clip) in lists.clips.iter().zip(&sorted) {
            assert_eq!((&read.id, &read.folder, read.label), (&clip.id, &clip.id, clip.label));
            assert_eq!(read.subsets, clip.subsets);
            assert_eq!(read.group.as_ref(), manifest.groups.get(&clip.id));
            assert_eq!(read.attributes.as_json(), clip.attributes.as_json());
        }
    }

    const ODD: [&str; 9] =
        ["a b", "#1 & 50%", "\"quoted\", so; ", " é\t한국어", "take.2", "x.mp4", "no. 3", "'single'", "a=b|c?*<d>"];

    #[test]
    fn odd_names_and_all_subsets_come_back_from_a_csv_file() {
        let words = ["train", "val", "test", "unused", "Hard ones, too", " x"];
        let clips = ODD
            .iter()
            .enumerate()
            .map(|(i, id)| clip(id, (i % 3 > 0).then_some(i as u32 % 3), &[words[i % 6], words[(i + 1) % 6]], "{}"));
        let mut manifest = manifest(&["z z", "#a, \"b\"", "10"], &["1", "fold é"], clips.collect());
        manifest.groups = [(ODD[2].into(), " g;\n\"1\"".into()), (ODD[0].into(), "ü".into())].into();
        assert_same(&manifest, "clips.csv");
        manifest.splits.truncate(1);
        for clip in &mut manifest.clips {
            clip.subsets.truncate(1);
        }
        assert_same(&manifest, "clips.csv");
    }

    #[test]
    fn what_a_csv_file_cannot_hold_comes_back_from_json_lines() {
        let attributes =
            "{\"fps\":29.970,\"labels\":[2,0],\"path\":\"p\",\"n\":12345678901234567890123,\"split\":{\"x\":null}}";
        let with = clip("a.b", Some(1), &["val"], attributes);
        assert_same(
            &manifest(&["1", "0", ""], &["1"], vec![with.clone(), clip("b", None, &["x y"], "{}")]),
            "clips.jsonl",
        );
        for (classes, splits) in
            [(&["x\ny"][..], &["1"][..]), (&["x"], &["a;b"]), (&["x"], &["A", "a"]), (&[" x"], &["1"]), (&["x"], &[])]
        {
            let subsets = vec!["train"; splits.len()];
            assert_same(&manifest(classes, splits, vec![clip("a b", Some(0), &subsets, "{}")]), "clips.jsonl");
        }
    }

    #[test]
    fn lists_of_ucf101_are_enough_for_plain_datasets() {
        let plain =
            vec![clip("v_A_g01", Some(0), &["train", "test"], "{}"), clip("b", Some(1), &["unused", "train"], "{}")];
        let plain = manifest(&["A", "B"], &["1", "2"], plain);
        assert_eq!(again(&plain), (vec![], None));
        let lost = |change: &dyn Fn(&mut Manifest)| {
            let mut changed = plain.clone();
            change(&mut changed);
            again(&changed).0.join("; ")
        };
        for (change, what) in [
            (
                &(|m: &mut Manifest| m.clips[0].subsets[0] = Subset::Val) as &dyn Fn(&mut Manifest),
                "the lists of UCF101 lack the validation clips",
            ),
            (&|m| m.clips[0].subsets[0] = Subset::from("x"), "lack subsets with names of their own"),
            (&|m| m.clips[1].subsets[1] = Subset::Unused, "lack the clips that no split uses"),
            (&|m| m.groups = [("b".into(), "g".into())].into(), "lack the groups"),
            (&|m| m.clips[0].attributes.set("fps", 25), "lack the attributes"),
            (&|m| m.splits[1] = "x".into(), "lack the names of the splits"),
            (&|m| m.clips[0].label = None, "cannot hold clip v_A_g01, which has no label"),
            (&|m| m.classes[1] = "a".into(), "cannot hold class names that differ only in case"),
            (&|m| m.classes[1] = "b c".into(), "cannot hold the class name \"b c\""),
            (&|m| m.clips[0].id = "b c".into(), "cannot hold the clip name \"b c\""),
        ] {
            let note = lost(change);
            assert!(note.starts_with("lists/clips.") && note.contains(what), "{note} should contain {what}");
        }
        let note = lost(&|m| m.classes[1] = "A".into());
        assert!(note.starts_with("there is no list with everything, because two classes have the name A"), "{note}");
        let note = lost(&|m| m.clips[0].subsets[0] = Subset::from("Training"));
        assert!(note.ends_with("the subset Training of the dataset means train in a list"), "{note}");
    }

    #[test]
    fn attributes_of_the_dataset_have_a_file() {
        let mut plain = manifest(&["A"], &["1"], vec![clip("a", Some(0), &["train"], "{}")]);
        plain.attributes = Attributes::from_json("{\"licence\": 1.0}").unwrap();
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(write_lists(&plain, &[0], dir.path()).unwrap(), [""; 0]);
        assert_eq!(fs::read_to_string(dir.path().join("attributes.json")).unwrap(), "{\"licence\": 1.0}\n");
    }
}
