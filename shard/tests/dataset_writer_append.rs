//! Tests of changes to a finished dataset: more clips, fewer clips, fewer shards.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod written;

use clipshard::{Access, Clip, Dataset, DatasetInfo, DatasetWriter, Error, Manifest, Shard, WriteOptions};
use std::path::Path;
use written::{Source, add_streams, assert_holds, assert_whole, files};

fn small() -> WriteOptions {
    WriteOptions::new().with_shard_bytes(2500)
}

fn sources(ids: std::ops::Range<usize>) -> Vec<Source> {
    let streams = [&["rgb", "flow"][..], &["flow"], &["flow", "depth"]];
    ids.map(|number| Source::new(&format!("v_{number}"), 0, streams[number % 3])).collect()
}

fn add(writer: &mut DatasetWriter, sources: &[Source]) {
    add_streams(writer);
    for source in sources {
        source.add_to(writer).unwrap();
    }
}

/// Writes clips 0 to 11.
fn build(dir: &Path) -> Manifest {
    let mut writer = DatasetWriter::create_with(dir, DatasetInfo::new("waves", ["Wave"], ["1"]), &small()).unwrap();
    add(&mut writer, &sources(0..12));
    writer.finish().unwrap()
}

fn append(dir: &Path) -> DatasetWriter {
    DatasetWriter::append_with(dir, &small()).unwrap()
}

fn ids(manifest: &Manifest) -> Vec<&str> {
    manifest.clips.iter().map(|clip| clip.id.as_str()).collect()
}

#[test]
fn appended_clips_get_new_shards_and_leave_the_numbers_of_the_others() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    let old = build(dir);
    let old_files: Vec<_> =
        files(dir).into_iter().map(|file| (file.clone(), std::fs::read(dir.join(file)).unwrap())).collect();
    let before = Dataset::open(dir).unwrap();
    let mut writer = append(dir);
    let mut added = sources(12..20);
    added[3].clip.label = Some(writer.add_class("Jump").unwrap());
    assert!(writer.contains("v_3") && !writer.contains("v_15"));
    add(&mut writer, &added);
    let between = Dataset::open_with(dir, Access::Read).unwrap();
    let new = writer.finish().unwrap();
    assert_eq!(assert_whole(dir), new);
    assert_eq!(new.classes, ["Wave", "Jump"]);
    assert_eq!(new.clips[..12], old.clips);
    for (file, bytes) in &old_files {
        assert!(file == "manifest.json" || std::fs::read(dir.join(file)).unwrap() == *bytes);
    }
    for data in [before, between] {
        assert_holds(&data, &sources(0..12));
    }
    let all: Vec<_> = sources(0..12).into_iter().chain(added).collect();
    assert_holds(&Dataset::open(dir).unwrap(), &all);
}

#[test]
fn a_stream_that_sorts_first_does_not_renumber_older_clips() {
    let home = tempfile::tempdir().unwrap();
    let info = DatasetInfo::new("waves", ["Wave"], ["1"]);
    let mut writer = DatasetWriter::create(home.path(), info).unwrap();
    add(&mut writer, &[Source::new("old", 0, &["flow"])]);
    writer.finish().unwrap();
    let mut writer = append(home.path());
    add(&mut writer, &[Source::new("new", 0, &["rgb", "flow"])]);
    writer.finish().unwrap();
    let manifest = assert_whole(home.path());
    assert_eq!(ids(&manifest), ["old", "new"]);
    assert_eq!(manifest.streams[0].spec.name, "rgb");
}

#[test]
fn a_writer_that_changes_nothing_leaves_the_manifest() {
    let home = tempfile::tempdir().unwrap();
    let old = build(home.path());
    let before = std::fs::metadata(home.path().join("manifest.json")).unwrap().modified().unwrap();
    let mut writer = append(home.path());
    writer.add_class("Wave").unwrap();
    writer.remove_clips([""; 0]).unwrap();
    assert_eq!(writer.finish().unwrap(), old);
    drop(append(home.path()));
    assert_eq!(std::fs::metadata(home.path().join("manifest.json")).unwrap().modified().unwrap(), before);
    assert_whole(home.path());
}

#[test]
fn a_class_without_clips_is_listed_by_a_shard() {
    let home = tempfile::tempdir().unwrap();
    build(home.path());
    let mut writer = append(home.path());
    assert_eq!(writer.add_class("Jump").unwrap(), 1);
    assert_eq!(writer.finish().unwrap().classes, ["Wave", "Jump"]);
    assert_whole(home.path());
    assert_holds(&Dataset::open(home.path()).unwrap(), &sources(0..12));
    // The only clips of shards that list the class are removed.
    let mut writer = append(home.path());
    let mut last = sources(12..13);
    last[0].clip.label = Some(writer.add_class("Dive").unwrap());
    add(&mut writer, &last);
    writer.remove_clips(["v_12"]).unwrap();
    assert_eq!(writer.finish().unwrap().classes, ["Wave", "Jump", "Dive"]);
    assert_whole(home.path());
}

