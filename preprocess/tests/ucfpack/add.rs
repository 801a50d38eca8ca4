//! Tests of `add`: more clips in an existing dataset, all at once or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clipshard::{Dataset, Manifest, Subset};
use serde_json::json;
use ucfpack::Error;
use ucfpack::edit::{AddOptions, AddReport, RecodeOptions, SubsetOptions, add, add_in, recode};
use ucfpack::pack::{BuildOptions, DatasetKind, MergeOptions, Part, merge};
use ucfpack::progress::{Progress, Watch};
use ucfpack::source::{Layout, Location};
use ucfpack::stored::Geometry;
use ucfpack::verify::{Rebuilt, rebuild_manifest};

use crate::command::{ended, names, ucfpack};
use crate::faulty::{Fault, Faulty, copy_tree};
use crate::pack::{files, options, pack};
use crate::subset::{copied, records, whole};
use crate::tree::{CLIPS, Tree};

/// Returns options that add clips of a tree. The tree has other lists than the whole one.
fn adding(tree: &Tree) -> AddOptions {
    AddOptions {
        dataset: None,
        lists: Some(tree.lists()),
        location: Location::Tree(tree.root().into()),
        layout: None,
        classes: None,
        gpu: None,
        jobs: 2,
        readers: 2,
        keep_going: false,
        skip_existing: false,
        other_versions: false,
    }
}

fn added(dir: &Path, options: &AddOptions) -> Result<AddReport, Error> {
    add(dir, options, Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) })
}

fn class(name: &str) -> Vec<String> {
    vec![name.to_owned()]
}

/// Packs some classes of a tree into several shards.
fn packed(tree: &Tree, out: &Path, classes: &[&str]) -> PathBuf {
    let mut options = BuildOptions {
        shard_bytes: 450_000,
        classes: Some(classes.iter().map(|&name| name.to_owned()).collect()),
        ..options(tree.root(), &tree.lists(), out)
    };
    options.flow.geometry = Geometry::Source;
    pack(&options).unwrap();
    out.to_owned()
}

#[test]
fn added_clips_equal_packed_ones_and_the_old_shards_stay() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let all = whole(&packed(&tree, &place.path().join("all"), &["Archery", "HandstandPushups", "Rowing"]));
    let dir = packed(&tree, &place.path().join("set"), &["HandstandPushups"]);
    let (before, reader) = (files(&dir), Dataset::open(&dir).unwrap());
    let report = added(&dir, &AddOptions { classes: Some(class("Rowing")), ..adding(&tree) }).unwrap();
    assert_eq!((report.added.clips, report.clips, report.existing), (2, 4, 0));
    assert_eq!((report.new_classes.join(","), report.added.records["flow"]), ("Rowing".into(), 52));
    let report = added(&dir, &AddOptions { skip_existing: true, ..adding(&tree) }).unwrap();
    assert_eq!((report.added.clips, report.clips, report.existing), (2, 6, 4));
    assert_eq!(report.new_classes, ["Archery"]);
    let set = whole(&dir);
    assert_eq!(set.manifest().classes, ["HandstandPushups", "Rowing", "Archery"], "old classes keep their numbers");
    let ids: Vec<_> = set.manifest().clips.iter().map(|clip| clip.id.as_str()).collect();
    assert_eq!(ids, [CLIPS[2], CLIPS[3], CLIPS[4], CLIPS[5], CLIPS[0], CLIPS[1]].map(|id| id));
    for clip in &set.manifest().clips {
        let alone = &all.manifest().clips[all.find_clip(&clip.id).unwrap()];
        assert_eq!(
            set.manifest().classes[clip.label.unwrap() as usize],
            all.manifest().classes[alone.label.unwrap() as usize]
        );
        assert_eq!((&clip.subsets, &clip.frames), (&alone.subsets, &alone.frames));
        for stream in ["rgb", "flow"] {
            assert_eq!(records(&set, stream, &clip.id), records(&all, stream, &clip.id));
        }
    }
    assert_eq!(set.manifest().build, all.manifest().build);
    let after = files(&dir);
    for (name, bytes) in before.iter().filter(|(name, _)| *name != Path::new("manifest.json")) {
        assert!(after[name] == *bytes, "{} changed", name.display());
    }
    assert_eq!(records(&reader, "rgb", CLIPS[2]), records(&all, "rgb", CLIPS[2]), "an open reader goes on");
    assert!(
        names(&dir).iter().all(|name| name == "manifest.json" || name.ends_with(".clipshard")),
        "{:?}",
        names(&dir)
    );
    // Nothing is left to add.
    let again = added(&dir, &AddOptions { skip_existing: true, ..adding(&tree) }).unwrap();
    assert_eq!((again.added.clips, again.clips, again.existing), (0, 6, 6));
    assert!(files(&dir) == after);
}

