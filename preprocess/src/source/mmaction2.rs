//! Raw frames of mmaction2, as `denseflow` writes them: `<Class>/v_X/img_%05d.jpg`. The same folder
//! holds `flow_x_%05d.jpg` and `flow_y_%05d.jpg`, or `x_%05d.jpg` and `y_%05d.jpg`. Numbers start
//! at 0 or 1.

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
