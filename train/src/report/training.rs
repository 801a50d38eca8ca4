//! The part about the training: loss, precision, learning rate, time.

use super::chart::{Chart, PALETTE, colour, label};
use super::epochs::{Epoch, EpochSeconds, PassSeconds};
use super::html::{columns, note, panel, section};
use super::run::Run;
use crate::base::meters::Scored;
use crate::input::limit;
use crate::view::Consensus;
use plotly::common::{DashType, ExponentFormat, Line, LineShape, Marker, MarkerSymbol, Mode, TickMode, Visible};
use plotly::layout::{Axis, AxisType, BarMode};
use plotly::{Bar, Scatter};

/// Pixels.
const HEIGHT: usize = 300;
/// More epochs than this are lines without a mark each.
const MARKED_EPOCHS: usize = 30;

/// The section of these runs.
pub fn training(runs: &[&Run]) -> String {
    if runs.iter().all(|run| run.epochs.is_empty()) {
        return section("Training", &note("No epoch is over yet."));
    }
    let is_summed = |run: &&Run| run.network.as_ref().is_none_or(|network| network.view().consensus == Consensus::Sum);
    let loss_note = if runs.iter().all(is_summed) {
        "Test loss is that of a clip's logits summed over its samples, as in the reference run, so it reads high."
    } else if runs.iter().any(is_summed) {
        "Test loss of the recipe seed is that of a clip's logits summed over its samples, as in the reference run, so it reads high."
    } else {
        ""
    };
    let precision_note = if runs.len() > 1 { "Top-5 is in the legend: a click shows it." } else { "" };
    let panels = [
        panel("Loss", &(losses(runs).html() + &note(loss_note))),
        panel("Clips that are right, %", &(precisions(runs).html() + &note(precision_note))),
        panel("Learning rate", &learning_rates(runs).html()),
        panel("Where the time went", &times(runs)),
    ];
    section("Training", &columns(&panels))
}

fn epoch_axis(runs: &[&Run]) -> Axis {
    let axis = Axis::new().title("epoch").tick_format("d").zero_line(false);
    let most = runs.iter().map(|run| run.epochs.len()).max().unwrap_or(0);
    // Few epochs would get marks between them.
    if most <= 12 { axis.dtick(1.0) } else { axis }
}

