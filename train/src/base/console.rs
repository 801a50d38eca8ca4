//! Console output. Results go to stdout. Progress goes to stderr: as a bar on a terminal, otherwise
//! as a line every few seconds. With `--json`, stdout gets one document, and stderr one event per
//! line.
//!
//! A closed pipe does not stop work: text and progress that cannot be written are dropped. The
//! exception is a result that is not also in a file: if it cannot be written, the command fails
//! with [`LostResult`].

use super::meters::Scored;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use ucfpack::console::escape;

const LINE_EVERY: Duration = Duration::from_secs(10);
const EVENT_EVERY: Duration = Duration::from_secs(1);

/// The kind of output.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    /// Whether stdout gets one JSON document, and stderr one event per line.
    pub json: bool,
    /// Whether nothing is printed, because another rank prints.
    pub quiet: bool,
}

impl Console {
    /// Returns an output that prints, with JSON if `json`.
    pub fn new(json: bool) -> Self {
        Self { json, quiet: false }
    }

    /// Prints a line about work whose results are in files. Drops the line if it cannot be written.
    pub fn say(self, line: &str) {
        static WARNED: Once = Once::new();
        if self.json || self.quiet {
            return;
        }
        match write_line(&mut io::stdout().lock(), &printable(line)) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                WARNED.call_once(|| {
                    note(&format!(
                        "warning: cannot write to stdout: {error}; the command continues without this output"
                    ));
                });
            }
            _ => {}
        }
    }

    /// Prints an event with `--json`.
    pub fn event(self, event: &Value) {
        if self.json && !self.quiet {
            print_event(event);
        }
    }

    /// Starts to show the progress of a stage of `steps` steps. `done` steps are already done.
    pub fn progress(self, stage: &str, steps: usize, done: usize) -> Progress {
        let kind = self.kind();
        let style = "{prefix} {wide_bar} {pos}/{len} [{elapsed_precise} < {eta_precise}] {msg}";
        let bar = kind.bar(style, stage, Some(steps as u64), done as u64);
        let start = Instant::now();
        Progress { bar, kind, stage: stage.to_owned(), steps, done, first: done, samples: 0, start, last: start }
    }

    /// Starts to show how many bytes of a file have arrived. `total` is the size of the file, if it is
    /// known, and `done` the number of bytes that are there already.
    pub fn transfer(self, stage: &str, total: Option<u64>, done: u64) -> Transfer {
        let kind = self.kind();
        let style = if total.is_some() {
            "{prefix} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {msg}"
        } else {
            "{prefix} {spinner} {decimal_bytes} {msg}"
        };
        let bar = kind.bar(style, stage, total, done);
        let start = Instant::now();
        Transfer { bar, kind, stage: stage.to_owned(), total, done, first: done, start, last: start }
    }

    fn kind(self) -> Kind {
        if self.quiet {
            return Kind::Nothing;
        }
        match (self.json, io::stderr().is_terminal()) {
            (true, _) => Kind::Events,
            (false, true) => Kind::Bar,
            (false, false) => Kind::Lines,
        }
    }
}

/// A result that could not be written to stdout, and is in no file.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the result to stdout: {0}")]
pub struct LostResult(io::Error);

impl From<io::Error> for LostResult {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

impl LostResult {
    /// Returns the exit status: the one that shells show for SIGPIPE if the pipe was closed, or 1.
    pub fn status(&self) -> u8 {
        // The number of SIGPIPE is 13.
        if self.0.kind() == io::ErrorKind::BrokenPipe { 128 + 13 } else { 1 }
    }
}

/// Prints a result that is in no file, such as a table.
///
/// # Errors
/// Not all of it could be written.
pub fn result(text: &str) -> Result<(), LostResult> {
    write_line(&mut io::stdout().lock(), &printable(text)).map_err(LostResult)
}

/// Prints the document of `--json`.
///
/// # Errors
/// Not all of it could be written.
pub fn document(document: &impl fmt::Display) -> Result<(), LostResult> {
    write_line(&mut io::stdout().lock(), &document.to_string()).map_err(LostResult)
}

/// Whether notes and warnings are dropped.
static HUSHED: AtomicBool = AtomicBool::new(false);

/// Drops the notes and warnings of this process from now on, because another rank prints them.
pub fn hush() {
    HUSHED.store(true, Ordering::Relaxed);
}

/// Prints a warning or a note on stderr. Drops it if it cannot be written.
pub fn note(line: &str) {
    if !HUSHED.load(Ordering::Relaxed) {
        error(line);
    }
}

/// Prints an error on stderr. Drops it if it cannot be written.
pub fn error(line: &str) {
    let _ = write_line(&mut io::stderr().lock(), &printable(line));
}

/// Quotes a path for a shell, if necessary.
pub fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    shlex::try_quote(&path).map_or_else(|_| path.to_string(), Cow::into_owned)
}

fn print_event(event: &Value) {
    let _ = write_line(&mut io::stderr().lock(), &event.to_string());
}

/// Writes a line with one call, so that lines of several threads do not mix.
fn write_line(out: &mut impl Write, line: &str) -> io::Result<()> {
    out.write_all(format!("{line}\n").as_bytes())?;
    out.flush()
}

