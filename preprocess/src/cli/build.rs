//! What is typed after `build`.
//!
//! Comments here are the help texts, which have no markup; each switch is a field of its own.
#![allow(clippy::doc_markdown, clippy::struct_excessive_bools)]

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ucfpack::pack::Part;

use super::examples;
use super::values::{
    DatasetArg, FlowChoice, FlowDevice, FlowSize, parse_device, parse_flow_size, parse_part, parse_shard_size,
};

#[derive(Debug, Args)]
#[command(after_help = examples::BUILD)]
pub struct BuildArgs {
    /// Folder of the data set to make
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Folder of the official lists; of custom data a CSV file path,label,split[,group], or without it a class a folder
    #[arg(long, value_name = "DIR")]
    pub lists: Option<PathBuf>,
    /// Root that holds RGB frames and flow
    #[arg(long, value_name = "DIR", conflicts_with_all = ["rgb", "flow"], required_unless_present_any = ["rgb", "flow", "videos"])]
    pub tree: Option<PathBuf>,
    /// In place of a tree: videos, found at any depth, from which frames and flow are made by ffmpeg and TV-L1
    #[arg(long, value_name = "DIR", conflicts_with_all = ["tree", "rgb", "flow"])]
    pub videos: Option<PathBuf>,
    /// RGB frames apart: the root of their tree, or the folder that holds the clip folders
    #[arg(long, value_name = "DIR")]
    pub rgb: Option<PathBuf>,
    /// Flow apart: the root of its tree, or the folder that holds u/ and v/, or x/ and y/
    #[arg(long, value_name = "DIR")]
    pub flow: Option<PathBuf>,
    /// How the tree is laid out
    #[arg(long, value_enum, default_value_t = LayoutArg::Auto, conflicts_with = "videos")]
    pub layout: LayoutArg,
    /// Whose lists these are
    #[arg(long, value_enum, default_value_t = DatasetArg::Ucf101)]
    pub dataset: DatasetArg,
    /// Pack these classes only; they are the whole class list, in the order of classInd.txt
    #[arg(long, value_name = "A,B,...", value_delimiter = ',')]
    pub classes: Option<Vec<String>>,
    /// How RGB frames are stored; jpeg keeps the source bytes
    #[arg(long, value_enum, value_name = "CODEC", default_value_t = CodecArg::Jpeg)]
    pub rgb_codec: CodecArg,
    /// How flow is stored; jpeg keeps the source bytes and size
    #[arg(long, value_enum, value_name = "CODEC", default_value_t = CodecArg::Zstd)]
    pub flow_codec: CodecArg,
    /// Compression of zstd (1 to 22) or lz4 (1 to 12) [default: 9]
    #[arg(long, value_name = "N")]
    pub level: Option<i32>,
    /// Squash flow to N x N, or keep its size with `native` [default: 224, or native with --flow-codec jpeg]
    #[arg(long, value_name = "N|native", value_parser = parse_flow_size)]
    pub flow_size: Option<FlowSize>,
    /// Resize RGB frames to this shorter side (with --rgb-codec zstd, lz4 or raw; of videos always) [default: 256 of videos]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub rgb_short_side: Option<u16>,
    /// Quality of the JPEG files that are made of videos [default: 90]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub rgb_quality: Option<u8>,
    /// How flow is computed of videos [default: tvl1]
    #[arg(long, value_enum, value_name = "METHOD")]
    pub flow_method: Option<FlowChoice>,
    /// What computes TV-L1 of videos, cpu or cuda:N; a card's bytes may differ from the processor's by a level here and there
    #[arg(long, value_name = "cpu|cuda:N", value_parser = parse_device, default_value = "cpu")]
    pub device: FlowDevice,
    /// How much is checked of JPEG files that are stored as they are; of videos, decode takes all that ffmpeg complains of for damage
    #[arg(long, value_enum, default_value_t = CheckArg::Header)]
    pub check: CheckArg,
    /// Size of a shard, about
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = parse_shard_size)]
    pub shard_size: u64,
    /// Encoding threads [default: one a processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Clips that are read at the same time, each folder after folder; 1 for a spinning disk [default: as --jobs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub readers: Option<u16>,
    /// Make part I of N only; `merge` puts them together
    #[arg(long, value_name = "I/N", value_parser = parse_part)]
    pub part: Option<Part>,
    /// Pack what is whole, list what is left out
    #[arg(long)]
    pub keep_going: bool,
    /// Go on with a build that was cut off; its finished shards are not made again
    #[arg(long)]
    pub resume: bool,
    /// Replace the data set that is there, once the new one is whole
    #[arg(long)]
    pub overwrite: bool,
    /// Look at lists and tree, try a sample, show the plan with its size and time; write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LayoutArg {
    /// Recognise it, and say by what
    Auto,
    /// jpegs_256/v_X/frame%06d.jpg and tvl1_flow/{u,v}/v_X/frame%06d.jpg
    Feichtenhofer,
    /// rgb/v_X/frame%06d.jpg and {x,y}/v_X/frame%06d.jpg
    GpuFlow,
    /// CLASS/separated_images/v_X/v_X_%d.jpg, no flow
    Jeffreyyihuang,
    /// v_X/img_%05d.jpg with flow_x_%05d.jpg and flow_y_%05d.jpg beside
    Tsn,
    /// CLASS/v_X/img_%05d.jpg with flow_x_%05d.jpg or x_%05d.jpg beside
    Mmaction2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CodecArg {
    Jpeg,
    Zstd,
    Lz4,
    Raw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckArg {
    /// Markers, size, components and the end marker
    Header,
    /// Also every block of the image data, and decode it; finds files cut short that got an end marker
    Decode,
}
