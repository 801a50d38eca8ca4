//! Lists with one file per split, whose names differ in the name of the split: `split1.csv`,
//! `split2.csv`.

use std::ffi::OsStr;
use std::path::PathBuf;

use crate::lists::subset::subset_of_word;

/// Returns the files with the names of their splits, in the order of the splits. Returns `None` if
/// the files are not of one family.
///
/// The files of a family have the same ending. Their names start with the same word, and differ in
/// one place, which is the name of the split. This name is no word for a subset, such as `train`.
pub(in crate::lists) fn splits_of_family(files: &[PathBuf]) -> Option<Vec<(String, PathBuf)>> {
    let ending = |file: &PathBuf| file.extension().map(OsStr::to_ascii_lowercase);
    let (first, others) = files.split_first()?;
    if others.is_empty() || others.iter().any(|file| ending(file) != ending(first)) {
        return None;
    }
    let names: Vec<Vec<&str>> =
        files.iter().map(|file| Some(words(file.file_stem()?.to_str()?))).collect::<Option<_>>()?;
    let (first, others) = names.split_first()?;
    let start = others.iter().map(|name| same_words(first.iter(), name.iter())).min()?;
    if !first.get(..start)?.iter().any(|word| is_word(word)) {
        return None;
    }
    let rests: Vec<&[&str]> = names.iter().map(|name| name.get(start..)).collect::<Option<_>>()?;
    let (first, others) = rests.split_first()?;
    let end = others.iter().map(|rest| same_words(first.iter().rev(), rest.iter().rev())).min()?;
    let mut splits = Vec::new();
    for (rest, file) in rests.into_iter().zip(files) {
        let differing = rest.get(..rest.len().checked_sub(end)?)?;
        if differing.iter().any(|word| subset_of_word(word).is_some()) {
            return None;
        }
        splits.push((split_name(&differing.concat())?, file.clone()));
    }
    splits.sort_by(|(a, _), (b, _)| a.parse::<u64>().ok().cmp(&b.parse::<u64>().ok()).then_with(|| a.cmp(b)));
    splits.windows(2).all(|pair| pair[0].0 != pair[1].0).then_some(splits)
}

/// Splits a name into letters, numbers and single separators.
fn words(name: &str) -> Vec<&str> {
    let kind = |c: char| if c.is_ascii_digit() { 0 } else { 1 + u8::from(is_separator(c)) };
    let mut words = Vec::new();
    let (mut start, mut last) = (0, None);
    for (at, c) in name.char_indices() {
        if last.is_some_and(|last| last != kind(c) || is_separator(c)) {
            words.extend(name.get(start..at));
            start = at;
        }
        last = Some(kind(c));
    }
    words.extend(name.get(start..).filter(|word| !word.is_empty()));
    words
}

fn is_separator(c: char) -> bool {
    matches!(c, '_' | '-' | '.' | ' ')
}

fn is_word(word: &str) -> bool {
    !word.chars().all(is_separator)
}

/// Counts the words at the start of both names that are the same.
fn same_words<'a>(a: impl Iterator<Item = &'a &'a str>, b: impl Iterator<Item = &'a &'a str>) -> usize {
    a.zip(b).take_while(|(a, b)| a == b).count()
}

/// Returns the name of a split, without separators around it. Numbers lose their leading zeros, as
/// `01` is split 1.
fn split_name(text: &str) -> Option<String> {
    let name = text.trim_matches(is_separator);
    if name.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() {
        let number = name.trim_start_matches('0');
        return Some(if number.is_empty() { "0".to_owned() } else { number.to_owned() });
    }
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splits(names: &[&str]) -> Option<Vec<String>> {
        let files: Vec<PathBuf> = names.iter().map(|name| PathBuf::from("lists").join(name)).collect();
        let found = splits_of_family(&files)?;
        assert!(found.iter().all(|(_, file)| files.contains(file)));
        Some(found.into_iter().map(|(split, _)| split).collect())
    }

    #[test]
    fn the_part_that_differs_is_the_name_of_the_split() {
        for (names, expected) in [
            (&["split1.csv", "split2.csv", "split3.csv"][..], &["1", "2", "3"][..]),
            (&["split10.csv", "split9.csv", "split1.csv"], &["1", "9", "10"]),
            (&["split_01.CSV", "split_02.csv"], &["1", "2"]),
            (&["fold-A.jsonl", "fold-B.jsonl"], &["A", "B"]),
            (&["my clips, actors.csv", "my clips, cameras 2.csv"], &["actors", "cameras 2"]),
            (&["split1_clips.csv", "split2_clips.csv"], &["1", "2"]),
            (&["split1.csv", "split_2.csv"], &["1", "2"]),
            (&["fold0.tsv", "fold00001.tsv"], &["0", "1"]),
            (&["split_1.csv", "split_B.csv"], &["B", "1"]),
        ] {
            assert_eq!(
                splits(names).as_deref(),
                Some(expected.iter().map(|&e| e.to_owned()).collect::<Vec<_>>()).as_deref()
            );
        }
    }

    #[test]
    fn names_without_a_common_start_are_no_family() {
        for names in [
            &["split1.csv"][..],
            &[],
            &["a.csv", "b.csv"],
            &["1.csv", "2.csv"],
            &["_1.csv", "_2.csv"],
            &["split1.csv", "split2.jsonl"],
            &["split1.csv", "split2.csv", "notes.csv"],
            &["split1.csv", "split01.csv"],
            &["split.csv", "split1.csv"],
            &["clips_train.csv", "clips_test.csv"],
            &["clips_train_1.csv", "clips_test_1.csv"],
            &["clips_a.csv", "labels_a.csv"],
            &["splité.csv", "splitè.csv"],
        ] {
            assert_eq!(splits(names), None, "{names:?}");
        }
    }
}
