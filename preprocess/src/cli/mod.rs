//! What can be typed. What it means is decided in `commands`.
//!
//! Comments here are the help texts, which have no markup; each switch is a field of its own.
#![allow(clippy::doc_markdown, clippy::struct_excessive_bools)]

mod build;
mod examples;
mod extract;
mod sets;
mod synth;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use build::{BuildArgs, CheckArg, CodecArg, LayoutArg};
pub use extract::ExtractArgs;
pub use sets::{ExportArgs, InspectArgs, MergeArgs, PixelsArg, VerifyArgs};
pub use synth::{LikeArg, SynthArgs};
pub use values::{DatasetArg, FlowDevice, FlowSize};

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
}
