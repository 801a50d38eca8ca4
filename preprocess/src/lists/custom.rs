//! Lists of custom datasets: a CSV file `path,label,split[,group]`, or one folder per class and no
//! list.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use clipshard::Subset;

use super::clips::{Clips, clip_key, strip_extension};
use super::listed::Lists;
use super::role::{ClassedFolder, Role};
use super::text::read_text;
use crate::error::{Error, Problem, Result, Setting};

/// A row of the file.
struct Row {
    line: usize,
    name: String,
    class_folder: Option<String>,
    label: String,
    part: Role,
    group: Option<String>,
}

impl Lists {
    /// Reads the CSV file of a custom dataset, with rows `path,label,split[,group]`. A first row
    /// with the names of the columns is optional. `path` may also be a folder with exactly one CSV
    /// file.
    ///
    /// The classes are the distinct labels in byte order, or in numeric order if all are whole
    /// numbers. Each row's split is `train`, `test`, `val` or `unused`. If there are both test and
    /// validation clips, split 1 tests on the test clips and split 2 on the validation clips.
    ///
    /// # Errors
    /// Returns [`Error::List`] with the line of an invalid row. Returns [`Error::Input`] if the
    /// file names no clip, or the folder does not have exactly one CSV file.
    pub fn read_csv(path: &Path) -> Result<Self> {
        let path = find_csv(path)?;
        let rows = read_rows(&path)?;
        let names: BTreeSet<&str> = rows.iter().map(|row| row.label.as_str()).collect();
        let mut classes: Vec<String> = names.into_iter().map(str::to_owned).collect();
        if let Some(numbers) = classes.iter().map(|name| name.parse().ok()).collect::<Option<Vec<u64>>>() {
            let mut numbered: Vec<_> = numbers.into_iter().zip(classes).collect();
            numbered.sort_unstable();
            classes = numbered.into_iter().map(|(_, name)| name).collect();
        }
        let mut notes = leaks(&rows);
        let held_out = held_out(rows.iter().map(|row| row.part), &mut notes);
        if !rows.iter().any(|row| matches!(row.part, Role::Test | Role::Validation)) {
            notes.push(format!("{}: all clips are for training, and none for testing", path.display()));
        }
        let mut clips = Clips::default();
        for row in &rows {
            let fault = |what: String| Error::List { path: path.clone(), line: row.line, what };
            let label = classes.iter().position(|name| *name == row.label).unwrap_or_default();
            let class_folder = row.class_folder.as_deref().unwrap_or(&row.label);
            let mut add = |split, subset| -> Result<()> {
                let clip = clips.add(&row.name, label, class_folder, split, subset, &classes).map_err(fault)?;
                if let (Some(group), Some(earlier)) = (&row.group, &clip.group)
                    && group != earlier
                {
                    return Err(fault(format!("{} has the group {group}, but {earlier} in an earlier row", row.name)));
                }
                if row.group.is_some() {
                    clip.group.clone_from(&row.group);
                }
                if row.class_folder.is_some() {
                    clip.row = Some(row.line);
                }
                Ok(())
            };
            subsets(row.part, &held_out).try_for_each(|(split, subset)| add(split, subset))?;
        }
        let clips = clips.finish(held_out.len());
        let splits = (1..=held_out.len()).map(|n| n.to_string()).collect();
        Ok(Self { dataset: "custom", classes, splits, clips, notes })
    }

