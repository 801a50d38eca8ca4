//! `ucftrain fuse`: combines the scores of several networks.

use crate::base::console::{document, result};
use crate::base::heading::{FUSION, INPUT, OUTPUT};
use crate::scores::fusion::{FuseOptions, SEED_SAMPLES, Space, fuse};
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// Combine the scores of several networks
///
/// Adds the scores of each clip and reports the accuracy of each network and of each combination.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct FuseArgs {
    /// Two or more run folders or scores files
    ///
    /// Reads .npz and .csv files and the pickles of the reference code. Files without clip names
    /// (.npy, pickles of mmaction2) need --names. To average over splits, separate the SCORES of
    /// the splits with "+".
    #[arg(required = true, num_args = 1.., value_name = "SCORES")]
    pub scores: Vec<PathBuf>,

    /// Labels of the clips [default: the labels in the scores files]
    ///
    /// A packed dataset, or a folder with classInd.txt and testlist0N.txt.
    #[arg(long, value_name = "DIR", help_heading = INPUT)]
    pub labels: Option<PathBuf>,

    /// Split of --labels [default: the split with these test clips]
    #[arg(long, value_name = "N", requires = "labels", help_heading = INPUT)]
    pub split: Option<String>,

    /// Weights of the networks, in the order of SCORES [default: 1:2 and 2:1 for two networks]
    ///
    /// Repeat the option to try several ratios.
    #[arg(long, value_name = "A:B", help_heading = FUSION)]
    pub ratio: Vec<String>,

    /// Scores to combine
    #[arg(long, value_enum, default_value_t = Space::Logits, help_heading = FUSION)]
    pub space: Space,

    /// Fit the weights of the networks to val clips
    ///
    /// Adds a row for the weights that predict the val clips best. Needs runs on a split with val
    /// clips, or with --val-groups or --val-share, or the option --val-scores.
    #[arg(long, help_heading = FUSION)]
    pub fit: bool,

    /// Fit a weight per network and class to val clips
    ///
    /// Adds a row for these weights. They need many val clips per class, so compare the row with
    /// that of --fit.
    #[arg(long, help_heading = FUSION)]
    pub fit_classes: bool,

    /// Scores of val clips, for --fit, --fit-classes and --space calibrated [default: those of the runs]
    ///
    /// One file per network, in the order of SCORES. Runs have them in `val_scores.npz`, and
    /// `ucftrain eval --subset val` writes them.
    #[arg(long, value_name = "SCORES,...", value_delimiter = ',', help_heading = FUSION)]
    pub val_scores: Vec<PathBuf>,

    /// Samples per clip in scores files that do not store this number
    ///
    /// Used by --fit, --fit-classes and by the spaces means, softmax and calibrated.
    #[arg(
        long, value_name = "N", default_value_t = SEED_SAMPLES, value_parser = clap::value_parser!(u32).range(1..),
        help_heading = INPUT
    )]
    pub samples: u32,

    /// List of clip names for scores files without names
    ///
    /// One clip per line, in the order of the scores, such as testlist01.txt.
    #[arg(long, value_name = "FILE", help_heading = INPUT)]
    pub names: Option<PathBuf>,

    /// File for the combined scores
    ///
    /// An existing file is replaced.
    #[arg(long, value_name = "FILE.npz|FILE.csv", help_heading = OUTPUT)]
    pub out: Option<PathBuf>,

    /// Combination to write to --out: average, max, fitted, fitted-classes or a ratio
    #[arg(long, value_name = "STRATEGY", default_value = "average", requires = "out", help_heading = OUTPUT)]
    pub take: String,

    /// Print one JSON document instead of a table
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
}

const EXAMPLES: &str = "Examples:
  ucftrain fuse runs/spatial runs/temporal
  ucftrain fuse runs/spatial runs/temporal --ratio 1:1.5 --out fused.npz --take 1:1.5
  ucftrain fuse runs/spatial temporal.npz --labels ucfTrainTestlist --split 1
  ucftrain fuse split1/spatial split1/temporal + split2/spatial split2/temporal";

impl FuseArgs {
    fn options(&self) -> FuseOptions {
        FuseOptions {
            scores: self.scores.clone(),
            labels: self.labels.clone(),
            split: self.split.clone(),
            ratio: self.ratio.clone(),
            space: self.space,
            fit: self.fit,
            fit_classes: self.fit_classes,
            val_scores: self.val_scores.clone(),
            samples: self.samples,
            names: self.names.clone(),
            out: self.out.clone(),
            take: self.take.clone(),
        }
    }
}

/// Runs `ucftrain fuse`. Prints results to stdout and warnings to stderr.
pub fn run(args: &FuseArgs) -> Result<()> {
    let report = fuse(&args.options())?;
    if args.json {
        document(&serde_json::to_string(&report)?)?;
    } else {
        result(report.table().trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_reads_as_documented() {
        #[derive(clap::Parser)]
        struct Program {
            #[command(flatten)]
            args: FuseArgs,
        }
        use clap::Parser;
        let line = "fuse a.npz --ratio 1:2 b.npz --ratio 2:1.5 --space softmax --labels lists --split 1 --json c";
        let args = Program::try_parse_from(line.split(' ')).unwrap_or_else(|e| panic!("{e}")).args;
        assert_eq!(args.scores, ["a.npz", "b.npz", "c"].map(PathBuf::from));
        assert_eq!(
            (args.ratio, args.space, args.split),
            (vec!["1:2".into(), "2:1.5".into()], Space::Softmax, Some("1".into()))
        );
        assert!(args.json && args.samples == 19);
        assert!(Program::try_parse_from(["fuse"]).is_err());
        assert!(Program::try_parse_from(["fuse", "a", "b", "--samples", "0"]).is_err());
    }
}
