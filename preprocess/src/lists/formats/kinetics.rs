//! Lists of Kinetics: CSV files with the columns
//! `label,youtube_id,time_start,time_end,split[,is_cc]`.

use std::path::{Path, PathBuf};

use crate::error::{Error, Problem, Result, Setting};
use crate::lists::listed::Lists;
use crate::lists::reading::classes::Classes;
use crate::lists::reading::clips::{Clips, NamedClip, Place};
use crate::lists::reading::json::AttributeText;
use crate::lists::reading::parts::PartFile;
use crate::lists::reading::rows::{Header, Record, Rows};
use crate::lists::reading::text::{check_exists, files_in, has_ending};
use crate::lists::subset::subset_of_cell;
use clipshard::{Attributes, Subset};

/// The column that identifies these lists.
pub(in crate::lists) const COLUMN: &str = "youtube_id";

/// A row of a list.
struct Row {
    file: usize,
    line: usize,
    id: String,
    /// Start and end in seconds, if the row has them.
    times: Option<(f64, f64)>,
    label: Option<String>,
    subset: Subset,
    attributes: Attributes,
}

impl Lists {
    /// Reads the CSV files of Kinetics: one file, or all of a folder. `has` tells whether the
    /// source has a clip of a name.
    ///
    /// A clip is named `<id>_<start>_<end>`, with six digits for each time, as the usual downloaders
    /// do. If the source has no such clip, but one named `<id>`, this is its name.
    ///
    /// # Errors
    /// Returns [`Error::List`] with the line of an invalid row, and [`Error::Input`] if there are no
    /// lists or no clips.
    pub fn read_kinetics(path: &Path, has: impl Fn(&str) -> bool) -> Result<Self> {
        let files = find_lists(path)?;
        let mut rows = Vec::new();
        for (number, file) in files.iter().enumerate() {
            read_rows(number, file, &mut rows)?;
        }
        let classes = Classes::of_labels(rows.iter().filter_map(|row| row.label.as_deref()));
        let mut clips = Clips::default();
        for row in rows {
            let place = Place { path: &files[row.file], line: row.line, entry: None };
            let fault = |what: String| place.fault(what);
            let label = row.label.as_deref().map(|label| classes.label(label)).transpose().map_err(fault)?;
            let name = name_of_clip(row.id, row.times, &has);
            let clip =
                NamedClip { name, class_folder: row.label, label, attributes: row.attributes, ..NamedClip::default() };
            clips.add(clip, 0, row.subset, place)?;
        }
        let clips = clips.finish(1, &classes.names)?;
        if clips.is_empty() {
            return Err(Error::input(format!("the lists of Kinetics in {} contain no clips", path.display())));
        }
        let (classes, splits) = (classes.names, vec!["1".into()]);
        let mut lists = Self { dataset: "kinetics", classes, splits, clips, notes: Vec::new() };
        lists.note_other_subsets();
        Ok(lists)
    }
}

/// Returns the name that a downloader gave to a clip.
fn name_of_clip(id: String, times: Option<(f64, f64)>, has: impl Fn(&str) -> bool) -> String {
    let Some((start, end)) = times else { return id };
    let timed = format!("{id}_{:06}_{:06}", start as u64, end as u64);
    if !has(&timed) && has(&id) { id } else { timed }
}

/// Returns the lists in a folder, or the one list.
fn find_lists(path: &Path) -> Result<Vec<PathBuf>> {
    check_exists(path)?;
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for file in files_in(path)?.into_iter().filter(|file| has_ending(file, &["csv", "tsv", "txt"])) {
        if Rows::open(&file)?.next()?.is_some_and(|(_, record)| is_header(&record)) {
            found.push(file);
        }
    }
    if found.is_empty() {
        return Err(Error::input(
            Problem::from(format!("{} has no CSV file with a column {COLUMN}; ", path.display()))
                .name(Setting::Lists)
                .then(" must be a CSV file of Kinetics, or their folder"),
        ));
    }
    Ok(found)
}

