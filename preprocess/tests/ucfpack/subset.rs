//! Tests of `subset`: what a copy of a part of a dataset holds.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clipshard::{
    Attributes, Clip, Dataset, EncodeOptions, EncodedRecord, Encoder, Manifest, SampleType, Shape, ShardClip,
    ShardMetadata, ShardWriter, Stream, StreamSpec, Subset, VerifyDepth,
};
use ucfpack::edit::{SubsetOptions, subset};
use ucfpack::pack::{BuildOptions, BuildReport, DatasetKind};
use ucfpack::progress::{Progress, Watch};
use ucfpack::stored::Geometry;
use ucfpack::{Error, verify};

use crate::command::{ended, stderr, ucfpack};
use crate::pack::{options, pack};
use crate::tree::{CLIPS, Tree};

/// Packs the clips of a tree into several shards per stream.
pub fn packed(tree: &Tree, out: &Path) -> PathBuf {
    let mut options = BuildOptions { shard_bytes: 450_000, ..options(tree.root(), &tree.lists(), out) };
    options.flow.geometry = Geometry::Source;
    pack(&options).unwrap();
    out.to_owned()
}

pub fn copied(dir: &Path, options: &SubsetOptions) -> Result<BuildReport, Error> {
    subset(dir, options, Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) })
}

/// Opens a dataset after checking that all of it is intact and that a rebuild gives its manifest.
pub fn whole(dir: &Path) -> Dataset {
    let report = verify::verify(dir, VerifyDepth::Deep, &Progress::hidden()).unwrap();
    assert!(report.damage.is_empty() && report.records > 0, "{:?}", report.damage);
    assert_eq!(Manifest::rebuild(dir).unwrap(), Manifest::read(dir).unwrap());
    Dataset::open(dir).unwrap()
}

/// Returns the stored bytes of all records of a clip.
pub fn records(data: &Dataset, stream: &str, id: &str) -> Vec<Vec<u8>> {
    let clip = data.clip(stream, data.find_clip(id).unwrap()).unwrap();
    clip.frames()
        .flat_map(|frame| (0..clip.planes()).map(move |plane| frame.record(plane).unwrap().bytes.to_vec()))
        .collect()
}

fn ids(data: &Dataset) -> Vec<&str> {
    data.manifest().clips.iter().map(|clip| clip.id.as_str()).collect()
}

fn message(result: Result<BuildReport, Error>) -> String {
    result.unwrap_err().to_string()
}

#[cfg(unix)]
fn inode(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).unwrap().ino()
}

#[test]
fn chosen_classes_get_new_labels_and_their_records_stay() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let dir = packed(&tree, &place.path().join("all"));
    let all = whole(&dir);
    let out = place.path().join("two");
    let classes = Some(vec!["rowing".to_owned(), "Archery".to_owned()]);
    let options = SubsetOptions { out: out.clone(), classes: classes.clone(), ..SubsetOptions::default() };
    let report = copied(&dir, &options).unwrap();
    let two = whole(&out);
    assert_eq!(two.manifest().classes, ["Archery", "Rowing"]);
    assert_eq!(ids(&two), [CLIPS[0], CLIPS[1], CLIPS[4], CLIPS[5]]);
    assert_eq!(
        two.manifest().clips.iter().map(|clip| clip.label.unwrap()).collect::<Vec<_>>(),
        [0, 0, 1, 1],
        "labels follow the class list"
    );
    assert_eq!((report.clips, report.records["rgb"], report.records["flow"]), (4, 4 * 14, 4 * 26));
    for clip in &two.manifest().clips {
        for stream in ["rgb", "flow"] {
            assert_eq!(records(&two, stream, &clip.id), records(&all, stream, &clip.id));
        }
        let before = &all.manifest().clips[all.find_clip(&clip.id).unwrap()];
        assert_eq!((&clip.subsets, &clip.frames), (&before.subsets, &before.frames));
    }
    assert_eq!((&two.manifest().build, &two.manifest().splits), (&all.manifest().build, &all.manifest().splits));
    // With the old labels, the shards that keep all of their clips stay the same.
    let out = place.path().join("kept");
    let options = SubsetOptions { out: out.clone(), classes, keep_labels: true, ..SubsetOptions::default() };
    copied(&dir, &options).unwrap();
    let kept = whole(&out);
    assert_eq!(kept.manifest().classes, all.manifest().classes);
    assert_eq!(kept.manifest().clips.iter().map(|clip| clip.label.unwrap()).collect::<Vec<_>>(), [0, 0, 2, 2]);
}

