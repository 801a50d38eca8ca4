//! The table of the groups, and the sentences that explain it.

use super::points::with_spread;
use super::rows::{Figures, Row, place};
use crate::report::html::{Cell, concat, escape, list, note, table};

/// Largest number of splits that have a column each.
const COLUMNS: usize = 5;
/// Largest number of sentences that are not folded.
const SENTENCES: usize = 4;

/// Returns the table of these rows, which are of one subset, with its notes.
pub fn groups_table(rows: &[&Row]) -> String {
    let splits = splits(rows);
    let has = |value: fn(&Row) -> bool| rows.iter().any(|row| value(row));
    let has_last = has(|row| row.last.is_some());
    let has_difference = has(|row| row.difference.is_some());
    let has_gain = has(|row| row.gain.is_some());
    let mut head = vec!["Stream".to_owned(), "Group".into(), "Splits".into(), "Seeds".into()];
    if splits.len() <= COLUMNS {
        head.extend(splits.iter().map(|split| format!("Split {split} (%)")));
    }
    if splits.len() > 1 {
        head.push("Mean of splits (%)".into());
    }
    for (is_shown, name) in [
        (has_last, "Last epoch (%)"),
        (has_difference, "Difference"),
        (has_gain, "Gain by fusion"),
        (true, "Best epoch"),
        (true, "Minutes"),
    ] {
        if is_shown {
            head.push(name.into());
        }
    }
    let cells = |row: &&Row| {
        let seeds = row.best.as_ref().map_or_else(|| "0".into(), seeds);
        let seeds =
            if row.left_out.is_empty() { seeds } else { format!("{seeds} ({} of {})", row.counted(), row.runs) };
        let of = row.best.as_ref().map_or(0, |figures| figures.splits.len());
        let mut cells = vec![
            Cell::Text(row.stream.clone()),
            Cell::Text(row.group.clone()),
            Cell::Number(of.to_string()),
            Cell::Number(seeds),
        ];
        if splits.len() <= COLUMNS {
            cells.extend(splits.iter().map(|split| Cell::Number(of_split(row.best.as_ref(), split))));
        }
        if splits.len() > 1 {
            let mean = overall(row.best.as_ref());
            cells.push(if is_best(row, rows) { Cell::Best(mean) } else { Cell::Number(mean) });
        }
        if has_last {
            cells.push(Cell::Number(overall(row.last.as_ref())));
        }
        if has_difference {
            let difference = row.difference.map(|difference| signed(difference.value, difference.error));
            cells.push(Cell::Number(difference.unwrap_or_else(|| "–".into())));
        }
        if has_gain {
            let gain = |gain: &Figures| signed(gain.mean.value, gain.mean.error.or(gain.deviation));
            cells.push(Cell::Number(row.gain.as_ref().map_or_else(|| "–".into(), gain)));
        }
        let number = |value: Option<f64>| Cell::Number(value.map_or_else(|| "–".into(), |value| format!("{value:.1}")));
        cells.push(number(row.best_epoch.map(|epoch| epoch.mean)));
        cells.push(number(row.minutes.map(|minutes| minutes.mean)));
        cells
    };
    let body: Vec<Vec<Cell>> = rows.iter().map(cells).collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let subset = rows.first().map_or("", |row| row.subset);
    table(&format!("Accuracy of the groups on the {subset} clips"), &head, &body)
        + &notes(rows, splits.len(), has_difference, has_gain)
}

/// Returns the splits of all rows, in order.
fn splits(rows: &[&Row]) -> Vec<String> {
    let all = rows.iter().filter_map(|row| row.best.as_ref()).flat_map(|figures| &figures.splits);
    let mut splits: Vec<String> = all.map(|split| split.name.clone()).collect();
    splits.sort_by(|a, b| place(a).cmp(&place(b)));
    splits.dedup();
    splits
}

/// Returns the number of runs per split: `3`, or `2–3` if the splits differ.
fn seeds(figures: &Figures) -> String {
    let numbers = || figures.splits.iter().map(|split| split.sample.n);
    match (numbers().min(), numbers().max()) {
        (Some(low), Some(high)) if low < high => format!("{low}–{high}"),
        (_, high) => high.unwrap_or(0).to_string(),
    }
}

