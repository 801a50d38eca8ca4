//! The part about classes: accuracy of each, what is taken for what.

use super::chart::{Chart, colour, label};
use super::html::{Cell, columns, concat, escape, note, panel, section, table};
use super::view::View;
use crate::scores::confusion::{Confusion, Pair};
use plotly::common::{AxisSide, ColorScale, ColorScaleElement, Font, Marker, Mode, Orientation, TextPosition};
use plotly::layout::{Axis, AxisType, HoverMode, Margin};
use plotly::{Bar, HeatMap, Scatter};

/// Pairs in the table.
const PAIRS: usize = 20;
/// Pixels a class in the chart of accuracies.
const ROW: usize = 18;

/// The section of these runs: accuracies in one chart, then each run's confusions.
pub fn classes(views: &[View<'_>]) -> String {
    let known: Vec<(&View<'_>, &Confusion)> =
        views.iter().filter_map(|view| Some((view, view.confusion.as_ref()?))).collect();
    let Some(&(first, confusion)) = known.first() else {
        return section("Classes", &note("Without scores.npz and its labels nothing is known about classes."));
    };
    // Runs of other classes have their confusions below, but no place in the chart.
    let alike: Vec<(&View<'_>, &Confusion)> =
        known.iter().copied().filter(|(view, _)| view.classes == first.classes).collect();
    let scrolled = format!("<div class=\"tall\">{}</div>", accuracies(&alike, confusion).html());
    let accuracies = panel("Accuracy of each class, %, lowest first", &scrolled);
    let mut html = String::new();
    if let [(view, confusion)] = known.as_slice() {
        html += &columns(&[accuracies, panel("Most confused", &pairs(view, confusion))]);
        html += &panel("Confusion matrix", &matrix(view, confusion, 0));
    } else {
        let tables = known.iter().map(|(view, confusion)| {
            panel(
                &format!("Most confused by {}", view.run.name),
                &format!("<div class=\"tall\">{}</div>", pairs(view, confusion)),
            )
        });
        let panels: Vec<String> = std::iter::once(accuracies).chain(tables).collect();
        html += &columns(&panels);
        for (number, (view, confusion)) in known.iter().enumerate() {
            html += &panel(&format!("Confusion matrix of {}", view.run.name), &matrix(view, confusion, number));
        }
    }
    section("Classes", &html)
}

/// Accuracy of each class: bars of one run, marks of several.
fn accuracies(runs: &[(&View<'_>, &Confusion)], first: &Confusion) -> Chart {
    let mean = |class: usize| runs.iter().filter_map(|(_, confusion)| confusion.accuracy(class)).sum::<f64>();
    let mut order: Vec<usize> = first.by_accuracy().into_iter().filter(|&class| first.clips(class) > 0).collect();
    // The highest first, as the axis begins below.
    order.sort_by(|&a, &b| mean(b).total_cmp(&mean(a)));
    let x = Axis::new().range(vec![0.0, 101.0]).side(AxisSide::Top).fixed_range(true);
    let y = Axis::new().type_(AxisType::Category).auto_margin(true).fixed_range(true).tick_font(Font::new().size(11));
    let y = y.range(vec![-0.5, order.len() as f64 - 0.5]);
    let margin = Margin::new().left(40).right(12).top(if runs.len() > 1 { 50 } else { 24 }).bottom(8);
    let mut chart = Chart::new(order.len() * ROW + 60)
        .axes(x, y)
        .layout(|layout| layout.margin(margin).hover_mode(HoverMode::Closest).show_legend(runs.len() > 1).bar_gap(0.12))
        // Above the axis' numbers, whatever the chart's height.
        .legend_above(1.0 + 26.0 / (order.len() * ROW) as f64);
    for (number, (view, confusion)) in runs.iter().enumerate() {
        let places: Vec<String> = order.iter().map(|&class| label(&view.classes[class])).collect();
        let values: Vec<Option<f64>> = order.iter().map(|&class| confusion.accuracy(class).map(rounded)).collect();
        let of_clips = |&class: &usize| format!("{} of {}", confusion.count(class, class), confusion.clips(class));
        let texts: Vec<String> = order.iter().map(of_clips).collect();
        let hover = "%{y}: %{x:.1f} %, %{text} clips";
        if runs.len() == 1 {
            let bars =
                Bar::new(values, places).orientation(Orientation::Horizontal).marker(Marker::new().color(colour(0)));
            let bars = bars.text_array(texts).text_position(TextPosition::Auto).text_font(Font::new().size(10));
            chart = chart.trace(bars.hover_template(format!("{hover}<extra></extra>")));
        } else {
            let mark = Marker::new().color(colour(number)).size(9).opacity(0.85);
            let marks = Scatter::new(values, places).mode(Mode::Markers).marker(mark).text_array(texts);
            chart = chart.trace(marks.name(label(&view.run.name)).hover_template(hover));
        }
    }
    chart
}

/// Two decimals are enough for a picture.
fn rounded(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}

/// What was taken for what most often.
fn pairs(view: &View<'_>, confusion: &Confusion) -> String {
    let pairs = confusion.pairs();
    if pairs.is_empty() {
        return note("No clip was taken for another class.");
    }
    let row = |pair: &Pair| {
        vec![
            Cell::Text(view.classes[pair.truth].clone()),
            Cell::Text(view.classes[pair.predicted].clone()),
            Cell::Number(format!("{} of {}", pair.clips, confusion.clips(pair.truth))),
            Cell::percent(confusion.percent(pair.truth, pair.predicted)),
        ]
    };
    let rows: Vec<Vec<Cell>> = pairs.iter().take(PAIRS).map(row).collect();
    let mut html = table(&["class", "taken for", "clips", "%"], &rows);
    if pairs.len() > PAIRS {
        html += &note(&format!("The first {PAIRS} of {} pairs.", pairs.len()));
    }
    html
}

/// The matrix, in percent of each class's clips: what is right in blue, what is wrong in orange.
fn matrix(view: &View<'_>, confusion: &Confusion, number: usize) -> String {
    let n = confusion.classes();
    let names: Vec<String> = view.classes.iter().map(|name| label(name)).collect();
    // Percent and words of each cell that has clips and belongs to the layer.
    let cells = |is_shown: fn(usize, usize) -> bool| -> (Vec<Vec<Option<f64>>>, Vec<Vec<String>>) {
        let cell = |truth: usize, predicted: usize| {
            let clips = confusion.count(truth, predicted);
            let percent = confusion.percent(truth, predicted).map(rounded);
            let words = || format!("{clips} of {}", confusion.clips(truth));
            if clips > 0 && is_shown(truth, predicted) { (percent, words()) } else { (None, String::new()) }
        };
        (0..n).map(|truth| (0..n).map(|predicted| cell(truth, predicted)).unzip()).unzip()
    };
    let scale = |rgb: &str| {
        let element = |at, alpha| ColorScaleElement(at, format!("rgba({rgb},{alpha})"));
        ColorScale::Vector(vec![element(0.0, 0.3), element(0.5, 0.75), element(1.0, 1.0)])
    };
    let layer = |is_shown: fn(usize, usize) -> bool, rgb: &str, highest: f64, hover: &str| {
        let (percents, texts) = cells(is_shown);
        HeatMap::new(names.clone(), names.clone(), percents)
            .text_matrix(texts)
            .color_scale(scale(rgb))
            .show_scale(false)
            .zmin(0.0)
            .zmax(highest)
            .hover_on_gaps(false)
            .hover_template(format!("{hover}: %{{text}} clips, %{{z:.1f}} %<extra></extra>"))
    };
    let ends = [-0.5, n as f64 - 0.5];
    let axis = || Axis::new().type_(AxisType::Category).auto_margin(true).show_grid(false).zero_line(false);
    let x = axis().range(vec![ends[0], ends[1]]);
    // Names of few classes fit as they are.
    let x = if n > 12 { x.tick_angle(-90.0) } else { x };
    let y = axis().range(vec![ends[1], ends[0]]);
    let orders = [
        ("confused classes together", confusion.by_likeness()),
        ("lowest accuracy first", confusion.by_accuracy()),
        ("in the data set's order", (0..n).collect()),
    ];
    let data = serde_json::to_string(&orders.each_ref().map(|(_, order)| order)).unwrap_or_default();
    let margin = Margin::new().left(8).right(8).top(34).bottom(8);
    let chart = Chart::new(480)
        .tools()
        .trace(layer(|truth, predicted| truth != predicted, "226,110,30", 60.0, "%{y} taken for %{x}"))
        .trace(layer(|truth, predicted| truth == predicted, "50,115,215", 100.0, "%{y} recognised"))
        .axes(x, y)
        .layout(|layout| layout.hover_mode(HoverMode::Closest).margin(margin))
        .attributes(format!(" id=\"matrix-{number}\" data-orders=\"{}\"", escape(&data)));
    let options =
        concat(orders.iter().enumerate().map(|(i, (name, _))| format!("<option value=\"{i}\">{name}</option>")));
    let select = format!("<label>Order: <select data-matrix=\"matrix-{number}\">{options}</select></label>");
    let words = "Rows are classes, columns what their clips were taken for, in percent of a row. Blue is right, orange wrong. \
                 Drag over a part to look closer, double-click to go back.";
    format!("<div class=\"bar\">{select}</div>{}{}", chart.html(), note(words))
}
