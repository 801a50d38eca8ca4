//! Trains, evaluates and fuses two-stream action recognition networks straight from clip shards.
//!
//! From the shards to a score: [`videos`] (the clips of a split) -> [`sampler`] (which frames) and [`view`] (which part of them) -> [`input`] (pixels,
//! in threads ahead of the step) -> [`engine`] (steps and epochs) -> [`evaluate`] (many samples a clip) -> [`scores`] -> [`fusion`].

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod accuracy;
#[cfg(feature = "cuda")]
pub mod algorithms;
pub mod average;
pub mod bench;
pub mod calibration;
pub mod checkpoint;
pub mod confusion;
pub mod console;
pub mod device;
pub mod engine;
pub mod eval;
pub mod evaluate;
pub mod exchange;
mod float;
pub mod fuse;
pub mod fusion;
pub mod input;
pub mod io;
mod metadata;
pub mod meters;
pub mod pixels;
pub mod plateau;
pub mod predict;
pub mod report;
pub mod run_folder;
pub mod run_lock;
pub mod run_log;
pub mod sampler;
pub mod schedule;
pub mod scores;
pub mod settings;
pub mod step;
pub mod stop;
pub mod stream;
pub mod table;
pub mod tensorboard;
pub mod train;
pub mod trained;
pub mod usage;
pub mod videos;
pub mod view;
pub mod weights;
pub mod whole_file;
