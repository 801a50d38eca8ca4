//! Tests of fusion against numpy, with scores files and results from
//! `scripts/make_score_goldens.py`.

#![allow(clippy::unwrap_used, reason = "the helpers of tests fail by panicking, too")]

use super::combine::{Ratio, Strategy};
use super::{FuseOptions, Space, fuse};
use crate::base::usage::Usage;
use crate::scores::{Scores, clip_key};
use std::fs;
use std::path::{Path, PathBuf};

fn golden(name: &str) -> PathBuf {
    Path::new("tests/goldens").join(name)
}

fn options(scores: &[PathBuf]) -> FuseOptions {
    FuseOptions::new(scores.to_vec())
}

fn error(options: &FuseOptions) -> anyhow::Error {
    fuse(options).unwrap_err()
}

#[test]
fn each_strategy_in_each_space_has_the_accuracy_that_numpy_finds() {
    let cases: serde_json::Value = serde_json::from_slice(&fs::read(golden("fusion.json")).unwrap()).unwrap();
    for case in cases.as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let files: Vec<_> = ["a", "b", "c"][..case["streams"].as_u64().unwrap() as usize]
            .iter()
            .map(|stream| golden(&format!("{name}-{stream}.npz")))
            .collect();
        for answer in case["answers"].as_array().unwrap() {
            let space = if answer["space"] == "softmax" { Space::Softmax } else { Space::Logits };
            let ratio = serde_json::from_value(case["ratios"].clone()).unwrap();
            let found = fuse(&FuseOptions { ratio, space, ..options(&files) }).unwrap();
            let mut found = serde_json::to_value(&found).unwrap();
            let mut expected = serde_json::json!({"clips": case["clips"], "results": answer["results"]});
            // The mean over classes is summed in another order than numpy's.
            let results = found["results"].as_array_mut().unwrap().iter_mut();
            for (found, expected) in results.zip(expected["results"].as_array_mut().unwrap()) {
                let take = |of: &mut serde_json::Value| of.as_object_mut().unwrap().remove("mean_class").unwrap();
                let (found, expected) = (take(found).as_f64().unwrap(), take(expected).as_f64().unwrap());
                assert!((found - expected).abs() < 1e-9, "{name}, {space:?}: {found} {expected}");
            }
            assert_eq!(found, expected, "{name}, {space:?}");
        }
    }
}

#[test]
fn combined_scores_have_the_bits_of_numpys() {
    let (a, b) = (Scores::load(&golden("random1-a.npz")).unwrap(), Scores::load(&golden("random1-b.npz")).unwrap());
    let place = |name: &String| b.names.iter().position(|other| clip_key(other) == clip_key(name)).unwrap();
    let aligned: Vec<f32> = a.names.iter().flat_map(|name| b.row(place(name))).copied().collect();
    let weighted = |ratio| Strategy::Weighted(Ratio::parse(ratio).unwrap());
    let strategies = [
        ("1-0", Strategy::Single(0)),
        ("0-1", Strategy::Single(1)),
        ("1-1", Strategy::Average),
        ("max", Strategy::Max),
        ("1-2", weighted("1:2")),
        ("2-1", weighted("2:1")),
        ("1-1.5", weighted("1:1.5")),
        ("0.1-0.7", weighted("0.1:0.7")),
    ];
    for (name, strategy) in strategies {
        let fused = strategy.combine(&[&a.logits, &aligned]);
        let bytes: Vec<u8> = fused.iter().flat_map(|score| score.to_le_bytes()).collect();
        assert!(bytes == fs::read(golden(&format!("random1-{name}.f32"))).unwrap(), "{name}");
    }
}

