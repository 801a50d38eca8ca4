//! Provokes errors of both programs and compares what they print with `tests/snapshots/`.
//!
//! The snapshots are meant to be read: each entry has the situation, the command, the exit status and the message.
//! After a change of messages, write them again and review the difference:
//!
//! ```sh
//! cargo build --workspace --bins && UPDATE_SNAPSHOTS=1 cargo test --workspace --test errors
//! ```

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "an unexpected error fails the test")]

mod editing;
mod snapshot;
mod ucfpack;
mod ucftrain;
