//! The input of a build: a frame tree or a folder of videos.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::found::{FoundClip, Scan};
use super::layout::Layout;
use super::location::Location;
use super::tree::Tree;
use super::videos::Videos;
use crate::clip::Absence;
use crate::error::Result;
use crate::lists::{ClassedFolder, ListedClip, same_name};
use crate::progress::Watch;
use crate::quantity::counted;
use crate::stream::StreamKind;
use crate::video::{Ffmpeg, VideoDecoder, VideoOptions};

/// Number of rows that a note names. Further ones are only counted.
const NAMED: usize = 5;

/// The input of a build.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// A frame tree: images that another program extracted.
    Tree(Tree),
    /// Videos, which this library decodes.
    Videos(Videos),
}

impl Input {
    /// Opens the frame tree or videos at a location. `options` apply to videos only.
    ///
    /// # Errors
    /// Returns [`crate::Error::Input`] if a folder is missing, the layout is unknown, or videos are
    /// given but ffmpeg is not installed. Returns [`crate::Error::Usage`] if several layouts fit, or if
    /// `options` select a GPU but the feature `cuda` is off.
    pub fn open(location: &Location, layout: Option<Layout>, options: VideoOptions) -> Result<Self> {
        match location {
            Location::Videos(root) => {
                options.check()?;
                let video = VideoDecoder::new(Ffmpeg::find()?, options);
                Ok(Self::Videos(Videos::open(root, video)?))
            }
            _ => Ok(Self::Tree(Tree::open(location, layout)?)),
        }
    }

    /// Returns the video decoder, or `None` for a frame tree.
    pub fn video(&self) -> Option<&VideoDecoder> {
        match self {
            Self::Tree(_) => None,
            Self::Videos(videos) => Some(videos.video()),
        }
    }

    /// Returns the layout for the manifest.
    pub fn layout(&self) -> String {
        match self {
            Self::Tree(tree) => tree.layout(),
            Self::Videos(_) => "videos".into(),
        }
    }

    /// Returns remarks about what was recognised and why.
    pub fn found(&self) -> Vec<String> {
        match self {
            Self::Tree(tree) => tree.found().to_vec(),
            Self::Videos(videos) => {
                vec![format!("{}: decoding with {}", videos.shown(), videos.video().ffmpeg.version)]
            }
        }
    }

    /// Returns the streams, RGB before flow.
    pub fn streams(&self) -> Vec<StreamKind> {
        match self {
            Self::Tree(tree) => tree.streams(),
            Self::Videos(videos) => videos.streams(),
        }
    }

    /// Returns the location as the user named it.
    pub fn shown(&self) -> &str {
        match self {
            Self::Tree(tree) => tree.shown(),
            Self::Videos(videos) => videos.shown(),
        }
    }

    /// Returns the name of a clip's source for messages, and its plural.
    pub fn unit(&self) -> (&'static str, &'static str) {
        match self {
            Self::Tree(_) => ("clip folder", "clip folders"),
            Self::Videos(_) => ("video", "videos"),
        }
    }

    /// Returns all clips with their classes, for datasets in which each folder is a class.
    ///
    /// # Errors
    /// Returns [`crate::Error::Input`] if the layout has no class folders.
    pub fn classed_folders(&self) -> Result<Vec<ClassedFolder>> {
        match self {
            Self::Tree(tree) => tree.classed_folders(),
            Self::Videos(videos) => videos.classed_folders(),
        }
    }

    /// Returns the [`clip_key`](crate::lists::clip_key) of the names of all clips.
    ///
    /// # Errors
    /// Returns [`crate::Error::Io`] if a folder cannot be listed.
    pub fn clip_keys(&self) -> Result<HashSet<String>> {
        match self {
            Self::Tree(tree) => tree.clip_keys(),
            Self::Videos(videos) => Ok(videos.clip_keys()),
        }
    }

    /// Finds the files of the listed clips. If two clips share the same files, both are faulty.
    ///
    /// # Errors
    /// Returns [`crate::Error::Input`] if none of the clips exists. Faults of single clips are part
    /// of the scan.
    pub fn scan(&self, clips: &[ListedClip], watch: Watch<'_>) -> Result<Scan> {
        let mut scan = match self {
            Self::Tree(tree) => tree.scan(clips, watch)?,
            Self::Videos(videos) => videos.scan(clips, watch)?,
        };
        let mut places: HashMap<PathBuf, Vec<usize>> = HashMap::new();
        for (number, scanned) in scan.clips.iter().enumerate() {
            if let Some(place) = scanned.files.as_ref().ok().and_then(FoundClip::place) {
                places.entry(place).or_default().push(number);
            }
        }
        for (place, numbers) in places.into_iter().filter(|(_, numbers)| numbers.len() > 1) {
            let ids: Vec<&str> = numbers.iter().map(|&number| clips[number].id.as_str()).collect();
            let fault = format!("{} is listed as {}, but a clip has one label", place.display(), ids.join(" and as "));
            for number in numbers {
                scan.clips[number].files = Err(Absence::fault(fault.clone()));
            }
        }
        scan.notes.extend(self.note_of_folders(clips, &scan));
        Ok(scan)
    }

    /// Returns a note about rows of a list that name another folder than the one with the clip.
    fn note_of_folders(&self, clips: &[ListedClip], scan: &Scan) -> Option<String> {
        let mut others = Vec::new();
        for (listed, scanned) in clips.iter().zip(&scan.clips) {
            let (Some(row), Some(wanted), Ok(found)) = (listed.row, &listed.class_folder, &scanned.files) else {
                continue;
            };
            let (folder, used) = match (self, found) {
                (Self::Tree(tree), FoundClip::Images(files)) => {
                    let Some(plane) = files.streams.first().and_then(|stream| stream.planes.first()) else { continue };
                    (tree.class_folder(&plane.folder), &plane.folder)
                }
                (_, FoundClip::Video(file)) => (file.path.parent().and_then(Path::file_name), &file.path),
                (Self::Videos(_), FoundClip::Images(_)) => continue,
            };
            if folder.and_then(OsStr::to_str).is_some_and(|folder| !same_name(folder, wanted)) {
                let used = used.display();
                others.push((row, format!("{wanted}/{} (line {row}) is packed from {used}", listed.folder)));
            }
        }
        others.sort_unstable();
        let more =
            if others.len() > NAMED { format!(", ... and {} more", others.len() - NAMED) } else { String::new() };
        let named: Vec<_> = others.iter().take(NAMED).map(|(_, text)| text.as_str()).collect();
        let rows = counted(others.len() as u64, "row", "rows");
        let name = if others.len() == 1 { "names" } else { "name" };
        (!others.is_empty())
            .then(|| format!("{rows} of the list {name} a folder without the clip: {}{more}", named.join(", ")))
    }
}
