//! Signals for Ctrl-C, termination and a closed terminal. The first one asks the work to end; the
//! second one ends the program at once.

use std::io;

/// Calls `ask` with the number of the first signal among SIGINT, SIGTERM and SIGHUP. A later signal
/// ends the program with 128 plus its number, even if all threads wait.
///
/// Signals within a tenth of a second after the first are ignored, because `timeout` and closed terminals send a signal
/// twice. SIGHUP stays ignored if it is ignored at the start, as under `nohup`.
///
/// `ask` runs in the thread that receives signals, so it must not block.
///
/// # Errors
/// Returns an error if the handler or the thread cannot be created.
#[cfg(unix)]
pub fn on_first_signal(ask: impl FnOnce(i32) + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use std::time::{Duration, Instant};

    const ONE_REQUEST: Duration = Duration::from_millis(100);

    let heard = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| signal != SIGHUP || !is_ignored(SIGHUP));
    let mut signals = signal_hook::iterator::Signals::new(heard)?;
    let watch = move || {
        let mut first: Option<Instant> = None;
        let mut ask = Some(ask);
        for signal in signals.forever() {
            if let Some(ask) = ask.take() {
                first = Some(Instant::now());
                ask(signal);
            } else if first.is_none_or(|first| first.elapsed() >= ONE_REQUEST) {
                signal_hook::low_level::exit(128 + signal);
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(watch).map(drop)
}

/// Calls `ask` with the number of SIGINT at the first Ctrl-C. A later one ends the program.
///
/// # Errors
/// Returns an error if the handler cannot be installed.
#[cfg(not(unix))]
pub fn on_first_signal(ask: impl FnOnce(i32) + Send + 'static) -> io::Result<()> {
    /// SIGINT.
    const CTRL_C: i32 = 2;
    let mut ask = Some(ask);
    let handler = move || match ask.take() {
        Some(ask) => ask(CTRL_C),
        None => std::process::exit(128 + CTRL_C),
    };
    ctrlc::set_handler(handler).map_err(io::Error::other)
}

/// Returns the name of a signal, such as `SIGTERM`.
#[cfg(unix)]
pub fn name(signal: i32) -> &'static str {
    signal_hook::low_level::signal_name(signal).unwrap_or("a signal")
}

/// Returns the name of the only signal.
#[cfg(not(unix))]
pub fn name(_: i32) -> &'static str {
    "Ctrl-C"
}

/// Returns whether the program was started with this signal ignored.
#[cfg(unix)]
#[expect(unsafe_code, reason = "the standard library cannot ask how a signal is handled")]
fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action, sigaction only writes the current action to `action`, which is
    // large enough. `action` is read only after the call succeeded.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}
