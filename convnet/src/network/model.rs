//! A network together with its named parameters.

use super::config::ResNetConfig;
use super::init;
use super::resnet::ResNet;
use crate::weights::{Problem, WeightsError, check_values, read_weights, torchvision_names};
use candle_core::{DType, Device, Result, Shape, Tensor, Var};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder, VarMap};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A [`ResNet`] with all its parameters and running statistics under torchvision's names.
///
/// ```
/// # use candle_convnet::{Depth, Model, ResNetConfig};
/// # use candle_core::{DType, Device, Tensor};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = Model::random(&ResNetConfig::new(Depth::R18, 3, 10), 42, &Device::Cpu)?;
/// let images = Tensor::zeros((1, 32, 32, 3), DType::F32, &Device::Cpu)?;
/// assert_eq!(model.net.forward_t(&images, false)?.dims(), [1, 10]);
/// assert_eq!(model.trainable().len(), 62);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Model {
    /// The network; it computes with the values of [`Model::varmap`].
    pub net: ResNet,
    varmap: VarMap,
}

impl Model {
    /// Draws new random weights, as torchvision does: convolutions Kaiming normal by fan-out, batch norms 1 and 0, the last
    /// layer uniform in ±1/√features. They depend on `seed` and the parameters' names alone.
    pub fn random(config: &ResNetConfig, seed: u64, device: &Device) -> Result<Self> {
        let source = Source { varmap: VarMap::new(), seed, pretrained: None };
        Self::build(config, source, device)
    }

    /// Reads weights from a safetensors file or a `.pth` of torchvision, timm, TSN or mmaction2 (f32, f16, bf16 or f64), with a new
    /// last layer.
    ///
    /// Names of other programs and prefixes are turned into torchvision's names; see [`torchvision_names`].
    /// The last layer (`fc`) is always drawn from `seed`; the file need not have one. When the network takes other than three
    /// channels and the file's `conv1` takes three, `conv1` is their mean copied to every channel (cross-modality
    /// initialisation, Wang et al. 2016, without rescaling). Any other tensor that is missing, misshapen or unknown is an
    /// error that names it, and so is one that holds a NaN or an infinity.
    pub fn from_pretrained(
        config: &ResNetConfig,
        path: impl AsRef<Path>,
        seed: u64,
        device: &Device,
    ) -> std::result::Result<Self, WeightsError> {
        let tensors = read_weights(&path)?;
        Self::from_weights(config, path, tensors, seed, device)
    }

    /// Takes weights that were read already, as [`Model::from_pretrained`] does; `path` is for messages.
    pub fn from_weights(
        config: &ResNetConfig,
        path: impl AsRef<Path>,
        tensors: HashMap<String, Tensor>,
        seed: u64,
        device: &Device,
    ) -> std::result::Result<Self, WeightsError> {
        let path = path.as_ref();
        let (mut tensors, _) = torchvision_names(path, tensors)?;
        tensors.retain(|name, _| !name.starts_with("fc.") && !name.ends_with("num_batches_tracked"));
        check_values(path, &tensors)?;
        if let Some(conv1) = tensors.get("conv1.weight")
            && conv1.rank() == 4
            && conv1.dims()[1] == 3
            && config.in_channels != 3
        {
            let mean = conv1.mean_keepdim(1)?;
            let (o, _, kh, kw) = conv1.dims4()?;
            let copies = mean.broadcast_as((o, config.in_channels, kh, kw))?.contiguous()?;
            tensors.insert("conv1.weight".to_owned(), copies);
        }
        let pretrained = Arc::new(Mutex::new(Pretrained { tensors, problems: Vec::new() }));
        let source = Source { varmap: VarMap::new(), seed, pretrained: Some(pretrained.clone()) };
        let model = Self::build(config, source, device)?;
        let mut pretrained = pretrained.lock().unwrap_or_else(PoisonError::into_inner);
        let Pretrained { tensors, problems } = &mut *pretrained;
        problems.extend(tensors.keys().map(|name| Problem::Unknown { name: name.clone() }));
        WeightsError::check(path, std::mem::take(problems))?;
        Ok(model)
    }

    fn build(config: &ResNetConfig, source: Source, device: &Device) -> Result<Self> {
        let varmap = source.varmap.clone();
        let net = ResNet::new(config, VarBuilder::from_backend(Box::new(source), DType::F32, device.clone()))?;
        Ok(Self { net, varmap })
    }

