//! `ucfpack synth`.

use ucfpack::console::Page;
use ucfpack::progress::{Progress, Watch};
use ucfpack::quantity::show_bytes;
use ucfpack::synth::like_ucf101::{LikeOptions, make_like_ucf101};
use ucfpack::synth::{TreeOptions, make_tree};

use super::common::{clips_of, images_of};
use super::signals::cancel_on_signals;
use super::threads::{processors, use_threads};
use crate::cli::{LikeArg, SynthArgs};

pub fn run_synth(args: &SynthArgs) -> anyhow::Result<()> {
    let jobs = args.jobs.map_or_else(processors, usize::from);
    use_threads(jobs)?;
    let cancel = cancel_on_signals()?;
    let progress = Progress::on_stderr();
    let watch = Watch { progress: &progress, cancel: &cancel };
    let mut page = Page::default();
    if let Some(LikeArg::Ucf101) = args.like {
        let (width, height) = args.size.unwrap_or((8, 8));
        let (out_dir, images) = (args.out.clone(), args.images.clone());
        let options = LikeOptions { out: out_dir, width, height, images, jobs, overwrite: args.overwrite };
        let report = make_like_ucf101(&options, watch)?;
        let images = report.records.values().sum();
        page.line(format_args!(
            "made {}, {} {}, {} in {} ({:.1} s)",
            clips_of(report.clips),
            images_of(images),
            match &args.images {
                Some(dir) => format!("from {}", dir.display()),
                None => format!("of {width}x{height}"),
            },
            show_bytes(report.bytes_out),
            args.out.display(),
            report.seconds
        ));
        page.write_summary();
        return Ok(());
    }
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
    let (appearances, motions) = report.factors;
    page.line(format_args!(
        "made {}, {} of {width}x{height}, {} in {}",
        clips_of(report.clips),
        images_of(report.images),
        show_bytes(report.bytes),
        args.out.display()
    ));
    page.line(format_args!(
        "{} classes: {appearances} appearances (seen in RGB) x {motions} motions (seen in flow)",
        report.classes.len()
    ));
    let tree = args.out.display();
    page.line(format_args!("to pack them: ucfpack build --tree {tree} --lists {tree}/lists --out DIR"));
    page.write_summary();
    Ok(())
}
