//! Frame trees on disk: one module a layout, each finding the folders and names of its images. What is found is listed and
//! judged alike for all.

mod apart;
mod feichtenhofer;
mod folders;
mod gpu_flow;
mod input;
mod jeffreyyihuang;
mod mmaction2;
mod numbering;
mod recognise;
mod scan;
mod strangers;
mod together;
mod tsn;
mod videos;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use folders::ClipFolders;
use recognise::{given, recognise};

use crate::error::{Error, Result, Skipped};
use crate::lists::{ListedClip, Part};
use crate::progress::Watch;
use crate::stream::StreamKind;

pub use input::Input;
pub use numbering::FrameName;
pub(crate) use videos::too_short;
pub use videos::{VideoFile, Videos};

/// A clip needs this many flow frames (or RGB frames less one): a temporal sample is a stack of ten.
pub const MIN_FLOW_FRAMES: u32 = 10;

/// How a tree is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `jpegs_256/v_X/frame%06d.jpg`, `tvl1_flow/{u,v}/v_X/frame%06d.jpg`.
    Feichtenhofer,
    /// `rgb/v_X/frame%06d.jpg`, `{x,y}/v_X/frame%06d.jpg`.
    GpuFlow,
    /// `<Class>/separated_images/v_X/v_X_<n>.jpg`, no flow.
    Jeffreyyihuang,
    /// `v_X/img_%05d.jpg` with `flow_x_%05d.jpg`, `flow_y_%05d.jpg` in the same folder.
    Tsn,
    /// `<Class>/v_X/img_%05d.jpg` with `flow_x_%05d.jpg` or `x_%05d.jpg` in the same folder.
    Mmaction2,
}

impl Layout {
    /// Its name on the command line and in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Feichtenhofer => "feichtenhofer",
            Self::GpuFlow => "gpu-flow",
            Self::Jeffreyyihuang => "jeffreyyihuang",
            Self::Tsn => "tsn",
            Self::Mmaction2 => "mmaction2",
        }
    }
}

/// A layout: how to find its images. One small file each.
trait Source: Sync {
    /// Which one it is.
    fn layout(&self) -> Layout;

    /// How many flow frames its clips have, where a tree does not say.
    fn flow_count(&self) -> FlowCount {
        FlowCount::OneLess
    }

    /// What `root` is as a tree of this layout. Looks into a few folders only.
    fn find(&self, root: &Path, wanted: Wanted) -> Result<Finding>;
}

/// All layouts, in the order in which they are tried.
const SOURCES: [&dyn Source; 5] = [
    &feichtenhofer::Feichtenhofer,
    &gpu_flow::GpuFlow,
    &jeffreyyihuang::Jeffreyyihuang,
    &tsn::Tsn,
    &mmaction2::Mmaction2,
];

/// Which streams are looked for under a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Both,
    Rgb,
    Flow,
}

impl Wanted {
    fn includes(self, stream: StreamKind) -> bool {
        self == Self::Both || self == if stream == StreamKind::Rgb { Self::Rgb } else { Self::Flow }
    }
}

/// What a layout makes of a root.
enum Finding {
    /// A tree of this layout, and by what it was recognised.
    Tree { folders: Vec<ClipFolders>, why: String },
    /// A tree of this layout that lacks something: a whole sentence.
    Broken(String),
    /// Another thing: what it lacks to be one.
    Other(String),
}

/// Flow frames of a clip with N RGB frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FlowCount {
    /// N - 1.
    OneLess,
    /// N.
    AsRgb,
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
    /// Videos, from which both streams are made.
    Videos(PathBuf),
}

impl Location {
    /// As the user typed it, for messages.
    pub fn shown(&self) -> String {
        let paths: Vec<&PathBuf> = match self {
            Self::Tree(root) | Self::Videos(root) => vec![root],
            Self::Apart { rgb, flow } => rgb.iter().chain(flow).collect(),
        };
        paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" with ")
    }

    fn roots(&self) -> Vec<(&Path, Wanted)> {
        match self {
            Self::Tree(root) | Self::Videos(root) => vec![(root, Wanted::Both)],
            Self::Apart { rgb, flow } => {
                let rgb = rgb.as_deref().map(|root| (root, Wanted::Rgb));
                rgb.into_iter().chain(flow.as_deref().map(|root| (root, Wanted::Flow))).collect()
            }
        }
    }
}

/// A tree whose layout is known and whose folders were found.
#[derive(Debug)]
pub struct Tree {
    layouts: Vec<Layout>,
    flow_count: FlowCount,
    folders: Vec<ClipFolders>,
    shown: String,
    found: Vec<String>,
}

/// What a scan found: one entry for each clip that was asked for, in the same order.
#[derive(Debug)]
pub struct Scan {
    /// One for each listed clip.
    pub clips: Vec<ScannedClip>,
    /// Clip folders that no list names.
    pub unlisted: usize,
    /// What is worth a word about the numbering, the counts, and what was skipped.
    pub notes: Vec<String>,
    /// Clips that are there and cannot be packed under their names.
    pub strangers: Vec<Skipped>,
}

