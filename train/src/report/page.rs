//! The page: its parts in their order, its style, its script.

use super::chart::library;
use super::epochs::Start;
use super::html::{concat, escape, list, section};
use super::run::Run;
use super::view::View;
use super::{classes, fused, summary, training, worst};
use std::path::Path;

/// Nothing is loaded from anywhere: the page can neither fetch nor tell.
const POLICY: &str =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:";

/// The page of these runs, as HTML. `data` says where their data set is, if not where their settings do.
pub fn page(runs: &[Run], data: Option<&Path>) -> String {
    let views: Vec<View<'_>> = runs.iter().map(|run| View::of(run, data)).collect();
    let all: Vec<&Run> = runs.iter().collect();
    let title = match runs {
        [run] => run.name.clone(),
        runs => format!("{} runs", runs.len()),
    };
    let about: String = if let [run] = runs {
        format!("<p class=\"about\">{}</p>", escape(&summary::subtitle(run)))
    } else {
        String::new()
    };
    let body = [
        format!("<header><h1>{}</h1>{about}</header>", escape(&title)),
        summary::faults(runs),
        summary::summary(&views),
        training::training(&all),
        fused::fusion(runs),
        classes::classes(&views),
        worst::worst_videos(&views),
        settings(runs),
    ]
    .concat();
    let footer = format!(
        "<footer>Written by ucftrain {} from the files of {}. Charts by plotly.js, which is part of this page.</footer>",
        env!("CARGO_PKG_VERSION"),
        escape(&runs.iter().map(|run| run.dir.display().to_string()).collect::<Vec<_>>().join(", "))
    );
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{} – ucftrain report</title>\n<style>{}</style>\n</head><body><main>\n{body}\n</main>{footer}\n\
         <noscript><p class=\"note\">Charts need JavaScript.</p></noscript>\n{}\n<script>{}</script>\n</body></html>\n",
        escape(&title),
        include_str!("page.css"),
        library(),
        include_str!("page.js"),
    )
}

/// How each run was set up: its `config.toml` as it is, and the machines that it ran on.
fn settings(runs: &[Run]) -> String {
    let one = |run: &Run| {
        let starts = list(
            "starts",
            run.starts.iter().map(|start| {
                let went_on = if start.resumed { "resumed" } else { "started" };
                let Start { version, device, precision, threads, .. } = start;
                format!("{went_on} with ucftrain {version} on {device}, {precision}, {threads} threads")
            }),
        );
        let config = run.config.as_deref().unwrap_or("config.toml is missing");
        format!("<details><summary>{}</summary>{starts}<pre>{}</pre></details>", escape(&run.name), escape(config))
    };
    section("Settings", &concat(runs.iter().map(one)))
}
