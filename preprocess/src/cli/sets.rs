//! Arguments of `merge`, `verify`, `inspect` and `export`, which read packed datasets.
//!
//! The comments on fields and variants are the help texts, which have no markup. The first paragraph is for `-h`.
#![allow(clippy::doc_markdown, clippy::struct_excessive_bools)]

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::headings::{IMAGES, INPUT, OUTPUT, RUN};

/// The folder of a dataset that a command makes from other datasets, and how to report it.
#[derive(Debug, Args)]
pub struct NewDatasetArgs {
    /// Folder for the new dataset
    #[arg(long, value_name = "DIR", help_heading = OUTPUT)]
    pub out: PathBuf,
    /// Replace an existing dataset once the new one is complete
    #[arg(long, help_heading = OUTPUT)]
    pub overwrite: bool,
    /// Print the result as JSON
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Folders of all parts, in any order
    #[arg(required = true, value_name = "PART_DIR", help_heading = INPUT)]
    pub parts: Vec<PathBuf>,

    #[command(flatten)]
    pub output: NewDatasetArgs,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Folder of the dataset
    #[arg(help_heading = INPUT, display_order = 0)]
    pub dir: PathBuf,

    /// Print the result as JSON
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,

    /// Check the manifest, headers and indexes only
    #[arg(long, help_heading = RUN)]
    pub quick: bool,
    /// Check the checksum of every record, but decode none
    ///
    /// Finds damage from copying or from a bad disk.
    #[arg(long, help_heading = RUN, conflicts_with = "quick")]
    pub checksums: bool,
    /// Rebuild a lost or damaged manifest from the shards first
    ///
    /// The damaged manifest is kept as manifest.json.damaged.
    #[arg(long, help_heading = RUN)]
    pub rebuild_manifest: bool,
    /// Number of threads [default: number of CPUs]
    #[arg(long, value_name = "N", help_heading = RUN, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Folder of the dataset
    #[arg(help_heading = INPUT, display_order = 0)]
    pub dir: PathBuf,
    /// Clip to describe, instead of the whole dataset
    ///
    /// Case, a class folder and .avi do not matter.
    #[arg(long, value_name = "ID", help_heading = INPUT)]
    pub clip: Option<String>,

    /// Draw a contact sheet of RGB frames and coloured flow
    #[arg(long, value_name = "FILE.png", help_heading = OUTPUT)]
    pub sheet: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Folder of the dataset
    #[arg(help_heading = INPUT, display_order = 0)]
    pub dir: PathBuf,
    /// Clip to export; can be repeated [default: all]
    ///
    /// Case, a class folder and .avi do not matter.
    #[arg(long, value_name = "ID", help_heading = INPUT)]
    pub clip: Vec<String>,

    /// File format of images that are not stored as jpeg
    #[arg(long, value_enum, help_heading = IMAGES, default_value_t = PixelsArg::Jpeg)]
    pub pixels: PixelsArg,

    /// Folder for the frame tree: jpegs_256/, tvl1_flow/ and lists/
    #[arg(long, value_name = "TREE", help_heading = OUTPUT)]
    pub out: PathBuf,
    /// Replace a frame tree that ucfpack made
    #[arg(long, help_heading = OUTPUT)]
    pub overwrite: bool,

    /// Number of threads [default: number of CPUs]
    #[arg(long, value_name = "N", help_heading = RUN, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PixelsArg {
    /// JPEG of quality 95, with small losses
    Jpeg,
    /// PNG, lossless; other programs for frame trees may not read it
    Png,
}
