//! What can be typed. What it means is decided in `commands`.
//!
//! Comments here are the help texts, which have no markup; each switch is a field of its own.
#![allow(clippy::doc_markdown, clippy::struct_excessive_bools)]

mod examples;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ucfpack::pack::Part;
use ucfpack::quantity::{parse_bytes, parse_count, parse_width_height};

/// Packs trees of RGB frames and optical flow, or videos, into a few memory-mapped shards.
///
/// Results go to stdout, progress and warnings to stderr.
/// Exit status: 0 done, 1 the data is bad or a result is lost, 2 wrong usage, 130, 143 or 129 stopped by a signal.
#[derive(Debug, Parser)]
#[command(name = "ucfpack", version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Pack a tree of frames, or videos
    Build(Box<BuildArgs>),
    /// Make a frame tree with flow of videos
    Extract(Box<ExtractArgs>),
    /// Put the parts of a build together
    Merge(MergeArgs),
    /// Check every record of a packed data set
    Verify(VerifyArgs),
    /// Show what is inside a packed data set
    Inspect(InspectArgs),
    /// Turn a packed data set back into a frame tree
    Export(ExportArgs),
    /// Make a data set up: a frame tree with lists, or a packed set like UCF101
    Synth(SynthArgs),
    /// Print a shell's completions
    Completions(CompletionsArgs),
    /// Write man pages
    Man(ManArgs),
}

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
    pub flow_method: Option<FlowMethodArg>,
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
    #[arg(long, value_enum, value_name = "METHOD", default_value_t = FlowMethodArg::Tvl1)]
    pub flow_method: FlowMethodArg,
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

/// What computes flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowDevice {
    Cpu,
    Card(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FlowMethodArg {
    /// Zach, Pock and Bischof 2007, with OpenCV's defaults
    Tvl1,
    /// Dense inverse search (Kroeger et al. 2016), as OpenCV's PRESET_MEDIUM: a tenth of the time
    Dis,
    /// RGB only
    None,
}

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

#[derive(Debug, Args)]
#[command(after_help = examples::COMPLETIONS)]
pub struct CompletionsArgs {
    /// Which shell's
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
#[command(after_help = examples::MAN)]
pub struct ManArgs {
    /// Folder for the pages: ucfpack.1, ucfpack-build.1, ...
    pub dir: PathBuf,
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
pub enum DatasetArg {
    /// classInd.txt, trainlist0N.txt, testlist0N.txt
    Ucf101,
    /// CLASS_test_splitN.txt
    Hmdb51,
    /// A CSV file, or a class a folder
    Custom,
}

/// Data sets that can be made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LikeArg {
    Ucf101,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowSize {
    Native,
    Square(u16),
}

fn parse_shard_size(text: &str) -> Result<u64, String> {
    match parse_bytes(text)? {
        0 => Err("a shard holds at least one byte".into()),
        bytes => Ok(bytes),
    }
}

fn parse_part(text: &str) -> Result<Part, String> {
    let numbers = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
    match numbers {
        Some((number, of)) if (1..=of).contains(&number) => Ok(Part { number, of }),
        _ => Err("write I/N with I from 1 to N, e.g. 3/8".into()),
    }
}

fn parse_device(text: &str) -> Result<FlowDevice, String> {
    match text.strip_prefix("cuda:").and_then(|number| number.parse().ok()) {
        Some(number) => Ok(FlowDevice::Card(number)),
        None if text == "cpu" => Ok(FlowDevice::Cpu),
        None if text == "cuda" => Ok(FlowDevice::Card(0)),
        None => Err("there is cpu and cuda:N".into()),
    }
}

fn parse_flow_size(text: &str) -> Result<FlowSize, String> {
    match text.parse() {
        Ok(side @ 1..) => Ok(FlowSize::Square(side)),
        _ if text == "native" => Ok(FlowSize::Native),
        _ => Err("write the side of a square in pixels, e.g. 224, or native".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples_that_can_be_typed() {
        let mut seen = 0;
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().expect("a command has examples").to_string();
            let examples: Vec<_> = help.lines().map(str::trim).filter(|line| line.starts_with("ucfpack ")).collect();
            assert!(!examples.is_empty(), "{}", command.get_name());
            for example in examples {
                assert!(example.starts_with(&format!("ucfpack {} ", command.get_name())), "{example}");
                Cli::try_parse_from(example.split_whitespace()).unwrap_or_else(|e| panic!("{example}: {e}"));
                seen += 1;
            }
        }
        assert!(seen > 15, "{seen}");
    }

    #[test]
    fn parts_are_numbered_from_one() {
        assert_eq!(parse_part("3/8"), Ok(Part { number: 3, of: 8 }));
        for wrong in ["0/8", "9/8", "3", "3/", "a/b", "-1/2", "1/0"] {
            assert!(parse_part(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn flow_sizes_are_native_or_a_side() {
        assert_eq!(parse_flow_size("native"), Ok(FlowSize::Native));
        assert_eq!(parse_flow_size("112"), Ok(FlowSize::Square(112)));
        assert!(parse_flow_size("0").is_err() && parse_flow_size("224x224").is_err());
    }
}
