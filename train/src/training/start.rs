//! The start of a run: a new one with initial weights, or one that continues from its checkpoint.

use super::average::{Average, AverageRule};
use crate::base::console::quoted;
use crate::base::usage::Usage;
use crate::compute::algorithms;
use crate::compute::device::Compute;
use crate::formats::network::Network;
use crate::formats::{network_file, weights};
use crate::run::checkpoint::{self, Parts};
use crate::run::folder::{Existing, RunFolder};
use crate::run::state::{Cursor, Seconds, State, TrainMeters};
use crate::schedule::plateau::Plateau;
use crate::scores::Scores;
use crate::settings::Settings;
use anyhow::{Context, Result, anyhow, bail};
use candle_convnet::{Classifier, ClassifierConfig, Decay, Model, Sgd, SgdConfig};
use candle_core::{Device, Tensor};
use clip_loader::Work;
use clipshard::{Dataset, MANIFEST_FILE, read_regular};
use std::collections::HashMap;
use std::path::Path;

/// The name of a checkpoint that came from the first rank.
const FIRST_RANK: &str = "the state of rank 0";

/// A run that is ready to take its next step.
pub struct Start {
    /// Its folder, which is locked; none on a rank that does not write.
    pub folder: Option<RunFolder>,
    /// The network.
    pub model: Model<Classifier>,
    /// The optimiser.
    pub sgd: Sgd,
    /// Average of the network's weights, if the run tests the average.
    pub average: Option<Average>,
    /// State of the run.
    pub state: State,
}

/// Returns the state of a run that has taken no step.
///
/// # Errors
/// The manifest cannot be read.
pub fn first_state(settings: &Settings, data: &Dataset, compute: &Compute) -> Result<State> {
    let mut deciding = settings.deciding()?;
    deciding.set_precision(compute.precision);
    Ok(State {
        network: Network {
            stream: settings.stream,
            arch: settings.arch.clone(),
            classes: data.manifest().classes.clone(),
            input_size: settings.input_size,
            split: settings.split.clone(),
            view: Some(settings.view),
        },
        settings: Some(deciding),
        manifest_crc32: manifest_crc32(data)?,
        cursor: Cursor::default(),
        plateau: Plateau::new(settings.lr),
        meters: TrainMeters::default(),
        seconds: Seconds::default(),
        decode_seconds: Work::default(),
        damaged: 0,
        best_by: settings.best_by,
        history: Vec::new(),
        tested: None,
    })
}

impl Start {
    /// Starts a run in the folder `dir` from its first state. `weights` is a file; `None` gives random
    /// weights.
    ///
    /// # Errors
    /// The weights cannot be read, or `existing` does not allow the folder as it is.
    pub fn fresh(
        dir: &Path,
        existing: Existing,
        settings: &Settings,
        weights: Option<&Path>,
        device: &Device,
        state: State,
    ) -> Result<Self> {
        // Reads the weights before changing the folder: a wrong path must not destroy an older run.
        let model = first_model(settings, weights, state.network.classes.len(), device)?;
        let folder = RunFolder::open(dir, existing)?;
        let sgd = optimiser(settings, &model)?;
        let average = AverageRule::of(settings).map(|rule| Average::new(rule, &model)).transpose()?;
        Ok(Self { folder: Some(folder), model, sgd, average, state })
    }

