//! A network with its named parameters.

use super::network_config::NetworkConfig;
use super::resnet::ResNet;
use crate::vars::{self, LoadReport, Seeded};
use crate::weights::{Problem, WeightsError, check_values, read_weights, torchvision_names};
use candle_core::{DType, Device, Result, Shape, Tensor, Var};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder, VarMap};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A network with its parameters and running statistics, by name.
///
/// A [`ResNet`] has torchvision's names:
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
///
/// Your own network gets its names from the `VarBuilder`; see [`Model::new`].
#[derive(Clone)]
pub struct Model<N = ResNet> {
    /// The network. It computes with the values of [`Model::varmap`].
    pub net: N,
    varmap: VarMap,
}

impl<N> Model<N> {
    /// Creates a network with `build`, whose new variables are determined by `seed`; see
    /// [`seeded`](crate::seeded).
    ///
    /// ```
    /// # use candle_convnet::{Activation, Conv2d, Conv2dConfig, Model};
    /// # use candle_core::Device;
    /// # use candle_nn::seq;
    /// # fn main() -> candle_core::Result<()> {
    /// let model = Model::new(42, &Device::Cpu, |vb| {
    ///     let conv = Conv2d::with_bias(3, 8, 3, Conv2dConfig::default(), vb.pp("conv"))?;
    ///     Ok(seq().add(conv).add(Activation::Silu))
    /// })?;
    /// let names: Vec<String> = model.trainable().into_iter().map(|(name, _)| name).collect();
    /// assert_eq!(names, ["conv.bias", "conv.weight"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns the errors of `build`, and an error if the device cannot allocate the variables.
    pub fn new(seed: u64, device: &Device, build: impl FnOnce(VarBuilder<'static>) -> Result<N>) -> Result<Self> {
        let varmap = VarMap::new();
        let net = build(vars::seeded(&varmap, seed, device))?;
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
        vars::sorted(&self.varmap).into_iter().map(|(name, var)| (name, var.as_detached_tensor())).collect()
    }

    /// Returns the parameters that an optimiser updates, sorted by name. Running statistics are not
    /// among them.
    pub fn trainable(&self) -> Vec<(String, Var)> {
        vars::sorted(&self.varmap).into_iter().filter(|(name, _)| vars::is_parameter(name)).collect()
    }

    /// Returns the running statistics of the batch norms, sorted by name.
    pub fn running_statistics(&self) -> Vec<(String, Var)> {
        vars::sorted(&self.varmap).into_iter().filter(|(name, _)| !vars::is_parameter(name)).collect()
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
        let vars = vars::sorted(&self.varmap);
        WeightsError::check(Path::new("the tensors"), vars::differences(&vars, tensors))?;
        for (name, var) in &vars {
            vars::set(var, &tensors[name])?;
        }
        Ok(())
    }

    /// Sets the parameters and running statistics that have a tensor of the same name and shape, and
    /// reports the others; see [`load_matching`](crate::load_matching).
    ///
    /// # Errors
    /// Returns an error if a tensor cannot be converted to f32 or copied to the device.
    pub fn load_matching(&self, tensors: &HashMap<String, Tensor>) -> Result<LoadReport> {
        vars::load_matching(&self.varmap, tensors)
    }
}

impl<N> Model<N> {
    /// Creates a model with random weights, with the distributions of torchvision.
    ///
    /// Convolutions are Kaiming normal by fan-out, batch norms have weight 1 and bias 0, and the
    /// last layer of a ResNet is uniform in ±1/√features. The values depend only on `seed` and on the
    /// names of the parameters.
    ///
    /// # Errors
    /// Returns an error if the device cannot allocate the variables.
    pub fn random<C: NetworkConfig<Network = N>>(config: &C, seed: u64, device: &Device) -> Result<Self> {
        Self::new(seed, device, |vb| config.build(vb))
    }

