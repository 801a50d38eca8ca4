//! The commands: what is typed after each, and what each prints.

pub mod bench;
pub mod eval;
pub mod exchange;
pub mod io;
pub mod predict;
pub mod train;