#[test]
fn default_ratios_are_those_of_the_reference_run() {
    let found = fuse(&options(&[golden("random1-a.npz"), golden("random1-b.npz")])).unwrap();
    let shown: Vec<_> = found.results.iter().map(|r| (r.strategy, r.ratio.as_deref())).collect();
    let expected = [
        ("single", Some("1:0")),
        ("single", Some("0:1")),
        ("average", Some("1:1")),
        ("max", None),
        ("weighted", Some("1:2")),
        ("weighted", Some("2:1")),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn the_table_is_aligned_and_marks_the_best() {
    let found = fuse(&options(&[golden("random2-a.npz"), golden("random2-b.npz")])).unwrap();
    let table = found.table();
    let lines: Vec<&str> = table.lines().skip(2).collect();
    assert_eq!(lines.len(), 8);
    assert!(lines[2].starts_with("random2-a.npz  ") && lines[3].starts_with("random2-b.npz  "), "{table}");
    let best = found.results.iter().map(|r| r.top1).fold(0.0, f64::max);
    let marked: Vec<_> = lines.iter().filter(|line| line.ends_with("  best")).collect();
    assert!(marked.len() == 1 && marked[0].contains(&format!("{best:.4}")), "{table}");
    let width = lines[2].trim_end_matches("  best").len();
    assert!(lines[2..].iter().all(|line| line.trim_end_matches("  best").len() == width), "{table}");
}

/// Writes official lists for the clips of the reference code's pickles.
fn reference_lists(dir: &Path, classes: usize) {
    let names = ["ApplyEyeMakeup", "HandstandPushups", "Archery", "YoYo", "Fencing"];
    let list: Vec<String> = names[..classes].iter().zip(1..).map(|(name, id)| format!("{id} {name}")).collect();
    fs::write(dir.join("classInd.txt"), list.join("\r\n")).unwrap();
    let clips = [
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi",
        "YoYo/v_YoYo_g25_c05.avi",
        "HandstandPushups/v_HandStandPushups_g07_c02.avi",
    ];
    fs::write(dir.join("testlist01.txt"), clips.join("\r\n")).unwrap();
    fs::write(dir.join("testlist02.txt"), clips[0]).unwrap();
}

#[test]
fn pickles_of_the_reference_code_are_fused_with_official_lists() {
    let dir = tempfile::tempdir().unwrap();
    reference_lists(dir.path(), 4);
    let files = [golden("python2-numpy1-protocol0.pickle"), golden("numpy2-protocol5.pickle")];
    let labels = Some(dir.path().to_owned());
    let found = fuse(&FuseOptions { labels: labels.clone(), ..options(&files) }).unwrap();
    assert_eq!(found.clips, 3);
    // Best classes: 2 of the first clip, 2 of the second, 1 of the third; labels 0, 1, 3.
    assert!(found.results.iter().all(|r| (r.top1, r.top5) == (0.0, 100.0)), "{found:?}");
    let softmax = FuseOptions { labels: labels.clone(), space: Space::Softmax, ..options(&files) };
    assert_eq!(fuse(&softmax).unwrap().results.len(), 6);

    let message = error(&options(&files)).to_string();
    assert!(message.contains("add --labels DIR"), "{message}");
    reference_lists(dir.path(), 5);
    let message = error(&FuseOptions { labels, ..options(&files) }).to_string();
    assert!(message.contains("the labels have 5 classes, but the scores have 4"), "{message}");
}

#[test]
fn lists_without_names_take_them_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("testlist01.txt");
    let clips =
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi\r\nX/v_HandStandPushups_g07_c02.avi 3\r\nv_YoYo_g25_c05\r\n";
    fs::write(&list, clips).unwrap();
    let names = crate::scores::read_names(&list).unwrap();
    let expected = Scores::load(&golden("numpy2-protocol4.pickle")).unwrap();
    let keys = |scores: &Scores| scores.names.iter().map(|name| clip_key(name)).collect::<Vec<_>>();
    let bits = |scores: &Scores| scores.logits.iter().map(|logit| logit.to_bits()).collect::<Vec<_>>();
    for file in ["mmaction-list.pickle", "mmaction2-samples.pickle", "mmaction2-tensors-protocol2.pickle", "rows.npy"] {
        let found = Scores::load_with_names(&golden(file), Some(&names)).expect(file);
        assert_eq!((keys(&found), bits(&found)), (keys(&expected), bits(&expected)), "{file}");
        let message = Scores::load(&golden(file)).unwrap_err().to_string();
        assert!(message.contains("with --names"), "{message}");
        let message = Scores::load_with_names(&golden(file), Some(&names[..2])).unwrap_err().to_string();
        assert!(message.contains('3') && message.contains('2'), "{message}");
    }
}

/// Creates two run folders with scores of val and test clips. Run `a` predicts all of them
/// correctly, run `b` none.
fn runs_with_val_clips(dir: &Path) -> [PathBuf; 2] {
    let sure = |label: usize| [if label == 0 { 38.0 } else { 0.0 }, if label == 1 { 38.0 } else { 0.0 }];
    let files = |run: &str, right: bool| {
        let dir = dir.join(run);
        fs::create_dir(&dir).unwrap();
        for (file, subset) in [("scores.npz", "test"), ("val_scores.npz", "val")] {
            let labels = [0_u32, 1, 0, 1, 1];
            let logits =
                labels.iter().flat_map(|&label| sure(if right { label } else { 1 - label } as usize)).collect();
            let names = (0..5).map(|i| format!("{subset}{i}")).collect();
            let samples = Some(vec![19; 5]);
            Scores { names, classes: 2, logits, labels: Some(labels.to_vec()), samples, subset: Some(subset.into()) }
                .write_npz(&dir.join(file))
                .unwrap();
        }
        dir
    };
    [files("a", true), files("b", false)]
}

#[test]
fn weights_are_fitted_on_val_clips_and_never_on_fused_ones() {
    let dir = tempfile::tempdir().unwrap();
    let runs = runs_with_val_clips(dir.path());
    let fitted = FuseOptions { fit: true, ..options(&runs) };
    let found = fuse(&fitted).unwrap();
    let last = found.results.last().unwrap();
    assert_eq!((last.strategy, last.top1), ("fitted", 100.0));
    let weights = Ratio::parse(last.ratio.as_deref().unwrap()).unwrap();
    assert!(weights.weights()[0] > 3.0 * weights.weights()[1], "{last:?}");
    let by_class = fuse(&FuseOptions { fit_classes: true, ..fitted.clone() }).unwrap();
    let names: Vec<_> =
        by_class.results.iter().rev().take(2).map(|r| (r.strategy, r.ratio.is_some(), r.top1)).collect();
    assert_eq!(names, [("fitted-classes", false, 100.0), ("fitted", true, 100.0)]);
    let calibrated = fuse(&FuseOptions { space: Space::Calibrated, ..options(&runs) }).unwrap();
    assert!(calibrated.results[0].top1 > 99.9);
    let average = &calibrated.results[2];
    assert_eq!((average.strategy, average.top1), ("average", 100.0), "a stream that is wrong of itself says little");

    let same = FuseOptions { val_scores: runs.iter().map(|run| run.join("scores.npz")).collect(), ..fitted.clone() };
    let message = error(&same).to_string();
    assert!(message.contains("5 of its clips are also fused: test0"), "{message}");
    fs::remove_file(runs[1].join("val_scores.npz")).unwrap();
    let message = error(&fitted).to_string();
    assert!(message.contains("--val-share") && message.contains("--val-scores"), "{message}");
}

#[test]
fn splits_are_averaged() {
    let dir = tempfile::tempdir().unwrap();
    let runs = runs_with_val_clips(dir.path());
    let other = [golden("random1-a.npz"), golden("random1-b.npz")];
    let plus = PathBuf::from("+");
    let all: Vec<PathBuf> = runs.iter().chain([&plus]).chain(&other).cloned().collect();
    let found = fuse(&options(&all)).unwrap();
    let (one, two) = (fuse(&options(&runs)).unwrap(), fuse(&options(&other)).unwrap());
    assert_eq!((found.clips, found.splits.len()), (one.clips + two.clips, 2));
    for ((mean, a), b) in found.results.iter().zip(&one.results).zip(&two.results) {
        assert!((mean.top1 - f64::midpoint(a.top1, b.top1)).abs() < 1e-9 && mean.ratio == a.ratio);
        assert!((mean.mean_class - f64::midpoint(a.mean_class, b.mean_class)).abs() < 1e-9);
    }
    let message = error(&options(&[all.as_slice(), &[plus]].concat())).to_string();
    assert!(message.contains("two or more run folders or scores files per split, not 0"), "{message}");
    let message = error(&FuseOptions { out: Some("x.npz".into()), ..options(&all) }).to_string();
    assert!(message.contains("--out works for one split only"), "{message}");
}

#[test]
fn fused_scores_are_written_and_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let two = [golden("random1-a.npz"), golden("random1-b.npz")];
    let before = fuse(&options(&two)).unwrap();
    for (file, take, at) in [("average.npz", "average", 2), ("weighted.csv", "2:1", 5)] {
        let out = dir.path().join(file);
        fuse(&FuseOptions { out: Some(out.clone()), take: take.into(), ..options(&two) }).unwrap();
        let again = fuse(&options(&[out.clone(), out])).unwrap();
        assert_eq!((again.results[0].top1, again.results[0].top5), (before.results[at].top1, before.results[at].top5));
    }
    let unknown = FuseOptions { out: Some(dir.path().join("x.npz")), take: "fitted".into(), ..options(&two) };
    let message = error(&unknown).to_string();
    assert!(message.contains("--take fitted: no such combination; use one of average, max, 1:2, 2:1"), "{message}");
    let pickle = FuseOptions { out: Some(dir.path().join("x.pkl")), ..options(&two) };
    assert!(error(&pickle).to_string().contains(".npz or .csv"));
}

