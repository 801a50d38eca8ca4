//! Tests of odd names: they survive from a list to a dataset, to an exported or extracted tree, and
//! back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use clipshard::{Dataset, Manifest};
use ucfpack::export::{ExportOptions, PixelFormat, export};
use ucfpack::pack::{BuildOptions, DatasetKind};
use ucfpack::progress::{Progress, Watch};

use crate::command::ended;
use crate::pack::{options, pack};
use crate::tree::{RGB_FRAMES, Tree};

const NAMES: [&str; 7] =
    ["a b", "#1 & 50%", "\"quoted\", so;", "été 한국어", "e\u{301}te\u{301}2", "it's; no. 3", "a=b|c?*<d>$HOME"];
const CLASSES: [&str; 3] = ["pour, \"cold\"", "#jump & run", "50% ü"];
const SUBSETS: [&str; 5] = ["train", "val", "test", "unused", "Hard ones"];

/// Writes a list of the clips with two splits, groups and perhaps attributes, as a spreadsheet does.
fn write_list(path: &Path, has_attributes: bool) {
    let mut rows = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let columns = if has_attributes { 7 } else { 5 };
    let header = ["path", "label", "split_1", "split_fold B", "group", "fps", "caption"];
    rows.write_record(&header[..columns]).unwrap();
    for (i, name) in NAMES.into_iter().enumerate() {
        let path = format!("x/{name}.mp4");
        let group = ["Jürgen, \"2nd\"", "", " 7 "][i % 3];
        let row = [&path, CLASSES[i % 3], SUBSETS[i % 5], SUBSETS[(i + 1) % 5], group, "29.970", "a \"man\"\nruns"];
        rows.write_record(&row[..columns]).unwrap();
    }
    fs::write(path, rows.into_inner().unwrap()).unwrap();
}

fn exported(data: &Path, out: PathBuf) -> (PathBuf, Vec<String>) {
    let options = ExportOptions { out: out.clone(), clips: vec![], pixels: PixelFormat::Jpeg, overwrite: false };
    let watch = Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) };
    (out, export(data, &options, watch).unwrap().notes)
}

fn manifest(dir: &Path) -> Manifest {
    Dataset::open(dir).unwrap().manifest().clone()
}

fn packed(tree: &Path, lists: &Path, out: PathBuf) -> (PathBuf, Vec<String>) {
    let report = pack(&BuildOptions { dataset: DatasetKind::Auto, ..options(tree, lists, &out) }).unwrap();
    (out, report.notes)
}

#[test]
fn odd_names_survive_from_list_to_export_and_back() {
    let tree = Tree::new();
    for (i, name) in NAMES.into_iter().enumerate() {
        tree.add_clip(name, RGB_FRAMES, 20 + i as u32);
    }
    for (has_attributes, file) in [(false, "clips.csv"), (true, "clips.jsonl")] {
        let place = tempfile::tempdir().unwrap();
        let list = tree.path("odd.csv");
        write_list(&list, has_attributes);
        let (first, notes) = packed(tree.root(), &list, place.path().join("first"));
        assert!(notes.iter().any(|note| note.contains("odd.csv: lists of custom, recognised by the column path")));
        let was = manifest(&first);
        let mut ids: Vec<&str> = was.clips.iter().map(|clip| clip.id.as_str()).collect();
        let mut expected = NAMES;
        ids.sort_unstable();
        expected.sort_unstable();
        assert_eq!(ids, expected);
        assert_eq!((was.splits.join(","), was.classes.len(), was.groups.len()), ("1,fold B".into(), 3, 5));
        let quoted = was.clips.iter().find(|clip| clip.id == NAMES[2]).unwrap();
        assert_eq!((&was.classes[quoted.label.unwrap() as usize][..], quoted.subsets[0].name()), (CLASSES[2], "test"));
        assert_eq!(was.groups[NAMES[2]], "7");
        let attributes = if has_attributes { r#"{"fps":29.970,"caption":"a \"man\"\nruns"}"# } else { "{}" };
        assert_eq!(quoted.attributes.as_json(), attributes);

        let (back, notes) = exported(&first, place.path().join("back"));
        assert!(notes[0].starts_with(&format!("lists/{file} is the list with everything; ")), "{notes:?}");
        let (second, _) = packed(&back, &back.join("lists"), place.path().join("second"));
        let mut now = manifest(&second);
        assert_eq!((&now.classes, &now.splits, &now.groups), (&was.classes, &was.splits, &was.groups));
        assert_eq!(now.clips, was.clips);
        // The second tree is the first one, byte for byte.
        let (again, _) = exported(&second, place.path().join("again"));
        let list = |tree: &Path| fs::read_to_string(tree.join("lists").join(file)).unwrap();
        assert_eq!(list(&again), list(&back));
        // Some classes, in a dataset of its own.
        let classes = Some(vec![CLASSES[2].to_owned()]);
        let out = place.path().join("one");
        pack(&BuildOptions { classes, dataset: DatasetKind::Custom, ..options(&back, &back.join("lists"), &out) })
            .unwrap();
        now = manifest(&out);
        assert_eq!((now.classes.as_slice(), now.clips.len()), (&[CLASSES[2].to_owned()][..], 2));
    }
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn odd_names_survive_from_videos_to_an_extracted_tree_and_back() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::create_dir_all(at("videos/x")).unwrap();
    let first = at("videos/x").join(format!("{}.mp4", NAMES[0]));
    let made = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=32x32:rate=12:duration=1"])
        .arg(&first)
        .status()
        .unwrap();
    assert!(made.success());
    for name in &NAMES[1..] {
        fs::copy(&first, at("videos/x").join(format!("{name}.mp4"))).unwrap();
    }
    write_list(&at("odd.csv"), false);
    let run =
        |args: &[&str]| Command::new(env!("CARGO_BIN_EXE_ucfpack")).args(args).current_dir(&place).output().unwrap();
    let of = ["--flow-method", "none", "--lists", "odd.csv", "--rgb-short-side", "32"];
    ended(&run(&[&["extract", "--videos", "videos", "--out", "tree"], &of[..]].concat()), 0, "7 clips");
    ended(&run(&[&["build", "--videos", "videos", "--out", "direct"], &of[..]].concat()), 0, "packed 7 clips");
    ended(&run(&["build", "--rgb", "tree", "--lists", "odd.csv", "--out", "packed"]), 0, "packed 7 clips");
    let (direct, packed) = (manifest(&at("direct")), manifest(&at("packed")));
    let seen = |manifest: &Manifest| {
        let clip = |clip: &clipshard::Clip| (clip.id.clone(), clip.label, clip.subsets.clone());
        (manifest.clips.iter().map(clip).collect::<Vec<_>>(), manifest.classes.clone(), manifest.groups.clone())
    };
    assert_eq!(seen(&direct), seen(&packed));
    assert_eq!(direct.clips.len(), NAMES.len());
}
