//! The options of several processes that train together, and their agreement.

use crate::base::heading::RUN;
use crate::base::usage::Usage;
use crate::compute::device::Compute;
use crate::ranks::{Alone, Meeting, Place, Ranks, meet};
use crate::run::state::State;
use crate::settings::{Deciding, Difference, Settings};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Where the ranks of a run come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum RanksFrom {
    /// The environment variables of a launcher, if there is one
    Auto,
    /// No launcher: this process trains alone
    None,
}

/// Options of several processes that train together.
#[derive(Clone, Debug, clap::Args)]
pub struct RanksArgs {
    /// Whether a launcher may share the run out among processes
    ///
    /// torchrun, mpirun, srun and `ucftrain launch` set environment variables that name the process
    /// and their number. --batch-size is that of all processes together.
    #[arg(long, value_enum, default_value_t = RanksFrom::Auto, help_heading = RUN)]
    pub ranks: RanksFrom,
    /// Longest time to wait for another process of the run
    #[arg(long, value_name = "SECONDS", default_value_t = 300., value_parser = seconds, help_heading = RUN)]
    pub timeout: f64,
    /// Address of this machine for the other processes of the run
    ///
    /// Default: the loopback address if all processes are on one machine, and otherwise that of the
    /// default route.
    #[arg(long, value_name = "ADDRESS", help_heading = RUN)]
    pub interface: Option<IpAddr>,
}

fn seconds(text: &str) -> Result<f64, String> {
    let allowed = |seconds: &f64| (0.1..=1e6).contains(seconds);
    text.parse().ok().filter(allowed).ok_or_else(|| "not a number of seconds from 0.1 to 1000000".into())
}

impl RanksArgs {
    /// Returns the place that a launcher gives this process; none if it trains alone.
    pub fn place(&self) -> Result<Option<Place>> {
        match self.ranks {
            RanksFrom::None => Ok(None),
            RanksFrom::Auto => Place::of(|name| std::env::var(name).ok()),
        }
    }

    /// Connects the processes of the run in the folder `run`.
    pub fn meet(&self, place: Option<&Place>, run: &Path) -> Result<Arc<dyn Ranks>> {
        let Some(place) = place else { return Ok(Arc::new(Alone)) };
        let timeout = Duration::from_secs_f64(self.timeout);
        meet(&Meeting { place, run, interface: self.interface, timeout })
    }
}

/// Checks that the ranks can share out the micro-batches.
///
/// # Errors
/// Their number does not divide that of the micro-batches, or differs from it and `sync_bn` is set.
pub fn check_share(settings: &Settings, size: usize) -> Result<()> {
    let Settings { accumulate, sync_bn, .. } = *settings;
    if sync_bn && accumulate != size {
        bail!(Usage(format!(
            "--sync-bn needs one micro-batch per rank, but there are {accumulate} micro-batches (--accumulate) and {} \
             here; start {accumulate} ranks, or train without --sync-bn",
            if size == 1 { "1 rank".to_owned() } else { format!("{size} ranks") }
        )));
    }
    if !accumulate.is_multiple_of(size) {
        bail!(Usage(format!(
            "{size} ranks cannot share out {accumulate} micro-batches per step (--accumulate); use another number of \
             ranks, or a multiple of {size}"
        )));
    }
    Ok(())
}

/// The facts that must be the same on all ranks.
#[derive(Serialize, Deserialize)]
struct Terms {
    version: String,
    settings: Option<Deciding>,
    epochs: usize,
    manifest_crc32: u32,
    limit_steps: Option<u64>,
    device: String,
}

/// Checks that all ranks train the same.
///
/// # Errors
/// Names the first rank that differs from rank 0, and the difference.
pub fn agree(
    ranks: &dyn Ranks,
    settings: &Settings,
    state: &State,
    limit_steps: Option<u64>,
    compute: &Compute,
) -> Result<()> {
    let own = Terms {
        version: env!("CARGO_PKG_VERSION").into(),
        settings: state.settings.clone(),
        epochs: settings.epochs,
        manifest_crc32: state.manifest_crc32,
        limit_steps,
        device: if compute.device.is_cpu() { "cpu".into() } else { "cuda".into() },
    };
    let all = ranks.gather(serde_json::to_vec(&own)?)?;
    let all: Vec<Terms> = all.iter().map(|bytes| serde_json::from_slice(bytes)).collect::<Result<_, _>>()?;
    let first = all.first().context("there is no rank 0")?;
    for (rank, terms) in all.iter().enumerate().skip(1) {
        if let Some(difference) = terms.differs_from(first) {
            bail!(Usage(format!("rank {rank} {difference}; start all ranks with the same command and dataset")));
        }
    }
    Ok(())
}

impl Terms {
    /// Describes a difference from rank 0.
    fn differs_from(&self, first: &Self) -> Option<String> {
        if self.version != first.version {
            return Some(format!("is version {} of ucftrain, but rank 0 is version {}", self.version, first.version));
        }
        let differences = match (&self.settings, &first.settings) {
            (Some(own), Some(first)) => own.differences(first),
            _ => Vec::new(),
        };
        if let Some(Difference { option, now, used }) = differences.into_iter().next() {
            return Some(format!("has --{option} {now}, but rank 0 has {used}"));
        }
        if self.manifest_crc32 != first.manifest_crc32 {
            return Some("has another dataset than rank 0".into());
        }
        if self.device != first.device {
            return Some(format!("computes on {}, but rank 0 on {}", self.device, first.device));
        }
        let limits = (self.epochs, self.limit_steps) != (first.epochs, first.limit_steps);
        limits.then(|| "has other --epochs or --limit-steps than rank 0".into())
    }
}
