//! The part of the page that compares groups of runs, with error bars over seeds and splits.
//!
//! `settings` and `grouping` find the groups, `rows` has their figures with the `statistics`, and
//! `fusions` those of fused groups. `table`, `points` and `curves` show them.

mod curves;
mod fusions;
mod grouping;
mod points;
mod rows;
mod settings;
mod statistics;
mod table;
#[cfg(test)]
mod tests;

use super::html::{columns, figure, note, section};
use super::run::Run;
use grouping::Group;
use rows::{Row, SUBSETS};
use serde_json::{Value, json};

pub use curves::of_run;
pub use settings::seed;

/// The groups of runs and their figures.
pub struct Comparison {
    groups: Vec<Group>,
    rows: Vec<Row>,
}

impl Comparison {
    /// Groups runs, and computes the figures of each group and of each fusion of groups.
    pub fn of(runs: &[Run]) -> Self {
        let groups = grouping::groups(runs);
        let mut rows: Vec<Row> = groups.iter().flat_map(|group| Row::of(runs, group)).collect();
        rows.extend(fusions::rows(runs, &groups));
        rows::compare(&mut rows);
        Self { groups, rows }
    }

    /// Returns the stream and the name of a run's group.
    pub fn group_of(&self, run: usize) -> (&str, &str) {
        let group = self.groups.iter().find(|group| group.members.contains(&run));
        group.map_or(("", ""), |group| (group.stream.as_str(), group.name.as_str()))
    }

    /// Returns the indices of the runs in the order of their groups.
    pub fn in_order(&self) -> impl Iterator<Item = usize> {
        self.groups.iter().flat_map(|group| group.members.iter().copied())
    }

    /// Returns the first paragraph of a page of many runs: the best group of each stream.
    pub fn lead(&self, runs: usize) -> String {
        let groups =
            if self.groups.len() == 1 { "1 group".to_owned() } else { format!("{} groups", self.groups.len()) };
        let best = SUBSETS.iter().map(|subset| (subset, table::best_groups(&self.rows, subset)));
        match best.into_iter().find(|(_, best)| !best.is_empty()) {
            None => format!("<p class=\"lead\">{runs} runs in {groups}. None has a result yet.</p>"),
            Some((subset, best)) => format!(
                "<div class=\"lead\"><p>{runs} runs in {groups}. The best groups on the {subset} clips:</p>\
                 <ul>{best}</ul></div>"
            ),
        }
    }

    /// Returns the section about the groups: tables, points and learning curves.
    pub fn section(&self, runs: &[Run]) -> String {
        let mut parts = Vec::new();
        for subset in SUBSETS {
            let rows: Vec<&Row> = self.rows.iter().filter(|row| row.subset == subset).collect();
            if rows.is_empty() {
                continue;
            }
            let (heading, words) = (format!("Accuracy on the {subset} clips"), points_caption(&rows));
            let points = points::points(&rows);
            let runs_heading = format!("Each run on the {subset} clips");
            let points = if points.is_empty() { points } else { figure(&runs_heading, &points, &words) };
            let table = table::groups_table(&rows);
            // The test clips answer the question; the val clips only choose epochs.
            parts.push(if parts.is_empty() {
                format!("<div class=\"panel groups\"><h3>{heading}</h3>{table}</div>{points}")
            } else {
                format!("<details class=\"groups\"><summary>{heading}</summary>{table}{points}</details>")
            });
        }
        parts.push(self.no_fusion());
        // The curves of single runs are in the section about training.
        if self.groups.iter().any(|group| group.members.len() > 1) {
            parts.push(columns(&curves::charts(runs, &self.groups)));
        }
        section("Groups of runs with the same settings", &parts.concat())
    }

    /// Says why groups of different streams are not fused.
    fn no_fusion(&self) -> String {
        let streams = self.groups.iter().any(|group| group.stream != self.groups[0].stream);
        let fusions = self.rows.iter().filter(|row| row.fusion).count();
        if streams && fusions == 0 {
            return note("Not fused: no runs of different streams have the same split and seed, and scores.");
        }
        if fusions < fusions::MOST {
            return String::new();
        }
        note(&format!("Only {} combinations of groups are fused.", fusions::MOST))
    }

    /// Returns the figures as JSON.
    pub fn json(&self, runs: &[Run]) -> Value {
        let of_run = |(number, run): (usize, &Run)| {
            let (stream, group) = self.group_of(number);
            let on = |subset| rows::outcome(run, subset);
            let top1 = |subset| on(subset).ok().map(|outcome| outcome.best);
            let last = on(run.judges).ok().and_then(|outcome| outcome.last);
            let minutes = run.seconds().map(|(sum, _)| (sum.train.total() + sum.test.total()) / 60.0);
            json!({
                "run": run.name, "folder": run.dir.display().to_string(), "stream": stream, "group": group,
                "split": run.split(), "seed": seed(run), "epochs": run.epochs.len(),
                "epoch_chosen_on": run.epoch_chosen_on(), "best_epoch": run.best().map(|best| best.number),
                "test_top1": top1("test"), "val_top1": top1("val"), "last_epoch_top1": last, "minutes": minutes,
                "faults": run.faults,
            })
        };
        json!({ "groups": self.rows, "runs": runs.iter().enumerate().map(of_run).collect::<Vec<_>>() })
    }
}

fn points_caption(rows: &[&Row]) -> String {
    let figures = || rows.iter().filter_map(|row| row.best.as_ref());
    let mut words = String::from("Top-1 accuracy in percent. Each dot is a run");
    if figures().any(|figures| figures.deviation.is_some()) {
        words += ", the bar their mean, the whisker ± the standard deviation over the seeds";
    } else {
        words += "; one run has no whisker";
    }
    words += ".";
    if figures().any(|figures| figures.splits.len() > 1) {
        words += " The large dot is the mean over the splits, its whisker ± the standard error over them.";
    }
    words
}
