//! Hostile and unusual manifests and metadata.

use super::{Files, changed, grey};
use clipshard::Manifest;

fn manifest_text() -> String {
    let clip = |id| clipshard::Clip::new(id, 0, vec![clipshard::Subset::Train]).with_frames("grey", 1);
    let listed = r#"{"file":"grey-00000.clipshard","bytes":400,"clips":2,"records":2,"trailer_crc32":7}"#;
    let shard = serde_json::from_str(listed).unwrap();
    let mut manifest = Manifest::new("attack", vec!["Wave".into()], vec!["1".into()]);
    manifest.streams = vec![clipshard::Stream::new(grey(), vec![shard])];
    manifest.clips = vec![clip("a"), clip("b")];
    manifest.to_json()
}

/// Returns an object with a depth of nesting.
fn nested(depth: usize) -> String {
    format!("{{\"x\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1))
}

/// Returns a manifest with a change and a valid checksum.
fn manifest(from: &str, to: &str) -> Vec<u8> {
    changed_text(&manifest_text(), from, to)
}

fn changed_text(text: &str, from: &str, to: &str) -> Vec<u8> {
    assert!(text.contains(from), "{from}");
    reseal(&text.replacen(from, to, 1))
}

fn reseal(text: &str) -> Vec<u8> {
    let at = text.find("\"checksum\":\"crc32:").unwrap() + 18;
    let zeros = format!("{}00000000{}", &text[..at], &text[at + 8..]);
    let crc32 = crc32fast::hash(zeros.as_bytes());
    format!("{}{crc32:08x}{}", &text[..at], &text[at + 8..]).into_bytes()
}

/// Returns a manifest with more keys of clip `b`.
fn with_clip(keys: &str) -> Vec<u8> {
    manifest("\"id\":\"b\"", &format!("\"id\":\"b\",{keys}"))
}

/// Returns a manifest with another form of the stream `grey`, without a change of its shards.
fn with_form(form: &str) -> Vec<u8> {
    manifest("\"planes\":1,\"channels\":1", form)
}

/// Returns a manifest whose clip `b` has a subset of this name.
fn with_subset(name: &str) -> Vec<u8> {
    let text = manifest_text();
    let at = text.rfind("\"train\"").unwrap();
    reseal(&format!("{}\"{name}\"{}", &text[..at], &text[at + 7..]))
}

/// Returns a shard of clips `a` and `b` with this description of its dataset and these of clip `a`.
fn metadata(dataset: &str, clip: &str) -> Vec<u8> {
    let dataset_keys = format!("\"dataset\":\"\",\"classes\":[\"Wave\"],\"splits\":[\"1\"],{dataset}");
    let clips = format!("\"clips\":[{{{clip}}},{{\"subsets\":[\"train\"]}}]");
    changed(|p| p.metadata = format!("{{{dataset_keys},{clips}}}").into_bytes())
}

const BUILD: &str = "\"build\":{}";
const CLIP: &str = "\"subsets\":[\"test\"]";

pub fn hostile() -> Files {
    let clip_metadata = |keys: &str| metadata(BUILD, &format!("{CLIP},{keys}"));
    let dataset_metadata = |keys: &str| metadata(&format!("{BUILD},{keys}"), CLIP);
    Files::from([
        ("manifest-version-2.json", manifest("\"clipshard\":\"1.0\"", "\"clipshard\":\"2.0\"")),
        ("manifest-required-feature.json", manifest("\"required_features\":[]", "\"required_features\":[\"gpu\"]")),
        ("manifest-edited.json", manifest_text().replacen("Wave", "Dive", 1).into_bytes()),
        ("manifest-path.json", manifest("grey-00000.clipshard", "../../../etc/shadow")),
        ("manifest-path-windows.json", manifest("grey-00000.clipshard", "C:\\\\boot.ini")),
        ("manifest-stream-path.json", manifest("\"name\":\"grey\"", "\"name\":\"../grey\"")),
        ("manifest-clip-twice.json", manifest("\"id\":\"b\"", "\"id\":\"a\"")),
        ("manifest-label.json", manifest("\"label\":0", "\"label\":4294967295")),
        ("manifest-label-null.json", manifest("\"label\":0", "\"label\":null")),
        ("manifest-label-of-no-class.json", manifest("\"classes\":[\"Wave\"]", "\"classes\":[]")),
        ("manifest-subsets.json", manifest("\"subsets\":[\"train\"]", "\"subsets\":[]")),
        ("manifest-subset-of-300-bytes.json", with_subset(&"\u{e9}".repeat(150))),
        ("manifest-subset-without-name.json", with_subset("")),
        ("manifest-other-stream.json", manifest("{\"grey\":1}", "{\"depth\":1}")),
        ("manifest-group.json", manifest("\"clips\":[", "\"groups\":{\"c\":\"7\"},\"clips\":[")),
        ("manifest-nested.json", manifest(BUILD, &format!("\"build\":{}", nested(20_001)))),
        ("manifest-number.json", manifest("\"records\":2", "\"records\":1e400")),
        ("manifest-empty.json", Vec::new()),
        (
            "manifest-checksum-of-12-digits.json",
            manifest("\",\n \"required_features\"", "0000\",\n \"required_features\""),
        ),
        ("manifest-attributes-array.json", manifest(BUILD, &format!("{BUILD},\"attributes\":[]"))),
        ("manifest-attributes-null.json", with_clip("\"attributes\":null")),
        ("manifest-attributes-nested.json", with_clip(&format!("\"attributes\":{}", nested(100_001)))),
        ("manifest-attributes-65-deep.json", with_clip(&format!("\"attributes\":{}", nested(65)))),
        ("manifest-key-twice.json", with_clip("\"id\":\"c\"")),
        ("manifest-stream-key-twice.json", manifest("\"name\":\"grey\"", "\"name\":\"depth\",\"name\":\"grey\"")),
        ("manifest-frames-twice.json", manifest("{\"grey\":1}", "{\"grey\":2,\"grey\":1}")),
        ("manifest-samples-unknown.json", with_form("\"planes\":1,\"channels\":1,\"samples\":\"f64\"")),
        ("manifest-array-of-5-dimensions.json", with_form("\"planes\":1,\"channels\":0,\"array\":[1,1,1,1]")),
        ("manifest-array-zero.json", with_form("\"planes\":1,\"channels\":0,\"array\":[3,0]")),
        (
            "manifest-array-4-billion.json",
            with_form("\"planes\":1,\"channels\":0,\"array\":[4294967295,4294967295,4294967295]"),
        ),
        ("manifest-array-null.json", with_form("\"planes\":1,\"channels\":1,\"array\":null")),
        ("manifest-array-with-channels.json", with_form("\"planes\":1,\"channels\":1,\"array\":[4]")),
        ("manifest-stream-feature-path.json", {
            let text = manifest_text().replace("\"grey\"", "\"../grey\"");
            changed_text(&text, "\"planes\":1", "\"required_features\":[\"gpu\"],\"planes\":1")
        }),
        ("metadata-no-json.clipshard", changed(|p| p.metadata = b"\0\0\0\0".to_vec())),
        ("metadata-nested.clipshard", metadata(&format!("\"build\":{}", nested(20_001)), CLIP)),
        ("metadata-attributes-array.clipshard", dataset_metadata("\"attributes\":[1]")),
        ("metadata-attributes-nested.clipshard", clip_metadata(&format!("\"attributes\":{}", nested(100_001)))),
        ("metadata-label.clipshard", clip_metadata("\"label\":1")),
        ("metadata-label-null.clipshard", clip_metadata("\"label\":null")),
        ("metadata-subsets.clipshard", metadata(BUILD, "\"subsets\":[\"test\",\"test\"]")),
        ("metadata-subset-of-300-bytes.clipshard", metadata(BUILD, &format!("\"subsets\":[\"{}\"]", "x".repeat(300)))),
        ("metadata-group.clipshard", dataset_metadata("\"groups\":{\"c\":\"7\"}")),
    ])
}

pub fn unusual() -> Files {
    let digits = "7".repeat(500);
    let attributes = format!(
        "\"attributes\":{{\"a\":-{digits},\"b\":{digits}e{digits},\"twice\":1,\"twice\":[],\"c\":{},\"\":\"\\u0000\"}}",
        nested(63)
    );
    let feature = concat!(
        "\"name\":\"video\",\"required_features\":[\"waves\"],\"planes\":{\"x\":-1},\"shards\":null},\n  ",
        "{\"name\":\"grey\""
    );
    let unlabelled = manifest_text().replace("\"label\":0,", "");
    Files::from([
        ("manifest-minor-version.json", manifest("\"clipshard\":\"1.0\"", "\"clipshard\":\"1.7\"")),
        ("manifest-unlabelled.json", changed_text(&unlabelled, "\"classes\":[\"Wave\"]", "\"classes\":[]")),
        ("manifest-subset-of-255-bytes.json", with_subset(&"x".repeat(255))),
        ("manifest-attributes.json", with_clip(&attributes)),
        ("manifest-attributes-64-deep.json", manifest(BUILD, &format!("{BUILD},\"attributes\":{}", nested(64)))),
        (
            "manifest-array.json",
            with_form("\"planes\":255,\"channels\":0,\"samples\":\"f16\",\"array\":[134217728,1,1]"),
        ),
        ("manifest-array-of-numbers.json", with_form("\"planes\":1,\"channels\":0,\"array\":[]")),
        ("manifest-stream-feature.json", manifest("\"name\":\"grey\"", feature)),
        ("manifest-unknown-keys.json", with_clip("\"labels\":null,\"label \":[],\"x\":{\"id\":\"a\",\"id\":1}")),
        ("manifest-without-defaults.json", manifest("\"required_features\":[],", "")),
        ("metadata-attributes.clipshard", metadata(BUILD, &format!("{CLIP},\"label\":0,\"x\":1,{attributes}"))),
        (
            "metadata-classes-twice.clipshard",
            changed(|p| {
                let text = String::from_utf8(p.metadata.clone()).unwrap();
                p.metadata = text.replacen("\"classes\":[]", "\"classes\":[\"Wave\",\"Wave\"]", 1).into_bytes();
            }),
        ),
    ])
}
