//! Tests of the groups of a CSV file, which shards and manifest must keep through parts, resumed
//! builds, repairs and exports.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use clipshard::{Dataset, MANIFEST_FILE};
use ucfpack::export::{ExportOptions, PixelFormat, export};
use ucfpack::pack::Part;
use ucfpack::pack::{BuildOptions, DatasetKind, build_in};
use ucfpack::pack::{MergeOptions, merge};
use ucfpack::progress::{Progress, Watch};
use ucfpack::verify::{Rebuilt, rebuild_manifest};

use crate::faulty::{Fault, Faulty};
use crate::pack::{files, options, pack};
use crate::tree::{CLIPS, Tree};

const GROUPS: [Option<&str>; 6] = [Some("7"), Some("Jürgen, \"2nd\" take"), None, Some("7"), Some("8"), None];

/// Writes a CSV file with or without the column of groups.
fn csv(tree: &Tree, name: &str, with_groups: bool) -> PathBuf {
    let path = tree.path(name);
    let mut rows = csv::WriterBuilder::new().flexible(true).from_path(&path).unwrap();
    for (i, (clip, group)) in CLIPS.into_iter().zip(GROUPS).enumerate() {
        let row = [clip, ["arch", "hand", "row"][i / 2], ["train", "test", "val"][i % 3], group.unwrap_or_default()];
        rows.write_record(&row[..if with_groups { 4 } else { 3 }]).unwrap();
    }
    rows.flush().unwrap();
    path
}

fn custom(tree: &Tree, csv: &Path, out: &Path) -> BuildOptions {
    let options = options(tree.root(), csv, out);
    BuildOptions { dataset: DatasetKind::Custom, shard_bytes: 300_000, ..options }
}

fn watch<'a>(progress: &'a Progress, cancel: &'a AtomicBool) -> Watch<'a> {
    Watch { progress, cancel }
}

fn expected() -> BTreeMap<String, String> {
    CLIPS.into_iter().zip(GROUPS).filter_map(|(clip, group)| Some((clip.into(), group?.into()))).collect()
}

fn parts(place: &Path, change: impl Fn(BuildOptions) -> BuildOptions, tree: &Tree, csv: &Path) -> Vec<PathBuf> {
    let make = |number| {
        let out = place.join(format!("part{number}"));
        let part = Some(Part { number, of: 2 });
        pack(&change(BuildOptions { part, ..custom(tree, csv, &out) })).unwrap();
        out
    };
    (1..=2).map(make).collect()
}

#[test]
fn groups_are_the_same_by_parts_after_a_resume_and_after_a_repair() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let (progress, cancel) = (Progress::hidden(), AtomicBool::new(false));
    let csv = csv(&tree, "clips.csv", true);
    let out = place.path().join("out");
    let whole = custom(&tree, &csv, &out);
    pack(&whole).unwrap();
    assert_eq!(Dataset::open(&out).unwrap().manifest().groups, expected());
    let single = files(&out);

    let parts = parts(place.path(), |options| options, &tree, &csv);
    let merged = place.path().join("merged");
    merge(&MergeOptions { out: merged.clone(), parts, overwrite: false }, watch(&progress, &cancel)).unwrap();
    assert!(files(&merged) == single);

    fs::remove_file(merged.join(MANIFEST_FILE)).unwrap();
    assert_eq!(rebuild_manifest(&merged).unwrap(), Rebuilt::Written { notes: vec![] });
    assert!(files(&merged) == single);

    fs::remove_dir_all(&out).unwrap();
    let faulty = Faulty::new(Fault::NoSpace, 20, place.path(), place.path());
    build_in(&faulty.storage(), &whole, watch(&progress, &cancel)).unwrap_err();
    let text = fs::read_to_string(&csv).unwrap();
    fs::write(&csv, text.replace(",8\n", ",9\n")).unwrap();
    let resume = BuildOptions { resume: true, ..whole };
    let error = pack(&resume).unwrap_err().to_string();
    assert!(error.contains("label 2, group 8") && error.contains("label 2, group 9"), "{error}");
    fs::write(&csv, text).unwrap();
    pack(&resume).unwrap();
    assert!(files(&out) == single);
}

