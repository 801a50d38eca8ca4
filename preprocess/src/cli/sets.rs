//! What is typed after `merge`, `verify`, `inspect` and `export`: the commands for packed sets.
//!
//! Comments here are the help texts, which have no markup; each switch is a field of its own.
#![allow(clippy::doc_markdown, clippy::struct_excessive_bools)]

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::examples;

#[derive(Debug, Args)]
#[command(after_help = examples::MERGE)]
pub struct MergeArgs {
    /// Folder of the data set to make
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Folders of all parts, in any order
    #[arg(required = true, value_name = "PART_DIR")]
    pub parts: Vec<PathBuf>,
    /// Replace the data set that is there, once the new one is whole
    #[arg(long)]
    pub overwrite: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = examples::VERIFY)]
pub struct VerifyArgs {
    /// The data set
    pub dir: PathBuf,
    /// Check manifest, headers and indexes only, not the images
    #[arg(long)]
    pub quick: bool,
    /// Check the stored bytes of every record against their checksum, and decode none
    #[arg(long, conflicts_with = "quick")]
    pub checksums: bool,
    /// Make a lost or damaged manifest again from the shards, then check
    #[arg(long)]
    pub rebuild_manifest: bool,
    /// Threads [default: one a processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = examples::INSPECT)]
pub struct InspectArgs {
    /// The data set
    pub dir: PathBuf,
    /// Show this clip
    #[arg(long, value_name = "ID")]
    pub clip: Option<String>,
    /// Also draw a contact sheet of RGB frames and coloured flow
    #[arg(long, value_name = "FILE.png")]
    pub sheet: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = examples::EXPORT)]
pub struct ExportArgs {
    /// The data set
    pub dir: PathBuf,
    /// Tree to make: jpegs_256/, tvl1_flow/ and lists/
    #[arg(long, value_name = "TREE")]
    pub out: PathBuf,
    /// Export this clip, not all; can be given several times
    #[arg(long, value_name = "ID")]
    pub clip: Vec<String>,
    /// How images are written that were not stored as jpeg
    #[arg(long, value_enum, default_value_t = PixelsArg::Jpeg)]
    pub pixels: PixelsArg,
    /// Threads [default: one a processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Replace what an earlier run made there
    #[arg(long)]
    pub overwrite: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PixelsArg {
    /// JPEG of quality 95
    Jpeg,
    /// PNG, exact
    Png,
}
