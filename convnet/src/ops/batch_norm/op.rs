//! Batch normalisation as operations of candle.

use super::sync::{self, NormSync};
use crate::cpu::dense::{self, with_images};
use crate::cpu::element::Element;
use crate::cpu::norm;
use crate::cpu::norm_pool::Pooling;
use crate::cpu::simd::Isa;
use crate::cpu::statistics::{Distribution, Moments as Values, Statistics, inv_std};
use crate::geometry::{Images, MaxPool2dConfig};
use crate::ops::max_pool::{Argmax, read_places};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Device, InplaceOp1, Layout, Result, Shape, Tensor, bail};
#[cfg(feature = "cuda")]
use candle_core::{CudaStorage, Storage};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Mean and variance with which a batch is normalised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum NormBy {
    /// The running statistics.
    Running,
    /// Those of the batch. They update the running statistics:
    /// `running += share · (batch - running)`.
    Batch {
        /// Weight of the batch, from 0 to 1.
        share: f64,
    },
}

/// Mean and 1 / √(variance + eps) of one call, f32 `[C]` each. The forward pass sets them.
pub(crate) type Moments = Arc<OnceLock<(Tensor, Tensor)>>;

/// (input, weight, bias) -> output
pub(super) struct BatchNormOp {
    pub by: NormBy,
    pub eps: f64,
    pub relu: bool,
    /// Added before the ReLU.
    pub residual: Option<Tensor>,
    pub running: (Tensor, Tensor),
    pub moments: Moments,
    /// The processes whose images share the statistics of a batch, if there are several.
    pub sync: Option<Arc<dyn NormSync>>,
    /// Statistics of the input, if they are known.
    pub statistics: Mutex<Option<Statistics>>,
    /// Max pooling that follows, on the CPU and without a residual. The forward pass sets the positions of
    /// the maxima.
    pub pool: Option<(MaxPool2dConfig, Argmax)>,
}

/// Returns max pooling of images of shape `x`, and the shape of its result.
fn pooling(config: MaxPool2dConfig, x: &Shape) -> Result<(Pooling, Shape)> {
    let ((n, h, w, c), (_, rows, cols, _)) = (x.dims4()?, config.output(x)?);
    Ok((Pooling { config, images: Images { n, h, w, c }, rows, cols }, (n, rows, cols, c).into()))
}

