//! Headings that group the options of every command's help, in this order.

/// Files and folders that a command reads.
pub const INPUT: &str = "Input";
/// Content of a synthetic dataset.
pub const DATASET: &str = "Dataset";
/// Options of all images, and of RGB frames.
pub const IMAGES: &str = "Images";
/// Options of optical flow.
pub const FLOW: &str = "Flow";
/// Files and results that a command writes.
pub const OUTPUT: &str = "Output";
/// Threads, and the treatment of faults.
pub const RUN: &str = "Run";
