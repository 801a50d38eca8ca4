//! A frame tree with a known layout.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::Path;

use super::folders::{ClipFolders, Nesting};
use super::found::Scan;
use super::layout::{FlowCount, Layout};
use super::location::Location;
use super::recognise::{given, recognise};
use super::scan;
use crate::error::{Error, Problem, Result, Setting};
use crate::lists::{ClassedFolder, ListedClip, clip_key};
use crate::progress::Watch;
use crate::stream::StreamKind;

/// A frame tree with a known layout.
#[derive(Debug)]
pub struct Tree {
    layouts: Vec<Layout>,
    flow_count: FlowCount,
    folders: Vec<ClipFolders>,
    shown: String,
    found: Vec<String>,
}

impl Tree {
    /// Finds the folders of a tree. `None` recognises the layout.
    ///
    /// # Errors
    /// Returns [`Error::Input`] if a folder is missing or no layout fits, and [`Error::Usage`] if
    /// several layouts fit.
    pub fn open(location: &Location, layout: Option<Layout>) -> Result<Self> {
        let roots = location.roots();
        if let Some((missing, _)) = roots.iter().find(|(root, _)| !root.is_dir()) {
            return Err(Error::input(format!("{}: no such folder", missing.display())));
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
                tree.found.push(format!("{}: layout {}, recognised by {why}", root.display(), source.layout().name()));
            }
            tree.layouts.push(source.layout());
            tree.flow_count = source.flow_count();
            tree.folders.extend(folders);
        }
        if let (Location::Tree(root), [only]) = (location, tree.streams().as_slice()) {
            tree.found.push(format!("{}: only {} is packed", root.display(), only.name()));
        }
        Ok(tree)
    }

    /// Returns the given or recognised layout for the manifest. If the streams have different
    /// layouts, it names both.
    pub fn layout(&self) -> String {
        match self.layouts[..] {
            [rgb, flow] if rgb != flow => format!("rgb {}, flow {}", rgb.name(), flow.name()),
            _ => self.layouts.first().map_or_else(String::new, |layout| layout.name().to_owned()),
        }
    }

    /// Returns remarks about what was recognised and why. They are empty if the layout was given.
    pub fn found(&self) -> &[String] {
        &self.found
    }

    /// Returns the existing streams, RGB before flow.
    pub fn streams(&self) -> Vec<StreamKind> {
        let planes = || self.folders.iter().flat_map(|folders| &folders.planes);
        let there = |kind: &StreamKind| planes().any(|plane| plane.stream == *kind);
        [StreamKind::Rgb, StreamKind::Flow].into_iter().filter(there).collect()
    }

    /// Returns the tree as the user named it, for messages.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Returns all clip folders with their classes.
    ///
    /// # Errors
    /// Returns [`Error::Input`] if the layout has no class folders.
    pub fn classed_folders(&self) -> Result<Vec<ClassedFolder>> {
        let mut classed = Vec::new();
        let found = self.folders.first().map(ClipFolders::all).transpose()?;
        for folder in found.map_or_else(Vec::new, |(clips, _)| clips) {
            let Some(class) = folder.class else {
                return Err(Error::input(
                    Problem::from(format!(
                        "{}: the layout {} has no class folders; list the clips in a CSV file (path,label,split) and \
                         pass it with ",
                        self.shown,
                        self.layout()
                    ))
                    .name(Setting::Lists),
                ));
            };
            classed.push(ClassedFolder { class, clip: folder.name, subset: None });
        }
        classed.sort_unstable();
        Ok(classed)
    }

    /// Returns the [`clip_key`] of the names of all clip folders.
    pub(super) fn clip_keys(&self) -> Result<HashSet<String>> {
        let Some(folders) = self.folders.first() else { return Ok(HashSet::new()) };
        Ok(folders.all()?.0.iter().map(|folder| clip_key(&folder.name)).collect())
    }

    /// Returns the name of the class folder that holds a clip folder, if the layout has class
    /// folders.
    pub(super) fn class_folder<'p>(&self, clip: &'p Path) -> Option<&'p OsStr> {
        match self.folders.first()?.nesting {
            Nesting::Clips => None,
            Nesting::Classes => clip.parent()?.file_name(),
            Nesting::ClassesWith(_) => clip.parent()?.parent()?.file_name(),
        }
    }

    /// Lists the files of the wanted clips in parallel. Reads folders only, no files.
    ///
    /// # Errors
    /// Returns [`Error::Input`] if none of the clips exists.
    pub fn scan(&self, clips: &[ListedClip], watch: Watch<'_>) -> Result<Scan> {
        let scan = scan::scan(&self.folders, &self.streams(), self.flow_count, clips, watch)?;
        if scan.clips.iter().any(|clip| clip.nominal_frames.iter().any(|&n| n > 0)) {
            return Ok(scan);
        }
        let example = clips.first().map_or("", |clip| clip.id.as_str());
        let mut holds = "it has no clip folders".to_owned();
        if let Some(folders) = self.folders.first()
            && let Some(folder) = folders.all()?.0.into_iter().map(|folder| folder.name).min()
        {
            holds = format!("it has other folders, such as {folder}");
        }
        Err(Error::input(format!(
            "{} has none of the {} clips in the lists, such as {example}; {holds}; use the tree that belongs to \
             these lists",
            self.shown,
            clips.len()
        )))
    }
}
