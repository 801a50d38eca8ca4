//! `ucfpack merge`.

use std::io::{self, Write};

use ucfpack::merge::{MergeOptions, merge};
use ucfpack::progress::{Progress, Watch};

use super::build::{report_json, show_packed};
use super::cancel_on_signals;
use crate::cli::MergeArgs;

pub fn run_merge(args: &MergeArgs) -> anyhow::Result<()> {
    let cancel = cancel_on_signals()?;
    let progress = Progress::on_stderr();
    let options = MergeOptions { out: args.out.clone(), parts: args.parts.clone(), overwrite: args.overwrite };
    let report = merge(&options, Watch { progress: &progress, cancel: &cancel })?;
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", report_json(&report))?;
    } else {
        show_packed(&mut out, &report, "merged", &args.out)?;
    }
    Ok(())
}
