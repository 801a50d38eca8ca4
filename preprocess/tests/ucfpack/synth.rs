//! Tests of synthetic datasets: reproducible by seed, complete, and packable.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use clipshard::{Dataset, Decoder, Subset};
use ucfpack::lists::Lists;
use ucfpack::progress::{Progress, Watch};
use ucfpack::source::{Location, Tree};
use ucfpack::synth::like_ucf101::{LikeOptions, make_like_ucf101};
use ucfpack::synth::{TreeOptions, TreeReport, make_tree};

fn small(out: &Path, seed: u64) -> TreeReport {
    let options = TreeOptions { out: out.into(), classes: 4, clips: 4, width: 32, height: 24, seed, overwrite: false };
    make_tree(&options, Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) }).unwrap()
}

fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap).filter(|e| e.file_type().is_file());
    files.map(|e| (e.path().strip_prefix(root).unwrap().display().to_string(), fs::read(e.path()).unwrap())).collect()
}

#[test]
fn a_seed_gives_one_tree_and_another_seed_another() {
    let place = tempfile::tempdir().unwrap();
    let tree = |name: &str, seed| {
        let out = place.path().join(name);
        small(&out, seed);
        files(&out)
    };
    let (a, b, c) = (tree("a", 1), tree("b", 1), tree("c", 2));
    assert!(a == b);
    let image = "jpegs_256/v_StripedBlobUp_g01_c01/frame000001.jpg";
    assert_ne!(a[image], c[image]);
    assert_eq!(a["lists/classInd.txt"], c["lists/classInd.txt"]);
}

#[test]
fn a_synthetic_tree_is_whole_and_its_splits_share_no_group() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("tree");
    let report = small(&out, 3);
    assert_eq!((report.clips, report.factors), (16, (2, 2)));
    assert_eq!(report.classes[3], "SpottedBlobDown");
    let lists = Lists::read_ucf101(&out.join("lists")).unwrap();
    assert_eq!((lists.classes, lists.splits.len(), lists.clips.len()), (report.classes, 3, 16));
    let watch = Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) };
    let scan = Tree::open(&Location::Tree(out), None).unwrap().scan(&lists.clips, watch).unwrap();
    assert!(scan.clips.iter().all(|clip| clip.files.is_ok()));
    for split in 0..3 {
        let groups = |subset| -> Vec<&str> {
            let clips = lists.clips.iter().filter(|clip| clip.subsets[split] == subset);
            clips.map(|clip| clip.id.rsplit('_').nth(1).unwrap()).collect()
        };
        let (train, test) = (groups(Subset::Train), groups(Subset::Test));
        assert_eq!((train.len(), test.len()), (12, 4));
        assert!(test.iter().all(|group| !train.contains(group)));
    }
}

#[test]
fn the_set_like_ucf101_has_its_counts_and_tells_where_an_image_is_from() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("like");
    let options = LikeOptions { out: out.clone(), width: 8, height: 8, images: None, jobs: 4, overwrite: false };
    let report =
        make_like_ucf101(&options, Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) }).unwrap();
    assert_eq!((report.clips, report.records["rgb"], report.records["flow"]), (13_320, 2_483_295, 4_939_950));
    let data = Dataset::open(&out).unwrap();
    let manifest = data.manifest();
    let count = |split: usize, subset| manifest.clips.iter().filter(|clip| clip.subsets[split] == subset).count();
    assert_eq!([0, 1, 2].map(|s| count(s, Subset::Train)), [9_537, 9_586, 9_624]);
    assert_eq!([0, 1, 2].map(|s| count(s, Subset::Test)), [3_783, 3_734, 3_696]);
    let longest = (0..manifest.clips.len()).max_by_key(|&clip| manifest.clips[clip].frames["flow"]).unwrap();
    assert_eq!((manifest.clips[longest].frames["flow"], manifest.clips[longest].frames["rgb"]), (1_775, 1_776));
    let mut decoder = Decoder::new().unwrap();
    let (mut rgb, mut x, mut y) = (vec![0; 192], vec![0; 64], vec![0; 64]);
    data.clip("rgb", longest).unwrap().decode(1_500, 0, &mut decoder, &mut rgb).unwrap();
    let flow = data.clip("flow", longest).unwrap();
    flow.decode(1_500, 0, &mut decoder, &mut x).unwrap();
    flow.decode(1_500, 1, &mut decoder, &mut y).unwrap();
    assert_eq!(rgb[..3], [manifest.clips[longest].label.unwrap() as u8, (1_500 % 256) as u8, 5]);
    assert_eq!((x[63], y[63]), ((1_500 % 256) as u8, 5));

    // Another dataset uses the images of this one: the first 2,048 frames, again and again.
    let again = place.path().join("again");
    let options = LikeOptions { out: again.clone(), images: Some(out.clone()), ..options };
    make_like_ucf101(&options, Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) }).unwrap();
    let again = Dataset::open(&again).unwrap();
    let frames_before: Vec<usize> = (0..40)
        .scan(0, |before, clip| {
            let here = *before;
            *before += data.clip("rgb", clip).unwrap().frame_count();
            Some(here)
        })
        .collect();
    for frame in [0, 700, 1_775] {
        let taken = (longest * 131 + frame) % 2_048;
        let clip = frames_before.iter().rposition(|&before| before <= taken).unwrap();
        let source = data.clip("rgb", clip).unwrap();
        let (found, expected) = (again.clip("rgb", longest).unwrap(), taken - frames_before[clip]);
        assert_eq!(found.record(frame, 0).unwrap().bytes, source.record(expected, 0).unwrap().bytes);
    }
    assert_eq!(again.clip("flow", longest).unwrap().frame_count(), 1_775);
}
