//! Chooses the reader of a kind of lists.

use std::collections::HashSet;
use std::path::Path;

use super::kind::DatasetKind;
use super::listed::{Lists, clip_key};
use super::recognise::recognise;
use crate::error::Result;

impl DatasetKind {
    /// Reads lists. If the kind is recognised, the first note says which one it is. `clip_keys`
    /// returns the [`clip_key`] of every clip of the source, for lists that do not say how clips are
    /// named.
    pub(crate) fn read(self, path: &Path, clip_keys: &dyn Fn() -> Result<HashSet<String>>) -> Result<Lists> {
        match self {
            Self::Auto => {
                let (kind, why) = recognise(path)?;
                let mut lists = kind.read(path, clip_keys)?;
                lists.notes.insert(0, format!("{}: lists of {}, recognised by {why}", path.display(), kind.name()));
                Ok(lists)
            }
            Self::Ucf101 => Lists::read_ucf101(path),
            Self::Hmdb51 => Lists::read_hmdb51(path),
            Self::Jhmdb => Lists::read_jhmdb(path),
            Self::Kinetics => {
                let names = clip_keys()?;
                Lists::read_kinetics(path, |name| names.contains(&clip_key(name)))
            }
            Self::SomethingV1 => Lists::read_something_v1(path),
            Self::SomethingV2 => Lists::read_something_v2(path),
            Self::Jester => Lists::read_jester(path),
            Self::Moments => Lists::read_moments(path),
            Self::Diving48 => Lists::read_diving48(path),
            Self::Mmaction2 => Lists::read_text_lists(path),
            Self::Custom => Lists::read_custom(path),
        }
    }
}