    /// Returns the bytes of a checkpoint, with which other ranks [join](Start::joined).
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let average = self.average.as_ref().map_or_else(Vec::new, |average| average.tensors().to_vec());
        let (model, momentum) = (self.model.tensors(), self.sgd.state());
        checkpoint::to_bytes(&self.state, &Parts { model: &model[..], momentum: &momentum, average: &average })
    }

    /// Joins the run of the first rank, which sent `bytes`.
    ///
    /// # Errors
    /// The network of the first rank does not fit the settings of this one.
    pub fn joined(bytes: &[u8], settings: &Settings, compute: &Compute) -> Result<Self> {
        let (state, tensors) = checkpoint::from_bytes(bytes, FIRST_RANK)?;
        Self::of_parts(FIRST_RANK, settings, compute, (state, tensors))
    }

    /// Continues a run from its checkpoint. `fresh` is the state of a new run with the same
    /// settings.
    ///
    /// # Errors
    /// The checkpoint or a file of the best epoch cannot be read, or belongs to a run with another
    /// precision, network or dataset.
    pub fn resumed(folder: RunFolder, settings: &Settings, compute: &Compute, fresh: &State) -> Result<Self> {
        let path = folder.checkpoint();
        let (mut state, tensors) = checkpoint::load(&path)?;
        let precision = |state: &State| state.settings.as_ref().and_then(|s| s.precision().map(str::to_owned));
        if let (Some(now), Some(used)) = (precision(fresh), precision(&state))
            && now != used
        {
            bail!(Usage(format!(
                "cannot resume: the precision of this device is {now}, but the run used {used}; add --precision {used}"
            )));
        }
        check_best(&folder, &state)?;
        state.settings.clone_from(&fresh.settings);
        if state.network != fresh.network {
            bail!(
                "{}: the network or its classes do not match the settings; use the dataset and the settings of the run",
                path.display()
            );
        }
        if state.manifest_crc32 != fresh.manifest_crc32 {
            bail!(
                "{}: the dataset {} has changed since the run started; restore it, use --data with the original one, \
                 or start a new run",
                path.display(),
                settings.data.display()
            );
        }
        let start = Self::of_parts(&path.display().to_string(), settings, compute, (state, tensors))?;
        algorithms::restore(&folder.algorithms(), compute)?;
        folder.rebuild_logs(&start.state)?;
        Ok(Self { folder: Some(folder), ..start })
    }

    /// Returns the run of a checkpoint. Errors call it `name`.
    fn of_parts(
        name: &str,
        settings: &Settings,
        compute: &Compute,
        (state, tensors): (State, Parts<HashMap<String, Tensor>>),
    ) -> Result<Self> {
        let config = config(settings, state.network.classes.len())?;
        let model = Model::random(&config, 0, &compute.device)?;
        model.load_tensors(&tensors.model).with_context(|| name.to_owned())?;
        let mut sgd = optimiser(settings, &model)?;
        sgd.load_state(&tensors.momentum).map_err(|e| anyhow!("{name}: {e}"))?;
        let average = AverageRule::of(settings)
            .map(|rule| Average::resumed(rule, &model, &tensors.average, state.cursor))
            .transpose()
            .with_context(|| name.to_owned())?;
        Ok(Self { folder: None, model, sgd, average, state })
    }
}

fn optimiser(settings: &Settings, model: &Model<Classifier>) -> Result<Sgd> {
    let config = SgdConfig::new(settings.lr)
        .with_weight_decay(settings.weight_decay)
        // Biases and norms have no weight decay, because it harms accuracy (He et al. 2018).
        .with_decay(Decay::Weights)
        .with_clip_norm((settings.clip_grad > 0.0).then_some(settings.clip_grad));
    let mut sgd = Sgd::new(model.trainable(), config)?;
    sgd.scale_lr(settings.architecture()?.first_weights(), settings.conv1_lr)?;
    Ok(sgd)
}

/// Returns the network of these settings for `classes` classes.
fn config(settings: &Settings, classes: usize) -> Result<ClassifierConfig> {
    Ok(ClassifierConfig::new(settings.architecture()?, settings.view.channels(settings.stream), classes))
}

/// Creates the network of these settings with its initial weights, which are random without a file.
///
/// # Errors
/// The weights cannot be read, or do not fit the network.
pub fn first_model(
    settings: &Settings,
    file: Option<&Path>,
    classes: usize,
    device: &Device,
) -> Result<Model<Classifier>> {
    let config = config(settings, classes)?;
    let Some(path) = file else { return Ok(Model::random(&config, settings.seed, device)?) };
    let model = Model::from_weights(&config, path, weights::read(path)?, settings.seed, device);
    model.map_err(|error| weights::explained(error, settings.stream, settings.view))
}

/// Largest size of a manifest that is read.
const MOST_MANIFEST_BYTES: u64 = 1 << 30;

/// Returns the checksum of the manifest, with which a resumed run checks that its dataset is the
/// same.
fn manifest_crc32(data: &Dataset) -> Result<u32> {
    let path = data.dir().join(MANIFEST_FILE);
    let bytes =
        read_regular(&path, MOST_MANIFEST_BYTES).with_context(|| format!("{}: cannot read it", path.display()))?;
    Ok(crc32fast::hash(&bytes))
}

/// Checks that the files of the best epoch are complete, because no later epoch might write them
/// again.
fn check_best(folder: &RunFolder, state: &State) -> Result<()> {
    let Some(best) = state.best() else { return Ok(()) };
    let scores = folder.scores_of(&best.eval);
    let network = network_file::load(&folder.best()).map(drop);
    network.and_then(|()| Scores::load(&scores).map(drop)).map_err(|error| {
        anyhow!(
            "cannot resume: {error:#}; restore the files of the best epoch, {}, or start a new run with --weights {}",
            best.epoch,
            quoted(&folder.checkpoint())
        )
    })
}
