//! The output of newer versions of `gpu_flow`: `rgb/v_X/frame%06d.jpg` and
//! `{x,y}/v_X/frame%06d.jpg`.

use std::path::Path;

use super::apart::{StreamFolders, find_apart};
use super::layout::{Finding, Layout, Source, Wanted};
use crate::error::Result;

pub(super) struct GpuFlow;

impl Source for GpuFlow {
    fn layout(&self) -> Layout {
        Layout::GpuFlow
    }

    fn find(&self, root: &Path, wanted: Wanted) -> Result<Finding> {
        find_apart(&StreamFolders { rgb: "rgb", flow: None, planes: ["x", "y"] }, root, wanted)
    }
}
