//! Packing, and looking after what was packed: the library and the program.
// Helper functions of tests may unwrap as tests do.
#![allow(clippy::unwrap_used)]

mod build;
mod export;
mod layouts;
mod pack;
mod program;
mod synth;
mod tree;
