//! `ucftrain fuse` against numpy: the score files and answers that `scripts/make_score_goldens.py` makes.

#![allow(clippy::unwrap_used, reason = "the helpers of tests fail by panicking, too")]

use std::fs;
use std::path::{Path, PathBuf};
use ucftrain::fuse::{FuseArgs, Space, report};
use ucftrain::fusion::{Ratio, Strategy};
use ucftrain::scores::{Scores, clip_key};
use ucftrain::usage::Usage;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(name)
}

fn args(scores: &[PathBuf]) -> FuseArgs {
    FuseArgs {
        scores: scores.to_vec(),
        labels: None,
        split: None,
        ratio: Vec::new(),
        space: Space::Logits,
        samples: 19,
        json: false,
    }
}

fn error(args: &FuseArgs) -> anyhow::Error {
    report(args).unwrap_err()
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
            let found = report(&FuseArgs { space, ratio, ..args(&files) }).unwrap();
            let expected = serde_json::json!({"clips": case["clips"], "results": answer["results"]});
            assert_eq!(serde_json::to_value(&found).unwrap(), expected, "{name}, {space:?}");
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
    let found = report(&args(&[golden("random1-a.npz"), golden("random1-b.npz")])).unwrap();
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
    let found = report(&args(&[golden("random2-a.npz"), golden("random2-b.npz")])).unwrap();
    let mut table = Vec::new();
    found.write_table(&mut table).unwrap();
    let table = String::from_utf8(table).unwrap();
    let lines: Vec<&str> = table.lines().skip(2).collect();
    assert_eq!(lines.len(), 8);
    assert!(lines[2].starts_with("random2-a.npz  ") && lines[3].starts_with("random2-b.npz  "), "{table}");
    let best = found.results.iter().map(|r| r.top1).fold(0.0, f64::max);
    let marked: Vec<_> = lines.iter().filter(|line| line.ends_with("  best")).collect();
    assert!(marked.len() == 1 && marked[0].contains(&format!("{best:.4}")), "{table}");
    let width = lines[2].trim_end_matches("  best").len();
    assert!(lines[2..].iter().all(|line| line.trim_end_matches("  best").len() == width), "{table}");
}

/// A folder of lists for the clips of the reference code's pickles, and one of those with labels.
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
    let found = report(&FuseArgs { labels: labels.clone(), ..args(&files) }).unwrap();
    assert_eq!(found.clips, 3);
    // Best classes: 2 of the first clip, 2 of the second, 1 of the third; labels 0, 1, 3.
    assert!(found.results.iter().all(|r| (r.top1, r.top5) == (0.0, 100.0)), "{found:?}");
    let softmax = FuseArgs { labels: labels.clone(), space: Space::Softmax, ..args(&files) };
    assert_eq!(report(&softmax).unwrap().results.len(), 6);

    let message = error(&args(&files)).to_string();
    assert!(message.contains("give --labels DIR"), "{message}");
    reference_lists(dir.path(), 5);
    let message = error(&FuseArgs { labels, ..args(&files) }).to_string();
    assert!(message.contains("5 classes there, but scores of 4"), "{message}");
}

fn scores(names: &[&str], classes: usize) -> Scores {
    let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
    Scores {
        logits: (0..names.len() * classes).map(|i| i as f32).collect(),
        labels: Some(vec![0; names.len()]),
        samples: None,
        names,
        classes,
    }
}

/// Writes two score files and fuses them.
fn fuse_two(a: &Scores, b: &Scores) -> anyhow::Result<ucftrain::fuse::Report> {
    let dir = tempfile::tempdir().unwrap();
    let files = [dir.path().join("a.npz"), dir.path().join("b.npz")];
    a.write_npz(&files[0]).unwrap();
    b.write_npz(&files[1]).unwrap();
    report(&args(&files))
}

#[test]
fn clips_of_one_file_only_are_counted_and_named() {
    let a = scores(&["v_a", "v_b", "v_c", "v_d", "v_e", "v_f"], 2);
    let message = fuse_two(&a, &scores(&["A.avi", "z"], 2)).unwrap_err().to_string();
    assert!(message.contains("5 clips are only in ") && message.contains("a.npz: v_b, v_c, v_d, ...;"), "{message}");
    assert!(message.contains("1 clips are only in ") && message.ends_with("b.npz: z"), "{message}");
}

#[test]
fn files_that_do_not_fit_together_are_refused() {
    let a = scores(&["a", "b"], 2);
    let message = fuse_two(&a, &scores(&["b", "a"], 3)).unwrap_err().to_string();
    assert!(message.contains("a.npz has scores of 2 classes") && message.ends_with("b.npz of 3"), "{message}");
    let other = Scores { labels: Some(vec![0, 1]), ..scores(&["b", "a"], 2) };
    let message = fuse_two(&a, &other).unwrap_err().to_string();
    assert!(message.contains("different labels for 1 clips: a"), "{message}");
    let one = Scores { labels: None, ..scores(&["b", "a"], 2) };
    assert_eq!(fuse_two(&a, &one).unwrap().clips, 2, "one file's labels are enough");
    let large = Scores { logits: vec![f32::MAX; 4], ..scores(&["a", "b"], 2) };
    let message = fuse_two(&large, &large).unwrap_err().to_string();
    assert!(message.contains("clip a gets a score of inf"), "{message}");
}

#[test]
fn wrong_usage_is_told_apart_from_bad_data() {
    let two = [golden("random1-a.npz"), golden("random1-b.npz")];
    let usage = |args: &FuseArgs| error(args).downcast_ref::<Usage>().map(ToString::to_string);
    assert!(usage(&args(&two[..1])).unwrap().contains("two or more SCORES, not 1"));
    let with = |ratio: &str| FuseArgs { ratio: vec![ratio.into()], ..args(&two) };
    assert!(usage(&with("1:x")).unwrap().contains("\"1:x\""));
    assert_eq!(usage(&with("1:2:3")).unwrap(), "ratio 1:2:3 has 3 weights for 2 streams");
    assert_eq!(usage(&args(&[two[0].clone(), golden("none.npz")])), None);
}

#[test]
fn the_command_line_reads_as_documented() {
    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        args: FuseArgs,
    }
    use clap::Parser;
    let line = "fuse a.npz --ratio 1:2 b.npz --ratio 2:1.5 --space softmax --labels lists --split 1 --json c";
    let args = Program::try_parse_from(line.split(' ')).unwrap_or_else(|e| panic!("{e}")).args;
    assert_eq!(args.scores, ["a.npz", "b.npz", "c"].map(PathBuf::from));
    assert_eq!(
        (args.ratio, args.space, args.split),
        (vec!["1:2".into(), "2:1.5".into()], Space::Softmax, Some("1".into()))
    );
    assert!(args.json && args.samples == 19);
    assert!(Program::try_parse_from(["fuse"]).is_err());
    assert!(Program::try_parse_from(["fuse", "a", "b", "--samples", "0"]).is_err());
}