    /// Makes the lists of a dataset in which each folder is a class, in byte order of the folder
    /// names. `tree` is the name of the source for messages.
    ///
    /// All clips are for training, unless folders above the classes name subsets, such as `train/`
    /// and `val/`.
    ///
    /// # Errors
    /// Returns [`Error::Input`] if there are no clips, or if the class folders are named like
    /// subsets.
    pub fn from_folders(folders: &[ClassedFolder], tree: &str) -> Result<Self> {
        let names: BTreeSet<&str> = folders.iter().map(|folder| folder.class.as_str()).collect();
        let classes: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let as_parts: Vec<&String> = classes.iter().filter(|name| Role::of_name(name).is_some()).collect();
        if as_parts.len() > 1 || !as_parts.is_empty() && as_parts.len() == classes.len() {
            return Err(Error::input(
                Problem::from(format!(
                    "{tree}: {}; list the clips in a CSV file (path,label,split) and pass it with ",
                    match as_parts.as_slice() {
                        [only] => format!("the folder {only} is named like a subset, but contains no class folder"),
                        _ => format!(
                            "the folders {} are named like subsets, but contain no class folders",
                            as_parts.into_iter().cloned().collect::<Vec<_>>().join(", ")
                        ),
                    }
                ))
                .name(Setting::Lists),
            ));
        }
        let part = |folder: &ClassedFolder| folder.role.unwrap_or(Role::Train);
        let mut notes = Vec::new();
        let held_out = held_out(folders.iter().map(part), &mut notes);
        let mut clips = Clips::default();
        for folder in folders {
            let label = classes.iter().position(|name| *name == folder.class).unwrap_or_default();
            for (split, subset) in subsets(part(folder), &held_out) {
                // The scan of the source reports a clip that occurs twice.
                let _ = clips.add(&folder.clip, label, &folder.class, split, subset, &classes);
            }
        }
        let clips = clips.finish(held_out.len());
        if clips.is_empty() {
            return Err(Error::input(format!("{tree} contains no clip folders")));
        }
        let named = match classes.len() {
            1 => format!("is the only class ({})", classes[0]),
            n if n <= NAMED => format!("are the classes ({})", classes.join(", ")),
            _ => "are the classes".to_owned(),
        };
        let parts: BTreeSet<&str> = folders.iter().filter_map(|folder| folder.role.map(Role::name)).collect();
        notes.push(if parts.is_empty() {
            format!(
                "{} in {tree} {named}, and all clips are for training; for a test split, use a CSV file \
                 (path,label,split)",
                if classes.len() == 1 { "the only folder".into() } else { format!("the {} folders", classes.len()) }
            )
        } else {
            let parts = parts.into_iter().collect::<Vec<_>>().join(", ");
            let folders = match classes.len() {
                1 => "the folder".into(),
                n => format!("the {n} folders"),
            };
            format!("{tree} has folders for subsets ({parts}); {folders} in them {named}")
        });
        let splits = (1..=held_out.len()).map(|n| n.to_string()).collect();
        Ok(Self { dataset: "custom", classes, splits, clips, notes })
    }
}

/// Number of classes up to which a note names them all.
const NAMED: usize = 8;

/// Returns the subset that each split tests on. Without test clips there is still one split.
fn held_out(parts: impl Iterator<Item = Role>, notes: &mut Vec<String>) -> Vec<Role> {
    let parts: BTreeSet<Role> = parts.collect();
    let mut held_out: Vec<Role> =
        [Role::Test, Role::Validation].into_iter().filter(|part| parts.contains(part)).collect();
    match held_out.as_slice() {
        [] => held_out.push(Role::Test),
        [_, _] => notes.push("split 1 tests on the test clips, split 2 on the validation clips".into()),
        _ => {}
    }
    held_out
}

/// Returns the splits that use a clip of this subset, each with its [`Subset`] there.
fn subsets(part: Role, held_out: &[Role]) -> impl Iterator<Item = (usize, Subset)> {
    let of_split = |(split, held): (usize, &Role)| match part {
        Role::Train => Some((split, Subset::Train)),
        part if part == *held => Some((split, Subset::Test)),
        _ => None,
    };
    let found: Vec<_> = held_out.iter().enumerate().filter_map(of_split).collect();
    let unused = found.is_empty().then_some((0, Subset::Unused));
    found.into_iter().chain(unused)
}

fn find_csv(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let fault = |e| Error::io(path, "cannot list the folder")(e);
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(fault)? {
        let file = entry.map_err(fault)?.path();
        if file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv")) {
            found.push(file);
        }
    }
    match found.as_slice() {
        [only] => Ok(only.clone()),
        _ => Err(Error::input(
            Problem::from(format!("{} contains {} CSV files; ", path.display(), found.len()))
                .name(Setting::Lists)
                .then(" must be one CSV file with the columns path,label,split"),
        )),
    }
}

