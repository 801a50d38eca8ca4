//! What a person sees: results on stdout, progress on stderr; a bar on a terminal, a line now and then elsewhere. And what a
//! program sees instead, with `--json`: one document on stdout, an event a line on stderr.

use crate::checkpoint::Scored;
use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const LINE_EVERY: Duration = Duration::from_secs(10);
const EVENT_EVERY: Duration = Duration::from_secs(1);

/// Where results go.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    /// Only one JSON document goes to stdout; events, one a line, go to stderr.
    pub json: bool,
}

impl Console {
    /// Prints a line of results.
    pub fn say(self, line: &str) -> Result<()> {
        if !self.json {
            writeln!(std::io::stdout().lock(), "{line}")?;
        }
        Ok(())
    }

    /// Tells a program what happened.
    pub fn event(self, event: &Value) {
        if self.json {
            eprintln!("{event}");
        }
    }

    /// Progress over `steps` steps of a stage, of which `done` are done.
    pub fn progress(self, stage: &str, steps: usize, done: usize) -> Progress {
        let kind = match (self.json, std::io::stderr().is_terminal()) {
            (true, _) => Kind::Events,
            (false, true) => Kind::Bar,
            (false, false) => Kind::Lines,
        };
        let target = if kind == Kind::Bar { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(steps as u64), target);
        let style = "{prefix} {wide_bar} {pos}/{len} [{elapsed_precise} < {eta_precise}] {msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_prefix(stage.to_owned());
        bar.set_position(done as u64);
        bar.reset_eta();
        let start = Instant::now();
        Progress { bar, kind, stage: stage.to_owned(), steps, done, first: done, samples: 0, start, last: start }
    }
}

/// How a stage goes: means over its steps so far.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figures {
    /// Of a step.
    pub seconds: f64,
    /// Of these, waited for data.
    pub data_seconds: f64,
    /// What training has reached.
    #[serde(flatten)]
    pub scored: Option<Scored>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Time [{:.3}] Data [{:.3}]", self.seconds, self.data_seconds)?;
        let Some(Scored { loss, top1, top5 }) = self.scored else { return Ok(()) };
        write!(f, " Loss [{loss:.5}] Prec@1 [{top1:.4}] Prec@5 [{top5:.4}]")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bar,
    Lines,
    Events,
}

/// Progress over the steps of one stage.
pub struct Progress {
    bar: ProgressBar,
    kind: Kind,
    stage: String,
    steps: usize,
    done: usize,
    first: usize,
    samples: usize,
    start: Instant,
    last: Instant,
}

impl Progress {
    /// One step more, with `samples` samples.
    pub fn step(&mut self, samples: usize, figures: Option<Figures>) {
        self.done += 1;
        self.samples += samples;
        let every = match self.kind {
            Kind::Bar => Duration::ZERO,
            Kind::Lines => LINE_EVERY,
            Kind::Events => EVENT_EVERY,
        };
        if self.last.elapsed() < every {
            return;
        }
        self.last = Instant::now();
        let Self { stage, steps, done, .. } = self;
        let seconds = self.start.elapsed().as_secs_f64();
        let rate = self.samples as f64 / seconds;
        let left = seconds / (*done - self.first) as f64 * (*steps - *done) as f64;
        let message = || {
            let figures = figures.map(|figures| format!(" {figures}"));
            format!("{rate:.1} samples/s{}", figures.unwrap_or_default())
        };
        match self.kind {
            Kind::Bar => {
                self.bar.set_message(message());
                self.bar.set_position(*done as u64);
            }
            Kind::Lines => eprintln!("{stage} {done}/{steps}, {left:.0} s left, {}", message()),
            Kind::Events => {
                let event = json!({
                    "event": "progress", "stage": stage, "step": done, "steps": steps, "seconds_left": left,
                    "samples_per_second": rate, "means": figures,
                });
                eprintln!("{event}");
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
