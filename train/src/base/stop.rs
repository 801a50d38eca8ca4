//! When to stop before the end: asked by a signal, or at a number of steps.

use crate::base::usage::Usage;
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use ucfpack::signals::{name, on_first_signal};

/// Whether somebody asked the program to stop.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Asked>);

#[derive(Debug, Default)]
struct Asked {
    is_asked: AtomicBool,
    /// The signal that asked; 0 for none.
    signal: AtomicI32,
}

/// A signal ended a command before its end. The program ends with 128 plus the signal's number, as shells expect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped by {}; {left}", name(*.signal))]
pub struct Interrupted {
    /// Number of the signal.
    pub signal: i32,
    /// What the command leaves.
    pub left: &'static str,
}

impl Interrupted {
    /// Exit status of the program.
    pub fn status(&self) -> u8 {
        u8::try_from(128 + self.signal).unwrap_or(u8::MAX)
    }
}

impl Stop {
    /// Listens to SIGINT, SIGTERM and SIGHUP. The first one asks to stop after the step that is running. The second one ends the
    /// program at once, whatever its threads wait for. SIGHUP stays ignored where it is, as under `nohup`.
    pub fn on_signals() -> Result<Self> {
        let stop = Self::default();
        let asked = stop.clone();
        let ask = move |signal| {
            asked.ask_by(signal);
            // In a thread of its own: a terminal that does not take the text must not delay the second signal.
            let _ = std::thread::Builder::new().spawn(|| crate::base::console::note(HINT));
        };
        on_first_signal(ask).map_err(|e| Usage(format!("cannot listen to signals: {e}")))?;
        Ok(stop)
    }

    /// Asks to stop.
    pub fn ask(&self) {
        self.0.is_asked.store(true, Ordering::Relaxed);
    }

    fn ask_by(&self, signal: i32) {
        self.0.signal.store(signal, Ordering::Relaxed);
        self.ask();
    }

    /// What is set when it is asked.
    pub fn flag(&self) -> &AtomicBool {
        &self.0.is_asked
    }

    /// Whether it was asked.
    pub fn is_asked(&self) -> bool {
        self.0.is_asked.load(Ordering::Relaxed)
    }

    /// The error of a command that a signal ended, which leaves `left`; none where no signal came.
    pub fn interrupted(&self, left: &'static str) -> Option<Interrupted> {
        let signal = self.0.signal.load(Ordering::Relaxed);
        (signal != 0).then_some(Interrupted { signal, left })
    }
}

const HINT: &str = "stopping after this step; once more stops at once";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_named_and_gives_the_status_that_shells_expect() {
        let stop = Stop::default();
        stop.ask();
        assert!(stop.is_asked() && stop.interrupted("").is_none(), "no signal asked");
        stop.ask_by(15);
        let interrupted = stop.interrupted("nothing was written").unwrap();
        assert_eq!(interrupted.status(), 143);
        if cfg!(unix) {
            assert_eq!(interrupted.to_string(), "stopped by SIGTERM; nothing was written");
        }
    }
}
