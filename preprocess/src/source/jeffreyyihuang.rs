//! Frames of jeffreyyihuang's two-stream code: `<Class>/separated_images/v_X/v_X_<n>.jpg`, without
//! flow.

use std::path::Path;

use super::folders::{ClipFolders, Nesting, Plane, sample};
use super::layout::{Finding, Layout, Source, Wanted};
use super::numbering::NameRule;
use crate::error::Result;
use crate::stream::StreamKind;

const NESTING: Nesting = Nesting::ClassesWith("separated_images");

pub(super) struct Jeffreyyihuang;

impl Source for Jeffreyyihuang {
    fn layout(&self) -> Layout {
        Layout::Jeffreyyihuang
    }

    fn find(&self, root: &Path, wanted: Wanted) -> Result<Finding> {
        let why = "<Class>/separated_images/v_X/v_X_%d.jpg".to_owned();
        if sample(root, NESTING, &[NameRule::Folder])? != [true] {
            return Ok(Finding::Other(format!("no {why}")));
        }
        if wanted == Wanted::Flow {
            return Ok(Finding::Broken(format!("{}: frames as {why} have no flow", root.display()).into()));
        }
        let plane = Plane { stream: StreamKind::Rgb, label: "RGB", name: NameRule::Folder };
        let folders = vec![ClipFolders { root: root.to_owned(), nesting: NESTING, planes: vec![plane] }];
        Ok(Finding::Tree { folders, why })
    }
}
