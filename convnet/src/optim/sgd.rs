//! Stochastic gradient descent with momentum, weight decay and Nesterov momentum.

use super::config::{SgdConfig, check_rate};
use super::error::SgdError;
use super::rules::{Accumulate, Nesterov, Plain};
#[cfg(feature = "cuda")]
use crate::cuda::{self, Moved, Rates, Rule};
use crate::vars::{is_parameter, sorted};
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use candle_nn::{Optimizer, VarMap};
use std::collections::{BTreeMap, HashMap};

/// Stochastic gradient descent of named variables, with momentum.
///
/// A step updates each variable p with its gradient g, like
/// [`torch.optim.SGD`](https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html) without
/// dampening. `buf` starts at 0:
///
/// ```text
/// g += weight_decay · p
/// buf = momentum · buf + g
/// p -= lr · buf                     with Nesterov momentum: p -= lr · (g + momentum · buf)
/// ```
///
/// ```
/// # use candle_convnet::{Sgd, SgdConfig};
/// # use candle_core::{Device, Var};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let p = Var::new(&[1f32, -2.], &Device::Cpu)?;
/// let mut sgd = Sgd::new(vec![("p".to_owned(), p.clone())], SgdConfig::new(0.1).with_momentum(0.))?;
/// // The gradient of the sum of squares is 2 p.
/// sgd.step(&p.as_tensor().sqr()?.sum_all()?.backward()?)?;
/// assert_eq!(p.to_vec1::<f32>()?, [0.8, -1.6]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Sgd {
    vars: BTreeMap<String, Var>,
    momentum: BTreeMap<String, Tensor>,
    /// Factors of the learning rate, for the variables that have one.
    lr_factors: BTreeMap<String, f64>,
    config: SgdConfig,
    /// Learning rates in GPU memory, after the first step on a GPU.
    #[cfg(feature = "cuda")]
    rates: Option<Rates>,
}

impl Sgd {
    /// Returns an optimiser of `vars`, which it updates in the order of their names.
    ///
    /// # Errors
    /// Returns an error if two variables have the same name, or if a setting is out of its range.
    pub fn new(vars: impl IntoIterator<Item = (String, Var)>, config: SgdConfig) -> Result<Self, SgdError> {
        config.check()?;
        let mut named = BTreeMap::new();
        for (name, var) in vars {
            if named.contains_key(&name) {
                return Err(SgdError::DuplicateVariable { name });
            }
            named.insert(name, var);
        }
        Ok(Self {
            vars: named,
            momentum: BTreeMap::new(),
            lr_factors: BTreeMap::new(),
            config,
            #[cfg(feature = "cuda")]
            rates: None,
        })
    }

    /// Returns an optimiser of all variables of `varmap`, except for the running statistics of batch
    /// norms: names that end with `running_mean` or `running_var`.
    ///
    /// ```
    /// # use candle_convnet::{Sgd, SgdConfig};
    /// # use candle_core::{DType, Device, Tensor};
    /// # use candle_nn::{Module, VarBuilder, VarMap, linear};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let varmap = VarMap::new();
    /// let layer = linear(3, 2, VarBuilder::from_varmap(&varmap, DType::F32, &Device::Cpu))?;
    /// let mut sgd = Sgd::from_varmap(&varmap, SgdConfig::new(0.1))?;
    /// let loss = layer.forward(&Tensor::ones((1, 3), DType::F32, &Device::Cpu)?)?.sum_all()?;
    /// sgd.step(&loss.backward()?)?;
    /// assert_eq!(sgd.state().len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns an error if a setting is out of its range.
    pub fn from_varmap(varmap: &VarMap, config: SgdConfig) -> Result<Self, SgdError> {
        Self::new(sorted(varmap).into_iter().filter(|(name, _)| is_parameter(name)), config)
    }

    /// Multiplies the learning rate of one variable by `factor`.
    ///
    /// Call it before you record steps on a GPU: it does not change recorded steps.
    ///
    /// # Errors
    /// Returns an error if no variable has this name, or if the factor is negative or not finite.
    pub fn scale_lr(&mut self, name: &str, factor: f64) -> Result<(), SgdError> {
        if !self.vars.contains_key(name) {
            return Err(SgdError::UnknownVariable { name: name.to_owned() });
        }
        check_rate("lr factor", factor)?;
        #[cfg(feature = "cuda")]
        {
            self.rates = None;
        }
        self.lr_factors.insert(name.to_owned(), factor);
        Ok(())
    }

