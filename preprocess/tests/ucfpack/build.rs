//! Tests of packing: the result, its reproducibility, and errors about incomplete trees.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::pack::{files, pack};
use crate::tree::{CLIPS, RGB_FRAMES, Tree, write_jpeg};
use clipshard::{Codec, Dataset, Decoder, Filter, Subset, VerifyDepth};
use ucfpack::pack::{BuildOptions, build};
use ucfpack::progress::{Progress, Watch};
use ucfpack::source::Location;
use ucfpack::stored::{Check, Geometry, StreamOptions};
use ucfpack::{Error, verify};

fn options(tree: &Tree, out: &Path) -> BuildOptions {
    crate::pack::options(tree.root(), &tree.lists(), out)
}

/// Packs the tree. Expects an error with these words, and that no files remain.
fn refused(tree: &Tree, words: &str) {
    let place = tempfile::tempdir().unwrap();
    let error = pack(&options(tree, &place.path().join("out"))).unwrap_err();
    assert!(error.to_string().contains(words), "expected {words:?} in: {error}");
    assert!(!error.is_usage());
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "something is left behind");
}

#[test]
fn a_whole_tree_becomes_a_dataset() {
    let tree = Tree::new();
    for stray in ["tvl1_flow/u/v_Archery_g01_c01.bin", "jpegs_256/notes.txt", "jpegs_256/v_Archery_g01_c01/Thumbs.db"] {
        fs::write(tree.path(stray), "stray").unwrap();
    }
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let report = pack(&options(&tree, &out)).unwrap();
    assert_eq!((report.clips, report.records["rgb"], report.records["flow"]), (6, 6 * 14, 6 * 13 * 2));
    assert_eq!(
        report.bytes_out,
        files(&out)
            .iter()
            .filter(|(p, _)| p.extension().unwrap() == "clipshard")
            .map(|(_, b)| b.len() as u64)
            .sum::<u64>()
    );
    let data = Dataset::open(&out).unwrap();
    let manifest = data.manifest();
    assert_eq!(manifest.classes, ["Archery", "HandstandPushups", "Rowing"]);
    let got: Vec<_> = manifest.clips.iter().map(|c| (c.id.as_str(), c.label.unwrap(), c.subsets[0].clone())).collect();
    let expected: Vec<_> = CLIPS
        .iter()
        .enumerate()
        .map(|(i, &clip)| (clip, i as u32 / 2, if i % 2 == 0 { Subset::Test } else { Subset::Train }))
        .collect();
    assert_eq!(got, expected);
    // RGB files are stored byte for byte; flow is resized to a square.
    let rgb = data.clip("rgb", 3).unwrap();
    let source = fs::read(tree.path(&format!("jpegs_256/{}/frame000005.jpg", CLIPS[3]))).unwrap();
    assert_eq!(rgb.record(4, 0).unwrap().bytes, source);
    let flow = data.clip("flow", 3).unwrap();
    assert_eq!((flow.frame_count(), flow.size(0, 0).unwrap().width, flow.size(0, 1).unwrap().height), (13, 28, 28));
    let quick = verify::verify(&out, VerifyDepth::Deep, &Progress::hidden()).unwrap();
    assert_eq!((quick.records, quick.damage.len()), (84 + 156, 0));
}

#[test]
fn the_same_tree_gives_the_same_bytes_whatever_the_jobs() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let packed = |jobs: usize| {
        let out = place.path().join(format!("jobs{jobs}"));
        // Shards are small, so that there are several.
        pack(&BuildOptions { jobs, shard_bytes: 300_000, ..options(&tree, &out) }).unwrap();
        files(&out)
    };
    let (one, four) = (packed(1), packed(4));
    assert!(one.len() > 3, "{:?}", one.keys());
    assert!(one == four);
    let manifest = String::from_utf8(one[Path::new("manifest.json")].clone()).unwrap();
    for absent in [place.path().to_str().unwrap(), tree.root().to_str().unwrap(), "jobs"] {
        assert!(!manifest.contains(absent), "the manifest names {absent}");
    }
}

