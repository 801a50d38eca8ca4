//! The file in which a part keeps its plan, next to its manifest.

use std::io;
use std::path::Path;

use clipshard::{Storage, read_regular, write_whole};
use serde::{Deserialize, Serialize};

use super::plan::{BuildPlan, MAX_PLAN_BYTES};
use crate::error::{Error, Result, Skipped};
use crate::place::name::PART_FILE;

/// A part's plan, and the clips that it skipped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    pub plan: BuildPlan,
    pub skipped: Vec<Skipped>,
}

impl PartRecord {
    /// Reads the record of a part. Returns `None` for a dataset that is no part.
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(PART_FILE);
        let text = match read_regular(&path, MAX_PLAN_BYTES) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(path, "cannot read the record of the part")(error)),
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|e| Error::input(format!("{} is damaged ({e}); pack this part again", path.display())))
    }

    pub fn write(&self, storage: &dyn Storage, dir: &Path) -> Result<()> {
        let path = dir.join(PART_FILE);
        let text = serde_json::to_vec(self).map_err(|e| Error::input(format!("{}: {e}", path.display())))?;
        Ok(write_whole(storage, &path, ".part-", &text)?)
    }
}