    /// Creates a model with the weights of a file and a new last layer.
    ///
    /// The file is safetensors, or a `.pth` file of torchvision, timm, TSN or mmaction2, in f32,
    /// f16, bf16 or f64. Names of these programs become torchvision's names; see
    /// [`torchvision_names`].
    ///
    /// The last layer is always drawn from `seed`, and the file does not need one. If the network has
    /// other than three input channels and the first convolution of the file has three, that of the
    /// network is their mean, copied to every channel (cross-modality initialisation, Wang et al.
    /// 2016, without rescaling).
    ///
    /// # Errors
    /// Returns an error if the file cannot be read as weights; see [`read_weights`]. Returns an
    /// error that names the tensors if any other tensor is missing, is unknown, has another shape,
    /// or contains a NaN, an infinity or a negative variance.
    pub fn from_pretrained<C: NetworkConfig<Network = N>>(
        config: &C,
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
    pub fn from_weights<C: NetworkConfig<Network = N>>(
        config: &C,
        path: impl AsRef<Path>,
        tensors: HashMap<String, Tensor>,
        seed: u64,
        device: &Device,
    ) -> std::result::Result<Self, WeightsError> {
        let path = path.as_ref();
        let (mut tensors, _) = torchvision_names(path, tensors)?;
        let (last, in_channels) = (format!("{}.", config.last_layer()), config.in_channels());
        tensors.retain(|name, _| !name.starts_with(&last) && !name.ends_with("num_batches_tracked"));
        check_values(path, &tensors)?;
        if let Some(first) = tensors.get_mut(config.first_weights())
            && first.rank() == 4
            && first.dims()[1] == 3
            && in_channels != 3
        {
            let (o, _, kh, kw) = first.dims4()?;
            *first = first.mean_keepdim(1)?.broadcast_as((o, in_channels, kh, kw))?.contiguous()?;
        }
        let varmap = VarMap::new();
        let pretrained = Arc::new(Mutex::new(Pretrained { tensors, problems: Vec::new() }));
        let seeded = Seeded { varmap: varmap.clone(), seed };
        let source = Box::new(Source { seeded, last, pretrained: pretrained.clone() });
        let net = config.build(VarBuilder::from_backend(source, DType::F32, device.clone()))?;
        let mut pretrained = pretrained.lock().unwrap_or_else(PoisonError::into_inner);
        let Pretrained { tensors, problems } = &mut *pretrained;
        problems.extend(tensors.keys().map(|name| Problem::Unknown { name: name.clone() }));
        WeightsError::check(path, std::mem::take(problems))?;
        Ok(Self { net, varmap })
    }
}

impl<N: std::fmt::Debug> std::fmt::Debug for Model<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("net", &self.net).finish_non_exhaustive()
    }
}

/// Takes the variables from a file, and those of the last layer from a seed.
struct Source {
    seeded: Seeded,
    /// Start of the names of the last layer's variables.
    last: String,
    pretrained: Arc<Mutex<Pretrained>>,
}

struct Pretrained {
    /// Tensors that no layer has requested yet.
    tensors: HashMap<String, Tensor>,
    problems: Vec<Problem>,
}

impl Source {
    /// Returns the variable with the values of the file. If they do not fit, it notes the problem
    /// and returns zeros, so that one error can report all problems.
    fn of_file(&self, shape: &Shape, name: &str, device: &Device) -> Result<Var> {
        let mut pretrained = self.pretrained.lock().unwrap_or_else(PoisonError::into_inner);
        let problem = match pretrained.tensors.remove(name) {
            Some(tensor) if tensor.shape() == shape => return Var::from_tensor(&tensor.to_device(device)?),
            Some(tensor) => Problem::shape(name, shape, tensor.shape()),
            None => Problem::Missing { name: name.to_owned(), expected: shape.dims().to_vec() },
        };
        pretrained.problems.push(problem);
        Var::zeros(shape, DType::F32, device)
    }
}

impl SimpleBackend for Source {
    fn get(&self, shape: Shape, name: &str, init: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        if name.starts_with(&self.last) {
            return self.seeded.get(shape, name, init, dtype, device);
        }
        let var = self.of_file(&shape, name, device)?;
        let tensor = var.as_tensor().clone();
        self.seeded.varmap.data().lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), var);
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor> {
        self.seeded.get_unchecked(name, dtype, device)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.seeded.contains_tensor(name)
    }
}
