//! Your own lists as a CSV file: `path,label,split[,group]`, and more columns by name.

use std::path::Path;

use super::custom::{OwnLists, Row, check_group};
use super::misnamed::{MISNAMED, has_header_words, is_misnamed_header};
use crate::error::{Error, Result};
use crate::lists::listed::Lists;
use crate::lists::reading::json::AttributeText;
use crate::lists::reading::rows::{Header, Record, Rows};
use crate::lists::subset::subset_of_cell;

/// Number of columns without a header: path, label, split, group.
const PLAIN: usize = 4;

impl Lists {
    /// Reads a CSV file with rows `path,label,split[,group]`. Values are separated by commas,
    /// semicolons or tabs.
    ///
    /// A first row with the names of the columns is optional. With it, columns may have any order
    /// and may be absent except for `path`. Several splits have one column each, such as
    /// `split_1,split_2`. Other columns become attributes of the clip: numbers, or else texts.
    ///
    /// The classes are the distinct labels in byte order, or in numeric order if all are whole
    /// numbers. A file `classes.txt` next to the list replaces this order: one name per line. A row
    /// without a label is a clip without a label. A subset is `train`, `val`, `test` or `unused`,
    /// or has a name of its own.
    ///
    /// # Errors
    /// Returns [`Error::List`] with the line of an invalid row, and [`Error::Input`] if the file
    /// names no clip.
    pub fn read_csv(path: &Path) -> Result<Self> {
        OwnLists::read_csv(path)?.finish()
    }
}

impl OwnLists {
    /// Reads a CSV file.
    pub fn read_csv(path: &Path) -> Result<Self> {
        let mut rows = Rows::open(path)?;
        let mut lists = Self { path: path.to_owned(), ..Self::default() };
        let (mut columns, mut header) = (Columns::plain(), None);
        let mut first = None;
        while let Some((line, record)) = rows.next()? {
            let fault = |what: String| Error::List { path: path.into(), line, what };
            let is_first = first.is_none();
            let (_, first_record) = first.get_or_insert_with(|| (line, record.clone()));
            if is_first && is_header(&record) {
                let named = Header::of_record(&record).map_err(fault)?;
                columns = Columns::named(&named).map_err(fault)?;
                header = Some(named);
                continue;
            }
            if header.as_ref().is_some_and(|header| header.is_repeated_by(&record)) {
                continue;
            }
            match columns.row(line, &record, header.as_ref()) {
                Ok(row) => lists.rows.push(row),
                Err(_) if header.is_none() && is_first && has_header_words(first_record) => {
                    return Err(fault(MISNAMED.into()));
                }
                Err(what) => return Err(fault(what)),
            }
        }
        if header.is_none()
            && let Some((line, record)) = &first
            && is_misnamed_header(record, lists.rows.get(1..).unwrap_or_default())
        {
            return Err(Error::List { path: path.into(), line: *line, what: MISNAMED.into() });
        }
        lists.is_split_unnamed = columns.is_split_unnamed;
        lists.splits = columns.splits.into_iter().map(|(name, _)| name).collect();
        Ok(lists)
    }
}

/// Returns whether a row names columns: it has `path`, and another known name or nothing else.
pub(in crate::lists) fn is_header(record: &Record) -> bool {
    let is = |value: &str, name: &str| value.eq_ignore_ascii_case(name);
    let known =
        |value: &str| is(value, "label") || is(value, "split") || is(value, "group") || split_name(value).is_some();
    record.iter().any(|value| is(value, "path"))
        && (record.iter().any(known) || record.iter().filter(|value| !value.is_empty()).count() == 1)
}

/// Returns the name of a split from a column such as `split_2`.
fn split_name(column: &str) -> Option<&str> {
    let (start, name) = (column.get(..6)?, column.get(6..)?);
    start.eq_ignore_ascii_case("split_").then_some(name)
}

/// The places of the columns.
struct Columns {
    path: usize,
    label: Option<usize>,
    group: Option<usize>,
    /// Name and place of each split.
    splits: Vec<(String, usize)>,
    /// Whether the split has the column `split`, which gives it no name.
    is_split_unnamed: bool,
    /// Name and place of each attribute.
    attributes: Vec<(String, usize)>,
}

impl Columns {
    fn plain() -> Self {
        Self {
            path: 0,
            label: Some(1),
            splits: vec![("1".into(), 2)],
            is_split_unnamed: true,
            group: Some(3),
            attributes: Vec::new(),
        }
    }

