//! `ucfpack synth`.

use std::io::{self, Write};

use ucfpack::progress::{Progress, Watch};
use ucfpack::quantity::{show_bytes, show_count};
use ucfpack::synth::{TreeOptions, make_tree};

use super::{cancel_on_signals, processors, use_threads};
use crate::cli::SynthArgs;

pub fn run_synth(args: &SynthArgs) -> anyhow::Result<()> {
    use_threads(args.jobs.map_or_else(processors, usize::from))?;
    let cancel = cancel_on_signals()?;
    let progress = Progress::on_stderr();
    let watch = Watch { progress: &progress, cancel: &cancel };
    let (width, height) = args.size.unwrap_or((96, 72));
    let options = TreeOptions {
        out: args.out.clone(),
        classes: args.classes.unwrap_or(9) as usize,
        clips: args.clips.unwrap_or(24) as usize,
        width,
        height,
        seed: args.seed.unwrap_or(0),
        overwrite: args.overwrite,
    };
    let report = make_tree(&options, watch)?;
    let mut out = io::stdout().lock();
    let (appearances, motions) = report.factors;
    writeln!(
        out,
        "made {} clips, {} images of {width}x{height}, {} in {}",
        show_count(report.clips),
        show_count(report.images),
        show_bytes(report.bytes),
        args.out.display()
    )?;
    writeln!(
        out,
        "{} classes: {appearances} appearances (seen in RGB) x {motions} motions (seen in flow)",
        report.classes.len()
    )?;
    let tree = args.out.display();
    writeln!(out, "pack them: ucfpack build --tree {tree} --lists {tree}/lists --out DIR")?;
    Ok(())
}
