//! Errors of `ucfpack`.

use std::fs;
use std::path::Path;

use whole_program_tests::{args, run};

use crate::snapshot::{Case, check};

const INTRODUCTION: &str = "\
Errors of ucfpack, as a user sees them. tests/tests/errors/ucfpack.rs provokes each of them in a folder of its own, DIR, with
a frame tree (tree/), its lists (tree/lists/) and a dataset that was packed from it (packed/).
Written by: UPDATE_SNAPSHOTS=1 cargo test --workspace --test errors";

/// The command that packs the tree.
const BUILD: &str = "ucfpack build --tree tree --lists tree/lists --out out";

/// The folder that each case finds: a tree of 4 classes with 4 clips each, and the packed dataset.
fn shared(dir: &Path) {
    run("ucfpack", &args(dir, "synth --out {}/tree --classes 4 --clips 4 --size 32x24")).ok();
    run("ucfpack", &args(dir, "build --tree {}/tree --lists {}/tree/lists --out {}/packed --flow-size 16")).ok();
}

#[test]
fn errors_of_ucfpack() {
    let shared_dir = tempfile::tempdir().unwrap();
    shared(shared_dir.path());
    let cases = vec![
        Case::new("A path with a typing error", "ucfpack build --tree UFC101 --lists tree/lists --out out"),
        Case::new("The output exists", "ucfpack build --tree tree --lists tree/lists --out packed"),
        Case::new("The lists are missing", "ucfpack build --tree tree --out out"),
        Case::new("One frame is missing", BUILD)
            .prepare(|dir| fs::remove_file(first_clip(dir).join("frame000003.jpg")).unwrap()),
        Case::new("A frame is a text file", BUILD)
            .prepare(|dir| fs::write(first_clip(dir).join("frame000003.jpg"), "hello").unwrap()),
    ];
    check("ucfpack-errors.txt", INTRODUCTION, shared_dir.path(), &cases);
}

/// The RGB folder of the first clip of the tree.
fn first_clip(dir: &Path) -> std::path::PathBuf {
    let mut clips: Vec<_> = fs::read_dir(dir.join("tree/jpegs_256")).unwrap().map(|e| e.unwrap().path()).collect();
    clips.sort();
    clips.swap_remove(0)
}
