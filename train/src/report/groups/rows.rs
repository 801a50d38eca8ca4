//! The figures of each group: one row for its test clips and one for its val clips.

use super::grouping::Group;
use super::settings::seed;
use super::statistics::{Estimate, Sample, difference, over_splits, within_splits};
use crate::report::run::Run;
use serde::Serialize;

/// Subsets in the order of the page.
pub const SUBSETS: [&str; 2] = ["test", "val"];

/// The figures of a group, or of a fusion of groups, on the clips of one subset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Stream; several joined by ` + ` for a fusion.
    pub stream: String,
    /// Name of the group; several joined by ` + ` for a fusion of groups with different names.
    pub group: String,
    /// Whether it is a fusion.
    pub fusion: bool,
    /// Subset of the clips.
    pub subset: &'static str,
    /// Subset of the clips that choose the best epoch; `none` if the last epoch counts.
    pub epoch_chosen_on: &'static str,
    /// Number of runs; of a fusion, number of pairs of split and seed.
    pub runs: usize,
    /// Top-1 accuracy of the best epoch in percent.
    pub best: Option<Figures>,
    /// Top-1 accuracy of the last epoch in percent. Unknown on test clips if val clips choose the
    /// epoch, because the last epoch's network is not tested.
    pub last: Option<Figures>,
    /// Difference of the best epoch's accuracy to that of the first row of the stream.
    pub difference: Option<Estimate>,
    /// Accuracy of a fusion above that of its most accurate stream.
    pub gain: Option<Figures>,
    /// Number of the best epoch, from 0.
    pub best_epoch: Option<Sample>,
    /// Time of training steps and test passes in minutes; of a fusion, the sum over the streams.
    pub minutes: Option<Sample>,
    /// Runs that do not count, with the reason.
    pub left_out: Vec<String>,
}

/// A figure of a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Mean over the splits, with its standard error.
    pub mean: Estimate,
    /// Standard deviation over the runs of a split, pooled over the splits.
    pub deviation: Option<f64>,
    /// The splits, in order.
    pub splits: Vec<Split>,
}

/// A figure of the runs of a group on one split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Split {
    /// Name of the split.
    #[serde(rename = "split")]
    pub name: String,
    /// Statistics over the runs.
    #[serde(flatten)]
    pub sample: Sample,
    /// Names of the runs.
    pub runs: Vec<String>,
    /// Value of each run.
    pub values: Vec<f64>,
}

impl Figures {
    /// Returns the figure of these runs: split, name of the run, value. Returns none without a
    /// finite value.
    pub fn of<'a>(values: impl Iterator<Item = (&'a str, &'a str, f64)>) -> Option<Self> {
        let mut splits: Vec<Split> = Vec::new();
        let nothing = Sample { n: 0, mean: 0.0, deviation: None };
        for (split, run, value) in values.filter(|(.., value)| value.is_finite()) {
            let place = splits.iter().position(|other| other.name == split).unwrap_or_else(|| {
                let (name, runs, values) = (split.to_owned(), Vec::new(), Vec::new());
                splits.push(Split { name, sample: nothing, runs, values });
                splits.len() - 1
            });
            splits[place].runs.push(run.to_owned());
            splits[place].values.push(value);
        }
        for split in &mut splits {
            split.sample = Sample::of(&split.values)?;
        }
        splits.sort_by(|a, b| place(&a.name).cmp(&place(&b.name)));
        let samples: Vec<Sample> = splits.iter().map(|split| split.sample).collect();
        Some(Self { mean: over_splits(&samples)?, deviation: within_splits(&samples), splits })
    }

    /// Returns the number of runs.
    pub fn runs(&self) -> usize {
        self.splits.iter().map(|split| split.sample.n).sum()
    }

    /// Returns how far this figure is above another, on the splits that both have.
    fn above(&self, other: &Self) -> Option<Estimate> {
        let of = |split: &Split| other.splits.iter().find(|other| other.name == split.name);
        let pairs: Vec<(Sample, Sample)> =
            self.splits.iter().filter_map(|split| Some((split.sample, of(split)?.sample))).collect();
        difference(&pairs)
    }
}

/// Returns the place of a split among others: numbers come before names.
pub fn place(split: &str) -> (u64, &str) {
    (split.parse().unwrap_or(u64::MAX), split)
}

/// The results of a run that counts in the means, on one subset.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Name of the run.
    pub run: String,
    /// Name of the split.
    pub split: String,
    /// Seed, if it is known.
    pub seed: Option<String>,
    /// Top-1 accuracy of the best epoch in percent.
    pub best: f64,
    /// Top-1 accuracy of the last epoch in percent.
    pub last: Option<f64>,
    /// Number of the best epoch.
    pub best_epoch: Option<usize>,
    /// Time of training steps and test passes.
    pub minutes: Option<f64>,
}

