//! Tests of streams that are opened separately, and of what a dataset says about clips.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod sample;

use clipshard::{Access, Attributes, Dataset, Error, MANIFEST_FILE, Manifest, Shard, Subset, VerifyDepth, verify};
use sample::{Parts, build};
use std::path::Path;

/// Replaces a text in a manifest, and computes the checksum again.
fn edit_manifest(dir: &Path, from: &str, to: &str) {
    let path = dir.join(MANIFEST_FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{from}");
    let text = text.replace(from, to);
    let (head, rest) = text.split_once("\"checksum\":\"crc32:").unwrap();
    let zeros = format!("{head}\"checksum\":\"crc32:00000000{}", &rest[8..]);
    let crc32 = crc32fast::hash(zeros.as_bytes());
    std::fs::write(path, zeros.replacen("crc32:00000000", &format!("crc32:{crc32:08x}"), 1)).unwrap();
}

#[test]
fn streams_open_without_the_shards_of_the_others() {
    for access in [Access::Map, Access::Read] {
        let dir = tempfile::tempdir().unwrap();
        build(dir.path());
        std::fs::remove_file(dir.path().join("flow-00001.clipshard")).unwrap();
        std::fs::write(dir.path().join("flow-00000.clipshard"), "damaged").unwrap();
        let data = Dataset::open_streams(dir.path(), &["rgb"], access).unwrap();
        assert_eq!(data.clip("rgb", 1).unwrap().frame_count(), 2);
        assert!(data.is_open("rgb") && !data.is_open("flow") && !data.is_open("depth"));
        assert_eq!(data.stream("flow").unwrap().planes, 2, "the manifest describes it");
        let error = data.clip("flow", 0).unwrap_err();
        assert!(matches!(&error, Error::NotOpen { stream, .. } if stream == "flow"), "{error}");
        assert!(error.to_string().ends_with("stream flow is not open; name it when you open the dataset"));
        assert!(matches!(data.clips("flow").map(|_| ()), Err(Error::NotOpen { .. })));
        assert!(matches!(data.place("flow", 0), Err(Error::NotOpen { .. })));
        assert!(matches!(data.shards("flow"), Err(Error::NotOpen { .. })));
        let error = Dataset::open_streams(dir.path(), &["flow"], access).unwrap_err();
        assert!(matches!(&error, Error::NotAShard { path } if path.ends_with("flow-00000.clipshard")), "{error}");
        assert!(matches!(Dataset::open_streams(dir.path(), &["x"], access), Err(Error::NoStream { .. })));
        let damage = verify(dir.path(), VerifyDepth::Deep, &|_| ()).unwrap().damage;
        assert_eq!(damage.len(), 2, "{damage:?}");
    }
}

#[test]
fn a_stream_with_unknown_features_does_not_close_the_others() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    // The other keys may have any form, because the feature may have changed them.
    edit_manifest(
        dir.path(),
        "{\"name\":\"flow\",\"planes\":2,\"channels\":1,",
        "{\"name\":\"flow\",\"planes\":[2],\"samples\":\"f8\",\"required_features\":[\"video\"],",
    );
    let data = Dataset::open_streams(dir.path(), &["rgb"], Access::Map).unwrap();
    assert_eq!(data.clip("rgb", 0).unwrap().frame_count(), 3);
    assert_eq!(data.manifest().stream("flow").unwrap().unknown_features(), ["video"]);
    // A copy of the manifest would lose the shards of the stream.
    let written = data.manifest().write(tempfile::tempdir().unwrap().path());
    assert!(matches!(written, Err(Error::StreamFeature { .. })), "{written:?}");
    for result in [Dataset::open(dir.path()), Dataset::open_streams(dir.path(), &["flow"], Access::Map)] {
        let error = result.unwrap_err();
        assert!(matches!(&error, Error::StreamFeature { stream, .. } if stream == "flow"), "{error}");
        let expected = "stream flow needs format features video, which this program does not know; update it";
        assert!(error.to_string().contains(expected), "{error}");
    }
    let damage = verify(dir.path(), VerifyDepth::Quick, &|_| ()).unwrap().damage;
    assert!(matches!(&damage[..], [Error::StreamFeature { .. }]), "{damage:?}");
}

