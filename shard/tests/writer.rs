//! Tests that a shard appears completely or not at all.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod sample;

use clipshard::{
    Codec, EncodedRecord, Error, Filter, ImageSize, Shard, ShardClip, ShardMetadata, ShardWriter, StreamSpec,
};
use sample::{FLOW_SIZE, RGB_SIZE, encoded, flow, metadata, rgb};
use std::path::Path;

fn image(number: usize) -> EncodedRecord {
    encoded(Codec::Raw, Filter::None, RGB_SIZE, number)
}

fn clips(n: usize) -> ShardMetadata {
    metadata(&vec![clipshard::Clip::new("c", 0, Vec::new()); n])
}

fn files(dir: &Path) -> Vec<String> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = ShardWriter::create(dir.path().join("a.clipshard"), &rgb()).unwrap();
    writer.add_clip("c", &[image(0)]).unwrap();
    assert_eq!(files(dir.path()).len(), 1);
    drop(writer);
    assert!(files(dir.path()).is_empty());
}

#[test]
fn the_file_has_its_name_only_when_it_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.clipshard");
    let mut writer = ShardWriter::create(&path, &rgb()).unwrap();
    writer.add_clip("c", &[image(0), image(1)]).unwrap();
    assert!(!path.exists());
    let info = writer.finish(&clips(1)).unwrap();
    assert_eq!(files(dir.path()), ["a.clipshard"]);
    let shard = Shard::open(&path).unwrap();
    assert_eq!((info.bytes, info.clips, info.records), (shard.file_bytes(), 1, 2));
    assert_eq!((info.file.as_str(), info.trailer_crc32), ("a.clipshard", shard.trailer_crc32()));
}

#[test]
fn a_group_of_a_clip_that_is_not_in_the_shard_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let finish = |id: &str| {
        let mut writer = ShardWriter::create(dir.path().join("a.clipshard"), &rgb()).unwrap();
        writer.add_clip("c", &[image(0)]).unwrap();
        let mut metadata = clips(1);
        metadata.groups = [(id.into(), "7".into())].into();
        writer.finish(&metadata)
    };
    let error = finish("d").unwrap_err();
    assert!(matches!(&error, Error::Usage(what) if what.contains("clip \"d\", which does not exist")), "{error}");
    assert!(files(dir.path()).is_empty());
    finish("c").unwrap();
    let metadata = Shard::open(dir.path().join("a.clipshard")).unwrap().metadata().unwrap();
    assert_eq!(metadata.groups["c"], "7");
}

#[test]
fn finishing_replaces_an_older_file_whose_readers_keep_what_they_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.clipshard");
    let write = |number| {
        let mut writer = ShardWriter::create(&path, &rgb()).unwrap();
        writer.add_clip("c", &[image(number)]).unwrap();
        writer.finish(&clips(1)).unwrap();
    };
    write(0);
    let old = Shard::open(&path).unwrap();
    write(1);
    assert_eq!(old.clip(0).unwrap().record(0, 0).unwrap().bytes, image(0).bytes());
    assert_eq!(Shard::open(&path).unwrap().clip(0).unwrap().record(0, 0).unwrap().bytes, image(1).bytes());
}

#[test]
fn a_shard_without_clips_or_with_other_metadata_is_not_finished() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.clipshard");
    let empty = ShardWriter::create(&path, &rgb()).unwrap();
    assert!(matches!(empty.finish(&clips(0)), Err(Error::Usage(_))));
    let mut writer = ShardWriter::create(&path, &rgb()).unwrap();
    writer.add_clip("c", &[image(0)]).unwrap();
    assert!(matches!(writer.finish(&clips(2)), Err(Error::Usage(_))));
    assert!(files(dir.path()).is_empty());
}

#[test]
fn metadata_from_which_no_manifest_could_be_rebuilt_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.clipshard");
    let finish = |metadata: ShardMetadata| {
        let mut writer = ShardWriter::create(&path, &rgb()).unwrap();
        writer.add_clip("c", &[image(0)]).unwrap();
        writer.finish(&metadata)
    };
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let one = |label, subsets| vec![ShardClip::new(label, subsets)];
    let metadata = |classes: &[&str], splits: &[&str], clips| {
        ShardMetadata::new("waves", names(classes), names(splits)).with_clips(clips)
    };
    let mut nested = metadata(&[], &[], one(None, vec![]));
    nested.build.insert("x".into(), (0..200).fold(serde_json::Value::Null, |inner, _| vec![inner].into()));
    let mut attributes = metadata(&[], &[], one(None, vec![]));
    attributes.clips[0].attributes.set("x", (0..70).fold(serde_json::Value::Null, |inner, _| vec![inner].into()));
    for (bad, fault) in [
        (metadata(&[], &[], one(Some(0), vec![])), "clip c: label 0 of 0 classes"),
        (metadata(&["a"], &[], one(Some(1), vec![])), "clip c: label 1 of 1 classes"),
        (metadata(&["a"], &["1"], one(Some(0), vec![])), "clip c: 0 subsets for 1 splits"),
        (metadata(&["a"], &["1"], one(None, vec!["".into()])), "clip c: the name of a subset has 0 bytes"),
        (metadata(&["a", "a"], &[], one(None, vec![])), "class \"a\" is listed twice"),
        (metadata(&["a"], &["1", "1"], one(None, vec!["x".into(), "y".into()])), "split \"1\" is listed twice"),
        (nested, "the build cannot be written as JSON and read again"),
        (attributes, "clip c: attributes nest deeper than 64 levels"),
    ] {
        match finish(bad).unwrap_err() {
            Error::Usage(text) => assert!(text.contains(fault), "{text}"),
            other => panic!("{other}"),
        }
    }
    assert!(files(dir.path()).is_empty());
    finish(metadata(&["a"], &["1"], one(Some(0), vec!["val".into()]))).unwrap();
    assert_eq!(clipshard::Manifest::rebuild(dir.path()).unwrap().classes, ["a"]);
}

