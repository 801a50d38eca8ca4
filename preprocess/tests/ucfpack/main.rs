//! Tests of the library and the program `ucfpack`.
// Helper functions of tests may unwrap, as tests do.
#![allow(clippy::unwrap_used)]

mod build;
mod command;
mod crash;
#[cfg(unix)]
mod examples;
mod export;
mod extracts;
mod faulty;
mod groups;
#[cfg(unix)]
mod inputs;
mod killed;
mod layouts;
mod links;
mod locks;
mod pack;
mod parts;
mod pipes;
mod program;
mod resume;
mod signals;
#[cfg(unix)]
mod slurm;
mod synth;
mod tree;
mod videos;