#[test]
fn a_clip_that_is_left_out_takes_its_group_along() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let csv = csv(&tree, "clips.csv", true);
    fs::write(tree.path(&format!("jpegs_256/{}/frame000003.jpg", CLIPS[4])), "no image").unwrap();
    let out = place.path().join("out");
    pack(&BuildOptions { keep_going: true, ..custom(&tree, &csv, &out) }).unwrap();
    let mut groups = expected();
    groups.remove(CLIPS[4]).unwrap();
    assert_eq!(Dataset::open(&out).unwrap().manifest().groups, groups);
    // The part with the flow shard does not notice the damaged image. Merging writes that shard
    // again.
    let merged = place.path().join("merged");
    let parts = parts(place.path(), |options| BuildOptions { keep_going: true, ..options }, &tree, &csv);
    assert_eq!(Dataset::open(&parts[0]).unwrap().shards("flow").unwrap()[0].metadata().unwrap().groups, expected());
    let (progress, cancel) = (Progress::hidden(), AtomicBool::new(false));
    merge(&MergeOptions { out: merged.clone(), parts, overwrite: false }, watch(&progress, &cancel)).unwrap();
    assert!(files(&merged) == files(&out));
}

#[test]
fn without_groups_nothing_changes_and_inspect_shows_those_that_are_there() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let inspect = |out: &Path, more: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_ucfpack")).arg("inspect").arg(out).args(more).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let json = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();
    let out = place.path().join("plain");
    pack(&custom(&tree, &csv(&tree, "plain.csv", false), &out)).unwrap();
    assert!(files(&out).values().all(|bytes| !bytes.windows(8).any(|window| window == b"\"groups\"")));
    assert!(!inspect(&out, &[]).contains("groups"));
    assert_eq!(json(inspect(&out, &["--json"]))["groups"], 0);

    let out = place.path().join("grouped");
    pack(&custom(&tree, &csv(&tree, "grouped.csv", true), &out)).unwrap();
    assert!(inspect(&out, &[]).starts_with("custom: 6 clips, 3 classes, 1 split, 2 streams, 3 groups\n"));
    assert_eq!(json(inspect(&out, &["--json"]))["groups"], 3);
    assert!(inspect(&out, &["--clip", CLIPS[1]]).contains("\ngroup: Jürgen, \"2nd\" take\n"));
    assert_eq!(json(inspect(&out, &["--clip", CLIPS[1], "--json"]))["group"], GROUPS[1].unwrap());
    assert!(json(inspect(&out, &["--clip", CLIPS[2], "--json"]))["group"].is_null());
}

#[test]
fn an_exported_tree_has_a_csv_file_with_the_groups_and_packs_to_the_same_clips() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let (progress, cancel) = (Progress::hidden(), AtomicBool::new(false));
    let exported = |from: &Path, name: &str| {
        let out = place.path().join(name);
        let options = ExportOptions { out: out.clone(), clips: vec![], pixels: PixelFormat::Jpeg, overwrite: false };
        let notes = export(from, &options, watch(&progress, &cancel)).unwrap().notes;
        assert_eq!(
            notes,
            ["lists/clips.csv is the list with everything; the lists of UCF101 lack the validation clips"]
        );
        out
    };
    let first = place.path().join("first");
    pack(&custom(&tree, &csv(&tree, "clips.csv", true), &first)).unwrap();
    let back = exported(&first, "back");
    let second = place.path().join("second");
    let again = options(&back, &back.join("lists/clips.csv"), &second);
    pack(&BuildOptions { dataset: DatasetKind::Custom, ..again }).unwrap();
    let [first, second] = [first, second].map(|dir| Dataset::open(&dir).unwrap().manifest().clone());
    assert_eq!((first.classes, first.splits, first.clips), (second.classes, second.splits, second.clips));
    assert_eq!((&first.groups, first.groups.len()), (&second.groups, 4));

    let plain = place.path().join("plain");
    pack(&custom(&tree, &csv(&tree, "plain.csv", false), &plain)).unwrap();
    let list = fs::read_to_string(exported(&plain, "plain-back").join("lists/clips.csv")).unwrap();
    assert!(list.starts_with("path,label,split\n"), "{list}");
}