    /// Updates all variables that have a gradient in `grads`, in place. The others and their
    /// momentum stay the same.
    ///
    /// # Errors
    /// Returns an error if a gradient does not have the shape of its variable, if one of them is not
    /// f32, or if the learning rate is negative or not finite.
    pub fn step(&mut self, grads: &GradStore) -> candle_core::Result<()> {
        check_rate("lr", self.config.lr).map_err(candle_core::Error::wrap)?;
        #[cfg(feature = "cuda")]
        if self.vars.values().next().is_some_and(|var| var.device().is_cuda()) {
            return self.step_cuda(grads);
        }
        let Self { vars, momentum: buffers, lr_factors, config, .. } = self;
        let SgdConfig { momentum, nesterov, .. } = *config;
        let momentum = momentum as f32;
        for (name, var, grad) in gradients(vars, grads, config.clip_norm)? {
            let weight_decay = config.weight_decay_of(var) as f32;
            let lr = (config.lr * lr_factors.get(name).unwrap_or(&1.)) as f32;
            if momentum == 0. {
                var.inplace_op2(&grad, &Plain { lr, weight_decay })?;
                continue;
            }
            if !buffers.contains_key(name) {
                buffers.insert(name.clone(), var.zeros_like()?);
            }
            let buffer = &buffers[name];
            buffer.inplace_op3(&grad, var, &Accumulate { momentum, weight_decay })?;
            if nesterov {
                var.inplace_op3(&grad, buffer, &Nesterov { lr, momentum, weight_decay })?;
            } else {
                var.inplace_op2(buffer, &Plain { lr, weight_decay: 0. })?;
            }
        }
        Ok(())
    }

    #[cfg(feature = "cuda")]
    fn step_cuda(&mut self, grads: &GradStore) -> candle_core::Result<()> {
        let Self { vars, momentum: buffers, lr_factors, config, rates } = self;
        let Some(first) = vars.values().next() else { return Ok(()) };
        let gradients = gradients(vars, grads, config.clip_norm)?;
        if config.momentum != 0. {
            for (name, var, _) in gradients.iter().filter(|of| !buffers.contains_key(of.0)).collect::<Vec<_>>() {
                buffers.insert((*name).clone(), var.zeros_like()?);
            }
        }
        // One launch updates all variables with the same rule.
        let mut by_rule: Vec<((f64, f64), Vec<Moved>)> = Vec::new();
        for (name, var, grad) in &gradients {
            let rule = (*lr_factors.get(*name).unwrap_or(&1.), config.weight_decay_of(var));
            let moved = Moved { var, momentum: buffers.get(*name).filter(|_| config.momentum != 0.), grad };
            match by_rule.iter_mut().find(|of| of.0 == rule) {
                Some((_, all)) => all.push(moved),
                None => by_rule.push((rule, vec![moved])),
            }
        }
        if rates.is_none() {
            let factors = lr_factors.values().copied().chain([1.]).collect();
            *rates = Some(Rates::new(first.device().as_cuda_device()?, factors, config.lr)?);
        }
        let Some(rates) = rates else { return Ok(()) };
        for ((factor, weight_decay), moved) in &by_rule {
            let rule = Rule { momentum: config.momentum, weight_decay: *weight_decay, nesterov: config.nesterov };
            cuda::step(moved, rates, *factor, rule)?;
        }
        Ok(())
    }

    /// Returns the learning rate of the next step.
    pub fn lr(&self) -> f64 {
        self.config.lr
    }

    /// Sets the learning rate, also for steps that were recorded on a GPU. The momentum stays the
    /// same, as in PyTorch.
    ///
    /// # Errors
    /// Returns an error, and changes nothing, if the rate is negative or not finite.
    pub fn set_lr(&mut self, lr: f64) -> Result<(), SgdError> {
        check_rate("lr", lr)?;
        #[cfg(feature = "cuda")]
        if let Some(rates) = self.rates.as_mut().filter(|_| self.config.lr.to_bits() != lr.to_bits()) {
            rates.set(lr)?;
        }
        self.config.lr = lr;
        Ok(())
    }

    /// Returns the hyper-parameters.
    pub fn config(&self) -> &SgdConfig {
        &self.config
    }

