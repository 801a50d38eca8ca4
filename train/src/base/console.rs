//! What a person sees: results on stdout, progress on stderr; a bar on a terminal, a line now and then elsewhere. And what a
//! program sees instead, with `--json`: one document on stdout, an event a line on stderr.
//!
//! A reader that goes away stops no work. Text and progress that nobody reads are dropped. Only a result that is written
//! nowhere else is an error where it cannot be written whole: [`LostResult`].

use super::meters::Scored;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Once;
use std::time::{Duration, Instant};
use ucfpack::console::escape;

const LINE_EVERY: Duration = Duration::from_secs(10);
const EVENT_EVERY: Duration = Duration::from_secs(1);

/// Where results go.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    /// Only one JSON document goes to stdout; events, one a line, go to stderr.
    pub json: bool,
}

impl Console {
    /// Prints a line about work whose results are in files. A line that cannot be written is dropped.
    pub fn say(self, line: &str) {
        static SAID: Once = Once::new();
        if self.json {
            return;
        }
        match write_line(&mut io::stdout().lock(), &printable(line)) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                SAID.call_once(|| note(&format!("warning: stdout: {error}; the text is lost, the work goes on")));
            }
            _ => {}
        }
    }

    /// Tells a program what happened.
    pub fn event(self, event: &Value) {
        if self.json {
            print_event(event);
        }
    }

    /// Progress over `steps` steps of a stage, of which `done` are done.
    pub fn progress(self, stage: &str, steps: usize, done: usize) -> Progress {
        let kind = match (self.json, io::stderr().is_terminal()) {
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

/// A result could not be written to stdout, and it is written nowhere else.
#[derive(Debug, thiserror::Error)]
#[error("stdout: cannot write the result: {0}")]
pub struct LostResult(io::Error);

impl From<io::Error> for LostResult {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

impl LostResult {
    /// Exit status of the program: that of a program that a closed pipe ended, or 1.
    pub fn status(&self) -> u8 {
        // SIGPIPE has the number 13.
        if self.0.kind() == io::ErrorKind::BrokenPipe { 128 + 13 } else { 1 }
    }
}

/// Prints a result that is written nowhere else, such as a table.
///
/// # Errors
/// It did not reach stdout whole.
pub fn result(text: &str) -> Result<(), LostResult> {
    write_line(&mut io::stdout().lock(), &printable(text)).map_err(LostResult)
}

/// Prints the one document of `--json`.
///
/// # Errors
/// It did not reach stdout whole.
pub fn document(document: &impl fmt::Display) -> Result<(), LostResult> {
    write_line(&mut io::stdout().lock(), &document.to_string()).map_err(LostResult)
}

/// Prints a line for people on stderr: a warning, a note, an error. A line that cannot be written is dropped.
pub fn note(line: &str) {
    let _ = write_line(&mut io::stderr().lock(), &printable(line));
}

/// A path as a shell takes it on a command line.
pub fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    shlex::try_quote(&path).map_or_else(|_| path.to_string(), Cow::into_owned)
}

fn print_event(event: &Value) {
    let _ = write_line(&mut io::stderr().lock(), &event.to_string());
}

/// In one piece, so that lines of several threads do not mix.
fn write_line(out: &mut impl Write, line: &str) -> io::Result<()> {
    out.write_all(format!("{line}\n").as_bytes())?;
    out.flush()
}

/// The text without control characters, which names in a data set may have and a terminal would obey. Its lines stay.
fn printable(text: &str) -> Cow<'_, str> {
    let lines: Vec<Cow<'_, str>> = text.split('\n').map(escape).collect();
    if lines.iter().all(|line| matches!(line, Cow::Borrowed(_))) { text.into() } else { lines.join("\n").into() }
}

/// How a stage goes: means over its steps so far.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figures {
    /// Of a step.
    #[serde(with = "crate::base::float")]
    pub seconds: f64,
    /// Of these, waited for data.
    #[serde(with = "crate::base::float")]
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
            Kind::Lines => note(&format!("{stage} {done}/{steps}, {left:.0} s left, {}", message())),
            Kind::Events => {
                let event = json!({
                    "event": "progress", "stage": stage, "step": done, "steps": steps, "seconds_left": left,
                    "samples_per_second": rate, "means": figures,
                });
                print_event(&event);
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(printable("a\u{1b}[31m\r\u{9b}b\nŁódź"), "a\\x1b[31m\\r\\x9bb\nŁódź");
        assert!(matches!(printable("plain\ntext"), Cow::Borrowed(_)));
    }

    #[test]
    fn paths_are_quoted_where_a_shell_would_split_them() {
        let cases = [("runs/a", "runs/a"), ("my runs/a", "'my runs/a'"), ("it's", "\"it's\""), ("$HOME", "'$HOME'")];
        for (path, expected) in cases {
            assert_eq!(quoted(Path::new(path)), expected);
        }
    }

    #[test]
    fn a_lost_result_names_stdout_and_a_closed_pipe_has_its_own_status() {
        let full = LostResult(io::Error::from_raw_os_error(28));
        assert!(full.to_string().starts_with("stdout: cannot write the result: "), "{full}");
        assert_eq!((full.status(), LostResult(io::ErrorKind::BrokenPipe.into()).status()), (1, 141));
    }
}
