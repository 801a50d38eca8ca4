//! The layout of Feichtenhofer's published frames: `jpegs_256/v_X/frame%06d.jpg` and
//! `tvl1_flow/{u,v}/v_X/frame%06d.jpg`. Files such as `tvl1_flow/u/v_X.bin` are ignored.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rayon::prelude::*;

use super::numbering::{FrameName, Numbers, list};
use super::{Absence, ClipFiles, Location, MIN_FLOW_FRAMES, PlaneFiles, Scan, ScannedClip, StreamFiles};
use crate::error::{Error, Result};
use crate::lists::{ListedClip, clip_key};
use crate::progress::{Watch, Work};
use crate::stream::StreamKind;

/// Frames are numbered from 1.
const FIRST: u32 = 1;

/// The folders that hold clip folders.
#[derive(Debug)]
pub(super) struct Folders {
    rgb: Option<PathBuf>,
    flow: Option<[PathBuf; 2]>,
}

impl Folders {
    /// Finds them from what the user named.
    pub fn find(location: &Location) -> Result<Self> {
        match location {
            Location::Tree(root) => {
                let (rgb, flow) = (root.join("jpegs_256"), root.join("tvl1_flow"));
                match (rgb.is_dir(), flow.is_dir()) {
                    (true, true) => Ok(Self { rgb: Some(rgb), flow: Some(flow_planes(&flow)?) }),
                    (false, false) => Err(Error::Input(format!(
                        "found no jpegs_256/ or tvl1_flow/ under {}; --tree wants the folder that holds them, or name them by --rgb and --flow",
                        root.display()
                    ))),
                    (has_rgb, _) => {
                        let (there, missing, option) = if has_rgb {
                            ("jpegs_256", "tvl1_flow", "--rgb")
                        } else {
                            ("tvl1_flow", "jpegs_256", "--flow")
                        };
                        Err(Error::Input(format!(
                            "found {there}/ but no {missing}/ under {}; to pack the one stream alone say {option} {}",
                            root.display(),
                            root.join(there).display()
                        )))
                    }
                }
            }
            Location::Apart { rgb, flow } => Ok(Self {
                rgb: rgb.as_deref().map(find_rgb).transpose()?,
                flow: flow.as_deref().map(find_flow).transpose()?,
            }),
        }
    }

    pub fn streams(&self) -> Vec<StreamKind> {
        let rgb = self.rgb.as_ref().map(|_| StreamKind::Rgb);
        rgb.into_iter().chain(self.flow.as_ref().map(|_| StreamKind::Flow)).collect()
    }

    /// Some clip folder of the tree, for a message.
    pub fn example(&self) -> Result<Option<String>> {
        let folder = self.rgb.as_ref().or(self.flow.as_ref().map(|[u, _]| u));
        folder.map_or(Ok(None), |folder| Ok(clip_folders(folder)?.min()))
    }

    pub fn scan(&self, clips: &[ListedClip], watch: Watch<'_>) -> Result<Scan> {
        let name = Arc::new(FrameName { prefix: "frame".into(), digits: 6, ending: ".jpg".into() });
        let planes: Vec<Plane> = self
            .rgb
            .iter()
            .chain(self.flow.iter().flatten())
            .map(|folder| Plane::read(folder, &name))
            .collect::<Result<_>>()?;
        let streams = self.streams();
        watch.progress.begin("listing", Work { clips: clips.len() as u64, ..Work::default() });
        let scan_one = |clip| {
            if watch.cancel.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            watch.progress.add(Work { clips: 1, ..Work::default() });
            Ok(scan_clip(clip, &streams, &planes))
        };
        let found = clips.par_iter().map(scan_one).collect::<Result<_>>()?;
        watch.progress.end();
        let listed: HashSet<String> = clips.iter().map(|clip| clip_key(&clip.id)).collect();
        let unlisted = planes.first().map_or(0, |p| p.clips.keys().filter(|&key| !listed.contains(key)).count());
        Ok(Scan { clips: found, unlisted })
    }
}

/// One folder of clip folders.
struct Plane {
    folder: PathBuf,
    name: Arc<FrameName>,
    /// Folder names by the clip's key; more than one where names differ in case only.
    clips: HashMap<String, Vec<String>>,
}

impl Plane {
    fn read(folder: &Path, name: &Arc<FrameName>) -> Result<Self> {
        let mut clips: HashMap<String, Vec<String>> = HashMap::new();
        for clip in clip_folders(folder)? {
            clips.entry(clip_key(&clip)).or_default().push(clip);
        }
        if clips.is_empty() {
            return Err(Error::Input(format!(
                "{} holds no clip folders (v_X/{}); unpack the frames, or name the folder that holds them",
                folder.display(),
                name.pattern()
            )));
        }
        Ok(Self { folder: folder.into(), name: Arc::clone(name), clips })
    }

    /// The folder of a clip and its numbers, `None` where there is no folder, or a fault in words.
    fn clip(&self, id: &str) -> Result<Option<(PlaneFiles, Numbers)>, String> {
        let Some(names) = self.clips.get(&clip_key(id)) else { return Ok(None) };
        let [only] = names.as_slice() else {
            let mut names = names.clone();
            names.sort_unstable();
            return Err(format!(
                "{}: folders {} differ in case only; keep one",
                self.folder.display(),
                names.join(", ")
            ));
        };
        let folder = self.folder.join(only);
        let numbers = list(&folder, &self.name, FIRST)?;
        Ok(Some((PlaneFiles { folder, name: Arc::clone(&self.name), first: FIRST }, numbers)))
    }
}

