//! Recognises the layout of a folder.

use std::path::Path;

use super::folders::ClipFolders;
use super::layout::{Finding, Layout, Source, Wanted};
use super::{feichtenhofer, gpu_flow, jeffreyyihuang, mmaction2, tsn};
use crate::error::{Error, Problem, Result, Setting};

/// All layouts, in the order in which they are tried.
const SOURCES: [&dyn Source; 5] = [
    &feichtenhofer::Feichtenhofer,
    &gpu_flow::GpuFlow,
    &jeffreyyihuang::Jeffreyyihuang,
    &tsn::Tsn,
    &mmaction2::Mmaction2,
];

pub(super) type Recognised = (&'static dyn Source, Vec<ClipFolders>, String);

/// Returns the only layout that fits a root. Several fitting layouts are an error.
pub(super) fn recognise(root: &Path, wanted: Wanted) -> Result<Recognised> {
    let (mut trees, mut broken, mut others): (Vec<Recognised>, Vec<Problem>, Vec<String>) = Default::default();
    for source in SOURCES {
        match source.find(root, wanted)? {
            Finding::Tree { folders, why } => {
                // A root of a single stream may fit two similar layouts. If both mean the same
                // folder, one is enough.
                let known = |(_, other, _): &Recognised| other.iter().zip(&folders).all(|(a, b)| a.root == b.root);
                if wanted == Wanted::Both || !trees.iter().any(known) {
                    trees.push((source, folders, why));
                }
            }
            Finding::Broken(sentence) => broken.push(sentence),
            Finding::Other(lack) => others.push(format!("{}: {lack}", source.layout().name())),
        }
    }
    if trees.len() > 1 {
        let seen: Vec<_> = trees.iter().map(|(source, _, why)| format!("{} ({why})", source.layout().name())).collect();
        return Err(Error::usage(
            Problem::from(format!("{} has the layouts {}; choose one with ", root.display(), seen.join(" and ")))
                .name(Setting::Layout),
        ));
    }
    if let Some(tree) = trees.pop() {
        return Ok(tree);
    }
    if let Some(sentence) = broken.into_iter().next() {
        return Err(Error::input(sentence));
    }
    Err(Error::input(unknown(root, wanted, &others)))
}

fn unknown(root: &Path, wanted: Wanted, lacks: &[String]) -> Problem {
    let (streams, setting, wants) = match wanted {
        Wanted::Both => {
            ("frames and flow", Setting::Tree, " must be the folder that contains them; for one stream, use ")
        }
        Wanted::Rgb => ("frames", Setting::Rgb, " must be the folder that contains them"),
        Wanted::Flow => ("flow", Setting::Flow, " must be the folder that contains it"),
    };
    let lacks = lacks.join("; ");
    let problem = Problem::from(format!("{} has no {streams} in a known layout ({lacks}); ", root.display()));
    let problem = problem.name(setting).then(wants);
    match wanted {
        Wanted::Both => problem.name(Setting::Rgb).then(" or ").name(Setting::Flow),
        Wanted::Rgb | Wanted::Flow => problem,
    }
}

/// Returns the folders of a root whose layout is given.
pub(super) fn given(root: &Path, wanted: Wanted, layout: Layout) -> Result<Recognised> {
    let Some(source) = SOURCES.into_iter().find(|source| source.layout() == layout) else {
        return Err(Error::usage(format!("no layout {}", layout.name())));
    };
    match source.find(root, wanted)? {
        Finding::Tree { folders, why } => Ok((source, folders, why)),
        Finding::Broken(sentence) => Err(Error::input(sentence)),
        Finding::Other(lack) => {
            let name = source.layout().name();
            let problem =
                Problem::from(format!("{} does not have the layout {name}: {lack}; choose another ", root.display()));
            Err(Error::input(problem.name(Setting::Layout)))
        }
    }
}
