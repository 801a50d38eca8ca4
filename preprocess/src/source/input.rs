//! What a build packs: a tree of frames, or videos.

use std::collections::HashMap;
use std::path::PathBuf;

use super::found::{FoundClip, Scan};
use super::layout::Layout;
use super::location::Location;
use super::tree::Tree;
use super::videos::Videos;
use crate::clip::Absence;
use crate::error::Result;
use crate::lists::{ClassedFolder, ListedClip};
use crate::progress::Watch;
use crate::stream::StreamKind;
use crate::video::{Ffmpeg, VideoDecoder, VideoOptions};

/// Where clips come from.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// Images that others made.
    Tree(Tree),
    /// Videos that are decoded here.
    Videos(Videos),
}

impl Input {
    /// Finds what is at a location; videos also need ffmpeg.
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

    /// The decoder, where there are videos.
    pub fn video(&self) -> Option<&VideoDecoder> {
        match self {
            Self::Tree(_) => None,
            Self::Videos(videos) => Some(videos.video()),
        }
    }

    /// The layout, for manifests.
    pub fn layout(&self) -> String {
        match self {
            Self::Tree(tree) => tree.layout(),
            Self::Videos(_) => "videos".into(),
        }
    }

    /// What was recognised, and by what.
    pub fn found(&self) -> Vec<String> {
        match self {
            Self::Tree(tree) => tree.found().to_vec(),
            Self::Videos(videos) => vec![format!("{}: decoded by {}", videos.shown(), videos.video().ffmpeg.version)],
        }
    }

    /// The streams: RGB before flow.
    pub fn streams(&self) -> Vec<StreamKind> {
        match self {
            Self::Tree(tree) => tree.streams(),
            Self::Videos(videos) => videos.streams(),
        }
    }

    /// As the user named it.
    pub fn shown(&self) -> &str {
        match self {
            Self::Tree(tree) => tree.shown(),
            Self::Videos(videos) => videos.shown(),
        }
    }

    /// What a clip is here, in words.
    pub fn unit(&self) -> &'static str {
        match self {
            Self::Tree(_) => "clip folders",
            Self::Videos(_) => "videos",
        }
    }

    /// All clips with their classes, which are folders.
    pub fn classed_folders(&self) -> Result<Vec<ClassedFolder>> {
        match self {
            Self::Tree(tree) => tree.classed_folders(),
            Self::Videos(videos) => videos.classed_folders(),
        }
    }

    /// Finds the clips that are asked for. Two clips that are the same files are a fault of both.
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
            let fault = format!("{} is listed as {}; a clip has one label", place.display(), ids.join(" and as "));
            for number in numbers {
                scan.clips[number].files = Err(Absence::fault(fault.clone()));
            }
        }
        Ok(scan)
    }
}
