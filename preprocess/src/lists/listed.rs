//! The content of split lists, and the selection of classes.

use super::clips::ListedClip;
use crate::error::{Error, Problem, Result, Setting, SomeClasses};

/// The content of split lists: classes, splits, and every clip with its label and its subset in
/// each split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lists {
    /// Name of the dataset: `ucf101`, `hmdb51` or `custom`.
    pub dataset: &'static str,
    /// Class names. The index is the label.
    pub classes: Vec<String>,
    /// Names of the splits, for example `1`, `2`, `3`.
    pub splits: Vec<String>,
    /// Clips, in byte order of their ids.
    pub clips: Vec<ListedClip>,
    /// Remarks that are no errors.
    pub notes: Vec<String>,
}

impl Lists {
    /// Keeps only the classes in `wanted`, ignoring case. They keep the order of the class list and
    /// get new labels from 0.
    ///
    /// # Errors
    /// Returns [`Error::Usage`] for an unknown class, with similar names.
    pub fn keep_classes(&mut self, wanted: &[String]) -> Result<()> {
        let mut kept = vec![false; self.classes.len()];
        for name in wanted {
            let Some(label) = self.classes.iter().position(|c| c.eq_ignore_ascii_case(name)) else {
                return Err(Error::usage(
                    Problem::from(Setting::Classes).then(format!(": there is no class `{name}`{}", self.near(name))),
                ));
            };
            kept[label] = true;
        }
        let mut label = 0;
        let new_label: Vec<Option<u32>> = kept
            .iter()
            .map(|&keep| {
                keep.then(|| {
                    label += 1;
                    label - 1
                })
            })
            .collect();
        let mut kept = kept.iter();
        self.classes.retain(|_| *kept.next().unwrap_or(&false));
        self.clips.retain_mut(|clip| match clip.label.and_then(|label| new_label[label as usize]) {
            Some(label) => {
                clip.label = Some(label);
                true
            }
            None => false,
        });
        Ok(())
    }

    /// Returns the classes that have clips in a source, if it lacks all listed clips of some class.
    /// `missing` tells for each clip whether the source lacks it. Returns `None` if no class has
    /// clips, or if the setting cannot name one because its name contains a comma.
    pub(crate) fn present_classes(&self, missing: impl Iterator<Item = bool>) -> Option<SomeClasses> {
        let (mut listed, mut present) = (vec![false; self.classes.len()], vec![false; self.classes.len()]);
        for (clip, is_missing) in self.clips.iter().zip(missing) {
            let Some(label) = clip.label.map(|label| label as usize) else { continue };
            listed[label] = true;
            present[label] |= !is_missing;
        }
        let lacks_one = listed.iter().zip(&present).any(|(listed, present)| *listed && !present);
        let named = self.classes.iter().zip(&present).filter(|(_, present)| **present).map(|(name, _)| name.clone());
        let present: Vec<String> = named.collect();
        let can_name = !present.is_empty() && !present.iter().any(|name| name.contains(','));
        (lacks_one && can_name).then_some(SomeClasses { present, of: self.classes.len() })
    }

    fn near(&self, name: &str) -> String {
        let name = name.to_ascii_lowercase();
        let mut ranked: Vec<(usize, &str)> = self
            .classes
            .iter()
            .filter_map(|class| {
                let lower = class.to_ascii_lowercase();
                let distance = if lower.contains(&name) || name.contains(&lower) { 1 } else { edits(&lower, &name) };
                (distance <= name.len().div_ceil(3)).then_some((distance, class.as_str()))
            })
            .collect();
        ranked.sort_unstable();
        let names: Vec<&str> = ranked.into_iter().take(3).map(|(_, class)| class).collect();
        if names.is_empty() {
            format!("; the classes are {}", self.some_classes())
        } else {
            format!("; similar: {}", names.join(", "))
        }
    }

    fn some_classes(&self) -> String {
        let more = if self.classes.len() > 5 { ", ..." } else { "" };
        format!("{}{more}", self.classes.iter().take(5).cloned().collect::<Vec<_>>().join(", "))
    }
}

/// Returns the number of single-letter edits between two names (Levenshtein distance).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let best = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = best;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_count_letters() {
        assert_eq!(edits("archery", "archrey"), 2);
        assert_eq!(edits("", "abc"), 3);
    }
}
