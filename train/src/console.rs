//! What a person sees: results on stdout, progress on stderr; a bar on a terminal, a line now and then elsewhere.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const LINE_EVERY: Duration = Duration::from_secs(10);

/// Where results go.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    /// Only one JSON document goes to stdout; what would be printed there goes to stderr.
    pub json: bool,
}

impl Console {
    /// Prints a line of results.
    pub fn say(self, line: &str) -> Result<()> {
        if self.json {
            eprintln!("{line}");
        } else {
            writeln!(std::io::stdout().lock(), "{line}")?;
        }
        Ok(())
    }

    /// Progress over `steps` steps of a stage.
    pub fn progress(self, stage: &str, steps: usize, done: usize) -> Progress {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::stderr());
        let style = "{prefix} {wide_bar} {pos}/{len} [{elapsed_precise} < {eta_precise}] {msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_prefix(stage.to_owned());
        bar.set_position(done as u64);
        bar.reset_eta();
        Progress {
            bar,
            is_terminal,
            stage: stage.to_owned(),
            steps,
            done,
            first: done,
            start: Instant::now(),
            last: Instant::now(),
        }
    }
}

/// Progress over the steps of one stage.
pub struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    stage: String,
    steps: usize,
    done: usize,
    first: usize,
    start: Instant,
    last: Instant,
}

impl Progress {
    /// One step more. `message` says how it goes.
    pub fn step(&mut self, message: &str) {
        self.done += 1;
        if self.is_terminal {
            self.bar.set_message(message.to_owned());
            self.bar.inc(1);
        } else if self.last.elapsed() >= LINE_EVERY {
            self.last = Instant::now();
            let a_step = self.start.elapsed().as_secs_f64() / (self.done - self.first) as f64;
            let left = a_step * (self.steps - self.done) as f64;
            eprintln!("{} {}/{}, {left:.0} s left, {message}", self.stage, self.done, self.steps);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
