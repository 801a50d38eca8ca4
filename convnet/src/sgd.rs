//! Stochastic gradient descent with momentum, weight decay and Nesterov's variant.

use crate::dense;
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, Layout, Result, Tensor, Var, bail};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};

/// Hyper-parameters, as [`torch.optim.SGD`](https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdConfig {
    /// Step size.
    pub lr: f64,
    /// Share of the previous update that is kept; 0 for none.
    pub momentum: f64,
    /// L2 penalty added to the gradient.
    pub weight_decay: f64,
    /// Which variables the penalty is for.
    pub decay: Decay,
    /// Whether to look ahead along the momentum.
    pub nesterov: bool,
    /// Largest norm of all gradients together; above it all are scaled down to it (Pascanu et al. 2013). None leaves them.
    pub clip_norm: Option<f64>,
}

/// Which variables weight decay pulls towards 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decay {
    /// All of them, as `torch.optim.SGD` does.
    #[default]
    All,
    /// Those of two dimensions and more: convolutions' and linear layers' weights, but not biases and batch norms (Goyal et al.
    /// 2017, He et al. 2018).
    Weights,
}

impl SgdConfig {
    /// The penalty of one variable.
    fn weight_decay_of(&self, var: &Tensor) -> f64 {
        match self.decay {
            Decay::Weights if var.rank() < 2 => 0.,
            Decay::All | Decay::Weights => self.weight_decay,
        }
    }
}

impl Default for SgdConfig {
    /// Momentum 0.9, no weight decay, learning rate 0.01.
    fn default() -> Self {
        Self { lr: 0.01, momentum: 0.9, weight_decay: 0., decay: Decay::All, nesterov: false, clip_norm: None }
    }
}

/// The optimiser: named variables, their momentum, and the rule.
///
/// For each variable p with gradient g: `g += weight_decay · p; buf = momentum · buf + g; p -= lr · buf` (Nesterov:
/// `p -= lr · (g + momentum · buf)`); `buf` starts at 0.
#[derive(Debug)]
pub struct Sgd {
    vars: BTreeMap<String, Var>,
    momentum: BTreeMap<String, Tensor>,
    /// Of variables whose learning rate is another than all others'.
    lr_factors: BTreeMap<String, f64>,
    config: SgdConfig,
    /// On a card, once a step was taken.
    #[cfg(feature = "cuda")]
    rates: Option<crate::cuda::sgd::Rates>,
}

impl Sgd {
    /// An optimiser of `vars`, which are stepped in the order of their names.
    pub fn new(vars: Vec<(String, Var)>, config: SgdConfig) -> Self {
        Self {
            vars: vars.into_iter().collect(),
            momentum: BTreeMap::new(),
            lr_factors: BTreeMap::new(),
            config,
            #[cfg(feature = "cuda")]
            rates: None,
        }
    }

    /// Multiplies the learning rate of one variable by `factor`. Not for steps that were recorded on a card.
    pub fn scale_lr(&mut self, name: &str, factor: f64) {
        #[cfg(feature = "cuda")]
        {
            self.rates = None;
        }
        self.lr_factors.insert(name.to_owned(), factor);
    }

    /// Moves every variable that has a gradient in `grads`, in place; the others, and their momentum, stay.
    pub fn step(&mut self, grads: &GradStore) -> Result<()> {
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
    fn step_cuda(&mut self, grads: &GradStore) -> Result<()> {
        use crate::cuda::sgd::{Moved, Rates, step};
        let Self { vars, momentum: buffers, lr_factors, config, rates } = self;
        let Some(first) = vars.values().next() else { return Ok(()) };
        let gradients = gradients(vars, grads, config.clip_norm)?;
        if config.momentum != 0. {
            for (name, var, _) in gradients.iter().filter(|of| !buffers.contains_key(of.0)).collect::<Vec<_>>() {
                buffers.insert((*name).clone(), var.zeros_like()?);
            }
        }
        // One launch moves all variables of one rule.
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
            step(moved, rates, *factor, &SgdConfig { weight_decay: *weight_decay, ..*config })?;
        }
        Ok(())
    }

    /// The learning rate of the next step.
    pub fn lr(&self) -> f64 {
        self.config.lr
    }

    /// Changes the learning rate, also that of steps that were recorded on a card; the momentum stays as it is, as in PyTorch.
    pub fn set_lr(&mut self, lr: f64) -> Result<()> {
        #[cfg(feature = "cuda")]
        if let Some(rates) = self.rates.as_mut().filter(|_| self.config.lr.to_bits() != lr.to_bits()) {
            rates.set(lr)?;
        }
        self.config.lr = lr;
        Ok(())
    }

    /// The hyper-parameters.
    pub fn config(&self) -> &SgdConfig {
        &self.config
    }

