//! A trained network on a device, loaded from its run or its file.

use crate::compute::device::Compute;
use crate::formats::network::Network;
use crate::formats::network_file;
use anyhow::{Context, Result, anyhow, bail};
use candle_convnet::{Model, ResNetConfig};
use clipshard::Dataset;
use std::path::{Path, PathBuf};

/// The best network of a run.
pub fn best_of(dir: &Path) -> Result<PathBuf> {
    let file = dir.join("best.safetensors");
    if !file.is_file() {
        bail!("{}: no best.safetensors in this folder: is it a run, and has it finished an epoch?", dir.display());
    }
    Ok(file)
}

/// A network with its weights on a device.
pub struct LoadedNetwork {
    /// What it is.
    pub network: Network,
    /// Its weights.
    pub model: Model,
    /// Where it came from.
    pub path: PathBuf,
}

impl LoadedNetwork {
    /// Reads `best.safetensors`, or the network of a checkpoint.
    pub fn load(path: &Path, compute: &Compute) -> Result<Self> {
        let (network, tensors) = network_file::load(path)?;
        let depth = network.arch.parse().map_err(|e| anyhow!("{}: {e}", path.display()))?;
        let (in_channels, classes) = (network.stream.channels(), network.classes.len());
        let model = Model::random(&ResNetConfig::new(depth, in_channels, classes), 0, &compute.device)?;
        model.load_tensors(&tensors).with_context(|| path.display().to_string())?;
        Ok(Self { network, model, path: path.to_owned() })
    }

    /// An error that names both networks if `other` knows other classes.
    pub fn check_same_classes(&self, other: &Self) -> Result<()> {
        if self.network.classes != other.network.classes {
            let (one, two) = (self.path.display(), other.path.display());
            bail!("{one} and {two} know different classes: they cannot be asked together");
        }
        Ok(())
    }

    /// Whether the network's classes are the data set's; an error that names both if not.
    pub fn check_classes(&self, data: &Dataset) -> Result<()> {
        let (own, others) = (&self.network.classes, &data.manifest().classes);
        if own != others {
            let (path, dir) = (self.path.display(), data.dir().display());
            bail!("{path}: the network knows {} classes, {dir} has {}, or others", own.len(), others.len());
        }
        Ok(())
    }
}
