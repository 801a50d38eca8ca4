//! The part of the page about training: where the time went, accuracy, loss and learning rate per
//! epoch.

use super::chart::{Chart, Mark, PALETTE, colour, label};
use super::epochs::{Epoch, EpochSeconds, PassSeconds};
use super::html::{Cell, columns, figure, note, panel, section, table};
use super::run::Run;
use crate::base::meters::Scored;
use crate::input::limit;
use crate::run::rank_work::JointWork;
use crate::view::Consensus;
use plotly::common::{DashType, ExponentFormat, Line, LineShape, Marker, MarkerSymbol, Mode, TickMode};
use plotly::layout::{Axis, AxisType, BarMode};
use plotly::{Bar, Scatter};

/// Height of a chart in pixels.
const HEIGHT: usize = 300;
/// Largest number of epochs that have a marker each.
const MARKED_EPOCHS: usize = 30;

/// Returns the section of these runs.
pub fn training(runs: &[&Run]) -> String {
    if runs.iter().all(|run| run.epochs.is_empty()) {
        return section("Training", &note("No epoch is complete yet."));
    }
    let mut panels = vec![times(runs), accuracies(runs), losses(runs), learning_rates(runs)];
    panels.extend(runs.iter().filter_map(|run| ranks(runs, run)));
    section("Training", &columns(&panels))
}

/// Returns the table of a run's ranks, if several processes trained it.
fn ranks(runs: &[&Run], run: &Run) -> Option<String> {
    let work = run.work.as_ref()?;
    let heading = if runs.len() == 1 { "Ranks".to_owned() } else { format!("Ranks of {}", run.name) };
    let rows: Vec<Vec<Cell>> = work.rows().into_iter().map(|row| row.map(Cell::Number).into()).collect();
    let text = format!(
        "The last epoch with several ranks. {} The chart of the time counts waiting for ranks and moving as computing.",
        work.sentences()
    );
    Some(panel(&heading, &format!("{}{}", table("Work of each rank", &JointWork::HEAD, &rows), note(&text))))
}

fn epoch_axis(runs: &[&Run]) -> Axis {
    let axis = Axis::new().title("Epoch (counted from 0)").tick_format("d").zero_line(false);
    let most = runs.iter().map(|run| run.epochs.len()).max().unwrap_or(0);
    match most {
        // Around a single point, plotly.js would show epoch -1.
        1 => axis.dtick(1.0).range(vec![-0.5, 0.5]),
        // With few epochs, plotly.js would put ticks between them.
        2..=12 => axis.dtick(1.0),
        _ => axis,
    }
}

/// Returns a logarithmic axis for these values, with ticks at 1, 2 and 5 times the powers of ten.
/// With few decades, plotly.js alone would draw a tick for each digit.
fn log_axis(values: impl Iterator<Item = f64>) -> Axis {
    let axis = Axis::new().type_(AxisType::Log).exponent_format(ExponentFormat::Power).auto_margin(true);
    let (mut lowest, mut highest) = (f64::INFINITY, 0.0_f64);
    for value in values.filter(|value| value.is_normal() && *value > 0.0) {
        (lowest, highest) = (lowest.min(value), highest.max(value));
    }
    if highest < lowest || highest > 500.0 * lowest {
        return axis.dtick(1.0);
    }
    let decades = lowest.log10().floor() as i32 - 1..=highest.log10().ceil() as i32;
    let ticks: Vec<f64> = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(decade))).collect();
    let texts = ticks.iter().map(|tick| format!("{:.*}", (-tick.log10().floor()).max(0.0) as usize, tick)).collect();
    axis.tick_mode(TickMode::Array).tick_values(ticks).tick_text(texts)
}

/// Returns the line of a run: the value of each epoch that has it.
fn line(run: &Run, value: impl Fn(&Epoch) -> Option<f64>) -> Box<Scatter<usize, f64>> {
    let (epochs, values): (Vec<usize>, Vec<f64>) =
        run.epochs.iter().filter_map(|epoch| Some((epoch.number, value(epoch)?))).unzip();
    let mode = if run.epochs.len() <= MARKED_EPOCHS { Mode::LinesMarkers } else { Mode::Lines };
    Scatter::new(epochs, values).mode(mode)
}

/// Returns the colour of a line. The training line of a single run has its own.
fn shade(runs: &[&Run], number: usize, is_test: bool) -> &'static str {
    if runs.len() == 1 && !is_test { PALETTE[1] } else { colour(number) }
}

/// Returns the style of a line: solid for test, dotted for training.
fn stroke(runs: &[&Run], number: usize, is_test: bool) -> Line {
    let dash = if is_test { DashType::Solid } else { DashType::Dot };
    Line::new().color(shade(runs, number, is_test)).width(2.0).dash(dash)
}

