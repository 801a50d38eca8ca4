//! The actual class of each clip, from a packed dataset or from a folder with the official lists.
//!
//! The official lists of UCF101 have one entry per line: `<number from 1> <Name>` in
//! `classInd.txt`, and `Class/v_X_gNN_cNN.avi` in `testlist0N.txt`. The folder in a path is the
//! class of the clip. Lines end in CRLF, LF or CR.

use super::clip_scores::Scores;
use super::names::{clip_key, entry, first_few, lines, read_text};
use anyhow::{Context, Result, bail};
use clipshard::{MANIFEST_FILE, Manifest, Subset};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

const CLASS_LIST_FILE: &str = "classInd.txt";

/// The actual classes of the clips of scores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// Label of each clip, in the order of the scores.
    pub values: Vec<u32>,
    /// Split that has the clips.
    pub split: String,
    /// Subset of the split that has the clips.
    pub subset: String,
    /// Number of clips in that subset without scores. It is 0 unless the caller named the split.
    pub unscored: usize,
}

/// The clips of a subset of a split.
struct ClipList {
    split: String,
    subset: String,
    /// Labels by [`clip_key`].
    clips: HashMap<String, u32>,
}

/// The classes of a dataset or of a folder with lists, and its clips except for training clips. In
/// each split, the list of test clips comes first.
struct Source {
    classes: usize,
    lists: Vec<ClipList>,
}

impl Labels {
    /// Looks up the clips of `scores` in the dataset or folder `dir`. Uses the subset of the scores in
    /// the split `split`. By default, uses the subset that has exactly these clips.
    ///
    /// # Errors
    /// `dir` cannot be read, no subset matches, a clip is not in the subset, or the number of
    /// classes differs.
    pub fn find(dir: &Path, scores: &Scores, split: Option<&str>) -> Result<Self> {
        let shown = dir.display();
        let source = if dir.join(MANIFEST_FILE).is_file() {
            Source::of_dataset(dir)?
        } else if dir.join(CLASS_LIST_FILE).is_file() {
            Source::of_lists(dir)?
        } else {
            bail!(
                "{shown}: no labels here; name a packed dataset ({MANIFEST_FILE}) or a folder with {CLASS_LIST_FILE} \
                 and testlist01.txt"
            );
        };
        let places = scores.places();
        let list = match split {
            Some(split) => source.of_split(split, scores.subset.as_deref(), &places).with_context(|| {
                let mut known: Vec<&str> = source.lists.iter().map(|list| list.split.as_str()).collect();
                known.dedup();
                format!("{shown}: no split {split}; use one of {}", known.join(", "))
            })?,
            None => match source.lists.iter().find(|list| list.has_exactly(&places)) {
                Some(list) => list,
                None => bail!("{}", source.no_match(dir, &places)),
            },
        };
        let lacking: Vec<&str> =
            scores.names.iter().filter(|name| !list.clips.contains_key(&clip_key(name))).map(String::as_str).collect();
        if !lacking.is_empty() {
            let (n, few, ClipList { split, subset, .. }) = (lacking.len(), first_few(&lacking), list);
            bail!(
                "{shown}: {n} clips with scores are not {subset} clips of split {split}: {few}; \
                 use the split of the scores"
            );
        }
        if source.classes != scores.classes {
            bail!(
                "{shown}: the labels have {} classes, but the scores have {}; use the dataset of the networks",
                source.classes,
                scores.classes
            );
        }
        let values = scores.names.iter().map(|name| list.clips[&clip_key(name)]).collect();
        let unscored = list.clips.len() - scores.names.len();
        Ok(Self { values, split: list.split.clone(), subset: list.subset.clone(), unscored })
    }
}

impl ClipList {
    fn has_exactly<V>(&self, clips: &HashMap<String, V>) -> bool {
        self.clips.len() == clips.len() && self.has_all(clips)
    }

    fn has_all<V>(&self, clips: &HashMap<String, V>) -> bool {
        clips.keys().all(|key| self.clips.contains_key(key))
    }
}

