//! Clip folders: where a layout keeps the images of its clips, and which folder belongs to which clip.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::numbering::{NameRule, list};
use crate::error::{Error, Result};
use crate::lists::{ListedClip, clip_key};
use crate::stream::StreamKind;

/// How deep the clip folders lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nesting {
    /// `v_X/`.
    Clips,
    /// `Class/v_X/`.
    Classes,
    /// `Class/NAME/v_X/`.
    ClassesWith(&'static str),
}

impl Nesting {
    /// As in documents.
    pub fn pattern(self) -> String {
        match self {
            Self::Clips => "v_X".into(),
            Self::Classes => "<Class>/v_X".into(),
            Self::ClassesWith(inner) => format!("<Class>/{inner}/v_X"),
        }
    }
}

/// One plane of a stream: x or y of flow, or RGB.
#[derive(Debug, Clone)]
pub(super) struct Plane {
    pub stream: StreamKind,
    /// As messages name it: `u`, `flow_x`, `RGB`.
    pub label: &'static str,
    pub name: NameRule,
}

/// A root under which each clip has a folder with the images of these planes.
#[derive(Debug, Clone)]
pub(super) struct ClipFolders {
    pub root: PathBuf,
    pub nesting: Nesting,
    pub planes: Vec<Plane>,
}

/// A clip folder that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClipFolder {
    /// Its own name.
    pub name: String,
    /// The class folder that it lies in, if the layout has these.
    pub class: Option<String>,
    pub path: PathBuf,
}

impl ClipFolders {
    /// All clip folders, in no order.
    pub fn all(&self) -> Result<Vec<ClipFolder>> {
        find_all(&self.root, self.nesting)
    }
}

/// All clip folders under a root, in no order.
pub(super) fn find_all(root: &Path, nesting: Nesting) -> Result<Vec<ClipFolder>> {
    let inner = match nesting {
        Nesting::Clips => {
            let clip = |name: String| ClipFolder { path: root.join(&name), name, class: None };
            return Ok(subfolders(root)?.map(clip).collect());
        }
        Nesting::Classes => None,
        Nesting::ClassesWith(inner) => Some(inner),
    };
    let mut clips = Vec::new();
    for class in subfolders(root)? {
        let folder = inner.map_or_else(|| root.join(&class), |inner| root.join(&class).join(inner));
        if inner.is_some() && !folder.is_dir() {
            continue;
        }
        let clip = |name: String| ClipFolder { path: folder.join(&name), name, class: Some(class.clone()) };
        clips.extend(subfolders(&folder)?.map(clip));
    }
    Ok(clips)
}

/// Names of the folders in `folder`, without hidden ones; files are ignored.
pub(super) fn subfolders(folder: &Path) -> Result<impl Iterator<Item = String>> {
    let fault = |e| Error::io(folder, "cannot list the folder")(e);
    let entries: Vec<_> = fs::read_dir(folder).map_err(fault)?.collect::<Result<_, _>>().map_err(fault)?;
    Ok(entries.into_iter().filter_map(|entry| {
        let kind = entry.file_type().ok()?;
        let is_folder = kind.is_dir() || kind.is_symlink() && entry.path().is_dir();
        let name = is_folder.then(|| entry.file_name().into_string().ok())??;
        (!name.starts_with('.')).then_some(name)
    }))
}

/// Folders that are looked into to recognise a layout, of classes and of clips in each.
const LOOKED_INTO: usize = 64;
/// Clip folders that hold something of the layout; more are not looked for.
const ENOUGH: usize = 8;

/// Some of the folders in `folder`, spread over their names, so that strays do not hide the rest.
fn some_subfolders(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut names: Vec<String> = subfolders(folder)?.collect();
    names.sort_unstable();
    let count = names.len().min(LOOKED_INTO);
    Ok((0..count).map(|i| folder.join(&names[i * names.len() / count])).collect())
}

/// Which of these names occur in some clip folders of a tree.
pub(super) fn sample(root: &Path, nesting: Nesting, names: &[NameRule]) -> Result<Vec<bool>> {
    let mut roots = vec![root.to_owned()];
    if nesting != Nesting::Clips {
        roots = some_subfolders(root)?;
        if let Nesting::ClassesWith(inner) = nesting {
            roots = roots.into_iter().map(|class| class.join(inner)).filter(|folder| folder.is_dir()).collect();
        }
    }
    let mut found = vec![false; names.len()];
    let mut of_layout = 0;
    for root in roots {
        for clip in some_subfolders(&root)? {
            let Ok(planes) = list(&clip, names) else { continue };
            of_layout += usize::from(planes.iter().any(Result::is_ok));
            for (found, plane) in found.iter_mut().zip(planes) {
                *found |= plane.is_ok();
            }
            if of_layout == ENOUGH {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// The clip folders of a root by the key of their names.
pub(super) struct FolderIndex {
    root: PathBuf,
    clips: HashMap<String, Vec<ClipFolder>>,
}

impl FolderIndex {
    pub fn read(folders: &ClipFolders) -> Result<Self> {
        let mut clips: HashMap<String, Vec<ClipFolder>> = HashMap::new();
        for clip in folders.all()? {
            clips.entry(clip_key(&clip.name)).or_default().push(clip);
        }
        if clips.is_empty() {
            return Err(Error::Input(format!(
                "{} holds no clip folders ({}/{}); unpack the frames, or name the folder that holds them",
                folders.root.display(),
                folders.nesting.pattern(),
                folders.planes.first().map_or_else(String::new, |plane| plane.name.pattern())
            )));
        }
        Ok(Self { root: folders.root.clone(), clips })
    }

    /// Keys of all folders.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.clips.keys()
    }

    /// The folder of a clip, `None` where there is none, or a fault in words.
    pub fn find(&self, clip: &ListedClip) -> Result<Option<&ClipFolder>, String> {
        let Some(folders) = self.clips.get(&clip_key(&clip.folder)) else { return Ok(None) };
        let in_class = |folder: &&ClipFolder| match (&folder.class, &clip.class_folder) {
            (Some(class), Some(wanted)) => class.eq_ignore_ascii_case(wanted),
            _ => false,
        };
        let mut of_class = folders.iter().filter(in_class);
        match (folders.as_slice(), of_class.next(), of_class.next()) {
            // Two listed clips of one name are told apart by their class folders only.
            ([only], None, _) if clip.id == clip.folder => Ok(Some(only)),
            (_, Some(only), None) => Ok(Some(only)),
            ([_], None, _) => Ok(None),
            _ => {
                let place = |folder: &ClipFolder| match &folder.class {
                    Some(class) => format!("{class}/{}", folder.name),
                    None => folder.name.clone(),
                };
                let mut places: Vec<String> = folders.iter().map(place).collect();
                places.sort_unstable();
                let same = folders.iter().all(|folder| folder.class.is_none());
                let how = if same { "differ in case only" } else { "are of one clip" };
                Err(format!("{}: folders {} {how}; keep one", self.root.display(), places.join(", ")))
            }
        }
    }
}
