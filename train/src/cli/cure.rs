//! Adds advice to errors of the loader: the option that helps, if the command has it.

use crate::base::usage::Usage;
use anyhow::Error;

/// A result of reading samples whose error has no advice yet.
pub trait Uncured {
    /// The result with advice in its error.
    type Cured;

    /// Adds the option that helps to the error. `can_skip`: the command has `--skip-damaged`, and
    /// it is not given.
    fn cured(self, can_skip: bool) -> Self::Cured;
}

impl<T> Uncured for anyhow::Result<T> {
    type Cured = Self;

    fn cured(self, can_skip: bool) -> Self {
        self.map_err(|error| cured(error, can_skip))
    }
}

impl<T> Uncured for clip_loader::Result<T> {
    type Cured = anyhow::Result<T>;

    fn cured(self, can_skip: bool) -> anyhow::Result<T> {
        self.map_err(|error| cured(error.into(), can_skip))
    }
}

fn cured(error: Error, can_skip: bool) -> Error {
    use clip_loader::Error::{Memory, Thread, TooSmall};
    let Some(fault) = error.downcast_ref::<clip_loader::Error>() else { return error };
    match fault {
        fault if fault.is_damage() && can_skip => {
            Error::msg(format!("{fault}; add --skip-damaged to continue without damaged samples"))
        }
        Memory { .. } => Error::msg(format!("{fault}; use a smaller --batch-size")),
        Thread(reason) => Error::msg(format!("{fault}: {reason}; use fewer --threads")),
        TooSmall { .. } => Usage(format!("{fault}; use a smaller --input-size")).into(),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_option_that_helps_and_others_stay_as_they_are() {
        let memory = || clip_loader::Error::Memory { bytes: 12, fault: "full".into() };
        let text = |error: clip_loader::Error| Err::<(), _>(error).cured(true).unwrap_err().to_string();
        assert_eq!(text(memory()), "cannot allocate 12 bytes for a batch: full; use a smaller --batch-size");
        assert_eq!(text(clip_loader::Error::Stopped), "the loader has stopped after an error");
        let error = anyhow::Result::<()>::Err(memory().into()).cured(false).unwrap_err();
        assert!(error.to_string().ends_with("--batch-size"), "{error}");
        let thread = clip_loader::Error::Thread(std::io::Error::other("no room"));
        assert_eq!(text(thread), "cannot start a thread that decodes: no room; use fewer --threads");
        assert_eq!(Err::<(), _>(anyhow::anyhow!("else")).cured(true).unwrap_err().to_string(), "else");
    }
}
