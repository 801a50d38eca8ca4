//! Common code of layouts that keep each plane in its own folder: `RGB/v_X/frame%06d.jpg`,
//! `FLOW/{x,y}/v_X/frame%06d.jpg`.

use std::path::{Path, PathBuf};

use super::folders::{ClipFolders, Nesting, Plane, sample};
use super::layout::{Finding, Wanted};
use super::numbering::{FrameName, NameRule};
use crate::error::{Error, Problem, Result, Setting};
use crate::stream::StreamKind;

/// The folder names of a layout.
pub(super) struct StreamFolders {
    pub rgb: &'static str,
    /// The folder around the two planes, if there is one.
    pub flow: Option<&'static str>,
    pub planes: [&'static str; 2],
}

impl StreamFolders {
    /// Returns the name of the flow folder for messages: `tvl1_flow/`, or `x/ and y/`.
    fn flow_name(&self) -> String {
        let [x, y] = self.planes;
        self.flow.map_or_else(|| format!("{x}/ and {y}/"), |flow| format!("{flow}/"))
    }

    fn around(&self, root: &Path) -> PathBuf {
        self.flow.map_or_else(|| root.to_owned(), |flow| root.join(flow))
    }

    fn has_flow(&self, root: &Path) -> bool {
        match self.flow {
            Some(flow) => root.join(flow).is_dir(),
            None => self.planes.iter().any(|plane| root.join(plane).is_dir()),
        }
    }
}

/// Finds the folders of a layout under `root`.
pub(super) fn find_apart(names: &StreamFolders, root: &Path, wanted: Wanted) -> Result<Finding> {
    match wanted {
        Wanted::Both => {
            let (rgb, around) = (root.join(names.rgb), names.around(root));
            match (rgb.is_dir(), names.has_flow(root)) {
                (true, true) => {
                    let planes = flow_planes(names, &around)?;
                    let why = format!("{}/ and {}", names.rgb, names.flow_name());
                    Ok(Finding::Tree { folders: [vec![rgb_folders(rgb)], planes].concat(), why })
                }
                (false, false) => Ok(Finding::Other(format!("no {}/ or {}", names.rgb, names.flow_name()))),
                (has_rgb, _) => {
                    let rgb_name = format!("{}/", names.rgb);
                    let (there, missing, setting, path) = if has_rgb {
                        (rgb_name, names.flow_name(), Setting::Rgb, rgb)
                    } else {
                        (names.flow_name(), rgb_name, Setting::Flow, around)
                    };
                    let found = format!("{} has {there} but no {missing}", root.display());
                    let alone = Problem::from(format!("{found}; to pack only this stream, use "));
                    Ok(Finding::Broken(alone.name(setting).then(format!(" {}", path.display()))))
                }
            }
        }
        Wanted::Rgb => {
            let inside = root.join(names.rgb);
            if inside.is_dir() {
                return Ok(Finding::Tree { folders: vec![rgb_folders(inside)], why: format!("{}/", names.rgb) });
            }
            // The root itself may be the folder that holds the clips.
            if sample(root, Nesting::Clips, &[frame_name()])? == [true] {
                let why = "v_X/frame%06d.jpg".into();
                return Ok(Finding::Tree { folders: vec![rgb_folders(root.to_owned())], why });
            }
            Ok(Finding::Other(format!("neither {}/ nor clip folders with frame%06d.jpg", names.rgb)))
        }
        Wanted::Flow => {
            let is_plane = root.file_name().is_some_and(|name| names.planes.iter().any(|plane| name == *plane));
            let around = match (names.has_flow(root), root.parent().filter(|_| is_plane)) {
                (true, _) => names.around(root),
                (false, Some(parent)) => parent.to_owned(),
                (false, None) => root.to_owned(),
            };
            if names.planes.iter().all(|plane| !around.join(plane).is_dir()) {
                let [x, y] = names.planes;
                let outer = names.flow.map_or(String::new(), |flow| format!("neither {flow}/ nor "));
                return Ok(Finding::Other(format!("{outer}{x}/ and {y}/")));
            }
            let [x, y] = names.planes;
            Ok(Finding::Tree { folders: flow_planes(names, &around)?, why: format!("{x}/ and {y}/") })
        }
    }
}

fn frame_name() -> NameRule {
    NameRule::Fixed(FrameName::jpg("frame", 6))
}

fn rgb_folders(root: PathBuf) -> ClipFolders {
    let plane = Plane { stream: StreamKind::Rgb, label: "RGB", name: frame_name() };
    ClipFolders { root, nesting: Nesting::Clips, planes: vec![plane] }
}

fn flow_planes(names: &StreamFolders, around: &Path) -> Result<Vec<ClipFolders>> {
    let folders = names.planes.map(|plane| (plane, around.join(plane)));
    if let Some((missing, _)) = folders.iter().find(|(_, folder)| !folder.is_dir()) {
        let there = names.planes.iter().find(|plane| *plane != missing).unwrap_or(missing);
        let folder = around.display();
        return Err(Error::input(if folders.iter().all(|(_, folder)| !folder.is_dir()) {
            Problem::from(format!(
                "{folder} has neither {there}/ nor {missing}/; unpack the flow, or pass the folder that contains \
                 them with "
            ))
            .name(Setting::Flow)
        } else {
            format!("{folder} has {there}/ but no {missing}/; unpack all archives of the flow").into()
        }));
    }
    let plane = |(label, root)| ClipFolders {
        root,
        nesting: Nesting::Clips,
        planes: vec![Plane { stream: StreamKind::Flow, label, name: frame_name() }],
    };
    Ok(folders.into_iter().map(plane).collect())
}