/// One listed clip as the tree has it.
#[derive(Debug)]
pub struct ScannedClip {
    /// Its files, or why it cannot be packed.
    pub files: Result<FoundClip, Absence>,
    /// Frames of each stream for the plan, also of a clip that cannot be packed: as many as the highest number says.
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

impl Scan {
    /// What is wrong with the tree besides its listed clips: clips that no name can be made of, where no `lists` say which are
    /// asked for. With lists they are strangers, which a note counts.
    pub(crate) fn faults_of_strangers(&mut self, lists: bool) -> Vec<Skipped> {
        let strangers = std::mem::take(&mut self.strangers);
        if let (true, Some(first)) = (lists, strangers.first()) {
            self.notes.push(format!("{} clips cannot be in any list, such as {}", strangers.len(), first.reason));
            return Vec::new();
        }
        strangers
    }
}

/// What a clip is made from.
#[derive(Debug, Clone)]
pub enum FoundClip {
    /// Files of its images.
    Images(ClipFiles),
    /// A video.
    Video(VideoFile),
}

impl FoundClip {
    /// Size of the video; `None` for images.
    pub(crate) fn video_bytes(&self) -> Option<u64> {
        match self {
            Self::Images(_) => None,
            Self::Video(file) => Some(file.bytes),
        }
    }

    /// The video, or the folder and the name of the first images: what no two clips share.
    fn place(&self) -> Option<PathBuf> {
        match self {
            Self::Images(files) => files.streams.first()?.planes.first().map(|plane| plane.path(0)),
            Self::Video(file) => Some(file.path.clone()),
        }
    }

    /// Frames of one of the clip's streams; of a video as the container says.
    pub fn frames(&self, streams: &[StreamKind], stream: usize) -> u32 {
        match self {
            Self::Images(files) => files.streams[stream].frames,
            Self::Video(file) => videos::frames_of(streams[stream], file.frames),
        }
    }
}

/// The images of one clip.
#[derive(Debug, Clone)]
pub struct ClipFiles {
    /// One for each of [`Tree::streams`].
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

/// A clip folder with its class folder, for data sets whose classes are their folders.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassedFolder {
    /// Name of the class folder.
    pub class: String,
    /// Name of the clip folder.
    pub clip: String,
    /// The part that the folder around the classes names, such as `train/`.
    pub part: Option<Part>,
}

impl Tree {
    /// Finds the folders of a tree. Without a layout it is recognised.
    pub fn open(location: &Location, layout: Option<Layout>) -> Result<Self> {
        let roots = location.roots();
        if let Some((missing, _)) = roots.iter().find(|(root, _)| !root.is_dir()) {
            return Err(Error::Input(format!("{}: no such folder", missing.display())));
        }
        let mut tree = Self {
            layouts: Vec::new(),
            flow_count: FlowCount::OneLess,
            folders: Vec::new(),
            shown: location.shown(),
            found: Vec::new(),
        };
        for (root, wanted) in roots {
            let (source, folders, why) = match layout {
                None => recognise(root, wanted)?,
                Some(layout) => given(root, wanted, layout)?,
            };
            if layout.is_none() {
                tree.found.push(format!("{}: layout {}, for it has {why}", root.display(), source.layout().name()));
            }
            tree.layouts.push(source.layout());
            tree.flow_count = source.flow_count();
            tree.folders.extend(folders);
        }
        if let (Location::Tree(root), [only]) = (location, tree.streams().as_slice()) {
            tree.found.push(format!("{}: {} is packed alone", root.display(), only.name()));
        }
        Ok(tree)
    }

    /// The layout, given or recognised, for manifests; of streams apart in two layouts both.
    pub fn layout(&self) -> String {
        match self.layouts[..] {
            [rgb, flow] if rgb != flow => format!("rgb {}, flow {}", rgb.name(), flow.name()),
            _ => self.layouts.first().map_or_else(String::new, |layout| layout.name().to_owned()),
        }
    }

    /// What was recognised, and by what; empty where the layout was given.
    pub fn found(&self) -> &[String] {
        &self.found
    }

    /// The streams that are there: RGB before flow.
    pub fn streams(&self) -> Vec<StreamKind> {
        let planes = || self.folders.iter().flat_map(|folders| &folders.planes);
        let there = |kind: &StreamKind| planes().any(|plane| plane.stream == *kind);
        [StreamKind::Rgb, StreamKind::Flow].into_iter().filter(there).collect()
    }

    /// The tree as the user named it, for messages.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// All clip folders with their classes. An error where the layout has no class folders.
    pub fn classed_folders(&self) -> Result<Vec<ClassedFolder>> {
        let mut classed = Vec::new();
        let found = self.folders.first().map(ClipFolders::all).transpose()?;
        for folder in found.map_or_else(Vec::new, |(clips, _)| clips) {
            let Some(class) = folder.class else {
                return Err(Error::Input(format!(
                    "{}: layout {} has no class folders; name the classes in a CSV file (path,label,split) by --lists",
                    self.shown,
                    self.layout()
                )));
            };
            classed.push(ClassedFolder { class, clip: folder.name, part: None });
        }
        classed.sort_unstable();
        Ok(classed)
    }

    /// Lists the files of the clips that are asked for, several folders at a time. Nothing is read but folders.
    pub fn scan(&self, clips: &[ListedClip], watch: Watch<'_>) -> Result<Scan> {
        let scan = scan::scan(&self.folders, &self.streams(), self.flow_count, clips, watch)?;
        if scan.clips.iter().any(|clip| clip.nominal_frames.iter().any(|&n| n > 0)) {
            return Ok(scan);
        }
        let example = clips.first().map_or("", |clip| clip.id.as_str());
        let mut holds = "it holds no clip folders".to_owned();
        if let Some(folders) = self.folders.first()
            && let Some(folder) = folders.all()?.0.into_iter().map(|folder| folder.name).min()
        {
            holds = format!("it holds other folders, such as {folder}");
        }
        Err(Error::Input(format!(
            "none of the {} clips that the lists name (such as {example}) is under {}: {holds}; name the tree that these lists belong to",
            clips.len(),
            self.shown
        )))
    }
}
