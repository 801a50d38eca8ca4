//! The page: its parts in order, its style sheet and its scripts.

use super::chart::library;
use super::epochs::Start;
use super::html::{concat, escape, list, section};
use super::run::Run;
use super::view::View;
use super::{classes, fused, summary, training, worst};
use std::path::Path;

/// Content security policy: the page loads nothing and sends nothing.
const POLICY: &str =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:";

/// Returns the page of these runs as HTML. `data` is the folder of their dataset, if that is not
/// where the settings say.
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
    let fused = fused::fuse_runs(runs);
    let average = fused.as_ref().and_then(|fused| fused.as_ref().ok()?.average());
    let body = [
        format!("<header><h1>{}</h1>{about}</header>", escape(&title)),
        summary::summary(&views, average),
        summary::faults(runs),
        fused::fusion(runs, fused.as_ref()),
        training::training(&all),
        classes::classes(&views),
        worst::worst_videos(&views),
        settings(runs),
    ]
    .concat();
    let footer = format!(
        "<footer>Written by ucftrain {} from the files in {}. \
         The charts use plotly.js, which is part of this page.</footer>",
        env!("CARGO_PKG_VERSION"),
        escape(&runs.iter().map(|run| run.dir.display().to_string()).collect::<Vec<_>>().join(", "))
    );
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{} – ucftrain report</title>\n<style>{}</style>\n</head><body><main>\n\
         <noscript><p class=\"faults\">The charts need JavaScript; the tables do not.</p></noscript>\n{body}\n\
         </main>{footer}\n{}\n<script>{}</script>\n</body></html>\n",
        escape(&title),
        include_str!("page.css"),
        library(),
        include_str!("page.js"),
    )
}

/// Returns the section about the settings of each run: the text of `config.toml`, and the starts of
/// the program.
fn settings(runs: &[Run]) -> String {
    let one = |run: &Run| {
        let starts = list(
            "starts",
            run.starts.iter().map(|start| {
                let verb = if start.resumed { "resumed" } else { "started" };
                let Start { version, device, precision, threads, .. } = start;
                format!("{verb} with ucftrain {version} on {device}, {precision}, {threads} threads")
            }),
        );
        let config = run.config.as_deref().unwrap_or("config.toml is missing or cannot be read");
        format!("<details><summary>{}</summary>{starts}<pre>{}</pre></details>", escape(&run.name), escape(config))
    };
    section("Settings", &concat(runs.iter().map(one)))
}
