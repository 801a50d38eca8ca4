//! The interface of a layout of frame trees.

use std::path::Path;

use super::folders::ClipFolders;
use crate::error::{Problem, Result};
use crate::stream::StreamKind;

/// A layout of frame trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// `jpegs_256/v_X/frame%06d.jpg`, `tvl1_flow/{u,v}/v_X/frame%06d.jpg`.
    Feichtenhofer,
    /// `rgb/v_X/frame%06d.jpg`, `{x,y}/v_X/frame%06d.jpg`.
    GpuFlow,
    /// `<Class>/separated_images/v_X/v_X_<n>.jpg`, no flow.
    Jeffreyyihuang,
    /// `v_X/img_%05d.jpg` with `flow_x_%05d.jpg`, `flow_y_%05d.jpg` in the same folder.
    Tsn,
    /// `<Class>/v_X/img_%05d.jpg` with `flow_x_%05d.jpg` or `x_%05d.jpg` in the same folder.
    Mmaction2,
}

impl Layout {
    /// Returns the name of the layout, as in options and manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Feichtenhofer => "feichtenhofer",
            Self::GpuFlow => "gpu-flow",
            Self::Jeffreyyihuang => "jeffreyyihuang",
            Self::Tsn => "tsn",
            Self::Mmaction2 => "mmaction2",
        }
    }
}

/// A layout, which knows how to find its images. Each one is a small file of its own.
pub(super) trait Source: Sync {
    /// Returns the layout.
    fn layout(&self) -> Layout;

    /// Returns the number of flow frames per clip, for trees from which it cannot be seen.
    fn flow_count(&self) -> FlowCount {
        FlowCount::OneLess
    }

    /// Looks for a tree of this layout in `root`. Examines only a few folders.
    fn find(&self, root: &Path, wanted: Wanted) -> Result<Finding>;
}

/// The streams to look for under a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Both,
    Rgb,
    Flow,
}

impl Wanted {
    pub(super) fn includes(self, stream: StreamKind) -> bool {
        self == Self::Both || self == if stream == StreamKind::Rgb { Self::Rgb } else { Self::Flow }
    }
}

/// The result of looking for a layout in a root.
pub(super) enum Finding {
    /// A tree of this layout, and the names that identify it.
    Tree { folders: Vec<ClipFolders>, why: String },
    /// A tree of this layout that lacks something. The message is a whole sentence.
    Broken(Problem),
    /// Not a tree of this layout. The text names a missing folder or file.
    Other(String),
}

/// Number of flow frames of a clip with N RGB frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FlowCount {
    /// N - 1.
    OneLess,
    /// N.
    AsRgb,
}