impl Source {
    fn of_dataset(dir: &Path) -> Result<Self> {
        let manifest = Manifest::read(dir)?;
        let mut lists: Vec<ClipList> = Vec::new();
        for (at, split) in manifest.splits.iter().enumerate() {
            let mut subsets: BTreeMap<&Subset, HashMap<String, u32>> =
                BTreeMap::from([(&Subset::Test, HashMap::new())]);
            for clip in &manifest.clips {
                let subset = clip.subsets.get(at).filter(|subset| !matches!(subset, Subset::Train | Subset::Unused));
                if let (Some(subset), Some(label)) = (subset, clip.label) {
                    subsets.entry(subset).or_default().insert(clip_key(&clip.id), label);
                }
            }
            let test = subsets.remove_entry(&Subset::Test);
            let list =
                |(subset, clips): (&Subset, _)| ClipList { split: split.clone(), subset: subset.to_string(), clips };
            lists.extend(test.into_iter().chain(subsets).map(list));
        }
        Ok(Self { classes: manifest.classes.len(), lists })
    }

    /// Returns the list of the split with the subset of the scores. If that is not known, returns the
    /// first list that has all clips, or else that of the test clips.
    fn of_split<V>(&self, split: &str, subset: Option<&str>, clips: &HashMap<String, V>) -> Option<&ClipList> {
        let of_split = || self.lists.iter().filter(|list| list.split == split);
        let stored = of_split().find(|list| Some(list.subset.as_str()) == subset);
        stored.or_else(|| of_split().find(|list| list.has_all(clips))).or_else(|| of_split().next())
    }

    fn of_lists(dir: &Path) -> Result<Self> {
        let numbers = class_numbers(&dir.join(CLASS_LIST_FILE))?;
        let mut lists = Vec::new();
        for entry in std::fs::read_dir(dir).with_context(|| format!("{}: cannot list this folder", dir.display()))? {
            let file = entry?.file_name().to_string_lossy().into_owned();
            let number = file.strip_prefix("testlist").and_then(|rest| rest.strip_suffix(".txt"));
            let Some(number) = number.map(|n| n.trim_start_matches('0')).filter(|n| !n.is_empty()) else { continue };
            let clips = test_clips(&dir.join(&file), &numbers)?;
            lists.push(ClipList { split: number.to_owned(), subset: Subset::Test.to_string(), clips });
        }
        if lists.is_empty() {
            bail!(
                "{}: no testlist01.txt next to {CLASS_LIST_FILE}; name the folder with the official lists",
                dir.display()
            );
        }
        lists.sort_by(|a, b| a.split.cmp(&b.split));
        Ok(Self { classes: numbers.len(), lists })
    }

    /// Describes why no subset matches.
    fn no_match(&self, dir: &Path, places: &HashMap<String, usize>) -> String {
        let split = |list: &ClipList| {
            let common = places.keys().filter(|key| list.clips.contains_key(*key)).count();
            let ClipList { split, subset, clips } = list;
            format!("split {split} has {} {subset} clips, {common} of them with scores", clips.len())
        };
        let splits = self.lists.iter().map(split).collect::<Vec<_>>().join("; ");
        let n = places.len();
        let has_common = self.lists.iter().any(|list| places.keys().any(|key| list.clips.contains_key(key)));
        let cure = if has_common { "add --split N" } else { "use the labels of these clips" };
        format!("{}: no subset has exactly the {n} clips with scores ({splits}); {cure}", dir.display())
    }
}

/// Reads the labels (from 0) by class name in lower case.
fn class_numbers(path: &Path) -> Result<HashMap<String, u32>> {
    let mut numbers = HashMap::new();
    let text = read_text(path)?;
    for (number, line) in lines(&text) {
        let fields = line.split_once(char::is_whitespace);
        let class = fields.and_then(|(id, name)| Some((id.trim().parse::<u32>().ok()?.checked_sub(1)?, name.trim())));
        let Some((label, name)) = class else {
            bail!(
                "{}, line {}: {line:?} is not a number and a class name, such as \"1 ApplyEyeMakeup\"",
                path.display(),
                number
            );
        };
        if numbers.insert(name.to_lowercase(), label).is_some() {
            bail!("{}, line {}: class {name} appears twice", path.display(), number);
        }
    }
    let mut labels: Vec<u32> = numbers.values().copied().collect();
    labels.sort_unstable();
    if labels.is_empty() || labels.iter().zip(0..).any(|(&label, at)| label != at) {
        bail!("{}: the classes are not numbered from 1 to {}", path.display(), labels.len());
    }
    Ok(numbers)
}