#[test]
fn removed_clips_leave_their_records_out_and_the_others_as_they_were() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    let old = build(dir);
    let before = Dataset::open(dir).unwrap();
    let mut writer = append(dir);
    writer.remove_clips(["v_0", "v_7"]).unwrap();
    assert!(!writer.contains("v_7") && writer.clip_count() == 10);
    // The old dataset is whole until the new manifest is there.
    assert_eq!(Dataset::open(dir).unwrap().manifest(), &old);
    // A removed clip can be added again, with other content.
    let again = Source::new("v_7", None, &["rgb"]);
    add(&mut writer, std::slice::from_ref(&again));
    writer.finish().unwrap();
    assert_whole(dir);
    assert_holds(&before, &sources(0..12));
    let mut left: Vec<_> = sources(0..12);
    left.retain(|source| !["v_0", "v_7"].contains(&source.clip.id.as_str()));
    left.push(again);
    let data = Dataset::open(dir).unwrap();
    assert_holds(&data, &left);
    // The stored bytes are copies.
    let (old, new) = (before.find_clip("v_9").unwrap(), data.find_clip("v_9").unwrap());
    let stored = |data: &Dataset, clip| data.clip("rgb", clip).unwrap().record(1, 0).unwrap().bytes.to_vec();
    assert_eq!(stored(&before, old), stored(&data, new));
}

#[test]
fn clips_that_cannot_be_removed_are_named() {
    let home = tempfile::tempdir().unwrap();
    build(home.path());
    let mut writer = append(home.path());
    let error = writer.remove_clips(["v_1", "v_99"]).unwrap_err().to_string();
    assert_eq!(error, "clip v_99: it cannot be removed, because the dataset does not have it");
    let all: Vec<_> = sources(0..12).into_iter().map(|source| source.clip.id).collect();
    let error = writer.remove_clips(&all).unwrap_err().to_string();
    assert!(error.contains("no clip would remain"), "{error}");
    assert_eq!(writer.clip_count(), 12);
    writer.finish().unwrap();
    assert_whole(home.path());
}

#[test]
fn a_damaged_clip_is_not_copied_but_can_be_removed() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    let mut writer = DatasetWriter::create(dir, DatasetInfo::new("waves", ["Wave"], ["1"])).unwrap();
    add(&mut writer, &sources(0..6));
    let old = writer.finish().unwrap();
    let path = dir.join("rgb-00000.clipshard");
    let shard = Shard::open(&path).unwrap();
    let at = shard.clip(1).unwrap().byte_range().start as usize;
    assert_eq!(shard.clip_id(1), Some("v_3"));
    drop(shard);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let mut writer = append(dir);
    let error = writer.remove_clips(["v_0"]).unwrap_err();
    assert!(matches!(&error, Error::Record { clip, .. } if clip == "v_3"), "{error}");
    assert_eq!((files(dir).len(), Manifest::read(dir).unwrap()), (5, old));
    writer.remove_clips(["v_3"]).unwrap();
    writer.finish().unwrap();
    assert_whole(dir);
    let mut left = sources(0..6);
    left.remove(3);
    assert_holds(&Dataset::open(dir).unwrap(), &left);
}

#[test]
fn small_shards_are_merged_up_to_the_size_of_a_shard() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    let info = DatasetInfo::new("waves", ["Wave"], ["1"]);
    let mut writer = DatasetWriter::create_with(dir, info, &WriteOptions::new().with_shard_bytes(0)).unwrap();
    add(&mut writer, &sources(0..12));
    let old = writer.finish().unwrap();
    assert_eq!(old.stream("flow").unwrap().shards.len(), 12);
    let before = Dataset::open(dir).unwrap();
    let limit = 20_000;
    let mut writer = DatasetWriter::append_with(dir, &WriteOptions::new().with_shard_bytes(limit)).unwrap();
    writer.compact().unwrap();
    let new = writer.finish().unwrap();
    assert_eq!(assert_whole(dir), new);
    let shards = &new.stream("flow").unwrap().shards;
    assert!(shards.len() < 6 && shards.iter().all(|shard| shard.bytes <= limit), "{shards:#?}");
    assert!(ids(&new).len() == 12 && new.stream("rgb").unwrap().shards.len() <= shards.len());
    assert_holds(&Dataset::open(dir).unwrap(), &sources(0..12));
    assert_holds(&before, &sources(0..12));
    // Shards of at least half the size stay.
    let mut writer = DatasetWriter::append_with(dir, &WriteOptions::new().with_shard_bytes(1)).unwrap();
    writer.compact().unwrap();
    assert_eq!(writer.finish().unwrap(), new);
}

#[test]
fn a_dataset_whose_shards_and_manifest_disagree_is_not_changed() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    let manifest = build(dir);
    std::fs::write(dir.join("rgb-00077.clipshard"), "x").unwrap();
    let error = DatasetWriter::append(dir).unwrap_err().to_string();
    assert!(error.contains("the manifest does not list rgb-00077.clipshard"), "{error}");
    std::fs::remove_file(dir.join("rgb-00077.clipshard")).unwrap();
    let refused = |change: &dyn Fn(&mut Manifest)| {
        let mut other = manifest.clone();
        change(&mut other);
        other.write(dir).unwrap();
        DatasetWriter::append(dir).unwrap_err().to_string()
    };
    assert!(refused(&|m| m.classes.push("Jump".into())).contains("manifest.json has other classes than the shards"));
    assert!(refused(&|m| m.clips[2].label = None).contains("has other clips than"));
    assert!(refused(&|m| m.clips.push(Clip::new("empty", 0, vec!["test".into()]))).contains("has other clips than"));
    assert!(refused(&|m| drop(m.groups.insert("v_0".into(), "g".into()))).contains("has other groups than"));
    assert!(refused(&|m| m.streams[0].shards[0].trailer_crc32 ^= 1).contains("not the shard that the manifest lists"));
    // Another order is no contradiction, and stays if nothing changes.
    let mut reversed = manifest.clone();
    reversed.clips.reverse();
    reversed.streams.reverse();
    reversed.write(dir).unwrap();
    assert_eq!(append(dir).finish().unwrap(), reversed);
    manifest.write(dir).unwrap();
    append(dir).finish().unwrap();
    assert_whole(dir);
}
