//! Headings of the groups of options in `--help`. All commands use the same headings.

/// The dataset, and how frames are selected and read.
pub const INPUT: &str = "Input";
/// The network and its weights.
pub const MODEL: &str = "Model";
/// Learning rate, gradients and loss.
pub const OPTIMISATION: &str = "Optimisation";
/// Random changes of training views.
pub const AUGMENTATION: &str = "Augmentation";
/// Test passes, and the selection of the best epoch.
pub const EVALUATION: &str = "Evaluation";
/// How scores are combined.
pub const FUSION: &str = "Fusion";
/// Run folder, device, threads and limits.
pub const RUN: &str = "Run";
/// Files to write, and the format of the output.
pub const OUTPUT: &str = "Output";