/// Reads the labels of a test list, by clip.
fn test_clips(path: &Path, numbers: &HashMap<String, u32>) -> Result<HashMap<String, u32>> {
    let mut clips = HashMap::new();
    let text = read_text(path)?;
    for (number, line) in lines(&text) {
        // Training lists have the number of the class after the name.
        let entry = entry(line).with_context(|| format!("{}, line {number}", path.display()))?;
        let Some((class, file)) = entry.rsplit_once('/') else {
            bail!("{}, line {}: {entry:?} does not have the form Class/clip.avi", path.display(), number);
        };
        let class = class.rsplit('/').next().unwrap_or(class);
        let Some(&label) = numbers.get(&class.to_lowercase()) else {
            bail!("{}, line {}: class {class:?} is not in {CLASS_LIST_FILE}", path.display(), number);
        };
        if clips.insert(clip_key(file), label).is_some() {
            bail!("{}, line {}: clip {file} appears twice", path.display(), number);
        }
    }
    Ok(clips)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clipshard::Clip;
    use std::fs;

    fn scores(names: &[&str], classes: usize) -> Scores {
        let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
        Scores { logits: vec![0.0; names.len() * classes], names, classes, ..Scores::default() }
    }

    fn lists() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("classInd.txt"), "1 Archery\r\n2 HandstandPushups\r\n").unwrap();
        let first = "Archery/v_Archery_g01_c01.avi\r\nHandstandPushups/v_HandStandPushups_g01_c01.avi\r\n";
        fs::write(dir.path().join("testlist01.txt"), first).unwrap();
        fs::write(dir.path().join("testlist02.txt"), "handstandpushups/v_HandStandPushups_g02_c01.avi\n\n").unwrap();
        fs::write(dir.path().join("trainlist01.txt"), "Unread/x 1\n").unwrap();
        dir
    }

    #[test]
    fn official_lists_give_labels_and_split() {
        let dir = lists();
        let find = |names: &[&str]| Labels::find(dir.path(), &scores(names, 2), None).unwrap();
        let expected = Labels { values: vec![1, 0], split: "1".into(), subset: "test".into(), unscored: 0 };
        assert_eq!(find(&["HandstandPushups_g01_c01", "v_archery_g01_c01.AVI"]), expected);
        assert_eq!(find(&["HandStandPushups_g02_c01"]).split, "2");
    }

    #[test]
    fn a_named_split_may_have_more_clips_but_not_fewer() {
        let dir = lists();
        let find = |names: &[&str], split| Labels::find(dir.path(), &scores(names, 2), split);
        let expected = Labels { values: vec![0], split: "1".into(), subset: "test".into(), unscored: 1 };
        assert_eq!(find(&["Archery_g01_c01"], Some("1")).unwrap(), expected);
        let error = |names: &[&str], split| find(names, split).unwrap_err().to_string();
        let message = error(&["Archery_g01_c01"], None);
        assert!(
            message.contains("split 1 has 2 test clips, 1 of them with scores; split 2 has 1 test clips, 0"),
            "{message}"
        );
        let message = error(&["Archery_g01_c01"], Some("2"));
        assert!(message.contains("1 clips with scores are not test clips of split 2: Archery_g01_c01"), "{message}");
        assert!(error(&["Archery_g01_c01"], Some("3")).contains("no split 3; use one of 1, 2"));
    }

    #[test]
    fn faults_of_lists_are_named_with_their_line() {
        let fault = |file: &str, text: &str| {
            let dir = lists();
            fs::write(dir.path().join(file), text).unwrap();
            Labels::find(dir.path(), &scores(&["a"], 2), Some("1")).unwrap_err().to_string()
        };
        assert!(fault("classInd.txt", "1 Archery\n0 Handstand\n").contains("line 2"));
        assert!(fault("classInd.txt", "1 Archery\n2 archery\n").contains("line 2: class archery appears twice"));
        assert!(fault("classInd.txt", "1 Archery\n3 HandstandPushups\n").contains("not numbered from 1 to 2"));
        assert!(fault("testlist01.txt", "v_Archery_g01_c01.avi\n").contains("line 1"));
        assert!(fault("testlist01.txt", "\nSurfing/v_Surfing_g01_c01.avi\n").contains("line 2: class \"Surfing\""));
        assert!(fault("testlist01.txt", "Archery/v_a.avi\nArchery/A\n").contains("line 2: clip A appears twice"));
    }

    #[test]
    fn a_packed_dataset_gives_labels_and_split() {
        let dir = tempfile::tempdir().unwrap();
        let clip = |id: &str, label, subsets: [Subset; 2]| Clip::new(id, label, subsets.to_vec());
        let classes = vec!["Archery".into(), "Surfing".into()];
        let mut manifest = Manifest::new("", classes, vec!["1".into(), "2".into()]);
        manifest.clips = vec![
            clip("v_Archery_g01_c01", 0, [Subset::Test, Subset::Train]),
            clip("v_Surfing_g01_c01", 1, [Subset::Test, Subset::Test]),
            clip("v_Surfing_g02_c01", 1, [Subset::Train, Subset::Unused]),
        ];
        manifest.write(dir.path()).unwrap();
        let find = |names: &[&str], classes| Labels::find(dir.path(), &scores(names, classes), None);
        let expected = Labels { values: vec![1, 0], split: "1".into(), subset: "test".into(), unscored: 0 };
        assert_eq!(find(&["Surfing_g01_c01", "Archery_g01_c01"], 2).unwrap(), expected);
        assert_eq!(find(&["Surfing_g01_c01"], 2).unwrap().split, "2");
        assert!(
            find(&["Surfing_g01_c01"], 101)
                .unwrap_err()
                .to_string()
                .contains("the labels have 2 classes, but the scores have 101")
        );
    }

    #[test]
    fn scores_of_val_clips_and_of_subsets_with_other_names_get_labels_too() {
        let dir = tempfile::tempdir().unwrap();
        let mut manifest = Manifest::new("", vec!["a".into(), "b".into()], vec!["1".into()]);
        let clip = |id: &str, label, subset: &str| Clip::new(id, label, vec![subset.into()]);
        manifest.clips = vec![clip("x", 1, "val"), clip("y", 0, "train"), clip("z", 1, "hard"), clip("w", 0, "test")];
        manifest.write(dir.path()).unwrap();
        let find = |name: &str, split, subset: Option<&str>| {
            let scores = Scores { subset: subset.map(String::from), ..scores(&[name], 2) };
            Labels::find(dir.path(), &scores, split).map(|labels| (labels.subset, labels.values))
        };
        for split in [None, Some("1")] {
            assert_eq!(find("x", split, None).unwrap(), ("val".into(), vec![1]));
            assert_eq!(find("z", split, Some("hard")).unwrap(), ("hard".into(), vec![1]));
            assert_eq!(find("w", split, Some("test")).unwrap(), ("test".into(), vec![0]));
        }
        let message = find("y", None, None).unwrap_err().to_string();
        assert!(
            message.contains("(split 1 has 1 test clips, 0 of them with scores; split 1 has 1 val clips, 0"),
            "{message}"
        );
        let message = find("x", Some("1"), Some("test")).unwrap_err().to_string();
        assert!(message.contains("1 clips with scores are not test clips of split 1: x"), "{message}");
    }

    #[test]
    fn a_folder_of_neither_kind_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = Labels::find(dir.path(), &scores(&["a"], 2), None).unwrap_err().to_string();
        assert!(error.contains("no labels here; name a packed dataset (manifest.json)"), "{error}");
    }
}
