//! mmaction2's raw frames, as `denseflow` makes them: `<Class>/v_X/img_%05d.jpg`, and in the same folder
//! `flow_x_%05d.jpg`, `flow_y_%05d.jpg` or `x_%05d.jpg`, `y_%05d.jpg`; numbered from 0 or 1.

use std::path::Path;

use super::folders::Nesting;
use super::layout::{Finding, Layout, Source, Wanted};
use super::together::find_together;
use crate::error::Result;

pub(super) struct Mmaction2;

impl Source for Mmaction2 {
    fn layout(&self) -> Layout {
        Layout::Mmaction2
    }

    fn find(&self, root: &Path, wanted: Wanted) -> Result<Finding> {
        find_together(root, Nesting::Classes, wanted)
    }
}
