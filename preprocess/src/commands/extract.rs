//! `ucfpack extract`.

use ucfpack::console::{self, Page};
use ucfpack::extract::{ExtractOptions, extract};
use ucfpack::progress::{Progress, Watch};
use ucfpack::quantity::show_bytes;
use ucfpack::video::VideoOptions;

use super::build::{dataset, gpu, note_of_classes, show_skipped};
use super::common::{clips_of, images_of};
use super::signals::cancel_on_signals;
use super::threads::{processors, use_threads};
use crate::cli::ExtractArgs;

pub fn run_extract(args: &ExtractArgs) -> anyhow::Result<()> {
    let jobs = args.jobs.map_or_else(processors, usize::from);
    use_threads(jobs)?;
    let cancel = cancel_on_signals()?;
    let progress = Progress::on_stderr();
    let flow = args.flow_method.0;
    let options = ExtractOptions {
        videos: args.videos.clone(),
        out: args.out.clone(),
        dataset: dataset(args.dataset),
        lists: args.lists.clone(),
        classes: args.classes.clone(),
        video: VideoOptions {
            short_side: args.rgb_short_side,
            quality: args.quality,
            flow,
            gpu: gpu(args.device, flow)?,
        },
        keep_going: args.keep_going,
        resume: args.resume,
    };
    let report = extract(&options, Watch { progress: &progress, cancel: &cancel })?;
    console::notes(report.notes.iter().cloned().chain(note_of_classes(report.some_classes.as_ref())));
    let mut page = Page::default();
    page.line(format_args!(
        "extracted {}, {}, {} into {}; {} complete before",
        clips_of(report.clips),
        images_of(report.images),
        show_bytes(report.bytes),
        args.out.display(),
        clips_of(report.kept)
    ));
    show_skipped(&mut page, &report.skipped, false);
    page.write_summary();
    Ok(())
}
