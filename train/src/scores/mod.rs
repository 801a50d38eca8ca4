//! Scores of a network: the sum of the samples' logits of each clip.
//!
//! [`Scores`] holds them, and reads and writes files. [`accuracy`], [`confusion`] and
//! [`calibration`] evaluate scores, [`Labels`] finds the actual classes, and [`fusion`] combines
//! the scores of several networks.
//!
//! The file `scores.npz` of a run has the arrays `names` `[clips]`, `labels` `[clips]`, `logits`
//! `[clips, classes]`, `samples` `[clips]` and the text `subset`. Other readable formats are npz with `names` and
//! `logits`, npy, CSV, and pickled dictionaries `{name: float32[classes]}` as the reference code
//! (jeffreyyihuang/two-stream-action-recognition) writes them.

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
pub use file::{SCORES_FILE, VAL_SCORES_FILE};
pub use labels::Labels;
pub use names::{clip_key, first_few, read_names};
pub use samples::SampleScores;
