//! What a user can do about errors of the loader: the options that help. Commands that have these options name them.

use crate::base::usage::Usage;
use anyhow::Error;

/// Errors of a pass over samples, before the cure is named.
pub trait Uncured {
    /// The value, or the error with what its user can do about it: an option of the command.
    type Cured;

    /// Names the option that helps. `can_skip` tells whether the command has `--skip-damaged` and the user did not give it.
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
        fault if fault.is_damage() && can_skip => Error::msg(format!("{fault}; --skip-damaged goes on without it")),
        Memory { .. } => Error::msg(format!("{fault}; give a smaller --batch-size")),
        Thread(reason) => Error::msg(format!("{fault}: {reason}; use fewer --threads")),
        TooSmall { .. } => Usage(format!("{fault}; give a smaller --input-size")).into(),
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
        assert_eq!(text(memory()), "cannot allocate 12 bytes for a batch: full; give a smaller --batch-size");
        assert_eq!(text(clip_loader::Error::Stopped), "the loader has stopped after an error");
        let error = anyhow::Result::<()>::Err(memory().into()).cured(false).unwrap_err();
        assert!(error.to_string().ends_with("--batch-size"), "{error}");
        let thread = clip_loader::Error::Thread(std::io::Error::other("no room"));
        assert_eq!(text(thread), "cannot start a thread that decodes: no room; use fewer --threads");
        assert_eq!(Err::<(), _>(anyhow::anyhow!("else")).cured(true).unwrap_err().to_string(), "else");
    }
}