impl CustomOp3 for BatchNormOp {
    fn name(&self) -> &'static str {
        "batch-norm2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        weight: &CpuStorage,
        wl: &Layout,
        bias: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (weight, bias) = (dense::slice(weight, wl, self.name())?, dense::slice(bias, bl, self.name())?);
        let c = check(xl.shape(), weight.len(), bias.len())?;
        let isa = Isa::best();
        with_images!(x, self.name(), T => {
            let x = dense::slice::<T>(x, xl, self.name())?;
            let (mean, inv_std) = if let NormBy::Batch { share } = self.by {
                let share = share as f32;
                let known = self.statistics.lock().unwrap_or_else(PoisonError::into_inner).take();
                let known = known.unwrap_or_else(|| Statistics::of(isa, x, c));
                let moments = match self.sync.as_deref() {
                    None => known.moments(self.eps),
                    Some(sync) => joint_moments(sync, &known.distributions(), self.eps)?,
                };
                self.running.0.inplace_op1(&Blend { share, values: &moments.mean })?;
                self.running.1.inplace_op1(&Blend { share, values: &moments.unbiased_var })?;
                (moments.mean, moments.inv_std)
            } else {
                let var: Vec<f32> = self.running.1.to_vec1()?;
                let inv_std = var.iter().map(|&var| inv_std(f64::from(var), self.eps)).collect();
                (self.running.0.to_vec1()?, inv_std)
            };
            let residual = self.residual.as_ref().map(Tensor::storage_and_layout);
            let residual = residual.as_ref().map(|(storage, layout)| (&**storage, *layout));
            let residual = dense::optional::<T>(residual, self.name())?;
            let scale = norm::scale(weight, &inv_std);
            let affine = norm::Affine { isa, mean: &mean, scale: &scale, bias, relu: self.relu };
            let (y, shape) = if let Some((config, argmax)) = &self.pool {
                if residual.is_some() {
                    bail!("batch-norm2d: max pooling after a residual");
                }
                let (pooling, shape) = pooling(*config, xl.shape())?;
                let (y, places) = pooling.forward(&affine, x);
                let _ = argmax.set(Tensor::from_vec(places, shape.clone(), &Device::Cpu)?);
                (y, shape)
            } else {
                (affine.apply(x, residual), xl.shape().clone())
            };
            let column = |values| Tensor::from_vec(values, c, &Device::Cpu);
            let _ = self.moments.set((column(mean)?, column(inv_std)?));
            Ok((T::storage(y), shape))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        weight: &CudaStorage,
        wl: &Layout,
        bias: &CudaStorage,
        bl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        use crate::cuda::norm;
        if self.pool.is_some() {
            bail!("batch-norm2d: max pooling in the same pass works on the CPU only");
        }
        if self.sync.is_some() {
            bail!("batch-norm2d: statistics of several processes work on the CPU only");
        }
        let c = check(xl.shape(), wl.shape().elem_count(), bl.shape().elem_count())?;
        let eps = self.eps as f32;
        let ((mean, mean_layout), (var, var_layout)) =
            (self.running.0.storage_and_layout(), self.running.1.storage_and_layout());
        let (Storage::Cuda(mean), Storage::Cuda(var)) = (&*mean, &*var) else {
            bail!("batch-norm2d: the running statistics are on another device")
        };
        let (mean, var) = ((mean, mean_layout), (var, var_layout));
        let norm::Moments { mean, inv_std } = match self.by {
            NormBy::Batch { share } => {
                norm::batch_moments((x, xl), eps, &norm::Running { mean, var, momentum: share as f32 })?
            }
            NormBy::Running => norm::running_moments(mean, var, eps)?,
        };
        let column = Layout::contiguous(c);
        let affine = norm::Affine {
            mean: (&mean, &column),
            inv_std: (&inv_std, &column),
            weight: (weight, wl),
            bias: (bias, bl),
        };
        let residual = self.residual.as_ref().map(Tensor::storage_and_layout);
        let residual = match &residual {
            Some((storage, layout)) => match &**storage {
                Storage::Cuda(storage) => Some((storage, *layout)),
                _ => bail!("batch-norm2d: the residual is on another device"),
            },
            None => None,
        };
        let y = norm::apply((x, xl), residual, &affine, self.relu)?;
        let _ = self.moments.set((crate::cuda::tensor(mean, c), crate::cuda::tensor(inv_std, c)));
        Ok((y, xl.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let parameters = [weight, bias];
        let fixed = self.by == NormBy::Running;
        let pool = self.pool.as_ref().map(|(config, argmax)| (*config, argmax));
        let (grad, how) = (grad.contiguous()?, How { relu: self.relu, fixed, pool, sync: self.sync.as_deref() });
        let [x, weight, bias] = gradients(x, &grad, parameters, &self.moments, how)?;
        Ok((Some(x), Some(weight), Some(bias)))
    }
}

/// Checks that all sizes fit, and returns the number of channels.
fn check(x: &Shape, weights: usize, biases: usize) -> Result<usize> {
    let (_, _, _, c) = x.dims4()?;
    if c == 0 || weights != c || biases != c {
        bail!("batch-norm2d: the images {x:?} have {c} channels, but there are {weights} weights and {biases} biases");
    }
    if x.elem_count() == 0 {
        bail!("batch-norm2d: the images {x:?} have no values");
    }
    Ok(c)
}

/// Returns the moments of the values of all processes.
fn joint_moments(sync: &dyn NormSync, own: &[Distribution], eps: f64) -> Result<Values> {
    let flat: Vec<f64> = own.iter().flat_map(|of| [of.count, of.mean, of.squares]).collect();
    let mut joint = vec![Distribution::default(); own.len()];
    for values in sync::gather(sync, &flat)? {
        for (joint, of) in joint.iter_mut().zip(values.chunks_exact(3)) {
            joint.add(Distribution { count: of[0], mean: of[1], squares: of[2] });
        }
    }
    Ok(Values::of(&joint, eps))
}

/// How an output was computed from the moments.
#[derive(Clone, Copy)]
pub(super) struct How<'a> {
    /// Whether a ReLU followed.
    pub relu: bool,
    /// Whether the moments were those of the running statistics.
    pub fixed: bool,
    /// The max pooling that followed, with the positions of its maxima.
    pub pool: Option<(MaxPool2dConfig, &'a Argmax)>,
    /// The processes whose images had the moments, if there were several.
    pub sync: Option<&'a dyn NormSync>,
}

/// Returns the gradients of input, weight and bias.
pub(super) fn gradients(
    x: &Tensor,
    grad: &Tensor,
    [weight, bias]: [&Tensor; 2],
    moments: &Moments,
    how: How<'_>,
) -> Result<[Tensor; 3]> {
    let Some(moments) = moments.get() else { bail!("batch-norm2d: the backward pass ran before the forward pass") };
    let op = BatchNormGrad { moments, weight, bias, how, parameters: OnceLock::new() };
    let data = x.apply_op2_no_bwd(grad, &op)?;
    let Some((weight, bias)) = op.parameters.into_inner() else {
        bail!("batch-norm2d: the backward pass returned no parameter gradients")
    };
    Ok([data, weight, bias])
}

/// (input, output gradient) -> input gradient. Stores the gradients of weight and bias in
/// `parameters`.
///
/// It computes the values before the ReLU again from the input, because that reads less memory than
/// the output.
struct BatchNormGrad<'a> {
    moments: &'a (Tensor, Tensor),
    weight: &'a Tensor,
    bias: &'a Tensor,
    how: How<'a>,
    parameters: OnceLock<(Tensor, Tensor)>,
}

impl CustomOp2 for BatchNormGrad<'_> {
    fn name(&self) -> &'static str {
        "batch-norm2d-gradient"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, grad: &CpuStorage, gl: &Layout) -> Result<(CpuStorage, Shape)> {
        let How { relu, fixed, pool, sync } = self.how;
        let values = [&self.moments.0, &self.moments.1, self.weight, self.bias].map(Tensor::to_vec1);
        let [mean, inv_std, weight, bias]: [Result<Vec<f32>>; 4] = values;
        let (mean, inv_std, bias) = (mean?, inv_std?, bias?);
        let scale = norm::scale(&weight?, &inv_std);
        let affine = norm::Affine { isa: Isa::best(), mean: &mean, scale: &scale, bias: &bias, relu };
        let gather = sync.map(|sync| move |own: &[f64]| sync::gather(sync, own));
        let gather = gather.as_ref().map(|gather| gather as &norm::GatherValues<'_>);
        let gradients = norm::Gradients { affine, inv_std: &inv_std, fixed, gather };
        let column = |values: Vec<f32>| Tensor::new(values, &Device::Cpu);
        with_images!(x, self.name(), T => {
            let (x, grad) = (dense::slice::<T>(x, xl, self.name())?, dense::slice(grad, gl, self.name())?);
            let (data, weight, bias) = if let Some((config, argmax)) = pool {
                let (pooling, _) = pooling(config, xl.shape())?;
                read_places(argmax, |argmax| pooling.gradients(&gradients, x, grad, argmax))??
            } else {
                gradients.run(x, grad)?
            };
            let _ = self.parameters.set((column(weight)?, column(bias)?));
            Ok((T::storage(data), xl.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, xl: &Layout, grad: &CudaStorage, gl: &Layout) -> Result<(CudaStorage, Shape)> {
        use crate::cuda::norm;
        if self.how.pool.is_some() {
            bail!("batch-norm2d: max pooling in the same pass works on the CPU only");
        }
        let guards =
            [&self.moments.0, &self.moments.1, self.weight, self.bias].map(|tensor| tensor.storage_and_layout());
        let [mean, inv_std, weight, bias] = &guards;
        let (Storage::Cuda(m), Storage::Cuda(s), Storage::Cuda(w), Storage::Cuda(b)) =
            (&*mean.0, &*inv_std.0, &*weight.0, &*bias.0)
        else {
            bail!("batch-norm2d: moments and parameters are on another device")
        };
        let affine =
            norm::Affine { mean: (m, mean.1), inv_std: (s, inv_std.1), weight: (w, weight.1), bias: (b, bias.1) };
        let norm::Gradients { input, weight, bias } =
            norm::gradients((x, xl), (grad, gl), &affine, self.how.relu, self.how.fixed)?;
        let c = xl.dims()[3];
        let _ = self.parameters.set((crate::cuda::tensor(weight, c), crate::cuda::tensor(bias, c)));
        Ok((input, xl.shape().clone()))
    }
}

/// `x += share · (values - x)`, as PyTorch updates running statistics.
struct Blend<'a> {
    share: f32,
    values: &'a [f32],
}

impl InplaceOp1 for Blend<'_> {
    fn name(&self) -> &'static str {
        "blend"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        for (x, &value) in dense::slice_mut(storage, layout, self.name())?.iter_mut().zip(self.values) {
            *x = (1. - self.share) * *x + self.share * value;
        }
        Ok(())
    }
}
