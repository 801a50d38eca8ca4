//! The first part: what the runs are and how good.

use super::html::{Cell, concat, duration, escape, list, note, table};
use super::run::Run;
use super::view::View;

/// What is missing or not whole, if anything is.
pub fn faults(runs: &[Run]) -> String {
    let of = |run: &Run| if runs.len() > 1 { format!("{}: ", run.name) } else { String::new() };
    let sentences = |run: &Run| run.faults.iter().map(|fault| of(run) + fault).collect::<Vec<_>>();
    list("faults", runs.iter().flat_map(sentences))
}

/// One run's figures as tiles, several runs' as a table.
pub fn summary(views: &[View<'_>]) -> String {
    match views {
        [view] => tiles(view),
        views => comparison(views),
    }
}

/// In a few words what a run is.
pub fn subtitle(run: &Run) -> String {
    let stream = run.stream().map(|stream| stream.to_string());
    let recipe = run.recipe().map(|recipe| format!("recipe {recipe}"));
    let split = run.split().map(|split| format!("split {split}"));
    let data = run.settings.as_ref().and_then(|settings| settings.data.as_ref());
    let data = data.map(|data| format!("data {}", data.display()));
    let parts = [stream, run.arch().map(String::from), recipe, split, data];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// Time of all epochs' steps and test passes in seconds, and the percentage of the training steps that was waiting.
fn time(run: &Run) -> Option<(f64, f64)> {
    let (sum, _) = run.seconds()?;
    let training = sum.train.total();
    let wait = if training > 0.0 { 100.0 * sum.train.waiting / training } else { 0.0 };
    Some((training + sum.test.total(), wait))
}

fn tiles(view: &View<'_>) -> String {
    let run = view.run;
    let percent = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2} %"));
    let clips = run.scores.as_ref().map_or_else(String::new, |scores| format!("of {} test clips", scores.names.len()));
    let best = run.best().map_or_else(|| "–".to_owned(), |epoch| epoch.number.to_string());
    let (seconds, wait) = time(run).unzip();
    let damaged = run.state.as_ref().map_or(0, |state| state.damaged);
    let mut tiles = vec![
        ("Top-1", percent(view.top1()), clips),
        ("Top-5", percent(view.top5()), "of the same epoch".to_owned()),
        ("Mean class accuracy", percent(view.mean_class_accuracy()), "of all classes".to_owned()),
        ("Best epoch", best, format!("from 0; {} over", run.progress())),
        ("Time", seconds.map_or_else(|| "–".to_owned(), duration), "steps and test passes".to_owned()),
        ("Waiting for data", percent(wait), "of the training steps".to_owned()),
    ];
    if damaged > 0 {
        tiles.push(("Damaged samples", damaged.to_string(), "replaced by others".to_owned()));
    }
    let tile = |(name, value, words): (&str, String, String)| {
        let (value, words) = (escape(&value), escape(&words));
        format!("<div class=\"tile\"><div>{name}</div><strong>{value}</strong><div>{words}</div></div>")
    };
    format!("<div class=\"tiles\">{}</div>", concat(tiles.into_iter().map(tile))) + &under_way(run)
}

/// Where a run stands that has not finished.
fn under_way(run: &Run) -> String {
    let planned = run.settings.as_ref().and_then(|settings| settings.epochs);
    match (&run.state, planned) {
        (Some(state), Some(planned)) if state.cursor.epoch < planned => {
            let cursor = state.cursor;
            note(&format!(
                "The run has not finished: its checkpoint is in epoch {}, after {} steps of it ({} in all).",
                cursor.epoch, cursor.step, cursor.steps_done
            ))
        }
        _ => String::new(),
    }
}

/// A row a run; the best of each column stands out.
fn comparison(views: &[View<'_>]) -> String {
    let highest = |values: Vec<Option<f64>>| values.into_iter().flatten().fold(f64::NEG_INFINITY, f64::max);
    let best_top1 = highest(views.iter().map(View::top1).collect());
    let best_top5 = highest(views.iter().map(View::top5).collect());
    let best_mean = highest(views.iter().map(View::mean_class_accuracy).collect());
    let figure = |value: Option<f64>, best: f64| match value {
        Some(value) if value >= best => Cell::Best(format!("{value:.2}")),
        value => Cell::percent(value),
    };
    let row = |view: &View<'_>| {
        let run = view.run;
        let (seconds, wait) = time(run).unzip();
        let best = run.best().map_or_else(|| "–".to_owned(), |epoch| epoch.number.to_string());
        vec![
            Cell::Text(run.name.clone()),
            Cell::text(run.stream().map(|stream| stream.to_string())),
            Cell::text(run.arch()),
            Cell::text(run.recipe()),
            Cell::text(run.split()),
            Cell::Number(best),
            figure(view.top1(), best_top1),
            figure(view.top5(), best_top5),
            figure(view.mean_class_accuracy(), best_mean),
            Cell::Number(run.progress()),
            Cell::Number(seconds.map_or_else(|| "–".to_owned(), duration)),
            Cell::percent(wait),
        ]
    };
    let rows: Vec<Vec<Cell>> = views.iter().map(row).collect();
    let head = [
        "run",
        "stream",
        "arch",
        "recipe",
        "split",
        "best epoch",
        "top-1 %",
        "top-5 %",
        "mean class %",
        "epochs",
        "time",
        "data wait %",
    ];
    let words = "Top-1 and top-5 are those of the best epoch's network on the test clips, mean class accuracy gives each class the same weight. \
                 Time is that of steps and test passes; data wait is the part of the training steps spent waiting for pixels.";
    table(&head, &rows) + &note(words)
}
