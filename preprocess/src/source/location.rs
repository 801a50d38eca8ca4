//! The location of the images or videos.

use std::path::{Path, PathBuf};

use super::layout::Wanted;

/// The location of the images or videos.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// One root that holds both streams.
    Tree(PathBuf),
    /// Separate roots for the streams, at least one of them.
    Apart {
        /// Root of the RGB frames.
        rgb: Option<PathBuf>,
        /// Root of the flow images.
        flow: Option<PathBuf>,
    },
    /// Root of videos, from which both streams are made.
    Videos(PathBuf),
}

impl Location {
    /// Returns the location as the user typed it, for messages.
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