    /// Returns the momentum of all variables that have been updated, sorted by name.
    ///
    /// The tensors share the storage of the optimiser, so later steps change them. Use
    /// [`Tensor::copy`] for a snapshot.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        self.momentum.iter().map(|(name, buffer)| (name.clone(), buffer.clone())).collect()
    }

    /// Replaces the momentum by `state`, which comes from [`Sgd::state`].
    ///
    /// ```
    /// # use candle_convnet::{Sgd, SgdConfig};
    /// # use candle_core::{Device, Var};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let p = Var::new(&[1f32, -2.], &Device::Cpu)?;
    /// let optimiser = || Sgd::new([("p".to_owned(), p.clone())], SgdConfig::default());
    /// let mut first = optimiser()?;
    /// first.step(&p.sqr()?.sum_all()?.backward()?)?;
    ///
    /// let mut resumed = optimiser()?;
    /// resumed.load_state(&first.state().into_iter().collect())?;
    /// assert_eq!(resumed.state().len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns an error, and changes nothing, if no variable has a name of the state, or if a
    /// momentum has another shape or type than its variable.
    pub fn load_state(&mut self, state: &HashMap<String, Tensor>) -> Result<(), SgdError> {
        let mut momentum = BTreeMap::new();
        for (name, buffer) in state {
            let Some(var) = self.vars.get(name) else { return Err(SgdError::UnknownMomentum { name: name.clone() }) };
            if var.shape() != buffer.shape() || var.dtype() != buffer.dtype() {
                return Err(SgdError::Momentum {
                    name: name.clone(),
                    expected_dtype: var.dtype(),
                    expected_shape: var.shape().clone(),
                    found_dtype: buffer.dtype(),
                    found_shape: buffer.shape().clone(),
                });
            }
            momentum.insert(name.clone(), buffer.to_device(var.device())?.contiguous()?.copy()?);
        }
        self.momentum = momentum;
        Ok(())
    }
}

/// The interface of candle's optimisers. The variables are named after their positions, `0`, `1` and
/// so on; [`Sgd::from_varmap`] keeps their own names.
///
/// ```
/// # use candle_convnet::{Sgd, SgdConfig};
/// # use candle_core::{Device, Var};
/// # use candle_nn::Optimizer;
/// # fn main() -> candle_core::Result<()> {
/// fn fit<O: Optimizer>(var: &Var, config: O::Config) -> candle_core::Result<()> {
///     let mut optimiser = O::new(vec![var.clone()], config)?;
///     optimiser.backward_step(&var.as_tensor().sqr()?.sum_all()?)
/// }
/// let var = Var::new(&[1f32], &Device::Cpu)?;
/// fit::<Sgd>(&var, SgdConfig::new(0.25))?;
/// assert_eq!(var.to_vec1::<f32>()?, [0.5]);
/// # Ok(())
/// # }
/// ```
impl Optimizer for Sgd {
    type Config = SgdConfig;

    fn new(vars: Vec<Var>, config: SgdConfig) -> candle_core::Result<Self> {
        let named = vars.into_iter().enumerate().map(|(at, var)| (at.to_string(), var));
        Self::new(named, config).map_err(candle_core::Error::wrap)
    }

    fn step(&mut self, grads: &GradStore) -> candle_core::Result<()> {
        self.step(grads)
    }

    fn learning_rate(&self) -> f64 {
        self.lr()
    }

    /// Sets the learning rate. If it cannot be used, the next step returns the error.
    fn set_learning_rate(&mut self, lr: f64) {
        if self.set_lr(lr).is_err() {
            self.config.lr = lr;
        }
    }
}

/// Returns the variables that have a gradient, with their names and gradients, which are clipped to
/// `clip_norm`.
///
/// The norm stays on the device, so the host does not wait for it.
fn gradients<'a>(
    vars: &'a BTreeMap<String, Var>,
    grads: &GradStore,
    clip_norm: Option<f64>,
) -> candle_core::Result<Vec<(&'a String, &'a Var, Tensor)>> {
    let mut found = Vec::with_capacity(vars.len());
    for (name, var) in vars {
        if let Some(grad) = grads.get(var) {
            if grad.shape() != var.shape() {
                let (found, expected) = (grad.shape(), var.shape());
                candle_core::bail!(
                    "sgd: the gradient of {name} has shape {found:?}, but the variable has shape {expected:?}"
                );
            }
            found.push((name, var, grad.contiguous()?));
        }
    }
    let Some(clip_norm) = clip_norm.filter(|_| !found.is_empty()) else { return Ok(found) };
    let squares = found.iter().map(|(_, _, grad)| grad.sqr()?.sum_all()).collect::<candle_core::Result<Vec<_>>>()?;
    let norm = Tensor::stack(&squares, 0)?.sum_all()?.sqrt()?;
    // The factor is min(1, clip / (norm + 1e-6)), as in torch.nn.utils.clip_grad_norm_.
    let factor = ((norm + 1e-6)?.recip()? * clip_norm)?.minimum(1f64)?;
    for (_, _, grad) in &mut found {
        *grad = grad.broadcast_mul(&factor)?;
    }
    Ok(found)
}