/// Escapes control characters, which names in a dataset may contain and a terminal would execute.
/// Keeps line breaks.
fn printable(text: &str) -> Cow<'_, str> {
    let lines: Vec<Cow<'_, str>> = text.split('\n').map(escape).collect();
    if lines.iter().all(|line| matches!(line, Cow::Borrowed(_))) { text.into() } else { lines.join("\n").into() }
}

/// Means over the steps of a stage so far.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figures {
    /// Seconds per step.
    #[serde(with = "crate::base::float")]
    pub seconds: f64,
    /// Seconds per step that were spent waiting for data.
    #[serde(with = "crate::base::float")]
    pub data_seconds: f64,
    /// Loss and accuracy of training.
    #[serde(flatten)]
    pub scored: Option<Scored>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s/step, {:.3} s waiting for data", self.seconds, self.data_seconds)?;
        let Some(Scored { loss, top1, top5 }) = self.scored else { return Ok(()) };
        write!(f, ", loss {loss:.4}, top-1 {top1:.2} %, top-5 {top5:.2} %")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bar,
    Lines,
    Events,
    Nothing,
}

impl Kind {
    /// Returns a bar at position `done`. It draws nothing unless this is the kind with a bar.
    fn bar(self, style: &str, stage: &str, len: Option<u64>, done: u64) -> ProgressBar {
        let target = if self == Self::Bar { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(len, target);
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_prefix(stage.to_owned());
        bar.set_position(done);
        bar.reset_eta();
        bar
    }

    /// Returns the time between two messages.
    fn every(self) -> Duration {
        match self {
            Self::Bar => Duration::ZERO,
            Self::Lines => LINE_EVERY,
            Self::Events => EVENT_EVERY,
            Self::Nothing => Duration::MAX,
        }
    }
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
    /// Counts a step with `samples` samples, and shows the progress if it is time to.
    pub fn step(&mut self, samples: usize, figures: Option<Figures>) {
        self.done += 1;
        self.samples += samples;
        if self.last.elapsed() < self.kind.every() {
            return;
        }
        self.last = Instant::now();
        let Self { stage, steps, done, .. } = self;
        let seconds = self.start.elapsed().as_secs_f64();
        let rate = self.samples as f64 / seconds;
        let left = seconds / (*done - self.first) as f64 * (*steps - *done) as f64;
        let message = || {
            let figures = figures.map(|figures| format!(", {figures}"));
            format!("{rate:.1} samples/s{}", figures.unwrap_or_default())
        };
        match self.kind {
            Kind::Bar => {
                self.bar.set_message(message());
                self.bar.set_position(*done as u64);
            }
            Kind::Lines => note(&format!("{stage}: step {done} of {steps}, {left:.0} s left, {}", message())),
            Kind::Events => {
                let event = json!({
                    "event": "progress", "stage": stage, "step": done, "steps": steps, "seconds_left": left,
                    "samples_per_second": rate, "means": figures,
                });
                print_event(&event);
            }
            Kind::Nothing => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Progress over the bytes of a file.
pub struct Transfer {
    bar: ProgressBar,
    kind: Kind,
    stage: String,
    total: Option<u64>,
    done: u64,
    first: u64,
    start: Instant,
    last: Instant,
}

impl Transfer {
    /// Counts bytes, and shows the progress if it is time to.
    pub fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        if self.last.elapsed() < self.kind.every() {
            return;
        }
        self.last = Instant::now();
        let rate = (self.done - self.first) as f64 / self.start.elapsed().as_secs_f64();
        let left = self.total.map(|total| total.saturating_sub(self.done) as f64 / rate);
        let Self { stage, total, done, .. } = self;
        // The rate of the bar would count the bytes that were there before.
        let message = || {
            let left = left.map_or_else(String::new, |left| format!(", {left:.0} s left"));
            format!("{}/s{left}", megabytes(rate as u64))
        };
        match self.kind {
            Kind::Bar => {
                self.bar.set_message(message());
                self.bar.set_position(*done);
            }
            Kind::Lines => {
                let total = total.map_or_else(String::new, |total| format!(" of {}", megabytes(total)));
                note(&format!("{stage}: {}{total}, {}", megabytes(*done), message()));
            }
            Kind::Events => print_event(&json!({
                "event": "progress", "stage": stage, "bytes": done, "total_bytes": total, "seconds_left": left,
                "bytes_per_second": rate,
            })),
            Kind::Nothing => {}
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Formats a number of bytes, for example `46.8 MB`.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("a\u{1b}[31m\r\u{9b}b\nŁódź"), "a\\x1b[31m\\r\\x9bb\nŁódź");
        assert!(matches!(printable("plain\ntext"), Cow::Borrowed(_)));
    }

    #[test]
    fn paths_are_quoted_if_a_shell_would_split_them() {
        let cases = [("runs/a", "runs/a"), ("my runs/a", "'my runs/a'"), ("it's", "\"it's\""), ("$HOME", "'$HOME'")];
        for (path, expected) in cases {
            assert_eq!(quoted(Path::new(path)), expected);
        }
    }

    #[test]
    fn a_lost_result_names_stdout_and_a_closed_pipe_has_its_own_status() {
        let full = LostResult(io::Error::from_raw_os_error(28));
        assert!(full.to_string().starts_with("cannot write the result to stdout: "), "{full}");
        assert_eq!((full.status(), LostResult(io::ErrorKind::BrokenPipe.into()).status()), (1, 141));
    }
}
