//! Fused accuracies of groups of different streams. The runs of one split and seed form a pair.

use super::grouping::Group;
use super::rows::{Figures, Outcome, Row, SUBSETS, outcomes};
use crate::report::run::Run;
use crate::scores::Scores;
use crate::scores::accuracy::accuracy;
use crate::scores::fusion::align;
use crate::scores::fusion::combine::Strategy;

/// Largest number of combinations of groups that are fused.
pub const MOST: usize = 40;

/// The groups that a fusion combines, one per stream.
type Combination<'a> = Vec<&'a Group>;

/// Returns a row for each combination of groups of different streams that have runs of the same
/// split and seed. Combinations of groups with one name come first.
pub fn rows(runs: &[Run], groups: &[Group]) -> Vec<Row> {
    let mut rows = Vec::new();
    for combination in combinations(groups) {
        for subset in SUBSETS {
            rows.extend(row(runs, &combination, subset));
        }
    }
    rows
}

/// Returns the combinations of groups of two or more streams: those of two streams first.
fn combinations(groups: &[Group]) -> Vec<Combination<'_>> {
    let mut all: Vec<Combination<'_>> = vec![Vec::new()];
    let mut streams: Vec<&str> = Vec::new();
    for group in groups {
        if !streams.contains(&group.stream.as_str()) {
            streams.push(&group.stream);
        }
    }
    for stream in streams {
        let of_stream = || groups.iter().filter(|group| group.stream == stream);
        let longer = all.iter().flat_map(|start| of_stream().map(move |group| [start.as_slice(), &[group]].concat()));
        let longer: Vec<Combination<'_>> = longer.collect();
        all.extend(longer);
        // Equal names first, so that the limit omits combinations of different ones.
        all.sort_by_key(|combination| (names(combination).len().max(1), combination.len()));
        all.truncate(MOST * 4);
    }
    all.retain(|combination| combination.len() > 1);
    all.truncate(MOST);
    let streams = |combination: &Combination<'_>| combination.iter().map(|g| g.stream.clone()).collect::<Vec<_>>();
    let mut order: Vec<Vec<String>> = Vec::new();
    for combination in &all {
        if !order.contains(&streams(combination)) {
            order.push(streams(combination));
        }
    }
    order.sort_by_key(Vec::len);
    all.sort_by_key(|combination| order.iter().position(|other| *other == streams(combination)));
    all
}

/// Returns the different names of a combination's groups, in order.
fn names<'a>(combination: &[&'a Group]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for group in combination {
        if !names.contains(&group.name.as_str()) {
            names.push(&group.name);
        }
    }
    names
}

/// Returns the row of a combination on a subset; none if no split and seed has a run of each group
/// with scores.
fn row(runs: &[Run], combination: &[&Group], subset: &'static str) -> Option<Row> {
    // A run stores the scores of one subset for the page: those of the test clips once it is tested.
    let usable = |group: &&Group| {
        let (mut known, _) = outcomes(runs, &group.members, subset);
        known.retain(|(run, _)| runs[*run].subset == subset);
        known
    };
    let members: Vec<Vec<(usize, Outcome)>> = combination.iter().map(usable).collect();
    let (first, others) = members.split_first()?;
    let (mut fused, mut gains, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    let mut pairs = 0;
    for (run, outcome) in first {
        let is_partner = |(_, other): &&(usize, Outcome)| {
            outcome.seed.is_some() && (&other.split, &other.seed) == (&outcome.split, &outcome.seed)
        };
        let partners: Option<Vec<&(usize, Outcome)>> = others.iter().map(|of| of.iter().find(is_partner)).collect();
        let Some(partners) = partners else { continue };
        pairs += 1;
        let numbers: Vec<usize> = std::iter::once(*run).chain(partners.iter().map(|(run, _)| *run)).collect();
        let outcomes: Vec<&Outcome> = std::iter::once(outcome).chain(partners.iter().map(|(_, other)| other)).collect();
        let name = outcomes.iter().map(|outcome| outcome.run.as_str()).collect::<Vec<_>>().join(" + ");
        let members: Vec<&Run> = numbers.iter().map(|&number| &runs[number]).collect();
        match top1(&members, subset) {
            Ok(best) => {
                let single = outcomes.iter().map(|outcome| outcome.best).fold(f64::NEG_INFINITY, f64::max);
                gains.push((outcome.split.clone(), name.clone(), best - single));
                let minutes: Option<Vec<f64>> = outcomes.iter().map(|outcome| outcome.minutes).collect();
                let minutes = minutes.map(|minutes| minutes.iter().sum());
                let (split, seed) = (outcome.split.clone(), outcome.seed.clone());
                fused.push(Outcome { run: name, split, seed, best, last: None, best_epoch: None, minutes });
            }
            Err(reason) => left_out.push(format!("{name}: {reason}")),
        }
    }
    let chosen_on = combination.iter().map(|group| runs[group.members[0]].epoch_chosen_on());
    let chosen_on = chosen_on.reduce(|one, other| if one == "test" { one } else { other })?;
    let streams: Vec<&str> = combination.iter().map(|group| group.stream.as_str()).collect();
    (pairs > 0).then(|| Row {
        stream: streams.join(" + "),
        group: names(combination).join(" + "),
        fusion: true,
        subset,
        epoch_chosen_on: chosen_on,
        runs: pairs,
        gain: Figures::of(gains.iter().map(|(split, run, gain)| (split.as_str(), run.as_str(), *gain))),
        left_out,
        ..Row::of_outcomes(&fused)
    })
}

/// Returns the accuracy of the average of several runs in percent, as `ucftrain fuse` computes it.
///
/// # Errors
/// A run has no scores of the subset, or the scores have other clips, classes or labels.
fn top1(runs: &[&Run], subset: &str) -> Result<f64, String> {
    let of = |run: &Run| match &run.scores {
        Some(scores) if run.subset == subset => Ok(scores.clone()),
        _ => Err(format!("{} has no scores of {subset} clips", run.name)),
    };
    let (Some(&first), mut all) = (runs.first(), Vec::new()) else { return Err("no runs".to_owned()) };
    let start = of(first)?;
    let labels = start.labels.clone().ok_or_else(|| format!("the scores of {} have no labels", first.name))?;
    for run in &runs[1..] {
        let scores: Scores = align(&of(run)?, &run.dir, &start, &first.dir).map_err(|error| format!("{error:#}"))?;
        if scores.labels.as_ref().is_some_and(|other| *other != labels) {
            return Err("the scores have different labels".to_owned());
        }
        all.push(scores);
    }
    all.insert(0, start);
    let logits: Vec<&[f32]> = all.iter().map(|scores| scores.logits.as_slice()).collect();
    Ok(accuracy(&Strategy::Average.combine(&logits), all[0].classes, &labels).top1)
}
