//! Feichtenhofer's published frames: `jpegs_256/v_X/frame%06d.jpg` and
//! `tvl1_flow/{u,v}/v_X/frame%06d.jpg`. Files such as `tvl1_flow/u/v_X.bin` are ignored.

use std::path::Path;

use super::apart::{StreamFolders, find_apart};
use super::layout::{Finding, Layout, Source, Wanted};
use crate::error::Result;

pub(super) struct Feichtenhofer;

impl Source for Feichtenhofer {
    fn layout(&self) -> Layout {
        Layout::Feichtenhofer
    }

    fn find(&self, root: &Path, wanted: Wanted) -> Result<Finding> {
        let folders = StreamFolders { rgb: "jpegs_256", flow: Some("tvl1_flow"), planes: ["u", "v"] };
        find_apart(&folders, root, wanted)
    }
}