/// Returns a line's name in the labels that plotly.js shows.
fn name(runs: &[&Run], run: &Run, what: &str) -> String {
    if runs.len() == 1 { what.to_owned() } else { label(&format!("{} {what}", run.name)) }
}

/// Adds the legend: the two lines of a single run, or the colour of each of several runs.
fn with_legend(chart: Chart, runs: &[&Run]) -> Chart {
    match runs {
        [run] => chart.legend(Mark::Line, shade(runs, 0, true), run.judges).legend(
            Mark::Dotted,
            shade(runs, 0, false),
            "train",
        ),
        runs => runs
            .iter()
            .enumerate()
            .fold(chart, |chart, (number, run)| chart.legend(Mark::Line, colour(number), run.name.clone())),
    }
}

/// Explains the lines where the legend has only the runs.
fn line_styles(runs: &[&Run]) -> &'static str {
    if runs.len() > 1 { " Solid lines are test or val clips, dotted lines training." } else { "" }
}

fn losses(runs: &[&Run]) -> String {
    let loss = |scored: Option<Scored>| scored.map(|scored| scored.loss);
    let epochs = runs.iter().flat_map(|run| &run.epochs);
    let axis = log_axis(epochs.flat_map(|epoch| [loss(epoch.eval), loss(epoch.train)]).flatten()).hover_format(".4g");
    let mut chart = Chart::new(HEIGHT).axes(epoch_axis(runs), axis.title("Cross-entropy loss (log scale)"));
    for (number, run) in runs.iter().enumerate() {
        let test = line(run, |epoch| loss(epoch.eval)).name(name(runs, run, run.judges));
        let train = line(run, |epoch| loss(epoch.train)).name(name(runs, run, "train"));
        chart = chart.trace(test.line(stroke(runs, number, true))).trace(train.line(stroke(runs, number, false)));
    }
    let is_summed = |run: &&Run| run.network.as_ref().is_none_or(|network| network.view().consensus == Consensus::Sum);
    let judges = runs.first().map_or("test", |run| run.judges);
    let sums = if runs.iter().any(is_summed) {
        format!(
            " Runs with consensus sum compute {judges} loss from logits summed over a clip's samples, so it is higher \
             than training loss."
        )
    } else {
        String::new()
    };
    let caption = format!(
        "Lower is better. A {judges} loss that rises while the training loss falls is a sign of overfitting.{sums}{}",
        line_styles(runs)
    );
    figure("Loss", &with_legend(chart, runs).html("Loss of each epoch"), &caption)
}

fn accuracies(runs: &[&Run]) -> String {
    let axis = Axis::new().range(vec![0.0, 101.0]).hover_format(".2f").title("Accuracy (% of clips)").auto_margin(true);
    let mut chart = with_legend(Chart::new(HEIGHT).axes(epoch_axis(runs), axis), runs);
    let top1 = |scored: Option<Scored>| scored.map(|scored| scored.top1);
    let top5 = |scored: Option<Scored>| scored.map(|scored| scored.top5);
    for (number, run) in runs.iter().enumerate() {
        let strokes = |is_test| stroke(runs, number, is_test);
        let test = line(run, |epoch| top1(epoch.eval))
            .name(name(runs, run, &format!("{} top-1", run.judges)))
            .line(strokes(true));
        let train = line(run, |epoch| top1(epoch.train)).name(name(runs, run, "train top-1")).line(strokes(false));
        chart = chart.trace(test).trace(train);
        if let Some((best, test)) = run.best().and_then(|best| Some((best, best.eval?))) {
            let mark = Marker::new().symbol(MarkerSymbol::Star).size(13).color(colour(number));
            let star = Scatter::new(vec![best.number], vec![test.top1]).mode(Mode::Markers).marker(mark);
            chart = chart.trace(star.name(name(runs, run, "best epoch")));
        }
        // Of several runs, top-5 is in the table only: the chart would have too many lines.
        if runs.len() == 1 {
            let thin = |is_test| strokes(is_test).width(1.0);
            let test = line(run, |epoch| top5(epoch.eval))
                .name(name(runs, run, &format!("{} top-5", run.judges)))
                .line(thin(true));
            let train = line(run, |epoch| top5(epoch.train)).name(name(runs, run, "train top-5")).line(thin(false));
            chart = chart.trace(test.opacity(0.6)).trace(train.opacity(0.6));
        }
    }
    let thin = if runs.len() == 1 { " Thin lines are top-5 accuracy." } else { "" };
    let caption = format!(
        "Higher is better. If the {} line still rises at the end, more epochs may help; a training line far above it \
         is a sign of overfitting. The star marks the best epoch.{thin}{}",
        runs.first().map_or("test", |run| run.judges),
        line_styles(runs)
    );
    figure("Accuracy", &chart.html("Accuracy of each epoch"), &caption)
}

