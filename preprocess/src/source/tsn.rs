//! TSN's and `dense_flow`'s frames: `v_X/img_%05d.jpg`, and in the same folder `flow_x_%05d.jpg`, `flow_y_%05d.jpg`.

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
