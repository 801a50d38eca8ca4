//! Lists of a dataset that has none: each folder is a class.

use std::collections::BTreeSet;

use clipshard::Subset;

use super::listed::Lists;
use super::reading::classes::Classes;
use super::reading::clips::{Clips, NamedClip};
use super::subset::{ClassedFolder, subset_of_word};
use crate::error::{Error, Problem, Result, Setting};

/// Number of classes up to which a note names them all.
const NAMED: usize = 8;

impl Lists {
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
        // A set holds no name twice.
        let classes = Classes::of_names(names.into_iter().map(str::to_owned).collect()).unwrap_or_default();
        let as_subsets: Vec<&String> = classes.names.iter().filter(|name| subset_of_word(name).is_some()).collect();
        if as_subsets.len() > 1 || !as_subsets.is_empty() && as_subsets.len() == classes.names.len() {
            return Err(Error::input(
                Problem::from(format!(
                    "{tree}: {}; list the clips in a CSV file (path,label,split) and pass it with ",
                    match as_subsets.as_slice() {
                        [only] => format!("the folder {only} is named like a subset, but contains no class folder"),
                        _ => format!(
                            "the folders {} are named like subsets, but contain no class folders",
                            as_subsets.into_iter().cloned().collect::<Vec<_>>().join(", ")
                        ),
                    }
                ))
                .name(Setting::Lists),
            ));
        }
        let mut clips = Clips::default();
        for folder in folders {
            let clip = NamedClip {
                name: folder.clip.clone(),
                class_folder: Some(folder.class.clone()),
                label: classes.label(&folder.class).ok(),
                ..NamedClip::default()
            };
            // The scan of the source reports a clip that occurs twice.
            let _ = clips.add_to_all(clip, vec![folder.subset.clone().unwrap_or(Subset::Train)]);
        }
        let clips = clips.finish(1, &classes.names)?;
        if clips.is_empty() {
            return Err(Error::input(format!("{tree} contains no clip folders")));
        }
        let notes = vec![note(folders, &classes.names, tree)];
        let (classes, splits) = (classes.names, vec!["1".into()]);
        Ok(Self { dataset: "custom", classes, splits, clips, notes })
    }
}

/// Returns a note about the classes and subsets.
fn note(folders: &[ClassedFolder], classes: &[String], tree: &str) -> String {
    let named = match classes {
        [only] => format!("is the only class ({only})"),
        _ if classes.len() <= NAMED => format!("are the classes ({})", classes.join(", ")),
        _ => "are the classes".to_owned(),
    };
    let subsets: BTreeSet<&Subset> = folders.iter().filter_map(|folder| folder.subset.as_ref()).collect();
    let are = match classes.len() {
        1 => "the folder".into(),
        n => format!("the {n} folders"),
    };
    if subsets.is_empty() {
        let are = if classes.len() == 1 { "the only folder".into() } else { are };
        return format!(
            "{are} in {tree} {named}, and all clips are for training; for a test split, use a CSV file \
             (path,label,split)"
        );
    }
    let subsets = subsets.into_iter().map(Subset::name).collect::<Vec<_>>().join(", ");
    format!("{tree} has folders for subsets ({subsets}); {are} in them {named}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(subset: Option<Subset>, class: &str, clip: &str) -> ClassedFolder {
        ClassedFolder { class: class.into(), clip: clip.into(), subset }
    }

    fn seen(lists: &Lists) -> Vec<(&str, u32, &Subset)> {
        lists.clips.iter().map(|c| (c.id.as_str(), c.label.unwrap(), &c.subsets[0])).collect()
    }

    #[test]
    fn folders_are_classes() {
        let folders = [folder(None, "run", "1"), folder(None, "jump", "1"), folder(None, "jump", "2")];
        let lists = Lists::from_folders(&folders, "t").unwrap();
        assert_eq!(lists.classes, ["jump", "run"]);
        let train = &Subset::Train;
        assert_eq!(seen(&lists), [("2", 0, train), ("jump__1", 0, train), ("run__1", 1, train)]);
    }

    #[test]
    fn folders_of_subsets_are_subsets_of_one_split_and_no_classes() {
        let (train, val, test) = (Some(Subset::Train), Some(Subset::Val), Some(Subset::Test));
        let folders = [
            folder(train.clone(), "run", "1"),
            folder(train, "jump", "2"),
            folder(val, "jump", "3"),
            folder(test, "jump", "4"),
        ];
        let lists = Lists::from_folders(&folders, "t").unwrap();
        assert_eq!((lists.classes.as_slice(), lists.splits.len()), (&["jump".to_owned(), "run".to_owned()][..], 1));
        assert_eq!(
            seen(&lists),
            [("1", 1, &Subset::Train), ("2", 0, &Subset::Train), ("3", 0, &Subset::Val), ("4", 0, &Subset::Test)]
        );
        assert_eq!(
            lists.notes,
            ["t has folders for subsets (train, val, test); the 2 folders in them are the classes (jump, run)"]
        );
        // Such folders hold no class folders, so they would become classes themselves.
        for classes in [&["train", "val"][..], &["Train", "run", "Test"], &["test"]] {
            let folders: Vec<_> = classes.iter().map(|class| folder(None, class, "1")).collect();
            let error = Lists::from_folders(&folders, "t").unwrap_err().to_string();
            let named = if classes.len() == 1 { "is named like a subset" } else { "are named like subsets" };
            assert!(error.contains(named) && error.contains("`lists`"), "{error}");
        }
        // A single class of that name among others is fine.
        let folders = [folder(None, "train", "1"), folder(None, "car", "2")];
        assert_eq!(Lists::from_folders(&folders, "t").unwrap().classes.len(), 2);
    }
}
