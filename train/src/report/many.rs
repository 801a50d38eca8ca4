//! The part of a page about many runs that shows each run: a folded block with a few figures. The
//! page of a run alone has all its charts and pictures.

use super::classes::confused;
use super::groups::{Comparison, of_run};
use super::html::{concat, escape, list, note, section};
use super::page::starts_and_settings;
use super::summary::{comparison, subtitle, under_way};
use super::view::View;

/// Largest number of runs whose charts and pictures the page shows.
pub const FEW: usize = 4;
/// Largest number of faults that are not folded.
const FAULTS: usize = 4;
/// Number of confused pairs of a run.
const PAIRS: usize = 5;

/// Lists the problems with the files of the runs, folded if there are many; empty if there are none.
pub fn faults(views: &[View<'_>]) -> String {
    let mut all: Vec<String> = Vec::new();
    for run in views.iter().map(|view| view.run) {
        all.extend(run.faults.iter().map(|fault| format!("{}: {fault}", run.name)));
    }
    let runs = views.iter().filter(|view| !view.run.faults.is_empty()).count();
    let number = all.len();
    let sentences = list("faults", all.into_iter());
    if number <= FAULTS {
        return sentences;
    }
    let of = if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") };
    format!("<details><summary>Problems with the files of {of}</summary>{sentences}</details>")
}

/// Returns the section about each run: a table of all, then a block per run, in the order of the
/// groups.
pub fn runs(views: &[View<'_>], groups: &Comparison) -> String {
    let all = format!(
        "<details><summary>Accuracy and time of all {} runs</summary>{}</details>",
        views.len(),
        comparison(views)
    );
    let blocks = concat(groups.in_order().map(|run| block(&views[run], groups.group_of(run))));
    let words = "Each run also has a page of its own, with its confusion matrix and its worst videos: report.html in \
                 its folder.";
    section("Each run", &(all + &blocks + &note(words)))
}

fn block(view: &View<'_>, (stream, group): (&str, &str)) -> String {
    let run = view.run;
    let result = match view.top1() {
        Some(top1) => format!("{top1:.2} % of the {} clips", run.subset),
        None => "no result yet".to_owned(),
    };
    let split = run.split().unwrap_or("unknown");
    let seed = super::groups::seed(run).unwrap_or_else(|| "unknown".to_owned());
    let heading = escape(&format!("{}: {result}", run.name));
    let about = escape(&format!("{stream}, {group}; split {split}, seed {seed}; {} epochs", run.progress()));
    let pairs = view.confusion.as_ref().map_or_else(String::new, |confusion| confused(view, confusion, PAIRS));
    format!(
        "<details><summary>{heading} <small>{about}</small></summary>{}{}{}{pairs}{}</details>",
        note(&subtitle(run)),
        under_way(run),
        of_run(run),
        starts_and_settings(run)
    )
}
