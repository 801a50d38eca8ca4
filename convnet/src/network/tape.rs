//! Records a computation with its own backward pass as one node of candle's graph.
//!
//! A custom op of candle takes at most three tensors, but a network has hundreds of parameters. The
//! parameters are therefore inputs of a chain of joints. Each joint has two parameters and a scalar
//! without meaning as inputs, and its output is the scalar of the next joint. The last scalar is an
//! input of the op `End`, whose backward pass computes all gradients. candle runs the backward pass
//! of `End` first, then those of the joints, which return the gradients of their parameters.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, TensorId, bail};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Gradients of parameters, by the id of the parameter's tensor.
#[derive(Default)]
pub(super) struct Gradients(HashMap<TensorId, Tensor>);

impl Gradients {
    pub(super) fn insert(&mut self, parameter: &Tensor, gradient: Tensor) {
        self.0.insert(parameter.id(), gradient);
    }
}

/// The backward pass: (gradient of the result, whether the input needs a gradient) -> gradients of
/// the input and of all parameters.
type Back = Box<dyn FnOnce(&Tensor, bool) -> Result<(Option<Tensor>, Gradients)> + Send>;

/// Returns `value`, which was computed from `input` and `parameters`, as a tensor whose backward
/// pass is `back`.
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

/// A link of the chain. Its forward pass returns the first argument.
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
                    bail!(
                        "network: this result was already differentiated, which freed its activations; \
                         run the forward pass again"
                    )
                };
                let (input, found) = back(&grad.contiguous()?.detach(), second.track_op())?;
                *lock(gradients) = found;
                // The gradient of the scalar has no meaning, but candle needs one to reach the
                // joints.
                Ok((None, input, Some(third.detach())))
            }
            Self::Joint { gradients } => {
                let mut gradients = lock(gradients);
                // If the number of parameters is odd, the last one appears twice in its joint. The
                // second `take` finds nothing, so its gradient counts once.
                let mut take =
                    |parameter: &Tensor| gradients.0.remove(&parameter.id()).filter(|_| parameter.track_op());
                Ok((first.track_op().then(|| first.detach()), take(second), take(third)))
            }
        }
    }
}
