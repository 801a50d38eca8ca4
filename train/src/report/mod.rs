//! The report: one HTML page about one or more runs, which needs no other file and no network.
//!
//! `run` reads the files of a run folder (with `epochs`), and `view` derives values such as the
//! confusion matrix. Each part of the page has a module (`summary`, `groups`, `training`, `fused`,
//! `classes`, `worst`; `many` for the runs of a page of many), and `page` joins the parts. `html`,
//! `chart` and `scale` are the elements that the parts use.
//! Every figure of the page comes from a file of a run.

mod chart;
mod classes;
mod epochs;
mod fused;
mod groups;
mod html;
mod many;
mod page;
mod run;
mod scale;
mod summary;
mod thumbnail;
mod training;
mod view;
mod worst;

use crate::base::console::note;
use crate::base::replace_file::replace_file;
use crate::run::folder::REPORT_FILE;
use anyhow::Result;
use groups::Comparison;
use run::Run;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Writes the page of a run that has just ended into its folder. If that fails, prints a warning
/// only, because the results of the run are complete without the page.
pub fn after_training(dir: &Path) {
    let out = dir.join(REPORT_FILE);
    if let Err(error) = write(&[dir.to_owned()], None, &out) {
        note(&format!("warning: cannot write {REPORT_FILE}: {error:#}"));
    }
}

/// A page that has been written.
#[derive(Debug)]
pub struct Written {
    /// Size of the page in bytes.
    pub bytes: usize,
    /// Figures of the groups and the runs.
    pub figures: Value,
}

/// Writes the page of these runs. Another page at `out` is replaced only when the new one is
/// complete.
///
/// # Errors
/// A folder contains no file of a run, or the page cannot be written.
pub fn write(dirs: &[PathBuf], data: Option<&Path>, out: &Path) -> Result<Written> {
    let mut runs = dirs.iter().map(|dir| Run::read(dir)).collect::<Result<Vec<_>>>()?;
    run::name_apart(&mut runs);
    let groups = Comparison::of(&runs);
    let page = page::page(&runs, &groups, data);
    replace_file(out, page.as_bytes())?;
    Ok(Written { bytes: page.len(), figures: groups.json(&runs) })
}