#[test]
fn shards_that_stay_the_same_are_linked_and_other_streams_may_be_missing() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let dir = packed(&tree, &place.path().join("all"));
    let shards = Dataset::open(&dir).unwrap().manifest().streams[1].shards.clone();
    assert!(shards.len() > 1);
    for shard in &Dataset::open(&dir).unwrap().manifest().streams[0].shards {
        fs::remove_file(dir.join(&shard.file)).unwrap();
    }
    let out = place.path().join("flow");
    let streams = Some(vec!["flow".to_owned()]);
    copied(&dir, &SubsetOptions { out: out.clone(), streams, ..SubsetOptions::default() }).unwrap();
    let flow = whole(&out);
    assert_eq!(flow.manifest().streams.len(), 1);
    assert_eq!(flow.manifest().streams[0].shards, shards, "the shards are the same files");
    assert_eq!(flow.manifest().clips.len(), 6);
    assert!(flow.manifest().clips.iter().all(|clip| clip.frames.keys().eq(["flow"])));
    #[cfg(unix)]
    for shard in &shards {
        assert_eq!(inode(&out.join(&shard.file)), inode(&dir.join(&shard.file)));
    }
    // A dataset can replace itself.
    let options =
        SubsetOptions { out: out.clone(), clips: vec![CLIPS[3].into()], overwrite: true, ..SubsetOptions::default() };
    copied(&out, &options).unwrap();
    assert_eq!(ids(&whole(&out)), [CLIPS[3]]);
}

#[test]
fn clips_are_chosen_by_id_file_subset_and_number() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let dir = packed(&tree, &place.path().join("all"));
    let out = |name: &str| place.path().join(name);
    let chosen = |name: &str, options: SubsetOptions| {
        copied(&dir, &SubsetOptions { out: out(name), ..options }).unwrap();
        let data = whole(&out(name));
        assert_eq!(data.manifest().classes.len(), 3, "the class list stays");
        data.manifest().clips.iter().map(|clip| clip.id.clone()).collect::<Vec<_>>()
    };
    let clips = vec!["Rowing/V_rowing_g08_c01.avi".to_owned(), CLIPS[0].to_owned()];
    assert_eq!(chosen("ids", SubsetOptions { clips, ..SubsetOptions::default() }), [CLIPS[0], CLIPS[5]]);
    let list = out("list.txt");
    fs::write(&list, format!("\u{feff}{}\r\n\r\nx/{}.avi\n", CLIPS[4], CLIPS[2].to_lowercase())).unwrap();
    let from_list = |list: &Path| SubsetOptions { clip_list: Some(list.into()), ..SubsetOptions::default() };
    assert_eq!(chosen("list", from_list(&list)), [CLIPS[2], CLIPS[4]]);
    let train = SubsetOptions { subsets: vec!["train".into()], ..SubsetOptions::default() };
    assert_eq!(chosen("train", train.clone()), [CLIPS[1], CLIPS[3], CLIPS[5]]);
    assert_eq!(
        chosen("one", SubsetOptions { limit: Some(1), ..SubsetOptions::default() }),
        [CLIPS[1], CLIPS[3], CLIPS[5]]
    );
    let split = SubsetOptions { split: Some("1".into()), ..SubsetOptions::default() };
    assert_eq!(chosen("all of a split", split).len(), 6, "no subsets are all");
    let both = SubsetOptions { split: Some("1".into()), limit: Some(9), classes: None, ..train };
    assert_eq!(chosen("both", both).len(), 3);
}