#[test]
fn a_merged_dataset_grows_and_its_parts_and_copies_keep_the_new_clips() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let path = |name: &str| place.path().join(name);
    let part = |number| {
        let out = path(&format!("part{number}"));
        let mut options = BuildOptions {
            shard_bytes: 300_000,
            classes: Some(vec!["Archery".into(), "Rowing".into()]),
            part: Some(Part { number, of: 2 }),
            ..options(tree.root(), &tree.lists(), &out)
        };
        options.flow.geometry = Geometry::Source;
        pack(&options).unwrap();
        out
    };
    let (parts, out) = (vec![part(1), part(2)], path("merged"));
    let error = added(&parts[0], &adding(&tree)).unwrap_err().to_string();
    assert!(error.contains("is only part 1/2 of a build; merge the parts"), "{error}");
    let options = SubsetOptions { out: path("no"), limit: Some(1), ..SubsetOptions::default() };
    let error = copied(&parts[0], &options).unwrap_err().to_string();
    assert!(error.ends_with("is only part 1/2 of a build; merge the parts, and take a part of the result"), "{error}");
    let options = RecodeOptions {
        out: path("no"),
        stream: "flow".into(),
        codec: clipshard::Codec::Raw,
        filter: None,
        level: 9,
        geometry: Geometry::Source,
        jobs: 1,
        overwrite: false,
    };
    let watch = Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) };
    let error = recode(&parts[0], &options, watch).unwrap_err().to_string();
    assert!(error.ends_with("is only part 1/2 of a build; merge the parts, and recode the result"), "{error}");
    assert!(!path("no").exists());
    let watch = Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) };
    merge(&MergeOptions { out: out.clone(), parts, overwrite: false }, watch).unwrap();
    added(&out, &AddOptions { classes: Some(class("HandstandPushups")), ..adding(&tree) }).unwrap();
    assert_eq!(whole(&out).manifest().clips.len(), 6);
    // The class list of older shards is the start of the new one, and they are linked as they are.
    let some = path("some");
    let options = SubsetOptions { out: some.clone(), subsets: vec!["train".into()], ..SubsetOptions::default() };
    copied(&out, &options).unwrap();
    let some = whole(&some);
    assert_eq!(some.manifest().classes, ["Archery", "Rowing", "HandstandPushups"]);
    let old = path("old");
    copied(&out, &SubsetOptions { out: old.clone(), clips: vec![CLIPS[0].into()], ..SubsetOptions::default() })
        .unwrap();
    assert_eq!(whole(&old).manifest().classes.len(), 3, "the class list does not depend on the clips");
    let streams = Some(vec!["rgb".to_owned()]);
    copied(&out, &SubsetOptions { out: path("rgb"), streams, ..SubsetOptions::default() }).unwrap();
    assert_eq!(whole(&path("rgb")).manifest().clips, {
        let mut clips = whole(&out).manifest().clips.clone();
        for clip in &mut clips {
            clip.frames.retain(|name, _| name == "rgb");
        }
        clips
    });
    // A dataset without flow gets clips without flow.
    tree.add_clip("v_Rowing_g09_c01", 14, 77);
    let csv = tree.path("more.csv");
    fs::write(&csv, "path,label,split,group\nv_Rowing_g09_c01,rowing,val,g09\n").unwrap();
    let report = added(&path("rgb"), &AddOptions { lists: Some(csv), ..adding(&tree) }).unwrap();
    assert!(report.added.notes.iter().any(|note| note.contains("the class rowing of the lists is the class Rowing")));
    let rgb = whole(&path("rgb"));
    let last = rgb.manifest().clips.last().unwrap();
    assert_eq!((last.id.as_str(), last.label, last.frames.len()), ("v_Rowing_g09_c01", Some(1), 1));
    assert_eq!((&last.subsets[..], rgb.manifest().groups[&last.id].as_str()), (&[Subset::Val][..], "g09"));
}