#[test]
fn each_codec_stores_the_pixels_that_were_decoded() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let flow = |codec: Codec, geometry| {
        let out = place.path().join(codec.name());
        let filter = if matches!(codec, Codec::Zstd | Codec::Lz4) { Filter::Up } else { Filter::None };
        let stream = StreamOptions { codec, filter, level: 9, geometry };
        pack(&BuildOptions { flow: stream, rgb: stream, ..options(&tree, &out) }).unwrap();
        let data = Dataset::open(&out).unwrap();
        let mut decoder = Decoder::new().unwrap();
        ["rgb", "flow"].map(|name| {
            let clip = data.clip(name, 2).unwrap();
            let mut pixels = vec![0; clip.size(7, 0).unwrap().bytes()];
            clip.decode(7, 0, &mut decoder, &mut pixels).unwrap();
            pixels
        })
    };
    let raw = flow(Codec::Raw, Geometry::Source);
    for codec in [Codec::Zstd, Codec::Lz4, Codec::Jpeg] {
        assert!(flow(codec, Geometry::Source) == raw, "{codec:?}");
    }
}

#[test]
fn streams_can_be_packed_alone_from_any_folder_that_makes_sense() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let apart = |n: usize, rgb: Option<&str>, flow: Option<&str>| {
        let location = Location::Apart { rgb: rgb.map(|p| tree.path(p)), flow: flow.map(|p| tree.path(p)) };
        pack(&BuildOptions { location, ..options(&tree, &place.path().join(n.to_string())) }).map(|r| r.records)
    };
    for (n, rgb) in ["jpegs_256", "."].into_iter().enumerate() {
        assert_eq!(apart(n, Some(rgb), None).unwrap(), BTreeMap::from([("rgb".into(), 84)]));
    }
    for (n, flow) in ["tvl1_flow", ".", "tvl1_flow/u"].into_iter().enumerate() {
        assert_eq!(apart(10 + n, None, Some(flow)).unwrap(), BTreeMap::from([("flow".into(), 156)]));
    }
    assert_eq!(apart(20, Some("jpegs_256"), Some("tvl1_flow")).unwrap().len(), 2);
    let error = apart(30, Some("lists"), None).unwrap_err().to_string();
    assert!(error.contains("feichtenhofer: neither jpegs_256/ nor clip folders"), "{error}");
}

#[test]
fn folders_in_another_case_are_found_and_twins_refused() {
    let tree = Tree::new();
    for folder in ["jpegs_256", "tvl1_flow/u", "tvl1_flow/v"] {
        let from = tree.path(&format!("{folder}/v_HandStandPushups_g01_c01"));
        fs::rename(from, tree.path(&format!("{folder}/v_HandstandPushups_g01_c01"))).unwrap();
    }
    let place = tempfile::tempdir().unwrap();
    pack(&options(&tree, &place.path().join("out"))).unwrap();
    let data = Dataset::open(place.path().join("out")).unwrap();
    assert!(data.find_clip("v_HandStandPushups_g01_c01").is_some());
    tree.add_clip("v_HandStandPushups_g01_c01", RGB_FRAMES, 9);
    refused(&tree, "v_HandStandPushups_g01_c01, v_HandstandPushups_g01_c01 differ only in case; keep one");
}

