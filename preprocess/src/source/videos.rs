//! A folder of videos, one a clip, as UCF101.rar has them: `<Class>/v_X.avi`, at any depth.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use rayon::prelude::*;
use walkdir::WalkDir;

use super::{Absence, ClassedFolder, FoundClip, MIN_FLOW_FRAMES, Scan, ScannedClip};
use crate::error::{Error, Result};
use crate::lists::{ListedClip, clip_key};
use crate::progress::{Watch, Work};
use crate::stream::StreamKind;
use crate::synth::like_ucf101::ucf101;
use crate::video::{Video, probe_frames};

/// Endings of files that are taken for videos, in lower case.
const ENDINGS: [&str; 12] = ["avi", "mp4", "m4v", "mkv", "webm", "mov", "mpg", "mpeg", "wmv", "flv", "ogv", "3gp"];

/// One video of a clip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoFile {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Frames, as the container says.
    pub frames: u32,
    /// Flow frames of the published frame tree of UCF101, one less than its RGB frames; `None` for other clips.
    pub published_flow_frames: Option<u32>,
}

/// A folder of videos that was listed.
#[derive(Debug)]
pub struct Videos {
    video: Video,
    shown: String,
    /// By the key of the file's name without ending.
    files: HashMap<String, Vec<PathBuf>>,
}

impl Videos {
    /// Lists the folder.
    pub fn open(root: &Path, video: Video) -> Result<Self> {
        if !root.is_dir() {
            return Err(Error::Input(format!("{}: no such folder", root.display())));
        }
        let mut files: HashMap<String, Vec<PathBuf>> = HashMap::new();
        for entry in WalkDir::new(root).follow_links(true).sort_by_file_name() {
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(root).to_owned();
                Error::io(path, "cannot list the folder")(error.into())
            })?;
            let path = entry.path();
            let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
            let is_video = ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()));
            if let Some(name) = path.file_stem().and_then(|name| name.to_str())
                && is_video
                && !name.starts_with('.')
                && entry.file_type().is_file()
            {
                files.entry(clip_key(name)).or_default().push(path.to_owned());
            }
        }
        if files.is_empty() {
            return Err(Error::Input(format!(
                "{} holds no videos (*.{}); name the folder that the archive was unpacked into",
                root.display(),
                ENDINGS.join(", *.")
            )));
        }
        Ok(Self { video, shown: root.display().to_string(), files })
    }

    /// The decoder and what is made.
    pub fn video(&self) -> &Video {
        &self.video
    }

    /// The folder as the user named it.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The streams that are made.
    pub fn streams(&self) -> Vec<StreamKind> {
        let flow = self.video.options.flow.map(|_| StreamKind::Flow);
        [Some(StreamKind::Rgb), flow].into_iter().flatten().collect()
    }

    /// All videos with the folders that they lie in, for data sets whose classes are folders.
    pub fn classed_folders(&self) -> Result<Vec<ClassedFolder>> {
        let name = |path: Option<&std::ffi::OsStr>| path.and_then(|name| name.to_str()).map(str::to_owned);
        let classed = self.files.values().flatten().map(|path| {
            let (class, clip) = (name(path.parent().and_then(Path::file_name)), name(path.file_stem()));
            class
                .zip(clip)
                .map(|(class, clip)| ClassedFolder { class, clip })
                .ok_or_else(|| Error::Input(format!("{}: its folder's name is no class", path.display())))
        });
        let mut classed = classed.collect::<Result<Vec<_>>>()?;
        classed.sort_unstable();
        Ok(classed)
    }

    /// Finds the videos of the clips that are asked for, and asks each container how many frames it has.
    pub fn scan(&self, clips: &[ListedClip], watch: Watch<'_>) -> Result<Scan> {
        let (lists, flow_frames) = ucf101();
        let published: HashMap<String, u32> =
            lists.clips.iter().map(|clip| clip_key(&clip.folder)).zip(flow_frames).collect();
        watch.progress.begin("probing", Work { clips: clips.len() as u64, ..Work::default() });
        let scan_one = |clip: &ListedClip| {
            if watch.cancel.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let scanned = self.scan_one(clip, &published);
            watch.progress.add(Work { clips: 1, ..Work::default() });
            Ok(scanned)
        };
        let scanned = clips.par_iter().map(scan_one).collect::<Result<Vec<_>>>();
        watch.progress.end();
        let clips_found = scanned?;
        let listed: HashSet<String> = clips.iter().map(|clip| clip_key(&clip.folder)).collect();
        let unlisted = self.files.keys().filter(|&key| !listed.contains(key)).count();
        if unlisted == self.files.len() {
            let example = clips.first().map_or("", |clip| clip.id.as_str());
            return Err(Error::Input(format!(
                "none of the {} clips that the lists name (such as {example}) is under {}; name the folder that these lists belong to",
                clips.len(),
                self.shown
            )));
        }
        Ok(Scan { clips: clips_found, unlisted, notes: Vec::new() })
    }

    fn scan_one(&self, clip: &ListedClip, published: &HashMap<String, u32>) -> ScannedClip {
        let streams = self.streams();
        let none = || vec![0; streams.len()];
        let found = match self.find(clip) {
            Ok(path) => match probe_frames(path) {
                Ok(frames) => Ok((path, frames)),
                Err(fault) => Err(Absence::Fault(format!("{}: {fault}", path.display()))),
            },
            Err(absence) => Err(absence),
        };
        let (path, frames) = match found {
            Ok(found) => found,
            Err(absence) => return ScannedClip { files: Err(absence), nominal_frames: none() },
        };
        let nominal_frames = streams.iter().map(|&kind| frames_of(kind, frames)).collect();
        if frames <= MIN_FLOW_FRAMES {
            let reason = format!("{}: too short: {frames} frames, {} are needed", path.display(), MIN_FLOW_FRAMES + 1);
            return ScannedClip { files: Err(Absence::Short(reason)), nominal_frames };
        }
        let file = VideoFile {
            bytes: path.metadata().map_or(0, |metadata| metadata.len()),
            path: path.to_owned(),
            frames,
            published_flow_frames: published.get(&clip_key(&clip.folder)).copied(),
        };
        ScannedClip { files: Ok(FoundClip::Video(file)), nominal_frames }
    }

    /// The video of a clip: the only one of its name, or the only one in its class folder.
    fn find(&self, clip: &ListedClip) -> Result<&Path, Absence> {
        let files = self.files.get(&clip_key(&clip.folder)).map_or(&[][..], Vec::as_slice);
        let of_class: Vec<&PathBuf> = files
            .iter()
            .filter(|path| {
                let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
                folder.zip(clip.class_folder.as_deref()).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
            })
            .collect();
        match (files, of_class.as_slice()) {
            ([], _) => Err(Absence::Fault(format!("no video of it under {}", self.shown))),
            (_, [only]) => Ok(only),
            // Two listed clips of one name are told apart by their class folders only.
            ([only], []) if clip.id == clip.folder => Ok(only),
            ([_], []) => Err(Absence::Fault(format!("no video of it in a folder of its class under {}", self.shown))),
            _ => {
                let places: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
                Err(Absence::Fault(format!("{} are of one clip; keep one", places.join(", "))))
            }
        }
    }
}

/// Frames of a stream of a video with so many frames.
pub(super) fn frames_of(kind: StreamKind, frames: u32) -> u32 {
    match kind {
        StreamKind::Rgb => frames,
        StreamKind::Flow => frames.saturating_sub(1),
    }
}