#[test]
fn wrong_choices_are_explained_and_nothing_is_written() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let dir = packed(&tree, &place.path().join("all"));
    let out = place.path().join("out");
    let refused = |options: SubsetOptions| {
        let error = copied(&dir, &SubsetOptions { out: out.clone(), ..options }).unwrap_err();
        assert!(!out.exists());
        error.to_string()
    };
    let text = |name: &str| name.to_owned();
    let none = SubsetOptions::default;
    let error = refused(SubsetOptions { classes: Some(vec![text("Rowin")]), ..none() });
    assert!(error.contains("`classes`: there is no class `Rowin`; similar: Rowing"), "{error}");
    let error = refused(SubsetOptions { clips: vec![text("v_Rowing_g09_c01")], ..none() });
    assert!(error.contains("there is no clip v_Rowing_g09_c01 among the 6 clips"), "{error}");
    let error = refused(SubsetOptions { streams: Some(vec![text("depth")]), ..none() });
    assert!(error.starts_with("`streams`: ") && error.contains("depth") && error.contains("rgb, flow"), "{error}");
    let error = refused(SubsetOptions { subsets: vec![text("tset")], ..none() });
    let cure = "`subsets`: no clip is in the subset tset of split 1; it has train (3), test (3)";
    assert_eq!(error, cure);
    let error = refused(SubsetOptions { split: Some(text("7")), subsets: vec![text("train")], ..none() });
    assert!(error.starts_with("`split`: there is no split `7` in ") && error.ends_with("are: 1"), "{error}");
    let train = SubsetOptions { subsets: vec![text("train")], clips: vec![CLIPS[0].into()], ..none() };
    assert!(refused(train).contains("none of the 6 clips meets all conditions"));
    let list = place.path().join("list");
    let from_list = || SubsetOptions { clip_list: Some(list.clone()), ..none() };
    fs::write(&list, format!("{}\na\nb\nc\nd\ne\nf\n", CLIPS[0])).unwrap();
    let error = refused(from_list());
    assert!(error.contains("6 of 7 clips are not in "), "{error}");
    assert!(error.contains(": a, b, c, d, e, ... and 1 more; a clip of the dataset is, for example, v_Archery"));
    fs::write(&list, "\n \n").unwrap();
    assert!(refused(from_list()).contains("lists no clips; write one clip id per line"));
    fs::write(&list, b"\xff").unwrap();
    assert!(refused(from_list()).contains("not UTF-8"));
    fs::remove_file(&list).unwrap();
    assert!(refused(from_list()).contains("cannot read the list of clips"));
    let error = message(copied(tree.root(), &SubsetOptions { out: out.clone(), ..none() }));
    assert!(error.contains("no manifest.json here"), "{error}");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("thesis.tex"), "").unwrap();
    let error = copied(&dir, &SubsetOptions { out: out.clone(), overwrite: true, ..none() }).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("also holds thesis.tex"), "{error}");
}

#[test]
fn a_damaged_record_ends_the_copy_unless_its_clip_is_left_out() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let dir = packed(&tree, &place.path().join("all"));
    let shard = dir.join("flow-00000.clipshard");
    let mut bytes = fs::read(&shard).unwrap();
    bytes[100] ^= 1;
    fs::write(&shard, bytes).unwrap();
    let (out, classes) = (place.path().join("out"), |name: &str| Some(vec![name.to_owned()]));
    let options = |name| SubsetOptions { out: out.clone(), classes: classes(name), ..SubsetOptions::default() };
    let error = message(copied(&dir, &options("Archery")));
    assert!(error.contains(CLIPS[0]) && error.contains("checksum"), "{error}");
    assert!(!out.exists());
    let left: Vec<_> = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["all"], "nothing is left");
    copied(&dir, &options("Rowing")).unwrap();
    whole(&out);
}

#[test]
fn the_limit_keeps_clips_of_each_subset() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let mut rows = String::from("path,label,split\n");
    for number in 2..9 {
        let clip = format!("v_Rowing_g{number:02}_c05");
        tree.add_clip(&clip, 14, number);
        let subset = ["unused", "train", "train", "val", "train", "train", "train"][number as usize - 2];
        rows.extend([clip.as_str(), ",Rowing,", subset, "\n"]);
    }
    fs::write(tree.path("own.csv"), rows).unwrap();
    let dir = place.path().join("all");
    let options = BuildOptions { dataset: DatasetKind::Custom, ..options(tree.root(), &tree.path("own.csv"), &dir) };
    pack(&options).unwrap();
    let kept = |limit| {
        let out = place.path().join(format!("{limit}"));
        copied(&dir, &SubsetOptions { out: out.clone(), limit: Some(limit), ..SubsetOptions::default() }).unwrap();
        let data = whole(&out);
        let of = |subset| data.clips_of("1", subset).map_or(0, |clips| clips.len());
        (of(Subset::Train), of(Subset::Val), of(Subset::Unused))
    };
    assert_eq!([kept(1), kept(2), kept(3), kept(5), kept(9)], [(1, 0, 0), (1, 1, 0), (1, 1, 1), (3, 1, 1), (5, 1, 1)]);
}

#[test]
fn a_cancelled_copy_leaves_nothing() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let dir = packed(&tree, &place.path().join("all"));
    let options = SubsetOptions { out: place.path().join("out"), limit: Some(1), ..SubsetOptions::default() };
    let watch = Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(true) };
    assert!(matches!(subset(&dir, &options, watch), Err(Error::Interrupted)));
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
}

