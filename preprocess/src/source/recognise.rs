//! Which layout a folder has.

use std::path::Path;

use super::folders::ClipFolders;
use super::layout::{Finding, Layout, Source, Wanted};
use super::{feichtenhofer, gpu_flow, jeffreyyihuang, mmaction2, tsn};
use crate::error::{Error, Result};

/// All layouts, in the order in which they are tried.
const SOURCES: [&dyn Source; 5] = [
    &feichtenhofer::Feichtenhofer,
    &gpu_flow::GpuFlow,
    &jeffreyyihuang::Jeffreyyihuang,
    &tsn::Tsn,
    &mmaction2::Mmaction2,
];

pub(super) type Recognised = (&'static dyn Source, Vec<ClipFolders>, String);

/// The one layout that a root has.
pub(super) fn recognise(root: &Path, wanted: Wanted) -> Result<Recognised> {
    let (mut trees, mut broken, mut others): (Vec<Recognised>, Vec<String>, Vec<String>) = Default::default();
    for source in SOURCES {
        match source.find(root, wanted)? {
            Finding::Tree { folders, why } => {
                // Streams apart may be of either sibling; the folder that both mean is the same.
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
        return Err(Error::Usage(format!(
            "{} looks like {}; say which by --layout",
            root.display(),
            seen.join(" and like ")
        )));
    }
    if let Some(tree) = trees.pop() {
        return Ok(tree);
    }
    if let Some(sentence) = broken.into_iter().next() {
        return Err(Error::Input(sentence));
    }
    Err(Error::Input(unknown(root, wanted, &others)))
}

fn unknown(root: &Path, wanted: Wanted, lacks: &[String]) -> String {
    let (streams, option) = match wanted {
        Wanted::Both => {
            ("frames and flow", "--tree wants the folder that holds them, or name them by --rgb and --flow")
        }
        Wanted::Rgb => ("frames", "--rgb wants the folder that holds them"),
        Wanted::Flow => ("flow", "--flow wants the folder that holds it"),
    };
    format!("{} holds no {streams} in a known layout ({}); {option}", root.display(), lacks.join("; "))
}

/// The folders of a root whose layout was given.
pub(super) fn given(root: &Path, wanted: Wanted, layout: Layout) -> Result<Recognised> {
    let Some(source) = SOURCES.into_iter().find(|source| source.layout() == layout) else {
        return Err(Error::Usage(format!("no layout {}", layout.name())));
    };
    match source.find(root, wanted)? {
        Finding::Tree { folders, why } => Ok((source, folders, why)),
        Finding::Broken(sentence) => Err(Error::Input(sentence)),
        Finding::Other(lack) => {
            Err(Error::Input(unknown(root, wanted, &[format!("{}: {lack}", source.layout().name())])))
        }
    }
}
