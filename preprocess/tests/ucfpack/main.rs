//! Packing, and looking after what was packed: the library and the program.
// Helper functions of tests may unwrap as tests do.
#![allow(clippy::unwrap_used)]

mod build;
mod crash;
mod export;
mod faulty;
mod groups;
#[cfg(unix)]
mod inputs;
mod killed;
mod layouts;
mod pack;
mod parts;
mod program;
mod resume;
#[cfg(unix)]
mod slurm;
mod synth;
mod tree;
mod videos;
