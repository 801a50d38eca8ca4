//! Requests to stop before the end, by signals.

use crate::base::usage::Usage;
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use ucfpack::signals::{name, on_first_signal};

/// A flag that asks the program to stop, shared by all clones.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Asked>);

#[derive(Debug, Default)]
struct Asked {
    is_asked: AtomicBool,
    /// Number of the signal that asked; 0 for none.
    signal: AtomicI32,
}

/// A signal stopped a command. The exit status is 128 plus the signal's number, as shells expect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped by {}; {left}", name(*.signal))]
pub struct Interrupted {
    /// Number of the signal.
    pub signal: i32,
    /// The result of the command, for example `the checkpoint was saved`.
    pub left: &'static str,
}

impl Interrupted {
    /// Returns the exit status of the program.
    pub fn status(&self) -> u8 {
        u8::try_from(128 + self.signal).unwrap_or(u8::MAX)
    }
}

impl Stop {
    /// Listens to SIGINT, SIGTERM and SIGHUP. The first signal asks to stop after the current step.
    /// The second signal ends the program at once, even if its threads wait. SIGHUP stays ignored
    /// if it was ignored at the start, as under `nohup`.
    pub fn on_signals() -> Result<Self> {
        let stop = Self::default();
        let asked = stop.clone();
        let ask = move |signal| {
            asked.ask_by(signal);
            // A separate thread prints, because a blocked terminal must not delay the second
            // signal.
            let _ = std::thread::Builder::new().spawn(|| crate::base::console::note(HINT));
        };
        on_first_signal(ask).map_err(|e| Usage(format!("cannot install a signal handler: {e}")))?;
        Ok(stop)
    }

    /// Requests a stop.
    pub fn ask(&self) {
        self.0.is_asked.store(true, Ordering::Relaxed);
    }

    fn ask_by(&self, signal: i32) {
        self.0.signal.store(signal, Ordering::Relaxed);
        self.ask();
    }

    /// Returns the flag that is set by a request to stop.
    pub fn flag(&self) -> &AtomicBool {
        &self.0.is_asked
    }

    /// Returns whether a stop was requested.
    pub fn is_asked(&self) -> bool {
        self.0.is_asked.load(Ordering::Relaxed)
    }

    /// Returns the error of a command that a signal stopped, with the result `left`; `None` without
    /// a signal.
    pub fn interrupted(&self, left: &'static str) -> Option<Interrupted> {
        let signal = self.0.signal.load(Ordering::Relaxed);
        (signal != 0).then_some(Interrupted { signal, left })
    }
}

const HINT: &str = "stopping after this step; press Ctrl-C again to stop at once";

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
