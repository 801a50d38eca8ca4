//! The first part of the page: what the runs are, their accuracy, and problems with their files.

use super::groups::seed;
use super::html::{Cell, concat, duration, escape, list, note, table};
use super::run::Run;
use super::view::View;

/// Lists the files that are missing, incomplete or contradictory; empty if there are none.
pub fn faults(runs: &[Run]) -> String {
    let of = |run: &Run| if runs.len() > 1 { format!("{}: ", run.name) } else { String::new() };
    let sentences = |run: &Run| run.faults.iter().map(|fault| of(run) + fault).collect::<Vec<_>>();
    list("faults", runs.iter().flat_map(sentences))
}

/// Returns the answer of the page: one run's figures as tiles, or several runs' figures as a table.
/// `average` is the accuracy of their average in percent, if they can be fused.
pub fn summary(views: &[View<'_>], average: Option<f64>) -> String {
    match views {
        [view] => lead(view) + &tiles(view) + &under_way(view.run),
        views => leader(views, average) + &comparison(views),
    }
}

/// Describes a run in a few words.
pub fn subtitle(run: &Run) -> String {
    let stream = run.stream().map(|stream| stream.to_string());
    let recipe = run.recipe().map(|recipe| format!("recipe {recipe}"));
    let split = run.split().map(|split| format!("split {split}"));
    let data = run.settings.as_ref().and_then(|settings| settings.data.as_ref());
    let data = data.map(|data| format!("dataset {}", data.display()));
    let parts = [stream, run.arch().map(String::from), recipe, split, data];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// Returns the time of all training steps and test passes in seconds, and the percentage of the
/// training steps that was waiting.
fn time(run: &Run) -> Option<(f64, f64)> {
    let (sum, _) = run.seconds()?;
    let training = sum.train.total();
    let wait = if training > 0.0 { 100.0 * sum.train.waiting / training } else { 0.0 };
    Some((training + sum.test.total(), wait))
}

fn paragraph(text: &str) -> String {
    format!("<p class=\"lead\">{}</p>", escape(text))
}

/// Names the clips of a run's accuracy: `28 test clips`.
fn clips(view: &View<'_>) -> String {
    let number = view.run.scores.as_ref().map(|scores| format!("{} ", scores.names.len()));
    format!("{}{} clips", number.unwrap_or_default(), view.run.subset)
}

/// Says in one sentence how good a run is.
fn lead(view: &View<'_>) -> String {
    let run = view.run;
    let no_test = match (run.subset, run.lacks_test_clips()) {
        ("test", _) => "",
        (_, true) => " The split has no test clips.",
        (_, false) => " It has not been evaluated on the test clips yet.",
    };
    paragraph(&match (run.best(), view.top1()) {
        (Some(best), Some(top1)) => format!(
            "The network of epoch {} predicts the class of {top1:.2} % of the {} correctly.{no_test}",
            best.number,
            clips(view)
        ),
        (Some(best), None) => format!(
            "Epoch {} is the best on the {} clips. The accuracy on the {} clips is unknown.",
            best.number, run.judges, run.subset
        ),
        (None, Some(top1)) => {
            format!("The network predicts the class of {top1:.2} % of the {} clips correctly.", run.subset)
        }
        (None, None) => "No epoch has been evaluated yet.".to_owned(),
    })
}

/// Gives the accuracy of the average of several runs, and names the most accurate run.
fn leader(views: &[View<'_>], average: Option<f64>) -> String {
    let known = views.iter().filter_map(|view| Some((view, view.top1()?)));
    let best = known.reduce(|best, other| if other.1 > best.1 { other } else { best });
    let Some((view, top1)) = best else {
        return paragraph("None of these runs has been evaluated yet.");
    };
    let (name, clips) = (&view.run.name, clips(view));
    paragraph(&match average {
        Some(average) => format!(
            "The average of these {} runs predicts the class of {average:.2} % of the {clips} correctly. The best \
             single run is {name} with {top1:.2} %.",
            views.len()
        ),
        None => format!("The best of these {} runs is {name}: {top1:.2} % of the {clips} are correct.", views.len()),
    })
}

fn tiles(view: &View<'_>) -> String {
    let run = view.run;
    let percent = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2} %"));
    let best = run.best().map_or_else(|| "–".to_owned(), |epoch| epoch.number.to_string());
    let (seconds, wait) = time(run).unzip();
    let damaged = run.state.as_ref().map_or(0, |state| state.damaged);
    let mut tiles = vec![
        ("Accuracy (top-1)", percent(view.top1()), format!("of {}", clips(view))),
        ("Top-5 accuracy", percent(view.top5()), "class among the five best".to_owned()),
        ("Mean class accuracy", percent(view.mean_class_accuracy()), "each class counts the same".to_owned()),
        ("Best epoch", best, format!("counted from 0; {} done", run.progress())),
        ("Time", seconds.map_or_else(|| "–".to_owned(), duration), "training and test passes".to_owned()),
        ("Waiting for data", percent(wait), "of the time of training steps".to_owned()),
    ];
    if damaged > 0 {
        tiles.push(("Damaged samples", damaged.to_string(), "replaced by others".to_owned()));
    }
    let tile = |(name, value, words): (&str, String, String)| {
        let (value, words) = (escape(&value), escape(&words));
        format!("<div class=\"tile\"><dt>{name}</dt><dd><strong>{value}</strong>{words}</dd></div>")
    };
    format!("<dl class=\"tiles\">{}</dl>", concat(tiles.into_iter().map(tile)))
}

/// Says where a run stands that has not finished; empty if it has.
pub fn under_way(run: &Run) -> String {
    let planned = run.settings.as_ref().and_then(|settings| settings.epochs);
    match (&run.state, planned) {
        (Some(state), Some(planned)) if state.cursor.epoch < planned => {
            let cursor = state.cursor;
            note(&format!(
                "The run has not finished. Its checkpoint is in epoch {}, after step {} of that epoch; the run has \
                 taken {} steps.",
                cursor.epoch, cursor.step, cursor.steps_done
            ))
        }
        _ => String::new(),
    }
}

/// Returns a table with one row per run, in which the best value of each column stands out.
pub fn comparison(views: &[View<'_>]) -> String {
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
            figure(view.top1(), best_top1),
            figure(view.top5(), best_top5),
            figure(view.mean_class_accuracy(), best_mean),
            Cell::Text(run.subset.to_owned()),
            Cell::Number(best),
            Cell::Number(run.progress()),
            Cell::Number(seconds.map_or_else(|| "–".to_owned(), duration)),
            Cell::percent(wait),
            Cell::text(run.stream().map(|stream| stream.to_string())),
            Cell::text(run.arch()),
            Cell::text(run.recipe()),
            Cell::text(run.split()),
            Cell::text(seed(run)),
        ]
    };
    let rows: Vec<Vec<Cell>> = views.iter().map(row).collect();
    let head = [
        "Run",
        "Accuracy (%)",
        "Top-5 (%)",
        "Class mean (%)",
        "Clips",
        "Best epoch",
        "Epochs",
        "Time",
        "Data wait (%)",
        "Stream",
        "Network",
        "Recipe",
        "Split",
        "Seed",
    ];
    let words = "Accuracy (top-1) and top-5 are those of the best epoch's network on the clips of the subset in the \
                 column Clips. The class mean counts each class the same. Epochs count from 0. Time includes training \
                 steps and test passes. Data wait is the share of the training steps' time that was spent waiting for \
                 data.";
    table("Accuracy and time of each run", &head, &rows) + &note(words)
}
