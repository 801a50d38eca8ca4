//! Learning curves of groups: the mean over the runs, with a band of its standard deviation.

use super::grouping::Group;
use super::rows::{outcomes, place};
use super::statistics::{Sample, over_splits, within_splits};
use crate::report::chart::{Mark, colour, legend};
use crate::report::epochs::Epoch;
use crate::report::html::{concat, escape, figure};
use crate::report::run::Run;
use crate::report::scale::Scale;
use std::collections::BTreeMap;

/// Height of the drawing in its own units, which the page stretches.
const SIZE: f64 = 1000.0;
/// Number of colours that are used before lines are dashed.
const COLOURS: usize = 8;

/// A line of a chart: epoch, value and deviation.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Points in the order of epochs.
    pub points: Vec<(usize, f64, Option<f64>)>,
    /// Number of its colour; it is dashed from 8 on.
    pub number: usize,
}

/// Returns a chart for each stream and subset, with one line per group.
pub fn charts(runs: &[Run], groups: &[Group]) -> Vec<String> {
    let mut kinds: Vec<(&str, &str)> = Vec::new();
    for group in groups {
        let kind = (group.stream.as_str(), runs[group.members[0]].judges);
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds.into_iter().filter_map(|(stream, judges)| chart_of(runs, groups, stream, judges)).collect()
}

fn chart_of(runs: &[Run], groups: &[Group], stream: &str, judges: &str) -> Option<String> {
    let of_kind = groups.iter().filter(|group| group.stream == stream && runs[group.members[0]].judges == judges);
    let (mut curves, mut entries) = (Vec::new(), Vec::new());
    for (number, group) in of_kind.enumerate() {
        let counted: Vec<usize> = outcomes(runs, &group.members, judges).0.into_iter().map(|(run, _)| run).collect();
        // While no run of a group has finished, its curve shows those under way.
        let members = if counted.is_empty() { &group.members } else { &counted };
        let members: Vec<&Run> = members.iter().map(|&member| &runs[member]).collect();
        curves.push(Curve { points: mean(&members), number });
        let mark = if number < COLOURS { Mark::Line } else { Mark::Dotted };
        entries.push((mark, colour(number), group.name.clone()));
    }
    if curves.iter().all(|curve| curve.points.is_empty()) {
        return None;
    }
    let heading = format!("Accuracy of the {stream} runs on {judges} clips");
    let caption = "The line is the mean over the splits, the band ± the standard deviation over the seeds of a split. \
                   Epochs count from 0.";
    Some(figure(&heading, &(legend(&entries) + &drawing(&curves, &heading)), caption))
}

/// Returns the mean top-1 accuracy of each epoch that all of these runs have.
fn mean(runs: &[&Run]) -> Vec<(usize, f64, Option<f64>)> {
    let mut epochs: BTreeMap<usize, BTreeMap<(u64, &str), Vec<f64>>> = BTreeMap::new();
    for run in runs {
        for (number, top1) in top1(run, |epoch| epoch.eval.map(|eval| eval.top1)) {
            let splits = epochs.entry(number).or_default();
            splits.entry(place(run.split().unwrap_or("unknown"))).or_default().push(top1);
        }
    }
    let point = |(number, splits): (usize, BTreeMap<_, Vec<f64>>)| {
        if splits.values().map(Vec::len).sum::<usize>() < runs.len() {
            return None;
        }
        let samples: Vec<Sample> = splits.values().filter_map(|values| Sample::of(values)).collect();
        Some((number, over_splits(&samples)?.value, within_splits(&samples)))
    };
    epochs.into_iter().filter_map(point).collect()
}

/// Returns the epochs of a run that have a finite value.
fn top1(run: &Run, value: impl Fn(&Epoch) -> Option<f64>) -> Vec<(usize, f64)> {
    let known = run.epochs.iter().filter_map(|epoch| Some((epoch.number, value(epoch)?)));
    known.filter(|(_, value)| value.is_finite()).collect()
}

/// Returns the curves of one run: accuracy on the clips that choose the epoch, and on the training
/// batches.
pub fn of_run(run: &Run) -> String {
    let curve = |number, value: fn(&Epoch) -> Option<f64>| Curve {
        points: top1(run, value).into_iter().map(|(epoch, value)| (epoch, value, None)).collect(),
        number,
    };
    let curves =
        [curve(0, |epoch| epoch.eval.map(|eval| eval.top1)), curve(1, |epoch| epoch.train.map(|train| train.top1))];
    if curves.iter().all(|curve| curve.points.is_empty()) {
        return String::new();
    }
    let entries = [(Mark::Line, colour(0), run.judges.to_owned()), (Mark::Line, colour(1), "train".to_owned())];
    legend(&entries) + &drawing(&curves, &format!("Accuracy of {} per epoch", run.name))
}

/// Draws curves of percentages. `name` describes them to screen readers.
fn drawing(curves: &[Curve], name: &str) -> String {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let last = points().map(|point| point.0).max().unwrap_or(0);
    let ends = points().flat_map(|(_, value, deviation)| {
        let deviation = deviation.unwrap_or(0.0);
        [value - deviation, value + deviation].map(|end| end.clamp(0.0, 100.0))
    });
    let y = Scale::of(ends, 5.0).within(0.0, 100.0);
    // A chart of one epoch has its points in the middle.
    let x = if last == 0 { Scale::of([-1.0, 1.0].into_iter(), 2.0) } else { epochs(last) };
    let place = |epoch: usize, value: f64| (SIZE * x.place(epoch as f64), SIZE * (1.0 - y.place(value)));
    let grid = concat(
        y.ticks()
            .iter()
            .map(|(place, _)| format!("<path class=\"grid\" d=\"M0 {0:.1}H{SIZE}\"/>", SIZE * (1.0 - place))),
    );
    let bands = concat(curves.iter().map(|curve| band(curve, &place)));
    let lines = concat(curves.iter().map(|curve| line(curve, &place)));
    let left = concat(
        y.ticks().iter().map(|(place, text)| format!("<i style=\"bottom:{:.2}%\">{}</i>", 100.0 * place, escape(text))),
    );
    let ticks = if last == 0 { vec![(0.5, "0".to_owned())] } else { x.ticks() };
    let below = concat(
        ticks.iter().map(|(place, text)| format!("<i style=\"left:{:.2}%\">{}</i>", 100.0 * place, escape(text))),
    );
    format!(
        "<div class=\"curves\" role=\"img\" aria-label=\"{}\"><div class=\"y\">{left}</div>\
         <svg viewBox=\"0 0 {SIZE} {SIZE}\" preserveAspectRatio=\"none\">{grid}{bands}{lines}</svg>\
         <div class=\"x\">{below}</div><p>Epoch</p></div>",
        escape(name)
    )
}

/// Returns the scale of epochs 0 to `last`, with whole numbers as ticks.
fn epochs(last: usize) -> Scale {
    Scale::of([0.0, last as f64].into_iter(), (last as f64).min(6.0)).within(0.0, last as f64)
}

fn line(curve: &Curve, place: &impl Fn(usize, f64) -> (f64, f64)) -> String {
    let mut path = concat(curve.points.iter().enumerate().map(|(at, &(epoch, value, _))| {
        let (x, y) = place(epoch, value);
        format!("{}{x:.1} {y:.1}", if at == 0 { 'M' } else { 'L' })
    }));
    // A line without length shows as a dot.
    if curve.points.len() == 1 {
        path += "h.1";
    }
    let dashes = if curve.number < COLOURS { "" } else { " stroke-dasharray=\"5 4\"" };
    format!("<path class=\"line\" style=\"color:{}\"{dashes} d=\"{path}\"/>", colour(curve.number))
}

/// Returns the area of one deviation above and below a curve; empty without deviations.
fn band(curve: &Curve, place: &impl Fn(usize, f64) -> (f64, f64)) -> String {
    let known: Vec<(usize, f64, f64)> =
        curve.points.iter().filter_map(|&(epoch, value, deviation)| Some((epoch, value, deviation?))).collect();
    if known.is_empty() {
        return String::new();
    }
    let upper = known.iter().map(|&(epoch, value, deviation)| place(epoch, value + deviation));
    let lower = known.iter().rev().map(|&(epoch, value, deviation)| place(epoch, value - deviation));
    let corners: Vec<String> = upper.chain(lower).map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    format!("<path class=\"band\" style=\"color:{}\" d=\"M{}Z\"/>", colour(curve.number), corners.join("L"))
}
