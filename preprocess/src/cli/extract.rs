//! What is typed after `extract`.
//!
//! Comments here are the help texts, which have no markup; each switch is a field of its own.
#![allow(clippy::doc_markdown, clippy::struct_excessive_bools)]

use std::path::PathBuf;

use clap::Args;

use ucfpack::video::FlowMethod;

use super::examples;
use super::values::{DatasetArg, FlowChoice, FlowDevice, parse_device};

#[derive(Debug, Args)]
#[command(after_help = examples::EXTRACT)]
pub struct ExtractArgs {
    /// The videos, found at any depth
    #[arg(long, value_name = "DIR")]
    pub videos: PathBuf,
    /// Tree to make: jpegs_256/ and tvl1_flow/{u,v}/
    #[arg(long, value_name = "TREE")]
    pub out: PathBuf,
    /// Folder of the official lists; of custom data a CSV file, or without it a class a folder
    #[arg(long, value_name = "DIR")]
    pub lists: Option<PathBuf>,
    /// Whose lists these are
    #[arg(long, value_enum, default_value_t = DatasetArg::Ucf101)]
    pub dataset: DatasetArg,
    /// Extract these classes only
    #[arg(long, value_name = "A,B,...", value_delimiter = ',')]
    pub classes: Option<Vec<String>>,
    /// Resize frames to this shorter side
    #[arg(long, value_name = "N", default_value_t = ucfpack::video::SHORT_SIDE, value_parser = clap::value_parser!(u16).range(1..))]
    pub rgb_short_side: u16,
    /// Quality of all JPEG files
    #[arg(long, value_name = "N", default_value_t = 95, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub quality: u8,
    /// How flow is computed
    #[arg(long, value_enum, value_name = "METHOD", default_value_t = FlowChoice(Some(FlowMethod::TvL1)))]
    pub flow_method: FlowChoice,
    /// What computes TV-L1, cpu or cuda:N
    #[arg(long, value_name = "cpu|cuda:N", value_parser = parse_device, default_value = "cpu")]
    pub device: FlowDevice,
    /// Videos that are decoded at the same time [default: one a processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Extract what is whole, list what is left out
    #[arg(long)]
    pub keep_going: bool,
    /// Go on with a tree that was cut off; clips that are there are not made again
    #[arg(long)]
    pub resume: bool,
}