/// Names of the folders in `folder`; files are ignored.
fn clip_folders(folder: &Path) -> Result<impl Iterator<Item = String>> {
    let fault = |e| Error::io(folder, "cannot list the folder")(e);
    let entries: Vec<_> = fs::read_dir(folder).map_err(fault)?.collect::<Result<_, _>>().map_err(fault)?;
    Ok(entries.into_iter().filter_map(|entry| {
        let kind = entry.file_type().ok()?;
        let is_folder = kind.is_dir() || kind.is_symlink() && entry.path().is_dir();
        is_folder.then(|| entry.file_name().into_string().ok())?
    }))
}

fn scan_clip(clip: &ListedClip, streams: &[StreamKind], planes: &[Plane]) -> ScannedClip {
    let found: Vec<_> = planes.iter().map(|plane| plane.clip(&clip.id)).collect();
    let mut nominal = Vec::new();
    let mut rest = found.as_slice();
    for stream in streams {
        let (own, others) = rest.split_at(stream.planes() as usize);
        nominal.push(own.iter().filter_map(|p| p.as_ref().ok()?.as_ref()).map(|(_, n)| n.highest).max().unwrap_or(0));
        rest = others;
    }
    ScannedClip { files: judge(streams, planes, found), nominal_frames: nominal }
}

type Found = Result<Option<(PlaneFiles, Numbers)>, String>;

fn judge(streams: &[StreamKind], planes: &[Plane], found: Vec<Found>) -> Result<ClipFiles, Absence> {
    let missing: Vec<String> = found
        .iter()
        .zip(planes)
        .filter(|(found, _)| matches!(found, Ok(None)))
        .map(|(_, plane)| plane.folder.display().to_string())
        .collect();
    if missing.len() == planes.len() {
        return Err(Absence::Fault("not in the tree".into()));
    }
    let found: Vec<(PlaneFiles, Numbers)> =
        found.into_iter().map(|f| f.map_err(Absence::Fault)).filter_map(Result::transpose).collect::<Result<_, _>>()?;
    if !missing.is_empty() {
        return Err(Absence::Fault(format!("no folder of it in {}", missing.join(", "))));
    }
    if let Some(fault) = found.iter().find_map(|(_, numbers)| numbers.fault.clone()) {
        return Err(Absence::Fault(fault));
    }
    let mut found = found.into_iter();
    let mut clip = ClipFiles { streams: Vec::new() };
    for &kind in streams {
        let (files, counts): (Vec<PlaneFiles>, Vec<u32>) =
            found.by_ref().take(kind.planes() as usize).map(|(files, numbers)| (files, numbers.count)).unzip();
        if let [u, v] = counts[..]
            && u != v
        {
            return Err(Absence::Fault(format!("{u} flow frames in u but {v} in v")));
        }
        clip.streams.push(StreamFiles { kind, frames: counts[0], planes: files });
    }
    if let [rgb, flow] = &clip.streams[..]
        && rgb.frames != flow.frames + 1
    {
        let expected = rgb.frames.saturating_sub(1);
        return Err(Absence::Fault(format!(
            "{} flow frames for {} RGB frames, expected {expected}",
            flow.frames, rgb.frames
        )));
    }
    let steps = clip.streams.iter().map(|s| if s.kind == StreamKind::Rgb { s.frames - 1 } else { s.frames }).min();
    match steps {
        Some(steps) if steps < MIN_FLOW_FRAMES => {
            Err(Absence::Short(format!("too short: {steps} flow frames, {MIN_FLOW_FRAMES} are needed")))
        }
        _ => Ok(clip),
    }
}

fn find_rgb(path: &Path) -> Result<PathBuf> {
    let inside = path.join("jpegs_256");
    let folder = if inside.is_dir() { inside } else { path.to_owned() };
    if clip_folders(&folder)?.next().is_none() {
        return Err(Error::Input(format!(
            "{} holds neither jpegs_256/ nor clip folders; --rgb wants the folder that holds them",
            path.display()
        )));
    }
    Ok(folder)
}

fn find_flow(path: &Path) -> Result<[PathBuf; 2]> {
    let inside = path.join("tvl1_flow");
    if inside.is_dir() {
        return flow_planes(&inside);
    }
    let is_plane = path.file_name().is_some_and(|name| name == "u" || name == "v");
    match path.parent().filter(|_| is_plane) {
        Some(parent) => flow_planes(parent),
        None => flow_planes(path),
    }
}

fn flow_planes(folder: &Path) -> Result<[PathBuf; 2]> {
    let planes = ["u", "v"].map(|plane| folder.join(plane));
    match (planes[0].is_dir(), planes[1].is_dir()) {
        (true, true) => Ok(planes),
        (false, false) => Err(Error::Input(format!(
            "{} holds neither tvl1_flow/ nor u/ and v/; --flow wants the folder that holds them",
            folder.display()
        ))),
        (has_u, _) => {
            let (there, missing) = if has_u { ("u", "v") } else { ("v", "u") };
            Err(Error::Input(format!(
                "{} holds {there}/ but no {missing}/; the flow comes in several archive parts, unpack them all",
                folder.display()
            )))
        }
    }
}
