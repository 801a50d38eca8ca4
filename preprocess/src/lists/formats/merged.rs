//! Your own lists with one file per split, as one list.

use std::collections::HashMap;

use super::custom::{OwnLists, Row};
use crate::error::{Error, Result};
use crate::lists::listed::clip_key;
use crate::lists::reading::clips::split_path;
use crate::lists::reading::text::name_of;

/// Merges lists of one split each. `lists` has the name of each split and its list. The clips are
/// those of all lists. A clip that a list does not name is unused in its split.
///
/// # Errors
/// Returns [`Error::Input`] if a list does not name exactly one split, and [`Error::List`] for a clip
/// that is in a list twice, or whose label, group or attributes differ between lists.
pub(super) fn merge(lists: Vec<(String, OwnLists)>) -> Result<OwnLists> {
    let mut merged = OwnLists::default();
    let mut known = Known::default();
    for (number, (split, list)) in lists.into_iter().enumerate() {
        check_split(&split, &list)?;
        merge_classes(&mut merged, &list)?;
        if merged.path.as_os_str().is_empty() {
            merged.path.clone_from(&list.path);
        }
        merged.splits.push(split);
        merged.files.push(list.path);
        for mut row in list.rows {
            let subset = row.subsets.pop().flatten();
            row.subsets = vec![None; number];
            row.subsets.push(subset);
            row.file = number;
            known.add(&mut merged, row)?;
        }
    }
    Ok(merged)
}

/// Checks that a list names clips, and their subsets in exactly one split.
fn check_split(split: &str, list: &OwnLists) -> Result<()> {
    let path = list.path.display();
    let what = match list.splits.as_slice() {
        _ if list.rows.is_empty() => "contains no clips; write one row per clip".to_owned(),
        [only] if list.is_split_unnamed || only == split => return Ok(()),
        [] => "names no split; each of several files needs the column split".to_owned(),
        named => format!(
            "names the splits {}, but the name of the file says split {split}; use one column split per file, or move \
             the other lists to another folder",
            named.join(", ")
        ),
    };
    Err(Error::input(format!("{path} {what}")))
}

