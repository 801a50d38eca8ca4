//! Trains, evaluates and fuses two-stream action recognition networks straight from clip shards.
//!
//! Data flows from shards to scores through these modules: `input` (the clips of a split, as
//! samples of `clip_loader`) -> `compute` (batches and steps on a device) -> `training` (epochs and
//! test passes) -> `scores` (scores files, accuracy, fusion). `run` stores the results of a run,
//! `report` shows them, `fetch` downloads ImageNet weights, and `cli` is the command line.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod base;
pub mod cli;
mod compute;
mod fetch;
mod formats;
mod input;
mod ranks;
mod report;
mod run;
mod schedule;
mod scores;
mod settings;
mod stream;
#[doc(hidden)]
pub mod testing;
mod training;
mod view;
