//! Tests that merged parts equal the dataset that one machine makes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clipshard::{Manifest, VerifyDepth};
use ucfpack::pack::Part;
use ucfpack::pack::{BuildOptions, BuildReport};
use ucfpack::pack::{MergeOptions, merge};
use ucfpack::progress::{Progress, Watch};
use ucfpack::stored::Geometry;
use ucfpack::{Error, verify};

use crate::pack::{files, options, pack};
use crate::tree::{CLIPS, Tree};

fn small_shards(tree: &Tree, out: &Path) -> BuildOptions {
    let mut options = BuildOptions { shard_bytes: 300_000, ..options(tree.root(), &tree.lists(), out) };
    options.flow.geometry = Geometry::Source;
    options
}

fn make_part(tree: &Tree, place: &Path, part: Part, keep_going: bool) -> (PathBuf, BuildReport) {
    let out = place.join(format!("part{}of{}", part.number, part.of));
    let options = BuildOptions { part: Some(part), keep_going, ..small_shards(tree, &out) };
    let report = pack(&options).unwrap();
    (out, report)
}

fn merged(out: &Path, parts: &[PathBuf]) -> Result<BuildReport, Error> {
    let options = MergeOptions { out: out.into(), parts: parts.to_vec(), overwrite: false };
    merge(&options, Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) })
}

#[test]
fn merged_parts_are_byte_for_byte_a_single_build() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let single = place.path().join("single");
    let whole = pack(&small_shards(&tree, &single)).unwrap();
    let single = files(&single);
    assert!(single.len() >= 8, "{:?}", single.keys());
    // With more parts than shards in a stream, some parts have little or nothing to do.
    for of in [1, 2, 3, 7] {
        let made: Vec<_> =
            (1..=of).rev().map(|number| make_part(&tree, place.path(), Part { number, of }, false)).collect();
        let (parts, reports): (Vec<_>, Vec<_>) = made.into_iter().unzip();
        for part in &parts {
            let report = verify::verify(part, VerifyDepth::Deep, &Progress::hidden()).unwrap();
            assert!(report.damage.is_empty(), "{:?}", report.damage);
        }
        for stream in ["rgb", "flow"] {
            let records = |r: &BuildReport| r.records.get(stream).copied().unwrap_or(0);
            assert_eq!(reports.iter().map(records).sum::<u64>(), records(&whole));
        }
        let out = place.path().join(format!("merged{of}"));
        let report = merged(&out, &parts).unwrap();
        assert_eq!((report.clips, &report.records, report.bytes_out), (6, &whole.records, whole.bytes_out));
        assert!(files(&out) == single, "{of} parts");
    }
}

#[test]
fn a_clip_that_one_part_leaves_out_is_in_no_stream() {
    let tree = Tree::new();
    for damaged in ["tvl1_flow/v/v_Archery_g08_c01/frame000003.jpg", "jpegs_256/v_Rowing_g01_c01/frame000014.jpg"] {
        fs::write(tree.path(damaged), "").unwrap();
    }
    fs::remove_dir_all(tree.path(&format!("jpegs_256/{}", CLIPS[2]))).unwrap();
    let place = tempfile::tempdir().unwrap();
    let single = place.path().join("single");
    let whole = pack(&BuildOptions { keep_going: true, ..small_shards(&tree, &single) }).unwrap();
    assert_eq!(whole.skipped.len(), 3);
    for of in [2, 4] {
        let parts: Vec<_> =
            (1..=of).map(|number| make_part(&tree, place.path(), Part { number, of }, true).0).collect();
        let out = place.path().join(format!("merged{of}"));
        let report = merged(&out, &parts).unwrap();
        assert_eq!(report.skipped, whole.skipped);
        assert!(files(&out) == files(&single), "{of} parts");
    }
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let part = |number, of| make_part(&tree, place.path(), Part { number, of }, false).0;
    let (one, two, third) = (part(1, 2), part(2, 2), part(3, 3));
    let out = place.path().join("out");
    let refused = |parts: &[&PathBuf], words: &str| {
        let parts: Vec<PathBuf> = parts.iter().map(|part| (*part).clone()).collect();
        let error = merged(&out, &parts).unwrap_err().to_string();
        assert!(error.contains(words), "expected {words:?} in: {error}");
        assert!(!out.exists());
    };
    refused(&[&one], "missing part 2/2; all 2 parts are needed");
    refused(&[&one, &two, &one], "are both part 1");
    refused(&[&one, &third], "is one of 3 parts");
    let whole = place.path().join("whole");
    pack(&small_shards(&tree, &whole)).unwrap();
    refused(&[&one, &whole], "is not a part of a build; pack parts with `part`");
    // One part has another option, another one has another version of an encoder.
    let other = place.path().join("other");
    let mut options = small_shards(&tree, &other);
    options.part = Some(Part { number: 2, of: 2 });
    options.flow.level = 3;
    pack(&options).unwrap();
    refused(&[&one, &other], ": `level` is 3, but was 9; pack all parts");
    let record = two.join("part.json");
    let text = fs::read_to_string(&record).unwrap();
    assert!(text.contains("\"encoder\":\"zstd 1.5.7\""), "{text}");
    fs::write(&record, text.replace("zstd 1.5.7", "zstd 1.5.6")).unwrap();
    refused(&[&one, &two], "do not match its part.json");
    fs::write(&record, "{}").unwrap();
    refused(&[&one, &two], "part.json is damaged");
    fs::write(&record, text).unwrap();
    fs::remove_file(two.join("manifest.json")).unwrap();
    refused(&[&one, &two], "no manifest.json here");
}

#[test]
fn a_part_that_lost_a_clip_since_is_refused() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let parts = [1, 2].map(|number| make_part(&tree, place.path(), Part { number, of: 2 }, false).0);
    // Removes a shard and its clips from the manifest.
    let mut manifest = Manifest::read(&parts[1]).unwrap();
    for stream in &mut manifest.streams {
        stream.shards.clear();
    }
    manifest.clips.clear();
    manifest.write(&parts[1]).unwrap();
    let error = merged(&place.path().join("out"), &parts).unwrap_err().to_string();
    assert!(error.contains("of 2 streams; pack the parts again"), "{error}");
}

#[test]
fn parts_of_trees_that_differ_are_refused() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let one = make_part(&tree, place.path(), Part { number: 1, of: 2 }, true).0;
    fs::remove_file(tree.path(&format!("jpegs_256/{}/frame000014.jpg", CLIPS[0]))).unwrap();
    let two = make_part(&tree, place.path(), Part { number: 2, of: 2 }, true).0;
    let error = merged(&place.path().join("out"), &[one, two]).unwrap_err().to_string();
    assert!(error.contains("the lists or the source changed: clip v_Archery_g01_c01 has label 0, "), "{error}");
}
