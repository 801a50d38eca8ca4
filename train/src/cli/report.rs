//! `ucftrain report`: writes an HTML page about runs.

use crate::base::console::{Console, document};
use crate::base::heading::{INPUT, OUTPUT};
use crate::report::{Written, write};
use crate::run::folder::REPORT_FILE;
use anyhow::Result;
use std::path::PathBuf;

/// Write an HTML page with the results of runs
///
/// The page shows learning curves, timing, confused classes and the clips with the worst
/// predictions. Several runs are compared: runs that differ only in seed and split form a group,
/// with error bars. Runs of different streams are fused. An existing page is replaced.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ReportArgs {
    /// One or more run folders
    #[arg(required = true, value_name = "RUN_DIR")]
    pub runs: Vec<PathBuf>,

    /// Packed dataset, for pictures [default: the dataset in config.toml]
    #[arg(long, value_name = "DIR", help_heading = INPUT)]
    pub data: Option<PathBuf>,

    /// Page to write [default: report.html]
    ///
    /// The default is in the run folder, or in the current folder for several runs.
    #[arg(long, value_name = "FILE.html", help_heading = OUTPUT)]
    pub out: Option<PathBuf>,

    /// Print the figures of groups and runs as one JSON document
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
}

const EXAMPLES: &str = "Examples:
  ucftrain report runs/spatial
  ucftrain report runs/spatial runs/temporal --out comparison.html
  ucftrain report runs/spatial runs/temporal --out comparison.html --json";

/// Runs `ucftrain report`. An existing page is replaced.
///
/// # Errors
/// A folder contains no file of a run, or the page cannot be written. The page itself lists other
/// missing files.
pub fn run(args: &ReportArgs) -> Result<()> {
    let out = match (&args.out, args.runs.as_slice()) {
        (Some(out), _) => out.clone(),
        (None, [run]) => run.join(REPORT_FILE),
        (None, _) => PathBuf::from(REPORT_FILE),
    };
    let Written { bytes, figures } = write(&args.runs, args.data.as_deref(), &out)?;
    if args.json {
        document(&figures)?;
        return Ok(());
    }
    let of = if args.runs.len() == 1 { String::new() } else { format!(" about {} runs", args.runs.len()) };
    Console::new(false).say(&format!("wrote {}{of} ({:.1} MB)", out.display(), bytes as f64 / 1e6));
    Ok(())
}