fn read_rows(path: &Path) -> Result<Vec<Row>> {
    // With CR LF, the parser would count a line end as part of the next row.
    let text = read_text(path)?.replace("\r\n", "\n");
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let (mut columns, mut width) = ([Some(0), Some(1), Some(2), Some(3)], 4);
    let mut rows: Vec<Row> = Vec::new();
    // Label and line number of a clip, by class folder and name. Paths without folder are not
    // checked here.
    let mut labels: HashMap<(String, String), (String, usize)> = HashMap::new();
    for (i, record) in reader.records().enumerate() {
        let fault = |line: usize, what: String| Error::List { path: path.into(), line, what };
        let record = record.map_err(|e| fault(e.position().map_or(i + 1, |p| p.line() as usize), e.to_string()))?;
        let line = record.position().map_or(i + 1, |position| position.line() as usize);
        let names: Vec<String> = record.iter().map(str::to_ascii_lowercase).collect();
        if i == 0 && names.iter().any(|name| name == "path") && names.iter().any(|name| name == "label") {
            columns = ["path", "label", "split", "group"].map(|name| names.iter().position(|n| n == name));
            width = names.len();
            continue;
        }
        if record.iter().all(str::is_empty) {
            continue;
        }
        if let Some(text) = record.iter().skip(width).find(|text| !text.is_empty()) {
            return Err(fault(
                line,
                format!("unexpected `{text}` after the {width} columns; put values that contain commas in quotes"),
            ));
        }
        let field = |column: usize| columns[column].and_then(|at| record.get(at)).filter(|text| !text.is_empty());
        let (Some(clip), Some(label), Some(split)) = (field(0), field(1), field(2)) else {
            return Err(fault(line, "a row needs the columns path,label,split".into()));
        };
        let clip = clip.replace('\\', "/");
        let mut components = clip.split('/').rev().filter(|component| !matches!(*component, "" | "."));
        let name = strip_extension(components.next().unwrap_or_default()).to_owned();
        if name.is_empty() {
            return Err(fault(line, format!("the path `{clip}` has no clip name")));
        }
        let Some(part) = Role::of_name(split) else {
            return Err(fault(line, format!("the split is `{split}`, expected train, test, val or unused")));
        };
        let group = field(3).map(str::to_owned);
        if group.as_ref().is_some_and(|group| group.len() > u16::MAX.into()) {
            return Err(fault(line, "the group is longer than 65,535 bytes".into()));
        }
        let class_folder = components.next().map(str::to_owned);
        if let Some(class_folder) = &class_folder {
            let earlier = labels.entry((clip_key(class_folder), clip_key(&name))).or_insert((label.to_owned(), line));
            if earlier.0 != label {
                let (other, line_of_other) = earlier;
                return Err(fault(
                    line,
                    format!(
                        "{class_folder}/{name} has the label {label}, but {other} in line {line_of_other}; a clip \
                         has one label"
                    ),
                ));
            }
        }
        rows.push(Row { line, name, class_folder, label: label.to_owned(), part, group });
    }
    if rows.is_empty() {
        return Err(Error::input(format!("{} contains no clips", path.display())));
    }
    Ok(rows)
}

/// Returns a note if clips of one group (one person, one recording) are used both for training and
/// for testing, because that makes tests too easy.
fn leaks(rows: &[Row]) -> Vec<String> {
    let mut parts: BTreeMap<&str, BTreeSet<Role>> = BTreeMap::new();
    for row in rows {
        if let Some(group) = &row.group {
            parts.entry(group).or_default().insert(row.part);
        }
    }
    let both = |parts: &BTreeSet<Role>| {
        parts.contains(&Role::Train) && (parts.contains(&Role::Test) || parts.contains(&Role::Validation))
    };
    let mixed: Vec<&str> = parts.iter().filter(|(_, parts)| both(parts)).map(|(group, _)| *group).collect();
    let Some(first) = mixed.first() else { return Vec::new() };
    if mixed.len() == 1 {
        return vec![format!("group {first} has both training and test clips, so test results may be too good")];
    }
    vec![format!(
        "{} groups (such as {first}) have both training and test clips, so test results may be too good",
        mixed.len()
    )]
}

