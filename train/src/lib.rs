//! Trains, evaluates and fuses two-stream action recognition networks straight from clip shards.
//!
//! From the shards to a score: `input` (the clips of a split, as samples of `clip_loader`) -> `compute` (batches and steps on a
//! device) -> `training` (epochs and test passes) -> `scores` (files of scores, accuracy, fusion). `run` keeps what a run leaves,
//! `report` shows it, `cli` is all that is typed.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod base;
pub mod cli;
mod compute;
mod formats;
mod input;
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
