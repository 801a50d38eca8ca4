//! Selects clips of a dataset.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use clipshard::{Dataset, Manifest, Subset, read_regular};

use crate::error::{Error, Problem, Result, Setting};
use crate::inspect::find_clip;
use crate::lists::{Lists, clip_key, renumber_labels};
use crate::quantity::{counted, show_count};

/// Largest accepted size of a list of clips, in bytes.
const MAX_LIST_BYTES: u64 = 1 << 28;
/// Number of unknown clips that an error names.
const NAMED: usize = 5;

/// The clips that are selected so far: for each clip of a dataset, whether it is among them.
pub(super) struct Selection<'a> {
    data: &'a Dataset,
    pub kept: Vec<bool>,
}

impl<'a> Selection<'a> {
    /// Selects all clips.
    pub fn all(data: &'a Dataset) -> Self {
        Self { data, kept: vec![true; data.manifest().clips.len()] }
    }

    fn manifest(&self) -> &'a Manifest {
        self.data.manifest()
    }

    /// Keeps the clips of some classes. Returns the numbers of these classes, in the order of the
    /// class list.
    pub fn keep_classes(&mut self, names: &[String]) -> Result<Vec<u32>> {
        let manifest = self.manifest();
        let mut lists = Lists {
            dataset: "",
            classes: manifest.classes.clone(),
            splits: Vec::new(),
            clips: Vec::new(),
            notes: Vec::new(),
        };
        lists.keep_classes(names)?;
        let wanted: BTreeSet<&String> = lists.classes.iter().collect();
        let numbers: Vec<u32> =
            (0..).zip(&manifest.classes).filter(|(_, name)| wanted.contains(name)).map(|(number, _)| number).collect();
        for (kept, clip) in self.kept.iter_mut().zip(&manifest.clips) {
            *kept &= match clip.label {
                Some(label) => numbers.binary_search(&label).is_ok(),
                // A clip with several classes has their labels in an attribute.
                None => renumber_labels(&mut clip.attributes.clone(), |label| {
                    numbers.binary_search(&label).is_ok().then_some(label)
                }),
            };
        }
        Ok(numbers)
    }

    /// Keeps the clips with these ids. Case, a class folder before the id and `.avi` after it do not
    /// matter.
    pub fn keep_ids(&mut self, ids: &[String]) -> Result<()> {
        let numbers = ids.iter().map(|id| find_clip(self.data, id)).collect::<Result<BTreeSet<_>>>()?;
        self.keep_numbers(&numbers);
        Ok(())
    }

    /// Keeps the clips that a text file lists, one id per line.
    pub fn keep_listed(&mut self, path: &Path) -> Result<()> {
        let bytes = read_regular(path, MAX_LIST_BYTES).map_err(Error::io(path, "cannot read the list of clips"))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::input(format!("{}: the list is not UTF-8 text; save it as UTF-8", path.display())))?;
        let mut keys: HashMap<String, usize> = HashMap::new();
        for (number, clip) in self.manifest().clips.iter().enumerate() {
            keys.entry(clip_key(&clip.id)).or_insert(number);
        }
        let lines = text.strip_prefix('\u{feff}').unwrap_or(&text).split(['\n', '\r']).map(str::trim);
        let (mut numbers, mut unknown, mut lines_read) = (BTreeSet::new(), Vec::new(), 0_u64);
        for id in lines.filter(|line| !line.is_empty()) {
            lines_read += 1;
            let name = id.rsplit('/').next().unwrap_or(id);
            let key = clip_key(name.strip_suffix(".avi").unwrap_or(name));
            match self.data.find_clip(id).or_else(|| keys.get(&key).copied()) {
                Some(number) => drop(numbers.insert(number)),
                None => unknown.push(id),
            }
        }
        let shown = path.display();
        if lines_read == 0 {
            return Err(Error::input(format!("{shown} lists no clips; write one clip id per line")));
        }
        if !unknown.is_empty() {
            let more = if unknown.len() > NAMED {
                format!(", ... and {} more", show_count((unknown.len() - NAMED) as u64))
            } else {
                String::new()
            };
            let named = unknown.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
            let example = self.manifest().clips.first().map_or("", |clip| &clip.id);
            let are = if unknown.len() == 1 { "is" } else { "are" };
            return Err(Error::input(format!(
                "{shown}: {} of {} {are} not in {}: {named}{more}; a clip of the dataset is, for example, {example}",
                show_count(unknown.len() as u64),
                counted(lines_read, "clip", "clips"),
                self.data.dir().display()
            )));
        }
        self.keep_numbers(&numbers);
        Ok(())
    }

    fn keep_numbers(&mut self, numbers: &BTreeSet<usize>) {
        for (number, kept) in self.kept.iter_mut().enumerate() {
            *kept &= numbers.contains(&number);
        }
    }

    /// Returns the number of a split; `None` is the first one. Returns `None` for a dataset without
    /// splits.
    pub fn find_split(&self, name: Option<&str>) -> Result<Option<usize>> {
        let splits = &self.manifest().splits;
        let Some(name) = name else { return Ok((!splits.is_empty()).then_some(0)) };
        let place = splits.iter().position(|split| split == name);
        let names = if splits.is_empty() { "none".to_owned() } else { splits.join(", ") };
        place.map(Some).ok_or_else(|| {
            Error::usage(Problem::from(Setting::Split).then(format!(
                ": there is no split `{name}` in {}; its splits are: {names}",
                self.data.dir().display()
            )))
        })
    }

    /// Keeps the clips that are in one of these subsets of a split.
    pub fn keep_subsets(&mut self, split: Option<usize>, names: &[String]) -> Result<()> {
        let manifest = self.manifest();
        let Some((place, split)) = split.and_then(|place| Some((place, manifest.splits.get(place)?))) else {
            return Err(Error::usage(
                Problem::from(format!("{} has no splits; remove ", self.data.dir().display())).name(Setting::Subset),
            ));
        };
        let mut numbers = BTreeSet::new();
        for name in names {
            let found = self.data.clips_of(split, Subset::from(name.as_str()))?;
            if found.is_empty() {
                let mut counts: BTreeMap<&Subset, u64> = BTreeMap::new();
                for clip in &manifest.clips {
                    *counts.entry(&clip.subsets[place]).or_default() += 1;
                }
                let there: Vec<_> = counts.iter().map(|(name, count)| format!("{name} ({count})")).collect();
                return Err(Error::usage(Problem::from(Setting::Subset).then(format!(
                    ": no clip is in the subset {name} of split {split}; it has {}",
                    there.join(", ")
                ))));
            }
            numbers.extend(found);
        }
        self.keep_numbers(&numbers);
        Ok(())
    }

    /// Keeps at most `limit` clips of each class. Clips without a label count as a class. Each subset
    /// of the split keeps its share ([`shares`]), evenly spread over its clips.
    pub fn limit(&mut self, limit: u64, split: Option<usize>) {
        let mut of_class: BTreeMap<Option<u32>, BTreeMap<Option<&Subset>, Vec<usize>>> = BTreeMap::new();
        for (number, clip) in self.manifest().clips.iter().enumerate().filter(|(number, _)| self.kept[*number]) {
            let subset = split.and_then(|place| clip.subsets.get(place));
            of_class.entry(clip.label).or_default().entry(subset).or_default().push(number);
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        for subsets in of_class.into_values() {
            let mut groups: Vec<_> = subsets.into_iter().collect();
            groups.sort_by_key(|(subset, numbers)| (*subset == Some(&Subset::Unused), Reverse(numbers.len())));
            let counts: Vec<usize> = groups.iter().map(|(_, numbers)| numbers.len()).collect();
            for ((_, numbers), wanted) in groups.into_iter().zip(shares(&counts, limit)) {
                let spread: BTreeSet<usize> = (0..wanted).map(|i| (2 * i + 1) * numbers.len() / (2 * wanted)).collect();
                for (place, number) in numbers.into_iter().enumerate() {
                    self.kept[number] = spread.contains(&place);
                }
            }
        }
    }

    /// Returns the number of selected clips.
    pub fn count(&self) -> u64 {
        self.kept.iter().filter(|kept| **kept).count() as u64
    }
}

