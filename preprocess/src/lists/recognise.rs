//! Recognises the kind of lists by the names and the content of their files.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::formats::custom::JSON_LINES;
use super::formats::hmdb51::{are_of_jhmdb, class_and_split};
use super::formats::{csv as own_csv, kinetics, moments, text_lists};
use super::kind::DatasetKind;
use super::reading::classes::CLASSES_FILE;
use super::reading::parts::PartFile;
use super::reading::rows::{Record, first_line};
use super::reading::text::{check_exists, files_in, has_ending, name_of, read_text};
use super::subset::subset_of_word;
use crate::error::{Error, Problem, Result, Setting};
use clipshard::open_regular;

/// Bytes at the start of a file that are enough to recognise it.
const HEAD_BYTES: u64 = 1 << 16;
/// Number of files that a note names. Further ones are only counted.
const NAMED: usize = 4;

/// Returns the kind of lists and the reason: the files, and what identifies them.
///
/// # Errors
/// Returns [`Error::Input`] if no kind fits, and [`Error::Usage`] if several do.
pub(super) fn recognise(path: &Path) -> Result<(DatasetKind, String)> {
    check_exists(path)?;
    if !path.is_dir() {
        // A file that is no text gets its own error.
        let text = read_text(path)?;
        let found = by_name(path).or_else(|| by_content(path, &text));
        let (kind, why) = found.ok_or_else(|| unknown(path))?;
        return Ok((kind, why.to_owned()));
    }
    let mut found: BTreeMap<&str, (DatasetKind, &str, Vec<PathBuf>)> = BTreeMap::new();
    for file in files_in(path)? {
        if let Some((kind, why)) = by_name(&file).or_else(|| by_content(&file, &head(&file))) {
            found.entry(kind.name()).or_insert((kind, why, Vec::new())).2.push(file);
        }
    }
    if let Some((_, _, files)) = found.get("hmdb51")
        && are_of_jhmdb(files.iter().map(PathBuf::as_path))
        && let Some((_, why, files)) = found.remove("hmdb51")
    {
        found.insert("jhmdb", (DatasetKind::Jhmdb, why, files));
    }
    if found.is_empty() && path.join("classInd.txt").is_file() {
        // The reader says which lists are missing.
        return Ok((DatasetKind::Ucf101, "classInd.txt".to_owned()));
    }
    if found.len() == 2
        && found.contains_key("ucf101")
        && let Some((kind, why, files)) = found.get("custom")
        && let [file] = files.as_slice()
        && is_exported(file)
    {
        let lesser = "the lists of ucf101 next to it lack something";
        return Ok((*kind, format!("{why} ({}); {lesser}", some_names(files))));
    }
    let mut kinds: Vec<_> = found.into_values().collect();
    match (kinds.pop(), kinds.as_slice()) {
        (None, _) => Err(unknown(path)),
        (Some((kind, why, files)), []) => Ok((kind, format!("{why} ({})", some_names(&files)))),
        (Some(last), others) => {
            let shown = |(kind, _, files): &(DatasetKind, &str, Vec<PathBuf>)| {
                format!("{} ({})", kind.name(), some_names(files))
            };
            let kinds: Vec<String> = others.iter().chain([&last]).map(shown).collect();
            Err(Error::usage(
                Problem::from(format!("{} has lists of {}; choose one with ", path.display(), kinds.join(" and of ")))
                    .name(Setting::Dataset)
                    .then(", or name the file with ")
                    .name(Setting::Lists),
            ))
        }
    }
}

/// Returns whether a file is the list with everything that an export writes next to lists of UCF101:
/// JSON lines that begin with all classes and splits, or a CSV file that names its columns, next to
/// the file with the class names.
fn is_exported(path: &Path) -> bool {
    let text = head(path);
    let first = first_line(&text);
    match name_of(path).as_str() {
        // The line with the classes may be longer than what is read of it.
        "clips.jsonl" => first.starts_with("{\"classes\":["),
        "clips.csv" => own_csv::is_header(&Record::of_line(first)) && path.with_file_name(CLASSES_FILE).is_file(),
        _ => false,
    }
}

