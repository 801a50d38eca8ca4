//! Options that select one network.

use crate::base::heading::MODEL;
use crate::base::usage::Usage;
use crate::run::loaded_network::best_of;
use anyhow::{Result, bail};
use std::path::PathBuf;

/// Options that select one network.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "network", required = true, multiple = false)]
pub struct NetworkArgs {
    /// Run folder, to use the network of its best epoch
    #[arg(long, value_name = "DIR", help_heading = MODEL)]
    pub run: Option<PathBuf>,
    /// Network file
    ///
    /// For example best.safetensors or checkpoint.safetensors of a run, or a file that `ucftrain
    /// import` wrote.
    #[arg(long, value_name = "FILE", help_heading = MODEL)]
    pub checkpoint: Option<PathBuf>,
}

impl NetworkArgs {
    /// Returns the file of the network.
    pub fn file(&self) -> Result<PathBuf> {
        match (&self.run, &self.checkpoint) {
            (Some(dir), _) => best_of(dir),
            (_, Some(file)) => Ok(file.clone()),
            _ => bail!(Usage("no network is given; add --run DIR or --checkpoint FILE".into())),
        }
    }
}
