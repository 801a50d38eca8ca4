//! Tests of attributes: those that videos give, those of the dataset, and their way through parts,
//! merging, resuming and rebuilding.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clipshard::{
    Attributes, Clip, Dataset, Disk, EncodeOptions, Encoder, ImageSize, Manifest, ShardClip, ShardMetadata,
    ShardWriter, Storage, Stream, StreamSpec, Subset,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use ucfpack::pack::{BuildOptions, build_in};
use ucfpack::progress::{Progress, Watch};

use crate::faulty::{Fault, Faulty};
use crate::pack::{files, options, pack};
use crate::tree::Tree;
use crate::videos::ended;

/// Attributes whose spelling a program could lose: spaces, digits, the order of keys.
const ABOUT: &str = "{\n  \"z licence\": \"CC BY 4.0\",\n  \"version\": 1.50,\n  \"id\": 12345678901234567890123,\n  \
    \"people\": [{\"name\": \"\\u00c9ve\"}]\n}\n";
const ABOUT_STORED: &str = "{\"z licence\":\"CC BY 4.0\",\"version\":1.50,\"id\":12345678901234567890123,\
    \"people\":[{\"name\":\"\\u00c9ve\"}]}";

fn ucfpack(arguments: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ucfpack")).args(arguments).current_dir(dir).output().unwrap()
}

/// Makes `videos/CLASS/NAME`, which shows a test picture. `source` has the size, rate and length.
fn make_video(dir: &TempDir, path: &str, source: &str, more: &[&str]) {
    let file = dir.path().join("videos").join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-loglevel", "error", "-f", "lavfi", "-i"]).arg(format!("testsrc2={source}")).args(more);
    assert!(ffmpeg.arg(file).status().unwrap().success());
}

/// Marks an MP4 file as a lying video that players turn by 90 degrees, as phones do.
fn turn(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let matrix = bytes.windows(4).position(|name| name == b"tkhd").unwrap() + 44;
    let turned: [u32; 9] = [0, 0x1_0000, 0, 0xffff_0000, 0, 0, 0, 0, 0x4000_0000];
    for (place, number) in bytes[matrix..matrix + 36].chunks_exact_mut(4).zip(turned) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    fs::write(file, bytes).unwrap();
}

/// Packs the videos in `videos/`, in which each folder is a class.
fn build_videos(dir: &TempDir, out: &str, more: &[&str]) -> Output {
    let usual = ["build", "--videos", "videos", "--dataset", "custom", "--rgb-short-side", "32", "--flow-size", "28"];
    let flow: &[&str] = if more.contains(&"none") { &[] } else { &["--flow-method", "dis"] };
    ucfpack(&[&usual[..], flow, &["--out", out], more].concat(), dir.path())
}

fn manifest(dir: &Path) -> Manifest {
    Manifest::read(dir).unwrap()
}

/// Returns the attributes of a clip as they are stored.
fn of_clip(dir: &Path, id: &str) -> String {
    let manifest = manifest(dir);
    manifest.clips.iter().find(|clip| clip.id == id).unwrap().attributes.as_json().to_owned()
}

