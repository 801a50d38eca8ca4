//! `ucftrain report`: runs as one page of HTML that needs nothing beside itself.
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

use crate::base::console::{Console, note};
use crate::base::whole_file::write_whole;
use crate::run::folder::REPORT_FILE;
use anyhow::Result;
use run::Run;
use std::path::{Path, PathBuf};

/// Show runs as one page: curves, where the time went, confusions, worst videos; of several runs, how they compare and fuse
#[derive(clap::Args, Clone, Debug)]
pub struct ReportArgs {
    /// Folders of runs
    #[arg(required = true, value_name = "RUN_DIR")]
    pub runs: Vec<PathBuf>,

    /// The page [default: report.html in the run's folder, of several runs in this folder]
    #[arg(long, value_name = "FILE.html")]
    pub out: Option<PathBuf>,

    /// Where the packed data set is now, for pictures [default: where config.toml says]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// Runs `ucftrain report`. A page that is there already is replaced.
///
/// # Errors
/// A folder that holds nothing of a run; a page that cannot be written. What else is missing, the page says.
pub fn run(args: &ReportArgs) -> Result<()> {
    let out = match (&args.out, args.runs.as_slice()) {
        (Some(out), _) => out.clone(),
        (None, [run]) => run.join(REPORT_FILE),
        (None, _) => PathBuf::from(REPORT_FILE),
    };
    let bytes = write(&args.runs, args.data.as_deref(), &out)?;
    let of = if args.runs.len() == 1 { String::new() } else { format!(" of {} runs", args.runs.len()) };
    Console { json: false }.say(&format!("{}{of}: {:.1} MB", out.display(), bytes as f64 / 1e6));
    Ok(())
}

/// Writes the page of a run that has just ended into its folder. The run is not worth less without it.
pub fn after_training(dir: &Path) {
    let out = dir.join(REPORT_FILE);
    if let Err(error) = write(&[dir.to_owned()], None, &out) {
        note(&format!("warning: no {REPORT_FILE}: {error:#}"));
    }
}

/// Writes the page of these runs, whole or not at all, and returns its size in bytes.
fn write(dirs: &[PathBuf], data: Option<&Path>, out: &Path) -> Result<usize> {
    let mut runs = dirs.iter().map(|dir| Run::read(dir)).collect::<Result<Vec<_>>>()?;
    run::name_apart(&mut runs);
    let page = page::page(&runs, data);
    write_whole(out, page.as_bytes())?;
    Ok(page.len())
}
