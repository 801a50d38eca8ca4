//! Lists of UCF101: `classInd.txt` (`<number from 1> <Name>`), `trainlist0N.txt`
//! (`Class/v_X_gNN_cNN.avi <number>`) and `testlist0N.txt` (the same without the number). The class
//! folder decides the label of a clip, by its position in `classInd.txt`.

use std::path::Path;

use clipshard::Subset;

use crate::error::{Error, Problem, Result, Setting};
use crate::lists::listed::Lists;
use crate::lists::reading::clips::{Clips, NamedClip, Place, split_path};
use crate::lists::reading::text::{check_folder, lines};

impl Lists {
    /// Reads `classInd.txt` and every pair of `trainlist0N.txt` and `testlist0N.txt` in `folder`,
    /// for N from 1 to 9.
    ///
    /// # Errors
    /// Returns [`Error::List`] with the line of an invalid entry. Returns [`Error::Input`] if a
    /// file is missing, no clip is named, or a clip is in several classes. Returns [`Error::Usage`]
    /// if `folder` is a file.
    pub fn read_ucf101(folder: &Path) -> Result<Self> {
        check_folder(folder, "ucf101")?;
        let class_file = folder.join("classInd.txt");
        if !class_file.is_file() {
            return Err(Error::input(
                Problem::from(format!("{} has no classInd.txt; ", folder.display())).name(Setting::Lists).then(
                    " must be the folder of the official lists (classInd.txt, trainlist01.txt, testlist01.txt, ...)",
                ),
            ));
        }
        let classes = read_classes(&class_file)?;
        let mut clips = Clips::default();
        let mut splits = Vec::new();
        for n in 1..=9 {
            let (train, test) = (folder.join(format!("trainlist0{n}.txt")), folder.join(format!("testlist0{n}.txt")));
            match (train.is_file(), test.is_file()) {
                (true, true) => {}
                (false, false) => continue,
                (has_train, _) => {
                    let (there, missing) = if has_train { (&train, &test) } else { (&test, &train) };
                    return Err(Error::input(format!(
                        "{} is missing, but {} exists; a split needs both",
                        missing.display(),
                        there.display()
                    )));
                }
            }
            read_list(&classes, &mut clips, &train, splits.len(), &Subset::Train)?;
            read_list(&classes, &mut clips, &test, splits.len(), &Subset::Test)?;
            splits.push(n.to_string());
        }
        let clips = clips.finish(splits.len(), &classes)?;
        if splits.is_empty() {
            return Err(Error::input(
                Problem::from(format!("{} has no trainlist0N.txt and testlist0N.txt; ", folder.display()))
                    .name(Setting::Lists)
                    .then(" must be the folder of the official lists"),
            ));
        }
        if let Some(clip) = clips.iter().find(|clip| clip.id != clip.folder) {
            return Err(Error::input(format!(
                "the lists in {} name {} in several classes, but a clip has one class",
                folder.display(),
                clip.folder
            )));
        }
        if clips.is_empty() {
            return Err(Error::input(format!("the lists in {} contain no clips", folder.display())));
        }
        Ok(Self { dataset: "ucf101", classes, splits, clips, notes: Vec::new() })
    }
}

fn read_classes(path: &Path) -> Result<Vec<String>> {
    let mut classes: Vec<String> = Vec::new();
    for (line, text) in lines(path)? {
        let fault = |what: String| Error::List { path: path.into(), line, what };
        let (id, name) = text
            .split_once(char::is_whitespace)
            .and_then(|(id, name)| Some((id.parse::<usize>().ok()?, name.trim())))
            .ok_or_else(|| fault(format!("expected `<number> <ClassName>`, found `{text}`")))?;
        if name.contains(char::is_whitespace) {
            return Err(fault(format!("expected only `<number> <ClassName>`, found `{text}`")));
        }
        if id != classes.len() + 1 {
            return Err(fault(format!("class {name} has the number {id}, expected {}", classes.len() + 1)));
        }
        if classes.iter().any(|c| c.eq_ignore_ascii_case(name)) {
            return Err(fault(format!("class {name} is listed twice")));
        }
        classes.push(name.to_owned());
    }
    if classes.is_empty() {
        return Err(Error::input(format!("{} contains no classes", path.display())));
    }
    Ok(classes)
}