#[test]
fn what_cannot_be_added_is_refused_and_nothing_changes() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let dir = packed(&tree, &place.path().join("set"), &["Archery"]);
    let before = files(&dir);
    let refused = |options: AddOptions| {
        let error = added(&dir, &options).unwrap_err();
        assert!(files(&dir) == before, "{error}");
        error.to_string()
    };
    let error = refused(adding(&tree));
    assert!(
        error.starts_with("2 of 6 clips are in ")
            && error.ends_with("such as v_Archery_g01_c01; skip them with `skip_existing`")
    );
    assert!(refused(AddOptions { classes: Some(class("Rowin")), ..adding(&tree) }).contains("similar: Rowing"));
    assert!(refused(AddOptions { lists: None, ..adding(&tree) }).contains("`lists` is missing"));
    let rgb = Location::Apart { rgb: Some(tree.path("jpegs_256")), flow: None };
    let error = refused(AddOptions { location: rgb, ..adding(&tree) });
    assert!(error.contains("has no flow, but ") && error.contains("needs all streams of the dataset"), "{error}");
    let error = refused(AddOptions { location: Location::Videos(tree.root().into()), ..adding(&tree) });
    assert!(error.contains("holds videos, but ") && error.contains("was packed from a frame tree"), "{error}");
    // One missing image, and the whole addition fails.
    fs::remove_file(tree.path(&format!("jpegs_256/{}/frame000007.jpg", CLIPS[4]))).unwrap();
    let rowing = AddOptions { classes: Some(class("Rowing")), ..adding(&tree) };
    let error = refused(rowing.clone());
    assert!(error.contains("1 of 2 clips") && error.contains(CLIPS[4]), "{error}");
    fs::write(tree.path(&format!("jpegs_256/{}/frame000009.jpg", CLIPS[2])), "no image").unwrap();
    assert!(refused(AddOptions { classes: Some(class("HandstandPushups")), ..adding(&tree) }).contains(CLIPS[2]));
    let watch = Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(true) };
    assert!(matches!(add(&dir, &rowing, watch), Err(Error::Interrupted)));
    assert!(files(&dir) == before);
    let report = added(&dir, &AddOptions { keep_going: true, ..rowing }).unwrap();
    assert_eq!((report.added.clips, report.clips, report.added.skipped[0].clip.as_str()), (1, 3, CLIPS[4]));
    whole(&dir);
    let csv = tree.path("more.csv");
    fs::write(&csv, format!("path,label,split\n{},Rowing,train\n", CLIPS[0])).unwrap();
    let csv = AddOptions { dataset: Some(DatasetKind::Custom), lists: Some(csv), ..adding(&tree) };
    let error = added(&dir, &AddOptions { skip_existing: true, ..csv }).unwrap_err().to_string();
    assert!(error.contains("of the class Archery, but the lists have one of the class Rowing"), "{error}");
    let error = added(tree.root(), &adding(&tree)).unwrap_err().to_string();
    assert!(error.contains("no manifest.json here"), "{error}");
}

#[test]
fn another_layout_is_refused_or_kept_with_the_clips() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let dir = packed(&tree, &place.path().join("set"), &["Archery"]);
    let tsn = ["{clip}/img_{n}.jpg", "{clip}/flow_x_{n}.jpg", "{clip}/flow_y_{n}.jpg"];
    tree.rearrange(tsn, |number| format!("{number:05}"));
    let options = AddOptions { layout: Some(Layout::Tsn), classes: Some(class("Rowing")), ..adding(&tree) };
    let error = added(&dir, &options).unwrap_err().to_string();
    assert!(
        error.contains("cannot add clips to ") && error.contains("`layout` is tsn, but was feichtenhofer"),
        "{error}"
    );
    assert!(error.ends_with("use `other_versions`"), "{error}");
    added(&dir, &AddOptions { other_versions: true, ..options }).unwrap();
    let set = whole(&dir);
    assert_eq!(set.manifest().build["layout"], "feichtenhofer");
    let attributes: Vec<_> = set.manifest().clips.iter().map(|clip| clip.attributes.get("build")).collect();
    assert_eq!(attributes, [None, None, Some(json!({"layout": "tsn"})), Some(json!({"layout": "tsn"}))]);
}