/// Returns whether a row names the columns of Kinetics.
pub(in crate::lists) fn is_header(record: &Record) -> bool {
    record.iter().any(|value| value.eq_ignore_ascii_case(COLUMN))
}

fn read_rows(number: usize, path: &Path, rows: &mut Vec<Row>) -> Result<()> {
    let mut list = Rows::open(path)?;
    let fault = |line: usize, what: String| Error::List { path: path.into(), line, what };
    let needs = format!("the first row must name the columns, as in label,{COLUMN},time_start,time_end,split");
    let Some((line, record)) = list.next()? else { return Err(fault(1, needs)) };
    if !is_header(&record) {
        return Err(fault(line, needs));
    }
    let header = Header::of_record(&record).map_err(|what| fault(line, what))?;
    let [label, id, start, end, split] =
        ["label", COLUMN, "time_start", "time_end", "split"].map(|name| header.column(name));
    let of_name = PartFile::of_path(path).map(|part| part.subset);
    while let Some((line, record)) = list.next()? {
        if header.is_repeated_by(&record) {
            continue;
        }
        let fault = |what: String| fault(line, what);
        if let Some(text) = header.stray(&record) {
            return Err(fault(format!(
                "unexpected `{text}` after the columns; put values that contain commas in quotes"
            )));
        }
        let field = |at: Option<usize>| at.and_then(|at| record.get(at)).filter(|text| !text.is_empty());
        let id = field(id).ok_or_else(|| fault(format!("the row has no {COLUMN}")))?;
        let time = |at: Option<usize>, name: &str| match field(at) {
            None => Ok(None),
            Some(text) => text
                .parse::<f64>()
                .ok()
                .filter(|time| (0.0..1e9).contains(time))
                .map(Some)
                .ok_or_else(|| fault(format!("{name} is `{text}`, expected seconds from the start of the video"))),
        };
        let (from, to) = (time(start, "time_start")?, time(end, "time_end")?);
        let subset = match (field(split), &of_name) {
            (Some(word), _) => subset_of_cell(word).map_err(fault)?,
            (None, Some(subset)) => subset.clone(),
            (None, None) => {
                return Err(fault(
                    "the row has no split, and the name of the file says no subset; name it for example val.csv".into(),
                ));
            }
        };
        let mut attributes = AttributeText::default();
        attributes.add_cell("start_seconds", field(start).unwrap_or_default());
        attributes.add_cell("end_seconds", field(end).unwrap_or_default());
        for (at, name) in header.columns() {
            if ![label, header.column(COLUMN), start, end, split].contains(&Some(at)) {
                attributes.add_cell(name, field(Some(at)).unwrap_or_default());
            }
        }
        rows.push(Row {
            file: number,
            line,
            id: id.to_owned(),
            times: from.zip(to),
            label: field(label).map(str::to_owned),
            subset,
            attributes: attributes.finish().map_err(fault)?,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::reading::text::tests::folder;

    const TRAIN: &str = "label,youtube_id,time_start,time_end,split,is_cc\r\n\
                         riding mule,-3B32lodo2M,59,69,train,0\r\n\
                         \"testifying, or so\",_dbcJuKJQNs,140,150,train,1\r\n";
    const VALIDATE: &str = "\u{feff}label,youtube_id,time_start,time_end,split\nriding mule,0a_-B,0,10,validate\n";
    const TEST: &str = "youtube_id,time_start,time_end,split\nzzz,7.5,17.5,test\n";

    type Seen<'a> = (&'a str, Option<u32>, &'a str, &'a str);

    fn seen(lists: &Lists) -> Vec<Seen<'_>> {
        lists.clips.iter().map(|c| (c.id.as_str(), c.label, c.subsets[0].name(), c.attributes.as_json())).collect()
    }

    #[test]
    fn three_files_give_train_val_and_test_with_times() {
        let dir =
            folder(&[("train.csv", TRAIN), ("validate.csv", VALIDATE), ("test.csv", TEST), ("other.csv", "a,b\n")]);
        let lists = Lists::read_kinetics(dir.path(), |_| false).unwrap();
        assert_eq!((lists.dataset, lists.splits.len()), ("kinetics", 1));
        assert_eq!(lists.classes, ["riding mule", "testifying, or so"]);
        assert_eq!(
            seen(&lists),
            [
                ("-3B32lodo2M_000059_000069", Some(0), "train", r#"{"start_seconds":59,"end_seconds":69,"is_cc":0}"#),
                ("0a_-B_000000_000010", Some(0), "val", r#"{"start_seconds":0,"end_seconds":10}"#),
                ("_dbcJuKJQNs_000140_000150", Some(1), "train", r#"{"start_seconds":140,"end_seconds":150,"is_cc":1}"#),
                ("zzz_000007_000017", None, "test", r#"{"start_seconds":7.5,"end_seconds":17.5}"#),
            ]
        );
        assert_eq!(lists.clips[0].class_folder.as_deref(), Some("riding mule"));
    }

    #[test]
    fn clips_may_be_named_by_their_id_alone() {
        let dir = folder(&[("train.csv", TRAIN)]);
        let has = |name: &str| ["-3B32lodo2M", "_dbcJuKJQNs", "_dbcJuKJQNs_000140_000150"].contains(&name);
        let lists = Lists::read_kinetics(&dir.path().join("train.csv"), has).unwrap();
        assert_eq!(
            seen(&lists).iter().map(|clip| clip.0).collect::<Vec<_>>(),
            ["-3B32lodo2M", "_dbcJuKJQNs_000140_000150"]
        );
    }

    #[test]
    fn the_name_of_a_file_gives_a_subset_that_rows_lack() {
        let text = "youtube_id,label\na,x\n\nyoutube_id,label\nb,x\n";
        let dir = folder(&[("kinetics_val.csv", text), ("list.csv", text)]);
        let lists = Lists::read_kinetics(&dir.path().join("kinetics_val.csv"), |_| false).unwrap();
        assert_eq!(seen(&lists), [("a", Some(0), "val", "{}"), ("b", Some(0), "val", "{}")]);
        let error = Lists::read_kinetics(&dir.path().join("list.csv"), |_| false).unwrap_err().to_string();
        assert!(error.contains("line 2: the row has no split, and the name of the file says no subset"), "{error}");
    }

    #[test]
    fn each_bad_list_has_its_error() {
        for (text, expected) in [
            ("", "line 1: the first row must name the columns, as in label,youtube_id,"),
            ("a,b,0,10,train\n", "line 1: the first row must name the columns"),
            ("label,youtube_id,time_start,split\nx,a,soon,train\n", "line 2: time_start is `soon`, expected seconds"),
            ("label,youtube_id,time_start,split\nx,a,-1,train\n", "line 2: time_start is `-1`"),
            ("label,youtube_id,split\nx,,train\n", "line 2: the row has no youtube_id"),
            ("label,youtube_id,split\nx,a,train\nx,A,val\n", "line 3: a is listed twice in this split"),
            ("label,youtube_id,split\nx,a,train,7\n", "line 2: unexpected `7` after the columns"),
            ("label,youtube_id,split,label\nx,a,train,y\n", "line 1: the column `label` is named twice"),
            ("label,youtube_id,split\n", "contain no clips"),
        ] {
            let dir = folder(&[("k.csv", text)]);
            let error = Lists::read_kinetics(&dir.path().join("k.csv"), |_| false).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} should contain {expected}");
        }
        let dir = folder(&[("a.csv", "path,label\n")]);
        let error = Lists::read_kinetics(dir.path(), |_| false).unwrap_err().to_string();
        assert!(error.contains("has no CSV file with a column youtube_id; `lists` must be a CSV file of"), "{error}");
    }
}
