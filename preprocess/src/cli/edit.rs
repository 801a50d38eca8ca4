//! Arguments of `add`, `subset` and `recode`, which change packed datasets.
//!
//! The comments on fields and variants are the help texts, which have no markup. The first paragraph is for `-h`.
#![allow(clippy::doc_markdown, clippy::struct_excessive_bools)]

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use ucfpack::quantity::parse_count;

use super::build::{CodecArg, LayoutArg};
use super::headings::{DATASET, FLOW, IMAGES, INPUT, OUTPUT, RUN};
use super::sets::NewDatasetArgs;
use super::values::{DatasetArg, FlowDevice, parse_device};

#[derive(Debug, Args)]
pub struct AddArgs {
    /// Folder of the dataset to extend
    #[arg(help_heading = INPUT, display_order = 0)]
    pub dir: PathBuf,
    /// Frame tree with the new clips
    #[arg(
        long, value_name = "DIR", help_heading = INPUT, conflicts_with_all = ["rgb", "flow"],
        required_unless_present_any = ["rgb", "flow", "videos"]
    )]
    pub tree: Option<PathBuf>,
    /// RGB frames of the new clips, for use without --tree
    #[arg(long, value_name = "DIR", help_heading = INPUT)]
    pub rgb: Option<PathBuf>,
    /// Optical flow of the new clips, for use without --tree
    #[arg(long, value_name = "DIR", help_heading = INPUT)]
    pub flow: Option<PathBuf>,
    /// Videos of the new clips, for a dataset of videos
    #[arg(long, value_name = "DIR", help_heading = INPUT, conflicts_with_all = ["tree", "rgb", "flow"])]
    pub videos: Option<PathBuf>,
    /// Layout of the frame tree
    #[arg(long, value_enum, help_heading = INPUT, default_value_t = LayoutArg::Auto, conflicts_with = "videos")]
    pub layout: LayoutArg,
    /// Lists of the new clips, as for `ucfpack build`
    ///
    /// Their splits must be splits of the dataset. Classes that the dataset lacks come after its own.
    #[arg(long, value_name = "PATH", help_heading = INPUT)]
    pub lists: Option<PathBuf>,
    /// Format of the lists [default: recognised]
    #[arg(long, value_enum, help_heading = INPUT)]
    pub dataset: Option<DatasetArg>,
    /// Classes of the lists to add [default: all]
    #[arg(long, value_name = "A,B,...", value_delimiter = ',', help_heading = INPUT)]
    pub classes: Option<Vec<String>>,

    /// Device that computes TV-L1 flow: cpu or cuda:N
    #[arg(
        long, value_name = "cpu|cuda:N", help_heading = FLOW, value_parser = parse_device, default_value = "cpu"
    )]
    pub device: FlowDevice,

    /// Print the result as JSON
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,

    /// Skip clips that the dataset has already
    #[arg(long, help_heading = RUN)]
    pub skip_existing: bool,
    /// Accept another layout, and other versions of programs and encoders
    ///
    /// Each new clip gets the attribute build, which holds the layout and the versions that differ.
    #[arg(long, help_heading = RUN)]
    pub other_versions: bool,
    /// Skip missing and damaged clips, and list them
    #[arg(long, help_heading = RUN)]
    pub keep_going: bool,
    /// Number of encoding threads [default: number of CPUs]
    #[arg(long, value_name = "N", help_heading = RUN, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Number of clips to read at once [default: same as --jobs]
    ///
    /// Use 1 for a spinning disk.
    #[arg(long, value_name = "N", help_heading = RUN, value_parser = clap::value_parser!(u16).range(1..))]
    pub readers: Option<u16>,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("choice").multiple(true).required(true).args(
    ["classes", "clip", "clips", "streams", "subset", "limit"]
))]
pub struct SubsetArgs {
    /// Folder of the dataset
    #[arg(help_heading = INPUT, display_order = 0)]
    pub dir: PathBuf,

    /// Classes to keep [default: all]
    ///
    /// Labels start at 0 and follow the order of the class list, unless --keep-labels is given. Case does not
    /// matter.
    #[arg(long, value_name = "A,B,...", value_delimiter = ',', help_heading = DATASET)]
    pub classes: Option<Vec<String>>,
    /// Keep the whole class list and all labels
    ///
    /// Networks that were trained on the whole dataset then fit the new one.
    #[arg(long, help_heading = DATASET, requires = "classes")]
    pub keep_labels: bool,
    /// Clip to keep; can be repeated [default: all]
    ///
    /// Case, a class folder and .avi do not matter.
    #[arg(long, value_name = "ID", help_heading = DATASET)]
    pub clip: Vec<String>,
    /// Text file with clips to keep, one per line
    #[arg(long, value_name = "FILE", help_heading = DATASET)]
    pub clips: Option<PathBuf>,
    /// Streams to keep, such as rgb [default: all]
    #[arg(long, value_name = "A,B,...", value_delimiter = ',', help_heading = DATASET)]
    pub streams: Option<Vec<String>>,
    /// Split that --subset and --limit refer to [default: the first]
    #[arg(long, value_name = "NAME", help_heading = DATASET)]
    pub split: Option<String>,
    /// Subsets to keep, such as train,val [default: all]
    #[arg(long, value_name = "A,B,...", value_delimiter = ',', help_heading = DATASET)]
    pub subset: Vec<String>,
    /// Largest number of clips per class
    ///
    /// Each subset of the split keeps its share, and at least one clip if N allows it. The clips are evenly spread over
    /// those that meet all other conditions.
    #[arg(long, value_name = "N", help_heading = DATASET, value_parser = parse_count)]
    pub limit: Option<u64>,

    #[command(flatten)]
    pub output: NewDatasetArgs,
}

#[derive(Debug, Args)]
pub struct RecodeArgs {
    /// Folder of the dataset
    #[arg(help_heading = INPUT, display_order = 0)]
    pub dir: PathBuf,
    /// Stream to store again, such as flow; the others are copied
    #[arg(long, value_name = "NAME", help_heading = INPUT)]
    pub stream: String,

    /// New codec: zstd, lz4 or raw
    ///
    /// The format stores only JPEG files that exist already, so jpeg is refused.
    #[arg(long, value_enum, value_name = "CODEC", help_heading = IMAGES, hide_possible_values = true)]
    pub codec: CodecArg,
    /// Compression level of zstd (1 to 22) or lz4 (1 to 12) [default: 9]
    #[arg(long, value_name = "N", help_heading = IMAGES)]
    pub level: Option<i32>,
    /// Filter before compression [default: suits the samples]
    ///
    /// The default is up for images of 8 bits, up-shuffle for integers of 16 bits, and shuffle for floating-point
    /// numbers.
    #[arg(long, value_enum, value_name = "FILTER", help_heading = IMAGES)]
    pub filter: Option<FilterArg>,
    /// Resize images to squares with this side
    #[arg(
        long, value_name = "PIXELS", help_heading = IMAGES, value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub size: Option<u16>,
    /// Resize images to this shorter side; the aspect ratio is kept
    #[arg(
        long, value_name = "PIXELS", help_heading = IMAGES, conflicts_with = "size",
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub short_side: Option<u16>,

    #[command(flatten)]
    pub output: NewDatasetArgs,

    /// Number of encoding threads [default: number of CPUs]
    #[arg(long, value_name = "N", help_heading = RUN, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FilterArg {
    /// No filter
    None,
    /// Differences to the row above
    Up,
    /// Equal bytes of all samples together
    Shuffle,
    /// Both
    UpShuffle,
}
