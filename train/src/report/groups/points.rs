//! The chart of the accuracies of groups: each run a dot, each split a mean with its spread.

use super::rows::{Figures, Row, Split};
use crate::report::chart::colour;
use crate::report::html::{breakable, concat, escape};
use crate::report::scale::Scale;

/// Largest number of steps of the axis, so that its numbers fit on a phone.
const STEPS: f64 = 5.0;
/// Height of a lane in pixels.
const HEIGHT: f64 = 18.0;

/// A line of the chart.
struct Lane<'a> {
    name: String,
    /// Runs: name and value.
    dots: Vec<(&'a str, f64)>,
    mean: f64,
    spread: Option<f64>,
    is_mean_of_splits: bool,
}

/// Returns the chart of these rows, which are of one subset. Empty if no run counts.
pub fn points(rows: &[&Row]) -> String {
    let known: Vec<(&Row, &Figures)> = rows.iter().filter_map(|row| Some((*row, row.best.as_ref()?))).collect();
    if known.is_empty() {
        return String::new();
    }
    let lanes: Vec<Vec<Lane<'_>>> = known.iter().map(|(_, figures)| lanes(figures)).collect();
    let ends = |lane: &Lane<'_>| {
        let spread = lane.spread.unwrap_or(0.0);
        let dots = lane.dots.iter().map(|dot| dot.1);
        dots.chain([lane.mean - spread, lane.mean + spread].map(|end| end.clamp(0.0, 100.0))).collect::<Vec<_>>()
    };
    let scale = Scale::of(lanes.iter().flatten().flat_map(ends), STEPS).within(0.0, 100.0);
    let group = |(number, ((row, _), lanes)): (usize, (&(&Row, &Figures), &Vec<Lane<'_>>))| {
        let name = format!("<b>{}</b> {}", escape(&row.stream), breakable(&row.group));
        let lanes = concat(lanes.iter().map(|lane| lane.html(&scale, colour(number))));
        format!("<div class=\"group\"><p>{name}</p>{lanes}</div>")
    };
    let groups = concat(known.iter().zip(&lanes).enumerate().map(group));
    format!("<div class=\"points\">{}{groups}{}</div>", axis(&scale), axis(&scale))
}

/// Returns the lanes of a group: its splits, and their mean if there are several.
fn lanes<'a>(figures: &'a Figures) -> Vec<Lane<'a>> {
    let lane = |split: &'a Split| Lane {
        name: format!("split {}", split.name),
        dots: split.runs.iter().map(String::as_str).zip(split.values.iter().copied()).collect(),
        mean: split.sample.mean,
        spread: split.sample.deviation,
        is_mean_of_splits: false,
    };
    let mut lanes: Vec<Lane<'a>> = figures.splits.iter().map(lane).collect();
    if lanes.len() > 1 {
        let (mean, spread) = (figures.mean.value, figures.mean.error);
        lanes.push(Lane { name: "mean".into(), dots: Vec::new(), mean, spread, is_mean_of_splits: true });
    }
    lanes
}

fn axis(scale: &Scale) -> String {
    let tick = |(place, text): &(f64, String)| format!("<i style=\"left:{:.2}%\">{}</i>", 100.0 * place, escape(text));
    format!("<div class=\"lane axis\" aria-hidden=\"true\"><div>{}</div></div>", concat(scale.ticks().iter().map(tick)))
}

impl Lane<'_> {
    fn html(&self, scale: &Scale, colour: &str) -> String {
        let at = |value: f64| format!("{:.2}%", 100.0 * scale.place(value));
        let middle = HEIGHT / 2.0;
        let grid = |(place, _): &(f64, String)| {
            let x = format!("{:.2}%", 100.0 * place);
            format!("<line class=\"grid\" x1=\"{x}\" x2=\"{x}\" y1=\"0\" y2=\"100%\"/>")
        };
        let mut marks: Vec<String> = scale.ticks().iter().map(grid).collect();
        if let Some(spread) = self.spread {
            let (low, high) = (at(self.mean - spread), at(self.mean + spread));
            marks.push(format!("<line x1=\"{low}\" x2=\"{high}\" y1=\"{middle}\" y2=\"{middle}\"/>"));
            for end in [low, high] {
                let (top, bottom) = (middle - 4.0, middle + 4.0);
                marks.push(format!("<line x1=\"{end}\" x2=\"{end}\" y1=\"{top}\" y2=\"{bottom}\"/>"));
            }
        }
        for (run, value) in &self.dots {
            let title = escape(&format!("{run}: {value:.2} %"));
            let x = at(*value);
            marks.push(format!("<circle cx=\"{x}\" cy=\"{middle}\" r=\"3.5\"><title>{title}</title></circle>"));
        }
        let mean = at(self.mean);
        // The dot of a single run is its mean.
        if self.is_mean_of_splits {
            marks.push(format!("<circle class=\"mean\" cx=\"{mean}\" cy=\"{middle}\" r=\"5.5\"/>"));
        } else if self.dots.len() > 1 {
            let bottom = HEIGHT - 2.0;
            marks.push(format!("<line class=\"mean\" x1=\"{mean}\" x2=\"{mean}\" y1=\"2\" y2=\"{bottom}\"/>"));
        }
        let marks = marks.concat();
        let (name, value) = (escape(&self.name), with_spread(self.mean, self.spread));
        let class = if self.is_mean_of_splits { "lane total" } else { "lane" };
        format!(
            "<div class=\"{class}\"><span>{name}</span><svg height=\"{HEIGHT}\" width=\"100%\" \
             style=\"color:{colour}\" role=\"img\" aria-label=\"{value}\">{marks}</svg>\
             <span class=\"number\">{value}</span></div>"
        )
    }
}

/// Formats a value with its spread: `40.25 ± 1.10`, or `40.25` if the spread is unknown.
pub fn with_spread(value: f64, spread: Option<f64>) -> String {
    spread.map_or_else(|| format!("{value:.2}"), |spread| format!("{value:.2} ± {spread:.2}"))
}