#[test]
fn an_unknown_type_of_samples_in_a_manifest_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    edit_manifest(dir.path(), "\"planes\":2,\"channels\":1,", "\"planes\":2,\"channels\":1,\"samples\":\"f8\",");
    let error = Dataset::open_streams(dir.path(), &["rgb"], Access::Map).unwrap_err();
    assert!(matches!(&error, Error::Manifest { fault, .. } if fault.contains("unknown variant `f8`")), "{error}");
}

#[test]
fn the_form_of_the_records_in_the_manifest_is_that_of_the_shards() {
    for (from, to) in [
        ("\"channels\":1,\"samples\":\"u16\"", "\"channels\":1,\"samples\":\"i16\""),
        ("\"array\":[3,2,5]", "\"array\":[3,5,2]"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        sample::wide::build(dir.path());
        edit_manifest(dir.path(), from, to);
        assert!(matches!(Dataset::open(dir.path()), Err(Error::ForeignShard { .. })), "{from}");
    }
}

#[test]
fn clips_are_listed_by_any_subset() {
    let data = Dataset::open(sample::wide::golden_wide()).unwrap();
    let clips = |subset: Subset| data.clips_of("1", subset).unwrap();
    assert_eq!((clips(Subset::Train), clips(Subset::Val), clips(Subset::Test)), (vec![0], vec![1], vec![]));
    assert_eq!((clips(Subset::from("test-hard")), clips(Subset::Unused)), (vec![2], vec![]));
}

#[test]
fn a_damaged_index_of_the_last_clip_does_not_close_the_shard() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    let path = dir.path().join("rgb-00000.clipshard");
    let mut bytes = std::fs::read(&path).unwrap();
    let index_at = u64::from_le_bytes(bytes[bytes.len() - 56..bytes.len() - 48].try_into().unwrap()) as usize;
    // The offset of the fifth record, which is the last one.
    bytes[index_at + 4 * 32] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let shard = Shard::open(&path).unwrap();
    assert_eq!(shard.clip(0).unwrap().frame_count(), 3);
    let error = shard.clip(1).unwrap_err();
    assert!(matches!(&error, Error::ClipIndex { clip, .. } if clip == sample::JUMP), "{error}");
    assert!(Dataset::open(dir.path()).unwrap().clip("rgb", 0).is_ok());
    let damage = verify(dir.path(), VerifyDepth::Quick, &|_| ()).unwrap().damage;
    assert!(matches!(&damage[..], [Error::ClipIndex { .. }]), "{damage:?}");
}

#[test]
fn attributes_are_objects_of_limited_depth() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    let path = dir.path().join("flow-00000.clipshard");
    let parts = Parts::of(&path);
    let text = String::from_utf8(parts.metadata.clone()).unwrap();
    let metadata_of = |of_clip: &str, of_dataset: &str| {
        let mut parts = parts.clone();
        let clip = format!("\"label\":0,\"attributes\":{of_clip},");
        let text = text
            .replace("\"label\":0,", &clip)
            .replace("\"build\":", &format!("\"attributes\":{of_dataset},\"build\":"));
        parts.metadata = text.into_bytes();
        std::fs::write(&path, parts.seal(|_| ())).unwrap();
        Shard::open(&path).unwrap().metadata()
    };
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    let metadata = metadata_of("{\"fps\": 25.0}", &nested(64)).unwrap();
    assert_eq!(metadata.clips[0].attributes.as_json(), "{\"fps\": 25.0}");
    assert_eq!(metadata.attributes, Attributes::from_json(&nested(64)).unwrap());
    for bad in ["[]", "null", "7", "\"x\"", &nested(65), &nested(100_000)] {
        for result in [metadata_of(bad, "{}"), metadata_of("{}", bad)] {
            let error = result.unwrap_err();
            assert!(matches!(&error, Error::Damaged { fault, .. } if fault.contains("attributes")), "{error}");
        }
    }
    edit_manifest(dir.path(), "\"build\":", "\"attributes\":[1],\"build\":");
    let error = Manifest::read(dir.path()).unwrap_err();
    assert!(matches!(&error, Error::Manifest { fault, .. } if fault.contains("must be a JSON object")), "{error}");
}
