//! Lists with one file per subset, such as `jester-v1-train.csv` and `jester-v1-validation.csv`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clipshard::Subset;

use super::text::{check_exists, files_in};
use crate::error::{Error, Problem, Result, Setting};
use crate::lists::subset::subset_of_word;

/// A list of one subset of one split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lists) struct PartFile {
    pub path: PathBuf,
    pub subset: Subset,
    /// Number in the name, such as 2 in `ucf101_train_split_2_videos.txt`.
    pub split: Option<u32>,
    /// The name with a mark instead of the subset and the number.
    family: String,
}

impl PartFile {
    /// Returns what the name of a file says, or `None` if it names no subset.
    pub fn of_path(path: &Path) -> Option<Self> {
        let stem = path.file_stem()?.to_str()?.to_ascii_lowercase();
        let (mut subset, mut split, mut family) = (None, None, Vec::new());
        let mut words = stem.split(['_', '-', '.', ' ']).peekable();
        while let Some(word) = words.next() {
            let bare = word.strip_suffix("set").unwrap_or(word);
            if let (None, Some(found)) = (&subset, subset_of_word(bare).filter(|found| *found != Subset::Unused)) {
                subset = Some(found);
                family.push("*");
                continue;
            }
            if let Some(number) = word.strip_prefix("split") {
                let number = if number.is_empty() { words.peek().copied().unwrap_or_default() } else { number };
                if let Ok(number) = number.parse() {
                    split = Some(number);
                    words.next_if(|_| word == "split");
                    continue;
                }
            }
            family.push(word);
        }
        Some(Self { path: path.to_owned(), subset: subset?, split, family: family.join("_") })
    }
}

/// Returns the lists that belong together, by split and subset. `path` is their folder or one of
/// them. `is_list` tells whether a file has the wanted format. `format` names it for messages.
///
/// # Errors
/// Returns [`Error::Input`] if there are none, or if a folder has lists of several kinds.
pub(in crate::lists) fn find_parts(
    path: &Path,
    format: &str,
    is_list: impl Fn(&Path) -> bool,
) -> Result<Vec<PartFile>> {
    check_exists(path)?;
    let chosen = if path.is_dir() { None } else { Some(PartFile::of_path(path).ok_or_else(|| no_subset(path))?) };
    let folder = match &chosen {
        Some(_) => path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")),
        None => path,
    };
    let named = files_in(folder)?.into_iter().filter_map(|file| PartFile::of_path(&file));
    let mut parts: Vec<PartFile> = match &chosen {
        Some(chosen) => named
            .filter(|part| {
                part.path.file_name() == path.file_name() || part.family == chosen.family && is_list(&part.path)
            })
            .collect(),
        None => named.filter(|part| is_list(&part.path)).collect(),
    };
    // A stable order, which does not depend on the words in the names.
    parts.sort_by(|a, b| (a.split, &a.subset, &a.path).cmp(&(b.split, &b.subset, &b.path)));
    if parts.is_empty() {
        return Err(Error::input(
            Problem::from(format!(
                "{} has no lists of {format} with train, val or test in their names; ",
                path.display()
            ))
            .name(Setting::Lists)
            .then(" must be their folder, or one of them"),
        ));
    }
    // Lists of several kinds mostly name the same clips, so they must not be mixed.
    let other = parts.iter().find(|part| part.family != parts[0].family).map(|part| (&parts[0], part));
    let twice = parts.windows(2).map(|pair| (&pair[0], &pair[1]));
    let twice = twice.into_iter().find(|(a, b)| (a.split, &a.subset) == (b.split, &b.subset));
    if let Some((a, b)) = other.or(twice) {
        return Err(Error::input(
            Problem::from(format!(
                "{} has several kinds of lists, such as {} and {}; name one of them with ",
                folder.display(),
                shown(&a.path),
                shown(&b.path)
            ))
            .name(Setting::Lists),
        ));
    }
    Ok(parts)
}

