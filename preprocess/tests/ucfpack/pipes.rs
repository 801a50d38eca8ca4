//! Tests of closed pipes, of full disks behind stdout, and of names with terminal escape sequences.
#![cfg(unix)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use clipshard::{Clip, EncodeOptions, Encoder, ImageSize, Manifest, ShardClip, ShardMetadata, ShardWriter};
use clipshard::{Stream, StreamSpec, Subset};
use tempfile::TempDir;

use crate::command::{build, ended, names, stderr, ucfpack};
use crate::pack::files;
use crate::tree::{CLIPS, Tree};

/// Returns a pipe whose reader is closed.
fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// Runs a command whose output nothing reads: `(command 2>&1) | true`.
fn unread(command: &mut Command) -> Option<i32> {
    command.stdout(closed_pipe()).stderr(closed_pipe()).status().unwrap().code()
}

/// Runs a command whose stdout is on a full disk.
fn onto_full_disk(command: &mut Command) -> Output {
    command.stdout(File::options().write(true).open("/dev/full").unwrap()).output().unwrap()
}

struct Packed {
    tree: Tree,
    place: TempDir,
}

impl Packed {
    fn new() -> Self {
        let packed = Self { tree: Tree::new(), place: tempfile::tempdir().unwrap() };
        ended(&build(&packed.tree, &packed.path("set")).output().unwrap(), 0, "packed 6 clips");
        packed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn on_set(&self, arguments: &[&str]) -> Command {
        let mut command = ucfpack();
        command.arg(arguments[0]).arg(self.path("set")).args(&arguments[1..]);
        command
    }
}

#[test]
fn work_whose_output_nobody_reads_is_done_all_the_same() {
    let packed = Packed::new();
    let reference = files(&packed.path("set"));
    assert_eq!(unread(&mut build(&packed.tree, &packed.path("unread"))), Some(0));
    assert!(files(&packed.path("unread")) == reference);
    // A skipped clip is reported on both outputs.
    fs::remove_dir_all(packed.tree.path(&format!("jpegs_256/{}", CLIPS[2]))).unwrap();
    assert_eq!(unread(build(&packed.tree, &packed.path("some")).arg("--keep-going")), Some(0));
    assert_eq!(Manifest::read(packed.path("some")).unwrap().clips.len(), 5);

    let parts = [1, 2].map(|number| packed.path(&format!("part{number}")));
    for (number, part) in parts.iter().enumerate() {
        let number = format!("{}/2", number + 1);
        assert_eq!(unread(build(&packed.tree, part).args(["--keep-going", "--part", &number])), Some(0));
    }
    assert_eq!(unread(ucfpack().args(["merge", "--out"]).arg(packed.path("merged")).args(&parts)), Some(0));
    assert!(files(&packed.path("merged")) == files(&packed.path("some")));
    assert_eq!(unread(packed.on_set(&["export", "--out"]).arg(packed.path("tree"))), Some(0));
    assert_eq!(names(&packed.path("tree")), ["jpegs_256", "lists", "tvl1_flow"]);
    let synth = ["synth", "--classes", "2", "--clips", "4", "--size", "16x16", "--out"];
    assert_eq!(unread(ucfpack().args(synth).arg(packed.path("synth"))), Some(0));
    assert_eq!(names(&packed.path("synth")), ["jpegs_256", "lists", "tvl1_flow"]);
    assert_eq!(unread(ucfpack().arg("man").arg(packed.path("man"))), Some(0));
    // The exit status shows a failure even if nothing reads the message.
    assert_eq!(unread(&mut build(&packed.tree, &packed.path("bad"))), Some(1));
    assert_eq!(unread(&mut build(&packed.tree, &packed.path("set"))), Some(2));
    assert_eq!(unread(ucfpack().arg("nonsense")), Some(2));
}

#[test]
fn a_contact_sheet_is_written_though_nobody_reads_the_text() {
    let packed = Packed::new();
    for more in [&[][..], &["--json"], &["--clip", CLIPS[0]]] {
        let sheet = packed.path("sheet.png");
        let mut command = packed.on_set(&["inspect", "--sheet"]);
        assert_eq!(unread(command.arg(&sheet).args(more)), Some(141), "the text is lost");
        assert!(image::open(&sheet).is_ok());
        fs::remove_file(sheet).unwrap();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_is_an_error_that_names_stdout() {
    let packed = Packed::new();
    let lost = |command: &mut Command| {
        let output = onto_full_disk(command);
        ended(&output, 1, "error: stdout: cannot write the result: No space left on device");
        assert_eq!(stderr(&output).matches("No space left").count(), 1);
        assert_eq!(unread(command), Some(141));
    };
    lost(&mut packed.on_set(&["inspect"]));
    lost(&mut packed.on_set(&["inspect", "--json"]));
    lost(&mut packed.on_set(&["inspect", "--clip", CLIPS[0]]));
    lost(&mut packed.on_set(&["verify"]));
    lost(&mut packed.on_set(&["verify", "--json"]));
    lost(build(&packed.tree, &packed.path("x")).arg("--dry-run"));
    lost(build(&packed.tree, &packed.path("x")).args(["--dry-run", "--json"]));
    lost(ucfpack().args(["completions", "bash"]));
    lost(ucfpack().arg("--help"));
    lost(ucfpack().args(["build", "--help"]));
    lost(ucfpack().arg("--version"));
    // The dataset is complete, but the requested report is lost.
    lost(build(&packed.tree, &packed.path("json")).args(["--json", "--overwrite"]));
    assert!(files(&packed.path("json")) == files(&packed.path("set")));
}

#[cfg(target_os = "linux")]
#[test]
fn a_summary_that_cannot_be_written_is_no_error() {
    let packed = Packed::new();
    ended(&onto_full_disk(&mut build(&packed.tree, &packed.path("other"))), 0, "");
    ended(&onto_full_disk(packed.on_set(&["export", "--out"]).arg(packed.path("tree"))), 0, "");
    let mut command = build(&packed.tree, &packed.path("third"));
    command.stderr(File::options().write(true).open("/dev/full").unwrap());
    ended(&command.output().unwrap(), 0, "packed 6 clips");
    assert!(files(&packed.path("third")) == files(&packed.path("set")));
}

#[cfg(target_os = "linux")]
#[test]
fn damage_and_its_lost_list_are_both_told() {
    let packed = Packed::new();
    let shard = packed.path("set/flow-00000.clipshard");
    let mut bytes = fs::read(&shard).unwrap();
    bytes[1_000] ^= 1;
    fs::write(&shard, bytes).unwrap();
    let output = onto_full_disk(&mut packed.on_set(&["verify"]));
    ended(&output, 1, "stdout: cannot write the result: No space left on device");
    ended(&output, 1, "set is damaged in 1 place");
}

const BAD_ID: &str = "v_\u{1b}[31mRed\u{9b}1m\nnote: all is well\u{202e}";
const SHOWN_ID: &str = r"v_\x1b[31mRed\x9b1m\nnote: all is well\u{202e}";

/// Writes a dataset whose names contain escape sequences.
fn hostile_names(dir: &Path) {
    let size = ImageSize { width: 8, height: 8, channels: 3 };
    let mut encoder = Encoder::new(EncodeOptions::zstd(3)).unwrap();
    let record = encoder.encode(&vec![9; size.bytes()], size).unwrap();
    let spec = StreamSpec::rgb();
    fs::create_dir(dir).unwrap();
    let mut writer = ShardWriter::create(dir.join("rgb-00000.clipshard"), &spec).unwrap();
    writer.add_clip(BAD_ID, &[record.clone(), record]).unwrap();
    let class = "A\u{1b}]0;title\u{7}".to_owned();
    let group = "g\u{1b}[2J\r".to_owned();
    let split = "1\u{1b}[8m".to_owned();
    let dataset = "set\u{1b}c".to_owned();
    let clip = Clip::new(BAD_ID, 0, vec![Subset::Train]).with_frames("rgb", 2);
    let mut metadata = ShardMetadata::new(dataset, vec![class], vec![split]).with_clips(vec![ShardClip::from(&clip)]);
    metadata.build = [("packer\u{1b}[A".to_owned(), serde_json::json!("x\u{1b}[B"))].into();
    metadata.groups = [(BAD_ID.to_owned(), group)].into();
    let shards = vec![writer.finish(&metadata).unwrap()];
    let ShardMetadata { dataset, classes, splits, build, groups, .. } = metadata;
    let mut manifest = Manifest::new(dataset, classes, splits);
    (manifest.build, manifest.groups) = (build, groups);
    (manifest.streams, manifest.clips) = (vec![Stream::new(spec, shards)], vec![clip]);
    manifest.write(dir).unwrap();
}

/// Returns all output, after checking that it has no terminal control characters.
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let obeyed = |c: char| c != '\n' && (c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
    assert!(!text.contains(obeyed), "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("note: all is well")), "{text}");
    text
}

#[test]
fn names_from_data_reach_the_terminal_escaped_and_json_as_they_are() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    hostile_names(&path("set"));
    let on_set = |arguments: &[&str]| {
        let mut command = ucfpack();
        command.arg(arguments[0]).arg(path("set")).args(&arguments[1..]);
        command
    };
    let inspected = said(&mut on_set(&["inspect"]));
    for expected in [r"set\x1bc: 1 clip, 1 class, 1 split", r"A\x1b]0;title\x07", r"1\x1b[8m", r"packer\x1b[A: x\x1b[B"]
    {
        assert!(inspected.contains(expected), "{expected} in {inspected}");
    }
    let clip = said(&mut on_set(&["inspect", "--clip", BAD_ID]));
    assert!(clip.starts_with(&format!(r"{SHOWN_ID}: class 0 A\x1b]0;title\x07")), "{clip}");
    assert!(clip.contains(r"group: g\x1b[2J\r"), "{clip}");
    let unknown = said(&mut on_set(&["inspect", "--clip", "other"]));
    assert!(unknown.contains(&format!("the only clip is {SHOWN_ID}")), "{unknown}");
    let json = said(&mut on_set(&["inspect", "--clip", BAD_ID, "--json"]));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["clip"], BAD_ID);
    // The id is no valid folder name, because it has a colon.
    let refused = said(on_set(&["export", "--out"]).arg(path("tree")));
    let words = "its id is not a plain folder name, because it contains `:`; choose other clips with --clip, or rename";
    assert!(refused.starts_with("error: cannot export clip ") && refused.contains(words), "{refused}");

    let shard = path("set/rgb-00000.clipshard");
    let mut bytes = fs::read(&shard).unwrap();
    bytes[70] ^= 1;
    fs::write(&shard, bytes).unwrap();
    let damage = said(&mut on_set(&["verify"]));
    let place = format!("(clip {SHOWN_ID}, stream rgb, frame 0, plane 0)");
    assert!(damage.contains(&format!("{place} is damaged: its checksum is")), "{damage}");
    let json = said(&mut on_set(&["verify", "--json"]));
    let json: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert!(json["damage"][0].as_str().unwrap().contains(BAD_ID), "{json}");
}

#[test]
fn names_of_files_that_cannot_be_packed_are_escaped() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let list = place.path().join("list.csv");
    fs::write(&list, "v_\u{1b}[31mRed,A,train\nv_Archery_g01_c01,A,test\nv_Archery_g08_c01,A,train\n").unwrap();
    let run = |more: &[&str], out: &str| {
        let mut command = ucfpack();
        command.args(["build", "--dataset", "custom", "--flow-size", "28", "--tree"]).arg(tree.root());
        command.arg("--lists").arg(&list).arg("--out").arg(place.path().join(out)).args(more);
        said(&mut command)
    };
    assert!(run(&[], "x").contains(r"\x1b[31mRed: "), "{}", run(&[], "x"));
    let text = run(&["--keep-going"], "y\u{1b}[32m");
    assert!(text.contains(r"skipped 1 clip:") && text.contains(r"  v_\x1b[31mRed: "), "{text}");
    assert!(text.contains(r"y\x1b[32m"), "{text}");
}
