//! A trained network on a device, loaded from a run folder or a file.

use crate::compute::device::Compute;
use crate::formats::network::Network;
use crate::formats::network_file;
use anyhow::{Context, Result, anyhow, bail};
use candle_convnet::{Classifier, Model};
use clipshard::Dataset;
use std::path::{Path, PathBuf};

/// Returns the path of a run's best network.
///
/// # Errors
/// The run has no best network.
pub fn best_of(dir: &Path) -> Result<PathBuf> {
    let file = dir.join("best.safetensors");
    if !file.is_file() {
        bail!("{}: no best.safetensors here; name the folder of a run that finished at least one epoch", dir.display());
    }
    Ok(file)
}

/// Describes the difference between the classes of a network and those of a dataset.
pub fn different_classes(file: &Path, known: &[String], data: &Path, classes: &[String]) -> String {
    let (file, data) = (file.display(), data.display());
    let (own, others) = (known.len(), classes.len());
    if own != others {
        return format!(
            "{file}: the network has {own} classes, but {data} has {others}; use the dataset of its training"
        );
    }
    let first = known.iter().zip(classes).find(|(own, other)| own != other);
    let first = first.map_or(String::new(), |(own, other)| format!(" ({own} and {other})"));
    format!("{file}: the network and {data} have different classes{first}; use the dataset of its training")
}

/// A network with its weights on a device.
pub struct LoadedNetwork {
    /// Description of the network.
    pub network: Network,
    /// Layers and weights.
    pub model: Model<Classifier>,
    /// File that it was loaded from.
    pub path: PathBuf,
}

impl LoadedNetwork {
    /// Reads `best.safetensors`, or the network of a checkpoint.
    pub fn load(path: &Path, compute: &Compute) -> Result<Self> {
        let (network, tensors) = network_file::load(path)?;
        let config = network.config().map_err(|e| anyhow!("{}: {e}", path.display()))?;
        let mut model = Model::random(&config, 0, &compute.device)?;
        model.load_tensors(&tensors).with_context(|| path.display().to_string())?;
        network.view().shift(&mut model).with_context(|| path.display().to_string())?;
        Ok(Self { network, model, path: path.to_owned() })
    }

    /// Checks that `other` has the same classes.
    ///
    /// # Errors
    /// The classes differ. The error names both files.
    pub fn check_same_classes(&self, other: &Self) -> Result<()> {
        if self.network.classes != other.network.classes {
            let (one, two) = (self.path.display(), other.path.display());
            bail!(
                "{one} and {two} have different classes; average only networks that were trained on the same classes"
            );
        }
        Ok(())
    }

    /// Checks that the dataset has the same classes.
    ///
    /// # Errors
    /// The classes differ. The error names the file and the dataset.
    pub fn check_classes(&self, data: &Dataset) -> Result<()> {
        let (own, others) = (&self.network.classes, &data.manifest().classes);
        if own != others {
            bail!(different_classes(&self.path, own, data.dir(), others));
        }
        Ok(())
    }
}
