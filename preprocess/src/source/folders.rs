//! Clip folders: where a layout keeps the images of its clips, and which folder belongs to which
//! clip.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::numbering::{NameRule, list};
use super::strangers::{Strangers, is_hidden, none_can_be_packed};
use crate::error::{Error, Result};
use crate::lists::{ListedClip, clip_key, same_name};
use crate::stream::StreamKind;

/// The depth of clip folders below the root.
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
    /// Returns the pattern of a clip folder's path, as documents spell it.
    pub fn pattern(self) -> String {
        match self {
            Self::Clips => "v_X".into(),
            Self::Classes => "<Class>/v_X".into(),
            Self::ClassesWith(inner) => format!("<Class>/{inner}/v_X"),
        }
    }
}

/// One plane of a stream: RGB, or x or y of flow.
#[derive(Debug, Clone)]
pub(super) struct Plane {
    pub stream: StreamKind,
    /// Name in messages: `u`, `flow_x`, `RGB`.
    pub label: &'static str,
    pub name: NameRule,
}

/// A root folder in which each clip has a folder with the images of these planes.
#[derive(Debug, Clone)]
pub(super) struct ClipFolders {
    pub root: PathBuf,
    pub nesting: Nesting,
    pub planes: Vec<Plane>,
}

/// A clip folder that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClipFolder {
    /// Name of the folder.
    pub name: String,
    /// The class folder that holds it, if the layout has class folders.
    pub class: Option<String>,
    pub path: PathBuf,
}

impl ClipFolders {
    /// Returns all clip folders in no particular order, and the other entries.
    pub fn all(&self) -> Result<(Vec<ClipFolder>, Strangers)> {
        find_all(&self.root, self.nesting)
    }
}

/// Returns all clip folders under a root in no particular order, and the other entries.
fn find_all(root: &Path, nesting: Nesting) -> Result<(Vec<ClipFolder>, Strangers)> {
    let mut strangers = Strangers::default();
    let (mut clips, inner) = (
        Vec::new(),
        match nesting {
            Nesting::Clips | Nesting::Classes => None,
            Nesting::ClassesWith(inner) => Some(inner),
        },
    );
    let names = subfolders(root, &mut strangers).map_err(Error::io(root, "cannot list the folder"))?;
    if nesting == Nesting::Clips {
        let clip = |name: String| ClipFolder { path: root.join(&name), name, class: None };
        return Ok((names.into_iter().map(clip).collect(), strangers));
    }
    for class in names {
        let folder = inner.map_or_else(|| root.join(&class), |inner| root.join(&class).join(inner));
        if inner.is_some() && !folder.is_dir() {
            continue;
        }
        match subfolders(&folder, &mut strangers) {
            Ok(names) => clips.extend(names.into_iter().map(|name| ClipFolder {
                path: folder.join(&name),
                name,
                class: Some(class.clone()),
            })),
            Err(error) => strangers.add_unreadable(&folder, error)?,
        }
    }
    Ok((clips, strangers))
}

/// Returns the names of the visible folders in `folder`. Files are ignored.
fn subfolders(folder: &Path, strangers: &mut Strangers) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        if !(kind.is_dir() || kind.is_symlink() && path.is_dir()) {
            continue;
        }
        match entry.file_name().into_string() {
            Ok(name) if is_hidden(&name) => strangers.add_hidden(&path),
            Ok(name) => names.push(name),
            Err(_) => strangers.add_unnamed(&path),
        }
    }
    Ok(names)
}

/// Number of folders that are examined to recognise a layout, both of classes and of clips per
/// class.
const LOOKED_INTO: usize = 64;
/// Number of matching clip folders after which the search ends.
const ENOUGH: usize = 8;

/// Returns some of the folders in `folder`, spread over the sorted names, so that a few unrelated
/// folders do not hide the rest.
fn some_subfolders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = subfolders(folder, &mut Strangers::default())?;
    names.sort_unstable();
    let count = names.len().min(LOOKED_INTO);
    Ok((0..count).map(|i| folder.join(&names[i * names.len() / count])).collect())
}

/// Returns which of these names occur in a sample of the clip folders of a tree.
pub(super) fn sample(root: &Path, nesting: Nesting, names: &[NameRule]) -> Result<Vec<bool>> {
    let mut roots = vec![root.to_owned()];
    if nesting != Nesting::Clips {
        roots = some_subfolders(root).map_err(Error::io(root, "cannot list the folder"))?;
        if let Nesting::ClassesWith(inner) = nesting {
            roots = roots.into_iter().map(|class| class.join(inner)).filter(|folder| folder.is_dir()).collect();
        }
    }
    let mut found = vec![false; names.len()];
    let mut of_layout = 0;
    for folder in roots {
        let clips = match some_subfolders(&folder) {
            Ok(clips) => clips,
            Err(error) if folder == *root => return Err(Error::io(root, "cannot list the folder")(error)),
            // An unreadable class folder says nothing about the others.
            Err(_) => continue,
        };
        for clip in clips {
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

/// The clip folders of a root, by the [`clip_key`] of their names.
pub(super) struct FolderIndex {
    root: PathBuf,
    clips: HashMap<String, Vec<ClipFolder>>,
    /// Other entries under the root.
    pub strangers: Strangers,
}

impl FolderIndex {
    pub fn read(folders: &ClipFolders) -> Result<Self> {
        let mut clips: HashMap<String, Vec<ClipFolder>> = HashMap::new();
        let (found, strangers) = folders.all()?;
        for clip in found {
            clips.entry(clip_key(&clip.name)).or_default().push(clip);
        }
        if clips.is_empty() {
            if let Some(error) = none_can_be_packed(&folders.root, &strangers) {
                return Err(error);
            }
            return Err(Error::input(format!(
                "{} has no clip folders ({}/{}); unpack the frames, or choose the folder that contains them",
                folders.root.display(),
                folders.nesting.pattern(),
                folders.planes.first().map_or_else(String::new, |plane| plane.name.pattern())
            )));
        }
        Ok(Self { root: folders.root.clone(), clips, strangers })
    }

    /// Returns the keys of all folders.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.clips.keys()
    }

    /// Returns the folder of a clip, or `None` if there is none. The error is a message.
    pub fn find(&self, clip: &ListedClip) -> Result<Option<&ClipFolder>, String> {
        let Some(folders) = self.clips.get(&clip_key(&clip.folder)) else { return Ok(None) };
        let in_class = |folder: &&ClipFolder| match (&folder.class, &clip.class_folder) {
            (Some(class), Some(wanted)) => same_name(class, wanted),
            _ => false,
        };
        let mut of_class = folders.iter().filter(in_class);
        match (folders.as_slice(), of_class.next(), of_class.next()) {
            // Only their class folders distinguish two listed clips with the same name.
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
                let how = if same { "differ only in case" } else { "belong to the same clip" };
                Err(format!("{}: the folders {} {how}; keep one of them", self.root.display(), places.join(", ")))
            }
        }
    }
}