#[test]
fn each_kind_of_damage_is_named() {
    let broken = |damage: &dyn Fn(&Tree), words: &str| {
        let tree = Tree::new();
        damage(&tree);
        refused(&tree, words);
    };
    let clip = "v_Rowing_g01_c01";
    let remove = |tree: &Tree, path: &str| fs::remove_dir_all(tree.path(path)).unwrap();
    let rgb = |tree: &Tree, frame: u32| tree.path(&format!("jpegs_256/{clip}/frame{frame:06}.jpg"));
    let u = |tree: &Tree, frame: u32| tree.path(&format!("tvl1_flow/u/{clip}/frame{frame:06}.jpg"));
    broken(
        &|t| ["jpegs_256", "tvl1_flow/u", "tvl1_flow/v"].iter().for_each(|p| remove(t, &format!("{p}/{clip}"))),
        "cannot be used:\n  v_Rowing_g01_c01: missing from the tree\nFix them, or skip them with",
    );
    broken(&|t| remove(t, &format!("tvl1_flow/v/{clip}")), "no folder in");
    broken(&|t| remove(t, "tvl1_flow/v"), "has u/ but no v/; unpack all archives of the flow");
    broken(&|t| remove(t, "tvl1_flow"), "has jpegs_256/ but no tvl1_flow/; to pack only this stream, use");
    broken(&|t| fs::remove_file(rgb(t, 5)).unwrap(), "frame000005.jpg is missing (the highest number is 14)");
    broken(&|t| fs::remove_file(u(t, 13)).unwrap(), "12 flow frames in u, but 13 in v");
    broken(&|t| fs::remove_file(rgb(t, 14)).unwrap(), "13 flow frames for 13 RGB frames, but 12 expected");
    broken(&|t| fs::write(rgb(t, 3), "").unwrap(), "frame000003.jpg: the file is empty");
    broken(&|t| fs::write(rgb(t, 3), "GIF89a").unwrap(), "not a JPEG file");
    let truncate = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap();
        fs::write(path, &bytes[..bytes.len() - 40]).unwrap();
    };
    broken(&|t| truncate(rgb(t, 3)), "truncated");
    broken(&|t| truncate(u(t, 3)), "truncated");
    broken(
        &|t| fs::OpenOptions::new().write(true).open(rgb(t, 3)).unwrap().set_len(1 << 29).unwrap(),
        "frame000003.jpg: cannot read it: 536870912 bytes are too large for an image",
    );
    broken(&|t| write_jpeg(&rgb(t, 9), (44, 32), true, 1), "it has 44x32 pixels, but the clip's first image has 42x32");
    broken(
        &|t| {
            fs::remove_dir_all(t.path("jpegs_256")).unwrap();
            fs::create_dir(t.path("jpegs_256")).unwrap();
        },
        "has no clip folders",
    );
    broken(
        &|t| ["jpegs_256", "tvl1_flow"].iter().for_each(|p| remove(t, p)),
        "`location` must be the folder that contains them",
    );
    broken(
        &|t| {
            fs::write(t.lists().join("trainlist01.txt"), "Rowing/v_Rowing_g20_c01.avi 3\n").unwrap();
            fs::write(t.lists().join("testlist01.txt"), "Rowing/v_Rowing_g21_c01.avi\n").unwrap();
        },
        "it has other folders, such as v_Archery_g01_c01; use the tree that belongs to these lists",
    );
}

#[test]
fn an_error_names_every_damaged_image_and_keep_going_packs_the_rest() {
    let tree = Tree::new();
    for clip in [CLIPS[1], CLIPS[4]] {
        fs::write(tree.path(&format!("jpegs_256/{clip}/frame000002.jpg")), "").unwrap();
    }
    refused(&tree, "cannot be used");
    fs::remove_dir_all(tree.path("tvl1_flow/u/v_Archery_g01_c01")).unwrap();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let report = pack(&BuildOptions { keep_going: true, ..options(&tree, &out) }).unwrap();
    let skipped: Vec<_> = report.skipped.iter().map(|s| s.clip.as_str()).collect();
    assert_eq!(skipped, [CLIPS[0], CLIPS[1], CLIPS[4]]);
    assert_eq!((report.clips, report.records["rgb"]), (3, 42));
    assert_eq!(Dataset::open(&out).unwrap().manifest().clips.len(), 3);
}

