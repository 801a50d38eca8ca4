//! Refuses the parts of a build, which only [`crate::pack::merge()`] can use.

use std::path::Path;

use crate::error::{Error, Result};
use crate::pack::part_record::PartRecord;

/// Returns an error if the folder holds a part of a build. `then` is what to do after the merge.
pub(super) fn refuse_part(dir: &Path, then: &str) -> Result<()> {
    match PartRecord::read(dir)?.and_then(|record| record.plan.part) {
        Some(part) => {
            Err(Error::input(format!("{} is only part {part} of a build; merge the parts, and {then}", dir.display())))
        }
        None => Ok(()),
    }
}
