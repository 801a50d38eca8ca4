//! Runs as one page of HTML that needs nothing beside itself.
//!
//! `run` reads what a folder holds, `view` works out what follows from it, a module each writes the parts of the page
//! (`summary`, `training`, `fused`, `classes`, `worst`), `page` puts them together. Every figure comes from a file of a run.

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

/// Writes the page of a run that has just ended into its folder. The run is not worth less without it.
pub fn after_training(dir: &Path) {
    let out = dir.join(REPORT_FILE);
    if let Err(error) = write(&[dir.to_owned()], None, &out) {
        note(&format!("warning: no {REPORT_FILE}: {error:#}"));
    }
}

/// Writes the page of these runs, whole or not at all, and returns its size in bytes.
pub fn write(dirs: &[PathBuf], data: Option<&Path>, out: &Path) -> Result<usize> {
    let mut runs = dirs.iter().map(|dir| Run::read(dir)).collect::<Result<Vec<_>>>()?;
    run::name_apart(&mut runs);
    let page = page::page(&runs, data);
    replace_file(out, page.as_bytes())?;
    Ok(page.len())
}