#[test]
fn clips_follow_a_recoded_stream_only_if_they_can_get_the_same_pixels() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let dir = packed(&tree, &place.path().join("set"), &["Archery"]);
    let recoded = |name: &str, geometry| {
        let options = RecodeOptions {
            out: place.path().join(name),
            stream: "flow".into(),
            codec: clipshard::Codec::Lz4,
            filter: None,
            level: 4,
            geometry,
            jobs: 2,
            overwrite: false,
        };
        let watch = Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) };
        recode(&dir, &options, watch).unwrap();
        options.out
    };
    let rowing = AddOptions { classes: Some(class("Rowing")), ..adding(&tree) };
    let same = recoded("same", Geometry::Source);
    added(&same, &rowing).unwrap();
    let data = whole(&same);
    let info = data.clip("flow", 3).unwrap().info(0, 0).unwrap();
    assert_eq!((info.codec, data.manifest().clips[3].id.as_str()), (clipshard::Codec::Lz4, CLIPS[5]));
    let error = added(&recoded("small", Geometry::Square(8)), &rowing).unwrap_err().to_string();
    assert!(error.contains("stream flow was recoded from other pixels"), "{error}");
}

/// Returns the number of clips of a dataset after checking all of it.
fn clips_of(dir: &Path) -> usize {
    whole_or_stray(dir).manifest().clips.len()
}

/// Opens a dataset that may have shards next to those that its manifest lists.
fn whole_or_stray(dir: &Path) -> Dataset {
    let report = ucfpack::verify::verify(dir, clipshard::VerifyDepth::Deep, &Progress::hidden()).unwrap();
    assert!(report.damage.is_empty(), "{:?}", report.damage);
    Dataset::open(dir).unwrap()
}

#[test]
fn cut_off_at_every_step_the_dataset_is_the_old_or_the_new_one() {
    let (tree, home) = (Tree::new(), tempfile::tempdir().unwrap());
    let base = packed(&tree, &home.path().join("base"), &["Archery"]);
    let rowing = AddOptions { classes: Some(class("Rowing")), ..adding(&tree) };
    let reference = home.path().join("reference");
    copy_tree(&base, &reference);
    added(&reference, &rowing).unwrap();
    let (old, new) = (files(&base), files(&reference));
    let (mut olds, mut news, mut strays) = (0, 0, 0);
    for fault in [Fault::PowerCut, Fault::Once, Fault::NoSpace] {
        for at in 1.. {
            let (place, aside) = (home.path().join("place"), home.path().join("aside"));
            copy_tree(&base, &place.join("set"));
            let faulty = Faulty::new(fault, at, &place, &aside);
            let watch = Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) };
            let outcome = add_in(&faulty.storage(), &place.join("set"), &rowing, watch);
            if faulty.steps() < at {
                outcome.unwrap();
                assert!(files(&place.join("set")) == new);
                fs::remove_dir_all(&place).unwrap();
                assert!(at > 20, "only {at} steps");
                break;
            }
            assert!(outcome.is_err(), "step {at} failed and nobody noticed");
            // After a power cut, the disk has the state of that moment.
            let set = if fault == Fault::PowerCut { aside.join("set") } else { place.join("set") };
            match clips_of(&set) {
                2 => olds += 1,
                4 => news += 1,
                other => panic!("{other} clips at step {at}"),
            }
            if fault == Fault::PowerCut {
                let shards = names(&set).iter().filter(|name| name.ends_with(".clipshard")).count();
                strays += usize::from(clips_of(&set) == 2 && shards + 1 > old.len());
            } else {
                assert!(clips_of(&set) == 4 || files(&set) == old, "{fault:?} at step {at}: {:?}", names(&set));
            }
            added(&set, &AddOptions { skip_existing: true, ..rowing.clone() }).unwrap();
            assert!(files(&set) == new, "{fault:?} at step {at}: {:?}", names(&set));
            for folder in [&place, &aside] {
                let _ = fs::remove_dir_all(folder);
            }
        }
    }
    assert!(olds > 30 && news > 0 && strays > 1, "{olds} {news} {strays}");
}

