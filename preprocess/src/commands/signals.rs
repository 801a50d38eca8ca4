//! Ctrl-C and termination: the first signal lets work end in good order, the second ends the program at once.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The last signal that came, 0 for none.
static STOPPED_BY: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// Returns a flag that SIGINT, SIGTERM and SIGHUP set. A second signal ends the program at once, even if a read blocks.
pub fn cancel_on_signals() -> io::Result<Arc<AtomicBool>> {
    let cancel = Arc::new(AtomicBool::new(false));
    let stopped_by = STOPPED_BY.get_or_init(Arc::default);
    for signal in signals() {
        // Actions run in this order: only a second signal finds the flag set.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&cancel))?;
        flag::register_usize(signal, Arc::clone(stopped_by), signal as usize)?;
        flag::register(signal, Arc::clone(&cancel))?;
    }
    Ok(cancel)
}

/// Returns the number of the signal that stopped the work, if one did.
pub fn stopped_by() -> Option<u8> {
    let signal = STOPPED_BY.get()?.load(Ordering::Relaxed);
    u8::try_from(signal).ok().filter(|&signal| signal > 0)
}

#[cfg(not(unix))]
fn signals() -> Vec<i32> {
    vec![SIGINT, SIGTERM]
}

/// SIGHUP is left alone if it is ignored at the start: `nohup` keeps a program running after its terminal closes.
#[cfg(unix)]
fn signals() -> Vec<i32> {
    use signal_hook::consts::SIGHUP;
    if is_ignored(SIGHUP) { vec![SIGINT, SIGTERM] } else { vec![SIGINT, SIGTERM, SIGHUP] }
}

#[cfg(unix)]
#[allow(unsafe_code, reason = "the standard library cannot ask how a signal is handled")]
fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action, sigaction only writes the present one; it is read only if the call succeeded.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}
