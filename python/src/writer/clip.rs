//! The description of a clip that is added.

use super::frames::Frames;
use super::input::{Label, Subsets};
use crate::error;
use clipshard::{Attributes, NewClip, Subset};
use pyo3::PyResult;

/// Names a stream of a clip.
pub fn place(clip: &str, stream: &str) -> String {
    format!("clip {clip}: stream {stream}")
}

/// A clip that is added.
pub struct Addition<'a> {
    pub id: String,
    pub label: Label,
    pub subsets: Subsets,
    pub group: Option<String>,
    pub attributes: Attributes,
    pub streams: Vec<(String, Frames<'a>)>,
}

impl Addition<'_> {
    /// Checks label and subsets, and returns the description of the clip.
    ///
    /// `known` has the names of the streams, to name them in errors.
    pub fn describe<'n>(
        &self,
        classes: &[String],
        splits: &[String],
        known: impl Iterator<Item = &'n String>,
    ) -> PyResult<NewClip> {
        let Self { id, label, subsets, group, attributes, streams } = self;
        if streams.is_empty() {
            let names: Vec<String> = known.map(|name| format!("{name}=...")).collect();
            let names = names.join(", ");
            return Err(error::option(format!("clip {id}: it has no frames; give at least one of {names}")));
        }
        let label = match label {
            Label::None => None,
            Label::Number(number) if (*number as usize) < classes.len() => Some(*number),
            Label::Number(number) => {
                let count = classes.len();
                let text = format!("clip {id}: label {number}, but there are {count} classes; labels start at 0");
                return Err(error::option(text));
            }
            Label::Class(name) => {
                let found = classes.iter().position(|class| class == name).and_then(|n| u32::try_from(n).ok());
                Some(found.ok_or_else(|| {
                    let text = format!("clip {id}: no class {name:?} among {} classes", classes.len());
                    error::not_found(format!("{text}; add it to classes= when you open the writer"))
                })?)
            }
        };
        let mut clip = NewClip::new(id.clone(), label, subsets_of(id, splits, subsets)?);
        clip.group.clone_from(group);
        clip.attributes = attributes.clone();
        Ok(clip)
    }
}

/// Returns one subset per split.
fn subsets_of(id: &str, splits: &[String], subsets: &Subsets) -> PyResult<Vec<Subset>> {
    Ok(match subsets {
        Subsets::Unused => vec![Subset::Unused; splits.len()],
        Subsets::All(name) if splits.is_empty() => {
            let text = format!("clip {id}: subset {name:?}, but the dataset has no splits");
            return Err(error::option(format!("{text}; omit subset, or make the dataset with splits=[\"1\"]")));
        }
        Subsets::All(name) => vec![subset_of(id, name)?; splits.len()],
        Subsets::Of(pairs) => {
            let mut all = vec![Subset::Unused; splits.len()];
            for (split, name) in pairs {
                let Some(number) = splits.iter().position(|known| known == split) else {
                    let known = splits.join(", ");
                    return Err(error::not_found(format!("clip {id}: no split {split:?}; the dataset has {known}")));
                };
                all[number] = subset_of(id, name)?;
            }
            all
        }
    })
}

/// Returns a subset. Refuses other words for the three subsets that programs know.
fn subset_of(id: &str, name: &str) -> PyResult<Subset> {
    let known = match name.to_lowercase().as_str() {
        "training" => "train",
        "validation" | "valid" | "dev" => "val",
        "testing" | "eval" => "test",
        _ => return Ok(Subset::from(name)),
    };
    Err(error::option(format!(
        "clip {id}: subset {name:?} would be a subset of its own, which programs treat as unused; use {known:?}"
    )))
}