/// Returns the names of a few files.
fn some_names(files: &[PathBuf]) -> String {
    let names: Vec<_> = files.iter().take(NAMED).map(|f| f.file_name().unwrap_or_default().to_string_lossy()).collect();
    let more = if files.len() > NAMED { format!(", ... and {} more", files.len() - NAMED) } else { String::new() };
    format!("{}{more}", names.join(", "))
}

fn unknown(path: &Path) -> Error {
    let kinds: Vec<&str> = DatasetKind::ALL.into_iter().map(DatasetKind::name).collect();
    let what = if path.is_dir() { "has no lists of a known kind" } else { "is no list of a known kind" };
    Error::input(
        Problem::from(format!("{} {what} ({}); ", path.display(), kinds.join(", ")))
            .name(Setting::Lists)
            .then(
                " must name lists, such as a CSV file with the columns path,label,split; to see what is wrong with \
                   a list, name its kind with ",
            )
            .name(Setting::Dataset),
    )
}

/// Returns the start of a file. It is empty if the file cannot be read.
fn head(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read = open_regular(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut bytes));
    if read.is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned()
}

type Recognised = (DatasetKind, &'static str);

/// Recognises a file by its name alone.
fn by_name(path: &Path) -> Option<Recognised> {
    let name = name_of(path);
    let is_numbered = |start: &str| {
        let number = name.strip_prefix(start).and_then(|rest| rest.strip_suffix(".txt"));
        number.is_some_and(|number| number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if is_numbered("trainlist") || is_numbered("testlist") {
        return Some((DatasetKind::Ucf101, "trainlist0N.txt and testlist0N.txt"));
    }
    if class_and_split(path).is_some() {
        return Some((DatasetKind::Hmdb51, "CLASS_test_splitN.txt"));
    }
    if has_ending(path, &JSON_LINES) {
        return Some((DatasetKind::Custom, "its ending: JSON lines"));
    }
    None
}

/// Recognises a file by its content, and by words in its name.
fn by_content(path: &Path, text: &str) -> Option<Recognised> {
    if has_ending(path, &["json"]) {
        return by_json(path, text);
    }
    if !has_ending(path, &["csv", "tsv", "txt"]) || moments::is_categories(path) || name_of(path) == CLASSES_FILE {
        return None;
    }
    let first = first_line(text);
    let record = Record::of_line(first);
    let value = |at: usize| record.get(at).unwrap_or_default();
    if kinetics::is_header(&record) {
        return Some((DatasetKind::Kinetics, "the column youtube_id"));
    }
    if own_csv::is_header(&record) {
        return Some((DatasetKind::Custom, "the column path"));
    }
    let name = name_of(path);
    // The answers of a test list belong to other lists.
    let part = PartFile::of_path(path).filter(|_| !name.contains("answers"));
    if part.is_some() && has_ending(path, &["csv"]) {
        if name.contains("jester") {
            return Some((DatasetKind::Jester, "its name"));
        }
        if name.contains("something") {
            return Some((DatasetKind::SomethingV1, "its name"));
        }
        let is_path = value(0).contains('/');
        if is_path && matches!(name.as_str(), "trainingset.csv" | "validationset.csv" | "testingset.csv") {
            return Some((DatasetKind::Moments, "its name"));
        }
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let has_class = !value(1).is_empty() && !is_number(value(1));
        if first.contains(';') && is_number(value(0)) && has_class {
            return Some((DatasetKind::Jester, "lines `id;label`"));
        }
    }
    if subset_of_word(value(2)).is_some() {
        return Some((DatasetKind::Custom, "rows path,label,split"));
    }
    (part.is_some() && text_lists::is_entry(first)).then_some((DatasetKind::Mmaction2, "lines `path [frames] label`"))
}

/// Recognises a JSON file.
fn by_json(path: &Path, text: &str) -> Option<Recognised> {
    PartFile::of_path(path)?;
    let text = text.trim_start();
    if !text.starts_with('[') {
        return None;
    }
    if text.contains("\"vid_name\"") {
        Some((DatasetKind::Diving48, "the key vid_name"))
    } else if text.contains("\"template\"") || text.contains("\"id\"") {
        Some((DatasetKind::SomethingV2, "the keys id and template"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::reading::text::tests::folder;
    use super::*;

    #[test]
    fn folders_are_recognised_by_what_they_hold() {
        type Files = [(&'static str, &'static str)];
        let cases: &[(&Files, DatasetKind, &str)] = &[
            (
                &[("classInd.txt", "1 A\n"), ("trainlist01.txt", "A/a.avi 1\n"), ("testlist01.txt", "A/b.avi\n")],
                DatasetKind::Ucf101,
                "trainlist0N.txt and testlist0N.txt (testlist01.txt, trainlist01.txt)",
            ),
            (
                &[("wave_test_split1.txt", "a.avi 1\n"), ("smoke_test_split1.txt", "b.avi 1\n")],
                DatasetKind::Hmdb51,
                "CLASS_test_splitN.txt (smoke_test_split1.txt, wave_test_split1.txt)",
            ),
            (
                &[
                    ("train.csv", "\u{feff}label,youtube_id,time_start,time_end,split\nx,a,0,10,train\n"),
                    ("test.csv", "youtube_id,time_start,time_end,split\nb,0,10,test\n"),
                ],
                DatasetKind::Kinetics,
                "the column youtube_id (test.csv, train.csv)",
            ),
            (
                &[
                    ("something-something-v2-train.json", "[{\"id\":\"1\",\"label\":\"x\",\"template\":\"X\"}]"),
                    ("something-something-v2-test.json", "[ {\"id\":\"2\"}]"),
                    ("something-something-v2-labels.json", "{\"X\":\"0\"}"),
                    ("test-answers.csv", "2;Closing something\n"),
                ],
                DatasetKind::SomethingV2,
                "the keys id and template (something-something-v2-test.json, something-something-v2-train.json)",
            ),
            (
                &[
                    ("jester-v1-train.csv", "34870;Drumming Fingers\n"),
                    ("jester-v1-test.csv", "1\n"),
                    ("jester-v1-labels.csv", "Drumming Fingers\n"),
                ],
                DatasetKind::Jester,
                "its name (jester-v1-test.csv, jester-v1-train.csv)",
            ),
            (
                &[("train.csv", "34870;Drumming Fingers\n"), ("labels.csv", "Drumming Fingers\n")],
                DatasetKind::Jester,
                "lines `id;label` (train.csv)",
            ),
            (
                &[("something-something-v1-train.csv", "7;Closing something\n")],
                DatasetKind::SomethingV1,
                "its name (something-something-v1-train.csv)",
            ),
            (
                &[
                    ("trainingSet.csv", "clapping/a.mp4,clapping,4,0\n"),
                    ("validationSet.csv", "clapping/b.mp4,clapping,4,0\n"),
                    ("moments_categories.txt", "clapping,0\n"),
                    ("license.txt", "You may\n"),
                ],
                DatasetKind::Moments,
                "its name (trainingSet.csv, validationSet.csv)",
            ),
            (
                &[
                    ("Diving48_V2_train.json", "[{\"vid_name\": \"a\", \"label\": 0}]"),
                    ("Diving48_vocab.json", "[[\"Back\"]]"),
                ],
                DatasetKind::Diving48,
                "the key vid_name (Diving48_V2_train.json)",
            ),
            (
                &[
                    ("ucf101_train_split_1_rawframes.txt", "A/a 165 0\n"),
                    ("ucf101_val_split_1_rawframes.txt", "A/b 1 0\n"),
                ],
                DatasetKind::Mmaction2,
                "lines `path [frames] label` (ucf101_train_split_1_rawframes.txt, \
                 ucf101_val_split_1_rawframes.txt)",
            ),
            (&[("train.csv", "a/b.mp4 3\n"), ("val.csv", "a/c.mp4,3\n")], DatasetKind::Mmaction2, "lines `path"),
            (&[("clips.csv", "path;label;split\n")], DatasetKind::Custom, "the column path (clips.csv)"),
            (
                &[("clips.csv", "a.mp4,x,train\n"), ("classes.txt", "x\n")],
                DatasetKind::Custom,
                "rows path,label,split (clips.csv)",
            ),
            (&[("clips.jsonl", "{}")], DatasetKind::Custom, "its ending: JSON lines (clips.jsonl)"),
        ];
        for (files, kind, why) in cases {
            let dir = folder(files);
            let (found, reason) = recognise(dir.path()).unwrap();
            assert_eq!(found, *kind, "{files:?}");
            assert!(reason.starts_with(why), "{reason} should be {why}");
            let (found, _) = recognise(&dir.path().join(files[usize::from(*kind == DatasetKind::Ucf101)].0)).unwrap();
            assert_eq!(found, *kind, "{files:?}");
        }
    }

    #[test]
    fn the_list_with_everything_of_an_export_comes_first() {
        let ucf101 = [("classInd.txt", "1 A\n"), ("trainlist01.txt", "A/a.avi 1\n"), ("testlist01.txt", "")];
        let recognised = |files: &[(&str, &str)]| recognise(folder(&[&ucf101[..], files].concat()).path());
        for (files, reason) in [
            (
                &[("clips.jsonl", "{\"classes\":[\"A\"],\"splits\":[\"1\"]}\n")][..],
                "its ending: JSON lines (clips.jsonl)",
            ),
            (&[("clips.csv", "path,label,split\n"), ("classes.txt", "A\n")], "the column path (clips.csv)"),
        ] {
            let (kind, why) = recognised(files).unwrap();
            assert_eq!(kind, DatasetKind::Custom);
            assert_eq!(why, format!("{reason}; the lists of ucf101 next to it lack something"));
        }
        for files in [
            &[("clips.csv", "path,label,split\n")][..],
            &[("clips.jsonl", "{\"path\":\"a\"}\n")],
            &[("mine.csv", "path,label,split\n"), ("classes.txt", "A\n")],
        ] {
            assert!(recognised(files).unwrap_err().is_usage(), "{files:?}");
        }
    }

    #[test]
    fn jhmdb_is_recognised_by_its_classes() {
        let names = "brush_hair catch clap climb_stairs golf jump kick_ball pick pour pullup push run shoot_ball \
                     shoot_bow shoot_gun sit stand swing_baseball throw walk wave";
        let files: Vec<String> = names.split_whitespace().map(|class| format!("{class}_test_split1.txt")).collect();
        let dir = folder(&files.iter().map(|name| (name.as_str(), "a.avi 1\n")).collect::<Vec<_>>());
        assert_eq!(recognise(dir.path()).unwrap().0, DatasetKind::Jhmdb);
    }

    #[test]
    fn what_is_not_known_or_not_clear_is_an_error() {
        let error = |files: &[(&str, &str)]| recognise(folder(files).path()).unwrap_err();
        let several = error(&[("trainlist01.txt", ""), ("clips.csv", "path,label,split\n")]);
        assert!(several.is_usage());
        let several = several.to_string();
        assert!(
            several.contains(
                " has lists of custom (clips.csv) and of ucf101 (trainlist01.txt); choose one with `dataset`, or \
                 name the file with `lists`"
            ),
            "{several}"
        );
        assert_eq!(recognise(folder(&[("classInd.txt", "1 A\n")]).path()).unwrap().0, DatasetKind::Ucf101);
        for files in [&[("readme.txt", "train your model\n"), ("a.csv", "a,b\n")][..], &[], &[("train.json", "{}")]] {
            let error = error(files).to_string();
            assert!(error.contains("has no lists of a known kind (ucf101, hmdb51, jhmdb, kinetics, "), "{error}");
        }
        let dir = folder(&[("a.csv", "a,b\n")]);
        std::fs::write(dir.path().join("b.csv"), b"\xff\xfea\0,\0").unwrap();
        let of = |name: &str| recognise(&dir.path().join(name)).unwrap_err().to_string();
        assert!(of("a.csv").contains("a.csv is no list of a known kind"));
        assert!(of("b.csv").ends_with("b.csv: line 1: the list is UTF-16 text; save it as UTF-8"));
        assert!(of("none").ends_with("none: no such file or folder"));
    }
}
