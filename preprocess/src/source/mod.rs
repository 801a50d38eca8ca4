//! Frame trees on disk: one module a layout, each turning a tree into clips with numbered image files.

mod feichtenhofer;
mod numbering;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::lists::ListedClip;
use crate::progress::Watch;
use crate::stream::StreamKind;

pub use numbering::FrameName;

/// A clip needs this many flow frames (or RGB frames less one): a temporal sample is a stack of ten.
pub const MIN_FLOW_FRAMES: u32 = 10;

/// How a tree is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `jpegs_256/v_X/frame%06d.jpg`, `tvl1_flow/{u,v}/v_X/frame%06d.jpg`, from 1, one flow frame less than RGB frames.
    Feichtenhofer,
}

impl Layout {
    /// Its name on the command line and in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Feichtenhofer => "feichtenhofer",
        }
    }
}

/// Where the user says that the images are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// One root that holds both streams.
    Tree(PathBuf),
    /// The streams apart; at least one is there.
    Apart {
        /// The RGB frames.
        rgb: Option<PathBuf>,
        /// The flow.
        flow: Option<PathBuf>,
    },
}

impl Location {
    /// As the user typed it, for messages.
    pub fn shown(&self) -> String {
        let paths: Vec<&PathBuf> = match self {
            Self::Tree(root) => vec![root],
            Self::Apart { rgb, flow } => rgb.iter().chain(flow).collect(),
        };
        paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" with ")
    }
}

/// A tree whose layout is known and whose folders were found.
#[derive(Debug)]
pub struct Source {
    layout: Layout,
    folders: feichtenhofer::Folders,
    shown: String,
}

/// What a scan found: one entry for each clip that was asked for, in the same order.
#[derive(Debug)]
pub struct Scan {
    /// One for each listed clip.
    pub clips: Vec<ScannedClip>,
    /// Clip folders that no list names.
    pub unlisted: usize,
}

/// One listed clip as the tree has it.
#[derive(Debug)]
pub struct ScannedClip {
    /// Its files, or why it cannot be packed.
    pub files: Result<ClipFiles, Absence>,
    /// Frames of each stream for the plan, also of a clip that cannot be packed: the highest number found.
    pub nominal_frames: Vec<u32>,
}

/// Why a clip is not packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absence {
    /// It is missing or damaged: the tree is not whole.
    Fault(String),
    /// It is whole but shorter than [`MIN_FLOW_FRAMES`].
    Short(String),
}

/// The images of one clip.
#[derive(Debug, Clone)]
pub struct ClipFiles {
    /// One for each of [`Source::streams`].
    pub streams: Vec<StreamFiles>,
}

/// The images of one stream of one clip.
#[derive(Debug, Clone)]
pub struct StreamFiles {
    /// Which stream.
    pub kind: StreamKind,
    /// Frames.
    pub frames: u32,
    /// One for each plane: RGB, or x and y.
    pub planes: Vec<PlaneFiles>,
}

/// The numbered files of one plane.
#[derive(Debug, Clone)]
pub struct PlaneFiles {
    /// Their folder.
    pub folder: PathBuf,
    /// How they are called.
    pub name: Arc<FrameName>,
    /// Number of the first.
    pub first: u32,
}

impl PlaneFiles {
    /// The file of a frame, counted from 0.
    pub fn path(&self, frame: u32) -> PathBuf {
        self.folder.join(self.name.file(self.first + frame))
    }
}

impl Source {
    /// Finds the folders of a tree. Without a layout it is recognised.
    pub fn open(location: &Location, layout: Option<Layout>) -> Result<Self> {
        let roots: Vec<&Path> = match location {
            Location::Tree(root) => vec![root],
            Location::Apart { rgb, flow } => rgb.iter().chain(flow).map(PathBuf::as_path).collect(),
        };
        if let Some(missing) = roots.iter().find(|root| !root.is_dir()) {
            return Err(Error::Input(format!("{}: no such folder", missing.display())));
        }
        let layout = layout.unwrap_or(Layout::Feichtenhofer);
        let folders = match layout {
            Layout::Feichtenhofer => feichtenhofer::Folders::find(location)?,
        };
        Ok(Self { layout, folders, shown: location.shown() })
    }

    /// The layout, given or recognised.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The streams that are there.
    pub fn streams(&self) -> Vec<StreamKind> {
        self.folders.streams()
    }

    /// The tree as the user named it, for messages.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Lists the files of the clips that are asked for, several folders at a time. Nothing is read but folders.
    pub fn scan(&self, clips: &[ListedClip], watch: Watch<'_>) -> Result<Scan> {
        let scan = self.folders.scan(clips, watch)?;
        let at_hand = scan.clips.iter().any(|clip| clip.nominal_frames.iter().any(|&n| n > 0));
        if at_hand {
            return Ok(scan);
        }
        let example = clips.first().map_or("", |clip| clip.id.as_str());
        let holds = self.folders.example()?.map_or_else(
            || "it holds no clip folders".to_owned(),
            |name| format!("it holds other folders, such as {name}"),
        );
        Err(Error::Input(format!(
            "none of the {} clips that the lists name (such as {example}) is under {}: {holds}; name the tree that these lists belong to",
            clips.len(),
            self.shown
        )))
    }
}
