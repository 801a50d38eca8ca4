//! The part of the page about fusion: combined scores of runs that have scores of the same clips.

use super::chart::{Chart, Mark, PALETTE};
use super::html::{Cell, columns, figure, note, panel, section, table};
use super::run::Run;
use crate::scores::Scores;
use crate::scores::accuracy::accuracy;
use crate::scores::fusion::combine::{Ratio, Strategy};
use crate::scores::fusion::{FuseOptions, Outcome, align, fuse};
use anyhow::{Context, Result};
use plotly::Scatter;
use plotly::common::{Line, Marker, MarkerSymbol, Mode};
use plotly::layout::{Axis, HoverMode};

/// Number of steps of the weight curve. With 60, the ratios 1:1, 1:2, 1:3, 3:2 and so on are points
/// of the curve.
const STEPS: usize = 60;

/// The result of fusing runs.
pub struct Fused {
    /// Indices of the fused runs in the list of runs.
    pub members: Vec<usize>,
    /// Number of clips.
    pub clips: usize,
    /// Subset of the clips.
    pub subset: &'static str,
    /// Results of single streams, average and max, and for two runs of the ratios, as
    /// `ucftrain fuse` prints them.
    pub outcomes: Vec<Outcome>,
    /// Accuracy of the first two members for each weight of the first.
    pub curve: Vec<WeightPoint>,
}

/// Accuracy of two runs with one weight.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightPoint {
    /// Weight of the first run, of 60; the second run has the rest.
    pub weight: usize,
    /// Accuracy in percent.
    pub top1: f64,
}

impl WeightPoint {
    /// Returns the weight of the first run in percent.
    pub fn percent(&self) -> f64 {
        100.0 * self.weight as f64 / STEPS as f64
    }

    /// Returns the weights as the option `--ratio` of `ucftrain fuse` accepts them.
    pub fn ratio(&self) -> String {
        let (a, b) = (self.weight, STEPS - self.weight);
        let divisor = (1..=STEPS).rev().find(|d| a % d == 0 && b % d == 0).unwrap_or(1);
        format!("{}:{}", a / divisor, b / divisor)
    }
}

/// Fuses the first runs of the list that have scores of the same clips. Returns none if no two runs
/// do.
pub fn fuse_runs(runs: &[Run]) -> Option<Result<Fused>> {
    let (members, scores) = (0..runs.len()).map(|first| alike(runs, first)).find(|(members, _)| members.len() > 1)?;
    Some(fuse_members(runs, members, &scores))
}

/// Finds the runs from `first` on with scores of the same clips and classes, and aligns their
/// scores to those of `first`.
fn alike(runs: &[Run], first: usize) -> (Vec<usize>, Vec<Scores>) {
    let Some(scores) = &runs[first].scores else { return Default::default() };
    let (mut members, mut aligned) = (vec![first], vec![scores.clone()]);
    for (number, run) in runs.iter().enumerate().skip(first + 1) {
        let Some(other) = &run.scores else { continue };
        // A difference is not an error here: the page then shows these runs without fusion.
        if let Ok(other) = align(other, &run.dir, scores, &runs[first].dir) {
            members.push(number);
            aligned.push(other);
        }
    }
    (members, aligned)
}

fn fuse_members(runs: &[Run], members: Vec<usize>, scores: &[Scores]) -> Result<Fused> {
    let options = FuseOptions::new(members.iter().map(|&member| runs[member].scores_file()).collect());
    let report = fuse(&options)?;
    let labels = scores.iter().find_map(|scores| scores.labels.as_ref()).context("the scores have no labels")?;
    let curve = weight_curve([&scores[0].logits, &scores[1].logits], scores[0].classes, labels)?;
    let subset = runs[members[0]].subset;
    Ok(Fused { members, clips: report.clips, subset, outcomes: report.results, curve })
}

