//! Rows of lists with one file per subset: a path, a class, and attributes.

use clipshard::Attributes;

use super::classes::Classes;
use super::clips::{Clips, NamedClip, Place, split_path};
use super::parts::{PartFile, names_of};
use crate::error::{Error, Result};
use crate::lists::ListedClip;

/// A row of one of the lists.
pub(in crate::lists) struct PartRow {
    /// Number of the list.
    pub part: usize,
    pub line: usize,
    pub path: String,
    /// Name of the class, if the row has one.
    pub class: Option<String>,
    pub attributes: Attributes,
}

/// Returns the clips of the rows in one split.
///
/// # Errors
/// Returns [`Error::List`] for a row with an unknown class or a clip that occurs before, and
/// [`Error::Input`] if there are no rows.
pub(in crate::lists) fn clips_of(rows: Vec<PartRow>, parts: &[PartFile], classes: &Classes) -> Result<Vec<ListedClip>> {
    let mut clips = Clips::default();
    for row in rows {
        let part = &parts[row.part];
        let place = Place { path: &part.path, line: row.line, entry: None };
        let fault = |what: String| place.fault(what);
        let (name, class_folder) = split_path(&row.path).map_err(fault)?;
        let label = row.class.as_deref().map(|class| classes.label(class)).transpose().map_err(fault)?;
        let clip = NamedClip { name, class_folder, label, attributes: row.attributes, ..NamedClip::default() };
        clips.add(clip, 0, part.subset.clone(), place)?;
    }
    let clips = clips.finish(1, &classes.names)?;
    if clips.is_empty() {
        return Err(Error::input(format!("the lists {} contain no clips", names_of(parts))));
    }
    Ok(clips)
}
