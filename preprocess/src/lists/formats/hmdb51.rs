//! Lists of HMDB51 and JHMDB: `<class>_test_splitN.txt` with lines `name.avi N`, where 1 is train, 2
//! is test and 0 is neither. Labels number the classes in alphabetical order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clipshard::Subset;

use crate::error::{Error, Problem, Result, Setting};
use crate::lists::listed::Lists;
use crate::lists::reading::clips::{Clips, NamedClip, Place, split_path};
use crate::lists::reading::text::{check_folder, files_in, lines};

/// The classes of JHMDB. HMDB51 has them and 30 more.
const OF_JHMDB: [&str; 21] = [
    "brush_hair",
    "catch",
    "clap",
    "climb_stairs",
    "golf",
    "jump",
    "kick_ball",
    "pick",
    "pour",
    "pullup",
    "push",
    "run",
    "shoot_ball",
    "shoot_bow",
    "shoot_gun",
    "sit",
    "stand",
    "swing_baseball",
    "throw",
    "walk",
    "wave",
];

impl Lists {
    /// Reads every `<class>_test_splitN.txt` in `folder`, for N from 1 to 9.
    ///
    /// # Errors
    /// Returns [`Error::List`] with the line of an invalid entry. Returns [`Error::Input`] if there
    /// are no lists, if a split lacks a class, or if no clip is named. Returns [`Error::Usage`] if
    /// `folder` is a file.
    pub fn read_hmdb51(folder: &Path) -> Result<Self> {
        read(folder, "hmdb51")
    }

    /// Reads the lists of JHMDB, which have the format of HMDB51's.
    ///
    /// # Errors
    /// As [`Lists::read_hmdb51`].
    pub fn read_jhmdb(folder: &Path) -> Result<Self> {
        read(folder, "jhmdb")
    }
}

fn read(folder: &Path, dataset: &'static str) -> Result<Lists> {
    check_folder(folder, dataset)?;
    let files = find_lists(folder)?;
    if files.is_empty() {
        return Err(Error::input(
            Problem::from(format!("{} has no <class>_test_splitN.txt; ", folder.display())).name(Setting::Lists).then(
                format!(" must be the folder of {} lists", if dataset == "jhmdb" { "JHMDB's" } else { "HMDB51's" }),
            ),
        ));
    }
    let classes: Vec<String> =
        files.keys().map(|(class, _)| class.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    let splits: Vec<u32> = files.keys().map(|(_, split)| *split).collect::<BTreeSet<_>>().into_iter().collect();
    let mut clips = Clips::default();
    for (place, split) in splits.iter().enumerate() {
        for (label, class) in classes.iter().enumerate() {
            let Some(path) = files.get(&(class.clone(), *split)) else {
                return Err(Error::input(format!(
                    "{} has no {class}_test_split{split}.txt, but other lists of split {split}; a split needs a \
                         list for every class",
                    folder.display()
                )));
            };
            for (line, text) in lines(path)? {
                let fault = |what: String| Error::List { path: path.clone(), line, what };
                let (file, subset) = match text.rsplit_once(char::is_whitespace) {
                    Some((file, "1")) => (file, Subset::Train),
                    Some((file, "2")) => (file, Subset::Test),
                    Some((file, "0")) => (file, Subset::Unused),
                    _ => return Err(fault(format!("expected `<name>.avi` and 0, 1 or 2, found `{text}`"))),
                };
                let (name, _) = split_path(file.trim()).map_err(fault)?;
                if let Some(word) = name.split_whitespace().skip(1).find(|word| matches!(*word, "0" | "1" | "2")) {
                    return Err(fault(format!("unexpected text after `{word}`; a line has one clip and its number")));
                }
                let clip = NamedClip {
                    name,
                    class_folder: Some(class.clone()),
                    label: Some(label as u32),
                    ..NamedClip::default()
                };
                clips.add(clip, place, subset, Place { path, line, entry: None })?;
            }
        }
    }
    let splits: Vec<String> = splits.iter().map(u32::to_string).collect();
    let clips = clips.finish(splits.len(), &classes)?;
    if clips.is_empty() {
        return Err(Error::input(format!("the lists in {} contain no clips", folder.display())));
    }
    Ok(Lists { dataset, classes, splits, clips, notes: Vec::new() })
}

/// Returns the class and the split of a list of HMDB51 or JHMDB, from its name.
pub(in crate::lists) fn class_and_split(path: &Path) -> Option<(&str, u32)> {
    let name = path.file_name()?.to_str()?;
    let (class, split) = name.strip_suffix(".txt")?.rsplit_once("_test_split")?;
    split.parse().ok().filter(|split| (1..=9).contains(split)).map(|split| (class, split))
}

/// Returns whether lists are those of JHMDB, which has 21 of the 51 classes of HMDB51.
pub(in crate::lists) fn are_of_jhmdb<'a>(files: impl Iterator<Item = &'a Path>) -> bool {
    files.filter_map(class_and_split).map(|(class, _)| class).collect::<BTreeSet<_>>().into_iter().eq(OF_JHMDB)
}

