//! Arguments of `build`.
//!
//! The comments on fields and variants are the help texts, which have no markup. The first paragraph is for `-h`.
#![allow(clippy::doc_markdown, clippy::struct_excessive_bools)]

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ucfpack::pack::Part;

use super::headings::{FLOW, IMAGES, INPUT, OUTPUT, RUN};
use super::values::{
    DatasetArg, FlowChoice, FlowDevice, FlowSize, parse_device, parse_flow_size, parse_part, parse_shard_size,
};

#[derive(Debug, Args)]
pub struct BuildArgs {
    /// Frame tree with RGB frames and optical flow
    ///
    /// Both streams are searched for in this folder. Use --rgb and --flow instead if they are in different
    /// places, or to pack only one of them.
    #[arg(
        long, value_name = "DIR", help_heading = INPUT, conflicts_with_all = ["rgb", "flow"],
        required_unless_present_any = ["rgb", "flow", "videos"]
    )]
    pub tree: Option<PathBuf>,
    /// RGB frames, for use without --tree
    ///
    /// The root of a frame tree, or the folder that holds the clip folders.
    #[arg(long, value_name = "DIR", help_heading = INPUT)]
    pub rgb: Option<PathBuf>,
    /// Optical flow, for use without --tree
    ///
    /// The root of a frame tree, or the folder that holds u/ and v/, or x/ and y/.
    #[arg(long, value_name = "DIR", help_heading = INPUT)]
    pub flow: Option<PathBuf>,
    /// Videos to decode, from which optical flow is computed
    ///
    /// Videos are found at any depth. Decoding needs the programs ffmpeg and ffprobe.
    #[arg(long, value_name = "DIR", help_heading = INPUT, conflicts_with_all = ["tree", "rgb", "flow"])]
    pub videos: Option<PathBuf>,
    /// Layout of the frame tree
    #[arg(long, value_enum, help_heading = INPUT, default_value_t = LayoutArg::Auto, conflicts_with = "videos")]
    pub layout: LayoutArg,
    /// Split lists: their folder, or one of their files
    ///
    /// Your own list is a CSV file with the columns path,label,split[,group], where split is train, val, test or
    /// unused, or a file of JSON lines. A folder may have one such file per split, such as split1.csv and split2.csv.
    /// Without --lists, --dataset custom makes each folder a class.
    #[arg(long, value_name = "PATH", help_heading = INPUT)]
    pub lists: Option<PathBuf>,
    /// Format of the split lists
    #[arg(long, value_enum, help_heading = INPUT, default_value_t = DatasetArg::Auto)]
    pub dataset: DatasetArg,
    /// JSON file with attributes of the dataset, such as its licence
    ///
    /// The file contains one JSON object, such as {"licence": "CC BY 4.0"}. It is stored in the manifest and in
    /// all shards.
    #[arg(long, value_name = "FILE.json", help_heading = INPUT)]
    pub attributes: Option<PathBuf>,
    /// Classes to pack [default: all]
    ///
    /// Labels start at 0 and follow the order of the class list, such as classInd.txt. Case does not matter.
    #[arg(long, value_name = "A,B,...", value_delimiter = ',', help_heading = INPUT)]
    pub classes: Option<Vec<String>>,

    /// Codec of RGB frames
    ///
    /// For a frame tree, jpeg stores the source files byte for byte. For videos, jpeg encodes the decoded frames.
    #[arg(long, value_enum, value_name = "CODEC", help_heading = IMAGES, default_value_t = CodecArg::Jpeg)]
    pub rgb_codec: CodecArg,
    /// Shorter side of RGB frames [default: 256 for videos, unchanged for trees]
    ///
    /// The aspect ratio is kept. For a frame tree, resizing needs --rgb-codec zstd, lz4 or raw.
    #[arg(
        long, value_name = "PIXELS", help_heading = IMAGES, value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub rgb_short_side: Option<u16>,
    /// JPEG quality of frames from videos, 1 to 100 [default: 90]
    #[arg(
        long, value_name = "N", help_heading = IMAGES, value_parser = clap::value_parser!(u8).range(1..=100)
    )]
    pub rgb_quality: Option<u8>,
    /// Compression level of zstd (1 to 22) or lz4 (1 to 12) [default: 9]
    ///
    /// Applies to RGB frames and optical flow.
    #[arg(long, value_name = "N", help_heading = IMAGES)]
    pub level: Option<i32>,
    /// Check of JPEG files that are stored unchanged
    ///
    /// Flow that is stored as pixels is always decoded. For videos, decode treats any ffmpeg message as damage.
    #[arg(long, value_enum, help_heading = IMAGES, default_value_t = CheckArg::Header)]
    pub check: CheckArg,

    /// Codec of optical flow
    ///
    /// jpeg stores the source files byte for byte, so it implies --flow-size native. Not available for videos.
    #[arg(long, value_enum, value_name = "CODEC", help_heading = FLOW, default_value_t = CodecArg::Zstd)]
    pub flow_codec: CodecArg,
    /// Side of square flow images, or native [default: 224]
    ///
    /// Flow is resized to PIXELS x PIXELS. native keeps the size of the source.
    #[arg(long, value_name = "PIXELS|native", help_heading = FLOW, value_parser = parse_flow_size)]
    pub flow_size: Option<FlowSize>,
    /// Method to compute flow from videos [default: tvl1]
    #[arg(long, value_enum, value_name = "METHOD", help_heading = FLOW)]
    pub flow_method: Option<FlowChoice>,
    /// Device that computes TV-L1 flow: cpu or cuda:N
    ///
    /// A GPU needs an NVIDIA driver and a ucfpack that was built with --features cuda. Single flow values can
    /// differ by one grey level between a GPU and the CPU.
    #[arg(
        long, value_name = "cpu|cuda:N", help_heading = FLOW, value_parser = parse_device, default_value = "cpu"
    )]
    pub device: FlowDevice,

    /// Folder for the new dataset
    ///
    /// A folder that exists and is not empty is refused, except with --resume or --overwrite.
    #[arg(long, value_name = "DIR", help_heading = OUTPUT)]
    pub out: PathBuf,
    /// Approximate size of a shard, such as 512MiB or 2GB
    #[arg(
        long, value_name = "SIZE", help_heading = OUTPUT, default_value = "1GiB", value_parser = parse_shard_size
    )]
    pub shard_size: u64,
    /// Pack part I of N, to be joined by `ucfpack merge`
    ///
    /// N machines can pack the parts at the same time, each into its own --out. All other options and the
    /// source must be the same.
    #[arg(long, value_name = "I/N", help_heading = OUTPUT, value_parser = parse_part)]
    pub part: Option<Part>,
    /// Continue an interrupted build
    ///
    /// Keeps its finished shards. The options and the source must be the same as before.
    #[arg(long, help_heading = OUTPUT)]
    pub resume: bool,
    /// Replace an existing dataset once the new one is complete
    #[arg(long, help_heading = OUTPUT)]
    pub overwrite: bool,
    /// Print the result as JSON
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,

    /// Skip missing and damaged clips, and list them
    #[arg(long, help_heading = RUN)]
    pub keep_going: bool,
    /// Print the plan with estimated size and time; write nothing
    ///
    /// Reads the lists, finds all clips, and encodes a sample of them.
    #[arg(long, help_heading = RUN)]
    pub dry_run: bool,
    /// Number of encoding threads [default: number of CPUs]
    #[arg(long, value_name = "N", help_heading = RUN, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Number of clips to read at once [default: same as --jobs]
    ///
    /// Use 1 for a spinning disk.
    #[arg(long, value_name = "N", help_heading = RUN, value_parser = clap::value_parser!(u16).range(1..))]
    pub readers: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LayoutArg {
    /// Recognise the layout, and print which one it is
    Auto,
    /// jpegs_256/v_X/frame%06d.jpg and tvl1_flow/{u,v}/v_X/frame%06d.jpg
    Feichtenhofer,
    /// rgb/v_X/frame%06d.jpg and {x,y}/v_X/frame%06d.jpg
    GpuFlow,
    /// CLASS/separated_images/v_X/v_X_%d.jpg, without flow
    Jeffreyyihuang,
    /// v_X/ with img_%05d.jpg, flow_x_%05d.jpg and flow_y_%05d.jpg
    Tsn,
    /// CLASS/v_X/ with img_%05d.jpg and flow_x_%05d.jpg, or x_%05d.jpg
    Mmaction2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CodecArg {
    /// JPEG files
    Jpeg,
    /// Lossless, smallest
    Zstd,
    /// Lossless, larger than zstd, less CPU time to decode
    Lz4,
    /// Uncompressed pixels
    Raw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckArg {
    /// Markers, size, components and the end marker
    Header,
    /// Also decode the whole image, which finds truncated files that have an end marker
    Decode,
}
