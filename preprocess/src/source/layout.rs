//! A layout of frame trees: how to find its images.

use std::path::Path;

use super::folders::ClipFolders;
use crate::error::{Problem, Result};
use crate::stream::StreamKind;

/// How a tree is laid out.
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
    /// Its name on the command line and in manifests.
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

/// A layout: how to find its images. One small file each.
pub(super) trait Source: Sync {
    /// Which one it is.
    fn layout(&self) -> Layout;

    /// How many flow frames its clips have, where a tree does not say.
    fn flow_count(&self) -> FlowCount {
        FlowCount::OneLess
    }

    /// What `root` is as a tree of this layout. Looks into a few folders only.
    fn find(&self, root: &Path, wanted: Wanted) -> Result<Finding>;
}

/// Which streams are looked for under a root.
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

/// What a layout makes of a root.
pub(super) enum Finding {
    /// A tree of this layout, and by what it was recognised.
    Tree { folders: Vec<ClipFolders>, why: String },
    /// A tree of this layout that lacks something: a whole sentence.
    Broken(Problem),
    /// Another thing: what it lacks to be one.
    Other(String),
}

/// Flow frames of a clip with N RGB frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FlowCount {
    /// N - 1.
    OneLess,
    /// N.
    AsRgb,
}
