//! Tests that simulate a failure at every step of a build: finished work is never lost, and
//! incomplete work never counts as complete.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clipshard::{Shard, VerifyDepth};
use ucfpack::pack::{BuildOptions, BuildReport, build_in};
use ucfpack::progress::{Progress, Watch};
use ucfpack::stored::Geometry;
use ucfpack::{Error, verify};

use crate::faulty::{Fault, Faulty};
use crate::pack::{files, options, pack};
use crate::tree::Tree;

/// Returns options that give several shards per stream. Flow keeps its source size, so that it
/// fills several, too.
fn small_shards(tree: &Tree, out: &Path) -> BuildOptions {
    let mut options = BuildOptions { shard_bytes: 450_000, ..options(tree.root(), &tree.lists(), out) };
    options.flow.geometry = Geometry::Source;
    options
}

fn build_on(faulty: &Faulty, options: &BuildOptions) -> Result<BuildReport, Error> {
    let watch = Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) };
    build_in(&faulty.storage(), options, watch)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

/// Returns the paths of all shards under a folder.
fn shards(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(shards(&path));
        } else if path.extension().is_some_and(|ending| ending == "clipshard") {
            found.push(path);
        }
    }
    found
}

#[cfg(unix)]
fn inode(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).unwrap().ino()
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Checks that every file with a shard's final name is complete.
fn assert_shards_whole(place: &Path, alternatives: &[&Files]) {
    for path in shards(place) {
        let name = PathBuf::from(path.file_name().unwrap());
        let bytes = fs::read(&path).unwrap();
        assert!(alternatives.iter().any(|files| files.get(&name) == Some(&bytes)), "{}", path.display());
        Shard::open(&path).unwrap();
    }
}

#[test]
fn cut_off_at_every_step_a_build_goes_on_to_the_same_bytes() {
    let tree = Tree::new();
    let home = tempfile::tempdir().unwrap();
    let reference = home.path().join("reference");
    pack(&small_shards(&tree, &reference)).unwrap();
    let reference = files(&reference);
    assert!(reference.len() >= 6, "{:?}", reference.keys());
    let mut most_kept = 0;
    for at in 1.. {
        let (place, aside) = (home.path().join(format!("place{at}")), home.path().join(format!("aside{at}")));
        fs::create_dir(&place).unwrap();
        let faulty = Faulty::new(Fault::PowerCut, at, &place, &aside);
        let outcome = build_on(&faulty, &small_shards(&tree, &place.join("out")));
        if faulty.steps() < at {
            outcome.unwrap();
            assert!(files(&place.join("out")) == reference);
            assert!(at > 30, "only {at} steps");
            break;
        }
        assert!(outcome.is_err(), "step {at} failed and the build did not notice");
        // The machine has restarted and finds only what was on the disk.
        assert_shards_whole(&aside, &[&reference]);
        let out = aside.join("out");
        if out.exists() {
            assert!(files(&out) == reference, "step {at}");
        } else {
            let error = pack(&small_shards(&tree, &out));
            // Without finished shards, a new build starts; with some, it refuses.
            assert_eq!(error.is_err(), !shards(&aside).is_empty() && !out.exists(), "step {at}");
        }
        let finished: Vec<(PathBuf, u64)> =
            shards(&aside).into_iter().map(|path| (path.clone(), inode(&path))).collect();
        let report = pack(&BuildOptions { resume: true, ..small_shards(&tree, &out) }).unwrap();
        assert_eq!(report.clips, 6);
        assert!(files(&out) == reference, "step {at}");
        assert_eq!(names(&aside), ["out"], "step {at}");
        for (path, number) in &finished {
            assert_eq!(inode(&out.join(path.file_name().unwrap())), *number, "{} was made again", path.display());
        }
        most_kept = most_kept.max(finished.len());
        fs::remove_dir_all(place).unwrap();
        fs::remove_dir_all(aside).unwrap();
    }
    assert_eq!(most_kept, reference.len() - 1);
}

#[test]
fn cut_off_at_every_step_an_overwriting_build_leaves_the_old_or_the_new() {
    let tree = Tree::new();
    let home = tempfile::tempdir().unwrap();
    let new = home.path().join("new");
    pack(&small_shards(&tree, &new)).unwrap();
    let new = files(&new);
    let old_options = |out: &Path| options(tree.root(), &tree.lists(), out);
    let old = home.path().join("old");
    pack(&old_options(&old)).unwrap();
    let old = files(&old);
    for at in 1.. {
        let (place, aside) = (home.path().join(format!("place{at}")), home.path().join(format!("aside{at}")));
        fs::create_dir(&place).unwrap();
        pack(&old_options(&place.join("out"))).unwrap();
        let faulty = Faulty::new(Fault::PowerCut, at, &place, &aside);
        let overwrite = |out: &Path| BuildOptions { overwrite: true, ..small_shards(&tree, out) };
        let outcome = build_on(&faulty, &overwrite(&place.join("out")));
        if faulty.steps() < at {
            outcome.unwrap();
            break;
        }
        let out = aside.join("out");
        let there = files(&out);
        assert!(there == old || there == new, "step {at}");
        assert_shards_whole(&aside, &[&old, &new]);
        pack(&BuildOptions { resume: true, ..overwrite(&out) }).unwrap();
        assert!(files(&out) == new, "step {at}");
        assert_eq!(names(&aside), ["out"], "step {at}");
        fs::remove_dir_all(place).unwrap();
        fs::remove_dir_all(aside).unwrap();
    }
}

#[test]
fn no_space_or_a_failure_at_any_step_is_an_error_from_which_a_build_goes_on() {
    let tree = Tree::new();
    let home = tempfile::tempdir().unwrap();
    let reference = home.path().join("reference");
    pack(&small_shards(&tree, &reference)).unwrap();
    let reference = files(&reference);
    for fault in [Fault::NoSpace, Fault::Once] {
        for at in 1.. {
            let place = home.path().join(format!("{fault:?}{at}"));
            fs::create_dir(&place).unwrap();
            let faulty = Faulty::new(fault, at, &place, &place);
            let out = place.join("out");
            let outcome = build_on(&faulty, &small_shards(&tree, &out));
            if faulty.steps() < at {
                outcome.unwrap();
                break;
            }
            let error = outcome.expect_err("a failed step went unnoticed").to_string();
            if !out.exists() {
                let finished = shards(&place).len();
                assert_eq!(error.contains("`resume`"), finished > 0, "step {at}: {error}");
                assert!(!error.contains("`resume`") || error.contains(&format!("{finished} finished")), "{error}");
                assert_eq!(names(&place).is_empty(), finished == 0, "step {at}: {:?}", names(&place));
            }
            assert_shards_whole(&place, &[&reference]);
            pack(&BuildOptions { resume: true, ..small_shards(&tree, &out) }).unwrap();
            assert!(files(&out) == reference, "{fault:?} at step {at}");
            assert_eq!(names(&place), ["out"]);
            fs::remove_dir_all(place).unwrap();
        }
    }
}

#[test]
fn short_writes_change_nothing() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    pack(&small_shards(&tree, &place.path().join("reference"))).unwrap();
    let faulty = Faulty::new(Fault::ShortWrites, 0, place.path(), place.path());
    build_on(&faulty, &small_shards(&tree, &place.path().join("short"))).unwrap();
    assert!(faulty.steps() > 500, "{}", faulty.steps());
    assert!(files(&place.path().join("short")) == files(&place.path().join("reference")));
    let report = verify::verify(&place.path().join("short"), VerifyDepth::Deep, &Progress::hidden()).unwrap();
    assert!(report.damage.is_empty(), "{:?}", report.damage);
}