/// Returns the names of the splits of lists in their order, and the place of each list's split.
pub(in crate::lists) fn splits_of(parts: &[PartFile]) -> (Vec<String>, Vec<usize>) {
    let numbers: BTreeSet<u32> = parts.iter().map(|part| part.split.unwrap_or(1)).collect();
    let place = |part: &PartFile| numbers.iter().position(|n| *n == part.split.unwrap_or(1)).unwrap_or_default();
    (numbers.iter().map(u32::to_string).collect(), parts.iter().map(place).collect())
}

/// Returns the names of lists for notes, such as `a.csv, b.csv`.
pub(in crate::lists) fn names_of(parts: &[PartFile]) -> String {
    parts.iter().map(|part| shown(&part.path)).collect::<Vec<_>>().join(", ")
}

fn shown(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn no_subset(path: &Path) -> Error {
    Error::input(format!(
        "{}: the name says no subset; put train, val or test into it, as in list_train{}",
        path.display(),
        path.extension().map_or_else(String::new, |ending| format!(".{}", ending.to_string_lossy()))
    ))
}

#[cfg(test)]
mod tests {
    use super::super::text::tests::folder;
    use super::*;

    #[test]
    fn names_say_subset_and_split() {
        let seen = |name: &str| PartFile::of_path(Path::new(name)).map(|part| (part.subset, part.split, part.family));
        for (name, subset, split, family) in [
            ("ucf101_train_split_1_rawframes.txt", Subset::Train, Some(1), "ucf101_*_rawframes"),
            ("ucf101_rgb_val_split_2.txt", Subset::Val, Some(2), "ucf101_rgb_*"),
            ("kinetics400_train_list_videos.txt", Subset::Train, None, "kinetics400_*_list_videos"),
            ("something_train_v1.txt", Subset::Train, None, "something_*_v1"),
            ("val_videofolder.txt", Subset::Val, None, "*_videofolder"),
            ("jester-v1-validation.csv", Subset::Val, None, "jester_v1_*"),
            ("trainingSet.csv", Subset::Train, None, "*"),
            ("Diving48_V2_test.json", Subset::Test, None, "diving48_v2_*"),
            ("a_split3_dev.txt", Subset::Val, Some(3), "a_*"),
        ] {
            assert_eq!(seen(name), Some((subset, split, family.into())), "{name}");
        }
        for name in ["trainlist01.txt", "labels.json", "category.txt", "training", "none.csv"] {
            assert_eq!(seen(name).is_some(), name == "training", "{name}");
        }
    }

    #[test]
    fn a_file_chooses_among_several_kinds_of_lists() {
        let names = ["a_train_rawframes.txt", "a_val_rawframes.txt", "a_train_videos.txt", "a_val_videos.txt"];
        let dir = folder(&names.map(|name| (name, "")));
        let error = find_parts(dir.path(), "x", |_| true).unwrap_err().to_string();
        assert!(
            error.contains(
                "has several kinds of lists, such as a_train_rawframes.txt and a_train_videos.txt; name one of them \
                 with `lists`"
            ),
            "{error}"
        );
        let parts = find_parts(&dir.path().join("a_val_videos.txt"), "x", |_| true).unwrap();
        assert_eq!(names_of(&parts), "a_train_videos.txt, a_val_videos.txt");
        assert_eq!(splits_of(&parts), (vec!["1".into()], vec![0, 0]));
        let error = find_parts(dir.path(), "Jester", |_| false).unwrap_err().to_string();
        assert!(error.contains("has no lists of Jester with train, val or test in their names"), "{error}");
    }

    #[test]
    fn splits_have_the_numbers_of_the_names() {
        let dir = folder(&["train_split_3.txt", "test_split_3.txt", "train_split_1.txt"].map(|name| (name, "")));
        let parts = find_parts(dir.path(), "x", |_| true).unwrap();
        assert_eq!(splits_of(&parts), (vec!["1".into(), "3".into()], vec![0, 1, 1]));
        let error = find_parts(&dir.path().join("none.txt"), "x", |_| true).unwrap_err().to_string();
        assert!(error.ends_with("none.txt: no such file or folder"), "{error}");
    }
}