fn learning_rates(runs: &[&Run]) -> String {
    let rates = runs.iter().flat_map(|run| run.epochs.iter().filter_map(|epoch| epoch.lr));
    let axis = log_axis(rates).hover_format(".3g").title("Learning rate (log scale)");
    let mut chart = Chart::new(HEIGHT).axes(epoch_axis(runs), axis);
    for (number, run) in runs.iter().enumerate() {
        let steps = stroke(runs, number, true).shape(LineShape::Hv);
        chart = chart.trace(line(run, |epoch| epoch.lr).name(name(runs, run, "learning rate")).line(steps));
        if runs.len() > 1 {
            chart = chart.legend(Mark::Line, colour(number), run.name.clone());
        }
    }
    let caption = "The rate of each epoch's first step. Compare its drops with the curves of loss and accuracy.";
    figure("Learning rate", &chart.html("Learning rate of each epoch"), caption)
}

/// A part of a pass: its name, its seconds and its colour.
type Part = (&'static str, fn(&PassSeconds) -> f64, &'static str);
const PARTS: [Part; 3] = [
    ("computing", |seconds| seconds.computing, PALETTE[0]),
    ("copying", |seconds| seconds.copying, PALETTE[4]),
    ("waiting", |seconds| seconds.waiting, PALETTE[5]),
];

/// Returns a chart of the time with one bar per epoch of a single run, or one bar per run of
/// several.
fn times(runs: &[&Run]) -> String {
    const HEADING: &str = "Where the time went";
    let bars: Vec<(String, PassSeconds, PassSeconds)> = match runs {
        [run] => {
            let timed = run.epochs.iter().filter_map(|epoch| Some((epoch, epoch.seconds?)));
            timed.map(|(epoch, seconds)| (epoch.number.to_string(), seconds.train, seconds.test)).collect()
        }
        runs => {
            let timed = runs.iter().filter_map(|run| Some((run, run.seconds()?)));
            let mean = |pass: PassSeconds, epochs: usize| pass.scaled(1.0 / epochs as f64);
            let bar = |(run, (sum, epochs)): (&&Run, (EpochSeconds, usize))| {
                (label(&run.name), mean(sum.train, epochs), mean(sum.test, epochs))
            };
            timed.map(bar).collect()
        }
    };
    if bars.is_empty() {
        return panel(HEADING, &note("Unknown: log.jsonl, the only file with times, has no complete epoch."));
    }
    let longest = bars.iter().map(|(_, train, test)| train.total() + test.total()).fold(0.0, f64::max);
    let (unit, seconds) = match longest {
        0.0..120.0 => ("seconds", 1.0),
        120.0..7200.0 => ("minutes", 60.0),
        _ => ("hours", 3600.0),
    };
    let places: Vec<String> = bars.iter().map(|(place, _, _)| place.clone()).collect();
    let x = Axis::new().title(if runs.len() == 1 { "Epoch (counted from 0)" } else { "Run" }).auto_margin(true);
    let mean = if runs.len() == 1 { "Time" } else { "Mean time" };
    let y = Axis::new().title(format!("{mean} per epoch ({unit})")).hover_format(".3f").auto_margin(true);
    let mut chart = Chart::new(HEIGHT)
        .axes(x.type_(AxisType::Category), y)
        .layout(|layout| layout.bar_mode(BarMode::Stack).bar_gap(if runs.len() == 1 { 0.2 } else { 0.6 }));
    for (pass, opacity, square) in [("train", 1.0, Mark::Square), ("test", 0.45, Mark::PaleSquare)] {
        for (part, of, colour) in PARTS {
            let value = |(_, train, test): &(_, PassSeconds, PassSeconds)| {
                of(if pass == "train" { train } else { test }) / seconds
            };
            let bar = Bar::new(places.clone(), bars.iter().map(value).collect());
            let (mark, name) = (Marker::new().color(colour), format!("{pass}: {part}"));
            chart = chart.trace(bar.name(&name).marker(mark).opacity(opacity)).legend(square, colour, name);
        }
    }
    let limits: String = runs.iter().map(|run| limit_sentence(runs, run)).collect();
    let caption = format!(
        "{limits}Waiting is time without data to compute on: if it is a large part of a bar, the input is too slow."
    );
    figure(HEADING, &chart.html("Time per epoch by activity"), &caption)
}

/// Returns the sentence about what limits the training speed, which ucftrain also prints at the end
/// of a run.
fn limit_sentence(runs: &[&Run], run: &Run) -> String {
    let Some((sum, _)) = run.seconds() else { return String::new() };
    let sentence = limit(sum.train.total(), sum.train.waiting, sum.train.copying, sum.decoding);
    if runs.len() == 1 { format!("Training steps: {sentence}. ") } else { format!("{}: {sentence}. ", run.name) }
}
