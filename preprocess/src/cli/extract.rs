//! Arguments of `extract`.
//!
//! The comments on fields are the help texts, which have no markup. The first paragraph is for `-h`.
#![allow(clippy::doc_markdown, clippy::struct_excessive_bools)]

use std::path::PathBuf;

use clap::Args;

use ucfpack::video::FlowMethod;

use super::headings::{FLOW, IMAGES, INPUT, OUTPUT, RUN};
use super::values::{DatasetArg, FlowChoice, FlowDevice, parse_device};

#[derive(Debug, Args)]
pub struct ExtractArgs {
    /// Videos to decode
    ///
    /// Videos are found at any depth. Decoding needs the programs ffmpeg and ffprobe.
    #[arg(long, value_name = "DIR", help_heading = INPUT)]
    pub videos: PathBuf,
    /// Split lists: their folder, or one of their files
    ///
    /// The lists name the clips to extract. Without --lists, --dataset custom extracts all videos.
    #[arg(long, value_name = "PATH", help_heading = INPUT)]
    pub lists: Option<PathBuf>,
    /// Format of the split lists
    #[arg(long, value_enum, help_heading = INPUT, default_value_t = DatasetArg::Auto)]
    pub dataset: DatasetArg,
    /// Classes to extract [default: all]
    #[arg(long, value_name = "A,B,...", value_delimiter = ',', help_heading = INPUT)]
    pub classes: Option<Vec<String>>,

    /// Shorter side of the frames
    #[arg(
        long, value_name = "PIXELS", help_heading = IMAGES, default_value_t = ucfpack::video::SHORT_SIDE,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub rgb_short_side: u16,
    /// JPEG quality of frames and flow, 1 to 100
    #[arg(
        long, value_name = "N", help_heading = IMAGES, default_value_t = 95,
        value_parser = clap::value_parser!(u8).range(1..=100)
    )]
    pub quality: u8,

    /// Method to compute flow
    #[arg(
        long, value_enum, value_name = "METHOD", help_heading = FLOW,
        default_value_t = FlowChoice(Some(FlowMethod::TvL1))
    )]
    pub flow_method: FlowChoice,
    /// Device that computes TV-L1 flow: cpu or cuda:N
    ///
    /// A GPU needs an NVIDIA driver and a ucfpack that was built with --features cuda. Single flow values can
    /// differ by one grey level between a GPU and the CPU.
    #[arg(
        long, value_name = "cpu|cuda:N", help_heading = FLOW, value_parser = parse_device, default_value = "cpu"
    )]
    pub device: FlowDevice,

    /// Folder for the frame tree: jpegs_256/ and tvl1_flow/{u,v}/
    #[arg(long, value_name = "TREE", help_heading = OUTPUT)]
    pub out: PathBuf,
    /// Continue an interrupted extraction
    ///
    /// Clips that are complete stay as they are. The options and the videos must be the same as before.
    #[arg(long, help_heading = OUTPUT)]
    pub resume: bool,

    /// Skip missing and damaged videos, and list them
    #[arg(long, help_heading = RUN)]
    pub keep_going: bool,
    /// Number of videos to decode at once [default: number of CPUs]
    #[arg(long, value_name = "N", help_heading = RUN, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}
