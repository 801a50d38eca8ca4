//! Tests of continuing an unfinished build, which requires the same command and tree.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use ucfpack::pack::{BuildOptions, build_in};
use ucfpack::progress::{Progress, Watch};
use ucfpack::stored::Geometry;

use crate::faulty::{Fault, Faulty};
use crate::pack::{files, options, pack};
use crate::tree::{CLIPS, Tree};

fn small_shards(tree: &Tree, out: &Path) -> BuildOptions {
    let mut options = BuildOptions { shard_bytes: 450_000, ..options(tree.root(), &tree.lists(), out) };
    options.flow.geometry = Geometry::Source;
    options
}

/// Interrupts a build when about half of its shards are finished.
fn cut_off(options: &BuildOptions) {
    let place = options.out.parent().unwrap();
    let faulty = Faulty::new(Fault::NoSpace, 20, place, place);
    let watch = Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) };
    let error = build_in(&faulty.storage(), options, watch).unwrap_err().to_string();
    assert!(error.contains("finished") && error.contains("`resume`"), "{error}");
}

fn finished(place: &Path) -> usize {
    let set = place.join(".out.partial/set");
    fs::read_dir(set).map_or(0, |entries| {
        entries.filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|e| e == "clipshard")).count()
    })
}

#[test]
fn another_command_or_tree_is_refused_with_the_difference() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let options = small_shards(&tree, &out);
    cut_off(&options);
    assert!(finished(place.path()) > 0);
    let refused = |options: BuildOptions, words: &str| {
        let error = pack(&BuildOptions { resume: true, ..options }).unwrap_err().to_string();
        assert!(error.contains("cannot resume ") && error.contains(words), "expected {words:?} in: {error}");
    };
    let mut other = options.clone();
    other.flow.level = 3;
    refused(other, "`level` is 3, but was 9");
    refused(BuildOptions { shard_bytes: 450_001, ..options.clone() }, "`shard_bytes` is 450001, but was 450000");
    refused(
        BuildOptions { classes: Some(vec!["Rowing".into()]), ..options.clone() },
        "the class list (`classes`, `lists`) is Rowing, but was Archery,HandstandPushups,Rowing",
    );
    let lost = tree.path(&format!("jpegs_256/{}/frame000014.jpg", CLIPS[5]));
    let bytes = fs::read(&lost).unwrap();
    fs::remove_file(&lost).unwrap();
    refused(BuildOptions { keep_going: true, ..options.clone() }, "clip v_Rowing_g08_c01 has");
    fs::write(lost, bytes).unwrap();
    let asked = pack(&options).unwrap_err();
    assert!(
        asked.is_usage() && asked.to_string().contains("continue it with `resume`, or start again with `overwrite`"),
        "{asked}"
    );
    // The number of threads may differ, and starting again is possible.
    pack(&BuildOptions { resume: true, jobs: 1, readers: 1, ..options.clone() }).unwrap();
    let whole = files(&out);
    fs::remove_dir_all(&out).unwrap();
    cut_off(&options);
    pack(&BuildOptions { overwrite: true, ..options.clone() }).unwrap();
    assert!(files(&out) == whole);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
}

#[test]
fn what_is_whole_already_is_left_alone() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let options = small_shards(&tree, &out);
    // Without an earlier build, a resumed build is a new one.
    let built = pack(&BuildOptions { resume: true, ..options.clone() }).unwrap();
    let again = pack(&BuildOptions { resume: true, ..options.clone() }).unwrap();
    assert_eq!((again.clips, &again.records, again.bytes_out), (built.clips, &built.records, built.bytes_out));
    assert!(again.notes.iter().any(|note| note.contains("is already complete")), "{:?}", again.notes);
    let mut other = options;
    other.flow.level = 3;
    let error = pack(&BuildOptions { resume: true, ..other }).unwrap_err();
    assert!(
        error.is_usage() && error.to_string().contains("exists, but was packed differently: `level` is 3, but was 9; "),
        "{error}"
    );
}

#[test]
fn clips_that_were_left_out_stay_out_and_are_named_again() {
    let tree = Tree::new();
    let damaged = tree.path(&format!("tvl1_flow/v/{}/frame000003.jpg", CLIPS[0]));
    let whole = fs::read(&damaged).unwrap();
    fs::write(&damaged, "").unwrap();
    let place = tempfile::tempdir().unwrap();
    let keep_going = |out: &Path| BuildOptions { keep_going: true, ..small_shards(&tree, out) };
    let reference = pack(&keep_going(&place.path().join("reference"))).unwrap();
    let out = place.path().join("out");
    cut_off(&keep_going(&out));
    // The clip was fixed, but the finished shard still lacks it. Packing it needs a new build.
    fs::write(&damaged, &whole).unwrap();
    let error = pack(&BuildOptions { resume: true, ..keep_going(&out) }).unwrap_err().to_string();
    assert!(error.contains("is complete now, but was skipped when"), "{error}");
    fs::write(&damaged, "").unwrap();
    let report = pack(&BuildOptions { resume: true, ..keep_going(&out) }).unwrap();
    assert_eq!(report.skipped, reference.skipped);
    assert!(report.skipped[0].reason.contains("the file is empty"), "{:?}", report.skipped);
    assert!(files(&out) == files(&place.path().join("reference")));
}

#[test]
fn a_clip_that_broke_after_its_shard_was_finished_is_named() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let options = BuildOptions { keep_going: true, ..small_shards(&tree, &out) };
    cut_off(&options);
    // The RGB shard of a clip is finished, but its flow shard is not.
    let set = place.path().join(".out.partial/set");
    for number in 0..9 {
        let _ = fs::remove_file(set.join(format!("flow-{number:05}.clipshard")));
    }
    assert!(finished(place.path()) > 0);
    fs::write(tree.path(&format!("tvl1_flow/v/{}/frame000003.jpg", CLIPS[0])), "").unwrap();
    let error = pack(&BuildOptions { resume: true, ..options }).unwrap_err().to_string();
    assert!(error.contains("it was complete when rgb-00000.clipshard was packed"), "{error}");
}

#[test]
fn strays_in_an_unfinished_build_are_not_carried_over() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let (out, reference) = (place.path().join("out"), place.path().join("reference"));
    pack(&small_shards(&tree, &reference)).unwrap();
    cut_off(&small_shards(&tree, &out));
    let set = place.path().join(".out.partial/set");
    fs::write(set.join("rgb-00099.clipshard"), "x").unwrap();
    fs::create_dir(set.join("notes")).unwrap();
    pack(&BuildOptions { resume: true, ..small_shards(&tree, &out) }).unwrap();
    assert!(files(&out) == files(&reference));
}

#[test]
fn two_builds_of_one_place_do_not_meet() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let lock = fs::File::create(place.path().join(".out.lock")).unwrap();
    lock.lock().unwrap();
    let error = pack(&small_shards(&tree, &out)).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("another ucfpack process is writing"), "{error}");
    drop(lock);
    pack(&small_shards(&tree, &out)).unwrap();
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
}