    fn named(header: &Header) -> Result<Self, String> {
        let path = header.column("path").unwrap_or_default();
        let mut columns = Self {
            path,
            label: header.column("label"),
            group: header.column("group"),
            splits: Vec::new(),
            is_split_unnamed: header.column("split").is_some(),
            attributes: Vec::new(),
        };
        for (at, name) in header.columns() {
            if at == path || [columns.label, columns.group].contains(&Some(at)) {
                continue;
            }
            if name.eq_ignore_ascii_case("split") {
                columns.splits.push(("1".into(), at));
            } else if let Some(split) = split_name(name) {
                if split.is_empty() {
                    return Err(format!("the column `{name}` names no split; write for example split_1"));
                }
                columns.splits.push((split.to_owned(), at));
            } else if name.eq_ignore_ascii_case("labels") {
                return Err("the column `labels` cannot hold several labels; use JSON lines (.jsonl) for them".into());
            } else {
                columns.attributes.push((name.to_owned(), at));
            }
        }
        if columns.splits.len() > 1 && header.column("split").is_some() {
            return Err("there are columns `split` and `split_...`; name each split, as in split_1".into());
        }
        Ok(columns)
    }

    fn row(&self, line: usize, record: &Record, header: Option<&Header>) -> Result<Row, String> {
        let stray = match header {
            Some(header) => header.stray(record).map(|text| (text, record_width(header))),
            None => record.iter().skip(PLAIN).find(|text| !text.is_empty()).map(|text| (text, PLAIN)),
        };
        if let Some((text, width)) = stray {
            return Err(format!(
                "unexpected `{text}` after the {width} columns; put values that contain commas in quotes"
            ));
        }
        let field = |at: usize| record.get(at).filter(|text| !text.is_empty());
        let Some(path) = field(self.path) else {
            return Err("the row has no path; a row needs the columns path,label,split".into());
        };
        let mut subsets = Vec::new();
        for (_, at) in &self.splits {
            match field(*at) {
                Some(word) => subsets.push(Some(subset_of_cell(word)?)),
                None if self.splits.len() > 1 => subsets.push(None),
                None => {
                    return Err("the row has no split (train, val, test or unused); a row needs the columns \
                                path,label,split"
                        .into());
                }
            }
        }
        let group = self.group.and_then(field).map(str::to_owned);
        group.as_deref().map_or(Ok(()), check_group)?;
        let mut attributes = AttributeText::default();
        for (name, at) in &self.attributes {
            attributes.add_cell(name, field(*at).unwrap_or_default());
        }
        let label = self.label.and_then(field).map(str::to_owned);
        Ok(Row { file: 0, line, path: path.to_owned(), label, labels: None, subsets, group, attributes })
    }
}

/// Returns the number of named columns.
fn record_width(header: &Header) -> usize {
    header.columns().count()
}

#[cfg(test)]
mod tests {
    use clipshard::Subset;

    use super::*;
    use crate::lists::reading::text::tests::folder;

    fn read(text: &str) -> Result<Lists> {
        let dir = folder(&[("clips.csv", text)]);
        Lists::read_custom(dir.path())
    }

