//! What becomes of samples whose records are damaged.

use crate::console::note;
use anyhow::{Result, anyhow};
use std::sync::atomic::{AtomicU64, Ordering};

/// Damaged samples that a pass may replace by others, and how many it did.
#[derive(Debug, Default)]
pub struct Damage {
    rule: Rule,
    samples: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Rule {
    #[default]
    Fatal,
    /// Fatal, and the error names the option of the command that skips.
    FatalUnlessAsked,
    Skip,
}

impl Damage {
    /// None: the first damaged record ends the pass.
    pub fn is_fatal() -> Self {
        Self::default()
    }

    /// Damaged samples are replaced and counted if the option `--skip-damaged` says so; else the error names it.
    pub fn by_option(skip_damaged: bool) -> Self {
        let rule = if skip_damaged { Rule::Skip } else { Rule::FatalUnlessAsked };
        Self { rule, ..Self::default() }
    }

    /// Samples that were replaced.
    pub fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }

    /// Tries `attempt` with 0, 1, 2 until one succeeds or `attempts` failed for damage; gives the number of the one that did.
    pub(super) fn skip(&self, attempts: usize, mut attempt: impl FnMut(usize) -> Result<()>) -> Result<usize> {
        let mut first = None;
        for number in 0..attempts {
            match attempt(number) {
                Ok(()) => {
                    if let Some(error) = first
                        && self.samples.fetch_add(1, Ordering::Relaxed) == 0
                    {
                        note(&format!("a damaged sample is replaced by another, as all others will be: {error:#}"));
                    }
                    return Ok(number);
                }
                Err(error) if self.rule == Rule::Skip && is_damage(&error) => first = first.or(Some(error)),
                Err(error) if self.rule == Rule::FatalUnlessAsked && is_damage(&error) => {
                    return Err(anyhow!("{error:#}; --skip-damaged goes on without it"));
                }
                Err(error) => return Err(error),
            }
        }
        Err(first.unwrap_or_else(|| anyhow!("no attempt")).context("there is nothing to put in its place"))
    }
}

fn is_damage(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(clipshard::Error::is_clip_damage)
}