fn scores(names: &[&str], classes: usize) -> Scores {
    let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
    Scores {
        logits: (0..names.len() * classes).map(|i| i as f32).collect(),
        labels: Some(vec![0; names.len()]),
        samples: None,
        subset: None,
        names,
        classes,
    }
}

/// Writes two score files and fuses them.
fn fuse_two(a: &Scores, b: &Scores) -> anyhow::Result<super::report::Report> {
    let dir = tempfile::tempdir().unwrap();
    let files = [dir.path().join("a.npz"), dir.path().join("b.npz")];
    a.write_npz(&files[0]).unwrap();
    b.write_npz(&files[1]).unwrap();
    fuse(&options(&files))
}

#[test]
fn clips_of_one_file_only_are_counted_and_named() {
    let a = scores(&["v_a", "v_b", "v_c", "v_d", "v_e", "v_f"], 2);
    let message = fuse_two(&a, &scores(&["A.avi", "z"], 2)).unwrap_err().to_string();
    assert!(message.contains("5 clips are only in ") && message.contains("a.npz: v_b, v_c, v_d, ...;"), "{message}");
    assert!(message.contains("1 clips are only in ") && message.contains("b.npz: z)"), "{message}");
}

#[test]
fn files_that_do_not_match_are_refused() {
    let a = scores(&["a", "b"], 2);
    let message = fuse_two(&a, &scores(&["b", "a"], 3)).unwrap_err().to_string();
    assert!(message.contains("a.npz has 2 classes, but ") && message.contains("b.npz has 3;"), "{message}");
    let other = Scores { labels: Some(vec![0, 1]), ..scores(&["b", "a"], 2) };
    let message = fuse_two(&a, &other).unwrap_err().to_string();
    assert!(message.contains("different labels for 1 clips: a"), "{message}");
    let one = Scores { labels: None, ..scores(&["b", "a"], 2) };
    assert_eq!(fuse_two(&a, &one).unwrap().clips, 2, "one file's labels are enough");
    let large = Scores { logits: vec![f32::MAX; 4], ..scores(&["a", "b"], 2) };
    let message = fuse_two(&large, &large).unwrap_err().to_string();
    assert!(message.contains("clip a gets the score inf"), "{message}");
}

#[test]
fn wrong_usage_and_bad_data_are_different_errors() {
    let two = [golden("random1-a.npz"), golden("random1-b.npz")];
    let usage = |options: &FuseOptions| error(options).downcast_ref::<Usage>().map(ToString::to_string);
    assert!(usage(&options(&two[..1])).unwrap().contains("two or more run folders or scores files, not 1"));
    let with = |ratio: &str| FuseOptions { ratio: vec![ratio.into()], ..options(&two) };
    assert!(usage(&with("1:x")).unwrap().contains("\"1:x\""));
    assert_eq!(
        usage(&with("1:2:3")).unwrap(),
        "--ratio 1:2:3 has 3 weights, but there are 2 SCORES; name one weight for each"
    );
    assert_eq!(usage(&options(&[two[0].clone(), golden("none.npz")])), None);
}
