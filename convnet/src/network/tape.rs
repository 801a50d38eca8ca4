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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    let gradients = Shared::default();
    let mut chain = Tensor::zeros((), DType::F32, value.device())?;
    for pair in parameters.chunks(2) {
        chain = chain.apply_op3(pair[0], pair[pair.len() - 1], Link::Joint { gradients: gradients.clone() })?;
    }
    value.apply_op3(input, &chain, Link::End { back: Mutex::new(Some(Box::new(back))), gradients })
}

type Shared = Arc<Mutex<Gradients>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A link of the chain: forward, its first argument as it is.
enum Link {
    /// (value, input, chain) -> value
    End { back: Mutex<Option<Back>>, gradients: Shared },
    /// (chain, parameter, parameter) -> chain
    Joint { gradients: Shared },
}

impl CustomOp3 for Link {
    fn name(&self) -> &'static str {
        "network"
    }

    fn cpu_fwd(
        &self,
        first: &CpuStorage,
        layout: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok((first.try_clone(layout)?, layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        first: &CudaStorage,
        layout: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Ok((first.try_clone(layout)?, layout.shape().clone()))
    }

    fn bwd(
        &self,
        first: &Tensor,
        second: &Tensor,
        third: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        match self {
            Self::End { back, gradients } => {
                let Some(back) = lock(back).take() else {
                    bail!("network: a second backward pass; the first one freed what it needs")
                };
                let (input, found) = back(&grad.contiguous()?.detach(), second.track_op())?;
                *lock(gradients) = found;
                // What flows down the chain means nothing.
                Ok((None, input, Some(third.detach())))
            }
            Self::Joint { gradients } => {
                let mut gradients = lock(gradients);
                // An odd last parameter is its own neighbour: its gradient is found once.
                let mut take =
                    |parameter: &Tensor| gradients.0.remove(&parameter.id()).filter(|_| parameter.track_op());
                Ok((first.track_op().then(|| first.detach()), take(second), take(third)))
            }
        }
    }
}
