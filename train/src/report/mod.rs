//! The report: one HTML page about one or more runs, which needs no other file and no network.
//!
//! `run` reads the files of a run folder (with `epochs`), and `view` derives values such as the
//! confusion matrix. Each part of the page has a module (`summary`, `training`, `fused`, `classes`,
//! `worst`), and `page` joins the parts. `html` and `chart` are the elements that the parts use.
//! Every figure of the page comes from a file of a run.

mod chart;
mod classes;
mod epochs;
mod fused;
mod html;
mod page;
mod run;
mod summary;
mod thumbnail;
mod training;
mod view;
mod worst;

use crate::base::console::note;
use crate::base::replace_file::replace_file;
use crate::run::folder::REPORT_FILE;
use anyhow::Result;
use run::Run;
use std::path::{Path, PathBuf};

/// Writes the page of a run that has just ended into its folder. If that fails, prints a warning
/// only, because the results of the run are complete without the page.
pub fn after_training(dir: &Path) {
    let out = dir.join(REPORT_FILE);
    if let Err(error) = write(&[dir.to_owned()], None, &out) {
        note(&format!("warning: cannot write {REPORT_FILE}: {error:#}"));
    }
}

/// Writes the page of these runs and returns its size in bytes. Another page at `out` is replaced
/// only when the new one is complete.
pub fn write(dirs: &[PathBuf], data: Option<&Path>, out: &Path) -> Result<usize> {
    let mut runs = dirs.iter().map(|dir| Run::read(dir)).collect::<Result<Vec<_>>>()?;
    run::name_apart(&mut runs);
    let page = page::page(&runs, data);
    replace_file(out, page.as_bytes())?;
    Ok(page.len())
}