#[test]
fn shards_with_unusual_names_and_unfinished_writers_are_refused() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let dir = packed(&tree, &place.path().join("set"), &["Archery"]);
    let rowing = AddOptions { classes: Some(class("Rowing")), ..adding(&tree) };
    fs::write(dir.join(".writing.json"), "{}").unwrap();
    let error = added(&dir, &rowing).unwrap_err().to_string();
    assert!(error.contains("another program has not finished writing"), "{error}");
    fs::remove_file(dir.join(".writing.json")).unwrap();
    let mut manifest = Manifest::read(&dir).unwrap();
    let file = &mut manifest.streams[0].shards[0].file;
    fs::rename(dir.join(&*file), dir.join("first.clipshard")).unwrap();
    "first.clipshard".clone_into(file);
    manifest.write(&dir).unwrap();
    let before = files(&dir);
    let error = added(&dir, &rowing).unwrap_err().to_string();
    assert!(
        error.contains("shard first.clipshard is not named STREAM-NNNNN.clipshard; copy the dataset first"),
        "{error}"
    );
    assert!(files(&dir) == before);
    // The copy has usual names.
    let copy = place.path().join("copy");
    copied(&dir, &SubsetOptions { out: copy.clone(), ..SubsetOptions::default() }).unwrap();
    added(&copy, &rowing).unwrap();
    assert_eq!(whole(&copy).manifest().clips.len(), 4);
}

#[test]
fn only_the_fragments_of_this_program_are_removed() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let dir = packed(&tree, &place.path().join("set"), &["Archery"]);
    let build = dir.join(".other.partial/set");
    fs::create_dir_all(&build).unwrap();
    fs::write(build.join("rgb-00000.clipshard"), "whole").unwrap();
    fs::write(dir.join(".shard-Ab12Cd.partial"), "half").unwrap();
    added(&dir, &AddOptions { classes: Some(class("Rowing")), ..adding(&tree) }).unwrap();
    assert_eq!(fs::read_to_string(build.join("rgb-00000.clipshard")).unwrap(), "whole");
    assert!(!dir.join(".shard-Ab12Cd.partial").exists());
}

#[test]
fn no_shard_is_replaced_by_a_new_one() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let dir = packed(&tree, &place.path().join("set"), &["Archery"]);
    let mut manifest = Manifest::read(&dir).unwrap();
    let last = format!("rgb-{}.clipshard", u64::MAX);
    let file = &mut manifest.streams[0].shards[0].file;
    fs::rename(dir.join(&*file), dir.join(&last)).unwrap();
    file.clone_from(&last);
    manifest.write(&dir).unwrap();
    let before = files(&dir);
    let error = added(&dir, &AddOptions { classes: Some(class("Rowing")), ..adding(&tree) }).unwrap_err().to_string();
    assert!(error.ends_with("above 18446744073709551615; copy the dataset first, as the copy has usual numbers"));
    assert!(files(&dir) == before);
}

#[test]
fn a_rebuilt_manifest_has_all_or_no_clips_of_an_interrupted_addition() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let dir = packed(&tree, &place.path().join("set"), &["Archery"]);
    let old = files(&dir);
    added(&dir, &AddOptions { classes: Some(class("Rowing")), ..adding(&tree) }).unwrap();
    let new = files(&dir);
    let moved: Vec<_> = new.keys().filter(|name| !old.contains_key(*name)).collect();
    assert!(moved.len() > 1);
    for (lost, clips) in [(0, 4), (1, 2)] {
        // The state after a crash that damaged the manifest, too.
        let staging = dir.join(".add-Ab12Cd.partial");
        fs::create_dir(&staging).unwrap();
        fs::write(staging.join("moves.json"), serde_json::to_vec(&moved).unwrap()).unwrap();
        for name in &moved[..lost] {
            fs::rename(dir.join(name), staging.join(name)).unwrap();
        }
        fs::write(dir.join("manifest.json"), "{").unwrap();
        assert_eq!(rebuild_manifest(&dir).unwrap(), Rebuilt::Written { notes: vec![] });
        assert_eq!((whole(&dir).manifest().clips.len(), staging.exists()), (clips, false));
        fs::remove_file(dir.join("manifest.json.damaged")).unwrap();
    }
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&files(&dir)), names(&old));
}

