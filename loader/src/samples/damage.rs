//! Handles samples whose records are damaged.

use crate::{Error, Result};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The reaction to damaged records: the pass ends with an error, or another sample replaces the
/// damaged one.
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

    /// Replaces damaged samples and counts them.
    ///
    /// A training sample is replaced by other random choices of the same clip, or else by one of
    /// the next clips. A test sample is replaced by another sample of its clip.
    pub fn replace() -> Self {
        Self { replaces: true, on_first: None }
    }

    /// Calls `report` for the first replaced sample of a pass, with the error of the damaged
    /// record.
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

/// A counter of the replaced samples of a pass.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    damage: Damage,
    samples: AtomicU64,
}

impl Replaced {
    pub fn new(damage: Damage) -> Self {
        Self { damage, samples: AtomicU64::new(0) }
    }

    /// Returns the number of replaced samples.
    pub fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }

    /// Calls `attempt` with 0, 1, 2, ... until one call succeeds. Returns the number of the
    /// successful call.
    ///
    /// # Errors
    /// Returns an error that is not damage at once, and [`Error::NothingToReplace`] if all
    /// `attempts` calls find damage.
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