#[test]
fn clips_that_are_left_out_move_no_boundary() {
    let (whole, damaged) = (Tree::new(), Tree::new());
    fs::write(damaged.path(&format!("jpegs_256/{}/frame000002.jpg", CLIPS[1])), "").unwrap();
    let place = tempfile::tempdir().unwrap();
    let shards = |tree: &Tree, name: &str| {
        let out = place.path().join(name);
        pack(&BuildOptions { keep_going: true, shard_bytes: 500_000, ..options(tree, &out) }).unwrap();
        files(&out)
    };
    let (a, b) = (shards(&whole, "whole"), shards(&damaged, "damaged"));
    // Each shard holds two clips. Only the shard that lost a clip differs.
    let differ: Vec<_> = a.keys().filter(|file| a[*file] != b[*file]).map(|file| file.to_str().unwrap()).collect();
    assert_eq!(differ, ["flow-00000.clipshard", "manifest.json", "rgb-00000.clipshard"]);
    assert!(a.len() >= 5, "{:?}", a.keys());
}

#[test]
fn short_clips_are_left_out_without_an_error() {
    let tree = Tree::new();
    for folder in ["jpegs_256", "tvl1_flow/u", "tvl1_flow/v"] {
        fs::remove_dir_all(tree.path(&format!("{folder}/{}", CLIPS[0]))).unwrap();
    }
    tree.add_clip(CLIPS[0], 10, 3);
    let place = tempfile::tempdir().unwrap();
    let report = pack(&options(&tree, &place.path().join("out"))).unwrap();
    assert_eq!(report.clips, 5);
    assert_eq!(report.skipped[0].reason, "too short: it has 9 flow frames, but needs at least 10");
}

#[test]
fn colour_flow_and_mixed_sizes_of_squashed_flow_are_taken() {
    let tree = Tree::new();
    write_jpeg(&tree.path(&format!("tvl1_flow/u/{}/frame000002.jpg", CLIPS[0])), (42, 32), true, 5);
    write_jpeg(&tree.path(&format!("tvl1_flow/v/{}/frame000004.jpg", CLIPS[2])), (50, 32), false, 5);
    write_jpeg(&tree.path(&format!("jpegs_256/{}/frame000004.jpg", CLIPS[3])), (42, 32), false, 5);
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let report = pack(&options(&tree, &out)).unwrap();
    assert!(report.notes.iter().any(|n| n.starts_with("2 clips have colour flow or grey RGB")), "{:?}", report.notes);
    assert!(verify::verify(&out, VerifyDepth::Deep, &Progress::hidden()).unwrap().damage.is_empty());
    let native = StreamOptions { geometry: Geometry::Source, ..options(&tree, &out).flow };
    let error = pack(&BuildOptions { flow: native, ..options(&tree, &place.path().join("native")) }).unwrap_err();
    assert!(error.to_string().contains("it has 50x32 pixels"), "{error}");
}

#[test]
fn decoding_finds_what_headers_do_not_show() {
    let tree = Tree::new();
    let path = tree.path(&format!("jpegs_256/{}/frame000002.jpg", CLIPS[0]));
    let mut bytes = fs::read(&path).unwrap();
    // Puts a marker into the middle of the image data.
    let middle = bytes.len() - 100;
    bytes[middle..middle + 2].copy_from_slice(&[0xff, 0xe5]);
    fs::write(&path, bytes).unwrap();
    let place = tempfile::tempdir().unwrap();
    assert!(pack(&options(&tree, &place.path().join("header"))).is_ok());
    let error =
        pack(&BuildOptions { check: Check::Decode, ..options(&tree, &place.path().join("decode")) }).unwrap_err();
    assert!(error.to_string().contains("frame000002.jpg: "), "{error}");
}

