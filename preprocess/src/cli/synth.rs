//! Arguments of `synth`.
//!
//! The comments on fields and variants are the help texts, which have no markup. The first paragraph is for `-h`.
#![allow(clippy::doc_markdown, clippy::struct_excessive_bools)]

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ucfpack::quantity::{parse_count, parse_width_height};

use super::headings::{DATASET, IMAGES, OUTPUT, RUN};

#[derive(Debug, Args)]
pub struct SynthArgs {
    /// Number of classes [default: 9]
    ///
    /// Classes combine appearances, which only RGB frames show, with motions, which only flow shows.
    #[arg(long, value_name = "N", help_heading = DATASET, value_parser = parse_count)]
    pub classes: Option<u64>,
    /// Number of clips per class, at least 4 [default: 24]
    #[arg(long, value_name = "N", help_heading = DATASET, value_parser = parse_count)]
    pub clips: Option<u64>,
    /// Random seed: another number makes other clips [default: 0]
    #[arg(long, value_name = "N", help_heading = DATASET)]
    pub seed: Option<u64>,
    /// Make a packed dataset like this real one
    ///
    /// Names, splits and frame counts are those of the published dataset. All images have one plain colour, unless
    /// --images is given.
    #[arg(
        long, value_enum, value_name = "DATASET", help_heading = DATASET,
        conflicts_with_all = ["classes", "clips", "seed"]
    )]
    pub like: Option<LikeArg>,

    /// Width and height of the images [default: 96x72, with --like 8x8]
    #[arg(long, value_name = "WxH", help_heading = IMAGES, value_parser = parse_width_height)]
    pub size: Option<(u16, u16)>,
    /// Packed dataset that provides the images for --like
    ///
    /// Its images are repeated until all clips are filled.
    #[arg(long, value_name = "DIR", help_heading = IMAGES, requires = "like", conflicts_with = "size")]
    pub images: Option<PathBuf>,

    /// Folder for the frame tree, or with --like for the dataset
    ///
    /// A frame tree gets the folders jpegs_256/, tvl1_flow/ and lists/.
    #[arg(long, value_name = "DIR", help_heading = OUTPUT)]
    pub out: PathBuf,
    /// Replace an existing synthetic dataset
    #[arg(long, help_heading = OUTPUT)]
    pub overwrite: bool,

    /// Number of threads [default: number of CPUs]
    #[arg(long, value_name = "N", help_heading = RUN, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}

/// Datasets whose clips `--like` can imitate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LikeArg {
    /// UCF101: 13,320 clips, 7.4 million images
    Ucf101,
}