/// A logarithmic axis for these values, with ticks at 1, 2 and 5 times the powers of ten: plotly.js has a tick for each digit
/// where there are few decades.
fn log_axis(values: impl Iterator<Item = f64>) -> Axis {
    let axis = Axis::new().type_(AxisType::Log).exponent_format(ExponentFormat::Power);
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

/// What is drawn of a run: the value of each epoch that has it.
fn line(run: &Run, value: impl Fn(&Epoch) -> Option<f64>) -> Box<Scatter<usize, f64>> {
    let (epochs, values): (Vec<usize>, Vec<f64>) =
        run.epochs.iter().filter_map(|epoch| Some((epoch.number, value(epoch)?))).unzip();
    let mode = if run.epochs.len() <= MARKED_EPOCHS { Mode::LinesMarkers } else { Mode::Lines };
    Scatter::new(epochs, values).mode(mode)
}

/// Test is a full line in the run's colour. Train is dotted; of a single run it has a colour of its own.
fn stroke(runs: &[&Run], number: usize, is_test: bool) -> Line {
    let colour = if runs.len() == 1 && !is_test { PALETTE[1] } else { colour(number) };
    let dash = if is_test { DashType::Solid } else { DashType::Dot };
    Line::new().color(colour).width(2.0).dash(dash)
}

/// A line's name in the legend.
fn name(runs: &[&Run], run: &Run, what: &str) -> String {
    if runs.len() == 1 { what.to_owned() } else { format!("{} {what}", label(&run.name)) }
}

fn losses(runs: &[&Run]) -> Chart {
    let loss = |scored: Option<Scored>| scored.map(|scored| scored.loss);
    let epochs = runs.iter().flat_map(|run| &run.epochs);
    let axis = log_axis(epochs.flat_map(|epoch| [loss(epoch.test), loss(epoch.train)]).flatten()).hover_format(".4g");
    let mut chart = Chart::new(HEIGHT).axes(epoch_axis(runs), axis);
    for (number, run) in runs.iter().enumerate() {
        let test = line(run, |epoch| loss(epoch.test)).name(name(runs, run, run.judges()));
        let train = line(run, |epoch| loss(epoch.train)).name(name(runs, run, "train"));
        chart = chart.trace(test.line(stroke(runs, number, true))).trace(train.line(stroke(runs, number, false)));
    }
    chart
}

fn precisions(runs: &[&Run]) -> Chart {
    let axis = Axis::new().range(vec![0.0, 101.0]).hover_format(".2f").tick_suffix(" %");
    let mut chart = Chart::new(HEIGHT).axes(epoch_axis(runs), axis);
    let top1 = |scored: Option<Scored>| scored.map(|scored| scored.top1);
    let top5 = |scored: Option<Scored>| scored.map(|scored| scored.top5);
    for (number, run) in runs.iter().enumerate() {
        let strokes = |is_test| stroke(runs, number, is_test);
        let test = line(run, |epoch| top1(epoch.test))
            .name(name(runs, run, &format!("{} top-1", run.judges())))
            .line(strokes(true));
        let train = line(run, |epoch| top1(epoch.train)).name(name(runs, run, "train top-1")).line(strokes(false));
        chart = chart.trace(test).trace(train);
        if let Some((best, test)) = run.best().and_then(|best| Some((best, best.test?))) {
            let mark = Marker::new().symbol(MarkerSymbol::Star).size(13).color(colour(number));
            let star = Scatter::new(vec![best.number], vec![test.top1]).mode(Mode::Markers).marker(mark);
            chart = chart.trace(star.name(name(runs, run, "best epoch")).show_legend(runs.len() == 1));
        }
        let shown = if runs.len() == 1 { Visible::True } else { Visible::LegendOnly };
        let thin = |is_test| strokes(is_test).width(1.0);
        let test = line(run, |epoch| top5(epoch.test))
            .name(name(runs, run, &format!("{} top-5", run.judges())))
            .line(thin(true));
        let train = line(run, |epoch| top5(epoch.train)).name(name(runs, run, "train top-5")).line(thin(false));
        chart = chart.trace(test.visible(shown.clone()).opacity(0.6)).trace(train.visible(shown).opacity(0.6));
    }
    chart
}

fn learning_rates(runs: &[&Run]) -> Chart {
    let rates = runs.iter().flat_map(|run| run.epochs.iter().filter_map(|epoch| epoch.lr));
    let axis = log_axis(rates).hover_format(".3g");
    let mut chart = Chart::new(HEIGHT).axes(epoch_axis(runs), axis).layout(|layout| layout.show_legend(runs.len() > 1));
    for (number, run) in runs.iter().enumerate() {
        let steps = stroke(runs, number, true).shape(LineShape::Hv);
        chart = chart.trace(line(run, |epoch| epoch.lr).name(name(runs, run, "")).line(steps));
    }
    chart
}

/// Parts of a pass, with their colours.
type Part = (&'static str, fn(&PassSeconds) -> f64, &'static str);
const PARTS: [Part; 3] = [
    ("computing", |seconds| seconds.computing, PALETTE[0]),
    ("copying", |seconds| seconds.copying, PALETTE[4]),
    ("waiting", |seconds| seconds.waiting, PALETTE[5]),
];

/// A bar an epoch of one run, a bar a run of several; and a sentence a run.
fn times(runs: &[&Run]) -> String {
    let bars: Vec<(String, PassSeconds, PassSeconds)> = match runs {
        [run] => {
            let told = run.epochs.iter().filter_map(|epoch| Some((epoch, epoch.seconds?)));
            told.map(|(epoch, seconds)| (epoch.number.to_string(), seconds.train, seconds.test)).collect()
        }
        runs => {
            let told = runs.iter().filter_map(|run| Some((run, run.seconds()?)));
            let mean = |pass: PassSeconds, epochs: usize| pass.scaled(1.0 / epochs as f64);
            let bar = |(run, (sum, epochs)): (&&Run, (EpochSeconds, usize))| {
                (label(&run.name), mean(sum.train, epochs), mean(sum.test, epochs))
            };
            told.map(bar).collect()
        }
    };
    if bars.is_empty() {
        return note("Only log.jsonl tells where the time went, and it has no whole epoch.");
    }
    let longest = bars.iter().map(|(_, train, test)| train.total() + test.total()).fold(0.0, f64::max);
    let (unit, seconds) = match longest {
        0.0..120.0 => ("seconds", 1.0),
        120.0..7200.0 => ("minutes", 60.0),
        _ => ("hours", 3600.0),
    };
    let places: Vec<String> = bars.iter().map(|(place, _, _)| place.clone()).collect();
    let x = if runs.len() == 1 { Axis::new().title("epoch") } else { Axis::new() };
    let y = Axis::new().title(format!("{unit} an epoch")).hover_format(".3f");
    let mut chart = Chart::new(HEIGHT + 40)
        .axes(x.type_(AxisType::Category), y)
        .layout(|layout| layout.bar_mode(BarMode::Stack).bar_gap(if runs.len() == 1 { 0.2 } else { 0.6 }));
    for (pass, opacity) in [("train", 1.0), ("test", 0.45)] {
        for (part, of, colour) in PARTS {
            let value = |(_, train, test): &(_, PassSeconds, PassSeconds)| {
                of(if pass == "train" { train } else { test }) / seconds
            };
            let bar = Bar::new(places.clone(), bars.iter().map(value).collect());
            let mark = Marker::new().color(colour);
            chart = chart.trace(bar.name(format!("{pass}: {part}")).marker(mark).opacity(opacity));
        }
    }
    chart.html() + &runs.iter().map(|run| limit_note(runs, run)).collect::<String>()
}

/// What a run would gain most from, as it says itself at its end.
fn limit_note(runs: &[&Run], run: &Run) -> String {
    let Some((sum, _)) = run.seconds() else { return String::new() };
    let sentence = limit(sum.train.total(), sum.train.waiting, sum.train.copying, sum.decoding);
    note(&if runs.len() == 1 { format!("Training steps: {sentence}.") } else { format!("{}: {sentence}.", run.name) })
}
