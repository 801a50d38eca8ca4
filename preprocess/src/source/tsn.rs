//! Frames of TSN and `dense_flow`: `v_X/img_%05d.jpg`, with `flow_x_%05d.jpg` and `flow_y_%05d.jpg`
//! in the same folder.

use std::path::Path;

use super::folders::Nesting;
use super::layout::{Finding, FlowCount, Layout, Source, Wanted};
use super::together::find_together;
use crate::error::Result;

pub(super) struct Tsn;

impl Source for Tsn {
    fn layout(&self) -> Layout {
        Layout::Tsn
    }

    fn flow_count(&self) -> FlowCount {
        FlowCount::AsRgb
    }

    fn find(&self, root: &Path, wanted: Wanted) -> Result<Finding> {
        find_together(root, Nesting::Clips, wanted)
    }
}