/// Returns the accuracy of weighted sums of two streams' scores `[clips, classes]`, from weight 0
/// to 1 of the first.
fn weight_curve(streams: [&[f32]; 2], classes: usize, labels: &[u32]) -> Result<Vec<WeightPoint>> {
    let point = |weight: usize| -> Result<WeightPoint> {
        let ratio = Ratio::parse(&format!("{weight}:{}", STEPS - weight))?;
        let top1 = accuracy(&Strategy::Weighted(ratio).combine(&streams), classes, labels).top1;
        Ok(WeightPoint { weight, top1 })
    };
    (0..=STEPS).map(point).collect()
}

/// Returns the best point of a curve; among equals, the one nearest to equal weights. Because the
/// clips themselves choose it, it is not a result.
pub fn best_point(curve: &[WeightPoint]) -> Option<&WeightPoint> {
    let from_middle = |point: &WeightPoint| (2 * point.weight).abs_diff(STEPS);
    let better = |a: &WeightPoint, b: &WeightPoint| (a.top1, from_middle(b)) > (b.top1, from_middle(a));
    curve.iter().reduce(|best, point| if better(point, best) { point } else { best })
}

/// Returns the section of these runs and the result of [`fuse_runs`]; empty for a single run.
pub fn fusion(runs: &[Run], fused: Option<&Result<Fused>>) -> String {
    match fused {
        None if runs.len() < 2 => String::new(),
        None => section("Fusion", &note("No two of these runs have scores of the same clips and classes.")),
        Some(Err(error)) => section("Fusion", &note(&format!("The runs cannot be fused: {error:#}."))),
        Some(Ok(fused)) => fused.section(runs),
    }
}

impl Fused {
    /// Returns the accuracy of the average of all fused runs in percent.
    pub fn average(&self) -> Option<f64> {
        self.outcomes.iter().find(|outcome| outcome.strategy == "average").map(|outcome| outcome.top1)
    }

    fn section(&self, runs: &[Run]) -> String {
        let names: Vec<&str> = self.members.iter().map(|&member| runs[member].name.as_str()).collect();
        let mut words = format!(
            "Sums of logits on {} {} clips, as from ucftrain fuse. Weights are in the order {}.",
            self.clips,
            self.subset,
            names.join(" : ")
        );
        let others: Vec<&str> =
            (0..runs.len()).filter(|run| !self.members.contains(run)).map(|run| runs[run].name.as_str()).collect();
        if !others.is_empty() {
            words =
                format!("{words} Not fused, for lack of scores of the same clips and classes: {}.", others.join(", "));
        }
        let panels =
            [panel("Ways to combine the runs", &(self.strategies(&names) + &note(&words))), self.weights(&names)];
        section("Fusion", &columns(&panels))
    }

    fn strategies(&self, names: &[&str]) -> String {
        let best = self.outcomes.iter().map(|outcome| outcome.top1).fold(0.0, f64::max);
        let row = |(place, outcome): (usize, &Outcome)| {
            let top1 = format!("{:.2}", outcome.top1);
            vec![
                Cell::Text(names.get(place).map_or_else(|| outcome.strategy.to_owned(), ToString::to_string)),
                Cell::text(outcome.ratio.as_deref()),
                if outcome.top1 >= best { Cell::Best(top1) } else { Cell::Number(top1) },
                Cell::percent(Some(outcome.top5)),
                Cell::percent(Some(outcome.mean_class)),
            ]
        };
        let rows: Vec<Vec<Cell>> = self.outcomes.iter().enumerate().map(row).collect();
        let head = ["Strategy", "Weights", "Accuracy (%)", "Top-5 (%)", "Class mean (%)"];
        table("Accuracy of each way to combine the runs", &head, &rows)
    }

