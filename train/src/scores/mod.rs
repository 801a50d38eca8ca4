//! Scores of a network: for each clip the sum of its samples' logits.
//!
//! `scores.npz` of a run holds `names` `[clips]`, `labels` `[clips]`, `logits` `[clips, classes]` and `samples` `[clips]`.
//! Files of others are read where they say as much: npz files with `names` and `logits`, and pickled dictionaries
//! `{name: float32[classes]}` as the reference code (jeffreyyihuang/two-stream-action-recognition) writes them.

pub mod accuracy;
pub mod calibration;
mod clip_scores;
pub mod confusion;
mod csv;
mod fault;
mod file;
pub mod fusion;
mod labels;
mod names;
mod npy;
mod npz;
mod samples;

pub use clip_scores::Scores;
pub use file::SCORES_FILE;
pub use labels::Labels;
pub use names::{clip_key, first_few, read_names};
pub use samples::SampleScores;
