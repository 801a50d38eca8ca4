//! A network with its named parameters.

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

/// A [`ResNet`] with its parameters and running statistics, by torchvision's names.
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
    /// The network. It computes with the values of [`Model::varmap`].
    pub net: ResNet,
    varmap: VarMap,
}

impl Model {
    /// Creates a model with random weights, with the distributions of torchvision.
    ///
    /// Convolutions are Kaiming normal by fan-out, batch norms have weight 1 and bias 0, and the
    /// last layer is uniform in ±1/√features. The values depend only on `seed` and on the names of
    /// the parameters.
    ///
    /// # Errors
    /// Returns an error if the device cannot allocate the variables.
    pub fn random(config: &ResNetConfig, seed: u64, device: &Device) -> Result<Self> {
        let source = Source { varmap: VarMap::new(), seed, pretrained: None };
        Self::build(config, source, device)
    }

    /// Creates a model with the weights of a file and a new last layer.
    ///
    /// The file is safetensors, or a `.pth` file of torchvision, timm, TSN or mmaction2, in f32,
    /// f16, bf16 or f64. Names of these programs become torchvision's names; see
    /// [`torchvision_names`].
    ///
    /// The last layer (`fc`) is always drawn from `seed`, and the file does not need one. If the
    /// network has other than three input channels and `conv1` of the file has three, the network's
    /// `conv1` is their mean, copied to every channel (cross-modality initialisation, Wang et al.
    /// 2016, without rescaling).
    ///
    /// # Errors
    /// Returns an error if the file cannot be read as weights; see [`read_weights`]. Returns an
    /// error that names the tensors if any other tensor is missing, is unknown, has another shape,
    /// or contains a NaN, an infinity or a negative variance.
    pub fn from_pretrained(
        config: &ResNetConfig,
        path: impl AsRef<Path>,
        seed: u64,
        device: &Device,
    ) -> std::result::Result<Self, WeightsError> {
        let tensors = read_weights(&path)?;
        Self::from_weights(config, path, tensors, seed, device)
    }

    /// Creates a model from tensors that you have read with [`read_weights`], as
    /// [`Model::from_pretrained`] does.
    ///
    /// `path` is only used in error messages.
    ///
    /// # Errors
    /// Returns the errors of [`Model::from_pretrained`], except for those of reading the file.
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

    /// Returns the variables of the network, for candle code that needs a [`VarMap`].
    pub fn varmap(&self) -> &VarMap {
        &self.varmap
    }

    /// Returns all parameters and running statistics, sorted by name.
    ///
    /// The tensors share the storage of the network, so later steps change them. Use
    /// [`Tensor::copy`] for a snapshot.
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        self.vars().into_iter().map(|(name, var)| (name, var.as_detached_tensor())).collect()
    }

    /// Returns the parameters that an optimiser updates, sorted by name. Running statistics are not
    /// among them.
    pub fn trainable(&self) -> Vec<(String, Var)> {
        let is_parameter = |name: &str| !name.ends_with(".running_mean") && !name.ends_with(".running_var");
        self.vars().into_iter().filter(|(name, _)| is_parameter(name)).collect()
    }

    /// Sets all parameters and running statistics, including the last layer.
    ///
    /// ```
    /// # use candle_convnet::{Depth, Model, ResNetConfig};
    /// # use candle_core::Device;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = ResNetConfig::new(Depth::R18, 3, 10);
    /// let (trained, copy) = (Model::random(&config, 1, &Device::Cpu)?, Model::random(&config, 2, &Device::Cpu)?);
    /// copy.load_tensors(&trained.tensors().into_iter().collect())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns an error that names the differences if `tensors` does not have exactly the names and
    /// shapes of this network. `num_batches_tracked` is ignored. After such an error, the network
    /// is unchanged.
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
        WeightsError::check(Path::new("the tensors"), problems)?;
        for (name, var) in &vars {
            // `set` refuses a tensor that shares the storage of the variable, so it gets a copy.
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

/// The source of the variables: a file, if there is one, otherwise the seed.
struct Source {
    varmap: VarMap,
    seed: u64,
    pretrained: Option<Arc<Mutex<Pretrained>>>,
}

struct Pretrained {
    /// Tensors that no layer has requested yet.
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
            // Building continues, so that one error can report all problems.
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
        candle_core::bail!("{name}: request the parameters of a network with their shapes")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.varmap.data().lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }
}
