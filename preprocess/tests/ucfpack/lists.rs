//! Tests of the lists of published datasets: they are recognised, and decide the clips of a dataset.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use clipshard::{Dataset, Manifest, Subset};
use ucfpack::pack::{BuildOptions, BuildReport, DatasetKind};

use crate::command::ended;
use crate::pack::{options, pack};
use crate::tree::{CLIPS, RGB_FRAMES, Tree};

/// Packs a tree by the lists in a folder, whose kind is recognised.
fn packed(tree: &Tree, files: &[(&str, &str)]) -> (Manifest, BuildReport) {
    let place = tempfile::tempdir().unwrap();
    let lists = place.path().join("lists");
    fs::create_dir(&lists).unwrap();
    for (name, text) in files {
        fs::write(lists.join(name), text).unwrap();
    }
    let out = place.path().join("out");
    let report = pack(&BuildOptions { dataset: DatasetKind::Auto, ..options(tree.root(), &lists, &out) }).unwrap();
    (Dataset::open(&out).unwrap().manifest().clone(), report)
}

type Seen<'a> = (&'a str, Option<u32>, Vec<&'a str>, &'a str);

fn seen(manifest: &Manifest) -> Vec<Seen<'_>> {
    manifest
        .clips
        .iter()
        .map(|c| (c.id.as_str(), c.label, c.subsets.iter().map(Subset::name).collect(), c.attributes.as_json()))
        .collect()
}

fn has_note(report: &BuildReport, words: &str) -> bool {
    report.notes.iter().any(|note| note.contains(words))
}