#[test]
fn a_file_cut_short_that_got_an_end_marker_is_found_where_files_are_decoded() {
    let cut = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap();
        fs::write(path, [&bytes[..bytes.len() - 60], &[0xff, 0xd9]].concat()).unwrap();
    };
    let place = tempfile::tempdir().unwrap();
    let tree = Tree::new();
    cut(tree.path(&format!("jpegs_256/{}/frame000002.jpg", CLIPS[0])));
    assert!(pack(&options(&tree, &place.path().join("header"))).is_ok());
    let decode = BuildOptions { check: Check::Decode, ..options(&tree, &place.path().join("decode")) };
    let error = pack(&decode).unwrap_err().to_string();
    assert!(error.contains("frame000002.jpg: the JPEG file is truncated: its image data ends after"), "{error}");
    // Flow that is stored as pixels is always decoded.
    let tree = Tree::new();
    cut(tree.path(&format!("tvl1_flow/v/{}/frame000007.jpg", CLIPS[3])));
    refused(&tree, "frame000007.jpg: the JPEG file is truncated: its image data ends after");
}

#[test]
fn a_failed_overwrite_leaves_the_good_dataset() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    pack(&options(&tree, &out)).unwrap();
    let before = files(&out);
    assert!(pack(&options(&tree, &out)).unwrap_err().is_usage());
    fs::write(tree.path(&format!("jpegs_256/{}/frame000002.jpg", CLIPS[5])), "").unwrap();
    pack(&BuildOptions { overwrite: true, ..options(&tree, &out) }).unwrap_err();
    let cancelled = Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(true) };
    let interrupted = build(&BuildOptions { overwrite: true, ..options(&tree, &out) }, cancelled);
    assert!(matches!(interrupted, Err(Error::Interrupted)));
    assert!(files(&out) == before);
    pack(&BuildOptions { overwrite: true, keep_going: true, ..options(&tree, &out) }).unwrap();
    assert_eq!(Dataset::open(&out).unwrap().manifest().clips.len(), 5);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
}

#[test]
fn chosen_classes_are_packed_alone() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let classes = |names: &[&str]| Some(names.iter().map(|&n| n.to_owned()).collect());
    let out = place.path().join("out");
    pack(&BuildOptions { classes: classes(&["Rowing", "Archery"]), ..options(&tree, &out) }).unwrap();
    let data = Dataset::open(&out).unwrap();
    assert_eq!(data.manifest().classes, ["Archery", "Rowing"]);
    let labels: Vec<_> = data.manifest().clips.iter().map(|c| c.label).collect();
    assert_eq!(labels, [0, 0, 1, 1].map(Some));
    let other = place.path().join("other");
    assert!(pack(&BuildOptions { classes: classes(&["Rowin"]), ..options(&tree, &other) }).unwrap_err().is_usage());
}

#[test]
fn a_dry_run_writes_nothing_and_estimates_from_a_sample() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let report = pack(&BuildOptions { dry_run: true, ..options(&tree, &out) }).unwrap();
    assert_eq!((report.clips, report.records["flow"]), (6, 156));
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    // The estimate is close to the result.
    let built = pack(&options(&tree, &out)).unwrap();
    let estimate = report.estimate.unwrap();
    assert_eq!(estimate.sampled_images, 6 * 8 * 3);
    for (estimated, real) in [(estimate.bytes_in, built.bytes_in), (estimate.bytes_out, built.bytes_out)] {
        assert!((real * 9 / 10..real * 11 / 10).contains(&estimated), "{estimated} for {real}");
    }
    assert!(estimate.seconds > 0.0);
}

#[test]
fn verify_finds_a_flipped_bit() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    pack(&options(&tree, &out)).unwrap();
    let shard = out.join("rgb-00000.clipshard");
    let mut bytes = fs::read(&shard).unwrap();
    bytes[5_000] ^= 0x10;
    fs::write(&shard, bytes).unwrap();
    let report = verify::verify(&out, VerifyDepth::Deep, &Progress::hidden()).unwrap();
    assert_eq!(report.damage.len(), 1, "{:?}", report.damage);
    assert!(report.damage[0].to_string().contains("(clip v_Archery_g01_c01, stream rgb"), "{:?}", report.damage);
    assert!(verify::verify(&out, VerifyDepth::Quick, &Progress::hidden()).unwrap().damage.is_empty());
}
