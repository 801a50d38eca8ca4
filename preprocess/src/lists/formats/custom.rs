//! Your own lists: a CSV file ([`Lists::read_csv`]) or JSON lines ([`Lists::read_json_lines`]), or
//! one such file per split.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use clipshard::Subset;

use super::merged::merge;
use crate::error::{Error, Problem, Result, Setting};
use crate::lists::listed::{Lists, clip_key};
use crate::lists::reading::classes::{CLASSES_FILE, Classes};
use crate::lists::reading::clips::{Clips, NamedClip, split_path};
use crate::lists::reading::family::splits_of_family;
use crate::lists::reading::json::AttributeText;
use crate::lists::reading::text::{check_exists, files_in, has_ending, name_of};
use crate::quantity::counted;

/// Endings of files with JSON lines.
pub(in crate::lists) const JSON_LINES: [&str; 2] = ["jsonl", "ndjson"];

impl Lists {
    /// Reads your own lists: a CSV file, or JSON lines if the name ends in `.jsonl` or `.ndjson`.
    ///
    /// `path` may also be a folder with one such file, or with one file per split, such as
    /// `split1.csv` and `split2.csv`. The names of these files differ only in the name of the split.
    /// The clips are those of all files, and a clip that a file does not name is unused in its split.
    ///
    /// # Errors
    /// As [`Lists::read_csv`] and [`Lists::read_json_lines`]. Returns [`Error::Input`] if the
    /// folder has no such file, or several that are not one per split, and [`Error::List`] if the
    /// label, the group or the attributes of a clip differ between files.
    pub fn read_custom(path: &Path) -> Result<Self> {
        match find_files(path)? {
            Found::One(file) => OwnLists::read(&file)?.finish(),
            Found::Splits(files) => {
                let shown = |(split, file): &(String, PathBuf)| {
                    format!("{split} ({})", file.file_name().unwrap_or_default().to_string_lossy())
                };
                let splits: Vec<String> = files.iter().map(shown).collect();
                let lists = files.into_iter().map(|(split, file)| Ok((split, OwnLists::read(&file)?)));
                let mut lists = merge(lists.collect::<Result<_>>()?)?.finish()?;
                lists.notes.insert(0, format!("{}: one split per file: {}", path.display(), splits.join(", ")));
                Ok(lists)
            }
        }
    }
}

/// One row of your own lists.
#[derive(Default)]
pub(super) struct Row {
    /// Number of its file in [`OwnLists::files`].
    pub file: usize,
    pub line: usize,
    pub path: String,
    pub label: Option<String>,
    /// Class names of a clip with several labels.
    pub labels: Option<Vec<String>>,
    /// Subset in each split of [`OwnLists::splits`]. There may be fewer; the others are unused.
    pub subsets: Vec<Option<Subset>>,
    pub group: Option<String>,
    pub attributes: AttributeText,
}

/// The content of your own lists.
#[derive(Default)]
pub(super) struct OwnLists {
    /// The file, or the first of several.
    pub path: PathBuf,
    /// The files, if there is one per split.
    pub files: Vec<PathBuf>,
    pub rows: Vec<Row>,
    /// Names of the splits. They are empty if no row names a split.
    pub splits: Vec<String>,
    /// Whether the only split comes from the column or key `split`, which gives it no name.
    pub is_split_unnamed: bool,
    /// Whether the file itself lists the splits, so that there may be none.
    pub has_all_splits: bool,
    /// Class names that the file itself gives.
    pub classes: Option<Classes>,
}

impl OwnLists {
    /// Reads a file.
    fn read(path: &Path) -> Result<Self> {
        if has_ending(path, &["json"]) {
            return Err(Error::input(format!(
                "{} is no list of this kind; write JSON lines, one object per clip, to a file that ends in .jsonl",
                path.display()
            )));
        }
        if has_ending(path, &JSON_LINES) { Self::read_json_lines(path) } else { Self::read_csv(path) }
    }

    /// Returns the file of a row.
    fn file_of(&self, row: &Row) -> &Path {
        self.files.get(row.file).unwrap_or(&self.path)
    }