    /// Returns the chart of the weight curve, with the strategies of the table and the best point
    /// on it.
    fn weights(&self, names: &[&str]) -> String {
        const HEADING: &str = "Accuracy for each weight";
        let x: Vec<f64> = self.curve.iter().map(WeightPoint::percent).collect();
        let y: Vec<f64> = self.curve.iter().map(|point| point.top1).collect();
        let ratios: Vec<String> = self.curve.iter().map(WeightPoint::ratio).collect();
        let hover = "%{text}: %{y:.2f} %<extra></extra>";
        let line = Scatter::new(x, y).mode(Mode::Lines).line(Line::new().color(PALETTE[0]).width(2.0));
        let mut chart = Chart::new(300)
            .axes(
                Axis::new().title("Weight of the first run (%)").zero_line(false),
                Axis::new().title("Accuracy (% of clips)").zero_line(false).auto_margin(true),
            )
            .layout(|layout| layout.hover_mode(HoverMode::Closest))
            .legend(Mark::Line, PALETTE[0], "weighted sums")
            .trace(line.text_array(ratios).name("weighted sums").hover_template(hover));
        if names.len() == 2 {
            let known = self.outcomes.iter().filter_map(|outcome| Some((outcome, outcome.ratio.as_deref()?)));
            let place = |ratio: &str| {
                let ratio = Ratio::parse(ratio).ok()?;
                let &[a, b] = ratio.weights() else { return None };
                Some(100.0 * f64::from(a) / f64::from(a + b))
            };
            let points: Vec<(f64, f64, String)> = known
                .filter_map(|(outcome, ratio)| {
                    Some((place(ratio)?, outcome.top1, format!("{} {ratio}", outcome.strategy)))
                })
                .collect();
            let marks = Scatter::new(points.iter().map(|p| p.0).collect(), points.iter().map(|p| p.1).collect())
                .mode(Mode::Markers)
                .marker(Marker::new().color(PALETTE[0]).size(9))
                .text_array(points.iter().map(|p| p.2.as_str()).collect::<Vec<_>>());
            chart = chart.trace(marks.name("strategies of the table").hover_template(hover));
            chart = chart.legend(Mark::Character('●'), PALETTE[0], "strategies of the table");
        }
        let Some(best) = best_point(&self.curve) else {
            return figure(HEADING, &chart.html(HEADING), "");
        };
        let mark = Marker::new().color(PALETTE[1]).size(13).symbol(MarkerSymbol::XOpen).line(Line::new().width(3.0));
        let tuned = Scatter::new(vec![best.percent()], vec![best.top1]).mode(Mode::Markers).marker(mark);
        let tuned = tuned.text(format!("{}, tuned on the {} clips", best.ratio(), self.subset)).hover_template(hover);
        let caption = format!(
            "The first run is {}, the second {}. A flat top means that the exact weight matters little. The cross \
             marks the best of {} weights, {} with {:.2} %. It is tuned on the {} clips and therefore not a \
             result; report only weights that were chosen beforehand.",
            names[0],
            names[1],
            self.curve.len(),
            best.ratio(),
            best.top1,
            self.subset
        );
        let tuning = format!("tuned on the {} clips: not a result", self.subset);
        let chart = chart.trace(tuned.name(&tuning)).legend(Mark::Character('✕'), PALETTE[1], tuning);
        figure(HEADING, &chart.html(HEADING), &caption)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_is_the_accuracy_of_each_weighting() {
        // Clip 0 (class 0) is correct where w * 2 > (1 - w) * 1, so w > 1/3 = 20 of 60. At 20 both
        // classes have 2/3, in f32 20 * 2 = 40 * 1 exactly: the lower class wins, which is correct.
        // Clip 1 (class 1) is correct where (1 - w) * 3 > w * 1, so w < 3/4 = 45 of 60. At 45 the
        // lower class wins, which is wrong.
        let first = [2.0, 0.0, 1.0, 0.0];
        let second = [0.0, 1.0, 0.0, 3.0];
        let curve = weight_curve([&first, &second], 2, &[0, 1]).unwrap();
        assert_eq!(curve.len(), 61);
        for point in &curve {
            let top1 = if (20..45).contains(&point.weight) { 100.0 } else { 50.0 };
            assert_eq!(point, &WeightPoint { weight: point.weight, top1 });
        }
        let best = best_point(&curve).unwrap();
        assert_eq!((best, best.ratio().as_str()), (&WeightPoint { weight: 30, top1: 100.0 }, "1:1"));
        assert!((best.percent() - 50.0).abs() < 1e-12);
        assert_eq!(curve[40].ratio(), "2:1");
        assert_eq!(
            (curve[0].ratio(), curve[60].ratio(), curve[7].ratio()),
            ("0:1".into(), "1:0".into(), "7:53".into())
        );
        assert!(best_point(&[]).is_none());
    }
}
