//! `ucfpack merge`.

use ucfpack::console;
use ucfpack::pack::{MergeOptions, merge};
use ucfpack::progress::{Progress, Watch};

use super::build::{report_json, show_packed};
use super::common::check_folder;
use super::signals::cancel_on_signals;
use crate::cli::MergeArgs;

pub fn run_merge(args: &MergeArgs) -> anyhow::Result<()> {
    args.parts.iter().try_for_each(|part| check_folder(part))?;
    let cancel = cancel_on_signals()?;
    let progress = Progress::on_stderr();
    let options =
        MergeOptions { out: args.output.out.clone(), parts: args.parts.clone(), overwrite: args.output.overwrite };
    let report = merge(&options, Watch { progress: &progress, cancel: &cancel })?;
    console::notes(&report.notes);
    if args.output.json {
        return Ok(console::write_json(&report_json(&report))?);
    }
    show_packed(&report, "merged", &args.output.out).write_summary();
    Ok(())
}
