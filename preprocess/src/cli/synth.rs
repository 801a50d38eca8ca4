//! What is typed after `synth`.
//!
//! Comments here are the help texts, which have no markup; each switch is a field of its own.
#![allow(clippy::doc_markdown, clippy::struct_excessive_bools)]

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ucfpack::quantity::{parse_count, parse_width_height};

use super::examples;

#[derive(Debug, Args)]
#[command(after_help = examples::SYNTH)]
pub struct SynthArgs {
    /// Folder to make: jpegs_256/, tvl1_flow/ and lists/; with --like a packed data set
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Instead of a tree, a packed set with this one's names, splits and frame counts, and tiny images of one colour
    #[arg(long, value_enum, value_name = "DATASET", conflicts_with_all = ["classes", "clips", "seed"])]
    pub like: Option<LikeArg>,
    /// Classes: appearances that only RGB shows times motions that only flow shows [default: 9]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub classes: Option<u64>,
    /// Clips a class [default: 24]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub clips: Option<u64>,
    /// Size of the images [default: 96x72, with --like 8x8]
    #[arg(long, value_name = "WxH", value_parser = parse_width_height)]
    pub size: Option<(u16, u16)>,
    /// With --like: take the images of this packed data set, over and over, instead of plain ones
    #[arg(long, value_name = "DIR", requires = "like", conflicts_with = "size")]
    pub images: Option<PathBuf>,
    /// Another number makes other clips of the same classes [default: 0]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Threads [default: one a processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Replace what an earlier run made there
    #[arg(long)]
    pub overwrite: bool,
}

/// Data sets that can be made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LikeArg {
    Ucf101,
}
