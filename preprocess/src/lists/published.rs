//! The published lists of UCF101, built in, with the frame counts of the published frame tree.

use clipshard::Subset;

use super::clips::ListedClip;
use super::listed::Lists;

/// Names and frame counts, made by `data/make_ucf101.py`.
const TABLE: &str = include_str!("../../data/ucf101.txt");
/// Splits of UCF101, and how many groups each tests.
const SPLITS: usize = 3;
const TEST_GROUPS: usize = 7;

/// The lists of UCF101 as built in, and the number of flow frames of each clip.
pub(crate) fn published_ucf101() -> (Lists, Vec<u32>) {
    let mut lists = Lists {
        dataset: "ucf101",
        classes: Vec::new(),
        splits: (1..=SPLITS).map(|split| split.to_string()).collect(),
        clips: Vec::new(),
        notes: Vec::new(),
    };
    let mut clips: Vec<(ListedClip, u32)> = Vec::new();
    for (label, line) in TABLE.lines().enumerate() {
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap_or_default();
        let (class, name, groups) = (word(), word(), word());
        lists.classes.push(class.to_owned());
        for (group, counts) in groups.split(';').enumerate() {
            let subset = |split| if group / TEST_GROUPS == split { Subset::Test } else { Subset::Train };
            let subsets: Vec<Subset> = (0..SPLITS).map(subset).collect();
            for (number, frames) in counts.split(',').enumerate() {
                let id = format!("v_{name}_g{:02}_c{:02}", group + 1, number + 1);
                let clip = ListedClip {
                    folder: id.clone(),
                    id,
                    class_folder: None,
                    label: label as u32,
                    subsets: subsets.clone(),
                    group: None,
                };
                clips.push((clip, frames.parse().expect("the built-in table holds numbers")));
            }
        }
    }
    clips.sort_unstable_by(|(a, _), (b, _)| a.id.cmp(&b.id));
    let (clips, frames) = clips.into_iter().unzip();
    lists.clips = clips;
    (lists, frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_is_ucf101() {
        let (lists, frames) = published_ucf101();
        assert_eq!((lists.classes.len(), lists.clips.len()), (101, 13_320));
        assert_eq!(frames.iter().map(|&f| u64::from(f)).sum::<u64>(), 2_469_975);
        assert_eq!((frames.iter().min(), frames.iter().max()), (Some(&28), Some(&1775)));
        for (split, expected) in [(0, (9_537, 3_783)), (1, (9_586, 3_734)), (2, (9_624, 3_696))] {
            let count = |subset| lists.clips.iter().filter(|clip| clip.subsets[split] == subset).count();
            assert_eq!((count(Subset::Train), count(Subset::Test)), expected);
        }
        assert!(lists.clips.is_sorted_by(|a, b| a.id < b.id));
        let handstand = lists.clips.iter().find(|clip| clip.id == "v_HandStandPushups_g01_c01").unwrap();
        assert_eq!(lists.classes[handstand.label as usize], "HandstandPushups");
    }
}
