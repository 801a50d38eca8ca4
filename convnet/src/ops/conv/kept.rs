//! Kernels that stay in memory between passes with the same weights.

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

/// Places for the kernels of a layer. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeptKernels {
    /// [`Folded`]
    pub(super) folded: Place,
    /// [`ForwardKernels`]
    pub(super) forward: Place,
    /// [`GradientKernels`](crate::cpu::conv::GradientKernels)
    pub(super) gradient: Place,
}

/// A place for kernels of one kind.
#[derive(Clone, Default)]
pub(super) struct Place(Arc<Mutex<Option<Arc<dyn Any + Send + Sync>>>>);

impl Place {
    /// Returns the kernels that were kept, if they have type `K` and `suit`. Otherwise, returns those of `make`
    /// and keeps them.
    fn get<K: Send + Sync + 'static>(&self, suit: impl FnOnce(&K) -> bool, make: impl FnOnce() -> K) -> Arc<K> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = lock().clone().and_then(|kept| kept.downcast::<K>().ok());
        if let Some(kept) = kept.filter(|kept| suit(kept)) {
            return kept;
        }
        // Without the lock: the threads that compute the kernels could run another pass, which needs it.
        let made = Arc::new(make());
        *lock() = Some(made.clone());
        made
    }
}

/// Returns the kernels at `place`, if there is one and its kernels `suit`. Otherwise, returns those of `make`.
pub(super) fn kept_or_made<K: Send + Sync + 'static>(
    place: Option<&Place>,
    suit: impl FnOnce(&K) -> bool,
    make: impl FnOnce() -> K,
) -> Arc<K> {
    match place {
        Some(place) => place.get(suit, make),
        None => Arc::new(make()),
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}
