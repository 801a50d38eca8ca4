//! Kernels that stay in memory between evaluations.

use crate::cpu::conv::ForwardKernels;
use crate::cpu::element::Element;
use crate::cpu::simd::Isa;
use crate::geometry::Geometry;
use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A convolution and the fixed batch norm after it, as one convolution with a bias.
pub(super) struct Folded<T> {
    pub kernels: ForwardKernels<T>,
    /// One summand per output channel.
    pub bias: Vec<f32>,
}

impl<T: Element> Folded<T> {
    /// Returns the convolution for images of `geometry`. `scale` and `bias` have one value per output channel.
    pub(super) fn new(geometry: &Geometry, isa: Isa, weight: &[f32], scale: &[f32], bias: &[f32]) -> Self {
        Self { kernels: ForwardKernels::new(geometry, isa, weight, Some(scale)), bias: bias.to_vec() }
    }
}

/// A place for the [`Folded`] convolution of a layer. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct KeptKernels(Arc<Mutex<Option<Arc<dyn Any + Send + Sync>>>>);

impl KeptKernels {
    /// Returns the convolution that was kept, if it has type `T` and suits images of `geometry`. Otherwise,
    /// returns that of `make` and keeps it.
    pub(super) fn get<T: Element>(
        &self,
        geometry: &Geometry,
        isa: Isa,
        make: impl FnOnce() -> Folded<T>,
    ) -> Arc<Folded<T>> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = lock().clone().and_then(|kept| kept.downcast::<Folded<T>>().ok());
        if let Some(kept) = kept.filter(|kept| kept.kernels.suit(geometry, isa)) {
            return kept;
        }
        // Without the lock: the threads that compute the kernels could run another evaluation, which needs it.
        let folded = Arc::new(make());
        *lock() = Some(folded.clone());
        folded
    }
}

impl fmt::Debug for KeptKernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptKernels").finish_non_exhaustive()
    }
}
