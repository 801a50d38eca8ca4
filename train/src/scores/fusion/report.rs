//! What fusion gives, as a table and as JSON.

use crate::base::table::table;
use serde::Serialize;

/// How right each strategy is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Number of clips, of all splits together.
    pub clips: usize,
    /// Single streams, average, max, then the ratios, then fitted weights. Of several splits their mean.
    pub results: Vec<Outcome>,
    /// Each split, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub splits: Vec<Report>,
    /// Where the scores and labels come from, for the table.
    #[serde(skip)]
    pub(super) heading: String,
    /// Names of the streams.
    #[serde(skip)]
    pub(super) streams: Vec<String>,
}

/// How right one strategy is, in percent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// `single`, `average`, `max`, `weighted` or `fitted`.
    pub strategy: &'static str,
    /// Weights of the streams; none for max.
    pub ratio: Option<String>,
    /// The label has the best score.
    pub top1: f64,
    /// The label is among the five best.
    pub top5: f64,
    /// Mean over the classes that have clips of top-1 on their clips.
    pub mean_class: f64,
}

impl Report {
    /// The mean over splits of the same strategies.
    pub(super) fn mean(splits: Vec<Self>) -> Self {
        let n = splits.len() as f64;
        let mean =
            |at: usize, of: fn(&Outcome) -> f64| splits.iter().map(|split| of(&split.results[at])).sum::<f64>() / n;
        let first = &splits[0];
        let outcome = |(at, outcome): (usize, &Outcome)| Outcome {
            strategy: outcome.strategy,
            // Weights are fitted for each split.
            ratio: outcome.ratio.clone().filter(|_| outcome.strategy != "fitted"),
            top1: mean(at, |o| o.top1),
            top5: mean(at, |o| o.top5),
            mean_class: mean(at, |o| o.mean_class),
        };
        let results = first.results.iter().enumerate().map(outcome).collect();
        let clips = splits.iter().map(|split| split.clips).sum();
        let sources: Vec<&str> = splits.iter().map(|split| split.heading.as_str()).collect();
        let heading = format!("mean over {} splits\n{}", splits.len(), sources.join("\n"));
        Self { clips, results, heading, streams: first.streams.clone(), splits }
    }

    /// An aligned table for people; the best top-1 is marked.
    pub fn table(&self) -> String {
        let name =
            |(at, outcome): (usize, &Outcome)| self.streams.get(at).map_or(outcome.strategy, String::as_str).to_owned();
        let best = self.best();
        let of_splits: Vec<String> = (1..=self.splits.len()).map(|split| format!("split {split}")).collect();
        let row = |(at, outcome): (usize, &Outcome)| {
            let mark = if Some(at) == best { "best" } else { "" };
            let mut row = vec![name((at, outcome)), outcome.ratio.as_deref().unwrap_or("-").into()];
            row.extend([outcome.top1, outcome.top5, outcome.mean_class].map(|percent| format!("{percent:.4}")));
            row.extend(self.splits.iter().map(|split| format!("{:.4}", split.results[at].top1)));
            row.push(mark.into());
            row
        };
        let rows: Vec<_> = self.results.iter().enumerate().map(row).collect();
        let mut head = vec!["strategy", "ratio", "top-1", "top-5", "class mean"];
        head.extend(of_splits.iter().map(String::as_str));
        head.push("");
        format!("{}\n\n{}", self.heading, table(&head, &rows))
    }

    /// The first of those with the highest top-1 and, among these, top-5.
    fn best(&self) -> Option<usize> {
        let key = |at: &usize| (self.results[*at].top1, self.results[*at].top5);
        (0..self.results.len()).rev().max_by(|a, b| key(a).partial_cmp(&key(b)).unwrap_or(std::cmp::Ordering::Equal))
    }
}
