//! Options that name one network.

use crate::base::usage::Usage;
use crate::run::loaded_network::best_of;
use anyhow::{Result, bail};
use std::path::PathBuf;

/// What is typed to name one network.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "network", required = true, multiple = false)]
pub struct NetworkArgs {
    /// Run folder: its best network is taken
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// A best.safetensors or checkpoint.safetensors
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
}

impl NetworkArgs {
    /// The network's file.
    pub fn file(&self) -> Result<PathBuf> {
        match (&self.run, &self.checkpoint) {
            (Some(dir), _) => best_of(dir),
            (_, Some(file)) => Ok(file.clone()),
            _ => bail!(Usage("give --run DIR or --checkpoint FILE".into())),
        }
    }
}
