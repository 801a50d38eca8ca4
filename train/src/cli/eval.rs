//! `ucftrain eval`: the test pass of a trained network.

use super::compute::ComputeArgs;
use super::network::NetworkArgs;
use crate::base::console::{Console, document, result};
use crate::base::stop::Stop;
use crate::base::table::table;
use crate::cli::cure::Uncured;
use crate::cli::io::Io;
use crate::input::{self, check_geometry};
use crate::run::loaded_network::LoadedNetwork;
use crate::training::evaluation::Evaluation;
use anyhow::{Context, Result, bail};
use clip_loader::Crop;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// What is typed after `eval`.
#[derive(Debug, clap::Args)]
pub struct EvalArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub network: NetworkArgs,
    /// Packed data set
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Split whose test clips are used [default: the one that the network was trained on]
    #[arg(long, value_name = "N")]
    pub split: Option<String>,
    /// Also write the scores to this file
    #[arg(long, value_name = "FILE.npz")]
    pub scores: Option<PathBuf>,
    /// Also write each sample's logits to this file
    #[arg(long, value_name = "FILE.npz")]
    pub sample_scores: Option<PathBuf>,
    /// Samples a batch
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub batch_size: u32,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would show it as help")]
    pub compute: ComputeArgs,
    /// How shards are read: mmap, or pread where files cannot be mapped or a failing disk must not end the program
    #[arg(long, value_enum, default_value_t)]
    pub io: Io,
    /// Replace damaged samples by others of their clips and count them, instead of stopping at the first
    #[arg(long)]
    pub skip_damaged: bool,
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(args: &EvalArgs) -> Result<()> {
    let console = Console { json: args.json };
    let data = Arc::new(args.io.open(&args.data)?);
    let (compute, threads) = args.compute.start()?;
    let loaded = LoadedNetwork::load(&args.network.file()?, &compute)?;
    loaded.check_classes(&data)?;
    let (network, model) = (&loaded.network, &loaded.model);
    let split = args.split.as_ref().unwrap_or(&network.split);
    let clips = input::split(&data, split, network.stream)?.test;
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
    let stop = Stop::on_signals()?;
    let Some(outcome) = evaluation.run(&model.net, console, &stop).cured(!args.skip_damaged)? else {
        return Err(stop.interrupted("nothing was written").context("the test pass has no end")?.into());
    };
    let scored = outcome.scored;
    if let Some(fault) = outcome.fault() {
        bail!("{}: {fault}: the network has diverged or is damaged; nothing was written", loaded.path.display());
    }
    if let Some(path) = &args.scores {
        outcome.scores.write_npz(path)?;
    }
    if let (Some(path), Some(samples)) = (&args.sample_scores, &outcome.samples) {
        samples.write_npz(path)?;
    }
    if args.json {
        let json = json!({
            "stream": network.stream, "split": split, "clips": clips.len(),
            "loss": scored.loss, "top1": scored.top1, "top5": scored.top5,
            "damaged_samples": outcome.damaged,
        });
        return Ok(document(&json)?);
    }
    let row = vec![
        network.stream.to_string(),
        split.clone(),
        clips.len().to_string(),
        format!("{:.5}", scored.loss),
        format!("{:.3}", scored.top1),
        format!("{:.3}", scored.top5),
    ];
    let mut text = table(&["Stream", "Split", "Clips", "Loss", "Prec@1", "Prec@5"], &[row]);
    if outcome.damaged > 0 {
        text += &outcome.damaged.to_string();
        text += " damaged samples were replaced by others; ucfpack verify names the records";
    }
    Ok(result(text.trim_end())?)
}