/// Shares out at most `limit` places between groups of `counts` clips. Each group gets one place
/// first, in this order, and the others follow the sizes of the groups.
fn shares(counts: &[usize], limit: usize) -> Vec<usize> {
    if limit >= counts.iter().sum() {
        return counts.to_vec();
    }
    let mut shares = vec![0; counts.len()];
    for place in 0..limit {
        let next = match shares.get(place) {
            Some(0) => Some(place),
            // The group with the most clips per place, as in the method of Webster.
            _ => (0..counts.len()).filter(|&group| shares[group] < counts[group]).min_by(|&a, &b| {
                let cost = |one: usize, other: usize| (2 * shares[one] + 1) as u128 * counts[other] as u128;
                cost(a, b).cmp(&cost(b, a))
            }),
        };
        let Some(next) = next else { break };
        shares[next] += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::shares;

    #[test]
    fn each_subset_gets_a_place_before_the_sizes_decide() {
        assert_eq!(shares(&[90, 9, 1], 1), [1, 0, 0]);
        assert_eq!(shares(&[90, 9, 1], 3), [1, 1, 1]);
        assert_eq!(shares(&[90, 9, 1], 10), [8, 1, 1]);
        assert_eq!(shares(&[90, 9, 1], 50), [45, 4, 1]);
        assert_eq!(shares(&[60, 40], 10), [6, 4]);
        assert_eq!(shares(&[2, 2], 9), [2, 2]);
        assert_eq!(shares(&[2, 2], 3), [2, 1]);
        assert_eq!(shares(&[7], 3), [3]);
        assert_eq!(shares(&[3, 3], 0), [0, 0]);
    }
}