/// Returns the list files by class and split.
fn find_lists(folder: &Path) -> Result<BTreeMap<(String, u32), PathBuf>> {
    let files = files_in(folder)?;
    let of_class = |path: &PathBuf| class_and_split(path).map(|(class, split)| (class.to_owned(), split));
    Ok(files.into_iter().filter_map(|path| Some((of_class(&path)?, path))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::reading::text::tests::folder;

    #[test]
    fn numbers_mean_train_test_and_neither_and_labels_are_alphabetical() {
        let dir = folder(&[
            ("wave_test_split1.txt", "a_wave_#1.avi 1 \r\nb_wave.avi 2 \r\nunused.avi 0\r\n"),
            ("brush_hair_test_split1.txt", "c_(x)_brush_hair.avi 2\n"),
            ("wave_test_split2.txt", "a_wave_#1.avi 2\nb_wave.avi 0\nunused.avi 0\n"),
            ("brush_hair_test_split2.txt", "c_(x)_brush_hair.avi 1\n"),
            ("readme.txt", "not a list"),
        ]);
        let lists = Lists::read_hmdb51(dir.path()).unwrap();
        assert_eq!(
            (lists.classes, lists.splits),
            (vec!["brush_hair".into(), "wave".into()], vec!["1".into(), "2".into()])
        );
        let got: Vec<_> = lists.clips.iter().map(|c| (c.id.as_str(), c.label.unwrap(), c.subsets.clone())).collect();
        let [train, test, unused] = [Subset::Train, Subset::Test, Subset::Unused].map(|subset| move || subset.clone());
        assert_eq!(
            got,
            [
                ("a_wave_#1", 1, vec![train(), test()]),
                ("b_wave", 1, vec![test(), unused()]),
                ("c_(x)_brush_hair", 0, vec![test(), train()]),
                ("unused", 1, vec![unused(), unused()]),
            ]
        );
    }

    #[test]
    fn clips_of_one_name_in_two_classes_carry_their_class() {
        let dir = folder(&[("hit_test_split1.txt", "same.avi 1\n"), ("kick_test_split1.txt", "same.avi 2\n")]);
        let clips = Lists::read_hmdb51(dir.path()).unwrap().clips;
        let got: Vec<_> = clips.iter().map(|c| (c.id.as_str(), c.folder.as_str(), c.class_folder.as_deref())).collect();
        assert_eq!(got, [("hit__same", "same", Some("hit")), ("kick__same", "same", Some("kick"))]);
    }

    #[test]
    fn lists_of_jhmdb_have_its_classes_exactly() {
        let files: Vec<PathBuf> = OF_JHMDB.iter().map(|class| format!("{class}_test_split1.txt").into()).collect();
        let is = |files: &[PathBuf]| are_of_jhmdb(files.iter().map(PathBuf::as_path));
        assert!(is(&files) && !is(&files[1..]));
        assert!(!is(&[files.as_slice(), &["smoke_test_split1.txt".into()]].concat()));
        let dir = folder(&[
            ("wave_test_split1.txt", "Boom!_wave_u_cm_np1_fr_med_1.avi 1\n"),
            ("pour_test_split1.txt", "x.avi 2"),
        ]);
        let lists = Lists::read_jhmdb(dir.path()).unwrap();
        assert_eq!((lists.dataset, lists.classes.join(",")), ("jhmdb", "pour,wave".into()));
        assert_eq!(lists.clips[0].id, "Boom!_wave_u_cm_np1_fr_med_1");
    }

    #[test]
    fn each_bad_list_has_its_error() {
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[("classInd.txt", "1 Archery\n")], "has no <class>_test_splitN.txt"),
            (&[("hit_test_split1.txt", "a.avi 3\n")], "line 1: expected `<name>.avi` and 0, 1 or 2, found `a.avi 3`"),
            (&[("hit_test_split1.txt", "a.avi 1\na.avi 2\n")], "line 2: a is listed twice"),
            (
                &[
                    ("hit_test_split1.txt", "a.avi 1\n"),
                    ("hit_test_split2.txt", "a.avi 1\n"),
                    ("kick_test_split1.txt", "b.avi 1\n"),
                ],
                "no kick_test_split2.txt",
            ),
            (&[("hit_test_split1.txt", "\n")], "contain no clips"),
            (&[("hit_test_split1.txt", "a.avi 1\nb.avi 1 c.avi 2\n")], "line 2: unexpected text after `1`"),
            (
                &[("hit_test_split1.txt", "a.avi 1 easy\n")],
                "line 1: expected `<name>.avi` and 0, 1 or 2, found `a.avi 1 easy`",
            ),
        ];
        for (files, expected) in cases {
            let error = Lists::read_hmdb51(folder(files).path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} should contain {expected}");
        }
    }
}
