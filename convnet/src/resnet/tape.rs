//! A computation with its own way back, as one step of candle's graph.
//!
//! A custom op of candle takes three tensors at most, a network has hundreds of parameters. So the parameters hang on a chain of
//! joints, each of which ties two of them to a scalar without meaning; the end of the chain enters the op whose backward pass
//! computes all gradients at once. Candle reaches that op first, then the joints, which hand the gradients out.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, TensorId, bail};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Gradients of parameters.
#[derive(Default)]
pub(super) struct Gradients(HashMap<TensorId, Tensor>);

impl Gradients {
    pub(super) fn insert(&mut self, parameter: &Tensor, gradient: Tensor) {
        self.0.insert(parameter.id(), gradient);
    }
}

/// The way back: (gradient of the result, whether the input's is wanted) -> the input's, and all parameters'.
type Back = Box<dyn FnOnce(&Tensor, bool) -> Result<(Option<Tensor>, Gradients)> + Send>;

/// `value`, which was computed from `input` and `parameters`, as a tensor whose backward pass is `back`.
pub(super) fn record(
    value: &Tensor,
    input: &Tensor,
    parameters: &[&Tensor],
    back: impl FnOnce(&Tensor, bool) -> Result<(Option<Tensor>, Gradients)> + Send + 'static,
) -> Result<Tensor> {
    let gradients = Arc::default();
    let mut chain = Tensor::zeros((), DType::F32, value.device())?;
    for pair in parameters.chunks(2) {
        let joint = Joint { gradients: Arc::clone(&gradients) };
        chain = chain.apply_op3(pair[0], pair[pair.len() - 1], joint)?;
    }
    value.apply_op3(input, &chain, Recorded { back: Mutex::new(Some(Box::new(back))), gradients })
}

type Shared = Arc<Mutex<Gradients>>;

/// (value, input, chain) -> value
struct Recorded {
    back: Mutex<Option<Back>>,
    gradients: Shared,
}

/// (chain, parameter, parameter) -> chain
struct Joint {
    gradients: Shared,
}

impl CustomOp3 for Recorded {
    fn name(&self) -> &'static str {
        "network"
    }

    fn cpu_fwd(
        &self,
        value: &CpuStorage,
        layout: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok((value.try_clone(layout)?, layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        value: &CudaStorage,
        layout: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Ok((value.try_clone(layout)?, layout.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        input: &Tensor,
        chain: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Some(back) = self.back.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            bail!("network: a second backward pass; the first one freed what it needs")
        };
        let (input, gradients) = back(&grad.contiguous()?.detach(), input.track_op())?;
        *self.gradients.lock().unwrap_or_else(PoisonError::into_inner) = gradients;
        Ok((None, input, Some(chain.detach())))
    }
}

impl CustomOp3 for Joint {
    fn name(&self) -> &'static str {
        "network-parameters"
    }

    fn cpu_fwd(
        &self,
        chain: &CpuStorage,
        layout: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok((chain.try_clone(layout)?, layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        chain: &CudaStorage,
        layout: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Ok((chain.try_clone(layout)?, layout.shape().clone()))
    }

    fn bwd(
        &self,
        chain: &Tensor,
        first: &Tensor,
        second: &Tensor,
        _: &Tensor,
        _: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let mut gradients = self.gradients.lock().unwrap_or_else(PoisonError::into_inner);
        // An odd last parameter is its own neighbour: its gradient is found once.
        let mut take = |parameter: &Tensor| gradients.0.remove(&parameter.id()).filter(|_| parameter.track_op());
        Ok((chain.track_op().then(|| chain.detach()), take(first), take(second)))
    }
}
