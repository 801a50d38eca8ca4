//! The command line: commands, arguments and help texts. `commands` runs them.
//!
//! The comments on commands and fields are the help texts, which have no markup. The first paragraph is for `-h`.
#![allow(clippy::doc_markdown, clippy::struct_excessive_bools)]

mod build;
mod edit;
mod examples;
mod extract;
mod headings;
mod sets;
mod synth;
mod values;

use std::path::PathBuf;

use clap::{Arg, ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use build::{BuildArgs, CheckArg, CodecArg, LayoutArg};
pub use edit::{AddArgs, FilterArg, RecodeArgs, SubsetArgs};
pub use extract::ExtractArgs;
pub use sets::{ExportArgs, InspectArgs, MergeArgs, PixelsArg, VerifyArgs};
pub use synth::{LikeArg, SynthArgs};
pub use values::{DatasetArg, FlowDevice, FlowSize};

/// Packs videos or frame trees into datasets that load fast
///
/// A dataset is a folder with a few large shard files and a manifest. It holds the RGB frames and the optical
/// flow of all clips, with classes and train/test splits.
///
/// Results go to stdout, progress and warnings to stderr.
///
/// Exit status: 0 for success, 1 for bad data or a failed run, 2 for wrong usage, and 128 plus the number of the
/// signal that stopped the program, such as 130 for Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "ucfpack", version, max_term_width = 100, after_help = examples::ALL)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Pack a frame tree or videos into a dataset
    ///
    /// The source is a frame tree (--tree, or --rgb and --flow) or a folder of videos (--videos). The same source
    /// and options give the same bytes, on every machine and with any number of threads.
    ///
    /// The dataset appears in --out when it is complete. After an interruption or an error, finished shards are
    /// kept in a hidden folder next to --out, and the same command with --resume continues from them.
    ///
    /// Clips that the lists name must all be present and undamaged, or the build fails and names them. Use
    /// --keep-going to pack the others.
    #[command(after_help = examples::BUILD, override_usage = BUILD_USAGE)]
    Build(Box<BuildArgs>),
    /// Make a frame tree with optical flow from videos
    ///
    /// Use it if other programs need the frames as files. `ucfpack build --videos` packs videos without a tree.
    #[command(after_help = examples::EXTRACT)]
    Extract(Box<ExtractArgs>),
    /// Join the parts of a build into one dataset
    ///
    /// Parts come from `ucfpack build --part I/N`. All N parts are needed. Every record is checked first.
    #[command(after_help = examples::MERGE)]
    Merge(MergeArgs),
    /// Pack more clips into a dataset
    ///
    /// Streams, codecs and sizes are those of the dataset. The new clips come after its own, and so do new classes.
    ///
    /// The dataset changes in one step when all new clips are packed. Programs that read it meanwhile are not
    /// disturbed. If the command fails or is interrupted, the dataset stays as it was.
    #[command(after_help = examples::ADD, override_usage = ADD_USAGE)]
    Add(Box<AddArgs>),
    /// Copy some classes, clips or streams into a new dataset
    ///
    /// A clip must meet all conditions. Records are copied without decoding. Shards that stay the same are linked
    /// if the file system allows it, and then need no space.
    #[command(after_help = examples::SUBSET, override_usage = "ucfpack subset [OPTIONS] --out <DIR> <DIR>")]
    Subset(Box<SubsetArgs>),
    /// Copy a dataset with a stream in another codec or size
    ///
    /// The other streams are copied without decoding.
    #[command(after_help = examples::RECODE)]
    Recode(RecodeArgs),
    /// Check every record of a dataset
    ///
    /// Decodes every record and compares its checksum, unless --quick or --checksums is given. Lists all damage,
    /// and exits with 1 if there is any.
    #[command(after_help = examples::VERIFY)]
    Verify(VerifyArgs),
    /// Describe a dataset or one of its clips
    #[command(after_help = examples::INSPECT)]
    Inspect(InspectArgs),
    /// Write a dataset back to a frame tree
    ///
    /// The tree has the feichtenhofer layout. Records that are stored as jpeg come back byte for byte.
    #[command(after_help = examples::EXPORT)]
    Export(ExportArgs),
    /// Make a synthetic dataset for tests
    ///
    /// Makes a frame tree with lists, in which some classes differ only in RGB and others only in flow. With
    /// --like, makes a packed dataset of the size of a real one.
    #[command(after_help = examples::SYNTH)]
    Synth(SynthArgs),
    /// Print a completion script for a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Write man pages
    #[command(after_help = examples::MAN)]
    Man(ManArgs),
}

const BUILD_USAGE: &str = "\
ucfpack build --videos <DIR> --lists <PATH> --out <DIR> [OPTIONS]
       ucfpack build --tree <DIR> --lists <PATH> --out <DIR> [OPTIONS]
       ucfpack build [--rgb <DIR>] [--flow <DIR>] --lists <PATH> --out <DIR> [OPTIONS]";

const ADD_USAGE: &str = "\
ucfpack add --videos <DIR> [--lists <PATH>] [OPTIONS] <DIR>
       ucfpack add --tree <DIR> [--lists <PATH>] [OPTIONS] <DIR>
       ucfpack add [--rgb <DIR>] [--flow <DIR>] [--lists <PATH>] [OPTIONS] <DIR>";

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Shell to complete commands for
    #[arg(help_heading = headings::INPUT)]
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// Folder for the pages: ucfpack.1, ucfpack-build.1 and others
    #[arg(help_heading = headings::OUTPUT)]
    pub dir: PathBuf,
}

/// Returns the definition of the command line.
pub fn definition() -> clap::Command {
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help).help_heading(headings::RUN);
    let help = help.help("Print help; -h prints a summary");
    // Clap's own help option comes before all groups.
    Cli::command().mut_subcommands(|command| command.disable_help_flag(true).arg(help.clone()))
}

/// Parses the arguments of the process.
pub fn parse() -> Result<Cli, clap::Error> {
    let mut definition = definition();
    let matches = definition.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut definition))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        definition().debug_assert();
    }

    #[test]
    fn options_have_short_first_lines_and_the_headings_in_order() {
        let order =
            [headings::INPUT, headings::DATASET, headings::IMAGES, headings::FLOW, headings::OUTPUT, headings::RUN];
        for command in definition().get_subcommands().filter(|command| command.get_name() != "help") {
            for arg in command.get_arguments() {
                let (name, help) = (arg.get_id(), arg.get_help().expect("an argument has a help text").to_string());
                let line = help.split(" [").next().unwrap_or_default();
                assert!(line.split_whitespace().count() <= 12, "{} {name}: {help}", command.get_name());
                let heading = arg.get_help_heading().expect("an argument has a heading");
                assert!(order.contains(&heading), "{} {name}: {heading}", command.get_name());
            }
        }
    }

    #[test]
    fn every_command_has_examples() {
        for command in definition().get_subcommands() {
            let help = command.get_after_help().expect("a command has examples").to_string();
            assert!(help.contains(&format!("    ucfpack {} ", command.get_name())), "{help}");
        }
    }
}
