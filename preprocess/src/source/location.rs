//! Where the images or videos are.

use std::path::{Path, PathBuf};

use super::layout::Wanted;

/// Where the user says that the images are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// One root that holds both streams.
    Tree(PathBuf),
    /// The streams apart; at least one is there.
    Apart {
        /// The RGB frames.
        rgb: Option<PathBuf>,
        /// The flow.
        flow: Option<PathBuf>,
    },
    /// Videos, from which both streams are made.
    Videos(PathBuf),
}

impl Location {
    /// As the user typed it, for messages.
    pub fn shown(&self) -> String {
        let paths: Vec<&PathBuf> = match self {
            Self::Tree(root) | Self::Videos(root) => vec![root],
            Self::Apart { rgb, flow } => rgb.iter().chain(flow).collect(),
        };
        paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" with ")
    }

    pub(super) fn roots(&self) -> Vec<(&Path, Wanted)> {
        match self {
            Self::Tree(root) | Self::Videos(root) => vec![(root, Wanted::Both)],
            Self::Apart { rgb, flow } => {
                let rgb = rgb.as_deref().map(|root| (root, Wanted::Rgb));
                rgb.into_iter().chain(flow.as_deref().map(|root| (root, Wanted::Flow))).collect()
            }
        }
    }
}
