//! What happens to samples whose records are damaged.

use crate::{Error, Result};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What happens to a sample whose record is damaged: the pass ends with an error, or another sample takes its place.
///
/// ```
/// use clip_loader::{Damage, TrainOptions};
///
/// let damage = Damage::replace().on_first(|error| eprintln!("replacing damaged samples: {error}"));
/// let options = TrainOptions::new().damage(damage);
/// ```
#[derive(Clone, Default)]
pub struct Damage {
    replaces: bool,
    on_first: Option<Report>,
}

type Report = Arc<dyn Fn(&Error) + Send + Sync>;

impl Damage {
    /// Ends the pass at the first damaged record.
    pub fn fail() -> Self {
        Self::default()
    }

    /// Puts another sample in the place of a damaged one and counts it. A training sample is replaced by another choice of the
    /// same clip, or else of another clip; a test sample by another one of its clip.
    pub fn replace() -> Self {
        Self { replaces: true, on_first: None }
    }

    /// Calls `report` with the first error of a pass that is replaced.
    #[must_use]
    pub fn on_first(self, report: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        Self { on_first: Some(Arc::new(report)), ..self }
    }
}

impl fmt::Debug for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Damage").field("replaces", &self.replaces).finish_non_exhaustive()
    }
}

/// The damaged samples of a pass.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    damage: Damage,
    samples: AtomicU64,
}

impl Replaced {
    pub fn new(damage: Damage) -> Self {
        Self { damage, samples: AtomicU64::new(0) }
    }

    /// Samples that were replaced.
    pub fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }

    /// Calls `attempt` with 0, 1, 2 until one succeeds or `attempts` have failed for damage. Returns the number of the one that
    /// succeeded.
    pub fn skip(&self, attempts: usize, mut attempt: impl FnMut(usize) -> Result<()>) -> Result<usize> {
        let mut first = None;
        for number in 0..attempts {
            match attempt(number) {
                Ok(()) => {
                    if let Some(error) = first
                        && self.samples.fetch_add(1, Ordering::Relaxed) == 0
                        && let Some(report) = &self.damage.on_first
                    {
                        report(&error);
                    }
                    return Ok(number);
                }
                Err(error) if self.damage.replaces && error.is_damage() => first = first.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        Err(first.map_or(Error::Stopped, |error| Error::NothingToReplace(Box::new(error))))
    }
}
