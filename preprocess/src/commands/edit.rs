//! `ucfpack add`, `ucfpack subset` and `ucfpack recode`.

use clipshard::Filter;
use serde_json::json;
use ucfpack::console::{self, Page};
use ucfpack::edit::{AddOptions, RecodeOptions, SubsetOptions, add, recode, subset};
use ucfpack::pack::BuildReport;
use ucfpack::progress::{Progress, Watch};
use ucfpack::source::Location;
use ucfpack::stored::Geometry;
use ucfpack::video::FlowMethod;

use super::build::{
    DEFAULT_LEVEL, check_level, codec, dataset, gpu, layout, note_of_classes, report_json, show_packed, show_skipped,
};
use super::common::{check_folder, clips_of};
use super::signals::cancel_on_signals;
use super::threads::{processors, use_threads};
use crate::cli::{AddArgs, CodecArg, FilterArg, RecodeArgs, SubsetArgs};

pub fn run_add(args: &AddArgs) -> anyhow::Result<()> {
    check_folder(&args.dir)?;
    let jobs = args.jobs.map_or_else(processors, usize::from);
    let options = AddOptions {
        dataset: args.dataset.map(dataset),
        lists: args.lists.clone(),
        location: match (&args.videos, &args.tree) {
            (Some(root), _) => Location::Videos(root.clone()),
            (None, Some(root)) => Location::Tree(root.clone()),
            (None, None) => Location::Apart { rgb: args.rgb.clone(), flow: args.flow.clone() },
        },
        layout: layout(args.layout),
        classes: args.classes.clone(),
        gpu: gpu(args.device, args.videos.as_ref().map(|_| FlowMethod::TvL1))?,
        jobs,
        readers: args.readers.map_or(jobs, usize::from),
        keep_going: args.keep_going,
        skip_existing: args.skip_existing,
        other_versions: args.other_versions,
    };
    use_threads(jobs)?;
    let cancel = cancel_on_signals()?;
    let progress = Progress::on_stderr();
    let report = add(&args.dir, &options, Watch { progress: &progress, cancel: &cancel })?;
    let added = &report.added;
    console::notes(added.notes.iter().cloned().chain(note_of_classes(added.some_classes.as_ref())));
    if args.json {
        let mut document = report_json(added);
        document["existing"] = json!(report.existing);
        document["new_classes"] = json!(report.new_classes);
        document["total_clips"] = json!(report.clips);
        return Ok(console::write_json(&document)?);
    }
    let mut page = if added.clips == 0 {
        let mut page = Page::default();
        page.line(format_args!("added 0 clips to {}", args.dir.display()));
        show_skipped(&mut page, &added.skipped, true);
        page
    } else {
        show_packed(added, "added", &args.dir)
    };
    let classes = match report.new_classes.as_slice() {
        [] => String::new(),
        names => format!("; new classes: {}", names.join(", ")),
    };
    page.line(format_args!("the dataset has {} now{classes}", clips_of(report.clips)));
    page.write_summary();
    Ok(())
}

pub fn run_subset(args: &SubsetArgs) -> anyhow::Result<()> {
    check_folder(&args.dir)?;
    let cancel = cancel_on_signals()?;
    let progress = Progress::on_stderr();
    let options = SubsetOptions {
        out: args.output.out.clone(),
        classes: args.classes.clone(),
        keep_labels: args.keep_labels,
        clips: args.clip.clone(),
        clip_list: args.clips.clone(),
        streams: args.streams.clone(),
        split: args.split.clone(),
        subsets: args.subset.clone(),
        limit: args.limit,
        overwrite: args.output.overwrite,
    };
    let report = subset(&args.dir, &options, Watch { progress: &progress, cancel: &cancel })?;
    show(&report, "copied", args.output.json, &args.output.out)
}

pub fn run_recode(args: &RecodeArgs) -> anyhow::Result<()> {
    check_folder(&args.dir)?;
    if let Some(level) = args.level.filter(|_| args.codec != CodecArg::Jpeg) {
        check_level(level, &[codec(args.codec)])?;
    }
    let jobs = args.jobs.map_or_else(processors, usize::from);
    let options = RecodeOptions {
        out: args.output.out.clone(),
        stream: args.stream.clone(),
        codec: codec(args.codec),
        filter: args.filter.map(filter),
        level: args.level.unwrap_or(DEFAULT_LEVEL),
        geometry: match (args.size, args.short_side) {
            (Some(side), _) => Geometry::Square(side),
            (None, Some(side)) => Geometry::ShortSide(side),
            (None, None) => Geometry::Source,
        },
        jobs,
        overwrite: args.output.overwrite,
    };
    use_threads(jobs)?;
    let cancel = cancel_on_signals()?;
    let progress = Progress::on_stderr();
    let report = recode(&args.dir, &options, Watch { progress: &progress, cancel: &cancel })?;
    show(&report, "copied", args.output.json, &args.output.out)
}

/// Prints the result of a command that makes a new dataset.
fn show(report: &BuildReport, verb: &str, as_json: bool, out: &std::path::Path) -> anyhow::Result<()> {
    console::notes(&report.notes);
    if as_json {
        return Ok(console::write_json(&report_json(report))?);
    }
    show_packed(report, verb, out).write_summary();
    Ok(())
}

fn filter(arg: FilterArg) -> Filter {
    match arg {
        FilterArg::None => Filter::None,
        FilterArg::Up => Filter::Up,
        FilterArg::Shuffle => Filter::Shuffle,
        FilterArg::UpShuffle => Filter::UpShuffle,
    }
}