#[cfg(test)]
mod tests {
    use super::super::text::tests::folder;
    use super::*;

    fn read(text: &str) -> Result<Lists> {
        let dir = folder(&[("clips.csv", text)]);
        Lists::read_csv(dir.path())
    }

    type Seen<'a> = Vec<(&'a str, u32, Vec<Subset>)>;

    fn seen(lists: &Lists) -> Seen<'_> {
        lists.clips.iter().map(|c| (c.id.as_str(), c.label.unwrap(), c.subsets.clone())).collect()
    }

    #[test]
    fn rows_give_clips_classes_and_splits_with_or_without_a_header() {
        let rows = "run/a.mp4,run,train,1\r\njump/\"b, or c\",jump,test,2\r\n";
        let plain = read(&rows.replace("jump/\"b, or c\"", "\"jump/b, or c\"")).unwrap();
        assert_eq!(
            (plain.classes.as_slice(), plain.splits.as_slice()),
            (&["jump".into(), "run".into()][..], &["1".into()][..])
        );
        assert_eq!(seen(&plain), [("a", 1, vec![Subset::Train]), ("b, or c", 0, vec![Subset::Test])]);
        assert!(plain.notes.is_empty(), "{:?}", plain.notes);
        let mut named =
            read("\u{feff}split,group,label,path\ntrain,1,run,run/a.mp4\ntest,2,jump,\"jump/b, or c\"\n").unwrap();
        assert_eq!([plain.clips[1].row, named.clips[1].row], [Some(2), Some(3)]);
        named.clips.iter_mut().zip(&plain.clips).for_each(|(named, plain)| named.row = plain.row);
        assert_eq!(named, plain);
    }

    #[test]
    fn numbers_as_labels_keep_their_order() {
        let lists = read("a,10,train\nb,9,test\nc,0,train\n").unwrap();
        assert_eq!(lists.classes, ["0", "9", "10"]);
        assert_eq!(seen(&lists)[0], ("a", 2, vec![Subset::Train]));
    }

    #[test]
    fn a_validation_part_is_a_split_of_its_own() {
        let lists = read("a,x,train\nb,x,val\nc,x,test\nd,x,unused\n").unwrap();
        let [train, test, unused] = [Subset::Train, Subset::Test, Subset::Unused].map(|subset| move || subset.clone());
        assert_eq!(lists.splits, ["1", "2"]);
        let subsets: Vec<_> = lists.clips.iter().map(|c| c.subsets.clone()).collect();
        assert_eq!(
            subsets,
            [vec![train(), train()], vec![unused(), test()], vec![test(), unused()], vec![unused(), unused()]]
        );
    }

    #[test]
    fn groups_on_both_sides_are_noted() {
        let notes = read("a,x,train,7\nb,x,test,7\nc,x,test,8\n").unwrap().notes;
        assert_eq!(notes, ["group 7 has both training and test clips, so test results may be too good"]);
    }

    #[test]
    fn groups_belong_to_clips_and_not_to_rows() {
        let groups = |text: &str| {
            let clips = read(text).unwrap().clips;
            clips.into_iter().map(|clip| (clip.id, clip.group)).collect::<Vec<_>>()
        };
        let seen = groups("a,x,train,7\nb,x,test,\"Jürgen, 2nd\"\nc,x,test\nd,x,unused,7\n");
        let expected = [("a", Some("7")), ("b", Some("Jürgen, 2nd")), ("c", None), ("d", Some("7"))];
        assert_eq!(seen, expected.map(|(id, group)| (id.to_owned(), group.map(str::to_owned))));
        assert_eq!(groups("a,x,test,7\na,x,val\n"), [("a".into(), Some("7".into()))]);
    }

    #[test]
    fn folders_are_classes() {
        let folder = |class: &str, clip: &str| ClassedFolder { class: class.into(), clip: clip.into(), role: None };
        let lists = Lists::from_folders(&[folder("run", "1"), folder("jump", "1"), folder("jump", "2")], "t").unwrap();
        assert_eq!(lists.classes, ["jump", "run"]);
        let train = || vec![Subset::Train];
        assert_eq!(seen(&lists), [("2", 0, train()), ("jump__1", 0, train()), ("run__1", 1, train())]);
    }

    #[test]
    fn folders_of_subsets_are_splits_and_no_classes() {
        let folder = |part: Option<Role>, class: &str, clip: &str| ClassedFolder {
            class: class.into(),
            clip: clip.into(),
            role: part,
        };
        let (train, val) = (Some(Role::Train), Some(Role::Validation));
        let folders = [folder(train, "run", "1"), folder(train, "jump", "2"), folder(val, "jump", "3")];
        let lists = Lists::from_folders(&folders, "t").unwrap();
        assert_eq!((lists.classes.as_slice(), lists.splits.len()), (&["jump".to_owned(), "run".to_owned()][..], 1));
        assert_eq!(
            seen(&lists),
            [("1", 1, vec![Subset::Train]), ("2", 0, vec![Subset::Train]), ("3", 0, vec![Subset::Test])]
        );
        assert_eq!(
            lists.notes,
            ["t has folders for subsets (train, val); the 2 folders in them are the classes (jump, run)"]
        );
        // Such folders hold no class folders, so they would become classes themselves.
        for classes in [&["train", "val"][..], &["Train", "run", "Test"], &["test"]] {
            let folders: Vec<_> = classes.iter().map(|class| folder(None, class, "1")).collect();
            let error = Lists::from_folders(&folders, "t").unwrap_err().to_string();
            let named = if classes.len() == 1 { "is named like a subset" } else { "are named like subsets" };
            assert!(error.contains(named) && error.contains("`lists`"), "{error}");
        }
        // A single class of that name among others is fine.
        assert_eq!(
            Lists::from_folders(&[folder(None, "train", "1"), folder(None, "car", "2")], "t").unwrap().classes.len(),
            2
        );
    }

    #[test]
    fn columns_that_are_named_may_be_more() {
        let lists = read("path,label,split,group,fps\na,x,train,7,25\nb,x,test,8,25\n").unwrap();
        assert_eq!(lists.clips.len(), 2);
        assert_eq!(read("a,x,train\n,,\n  \nA//b,x,test\n").unwrap().clips[1].class_folder.as_deref(), Some("A"));
        assert_eq!(read("a,x,train\rb,x,test\r").unwrap().clips.len(), 2, "all line ends");
    }

    #[test]
    fn each_bad_file_has_its_error() {
        for (text, expected) in [
            ("", "contains no clips"),
            ("a,x\n", "line 1: a row needs the columns path,label,split"),
            ("a,x,train\nb,x,maybe\n", "line 2: the split is `maybe`, expected train, test, val or unused"),
            ("a,x,train\na,x,test\n", "line 2: a is listed twice"),
            ("/,x,train\n", "the path `/` has no clip name"),
            ("A/x,A,train\nB/x,B,test\nA/X.avi,B,test\n", "line 3: A/X has the label B, but A in line 1"),
            ("a,x,train,7,easy\n", "line 1: unexpected `easy` after the 4 columns"),
            ("path,label,split\na,x,train\nb,x,train,7\n", "line 3: unexpected `7` after the 3 columns"),
            ("a,x,test,7\na,x,val,8\n", "line 2: a has the group 8, but 7 in an earlier row"),
            (&format!("a,x,train,{}\n", "g".repeat(65536)), "line 1: the group is longer than 65,535 bytes"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} should contain {expected}");
        }
        let two = folder(&[("a.csv", ""), ("b.csv", "")]);
        assert!(Lists::read_csv(two.path()).unwrap_err().to_string().contains("contains 2 CSV files"));
    }
}
