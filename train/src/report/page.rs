//! The page: its parts in order, its style sheet and its scripts.

use super::chart::library;
use super::epochs::Start;
use super::groups::Comparison;
use super::html::{concat, escape, list, section};
use super::many::FEW;
use super::run::Run;
use super::view::View;
use super::{classes, fused, many, summary, training, worst};
use std::path::Path;

/// Content security policy: the page loads nothing and sends nothing.
const POLICY: &str =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:";

/// Returns the page of these runs as HTML. `data` is the folder of their dataset, if that is not
/// where the settings say.
pub fn page(runs: &[Run], groups: &Comparison, data: Option<&Path>) -> String {
    let title = match runs {
        [run] => run.name.clone(),
        runs => format!("{} runs", runs.len()),
    };
    let about: String = if let [run] = runs {
        format!("<p class=\"about\">{}</p>", escape(&summary::subtitle(run)))
    } else {
        String::new()
    };
    let body = if runs.len() > FEW { body_of_many(runs, groups) } else { body_of_few(runs, groups, data) };
    let body = format!("<header><h1>{}</h1>{about}</header>{body}", escape(&title));
    // A page without interactive charts needs no script, which makes it a hundred times smaller.
    let (no_script, script, credit) = if body.contains("class=\"chart\"") {
        (
            "<noscript><p class=\"faults\">Some charts need JavaScript; the tables do not.</p></noscript>\n",
            format!("{}\n<script>{}</script>\n", library(), include_str!("page.js")),
            " The charts use plotly.js, which is part of this page.",
        )
    } else {
        ("", String::new(), "")
    };
    let files = match runs.len() {
        0..=FEW => runs.iter().map(|run| run.dir.display().to_string()).collect::<Vec<_>>().join(", "),
        runs => format!("{runs} run folders"),
    };
    let (version, files) = (env!("CARGO_PKG_VERSION"), escape(&files));
    let footer = format!("<footer>Written by ucftrain {version} from the files in {files}.{credit}</footer>");
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{} – ucftrain report</title>\n<style>{}</style>\n</head><body><main>\n\
         {no_script}{body}\n</main>{footer}\n{script}</body></html>\n",
        escape(&title),
        include_str!("page.css"),
    )
}

/// Returns the parts of a page that shows everything of each run.
fn body_of_few(runs: &[Run], groups: &Comparison, data: Option<&Path>) -> String {
    let views: Vec<View<'_>> = runs.iter().map(|run| View::of(run, data)).collect();
    let all: Vec<&Run> = runs.iter().collect();
    let fused = fused::fuse_runs(runs);
    let average = fused.as_ref().and_then(|fused| fused.as_ref().ok()?.average());
    [
        summary::summary(&views, average),
        summary::faults(runs),
        if runs.len() > 1 { groups.section(runs) } else { String::new() },
        fused::fusion(runs, fused.as_ref()),
        training::training(&all),
        classes::classes(&views),
        worst::worst_videos(&views),
        settings(runs),
    ]
    .concat()
}

/// Returns the parts of a page that compares groups and folds the runs.
fn body_of_many(runs: &[Run], groups: &Comparison) -> String {
    let views: Vec<View<'_>> = runs.iter().map(View::without_videos).collect();
    [groups.lead(runs.len()), many::faults(&views), groups.section(runs), many::runs(&views, groups)].concat()
}

/// Returns the section about the settings of each run.
fn settings(runs: &[Run]) -> String {
    let one =
        |run: &Run| format!("<details><summary>{}</summary>{}</details>", escape(&run.name), starts_and_settings(run));
    section("Settings", &concat(runs.iter().map(one)))
}

/// Returns the starts of the program, and the text of `config.toml`.
pub fn starts_and_settings(run: &Run) -> String {
    let starts = list(
        "starts",
        run.starts.iter().map(|start| {
            let verb = if start.resumed { "resumed" } else { "started" };
            let Start { version, device, precision, threads, .. } = start;
            format!("{verb} with ucftrain {version} on {device}, {precision}, {threads} threads")
        }),
    );
    let config = run.config.as_deref().unwrap_or("config.toml is missing or cannot be read");
    format!("{starts}<pre>{}</pre>", escape(config))
}
