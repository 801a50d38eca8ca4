//! `ucftrain eval`: tests a trained network.

use super::compute::ComputeArgs;
use super::network::NetworkArgs;
use crate::base::console::{Console, document, note, result};
use crate::base::heading::{EVALUATION, INPUT, OUTPUT};
use crate::base::meters::Scored;
use crate::base::stop::Stop;
use crate::base::table::table;
use crate::base::usage::Usage;
use crate::cli::cure::Uncured;
use crate::cli::io::IoArgs;
use crate::input::{self, check_geometry, note_omitted, trained_clips};
use crate::ranks::Alone;
use crate::run::loaded_network::LoadedNetwork;
use crate::scores::SampleScores;
use crate::stream::Stream;
use crate::training::evaluation::Evaluation;
use anyhow::{Context, Result, bail};
use clip_loader::{Crop, SplitClip};
use clipshard::{Dataset, Subset};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// Arguments of `ucftrain eval`.
#[derive(Debug, clap::Args)]
pub struct EvalArgs {
    /// Packed dataset
    #[arg(long, value_name = "DIR", help_heading = INPUT)]
    pub data: PathBuf,
    /// Split whose clips to use [default: the split of training]
    #[arg(long, value_name = "N", help_heading = INPUT)]
    pub split: Option<String>,
    /// Subset of the split to evaluate: test, val, train or another name
    ///
    /// Clips without labels have no accuracy. If all clips lack labels, --scores or --sample-scores
    /// is required. If some do, they are omitted.
    #[arg(long, value_name = "NAME", default_value = "test", help_heading = INPUT)]
    pub subset: String,
    /// Replace damaged samples instead of stopping
    ///
    /// Without this option the first damaged record ends the command. With it, another sample of
    /// the same clip takes the place of each damaged one. The number of damaged samples is
    /// reported.
    #[arg(long, help_heading = INPUT)]
    pub skip_damaged: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub io: IoArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub network: NetworkArgs,
    /// Smallest number of samples per batch
    ///
    /// Batches may be larger than this where that is faster. The size does not change the result.
    #[arg(
        long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=65536),
        help_heading = EVALUATION
    )]
    pub batch_size: u32,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub compute: ComputeArgs,
    /// File for the scores of the clips
    ///
    /// `ucftrain fuse` reads it. An existing file is replaced.
    #[arg(long, value_name = "FILE.npz", help_heading = OUTPUT)]
    pub scores: Option<PathBuf>,
    /// File for the logits of every sample
    ///
    /// An existing file is replaced.
    #[arg(long, value_name = "FILE.npz", help_heading = OUTPUT)]
    pub sample_scores: Option<PathBuf>,
    /// Print one JSON document instead of a table
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
}

pub(super) const EXAMPLES: &str = "Examples:
  ucftrain eval --run runs/spatial --data ucf101.shards
  ucftrain eval --run runs/spatial --data own.shards --subset val --scores val.npz
  ucftrain eval --run runs/spatial --data ucf101.shards --scores spatial.npz --json
  ucftrain eval --checkpoint runs/spatial/checkpoint.safetensors --data ucf101.shards";

/// Runs the command.
pub fn run(args: &EvalArgs) -> Result<()> {
    let console = Console::new(args.json);
    let (compute, threads) = args.compute.start()?;
    let loaded = LoadedNetwork::load(&args.network.file()?, &compute)?;
    let data = Arc::new(args.io.io.open(&args.data, &[loaded.network.stream.records()])?);
    loaded.check_classes(&data)?;
    let (network, model) = (&loaded.network, &loaded.model);
    let split = args.split.as_ref().unwrap_or(&network.split);
    let subset = Subset::from(args.subset.as_str());
    let clips = clips(args, &data, split, &subset, network.stream)?;
    check_geometry(&data, &clips, network.stream, Crop::Whole, network.input_size)?;
    let evaluation = Evaluation {
        data: &data,
        clips: &clips,
        stream: network.stream,
        side: network.input_size,
        view: network.view(),
        classes: network.classes.len(),
        batch_size: args.batch_size as usize,
        threads,
        compute: &compute,
        skip_damaged: args.skip_damaged,
        keeps_samples: args.sample_scores.is_some(),
    };
    let trained = trained_clips(&data, &clips, &network.split);
    if trained > 0 && !args.json {
        let (n, used) = (clips.len(), &network.split);
        note(&format!(
            "note: {trained} of the {n} {subset} clips of split {split} are training clips of split {used}, on which \
             this network was trained; the accuracy is too high"
        ));
    }
    let stop = Stop::on_signals()?;
    let Some(outcome) = evaluation.run(&model.net, console, &stop, &Alone).cured(!args.skip_damaged)? else {
        return Err(stop
            .interrupted("no scores were written")
            .context("the test pass stopped without a signal")?
            .into());
    };
    if let Some(fault) = outcome.fault() {
        bail!("{}: {fault}: the training diverged or the file is damaged; use another network", loaded.path.display());
    }
    if let Some(path) = &args.scores {
        outcome.scores.of_subset(subset.name()).write_npz(path)?;
    }
    if let (Some(path), Some(samples)) = (&args.sample_scores, outcome.samples) {
        SampleScores { subset: Some(subset.to_string()), ..samples }.write_npz(path)?;
    }
    let number = |of: fn(Scored) -> f64| outcome.scored.map(of);
    let shown = |number: Option<f64>, digits| number.map_or("-".to_owned(), |number| format!("{number:.digits$}"));
    if args.json {
        let json = json!({
            "stream": network.stream, "split": split, "subset": subset, "clips": clips.len(),
            "loss": number(|scored| scored.loss), "top1": number(|scored| scored.top1),
            "top5": number(|scored| scored.top5),
            "damaged_samples": outcome.damaged, "trained_clips": trained,
        });
        return Ok(document(&json)?);
    }
    let row = vec![
        network.stream.to_string(),
        split.clone(),
        subset.to_string(),
        clips.len().to_string(),
        shown(number(|scored| scored.loss), 5),
        shown(number(|scored| scored.top1), 3),
        shown(number(|scored| scored.top5), 3),
    ];
    let mut text = table(&["stream", "split", "subset", "clips", "loss", "top-1 %", "top-5 %"], &[row]);
    if outcome.damaged > 0 {
        text += &replaced(outcome.damaged);
    }
    Ok(result(text.trim_end())?)
}

/// Lists the clips to evaluate, and prints notes on the others of the subset.
///
/// # Errors
/// The subset has no clip that is long enough, or no clip has a label and no file for scores is
/// named.
fn clips(args: &EvalArgs, data: &Dataset, split: &str, subset: &Subset, stream: Stream) -> Result<Arc<[SplitClip]>> {
    let [long, mut omitted] = input::subset(data, split, subset, stream)?;
    let (labelled, unlabelled): (Vec<_>, Vec<_>) = long.into_iter().partition(|clip| clip.label.is_some());
    let clips = if labelled.is_empty() {
        if args.scores.is_none() && args.sample_scores.is_none() {
            bail!(Usage(format!(
                "{}: the {subset} clips of split {split} have no labels, so there is no accuracy; add --scores \
                 FILE.npz to write their scores",
                data.dir().display()
            )));
        }
        note("note: the clips have no labels, so there is no accuracy");
        unlabelled
    } else {
        omitted.extend(unlabelled);
        labelled
    };
    note_omitted(&omitted, stream);
    Ok(clips.into())
}

/// Returns a note on damaged samples that were replaced.
pub(super) fn replaced(damaged: u64) -> String {
    format!("{damaged} damaged samples were replaced; run `ucfpack verify` to find the damaged records")
}