    type Seen<'a> = Vec<(&'a str, Option<u32>, Vec<Subset>)>;

    fn seen(lists: &Lists) -> Seen<'_> {
        lists.clips.iter().map(|c| (c.id.as_str(), c.label, c.subsets.clone())).collect()
    }

    #[test]
    fn rows_give_clips_classes_and_splits_with_or_without_a_header() {
        let plain = read("run/a.mp4,run,train,1\r\n\"jump/b, or c\",jump,test,2\r\n").unwrap();
        assert_eq!(
            (plain.classes.as_slice(), plain.splits.as_slice()),
            (&["jump".into(), "run".into()][..], &["1".into()][..])
        );
        assert_eq!(seen(&plain), [("a", Some(1), vec![Subset::Train]), ("b, or c", Some(0), vec![Subset::Test])]);
        assert!(plain.notes.is_empty(), "{:?}", plain.notes);
        let mut named =
            read("\u{feff}split,group,label,path\ntrain,1,run,run/a.mp4\ntest,2,jump,\"jump/b, or c\"\n").unwrap();
        assert_eq!([plain.clips[1].row, named.clips[1].row], [Some(2), Some(3)]);
        named.clips.iter_mut().zip(&plain.clips).for_each(|(named, plain)| named.row = plain.row);
        assert_eq!(named, plain);
        for separator in [";", "\t"] {
            let text = "split,group,label,path\ntrain,1,run,run/a.mp4\ntest,2,jump,jump/b~ or c\n";
            let mut other = read(&text.replace(',', separator).replace('~', ",")).unwrap();
            other.clips.iter_mut().zip(&plain.clips).for_each(|(other, plain)| other.row = plain.row);
            assert_eq!(other, plain, "{separator:?}");
        }
    }

    #[test]
    fn numbers_as_labels_keep_their_order() {
        let lists = read("a,10,train\nb,9,test\nc,0,train\n").unwrap();
        assert_eq!(lists.classes, ["0", "9", "10"]);
        assert_eq!(seen(&lists)[0], ("a", Some(2), vec![Subset::Train]));
    }

    #[test]
    fn a_file_of_classes_decides_their_order() {
        let dir = folder(&[("clips.csv", "a,run,train\nb,jump,test\n"), ("classes.txt", "swim\nrun\njump\n")]);
        let lists = Lists::read_custom(dir.path()).unwrap();
        assert_eq!(lists.classes, ["swim", "run", "jump"]);
        assert_eq!(seen(&lists)[0], ("a", Some(1), vec![Subset::Train]));
        assert!(lists.notes[0].starts_with("the classes and their order come from "), "{:?}", lists.notes);
        std::fs::write(dir.path().join("classes.txt"), "run\n").unwrap();
        let error = Lists::read_custom(dir.path()).unwrap_err().to_string();
        assert!(
            error.ends_with("clips.csv: line 2: class jump is not in classes.txt; add it there, or correct it here")
        );
    }

    #[test]
    fn train_val_and_test_are_subsets_of_one_split() {
        let lists =
            read("a,x,train\nb,x,valid\nc,x,test\nd,x,unused\ne,x,dev\nf,x,Hard ones\ng,x,Hard ones\n").unwrap();
        assert_eq!(lists.splits, ["1"]);
        let subsets: Vec<_> = lists.clips.iter().map(|c| c.subsets[0].name()).collect();
        assert_eq!(subsets, ["train", "val", "test", "unused", "val", "Hard ones", "Hard ones"]);
        assert_eq!(
            lists.notes,
            ["the subset `Hard ones` (2 clips) is none of train, val, test and unused; programs may treat it as \
                 unused"]
        );
    }

    #[test]
    fn each_column_of_a_split_is_a_split() {
        let lists = read("path,split_1,label,split_fold B\na,train,x,test\nb,val,x,\nc,,x,Train\n").unwrap();
        assert_eq!(lists.splits, ["1", "fold B"]);
        let [train, val, test, unused] = [Subset::Train, Subset::Val, Subset::Test, Subset::Unused];
        let subsets: Vec<_> = lists.clips.into_iter().map(|c| c.subsets).collect();
        assert_eq!(subsets, [vec![train.clone(), test], vec![val, unused.clone()], vec![unused, train]]);
    }

    #[test]
    fn other_columns_are_attributes_of_their_clip() {
        let lists = read(
            "path,label,split,fps,Scene,group,take\na,x,train,29.970,\"beach, \"\"A\"\"\",7,007\nb,x,test,,,8,1e999\n",
        )
        .unwrap();
        let texts: Vec<_> = lists.clips.iter().map(|clip| clip.attributes.as_json()).collect();
        assert_eq!(texts, [r#"{"fps":29.970,"Scene":"beach, \"A\"","take":"007"}"#, r#"{"take":"1e999"}"#]);
    }

    #[test]
    fn rows_and_files_without_labels_or_splits_are_noted() {
        let lists = read("path,label,split\na,,train\nb,x,test\nc,,test\n").unwrap();
        assert_eq!(lists.clips.iter().map(|clip| clip.label).collect::<Vec<_>>(), [None, Some(0), None]);
        assert!(
            lists.notes[0].ends_with(
                "clips.csv: 2 rows have no label (the first is line 2), so these clips are packed without one"
            ),
            "{:?}",
            lists.notes
        );
        let lists = read("path\na b.mp4\n").unwrap();
        assert_eq!((seen(&lists), lists.classes.len()), (vec![("a b", None, vec![Subset::Train])], 0));
        assert!(lists.notes[0].ends_with("no row names a split, so all clips are for training"), "{:?}", lists.notes);
        let lists = read("a,x,train\nb,x,unused\n").unwrap();
        assert!(lists.notes[0].ends_with("clips.csv: all clips are for training, and none for testing"));
    }

    #[test]
    fn groups_on_both_sides_of_a_split_are_noted() {
        let notes = read("a,x,train,7\nb,x,test,7\nc,x,test,8\n").unwrap().notes;
        assert_eq!(notes, ["group 7 has clips in train and test, so test results may be too good"]);
        let notes = read("a,x,train,7\nb,x,val,7\nc,x,val,8\nd,x,train,8\n").unwrap().notes;
        assert_eq!(notes, ["2 groups (such as 7) have clips in train and val, so validation results may be too good"]);
        let notes = read("a,x,train,7\nb,x,val,7\nc,x,test,7\nd,x,val,8\ne,x,test,8\nf,x,unused,8\n").unwrap().notes;
        assert_eq!(
            notes,
            [
                "group 7 has clips in train and val and test, so test results may be too good",
                "group 8 has clips in val and test, so test results may be too good"
            ]
        );
        let notes = read("path,group,split_1,split_2\na,7,train,unused\nb,7,unused,test\n").unwrap().notes;
        assert!(notes.iter().all(|note| !note.contains("group 7")), "{notes:?}");
    }

    #[test]
    fn groups_belong_to_clips_and_not_to_rows() {
        let seen = read("a,x,train,7\nb,x,test,\"Jürgen, 2nd\"\nc,x,test\nd,x,unused,7\n").unwrap().clips;
        let seen: Vec<_> = seen.into_iter().map(|clip| (clip.id, clip.group)).collect();
        let expected = [("a", Some("7")), ("b", Some("Jürgen, 2nd")), ("c", None), ("d", Some("7"))];
        assert_eq!(seen, expected.map(|(id, group)| (id.to_owned(), group.map(str::to_owned))));
    }

    #[test]
    fn blank_rows_and_repeated_headers_are_skipped() {
        assert_eq!(read("a,x,train\n,,\n  \nA//b,x,test\n").unwrap().clips[1].class_folder.as_deref(), Some("A"));
        assert_eq!(read("a,x,train\rb,x,test\r").unwrap().clips.len(), 2, "all line ends");
        let lists = read("path,label,split,\na,x,train,\npath,label,split,\nb,x,test,,\n").unwrap();
        assert_eq!(seen(&lists).len(), 2);
    }

    #[test]
    fn each_bad_file_has_its_error() {
        for (text, expected) in [
            ("", "contains no clips"),
            ("a,x\n", "line 1: the row has no split (train, val, test or unused); a row needs the columns path,label"),
            (",x,train\n", "line 1: the row has no path; a row needs the columns path,label,split"),
            ("a,x,train\na,x,test\n", "line 2: a is listed twice; remove one of the entries"),
            ("/,x,train\n", "line 1: the path `/` has no clip name"),
            ("A/x,A,train\nB/x,B,test\nA/X.avi,B,test\n", "line 3: A/X has the label B, but A in line 1"),
            ("A/x,A,train\nA/x,,test\n", "line 2: A/x has the label no label, but A in line 1"),
            ("a,x,train,7,easy\n", "line 1: unexpected `easy` after the 4 columns"),
            ("path,label,split\na,x,train\nb,x,train,7\n", "line 3: unexpected `7` after the 3 columns"),
            ("path,label,split,\na,x,train,7\n", "line 2: unexpected `7` after the 3 columns"),
            ("path,label,split,Label\na,x,train,y\n", "line 1: the column `Label` is named twice"),
            ("path,labels,split\na,x y,train\n", "line 1: the column `labels` cannot hold several labels"),
            ("path,label,split,split_2\na,x,train,test\n", "line 1: there are columns `split` and `split_...`"),
            ("path,label,split_\na,x,train\n", "line 1: the column `split_` names no split"),
            (&format!("a,x,{}\n", "s".repeat(256)), "line 1: the name of the subset has 256 bytes"),
            (&format!("a,x,train,{}\n", "g".repeat(65536)), "line 1: the group is longer than 65,535 bytes"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} should contain {expected}");
        }
        let json = folder(&[("a.json", "[{\"path\":\"a\"}]")]);
        let error = Lists::read_custom(&json.path().join("a.json")).unwrap_err().to_string();
        assert!(error.ends_with(
            "a.json is no list of this kind; write JSON lines, one object per clip, to a file that ends in .jsonl"
        ));
        let two = folder(&[("a.csv", ""), ("b.jsonl", "")]);
        let error = Lists::read_custom(two.path()).unwrap_err().to_string();
        assert!(error.contains("contains 2 CSV files or JSON lines"), "{error}");
    }
}