/// Returns the results of a run on the clips of a subset, or the reason why it does not count.
pub fn outcome(run: &Run, subset: &str) -> Result<Outcome, String> {
    let planned = run.settings.as_ref().and_then(|settings| settings.epochs);
    if planned.is_some_and(|planned| run.epochs.len() < planned) {
        return Err(format!("not finished, {} epochs", run.progress()));
    }
    let is_judged = run.judges == subset;
    let scored = match (is_judged, run.subset == subset) {
        (true, _) => run.best().and_then(|best| best.eval),
        (false, true) => run.result(),
        (false, false) => return Err(format!("no result on the {subset} clips yet")),
    };
    let best = scored.map(|scored| scored.top1).filter(|top1| top1.is_finite());
    let best = best.ok_or_else(|| format!("unknown accuracy on the {subset} clips"))?;
    let last = run.epochs.last().and_then(|epoch| epoch.eval).map(|eval| eval.top1);
    Ok(Outcome {
        run: run.name.clone(),
        split: run.split().unwrap_or("unknown").to_owned(),
        seed: seed(run),
        best,
        last: last.filter(|_| is_judged),
        best_epoch: run.best().map(|best| best.number),
        minutes: run.seconds().map(|(sum, _)| (sum.train.total() + sum.test.total()) / 60.0),
    })
}

/// Returns the results of a group's runs on a subset, each with the index of the run, and why others
/// do not count. Of several runs with one split and seed, the first counts: a repetition would look
/// like another seed without any spread.
pub fn outcomes(runs: &[Run], members: &[usize], subset: &str) -> (Vec<(usize, Outcome)>, Vec<String>) {
    let mut known: Vec<(usize, Outcome)> = Vec::new();
    let mut left_out = Vec::new();
    for &member in members {
        match outcome(&runs[member], subset) {
            Ok(own) => {
                let same =
                    |other: &Outcome| own.seed.is_some() && (&other.split, &other.seed) == (&own.split, &own.seed);
                match known.iter().find(|(_, other)| same(other)) {
                    Some((_, other)) => left_out.push(format!("{}: same split and seed as {}", own.run, other.run)),
                    None => known.push((member, own)),
                }
            }
            Err(reason) => left_out.push(format!("{}: {reason}", runs[member].name)),
        }
    }
    (known, left_out)
}

impl Row {
    /// Returns the rows of a group.
    pub fn of(runs: &[Run], group: &Group) -> Vec<Self> {
        let judges = runs[group.members[0]].judges;
        let has_clips = |subset: &str| match subset {
            "test" => judges == "test" || group.members.iter().any(|&member| !runs[member].lacks_test_clips()),
            subset => judges == subset,
        };
        let row = |subset: &'static str| {
            let (outcomes, left_out) = outcomes(runs, &group.members, subset);
            let outcomes: Vec<Outcome> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
            Self {
                stream: group.stream.clone(),
                group: group.name.clone(),
                subset,
                epoch_chosen_on: runs[group.members[0]].epoch_chosen_on(),
                runs: group.members.len(),
                left_out,
                ..Self::of_outcomes(&outcomes)
            }
        };
        SUBSETS.into_iter().filter(|subset| has_clips(subset)).map(row).collect()
    }

    /// Returns a row of these results without names.
    pub fn of_outcomes(outcomes: &[Outcome]) -> Self {
        let figures = |value: fn(&Outcome) -> Option<f64>| {
            let values = outcomes.iter().filter_map(|o| Some((o.split.as_str(), o.run.as_str(), value(o)?)));
            Figures::of(values)
        };
        let sample = |value: fn(&Outcome) -> Option<f64>| {
            Sample::of(&outcomes.iter().filter_map(value).filter(|value| value.is_finite()).collect::<Vec<_>>())
        };
        Self {
            stream: String::new(),
            group: String::new(),
            fusion: false,
            subset: SUBSETS[0],
            epoch_chosen_on: SUBSETS[0],
            runs: outcomes.len(),
            best: figures(|outcome| Some(outcome.best)),
            last: figures(|outcome| outcome.last),
            difference: None,
            gain: None,
            best_epoch: sample(|outcome| outcome.best_epoch.map(|epoch| epoch as f64)),
            minutes: sample(|outcome| outcome.minutes),
            left_out: Vec::new(),
        }
    }

    /// Returns the number of runs that count.
    pub fn counted(&self) -> usize {
        self.best.as_ref().map_or(0, Figures::runs)
    }
}

/// Compares each row with the first of the same stream and subset. Accuracies that the test clips
/// chose are not compared with others.
pub fn compare(rows: &mut [Row]) {
    for at in 0..rows.len() {
        let (before, rest) = rows.split_at_mut(at);
        let row = &mut rest[0];
        let kind = |row: &Row| (row.subset, row.epoch_chosen_on == "test");
        let is_base = |base: &&Row| base.stream == row.stream && kind(base) == kind(row);
        let base = before.iter().find(is_base).and_then(|base| base.best.as_ref());
        row.difference = row.best.as_ref().zip(base).and_then(|(own, base)| own.above(base));
    }
}