fn read_list(classes: &[String], clips: &mut Clips, path: &Path, split: usize, subset: &Subset) -> Result<()> {
    for (line, text) in lines(path)? {
        let place = Place { path, line, entry: None };
        let fault = |what: String| place.fault(what);
        let mut words = text.split_whitespace();
        let path = words.next().unwrap_or_default();
        let (name, class) = split_path(path).map_err(fault)?;
        let Some(class) = class else {
            return Err(fault(format!("`{path}` has no class folder; expected `Class/v_Class_g01_c01.avi`")));
        };
        let label = classes
            .iter()
            .position(|c| c.eq_ignore_ascii_case(&class))
            .ok_or_else(|| fault(format!("class {class} is not in classInd.txt")))?;
        if let Some(number) = words.next()
            && number.parse() != Ok(label + 1)
        {
            return Err(fault(format!("class {class} has the number {} in classInd.txt, not {number}", label + 1)));
        }
        if let Some(word) = words.next() {
            return Err(fault(format!(
                "unexpected `{word}` after the entry; a line has one clip and its class number"
            )));
        }
        let clip = NamedClip { name, class_folder: Some(class), label: Some(label as u32), ..NamedClip::default() };
        clips.add(clip, split, subset.clone(), place)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::reading::text::tests::folder;

    const CLASSES: &str = "1 Archery\r\n2 HandstandPushups\r\n3 Rowing\r\n";

    #[test]
    fn crlf_lists_and_either_spelling_give_one_clip() {
        let dir = folder(&[
            ("classInd.txt", CLASSES),
            (
                "trainlist01.txt",
                "HandstandPushups/v_HandStandPushups_g08_c01.avi 2\r\nArchery/v_Archery_g08_c01.avi 1\r\n",
            ),
            ("testlist01.txt", "HandstandPushups/v_HandStandPushups_g01_c01.avi\r\n\r\n"),
            ("trainlist02.txt", "HandStandPushups/v_HandstandPushups_g01_c01.avi 2\n"),
            ("testlist02.txt", "Archery/v_Archery_g08_c01.avi\n"),
        ]);
        let lists = Lists::read_ucf101(dir.path()).unwrap();
        assert_eq!(lists.classes, ["Archery", "HandstandPushups", "Rowing"]);
        assert_eq!(lists.splits, ["1", "2"]);
        let got: Vec<_> = lists.clips.iter().map(|c| (c.id.as_str(), c.label.unwrap(), c.subsets.clone())).collect();
        assert_eq!(
            got,
            [
                ("v_Archery_g08_c01", 0, vec![Subset::Train, Subset::Test]),
                ("v_HandStandPushups_g01_c01", 1, vec![Subset::Test, Subset::Train]),
                ("v_HandStandPushups_g08_c01", 1, vec![Subset::Train, Subset::Unused]),
            ]
        );
    }

    #[test]
    fn lists_with_carriage_returns_alone_give_all_clips() {
        let cr = |text: &str| text.replace("\r\n", "\r");
        let train = "Archery/v_Archery_g08_c01.avi 1\r\nRowing/v_Rowing_g08_c01.avi 3\r\n";
        let test = "Archery/v_Archery_g01_c01.avi\r\nRowing/v_Rowing_g01_c01.avi\r\n";
        let read = |end: fn(&str) -> String| {
            let texts = [CLASSES, train, test].map(end);
            let dir =
                folder(&[("classInd.txt", &texts[0]), ("trainlist01.txt", &texts[1]), ("testlist01.txt", &texts[2])]);
            Lists::read_ucf101(dir.path()).unwrap()
        };
        let lists = read(str::to_owned);
        assert_eq!((lists.clips.len(), lists.classes.len()), (4, 3));
        assert_eq!(read(cr), lists);
    }

    #[test]
    fn chosen_classes_are_the_whole_class_list_in_its_order() {
        let dir = folder(&[
            ("classInd.txt", CLASSES),
            ("trainlist01.txt", "Rowing/v_Rowing_g08_c01.avi 3\nArchery/v_Archery_g08_c01.avi 1\n"),
            ("testlist01.txt", "HandstandPushups/v_HandStandPushups_g01_c01.avi\n"),
        ]);
        let mut lists = Lists::read_ucf101(dir.path()).unwrap();
        lists.keep_classes(&["rowing".into(), "HandstandPushups".into()]).unwrap();
        assert_eq!(lists.classes, ["HandstandPushups", "Rowing"]);
        let got: Vec<_> = lists.clips.iter().map(|c| (c.id.as_str(), c.label.unwrap())).collect();
        assert_eq!(got, [("v_HandStandPushups_g01_c01", 0), ("v_Rowing_g08_c01", 1)]);
    }

    #[test]
    fn an_unknown_class_is_a_usage_error_that_names_near_ones() {
        let dir = folder(&[
            ("classInd.txt", CLASSES),
            ("trainlist01.txt", "Rowing/v_Rowing_g08_c01.avi 3\n"),
            ("testlist01.txt", "Rowing/v_Rowing_g01_c01.avi\n"),
        ]);
        let error = Lists::read_ucf101(dir.path()).unwrap().keep_classes(&["Archrey".into()]).unwrap_err();
        assert!(error.is_usage());
        assert!(error.to_string().contains("no class `Archrey`; similar: Archery"), "{error}");
    }

    #[test]
    fn each_bad_list_has_its_error() {
        let test = ("testlist01.txt", "Archery/v_Archery_g01_c01.avi\n");
        let good = ("trainlist01.txt", "Archery/v_Archery_g08_c01.avi 1\n");
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[], "has no classInd.txt"),
            (&[("classInd.txt", CLASSES)], "has no trainlist0N.txt"),
            (&[("classInd.txt", CLASSES), good], "a split needs both"),
            (
                &[("classInd.txt", "1 Archery\n3 Rowing\n"), good, test],
                "line 2: class Rowing has the number 3, expected 2",
            ),
            (
                &[("classInd.txt", CLASSES), ("trainlist01.txt", "v_Archery_g08_c01.avi 1\n"), test],
                "has no class folder",
            ),
            (
                &[("classInd.txt", CLASSES), ("trainlist01.txt", "Archery/v_Archery_g08_c01.avi 2\n"), test],
                "has the number 1 in classInd.txt, not 2",
            ),
            (
                &[("classInd.txt", CLASSES), ("trainlist01.txt", "Bowls/v_Bowls_g08_c01.avi 2\n"), test],
                "class Bowls is not in classInd.txt",
            ),
            (
                &[("classInd.txt", CLASSES), ("trainlist01.txt", "Archery/v_Archery_g01_c01.avi 1\n"), test],
                "listed twice in this split",
            ),
            (&[("classInd.txt", CLASSES), ("trainlist01.txt", ""), ("testlist01.txt", "\n")], "contain no clips"),
            (
                &[
                    ("classInd.txt", CLASSES),
                    (
                        "trainlist01.txt",
                        "Archery/v_Archery_g01_c01.avi 1\nRowing/v_Rowing_g01_c01.avi 3 Rowing/b.avi 3",
                    ),
                    test,
                ],
                "line 2: unexpected `Rowing/b.avi` after the entry",
            ),
            (
                &[("classInd.txt", CLASSES), good, ("testlist01.txt", "Archery/v_Archery_g01_c01.avi 1 # easy\n")],
                "testlist01.txt: line 1: unexpected `#` after the entry",
            ),
            (
                &[("classInd.txt", "1 Archery 2 Rowing\n"), good, test],
                "line 1: expected only `<number> <ClassName>`, found `1 Archery 2 Rowing`",
            ),
        ];
        for (files, expected) in cases {
            let dir = folder(files);
            let error = Lists::read_ucf101(dir.path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} should contain {expected}");
        }
    }
}
