//! Common code of layouts that keep all planes of a clip in one folder: `img_%05d.jpg` with
//! `flow_x_%05d.jpg` and `flow_y_%05d.jpg`, or with `x_%05d.jpg` and `y_%05d.jpg`.

use std::path::Path;

use super::folders::{ClipFolders, Nesting, Plane, sample};
use super::layout::{Finding, Wanted};
use super::numbering::{FrameName, NameRule};
use crate::error::{Problem, Result, Setting};
use crate::stream::StreamKind;

/// Prefixes of x and y.
const FLOW_NAMES: [[&str; 2]; 2] = [["flow_x", "flow_y"], ["x", "y"]];

/// Finds the planes in a sample of the clip folders under `root`.
pub(super) fn find_together(root: &Path, nesting: Nesting, wanted: Wanted) -> Result<Finding> {
    let rule = |prefix: &str| NameRule::Fixed(FrameName::jpg(&format!("{prefix}_"), 5));
    let rules: Vec<NameRule> = ["img"].iter().chain(FLOW_NAMES.iter().flatten()).map(|prefix| rule(prefix)).collect();
    let found = sample(root, nesting, &rules)?;
    let place = nesting.pattern();
    let rgb = found[0];
    // A single plane also counts as flow. The scan then names the clips that lack the other plane.
    let flow =
        FLOW_NAMES.iter().enumerate().find(|(i, _)| found[1 + 2 * i] || found[2 + 2 * i]).map(|(_, names)| names);
    let mut planes = Vec::new();
    let mut why = Vec::new();
    if rgb && wanted.includes(StreamKind::Rgb) {
        planes.push(Plane { stream: StreamKind::Rgb, label: "RGB", name: rule("img") });
        why.push(format!("{place}/img_%05d.jpg"));
    }
    if let Some(names) = flow.filter(|_| wanted.includes(StreamKind::Flow)) {
        planes.extend(names.map(|label| Plane { stream: StreamKind::Flow, label, name: rule(label) }));
        why.push(format!("{place}/{}_%05d.jpg", names[0]));
    }
    let root_shown = root.display();
    match (wanted, rgb, flow) {
        (Wanted::Both, true, None) => {
            let found = format!("{root_shown} has {place}/img_%05d.jpg, but no flow_x_%05d.jpg in the same folders");
            let alone = Problem::from(format!("{found}; to pack only RGB, use ")).name(Setting::Rgb);
            Ok(Finding::Broken(alone.then(format!(" {root_shown}"))))
        }
        (Wanted::Both, false, Some([x, _])) => {
            let found = format!("{root_shown} has {place}/{x}_%05d.jpg, but no img_%05d.jpg in the same folders");
            let alone = Problem::from(format!("{found}; to pack only flow, use ")).name(Setting::Flow);
            Ok(Finding::Broken(alone.then(format!(" {root_shown}"))))
        }
        _ if planes.is_empty() => {
            let expected = match wanted {
                Wanted::Flow => "flow_x_%05d.jpg",
                _ => "img_%05d.jpg",
            };
            Ok(Finding::Other(format!("no {place}/{expected}")))
        }
        _ => {
            let folders = vec![ClipFolders { root: root.to_owned(), nesting, planes }];
            Ok(Finding::Tree { folders, why: why.join(" and ") })
        }
    }
}