    /// The variables behind the network, for candle code that wants a [`VarMap`].
    pub fn varmap(&self) -> &VarMap {
        &self.varmap
    }

    /// Every parameter and running statistic, sorted by name. The tensors share the network's storage and so show later
    /// steps too; [`Tensor::copy`] keeps a snapshot.
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        self.vars().into_iter().map(|(name, var)| (name, var.as_detached_tensor())).collect()
    }

    /// The parameters that an optimiser moves (all but the running statistics), sorted by name.
    pub fn trainable(&self) -> Vec<(String, Var)> {
        let is_parameter = |name: &str| !name.ends_with(".running_mean") && !name.ends_with(".running_var");
        self.vars().into_iter().filter(|(name, _)| is_parameter(name)).collect()
    }

    /// Sets every parameter and running statistic. `tensors` must hold exactly this network's names and shapes
    /// (`num_batches_tracked` is passed over); otherwise nothing changes and the error names what differs.
    pub fn load_tensors(&self, tensors: &HashMap<String, Tensor>) -> std::result::Result<(), WeightsError> {
        let vars = self.vars();
        let mut problems = Vec::new();
        for (name, var) in &vars {
            match tensors.get(name) {
                None => problems.push(Problem::Missing { name: name.clone(), expected: var.dims().to_vec() }),
                Some(tensor) if tensor.shape() != var.shape() => {
                    problems.push(Problem::shape(name, var.shape(), tensor.shape()));
                }
                Some(_) => {}
            }
        }
        let names: BTreeSet<&str> = vars.iter().map(|(name, _)| name.as_str()).collect();
        problems.extend(
            tensors
                .keys()
                .filter(|name| !name.ends_with("num_batches_tracked") && !names.contains(name.as_str()))
                .map(|name| Problem::Unknown { name: name.clone() }),
        );
        WeightsError::check(Path::new("the given tensors"), problems)?;
        for (name, var) in &vars {
            // The copy allows for a tensor that shares the variable's own storage, which `set` refuses.
            var.set(&tensors[name].to_device(var.device())?.to_dtype(DType::F32)?.copy()?)?;
        }
        Ok(())
    }

    fn vars(&self) -> Vec<(String, Var)> {
        let vars = self.varmap.data().lock().unwrap_or_else(PoisonError::into_inner);
        let sorted: BTreeMap<String, Var> = vars.iter().map(|(name, var)| (name.clone(), var.clone())).collect();
        sorted.into_iter().collect()
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("net", &self.net).finish_non_exhaustive()
    }
}

/// Where the network's variables come from: a file where there is one, else the seed.
struct Source {
    varmap: VarMap,
    seed: u64,
    pretrained: Option<Arc<Mutex<Pretrained>>>,
}

struct Pretrained {
    /// What no layer has asked for yet.
    tensors: HashMap<String, Tensor>,
    problems: Vec<Problem>,
}

impl Source {
    fn variable(&self, shape: &Shape, name: &str, init: Init, device: &Device) -> Result<Var> {
        if let Some(pretrained) = &self.pretrained
            && !name.starts_with("fc.")
        {
            let mut pretrained = pretrained.lock().unwrap_or_else(PoisonError::into_inner);
            let problem = match pretrained.tensors.remove(name) {
                Some(tensor) if tensor.shape() == shape => return Var::from_tensor(&tensor.to_device(device)?),
                Some(tensor) => Problem::shape(name, shape, tensor.shape()),
                None => Problem::Missing { name: name.to_owned(), expected: shape.dims().to_vec() },
            };
            pretrained.problems.push(problem);
            // All problems are reported together, after the network is built.
            return Var::zeros(shape, DType::F32, device);
        }
        init::variable(shape, name, init, self.seed, device)
    }
}

impl SimpleBackend for Source {
    fn get(&self, shape: Shape, name: &str, init: Init, _: DType, device: &Device) -> Result<Tensor> {
        let var = self.variable(&shape, name, init, device)?;
        let tensor = var.as_tensor().clone();
        self.varmap.data().lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), var);
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        candle_core::bail!("{name}: a network asks for its parameters by shape")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.varmap.data().lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }
}