#[test]
fn kinetics_finds_clips_by_both_names_and_keeps_their_times() {
    let tree = Tree::new();
    for (i, name) in ["-3B32lodo2M_000059_000069", "_dbcJuKJQNs", "zzz_000000_000010"].into_iter().enumerate() {
        tree.add_clip(name, RGB_FRAMES, 30 + i as u32);
    }
    let header = "label,youtube_id,time_start,time_end,split\r\n";
    let (manifest, report) = packed(
        &tree,
        &[
            ("train.csv", &format!("{header}riding mule,-3B32lodo2M,59,69,train\r\n")),
            ("validate.csv", &format!("{header}\"testifying, or so\",_dbcJuKJQNs,140,150,validate\r\n")),
            ("test.csv", "youtube_id,time_start,time_end,split\nzzz,0,10,test\n"),
        ],
    );
    assert_eq!(
        (manifest.dataset.as_str(), manifest.classes.as_slice()),
        ("kinetics", &["riding mule", "testifying, or so"].map(String::from)[..])
    );
    assert_eq!(
        seen(&manifest),
        [
            ("-3B32lodo2M_000059_000069", Some(0), vec!["train"], r#"{"start_seconds":59,"end_seconds":69}"#),
            ("_dbcJuKJQNs", Some(1), vec!["val"], r#"{"start_seconds":140,"end_seconds":150}"#),
            ("zzz_000000_000010", None, vec!["test"], r#"{"start_seconds":0,"end_seconds":10}"#),
        ]
    );
    let note = "lists of kinetics, recognised by the column youtube_id (test.csv, train.csv, validate.csv)";
    assert!(has_note(&report, note), "{:?}", report.notes);
}

#[test]
fn something_v2_keeps_captions_and_clips_without_label() {
    let tree = Tree::new();
    for (i, name) in ["78687", "7", "1420"].into_iter().enumerate() {
        tree.add_clip(name, RGB_FRAMES, 30 + i as u32);
    }
    let entry = |id, caption| {
        format!(
            "[{{\"id\":\"{id}\",\"label\":\"{caption}\",\"template\":\"Closing [something]\",\
             \"placeholders\":[\"x\"]}}]"
        )
    };
    let (manifest, _) = packed(
        &tree,
        &[
            ("train.json", &entry("78687", "closing a b\u{f6}x")),
            ("validation.json", &entry("7", "closing x")),
            ("test.json", "[{\"id\":\"1420\"}]"),
            ("labels.json", "{\"Approaching something\":\"0\",\"Closing something\":\"1\"}"),
        ],
    );
    assert_eq!(manifest.classes, ["Approaching something", "Closing something"]);
    let clips = seen(&manifest);
    assert_eq!(
        clips.iter().map(|clip| (clip.0, clip.1, clip.2[0])).collect::<Vec<_>>(),
        [("1420", None, "test"), ("7", Some(1), "val"), ("78687", Some(1), "train")]
    );
    assert_eq!(
        (clips[0].3, clips[2].3),
        ("{}", "{\"caption\":\"closing a b\u{f6}x\",\"template\":\"Closing [something]\",\"placeholders\":[\"x\"]}")
    );
}

#[test]
fn text_lists_of_frame_trees_give_splits_with_train_and_val() {
    let tree = Tree::new();
    let (manifest, report) = packed(
        &tree,
        &[
            (
                "ucf101_train_split_1_rawframes.txt",
                &format!("Archery/{} 14 0\r\nRowing/{} 14 1\r\n", CLIPS[0], CLIPS[4]),
            ),
            ("ucf101_val_split_1_rawframes.txt", &format!("Archery/{} 14 0\n", CLIPS[1])),
            ("ucf101_train_split_2_rawframes.txt", &format!("Archery/{} 14 0\n", CLIPS[1])),
            ("ucf101_test_split_2_rawframes.txt", &format!("Rowing/{} 14 1\n", CLIPS[4])),
        ],
    );
    assert_eq!((manifest.dataset.as_str(), manifest.splits.join(",")), ("mmaction2", "1,2".into()));
    assert_eq!(manifest.classes, ["Archery", "Rowing"]);
    assert_eq!(
        seen(&manifest),
        [
            (CLIPS[0], Some(0), vec!["train", "unused"], "{}"),
            (CLIPS[1], Some(0), vec!["val", "train"], "{}"),
            (CLIPS[4], Some(1), vec!["train", "test"], "{}"),
        ]
    );
    assert!(has_note(
        &report,
        "lists of mmaction2, recognised by lines `path [frames] label` (ucf101_test_split_2_rawframes.txt, "
    ));
}

#[test]
fn json_lines_keep_attributes_and_several_labels() {
    let tree = Tree::new();
    let line = |clip: &str, more: &str| format!("{{\"path\":\"{clip}.avi\",{more}}}\n");
    let text = [
        line(CLIPS[0], "\"label\":\"b\",\"split\":\"train\",\"id\":12345678901234567890123,\"fps\":29.970"),
        line(CLIPS[1], "\"labels\":[\"c\",\"a\"],\"split\":\"dev\",\"group\":\"g 1\""),
        line(CLIPS[2], "\"split\":\"odd\""),
    ];
    let (manifest, report) = packed(&tree, &[("clips.jsonl", &text.concat())]);
    assert_eq!(manifest.classes, ["a", "b", "c"]);
    assert_eq!(
        seen(&manifest),
        [
            (CLIPS[0], Some(1), vec!["train"], r#"{"id":12345678901234567890123,"fps":29.970}"#),
            (CLIPS[1], None, vec!["val"], r#"{"labels":[2,0]}"#),
            (CLIPS[2], None, vec!["odd"], "{}"),
        ]
    );
    assert_eq!(manifest.groups[CLIPS[1]], "g 1");
    assert!(
        has_note(&report, "the subset `odd` (1 clip) is none of train, val, test and unused"),
        "{:?}",
        report.notes
    );
}

fn run(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ucfpack")).args(args).current_dir(dir).output().unwrap()
}

#[test]
fn an_exported_tree_is_packed_again_by_its_list_with_everything() {
    let tree = Tree::new();
    let line = |(i, clip): (usize, &&str)| {
        let (class, subset) = (["Archery", "HandstandPushups", "Rowing"][i / 2], ["train", "test"][i % 2]);
        format!("{{\"path\":\"{clip}.avi\",\"label\":\"{class}\",\"split\":\"{subset}\",\"take\":{i}.50}}\n")
    };
    let with_attributes: String = CLIPS.iter().enumerate().map(line).collect();
    let with_groups = format!("path,label,split,group\n{},x,train,g\n{},y,test,h\n", CLIPS[0], CLIPS[5]);
    for (list, text, clips) in [("mine.jsonl", with_attributes, 6), ("mine.csv", with_groups, 2)] {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join(list), text).unwrap();
        let root = tree.root().to_str().unwrap();
        let build = |tree: &str, lists: &str, out: &str| {
            run(place.path(), &["build", "--tree", tree, "--lists", lists, "--out", out, "--flow-size", "28"])
        };
        ended(&build(root, list, "first"), 0, "packed");
        ended(&run(place.path(), &["export", "first", "--out", "back"]), 0, "is the list with everything");
        let note = "; the lists of ucf101 next to it lack something";
        ended(&build("back", "back/lists", "second"), 0, note);
        let manifest = |out: &str| Dataset::open(place.path().join(out)).unwrap().manifest().clone();
        let (first, second) = (manifest("first"), manifest("second"));
        assert_eq!(first.clips.len(), clips);
        assert_eq!((&first.classes, &first.splits, &first.groups), (&second.classes, &second.splits, &second.groups));
        assert_eq!(seen(&first), seen(&second));
        let frames = |manifest: &Manifest| manifest.clips.iter().map(|clip| clip.frames.clone()).collect::<Vec<_>>();
        assert_eq!(frames(&first), frames(&second));
    }
}

#[test]
fn the_program_recognises_lists_says_so_and_does_not_guess() {
    let tree = Tree::new();
    let build = |more: &[&str]| {
        let all = ["build", "--tree", ".", "--out", "out", "--overwrite", "--flow-size", "28"];
        run(tree.root(), &[&all, more].concat())
    };
    let note = "note: lists: lists of ucf101, recognised by trainlist0N.txt and testlist0N.txt (testlist01.txt";
    ended(&build(&["--lists", "lists"]), 0, note);
    fs::write(tree.path("lists/clips.csv"), "path,label,split\n").unwrap();
    let clear = "lists has lists of custom (clips.csv) and of ucf101 (testlist01.txt, trainlist01.txt); choose one \
                 with --dataset, or name the file with --lists";
    ended(&build(&["--lists", "lists"]), 2, clear);
    ended(&build(&["--lists", "lists", "--dataset", "ucf101"]), 0, "packed 6 clips");
    ended(&build(&["--lists", "lists/clips.csv"]), 1, "clips.csv contains no clips; write one row per clip");
    fs::write(tree.path("lists/clips.csv"), format!("{};x;train\n", CLIPS[0])).unwrap();
    ended(
        &build(&["--lists", "lists/clips.csv"]),
        0,
        "note: lists/clips.csv: lists of custom, recognised by rows path",
    );
    ended(&build(&["--lists", "lists/clips.csv", "--dataset", "kinetics"]), 1, "the first row must name the columns");
    ended(&build(&["--lists", "jpegs_256"]), 1, "jpegs_256 has no lists of a known kind (ucf101, hmdb51, jhmdb, ");
    ended(&build(&["--lists", "lists", "--dataset", "tsn"]), 1, "no lists of mmaction2 with train, val or test");
    ended(&build(&["--lists", "none"]), 1, "none: no such file or folder");
    ended(
        &build(&[]),
        2,
        "--lists is missing: it must be the folder of the official lists, unless --dataset is custom",
    );
}
