//! Tests of the library and the program `ucfpack`.
// Helper functions of tests may unwrap, as tests do.
#![allow(clippy::unwrap_used)]

mod add;
mod attributes;
mod build;
mod command;
mod crash;
#[cfg(unix)]
mod examples;
mod export;
mod extracts;
#[path = "../../../shard/tests/faulty/mod.rs"]
mod faulty;
mod groups;
#[cfg(unix)]
mod inputs;
mod killed;
mod layouts;
mod links;
mod lists;
mod locks;
#[cfg(unix)]
mod names;
mod pack;
mod parts;
mod pipes;
mod program;
mod recode;
mod resume;
mod signals;
#[cfg(unix)]
mod slurm;
mod subset;
mod synth;
mod tree;
mod videos;
