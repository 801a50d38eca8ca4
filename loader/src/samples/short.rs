//! Chooses frames of clips that are shorter than a sample.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The treatment of clips that have fewer frames than a sample spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Short {
    /// Nothing: such a clip is an error.
    #[default]
    Error,
    /// The clip again from its first frame, as often as necessary.
    Loop,
    /// The last frame, as often as necessary.
    Hold,
}

impl Short {
    /// All values.
    pub const ALL: [Self; 3] = [Self::Error, Self::Loop, Self::Hold];

    /// Returns the name that files and options use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Loop => "loop",
            Self::Hold => "hold",
        }
    }

    /// Returns the frame to show instead of frame `frame` of a clip with `frames` frames, where
    /// `frames` > 0.
    pub(super) fn frame(self, frame: usize, frames: usize) -> usize {
        match self {
            Self::Loop => frame % frames,
            Self::Error | Self::Hold => frame.min(frames - 1),
        }
    }
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_after_the_end_are_the_first_ones_again_or_the_last_one() {
        let frames = |short: Short| [0, 4, 5, 9, 10].map(|frame| short.frame(frame, 5));
        assert_eq!(frames(Short::Loop), [0, 4, 0, 4, 0]);
        assert_eq!(frames(Short::Hold), [0, 4, 4, 4, 4]);
    }
}
