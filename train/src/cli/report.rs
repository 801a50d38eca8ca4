//! `ucftrain report`: shows runs as one page.

use crate::base::console::Console;
use crate::report::write;
use crate::run::folder::REPORT_FILE;
use anyhow::Result;
use std::path::PathBuf;

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
