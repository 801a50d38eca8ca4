//! The part of the page about classes: confusion matrix, most confused pairs, accuracy of each
//! class.

use super::chart::{Chart, Mark, colour, label};
use super::html::{Cell, columns, concat, escape, figure, note, panel, scrolled, section, table};
use super::view::View;
use crate::scores::confusion::{Confusion, Pair};
use plotly::common::{AxisSide, Font, Marker, Mode, Orientation, TextPosition};
use plotly::layout::{Axis, AxisType, HoverMode, Margin};
use plotly::{Bar, HeatMap, Scatter};

/// Number of pairs in the table.
const PAIRS: usize = 20;
/// Height of a class in the chart of accuracies, in pixels.
const ROW: usize = 24;
/// Percentage of a class's clips from which on wrong predictions have the strongest colour.
const STRONGEST: f64 = 60.0;

/// Returns the section of these runs: each run's confusions, then the accuracies in one chart.
pub fn classes(views: &[View<'_>]) -> String {
    let known: Vec<(&View<'_>, &Confusion)> =
        views.iter().filter_map(|view| Some((view, view.confusion.as_ref()?))).collect();
    let Some(&(first, confusion)) = known.first() else {
        return section("Classes", &note("Unknown: the accuracy of classes needs scores.npz with labels."));
    };
    let of = |view: &View<'_>| if known.len() > 1 { format!(" of {}", view.run.name) } else { String::new() };
    let mut html = String::new();
    for (number, (view, confusion)) in known.iter().enumerate() {
        html += &matrix(view, confusion, number, &of(view));
    }
    let tables = known
        .iter()
        .map(|(view, confusion)| panel(&format!("Most confused pairs{}", of(view)), &confused(view, confusion, PAIRS)));
    // A run with other classes has its own confusions, but no marks in the common chart.
    let alike: Vec<(&View<'_>, &Confusion)> =
        known.iter().copied().filter(|(view, _)| view.classes == first.classes).collect();
    let panels: Vec<String> = tables.chain([accuracies(&alike, confusion)]).collect();
    section("Classes", &(html + &columns(&panels)))
}

/// Returns the chart of the accuracy of each class: bars for one run, markers for several.
fn accuracies(runs: &[(&View<'_>, &Confusion)], first: &Confusion) -> String {
    let mean = |class: usize| runs.iter().filter_map(|(_, confusion)| confusion.accuracy(class)).sum::<f64>();
    let mut order: Vec<usize> = first.by_accuracy().into_iter().filter(|&class| first.clips(class) > 0).collect();
    // The highest comes first, because the axis begins at the bottom.
    order.sort_by(|&a, &b| mean(b).total_cmp(&mean(a)));
    let x = Axis::new().range(vec![0.0, 101.0]).side(AxisSide::Top).fixed_range(true);
    let x = x.title("Accuracy (% of clips)");
    let y = Axis::new().type_(AxisType::Category).auto_margin(true).fixed_range(true).tick_font(Font::new().size(12));
    let y = y.range(vec![-0.5, order.len() as f64 - 0.5]).title("Class");
    let margin = Margin::new().left(40).right(16).top(48).bottom(8);
    let mut chart = Chart::new(order.len() * ROW + 56)
        .axes(x, y)
        .layout(|layout| layout.margin(margin).hover_mode(HoverMode::Closest).bar_gap(0.15));
    for (number, (view, confusion)) in runs.iter().enumerate() {
        let places: Vec<String> = order.iter().map(|&class| label(&view.classes[class])).collect();
        let values: Vec<Option<f64>> = order.iter().map(|&class| confusion.accuracy(class).map(rounded)).collect();
        let of_clips = |&class: &usize| format!("{} of {}", confusion.count(class, class), confusion.clips(class));
        let texts: Vec<String> = order.iter().map(of_clips).collect();
        let hover = "%{y}: %{x:.1f} %, %{text} clips";
        if runs.len() == 1 {
            let bars =
                Bar::new(values, places).orientation(Orientation::Horizontal).marker(Marker::new().color(colour(0)));
            let bars = bars.text_array(texts).text_position(TextPosition::Auto).text_font(Font::new().size(12));
            chart = chart.trace(bars.hover_template(format!("{hover}<extra></extra>")));
        } else {
            let mark = Marker::new().color(colour(number)).size(10).opacity(0.85);
            let marks =
                Scatter::new(values, places).mode(Mode::Markers).marker(mark).text_array(texts).clip_on_axis(false);
            chart = chart.trace(marks.name(label(&view.run.name)).hover_template(hover));
            chart = chart.legend(Mark::Character('●'), colour(number), view.run.name.clone());
        }
    }
    let heading = "Accuracy of each class";
    let chart = scrolled("tall", heading, &chart.html(heading));
    figure(
        heading,
        &chart,
        "Lowest first. The classes at the top cost the most accuracy; look for their clips among the pairs.",
    )
}

/// Rounds to two decimals, which are enough for a chart.
fn rounded(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}

/// Returns the table of the `most` pairs of classes that were confused most often.
pub fn confused(view: &View<'_>, confusion: &Confusion, most: usize) -> String {
    let pairs = confusion.pairs();
    if pairs.is_empty() {
        return note("Every clip was predicted correctly.");
    }
    let row = |pair: &Pair| {
        vec![
            Cell::Text(view.classes[pair.truth].clone()),
            Cell::Text(view.classes[pair.predicted].clone()),
            Cell::Number(format!("{} of {}", pair.clips, confusion.clips(pair.truth))),
            Cell::percent(confusion.percent(pair.truth, pair.predicted)),
        ]
    };
    let rows: Vec<Vec<Cell>> = pairs.iter().take(most).map(row).collect();
    let heads = ["Actual", "Predicted", "Clips", "Share (%)"];
    let shown = if pairs.len() > most {
        format!(" The table has the first {most} of {} pairs.", pairs.len())
    } else {
        String::new()
    };
    table("Most confused pairs of classes", &heads, &rows)
        + &note(&format!(
            "Wrong predictions, most clips first. The share is a percentage of the actual class's clips.{shown}"
        ))
}

/// Returns the chart of the confusion matrix, in percent of each actual class's clips. Correct
/// predictions are blue, wrong ones orange; the page's script chooses the shades.
fn matrix(view: &View<'_>, confusion: &Confusion, number: usize, of_run: &str) -> String {
    let n = confusion.classes();
    let names: Vec<String> = view.classes.iter().map(|name| label(name)).collect();
    // The percentage and text of each cell that has clips and belongs to the layer.
    let cells = |is_shown: fn(usize, usize) -> bool| -> (Vec<Vec<Option<f64>>>, Vec<Vec<String>>) {
        let cell = |truth: usize, predicted: usize| {
            let clips = confusion.count(truth, predicted);
            let percent = confusion.percent(truth, predicted).map(rounded);
            let words = || format!("{clips} of {}", confusion.clips(truth));
            if clips > 0 && is_shown(truth, predicted) { (percent, words()) } else { (None, String::new()) }
        };
        (0..n).map(|truth| (0..n).map(|predicted| cell(truth, predicted)).unzip()).unzip()
    };
    let layer = |is_shown: fn(usize, usize) -> bool, name: &str, highest: f64| {
        let (percents, texts) = cells(is_shown);
        HeatMap::new(names.clone(), names.clone(), percents)
            .name(name)
            .text_matrix(texts)
            .show_scale(false)
            .zmin(0.0)
            .zmax(highest)
            .hover_on_gaps(false)
            .hover_template("Actual: %{y}<br>Predicted: %{x}<br>%{text} clips, %{z:.1f} %<extra></extra>")
    };
    let ends = [-0.5, n as f64 - 0.5];
    let axis = || Axis::new().type_(AxisType::Category).auto_margin(true).show_grid(false).zero_line(false);
    let x = axis().range(vec![ends[0], ends[1]]).title("Predicted class");
    // The names of few classes fit without turning.
    let x = if n > 12 { x.tick_angle(-90.0) } else { x };
    let y = axis().range(vec![ends[1], ends[0]]).title("Actual class");
    let orders = [
        ("confused classes together", confusion.by_likeness()),
        ("lowest accuracy first", confusion.by_accuracy()),
        ("as in the dataset", (0..n).collect()),
    ];
    let data = serde_json::to_string(&orders.each_ref().map(|(_, order)| order)).unwrap_or_default();
    let margin = Margin::new().left(24).right(8).top(34).bottom(8);
    let heading = format!("Confusion matrix{of_run}");
    let chart = Chart::new(480)
        .tools()
        .trace(layer(|truth, predicted| truth != predicted, "wrong", STRONGEST))
        .trace(layer(|truth, predicted| truth == predicted, "correct", 100.0))
        .axes(x, y)
        .layout(|layout| layout.hover_mode(HoverMode::Closest).margin(margin))
        .attributes(format!(" id=\"matrix-{number}\" data-orders=\"{}\"", escape(&data)))
        .html(&heading);
    let options =
        concat(orders.iter().enumerate().map(|(i, (name, _))| format!("<option value=\"{i}\">{name}</option>")));
    let select = format!("<label>Order of classes: <select data-matrix=\"matrix-{number}\">{options}</select></label>");
    let caption = format!(
        "Cells are percentages of the actual class's clips: blue is correct, orange is wrong and strongest from \
         {STRONGEST} % on. Look for strong orange: the network confuses these classes. Drag over a part or use the \
         buttons to zoom in; double-click to zoom out."
    );
    figure(&heading, &format!("<div class=\"bar\">{select}</div>{chart}"), &caption)
}