#[test]
fn class_lists_of_shards_are_starts_of_the_longest() {
    let rebuilt = |lists: &[&[&str]]| {
        let dir = tempfile::tempdir().unwrap();
        for (number, classes) in lists.iter().enumerate() {
            let path = dir.path().join(format!("rgb-{number:05}.clipshard"));
            let mut writer = ShardWriter::create(path, &rgb()).unwrap();
            writer.add_clip(&format!("v_{number}"), &[image(number)]).unwrap();
            let classes = classes.iter().map(ToString::to_string).collect();
            let clips = vec![ShardClip::new(None, Vec::new())];
            writer.finish(&ShardMetadata::new("waves", classes, Vec::new()).with_clips(clips)).unwrap();
        }
        clipshard::Manifest::rebuild(dir.path()).map(|manifest| manifest.classes)
    };
    assert_eq!(rebuilt(&[&["a"], &["a", "b"]]).unwrap(), ["a", "b"]);
    assert_eq!(rebuilt(&[&["a", "b"], &[], &["a", "b", "c"], &["a"]]).unwrap(), ["a", "b", "c"]);
    for lists in [&[&["a", "b"][..], &["a", "c"]][..], &[&["a"], &["b", "a"]], &[&["a"], &["a", "b"], &["a", "c", "d"]]]
    {
        let error = rebuilt(lists).unwrap_err();
        assert!(matches!(&error, Error::Rebuild { fault, .. } if fault.contains("another class list than")), "{error}");
    }
}

#[test]
fn a_refused_clip_leaves_the_shard_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.clipshard");
    let mut writer = ShardWriter::create(&path, &rgb()).unwrap();
    let grey = encoded(Codec::Raw, Filter::None, FLOW_SIZE, 0);
    let stored = |bytes: &[u8], size, codec, filter| EncodedRecord::from_stored(bytes.to_vec(), size, codec, filter);
    let short = stored(&[0; 5], RGB_SIZE, Codec::Raw, Filter::None);
    let filtered = stored(image(0).bytes(), RGB_SIZE, Codec::Raw, Filter::Up);
    let nothing = stored(&[], RGB_SIZE, Codec::Zstd, Filter::None);
    let size = ImageSize { width: u16::MAX, height: u16::MAX, channels: 3 };
    let huge = stored(image(0).bytes(), size, Codec::Zstd, Filter::None);
    for bad in [grey, short, filtered, nothing, huge] {
        let error = writer.add_clip("bad", &[image(0), bad]).unwrap_err();
        assert!(matches!(&error, Error::Usage(what) if what.starts_with("clip bad: ")), "{error}");
    }
    assert!(writer.add_clip("", &[image(0)]).is_err());
    assert!(writer.add_clip(&"x".repeat(1 << 16), &[image(0)]).is_err());
    assert!(writer.add_clip("none", &[]).is_err());
    writer.add_clip("good", &[image(7)]).unwrap();
    let twice = writer.add_clip("good", &[image(8)]).unwrap_err().to_string();
    assert_eq!(twice, "clip good: the shard already has a clip with this id");
    assert_eq!(writer.clip_count(), 1);
    writer.finish(&clips(1)).unwrap();
    let shard = Shard::open(&path).unwrap();
    assert_eq!((shard.records(), shard.clip_id(0)), (1, Some("good")));
    assert_eq!(shard.clip(0).unwrap().record(0, 0).unwrap().bytes, image(7).bytes());
}

#[test]
fn a_clip_has_whole_frames_when_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = ShardWriter::create(dir.path().join("a.clipshard"), &flow()).unwrap();
    let planes = [0, 1, 2].map(|n| encoded(Codec::Zstd, Filter::Up, FLOW_SIZE, n));
    assert!(matches!(writer.add_clip("c", &planes), Err(Error::Usage(_))));
    assert!(writer.add_clip("c", &planes[..2]).is_ok());
}

#[test]
fn a_stream_that_cannot_be_read_back_is_not_started() {
    let dir = tempfile::tempdir().unwrap();
    let create = |name: &str, planes, channels| {
        let spec = StreamSpec::new(name, planes, channels);
        ShardWriter::create(dir.path().join("a.clipshard"), &spec).map(|_| ())
    };
    for (name, planes, channels) in
        [("", 1, 3), ("rgb ", 1, 3), ("seventeen-letters", 1, 3), ("rgb", 0, 3), ("rgb", 1, 5)]
    {
        assert!(matches!(create(name, planes, channels), Err(Error::Usage(_))), "{name}");
    }
    assert!(create("sixteen-letters_", 1, 3).is_ok());
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = ["a.clipshard", "b.clipshard"].map(|file| {
        let mut writer = ShardWriter::create(dir.path().join(file), &rgb()).unwrap();
        writer.add_clip("c", &[encoded(Codec::Zstd, Filter::Up, RGB_SIZE, 0), image(1)]).unwrap();
        writer.finish(&clips(1)).unwrap();
        std::fs::read(dir.path().join(file)).unwrap()
    });
    assert!(bytes[0] == bytes[1]);
}