#[test]
fn the_same_clip_is_not_added_under_an_id_with_its_class() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let classed = ["{class}/{clip}/img_{n}.jpg", "{class}/{clip}/x_{n}.jpg", "{class}/{clip}/y_{n}.jpg"];
    tree.rearrange(classed, |number| format!("{:05}", number - 1));
    for (class, clip) in [("Archery", CLIPS[0]), ("Rowing", CLIPS[4])] {
        fs::rename(tree.path(&format!("{class}/{clip}")), tree.path(&format!("{class}/x"))).unwrap();
    }
    let lists = |rows: &str| {
        fs::write(tree.path("lists.csv"), format!("path,label,split\n{rows}")).unwrap();
        Some(tree.path("lists.csv"))
    };
    let dir = place.path().join("set");
    let lists_of_one = lists("Archery/x,Archery,train\n");
    let mut options = BuildOptions {
        dataset: DatasetKind::Custom,
        layout: Some(Layout::Mmaction2),
        lists: lists_of_one,
        ..options(tree.root(), &tree.lists(), &dir)
    };
    options.flow.geometry = Geometry::Source;
    pack(&options).unwrap();
    let both = lists("Archery/x,Archery,train\nRowing/x,Rowing,train\n");
    let adding = AddOptions { lists: both, layout: Some(Layout::Mmaction2), ..adding(&tree) };
    let error = added(&dir, &adding).unwrap_err().to_string();
    assert!(error.starts_with("1 of 2 clips is in ") && error.contains("such as Archery__x"), "{error}");
    let report = added(&dir, &AddOptions { skip_existing: true, ..adding }).unwrap();
    assert_eq!((report.added.clips, report.existing), (1, 1));
    let set = whole(&dir);
    assert_eq!(set.manifest().clips.iter().map(|clip| clip.id.as_str()).collect::<Vec<_>>(), ["x", "Rowing__x"]);
}

#[test]
fn an_attribute_of_the_lists_is_not_replaced_by_versions() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let dir = packed(&tree, &place.path().join("set"), &["Archery"]);
    let mut manifest = Manifest::read(&dir).unwrap();
    manifest.build.insert("packer".into(), json!("ucfpack 0.0.1"));
    manifest.write(&dir).unwrap();
    let before = files(&dir);
    fs::write(tree.path("more.csv"), format!("path,label,split,build\n{},Rowing,train,house\n", CLIPS[4])).unwrap();
    let options = AddOptions { lists: Some(tree.path("more.csv")), other_versions: true, ..adding(&tree) };
    let error = added(&dir, &options).unwrap_err().to_string();
    let wanted = "but clip v_Rowing_g01_c01 has its own attribute of this name; rename that in the lists";
    assert!(error.starts_with("`other_versions` keeps the versions") && error.ends_with(wanted), "{error}");
    assert!(files(&dir) == before);
}

#[test]
fn nothing_new_in_the_source_is_no_error_when_clips_may_be_missing() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let dir = packed(&tree, &place.path().join("set"), &["Archery"]);
    for clip in &CLIPS[2..] {
        for folder in ["jpegs_256", "tvl1_flow/u", "tvl1_flow/v"] {
            fs::remove_dir_all(tree.path(&format!("{folder}/{clip}"))).unwrap();
        }
    }
    let before = files(&dir);
    let mut command = ucfpack();
    command.current_dir(place.path()).args(["add", "set", "--keep-going", "--skip-existing"]);
    let output = command.arg("--tree").arg(tree.root()).arg("--lists").arg(tree.lists()).output().unwrap();
    ended(&output, 0, "added 0 clips to set");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("skipped 4 clips") && shown.contains(CLIPS[2]) && !shown.contains("()"), "{shown}");
    assert!(files(&dir) == before);
    // Without any clip of the lists, the source is the wrong one.
    for clip in &CLIPS[..2] {
        for folder in ["jpegs_256", "tvl1_flow/u", "tvl1_flow/v"] {
            fs::rename(tree.path(&format!("{folder}/{clip}")), tree.path(&format!("{folder}/{clip}_other"))).unwrap();
        }
    }
    let options = AddOptions { keep_going: true, skip_existing: true, ..adding(&tree) };
    let error = added(&dir, &options).unwrap_err().to_string();
    assert!(error.contains("has none of the 4 clips"), "{error}");
}
