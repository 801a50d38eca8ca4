//! Progress of long work on stderr: a bar on a terminal, otherwise a line every few seconds.

use std::io::IsTerminal;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::console;
use crate::quantity::{show_bytes, show_count};

/// Time between two lines, if stderr is not a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Time between two updates of the bar.
const BAR_EVERY: Duration = Duration::from_millis(100);

/// Progress and cancellation of long work.
#[derive(Debug, Clone, Copy)]
pub struct Watch<'a> {
    /// Receiver of progress.
    pub progress: &'a Progress,
    /// Flag that ends the work with [`crate::Error::Interrupted`] once it is set.
    pub cancel: &'a AtomicBool,
}

/// An amount of work. Amounts that are 0 in the total are not shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Number of clips.
    pub clips: u64,
    /// Number of images (files or records).
    pub images: u64,
    /// Number of bytes read.
    pub bytes: u64,
}

/// Reports the progress of one task after the other.
#[derive(Debug)]
pub struct Progress {
    hidden: bool,
    task: Mutex<Option<Task>>,
}

#[derive(Debug)]
struct Task {
    label: &'static str,
    /// Name of the unit that `images` counts.
    unit: &'static str,
    total: Work,
    done: Work,
    started: Instant,
    shown: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Creates a reporter that writes to stderr.
    pub fn on_stderr() -> Self {
        Self { hidden: false, task: Mutex::new(None) }
    }

    /// Creates a reporter that writes nothing.
    pub fn hidden() -> Self {
        Self { hidden: true, task: Mutex::new(None) }
    }

    /// Starts a task, such as `packing`.
    pub fn begin(&self, label: &'static str, total: Work) {
        self.begin_counting(label, total, "images");
    }

    /// Starts a task with another name for its images, such as `samples`.
    pub fn begin_counting(&self, label: &'static str, total: Work, unit: &'static str) {
        if self.hidden {
            return;
        }
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total.steps()), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:24}] {percent:>3}%  {wide_msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(label);
            bar
        });
        let now = Instant::now();
        *self.lock() = Some(Task { label, unit, total, done: Work::default(), started: now, shown: now, bar });
    }

    /// Writes a line between two tasks.
    pub fn tell(&self, words: &str) {
        if !self.hidden {
            console::say(words);
        }
    }

    /// Adds finished work.
    pub fn add(&self, work: Work) {
        if let Some(task) = self.lock().as_mut() {
            task.done.clips += work.clips;
            task.done.images += work.images;
            task.done.bytes += work.bytes;
            task.show();
        }
    }

    /// Ends the task and clears its bar.
    pub fn end(&self) {
        if let Some(bar) = self.lock().take().and_then(|task| task.bar) {
            bar.finish_and_clear();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Task>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    /// Returns the amount that the bar counts: the finest one whose total is known.
    fn steps(&self) -> u64 {
        [self.images, self.bytes, self.clips].into_iter().find(|&n| n > 0).unwrap_or(0)
    }
}

impl Task {
    fn show(&mut self) {
        let every = if self.bar.is_some() { BAR_EVERY } else { LINE_EVERY };
        if self.shown.elapsed() < every {
            return;
        }
        self.shown = Instant::now();
        let text = describe(self.total, self.done, self.unit, self.started.elapsed());
        match &self.bar {
            Some(bar) => {
                bar.set_position(steps_done(self.total, self.done));
                bar.set_message(text);
            }
            None => console::say(&format!("{}: {text}", self.label)),
        }
    }
}

fn steps_done(total: Work, done: Work) -> u64 {
    match total {
        Work { images: 1.., .. } => done.images,
        Work { bytes: 1.., .. } => done.bytes,
        _ => done.clips,
    }
}

fn describe(total: Work, done: Work, unit: &str, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(1e-3);
    let mut parts = Vec::new();
    if total.clips > 0 {
        parts.push(format!("{}/{} clips", show_count(done.clips), show_count(total.clips)));
    }
    if done.images > 0 {
        parts.push(format!("{} {unit}/s", show_count((done.images as f64 / seconds) as u64)));
    }
    if done.bytes > 0 {
        parts.push(format!("{}/s", show_bytes((done.bytes as f64 / seconds) as u64)));
    }
    let (steps, all) = (steps_done(total, done), total.steps());
    if steps > 0 && all >= steps {
        let left = (seconds * (all - steps) as f64 / steps as f64) as u64;
        parts.push(format!("{}:{:02}:{:02} left", left / 3600, left / 60 % 60, left % 60));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_amounts_rates_and_the_time_left() {
        let total = Work { clips: 40, images: 20_000, bytes: 0 };
        let done = Work { clips: 10, images: 5_000, bytes: 30_000_000 };
        let text = describe(total, done, "images", Duration::from_secs(10));
        assert_eq!(text, "10/40 clips, 500 images/s, 3.0 MB/s, 0:00:30 left");
        assert_eq!(describe(Work { clips: 3, ..total }, Work::default(), "images", Duration::ZERO), "0/3 clips");
    }
}
