//! Trains, evaluates and fuses two-stream action recognition networks straight from clip shards.
//!
//! From the shards to a score: [`videos`] (the clips of a split) -> [`sampler`] (which frames) and [`view`] (which part of them)
//! -> [`input`] (pixels, in threads ahead of the step) -> [`compute`] (batches and steps on a device) -> [`training`] (epochs and
//! test passes) -> [`scores`] (files of scores, accuracy, fusion). [`run`] keeps what a run leaves, [`report`] shows it.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod base;
pub mod cli;
pub mod compute;
pub mod formats;
pub mod input;
pub mod pixels;
pub mod report;
pub mod run;
pub mod sampler;
pub mod scores;
pub mod settings;
pub mod stream;
pub mod training;
pub mod videos;
pub mod view;