/// Deletes the manifest, rebuilds it, and compares it with the earlier one byte for byte.
fn rebuilds(dir: &Path) {
    let path = dir.join("manifest.json");
    let before = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    ended(&ucfpack(&["verify", ".", "--rebuild-manifest"], dir), 0, &["rebuilt the manifest", "no damage"]);
    assert_eq!(String::from_utf8(fs::read(path).unwrap()).unwrap(), String::from_utf8(before).unwrap());
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn videos_give_rate_duration_and_size() {
    let dir = tempfile::tempdir().unwrap();
    let xvid = ["-c:v", "mpeg4", "-bf", "2"];
    make_video(&dir, "a/half.avi", "size=96x64:rate=25/2:duration=1.6", &xvid);
    make_video(&dir, "a/ntsc.avi", "size=96x64:rate=30000/1001:duration=0.5", &xvid);
    make_video(&dir, "b/whole.mp4", "size=64x96:rate=24:duration=0.5", &["-c:v", "mpeg4"]);
    // Matroska stores times in milliseconds.
    make_video(&dir, "b/film.mkv", "size=96x64:rate=24000/1001:duration=1", &xvid);
    make_video(&dir, "b/phone.mp4", "size=96x64:rate=30:duration=0.5", &["-c:v", "mpeg4"]);
    turn(&dir.path().join("videos/b/phone.mp4"));
    // Every seventh frame is missing: 4 of 28.
    let gaps = ["-vf", "select='not(eq(mod(n,7),3))'", "-vsync", "vfr", "-c:v", "mpeg4"];
    make_video(&dir, "c/gaps.avi", "size=96x64:rate=25:duration=1.12", &gaps);
    ended(&build_videos(&dir, "out", &[]), 0, &["packed 6 clips"]);
    let out = dir.path().join("out");
    let size = r#""width":96,"height":64}"#;
    for (id, expected) in [
        ("half", format!(r#"{{"fps":12.5,"duration_seconds":1.6,{size}"#)),
        ("ntsc", format!(r#"{{"fps":29.97003,"fps_fraction":"30000/1001","duration_seconds":0.5005,{size}"#)),
        ("whole", r#"{"fps":24,"duration_seconds":0.5,"width":64,"height":96}"#.to_owned()),
        ("film", format!(r#"{{"fps":23.976024,"fps_fraction":"24000/1001","duration_seconds":1.001,{size}"#)),
        ("phone", r#"{"fps":30,"duration_seconds":0.5,"width":64,"height":96}"#.to_owned()),
        // 24 frames; the last one is 27 places behind the first one.
        ("gaps", format!(r#"{{"fps":21.296296,"variable_fps":true,"duration_seconds":1.126957,{size}"#)),
    ] {
        assert_eq!(of_clip(&out, id), expected, "{id}");
        let clip = manifest(&out).clips.into_iter().find(|clip| clip.id == id).unwrap();
        let number = |key: &str| clip.attributes.get(key).unwrap().as_f64().unwrap();
        let frames = f64::from(clip.frames["rgb"]);
        assert!((number("duration_seconds") * number("fps") - frames).abs() < 1e-4, "{id}: {frames} frames");
    }
    let shown = ucfpack(&["inspect", "out", "--clip", "ntsc"], dir.path());
    ended(&shown, 0, &["\nattributes\n  duration_seconds: 0.5005\n  fps: 29.97003\n  fps_fraction: 30000/1001\n"]);
    let shown = ucfpack(&["inspect", "out", "--clip", "half", "--json"], dir.path());
    let document: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let expected = json!({"fps": 12.5, "duration_seconds": 1.6, "width": 96, "height": 64});
    assert_eq!(document["attributes"], expected);
    rebuilds(&out);
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn parts_resumed_builds_and_one_build_have_the_same_attributes() {
    let dir = tempfile::tempdir().unwrap();
    for (name, rate) in
        [("a/one.avi", "25"), ("a/two.avi", "30000/1001"), ("b/three.avi", "15/2"), ("b/four.avi", "50")]
    {
        make_video(&dir, name, &format!("size=96x64:rate={rate}"), &["-frames:v", "14", "-c:v", "mpeg4"]);
    }
    fs::write(dir.path().join("about.json"), ABOUT).unwrap();
    // Each shard holds one clip, so the streams of a clip are in different parts.
    let small = ["--shard-size", "1000", "--attributes", "about.json"];
    ended(&build_videos(&dir, "one", &small), 0, &["packed 4 clips", "shards: 4 rgb, 4 flow"]);
    let one = dir.path().join("one");
    assert_eq!(of_clip(&one, "three"), r#"{"fps":7.5,"duration_seconds":1.866667,"width":96,"height":64}"#);
    assert_eq!(manifest(&one).attributes.as_json(), ABOUT_STORED);
    for (shard, bytes) in files(&one) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains(ABOUT_STORED), "{}", shard.display());
    }
    for (part, out) in [("1/3", "part1"), ("2/3", "part2"), ("3/3", "part3")] {
        ended(&build_videos(&dir, out, &[&small[..], &["--part", part]].concat()), 0, &["packed"]);
    }
    let merge = |out: &str, parts: &[&str]| ucfpack(&[&["merge", "--out", out], parts].concat(), dir.path());
    ended(&merge("merged", &["part1", "part2", "part3"]), 0, &["merged 4 clips"]);
    assert!(files(&one) == files(&dir.path().join("merged")));
    rebuilds(&dir.path().join("merged"));
    // A part with other attributes belongs to another build.
    fs::write(dir.path().join("about.json"), ABOUT.replace("CC BY", "CC BY-NC")).unwrap();
    ended(&build_videos(&dir, "other", &[&small[..], &["--part", "3/3"]].concat()), 0, &["packed"]);
    let words = "--attributes: attribute z licence is \"CC BY-NC 4.0\", but was \"CC BY 4.0\"";
    ended(&merge("mixed", &["part1", "part2", "other"]), 1, &["other does not belong to the same build", words]);
    assert!(!dir.path().join("mixed").exists());
    // An existing dataset is complete only with the same attributes.
    let resume = [&small[..], &["--resume"]].concat();
    ended(&build_videos(&dir, "one", &resume), 2, &["one exists, but was packed differently: ", words]);
    fs::write(dir.path().join("about.json"), ABOUT).unwrap();
    ended(&build_videos(&dir, "one", &resume), 0, &["one is already complete; nothing to do"]);
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn a_resumed_build_keeps_the_measured_attributes_and_notices_other_videos() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["a/one.avi", "a/two.avi", "b/three.avi"];
    for name in names {
        make_video(&dir, name, "size=96x64:rate=30000/1001", &["-frames:v", "14", "-c:v", "mpeg4"]);
    }
    let small = ["--shard-size", "1000"];
    ended(&build_videos(&dir, "whole", &small), 0, &["packed 3 clips"]);
    let whole = files(&dir.path().join("whole"));
    // The shards with RGB are finished, those with flow are not.
    let interrupt = || {
        let set = dir.path().join(".out.partial/set");
        fs::create_dir_all(&set).unwrap();
        for (name, bytes) in whole.iter().filter(|(name, _)| name.to_string_lossy().starts_with("rgb")) {
            fs::write(set.join(name), bytes).unwrap();
        }
        let part = build_videos(&dir, "part", &[&small[..], &["--part", "1/1", "--overwrite"]].concat());
        ended(&part, 0, &["packed"]);
        let record: Value = serde_json::from_slice(&fs::read(dir.path().join("part/part.json")).unwrap()).unwrap();
        let mut plan = record["plan"].clone();
        plan["part"] = Value::Null;
        fs::write(dir.path().join(".out.partial/build.json"), plan.to_string()).unwrap();
    };
    interrupt();
    let resume = [&small[..], &["--resume"]].concat();
    ended(&build_videos(&dir, "out", &resume), 0, &["3 shards are already finished", "packed 3 clips"]);
    assert!(files(&dir.path().join("out")) == whole);
    fs::remove_dir_all(dir.path().join("out")).unwrap();
    // A video with as many bytes and frames, but another rate.
    let file = dir.path().join("videos").join(names[1]);
    let mut bytes = fs::read(&file).unwrap();
    let rate = bytes.windows(4).position(|name| name == b"strh").unwrap() + 28;
    assert_eq!(bytes[rate..rate + 8], [1001_u32.to_le_bytes(), 30_000_u32.to_le_bytes()].concat());
    bytes[rate..rate + 8].copy_from_slice(&[1_u32.to_le_bytes(), 25_u32.to_le_bytes()].concat());
    fs::write(file, bytes).unwrap();
    interrupt();
    let words = "the video of two changed: attribute duration_seconds is 0.56, but was 0.467133; start again with \
        --overwrite";
    ended(&build_videos(&dir, "out", &resume), 1, &[words]);
    assert!(!dir.path().join("out").exists());
}

#[test]
#[cfg_attr(not(has_ffmpeg), ignore = "needs ffmpeg")]
fn an_extracted_tree_keeps_the_attributes_in_its_list() {
    let dir = tempfile::tempdir().unwrap();
    for (name, rate) in [("a/one.avi", "30000/1001"), ("a/two.avi", "25"), ("b/three.avi", "15/2")] {
        make_video(&dir, name, &format!("size=96x64:rate={rate}"), &["-frames:v", "14", "-c:v", "mpeg4"]);
    }
    ended(&build_videos(&dir, "direct", &["--flow-method", "none"]), 0, &["packed 3 clips"]);
    let extract = |more: &[&str]| {
        let usual = ["extract", "--videos", "videos", "--dataset", "custom", "--flow-method", "none", "--out", "tree"];
        ucfpack(&[&usual[..], more].concat(), dir.path())
    };
    ended(&extract(&[]), 0, &["extracted 3 clips"]);
    let list = dir.path().join("tree/lists/clips.jsonl");
    let text = fs::read_to_string(&list).unwrap();
    let one = concat!(
        r#"{"path":"one.avi","label":"a","split":{"1":"train"},"attributes":{"fps":29.97003,"#,
        r#""fps_fraction":"30000/1001","duration_seconds":0.467133,"width":96,"height":64}}"#
    );
    assert!(text.starts_with("{\"classes\":[\"a\",\"b\"],\"splits\":[\"1\"]}\n"), "{text}");
    assert!(text.contains(one), "{text}");
    // A later run keeps the sizes of the clips that it does not decode again.
    fs::remove_dir_all(dir.path().join("tree/jpegs_256/two")).unwrap();
    ended(&extract(&["--resume"]), 0, &["extracted 1 clip", "2 clips complete before"]);
    assert_eq!(fs::read_to_string(&list).unwrap(), text);
    let build =
        ["build", "--rgb", "tree", "--dataset", "custom", "--lists", "tree/lists/clips.jsonl", "--out", "again"];
    ended(&ucfpack(&build, dir.path()), 0, &["packed 3 clips"]);
    let clips = |name: &str| manifest(&dir.path().join(name)).clips;
    assert_eq!(clips("again"), clips("direct"));
    // Without the list of the earlier run, the rate is still known.
    fs::remove_file(&list).unwrap();
    ended(&extract(&["--resume"]), 0, &["extracted 0 clips"]);
    let text = fs::read_to_string(&list).unwrap();
    assert!(text.contains(r#""attributes":{"fps":7.5,"duration_seconds":1.866667}}"#), "{text}");
}

#[test]
fn a_resumed_build_with_other_attributes_is_refused_with_the_difference() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let about = |text: &str| Attributes::from_json(text).unwrap();
    let mut options = BuildOptions { shard_bytes: 100_000, ..options(tree.root(), &tree.lists(), &out) };
    options.attributes = about(r#"{"licence":"CC0","year":2026}"#);
    let faulty = Faulty::new(Fault::NoSpace, 12, place.path(), place.path());
    let watch = Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) };
    let error = build_in(&faulty.storage(), &options, watch).unwrap_err().to_string();
    assert!(error.contains("finished"), "{error}");
    let resume = |text: &str| pack(&BuildOptions { resume: true, attributes: about(text), ..options.clone() });
    for (text, words) in [
        (r#"{"licence":"CC0","year":2027}"#, "`attributes`: attribute year is 2027, but was 2026; use the same"),
        (r#"{"licence":"CC0"}"#, "`attributes`: attribute year is absent, but was 2026"),
        ("{}", "`attributes`: attribute licence is absent, but was \"CC0\""),
    ] {
        let error = resume(text).unwrap_err().to_string();
        assert!(error.contains("cannot resume ") && error.contains(words), "expected {words:?} in: {error}");
    }
    // The order of the keys does not matter.
    resume(r#"{"year":2026,"licence":"CC0"}"#).unwrap();
    assert_eq!(manifest(&out).attributes, options.attributes);
    // Frame trees have no attributes of their own.
    assert!(manifest(&out).clips.iter().all(|clip| clip.attributes.is_empty()));
}

#[test]
fn a_file_of_attributes_that_is_no_object_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let build = ["build", "--tree", ".", "--lists", ".", "--out", "out", "--attributes", "about.json"];
    ended(&ucfpack(&build, dir.path()), 1, &["about.json: cannot read the attributes"]);
    fs::write(dir.path().join("about.json"), "[\"CC0\"]").unwrap();
    let words = "error: about.json: attributes must be a JSON object; write one object, such as {\"licence\": ";
    ended(&ucfpack(&build, dir.path()), 1, &[words]);
    fs::write(dir.path().join("about.json"), "{\"licence\": CC0}").unwrap();
    ended(&ucfpack(&build, dir.path()), 1, &["about.json: attributes are not JSON: expected value at line 1"]);
    assert!(!dir.path().join("out").exists());
}

/// Writes a dataset with a validation subset, a subset by another name, and a clip without a label.
fn write_dataset(dir: &Path) -> PathBuf {
    let set = dir.join("set");
    fs::create_dir(&set).unwrap();
    let splits = vec!["1".to_owned(), "2".to_owned()];
    let mut metadata = ShardMetadata::new("mine", vec!["jump".into(), "wave".into()], splits.clone());
    metadata.attributes = Attributes::from_json(r#"{ "version": 1.50, "b\u001b": [1, 2] }"#).unwrap();
    let mut manifest = Manifest::new("mine", metadata.classes.clone(), splits);
    manifest.attributes = metadata.attributes.clone();
    let storage: Arc<dyn Storage> = Arc::new(Disk);
    let mut writer = ShardWriter::create_in(storage, &set.join("rgb-00000.clipshard"), &StreamSpec::rgb()).unwrap();
    let mut encoder = Encoder::new(EncodeOptions::zstd(1)).unwrap();
    let image = encoder.encode(&[7; 12], ImageSize { width: 2, height: 2, channels: 3 }).unwrap();
    let hard = Subset::from("test-hard");
    for (id, label, subsets) in [
        ("a", Some(0), [Subset::Train, Subset::Train]),
        ("b", Some(1), [Subset::Val, Subset::Train]),
        ("c", Some(1), [Subset::Test, hard.clone()]),
        ("d", None, [Subset::Unused, hard]),
    ] {
        writer.add_clip(id, std::slice::from_ref(&image)).unwrap();
        let mut clip = Clip::new(id, label, subsets.to_vec());
        clip.attributes.set("id", 1.5);
        clip.frames.insert("rgb".into(), 1);
        metadata.clips.push(ShardClip::from(&clip));
        manifest.clips.push(clip);
    }
    let info = writer.finish(&metadata).unwrap();
    manifest.streams.push(Stream::new(StreamSpec::rgb(), vec![info]));
    manifest.write(&set).unwrap();
    Dataset::open(&set).unwrap();
    set
}

#[test]
fn inspect_shows_attributes_all_subsets_and_clips_without_a_label() {
    let dir = tempfile::tempdir().unwrap();
    write_dataset(dir.path());
    let shown = ucfpack(&["inspect", "set"], dir.path());
    ended(
        &shown,
        0,
        &[
            "split      train     val    test  unused  test-hard\n1              1       1       1       1          0\n\
             2              2       0       0       0          2\n",
            "    0  jump                               1\n    1  wave                               2\n    -  (no \
             label)                         1\n",
            "\nattributes\n  b\\x1b: [1,2]\n  version: 1.50\n",
        ],
    );
    let json = ucfpack(&["inspect", "set", "--json"], dir.path());
    let text = String::from_utf8(json.stdout).unwrap();
    assert!(text.contains(r#""attributes":{ "version": 1.50, "b\u001b": [1, 2] }"#), "{text}");
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&document["clips"], &document["unlabelled"]), (&json!(4), &json!(1)));
    let of_split = json!({"train": 1, "val": 1, "test": 1, "unused": 1, "test-hard": 0});
    assert_eq!(document["splits"][0], json!({"name": "1", "subsets": of_split}));
    let clip = ucfpack(&["inspect", "set", "--clip", "d", "--json"], dir.path());
    let document: Value = serde_json::from_slice(&clip.stdout).unwrap();
    assert_eq!((&document["label"], &document["class"]), (&Value::Null, &Value::Null));
    assert_eq!(document["attributes"], json!({"id": 1.5}));
    ended(&ucfpack(&["inspect", "set", "--clip", "d"], dir.path()), 0, &["splits: 1 unused, 2 test-hard\n"]);
}