    /// Returns the line of a row, with the name of its file if there are several files.
    fn place_of(&self, row: &Row) -> String {
        match self.files.get(row.file) {
            Some(file) => format!("line {} of {}", row.line, name_of(file)),
            None => format!("line {}", row.line),
        }
    }

    /// Returns the name for notes: the file, or the folder of several files.
    fn shown(&self) -> std::path::Display<'_> {
        let folder = self.path.parent().filter(|_| !self.files.is_empty());
        folder.unwrap_or(&self.path).display()
    }

    pub fn finish(mut self) -> Result<Lists> {
        if self.rows.is_empty() {
            return Err(Error::input(format!("{} contains no clips; write one row per clip", self.path.display())));
        }
        let mut notes = Vec::new();
        let classes = self.take_classes(&mut notes)?;
        if self.splits.is_empty() && !self.has_all_splits {
            notes.push(format!("{}: no row names a split, so all clips are for training", self.shown()));
            self.splits.push("1".into());
            for row in &mut self.rows {
                row.subsets = vec![Some(Subset::Train)];
            }
        } else if self.subsets().all(|subset| !matches!(subset, Subset::Val | Subset::Test))
            && self.subsets().any(|subset| *subset == Subset::Train)
        {
            notes.push(format!("{}: all clips are for training, and none for testing", self.shown()));
        }
        notes.extend(self.leaks());
        notes.extend(self.unlabelled());
        notes.extend(self.label_not_in_labels());
        let rows = std::mem::take(&mut self.rows);
        let splits = self.splits.clone();
        let mut clips = Clips::default();
        // Label and line of a clip, by class folder and name. Paths without folder are not checked
        // here.
        let mut earlier: HashMap<(String, String), (Option<u32>, usize)> = HashMap::new();
        for mut row in rows {
            let line = row.line;
            let path = self.file_of(&row);
            let fault = |what: String| Error::List { path: path.to_owned(), line, what };
            let (name, folder) = split_path(&row.path).map_err(fault)?;
            let label = row.label.as_deref().map(|label| classes.label(label)).transpose().map_err(fault)?;
            if let Some(labels) = row.labels.take() {
                let labels: Vec<u32> =
                    labels.iter().map(|label| classes.label(label)).collect::<Result<_, _>>().map_err(fault)?;
                row.attributes.add("labels", &labels);
            }
            if let Some(folder) = &folder {
                let known = earlier.entry((clip_key(folder), clip_key(&name))).or_insert((label, line));
                if known.0 != label {
                    let shown = |label: Option<u32>| {
                        label.map_or("no label", |label| &classes.names[label as usize]).to_owned()
                    };
                    return Err(fault(format!(
                        "{folder}/{name} has the label {}, but {} in line {}; a clip has one label",
                        shown(label),
                        shown(known.0),
                        known.1
                    )));
                }
            }
            let clip = NamedClip {
                name,
                row: folder.is_some().then_some(line),
                class_folder: folder.or(row.label),
                label,
                group: row.group,
                attributes: row.attributes.finish().map_err(fault)?,
            };
            row.subsets.resize(splits.len(), None);
            let subsets = row.subsets.into_iter().map(|subset| subset.unwrap_or(Subset::Unused)).collect();
            clips.add_to_all(clip, subsets).map_err(fault)?;
        }
        let clips = clips.finish(splits.len(), &classes.names)?;
        let mut lists = Lists { dataset: "custom", classes: classes.names, splits, clips, notes };
        lists.note_other_subsets();
        Ok(lists)
    }

    /// Returns the classes: those of the file, of `classes.txt` next to it, or all labels.
    fn take_classes(&mut self, notes: &mut Vec<String>) -> Result<Classes> {
        if let Some(classes) = self.classes.take() {
            return Ok(classes);
        }
        let file = self.path.with_file_name(CLASSES_FILE);
        if file.is_file() {
            notes.push(format!("the classes and their order come from {}", file.display()));
            return Classes::read(&file);
        }
        let several = self.rows.iter().flat_map(|row| row.labels.iter().flatten());
        Ok(Classes::of_labels(self.rows.iter().filter_map(|row| row.label.as_ref()).chain(several).map(String::as_str)))
    }

    fn subsets(&self) -> impl Iterator<Item = &Subset> {
        self.rows.iter().flat_map(|row| row.subsets.iter().flatten())
    }

    /// Returns notes if clips of one group (one person, one recording) are in several of the subsets
    /// train, val and test of a split, because that makes results too good. There is one note for
    /// each set of subsets.
    fn leaks(&self) -> Vec<String> {
        let mut mixed: BTreeMap<BTreeSet<&Subset>, BTreeSet<&str>> = BTreeMap::new();
        for split in 0..self.splits.len() {
            let mut subsets_of: BTreeMap<&str, BTreeSet<&Subset>> = BTreeMap::new();
            for row in &self.rows {
                let (Some(group), Some(Some(subset))) = (&row.group, row.subsets.get(split)) else { continue };
                if matches!(subset, Subset::Train | Subset::Val | Subset::Test) {
                    subsets_of.entry(group).or_default().insert(subset);
                }
            }
            for (group, subsets) in subsets_of.into_iter().filter(|(_, subsets)| subsets.len() > 1) {
                mixed.entry(subsets).or_default().insert(group);
            }
        }
        let note = |(subsets, groups): (BTreeSet<&Subset>, BTreeSet<&str>)| {
            let results = if subsets.contains(&Subset::Test) { "test" } else { "validation" };
            let names: Vec<&str> = subsets.into_iter().map(Subset::name).collect();
            let first = groups.first().copied().unwrap_or_default();
            let who = match groups.len() {
                1 => format!("group {first} has"),
                count => format!("{count} groups (such as {first}) have"),
            };
            format!("{who} clips in {}, so {results} results may be too good", names.join(" and "))
        };
        mixed.into_iter().map(note).collect()
    }

    /// Returns a note about rows whose label is not among their labels.
    fn label_not_in_labels(&self) -> Option<String> {
        let mut rows = self.rows.iter().filter(|row| match (&row.label, &row.labels) {
            (Some(label), Some(labels)) => !labels.contains(label),
            _ => false,
        });
        let first = rows.next()?;
        let count = counted(rows.count() as u64 + 1, "row has", "rows have");
        Some(format!(
            "{}: {count} a `label` that is not in `labels` (the first is {})",
            self.shown(),
            self.place_of(first)
        ))
    }

    /// Returns a note about rows without a label.
    fn unlabelled(&self) -> Option<String> {
        let mut rows = self.rows.iter().filter(|row| row.label.is_none() && row.labels.is_none());
        let first = rows.next()?;
        let count = counted(rows.count() as u64 + 1, "row has", "rows have");
        Some(format!(
            "{}: {count} no label (the first is {}), so these clips are packed without one",
            self.shown(),
            self.place_of(first)
        ))
    }
}