/// Writes a dataset of three streams, whose clips have attributes, groups, several labels or none,
/// and not all streams.
pub fn various(dir: &Path) {
    fs::create_dir(dir).unwrap();
    let (classes, splits) = (["a", "b", "c"].map(String::from), ["x", "y"].map(String::from));
    let mut metadata = ShardMetadata::new("various", classes.to_vec(), splits.to_vec());
    metadata.attributes = Attributes::from_json(r#"{"licence":"CC0"}"#).unwrap();
    let described = [
        ("one", Some(2), [Subset::Train, Subset::Val], r#"{"fps":29.970}"#),
        ("two", None, [Subset::from("hard"), Subset::Unused], r#"{"labels":[2,0]}"#),
        ("three", Some(0), [Subset::Test, Subset::Test], "{}"),
        ("four", None, [Subset::Unused, Subset::Train], "{}"),
    ];
    let mut manifest = Manifest::new("various", classes.to_vec(), splits.to_vec());
    manifest.attributes = metadata.attributes.clone();
    for (id, label, subsets, attributes) in described {
        let mut clip = Clip::new(id, label, subsets.to_vec());
        clip.attributes = Attributes::from_json(attributes).unwrap();
        manifest.clips.push(clip);
    }
    manifest.groups.insert("one".into(), "g1".into());
    let depth = StreamSpec::new("depth", 1, 1).with_samples(SampleType::U16);
    let poses = StreamSpec::arrays("poses", SampleType::F32, &[3]);
    let rgb = StreamSpec::rgb();
    for (spec, clips) in [(rgb, &[0, 1, 2][..]), (depth, &[0, 1, 2]), (poses, &[0, 3])] {
        let mut metadata = metadata.clone();
        let name = format!("{}-00000.clipshard", spec.name);
        let mut writer = ShardWriter::create(dir.join(name), &spec).unwrap();
        for &number in clips {
            let records: Vec<EncodedRecord> = (0..3).map(|frame| record(&spec, number, frame)).collect();
            let clip = &mut manifest.clips[number];
            writer.add_clip(&clip.id, &records).unwrap();
            clip.frames.insert(spec.name.clone(), 3);
            metadata.clips.push(ShardClip::from(&*clip));
            let group = manifest.groups.get(&clip.id);
            metadata.groups.extend(group.map(|group| (clip.id.clone(), group.clone())));
        }
        let info = writer.finish(&metadata).unwrap();
        manifest.streams.push(Stream::new(spec, vec![info]));
    }
    manifest.streams.sort_by_key(|stream| (stream.spec.name != "rgb", stream.spec.name.clone()));
    manifest.write(dir).unwrap();
    assert_eq!(Manifest::rebuild(dir).unwrap().clips, manifest.clips);
}

fn record(spec: &StreamSpec, clip: usize, frame: usize) -> EncodedRecord {
    let shape = if spec.array.is_some() {
        Shape::array(&[frame as u32, 3], spec.samples).unwrap()
    } else {
        Shape::image(clipshard::ImageSize { width: 10, height: 8, channels: spec.channels }, spec.samples)
    };
    let bytes: Vec<u8> = (0..shape.bytes()).map(|i| (i * 7 + clip * 31 + frame * 3) as u8).collect();
    let options = EncodeOptions::zstd(3).for_samples(spec.samples);
    Encoder::new(options).unwrap().encode(&bytes, shape).unwrap()
}

#[test]
fn attributes_groups_subsets_and_all_kinds_of_records_survive() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("all");
    various(&dir);
    let (all, out) = (whole(&dir), place.path().join("some"));
    let classes = Some(vec!["a".to_owned(), "c".to_owned()]);
    let report = copied(&dir, &SubsetOptions { out: out.clone(), classes, ..SubsetOptions::default() }).unwrap();
    let some = whole(&out);
    assert_eq!(ids(&some), ["one", "two", "three"]);
    assert_eq!((report.clips, report.records["poses"]), (3, 3));
    let manifest = some.manifest();
    assert_eq!((manifest.dataset.as_str(), manifest.classes.join(",")), ("various", "a,c".into()));
    assert_eq!(manifest.attributes, all.manifest().attributes);
    assert_eq!(manifest.groups, all.manifest().groups);
    assert_eq!(manifest.clips[0].attributes.as_json(), r#"{"fps":29.970}"#, "spelt as before");
    assert_eq!(manifest.clips[1].attributes.as_json(), r#"{"labels":[1,0]}"#, "labels have new numbers");
    assert_eq!((manifest.clips[0].label, manifest.clips[1].label, manifest.clips[2].label), (Some(1), None, Some(0)));
    assert_eq!(manifest.clips[1].subsets, [Subset::from("hard"), Subset::Unused]);
    for (stream, clips) in [("rgb", &["one", "two", "three"][..]), ("depth", &["one", "two"]), ("poses", &["one"])] {
        assert_eq!(some.stream(stream).unwrap(), all.stream(stream).unwrap());
        for id in clips {
            assert_eq!(records(&some, stream, id), records(&all, stream, id), "{stream} {id}");
        }
    }
    // A clip without any of the streams is no clip of the copy.
    let out = place.path().join("poses");
    let streams = Some(vec!["rgb".to_owned()]);
    let report = copied(&dir, &SubsetOptions { out: out.clone(), streams, ..SubsetOptions::default() }).unwrap();
    assert_eq!(ids(&whole(&out)), ["one", "two", "three"]);
    assert_eq!(report.notes, ["skipped 1 clip that has no rgb frames"]);
    let options = SubsetOptions {
        out: place.path().join("none"),
        streams: Some(vec!["rgb".into()]),
        clips: vec!["four".into()],
        ..SubsetOptions::default()
    };
    assert!(message(copied(&dir, &options)).contains("no selected clip has the stream rgb"));
}

#[test]
fn the_program_prints_results_and_ends_with_the_usual_status() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    packed(&tree, &place.path().join("all"));
    let run = |line: &str| {
        let mut command = ucfpack();
        command.current_dir(place.path()).args(line.split(' ')).output().unwrap()
    };
    let json = |line: &str| -> serde_json::Value {
        let output = run(line);
        ended(&output, 0, "");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let some = json("subset all --out some --classes Archery --json");
    assert_eq!((&some["clips"], &some["records"]["flow"]), (&2.into(), &52.into()));
    ended(&run("subset all --out some --classes Archery"), 2, "replace it with --overwrite");
    ended(&run("subset all --out some --clip V_rowing_g01_c01 --overwrite"), 0, "copied 1 clip, 40 images");
    ended(&run("subset all --out none"), 2, "--classes");
    ended(&run("subset all --out none --classes Archer"), 2, "--classes: there is no class `Archer`; similar: Archery");
    ended(&run("subset all --out none --subset tset"), 2, "--subset: no clip is in the subset tset of split 1");
    ended(&run("subset all --out none --subset train --split 7"), 2, "--split: there is no split `7` in all");
    ended(&run("subset all --out none --streams depth"), 2, "--streams: all: no stream \"depth\"");
    ended(&run("recode all --out none --stream depth --codec raw"), 2, "--stream: all: no stream \"depth\"");
    ended(&run("subset nothing --out none --limit 1"), 1, "nothing: no such folder");
    let fast = json("recode all --out fast --stream flow --codec lz4 --level 3 --json");
    assert_eq!((&fast["clips"], &fast["records"]["rgb"]), (&6.into(), &84.into()));
    ended(&run("recode all --out none --stream flow --codec jpeg"), 2, "--codec cannot be jpeg");
    ended(&run("recode all --out none --stream flow --codec lz4 --level 13"), 2, "lz4 has the levels 1 to 12");
    ended(&run("recode all --out none --stream flow --codec raw --filter up"), 2, "--filter up does not fit codec raw");
    tree.add_clip("v_Rowing_g09_c01", 14, 7);
    fs::write(place.path().join("more.csv"), "path,label,split\nv_Rowing_g09_c01,Rowing,train\n").unwrap();
    let add = format!("add all --tree {} --lists more.csv", tree.root().display());
    let added = json(&format!("{add} --json"));
    assert_eq!((&added["clips"], &added["total_clips"], &added["existing"]), (&1.into(), &7.into(), &0.into()));
    assert_eq!(added["new_classes"].as_array().unwrap().len(), 0);
    let again = run(&add);
    ended(&again, 1, "1 of 1 clip is in all already, such as v_Rowing_g09_c01; skip them with --skip-existing");
    assert_eq!(stderr(&again).lines().filter(|line| line.starts_with("error: ")).count(), 1);
    ended(&run(&format!("{add} --skip-existing")), 0, "the dataset has 7 clips now");
    assert!(!place.path().join("none").exists());
    whole(&place.path().join("all"));
}