fn of_split(figures: Option<&Figures>, split: &str) -> String {
    let found = figures.and_then(|figures| figures.splits.iter().find(|other| other.name == split));
    match found.map(|split| split.sample) {
        None => "–".to_owned(),
        Some(sample) if sample.n == 1 => format!("{:.2} (one run)", sample.mean),
        Some(sample) => with_spread(sample.mean, sample.deviation),
    }
}

/// Returns the mean over the splits, with its error. Of one split, the spread over its runs.
fn overall(figures: Option<&Figures>) -> String {
    match figures {
        None => "–".to_owned(),
        Some(figures) => match figures.splits.as_slice() {
            [split] => of_split(Some(figures), &split.name),
            _ => with_spread(figures.mean.value, figures.mean.error),
        },
    }
}

fn signed(value: f64, error: Option<f64>) -> String {
    // Without the sign of a negative zero.
    let value = if value.abs() < 0.005 { 0.0 } else { value };
    let sign = if value > 0.0 { "+" } else { "" };
    format!("{sign}{}", with_spread(value, error)).replace('-', "\u{2212}")
}

/// Returns whether a row has the highest mean of several groups of its stream.
fn is_best(row: &Row, rows: &[&Row]) -> bool {
    let is_fair = |row: &Row| row.epoch_chosen_on != "test";
    let alike = |other: &&&Row| other.stream == row.stream && is_fair(other) == is_fair(row);
    let means = || rows.iter().filter(alike).filter_map(|row| Some(row.best.as_ref()?.mean.value));
    let best = means().fold(f64::NEG_INFINITY, f64::max);
    means().count() > 1 && row.best.as_ref().is_some_and(|own| own.mean.value >= best)
}

fn notes(rows: &[&Row], splits: usize, has_difference: bool, has_gain: bool) -> String {
    let mut words = String::from("Top-1 accuracy of the best epoch.");
    if rows.iter().any(|row| row.best.as_ref().is_some_and(|best| best.deviation.is_some())) {
        words += " ± in a split is the standard deviation over its seeds.";
    }
    if splits > 1 {
        words += " ± of the mean is its standard error over the splits.";
    }
    if has_difference {
        words += " The difference is to the first group of the stream, on the splits of both, ± its standard error.";
    }
    if has_gain {
        words += " A fusion adds the logits of runs of one split and seed. Its gain is over the most accurate of them.";
    }
    words += " Minutes are those of training and test passes, per run.";
    let mut html = note(&words);
    let of_test = rows.iter().filter(|row| row.subset == "test" && row.epoch_chosen_on == "test").count();
    if of_test > 0 {
        let whose = if of_test == rows.len() { "the best epoch" } else { "the best epoch of some groups" };
        html += &note(&format!(
            "The test clips choose {whose}, so its accuracy is too high by a little. The last epoch is free of that."
        ));
    }
    let left_out = || rows.iter().flat_map(|row| row.left_out.iter().map(|run| format!("Does not count: {run}.")));
    let sentences = list("starts", left_out());
    match left_out().count() {
        0..=SENTENCES => html + &sentences,
        runs => {
            let summary = escape(&format!("{runs} runs do not count"));
            html + &format!("<details class=\"inner\"><summary>{summary}</summary>{sentences}</details>")
        }
    }
}

/// Returns one sentence per stream: its best group.
pub fn best_groups(rows: &[Row], subset: &str) -> String {
    let mut streams: Vec<&str> = Vec::new();
    for row in rows.iter().filter(|row| row.subset == subset && row.best.is_some()) {
        if !streams.contains(&row.stream.as_str()) {
            streams.push(&row.stream);
        }
    }
    let best = |stream: &&str| {
        let of = rows.iter().filter(|row| row.subset == subset && row.stream == **stream);
        let known = of.filter_map(|row| Some((row, row.best.as_ref()?)));
        let best = known.reduce(|best, other| if other.1.mean.value > best.1.mean.value { other } else { best });
        best.map_or_else(String::new, |(row, figures)| {
            let (value, name) = (overall(Some(figures)), &row.group);
            format!("<li>{}: <b>{} %</b> ({})</li>", escape(stream), escape(&value), escape(name))
        })
    };
    concat(streams.iter().map(best))
}