/// Checks the length of a group. The error is a message.
pub(super) fn check_group(group: &str) -> Result<(), String> {
    if group.len() > u16::MAX.into() { Err("the group is longer than 65,535 bytes; shorten it".into()) } else { Ok(()) }
}

/// Your own lists at a path.
enum Found {
    One(PathBuf),
    /// The name of each split, and its file.
    Splits(Vec<(String, PathBuf)>),
}

/// Returns the CSV files or the JSON lines in a folder.
fn find_files(path: &Path) -> Result<Found> {
    check_exists(path)?;
    if !path.is_dir() {
        return Ok(Found::One(path.to_owned()));
    }
    let mut found = files_in(path)?;
    found.retain(|file| has_ending(file, &["csv", "tsv"]) || has_ending(file, &JSON_LINES));
    if let [only] = found.as_slice() {
        return Ok(Found::One(only.clone()));
    }
    splits_of_family(&found).map(Found::Splits).ok_or_else(|| {
        Error::input(
            Problem::from(format!("{} contains {} CSV files or JSON lines; ", path.display(), found.len()))
                .name(Setting::Lists)
                .then(
                    " must be one CSV file with the columns path,label,split, one .jsonl file, or a folder with one \
                     file per split, such as split1.csv and split2.csv",
                ),
        )
    })
}
