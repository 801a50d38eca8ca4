//! `ucftrain fuse`: combines the scores of several networks.

use crate::base::console::{document, result};
use crate::scores::fusion::{FuseOptions, SEED_SAMPLES, Space, fuse};
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// Combine the scores of several networks, clip by clip
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct FuseArgs {
    /// Two or more run folders or score files (npz, csv, the reference code's pickles; npy and mmaction's pickles with
    /// --names); "+" stands before those of another split
    #[arg(required = true, num_args = 1.., value_name = "SCORES")]
    pub scores: Vec<PathBuf>,

    /// Where the right classes are: a packed data set, or a folder with classInd.txt and testlist0N.txt
    /// [default: the labels in the score files]
    #[arg(long, value_name = "DIR")]
    pub labels: Option<PathBuf>,

    /// The split of --labels [default: the one whose test list has exactly these clips]
    #[arg(long, value_name = "N", requires = "labels")]
    pub split: Option<String>,

    /// Weights of the streams, in the order of SCORES; may be repeated [default for two: 1:2 and 2:1]
    #[arg(long, value_name = "A:B")]
    pub ratio: Vec<String>,

    /// What is combined
    #[arg(long, value_enum, default_value_t = Space::Logits)]
    pub space: Space,

    /// Also weigh mean logits so that the runs' held-out clips (training with --val-groups) are told best
    #[arg(long)]
    pub fit: bool,

    /// Scores of held-out clips, one file a stream, in place of the runs' own; for --fit and --space calibrated
    #[arg(long, value_name = "SCORES,...", value_delimiter = ',')]
    pub held_out: Vec<PathBuf>,

    /// Samples per clip of score files that do not say it, where means count
    #[arg(long, value_name = "N", default_value_t = SEED_SAMPLES, value_parser = clap::value_parser!(u32).range(1..))]
    pub samples: u32,

    /// The clips of score files without names, in order: a list with one a line, such as testlist01.txt
    #[arg(long, value_name = "FILE")]
    pub names: Option<PathBuf>,

    /// Also write the sum of the streams, or what --take says, as scores
    #[arg(long, value_name = "FILE.npz|FILE.csv")]
    pub out: Option<PathBuf>,

    /// What --out holds: average, max, fitted or a ratio
    #[arg(long, value_name = "STRATEGY", default_value = "average", requires = "out")]
    pub take: String,

    /// Print one JSON document in place of the table
    #[arg(long)]
    pub json: bool,
}

const EXAMPLES: &str = "Examples:
  ucftrain fuse runs/spatial runs/temporal
  ucftrain fuse runs/spatial runs/temporal --fit
  ucftrain fuse s1/spatial s1/temporal + s2/spatial s2/temporal + s3/spatial s3/temporal
  ucftrain fuse runs/spatial spatial_video_preds.pickle --labels ucfTrainTestlist";

impl FuseArgs {
    fn options(&self) -> FuseOptions {
        FuseOptions {
            scores: self.scores.clone(),
            labels: self.labels.clone(),
            split: self.split.clone(),
            ratio: self.ratio.clone(),
            space: self.space,
            fit: self.fit,
            held_out: self.held_out.clone(),
            samples: self.samples,
            names: self.names.clone(),
            out: self.out.clone(),
            take: self.take.clone(),
        }
    }
}

/// Runs `ucftrain fuse`: results to stdout, warnings to stderr.
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
