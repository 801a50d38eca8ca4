//! Stops the work on signals. The exit status tells which signal it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use anyhow::Context;
use ucfpack::signals::on_first_signal;

/// Number of the first signal, or 0.
static STOPPED_BY: AtomicI32 = AtomicI32::new(0);

/// Returns a flag that SIGINT, SIGTERM and SIGHUP set. A second signal ends the program at once,
/// even if a thread waits.
pub fn cancel_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let cancel = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&cancel);
    on_first_signal(move |signal| {
        STOPPED_BY.store(signal, Ordering::SeqCst);
        flag.store(true, Ordering::SeqCst);
    })
    .context("cannot install the handler for Ctrl-C")?;
    Ok(cancel)
}

/// Returns the number of the signal that stopped the work, if one did.
pub fn stopped_by() -> Option<u8> {
    u8::try_from(STOPPED_BY.load(Ordering::SeqCst)).ok().filter(|&signal| signal > 0)
}