/// Takes the classes that a list gives itself.
fn merge_classes(merged: &mut OwnLists, list: &OwnLists) -> Result<()> {
    match (&merged.classes, &list.classes) {
        (Some(known), Some(classes)) if known.names != classes.names => {
            let first = merged.files.first().map(|file| name_of(file)).unwrap_or_default();
            Err(Error::input(format!(
                "{} lists other classes than {first}; write the same classes to all files",
                list.path.display()
            )))
        }
        (None, Some(classes)) => {
            merged.classes = Some(classes.clone());
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The rows so far.
#[derive(Default)]
struct Known {
    /// Rows by the key of the clip's name.
    of_name: HashMap<String, Vec<usize>>,
    /// The last file that names the clip of a row, for each row.
    last_file: Vec<usize>,
}

impl Known {
    /// Adds a row, or adds its subset to the earlier row of the same clip.
    fn add(&mut self, merged: &mut OwnLists, row: Row) -> Result<()> {
        let path = merged.files.get(row.file).cloned().unwrap_or_default();
        let (file, line) = (row.file, row.line);
        let fault = |what: String| Error::List { path: path.clone(), line, what };
        let (name, folder) = split_path(&row.path).map_err(fault)?;
        let folder = folder.map(|folder| clip_key(&folder));
        let rows = self.of_name.entry(clip_key(&name)).or_default();
        let is_same = |&&number: &&usize| {
            let other =
                merged.rows.get(number).and_then(|row| split_path(&row.path).ok()).and_then(|(_, folder)| folder);
            folder.is_none() || other.is_none_or(|other| folder.as_ref() == Some(&clip_key(&other)))
        };
        let same: Vec<usize> = rows.iter().filter(is_same).copied().collect();
        let same_label = same.iter().find(|&&number| merged.rows[number].label == row.label);
        let Some(&number) = same_label.or_else(|| same.iter().find(|&&number| self.last_file[number] != file)) else {
            rows.push(merged.rows.len());
            self.last_file.push(file);
            merged.rows.push(row);
            return Ok(());
        };
        let earlier = &mut merged.rows[number];
        let place = || {
            format!(
                "{} line {}",
                merged.files.get(earlier.file).map(|file| name_of(file)).unwrap_or_default(),
                earlier.line
            )
        };
        if self.last_file[number] == file {
            return Err(fault(format!("{name} is listed twice; remove one of the entries")));
        }
        let text = |value: &Option<String>, kind: &str| match value {
            Some(value) => format!("the {kind} {value}"),
            None => format!("no {kind}"),
        };
        for (kind, now, before) in [("label", &row.label, &earlier.label), ("group", &row.group, &earlier.group)] {
            if now != before {
                return Err(fault(format!(
                    "{name} has {}, but {} in {}; write the same {kind} to all files",
                    text(now, kind),
                    text(before, kind),
                    place()
                )));
            }
        }
        if row.labels != earlier.labels {
            return Err(fault(format!(
                "{name} has other `labels` than in {}; write the same labels to all files",
                place()
            )));
        }
        if !row.attributes.is_same(&earlier.attributes) {
            return Err(fault(format!(
                "{name} has other attributes than in {}; write the same attributes to all files",
                place()
            )));
        }
        let subset = row.subsets.into_iter().next_back().flatten();
        earlier.subsets.resize(file, None);
        earlier.subsets.push(subset);
        self.last_file[number] = file;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clipshard::Subset;

    use crate::lists::Lists;
    use crate::lists::kind::DatasetKind;
    use crate::lists::reading::text::tests::folder;

    fn read(files: &[(&str, &str)]) -> crate::error::Result<Lists> {
        Lists::read_custom(folder(files).path())
    }

    #[test]
    fn each_file_is_a_split_of_one_dataset() {
        let files = [
            ("split2.csv", "path,label,split,group\nrun/c,run,train,\nrun/@a !(1).mp4,run,test,7\n"),
            ("split1.csv", "run/@a !(1).mp4,run,train,7\njump/b & b,jump,test\n"),
            ("split10.csv", "group,split,label,path\n,val,jump,B & b\n7,unused,run,run/@A !(1).avi\n"),
        ];
        let dir = folder(&files);
        let auto = DatasetKind::Auto.read(dir.path(), &|| Ok(std::collections::HashSet::new())).unwrap();
        let lists = Lists::read_custom(dir.path()).unwrap();
        assert_eq!(
            (lists.splits.as_slice(), lists.classes.as_slice()),
            (&["1", "2", "10"].map(String::from)[..], &["jump", "run"].map(String::from)[..])
        );
        let [train, val, test, unused] = [Subset::Train, Subset::Val, Subset::Test, Subset::Unused];
        let seen: Vec<_> = lists
            .clips
            .iter()
            .map(|clip| (&*clip.id, clip.label, clip.group.as_deref(), clip.subsets.clone()))
            .collect();
        assert_eq!(
            seen,
            [
                ("@a !(1)", Some(1), Some("7"), vec![train.clone(), test.clone(), unused.clone()]),
                ("b & b", Some(0), None, vec![test, unused.clone(), val]),
                ("c", Some(1), None, vec![unused.clone(), train, unused]),
            ]
        );
        let note = "one split per file: 1 (split1.csv), 2 (split2.csv), 10 (split10.csv)";
        assert!(lists.notes.iter().any(|found| found.ends_with(note)), "{:?}", lists.notes);
        assert!(lists.notes.iter().all(|note| !note.contains("too good")), "the group is in one subset of each split");
        assert_eq!((auto.clips, auto.splits), (lists.clips, lists.splits));

        // A single file of a family is one split, as ever.
        let one = Lists::read_custom(&dir.path().join("split2.csv")).unwrap();
        assert_eq!((one.splits.as_slice(), one.clips.len()), (&["1".to_owned()][..], 2));
    }

    #[test]
    fn json_lines_are_merged_with_their_classes_and_attributes() {
        let first = "{\"classes\":[\"run\",\"jump\"]}\n";
        let a = "{\"path\":\"a\",\"label\":\"jump\",\"fps\":25,\"at\":\"home\",\"split\":";
        let b = "{\"at\":\"home\",\"path\":\"a\",\"label\":\"jump\",\"fps\":25,\"split\":";
        let files = [
            ("fold A.jsonl", format!("{first}{a}\"train\"}}\n")),
            ("fold B.jsonl", format!("{first}{b}{{\"B\":\"test\"}}}}\n")),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let lists = read(&files).unwrap();
        assert_eq!(
            (lists.splits, lists.classes),
            (vec!["A".to_owned(), "B".into()], vec!["run".to_owned(), "jump".into()])
        );
        assert_eq!(lists.clips[0].subsets, [Subset::Train, Subset::Test]);
        assert_eq!(lists.clips[0].attributes.as_json(), r#"{"fps":25,"at":"home"}"#);
    }

    #[test]
    fn clips_of_one_name_in_two_classes_stay_two_clips() {
        let lists = read(&[
            ("s1.csv", "run/a,run,train\njump/a,jump,test\n"),
            ("s2.csv", "jump/a,jump,train\nrun/a,run,test\n"),
        ]);
        let lists = lists.unwrap();
        let seen: Vec<_> = lists.clips.iter().map(|clip| (&*clip.id, &clip.subsets[0], &clip.subsets[1])).collect();
        assert_eq!(seen, [("jump__a", &Subset::Test, &Subset::Train), ("run__a", &Subset::Train, &Subset::Test)]);
        let lists =
            read(&[("s1.csv", "a,run,train\na,jump,test\n"), ("s2.csv", "a,jump,train\na,run,test\n")]).unwrap();
        assert_eq!(lists.clips.len(), 2);
    }

    #[test]
    fn notes_on_several_files_name_the_file() {
        let lists = read(&[("s1.csv", "a,x,train\n"), ("s2.csv", "a,x,test\nb,,train\n")]).unwrap();
        let note = "1 row has no label (the first is line 2 of s2.csv), so these clips are packed without one";
        assert!(lists.notes.iter().any(|found| found.ends_with(note)), "{:?}", lists.notes);
    }

    #[test]
    fn each_disagreement_has_its_error() {
        let good = ("s1.csv", "path,label,split,group,fps\nA/x,A,train,7,25\nB/y,B,test,,\n");
        for (text, expected) in [
            (
                "A/x,B,train,7\n",
                "s2.csv: line 1: x has the label B, but the label A in s1.csv line 2; write the same label to all",
            ),
            ("x,,train,7\n", "s2.csv: line 1: x has no label, but the label A in s1.csv line 2; write the same label"),
            (
                "A/x,A,train,8\n",
                "s2.csv: line 1: x has the group 8, but the group 7 in s1.csv line 2; write the same group to all",
            ),
            (
                "B/y,B,train,8\n",
                "s2.csv: line 1: y has the group 8, but no group in s1.csv line 3; write the same group",
            ),
            (
                "A/x,A,train,7\n",
                "s2.csv: line 1: x has other attributes than in s1.csv line 2; write the same attributes to all files",
            ),
            ("B/y,B,train\nB/Y.avi,B,test\n", "s2.csv: line 2: Y is listed twice; remove one of the entries"),
            (
                "Q/q,B,train\nQ/Q.avi,A,test\n",
                "s2.csv: line 2: Q/Q has the label A, but B in line 1; a clip has one label",
            ),
            ("", "s2.csv contains no clips"),
            ("path,label\nA/x,A\n", "s2.csv names no split; each of several files needs the column split"),
            ("path,label,split_1\nA/x,A,train\n", "s2.csv names the splits 1, but the name of the file says split 2"),
            ("path,label,split_3\nA/x,A,train\n", "s2.csv names the splits 3, but the name of the file says split 2"),
            ("path,label,split_2,split_3\nA/x,A,train,test\n", "s2.csv names the splits 2, 3, but the name"),
            ("A/x\n", "s2.csv: line 1: the row has no split"),
        ] {
            let error = read(&[good, ("s2.csv", text)]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} should contain {expected}");
        }
        let jsonl = |classes: &str| format!("{{\"classes\":{classes}}}\n{{\"path\":\"a\",\"split\":\"train\"}}\n");
        let error = read(&[("s1.jsonl", &jsonl("[\"a\",\"b\"]")), ("s2.jsonl", &jsonl("[\"b\",\"a\"]"))]);
        let error = error.unwrap_err().to_string();
        assert!(
            error.ends_with("s2.jsonl lists other classes than s1.jsonl; write the same classes to all files"),
            "{error}"
        );
    }
}
