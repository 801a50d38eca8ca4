//! The results of a fusion, as a table and as JSON.

use crate::base::table::table;
use serde::Serialize;

/// The accuracy of each strategy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Number of clips in all splits.
    pub clips: usize,
    /// Name of the clips' subset, such as `test`, if the scores files say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subset: Option<String>,
    /// Results of single streams, average, max, the ratios and fitted weights; the mean over
    /// several splits.
    pub results: Vec<Outcome>,
    /// Results of each split, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub splits: Vec<Report>,
    /// Heading of the table, which names the sources of scores and labels.
    #[serde(skip)]
    pub(super) heading: String,
    /// Names of the streams.
    #[serde(skip)]
    pub(super) streams: Vec<String>,
}

/// The accuracy of one strategy in percent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// `single`, `average`, `max`, `weighted`, `fitted` or `fitted-classes`.
    pub strategy: &'static str,
    /// Weights of the streams; none for max.
    pub ratio: Option<String>,
    /// Top-1 accuracy.
    pub top1: f64,
    /// Top-5 accuracy.
    pub top5: f64,
    /// Mean of the top-1 accuracies of all classes with clips.
    pub mean_class: f64,
}

impl Report {
    /// Returns the mean of the results over the splits.
    pub(super) fn mean(splits: Vec<Self>) -> Self {
        let n = splits.len() as f64;
        let mean =
            |at: usize, of: fn(&Outcome) -> f64| splits.iter().map(|split| of(&split.results[at])).sum::<f64>() / n;
        let first = &splits[0];
        let outcome = |(at, outcome): (usize, &Outcome)| Outcome {
            strategy: outcome.strategy,
            // Fitted weights differ between splits.
            ratio: outcome.ratio.clone().filter(|_| outcome.strategy != "fitted"),
            top1: mean(at, |o| o.top1),
            top5: mean(at, |o| o.top5),
            mean_class: mean(at, |o| o.mean_class),
        };
        let results = first.results.iter().enumerate().map(outcome).collect();
        let clips = splits.iter().map(|split| split.clips).sum();
        let sources: Vec<&str> = splits.iter().map(|split| split.heading.as_str()).collect();
        let heading = format!("mean over {} splits\n{}", splits.len(), sources.join("\n"));
        let subset = first.subset.clone().filter(|_| splits.iter().all(|split| split.subset == first.subset));
        Self { clips, subset, results, heading, streams: first.streams.clone(), splits }
    }

    /// Formats the results as an aligned table that marks the best strategy.
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
        let mut head = vec!["strategy", "ratio", "top-1 %", "top-5 %", "class mean %"];
        head.extend(of_splits.iter().map(String::as_str));
        head.push("");
        format!("{}\n\n{}", self.heading, table(&head, &rows))
    }

    /// Returns the index of the strategy with the highest top-1 accuracy. Top-5 accuracy and then
    /// the order decide between equals.
    fn best(&self) -> Option<usize> {
        let key = |at: &usize| (self.results[*at].top1, self.results[*at].top5);
        (0..self.results.len()).rev().max_by(|a, b| key(a).partial_cmp(&key(b)).unwrap_or(std::cmp::Ordering::Equal))
    }
}