    /// The momentum of every variable that has been stepped, sorted by name. The tensors share the optimiser's storage and so
    /// show later steps too; [`Tensor::copy`] keeps a snapshot.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        self.momentum.iter().map(|(name, buffer)| (name.clone(), buffer.clone())).collect()
    }

    /// Continues from `state`, as [`Sgd::state`] gave it. An error names a variable that does not exist here or has another
    /// shape; nothing has changed then.
    pub fn load_state(&mut self, state: &HashMap<String, Tensor>) -> Result<()> {
        let mut momentum = BTreeMap::new();
        for (name, buffer) in state {
            let Some(var) = self.vars.get(name) else { bail!("momentum of {name}: no such variable is being trained") };
            if var.shape() != buffer.shape() || var.dtype() != buffer.dtype() {
                bail!(
                    "momentum of {name}: expected {:?} {:?}, found {:?} {:?}",
                    var.dtype(),
                    var.shape(),
                    buffer.dtype(),
                    buffer.shape()
                );
            }
            momentum.insert(name.clone(), buffer.to_device(var.device())?.contiguous()?.copy()?);
        }
        self.momentum = momentum;
        Ok(())
    }
}

/// Names, variables and gradients of the variables that have one; the gradients clipped, if `clip_norm` says so. The norm stays
/// on the device: nothing waits for it.
fn gradients<'a>(
    vars: &'a BTreeMap<String, Var>,
    grads: &GradStore,
    clip_norm: Option<f64>,
) -> Result<Vec<(&'a String, &'a Var, Tensor)>> {
    let mut found = Vec::with_capacity(vars.len());
    for (name, var) in vars {
        if let Some(grad) = grads.get(var) {
            found.push((name, var, grad.contiguous()?));
        }
    }
    let Some(clip_norm) = clip_norm.filter(|_| !found.is_empty()) else { return Ok(found) };
    let squares = found.iter().map(|(_, _, grad)| grad.sqr()?.sum_all()).collect::<Result<Vec<_>>>()?;
    let norm = Tensor::stack(&squares, 0)?.sum_all()?.sqrt()?;
    // As torch.nn.utils.clip_grad_norm_: min(1, clip / (norm + 1e-6)).
    let factor = ((norm + 1e-6)?.recip()? * clip_norm)?.minimum(1f64)?;
    for (_, _, grad) in &mut found {
        *grad = grad.broadcast_mul(&factor)?;
    }
    Ok(found)
}

const BLOCK: usize = crate::parallel::ELEMENTWISE_BLOCK;

/// `p -= lr · (g + weight_decay · p)`
struct Plain {
    lr: f32,
    weight_decay: f32,
}

impl candle_core::InplaceOp2 for Plain {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn cpu_fwd(&self, var: &mut CpuStorage, vl: &Layout, grad: &CpuStorage, gl: &Layout) -> Result<()> {
        let var = dense::slice_mut(var, vl, self.name())?;
        let grad = dense::slice(grad, gl, self.name())?;
        var.par_chunks_mut(BLOCK).zip(grad.par_chunks(BLOCK)).for_each(|(var, grad)| {
            for (p, g) in var.iter_mut().zip(grad) {
                *p -= self.lr * (g + self.weight_decay * *p);
            }
        });
        Ok(())
    }
}

/// `buf = momentum · buf + g + weight_decay · p`
struct Accumulate {
    momentum: f32,
    weight_decay: f32,
}

impl candle_core::InplaceOp3 for Accumulate {
    fn name(&self) -> &'static str {
        "sgd-momentum"
    }

    fn cpu_fwd(
        &self,
        buffer: &mut CpuStorage,
        bl: &Layout,
        grad: &CpuStorage,
        gl: &Layout,
        var: &CpuStorage,
        vl: &Layout,
    ) -> Result<()> {
        let buffer = dense::slice_mut(buffer, bl, self.name())?;
        let (grad, var) = (dense::slice(grad, gl, self.name())?, dense::slice(var, vl, self.name())?);
        buffer.par_chunks_mut(BLOCK).zip(grad.par_chunks(BLOCK)).zip(var.par_chunks(BLOCK)).for_each(
            |((buffer, grad), var)| {
                for ((buffer, g), p) in buffer.iter_mut().zip(grad).zip(var) {
                    *buffer = self.momentum * *buffer + (g + self.weight_decay * p);
                }
            },
        );
        Ok(())
    }
}

/// `p -= lr · (g + weight_decay · p + momentum · buf)`
struct Nesterov {
    lr: f32,
    momentum: f32,
    weight_decay: f32,
}

impl candle_core::InplaceOp3 for Nesterov {
    fn name(&self) -> &'static str {
        "sgd-nesterov"
    }

    fn cpu_fwd(
        &self,
        var: &mut CpuStorage,
        vl: &Layout,
        grad: &CpuStorage,
        gl: &Layout,
        buffer: &CpuStorage,
        bl: &Layout,
    ) -> Result<()> {
        let var = dense::slice_mut(var, vl, self.name())?;
        let (grad, buffer) = (dense::slice(grad, gl, self.name())?, dense::slice(buffer, bl, self.name())?);
        var.par_chunks_mut(BLOCK).zip(grad.par_chunks(BLOCK)).zip(buffer.par_chunks(BLOCK)).for_each(
            |((var, grad), buffer)| {
                for ((p, g), buffer) in var.iter_mut().zip(grad).zip(buffer) {
                    *p -= self.lr * (g + self.weight_decay * *p + self.momentum * buffer);
                }
            },
        );
        Ok(())
    }
}
