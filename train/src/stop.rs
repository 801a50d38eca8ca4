//! When to stop before the end: asked by a signal, or at a number of steps.

use crate::usage::Usage;
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

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
        listen(stop.clone()).map_err(|e| Usage(format!("cannot listen to signals: {e}")))?;
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

#[cfg(unix)]
fn name(signal: i32) -> &'static str {
    signal_hook::low_level::signal_name(signal).unwrap_or("a signal")
}

#[cfg(unix)]
fn listen(stop: Stop) -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use std::thread::Builder;
    use std::time::{Duration, Instant};

    /// `timeout` and a terminal that is closed send their signal twice.
    const ONE_REQUEST: Duration = Duration::from_millis(100);

    let heard = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| signal != SIGHUP || !is_ignored(SIGHUP));
    let mut signals = signal_hook::iterator::Signals::new(heard)?;
    let watch = move || {
        let mut first: Option<Instant> = None;
        for signal in signals.forever() {
            match first {
                None => {
                    first = Some(Instant::now());
                    stop.ask_by(signal);
                    // In a thread of its own: a terminal that does not take the text must not delay the second signal.
                    let _ = Builder::new().spawn(|| crate::console::note(HINT));
                }
                Some(first) if first.elapsed() < ONE_REQUEST => {}
                Some(_) => signal_hook::low_level::exit(128 + signal),
            }
        }
    };
    Builder::new().name("signals".into()).spawn(watch).map(drop)
}

/// Whether the program was started with a signal ignored.
#[cfg(unix)]
#[expect(unsafe_code, reason = "no safe interface tells how a signal is handled")]
fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action, sigaction only writes the present one to `action`, which has room for it.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

#[cfg(not(unix))]
fn name(_: i32) -> &'static str {
    "Ctrl-C"
}

#[cfg(not(unix))]
fn listen(stop: Stop) -> Result<(), ctrlc::Error> {
    /// SIGINT.
    const CTRL_C: i32 = 2;
    ctrlc::set_handler(move || {
        if stop.is_asked() {
            std::process::exit(128 + CTRL_C);
        }
        stop.ask_by(CTRL_C);
        crate::console::note(HINT);
    })
}

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
