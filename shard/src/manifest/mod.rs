//! `manifest.json`: the content of a dataset as JSON, with a checksum.

mod parts;
mod stream;
mod strict;
mod subset;

pub use parts::{Clip, ShardInfo};
pub use stream::{Stream, StreamSpec};
pub(crate) use strict::{present, unique_names};
pub use subset::Subset;

use crate::attributes::Attributes;
use crate::error::{Error, Result};
use crate::layout::{MANIFEST_FILE, VERSION_MAJOR, VERSION_MINOR};
use crate::names::is_plain;
use crate::regular::read_regular;
#[cfg(feature = "write")]
use crate::storage::{Disk, Storage, write_whole};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;

/// Largest size of a manifest. The manifest of UCF101 has 2 MB.
pub(crate) const MAX_MANIFEST_BYTES: u64 = 1 << 30;
const CHECKSUM_KEY: &str = "\"checksum\":\"crc32:";

/// The content of a dataset: classes, splits, streams, shards and clips.
///
/// # Example
///
/// ```
/// use clipshard::Manifest;
///
/// let manifest = Manifest::read("tests/golden")?;
/// assert_eq!(manifest.classes, ["Wave", "Jump"]);
/// let flow = manifest.stream("flow").unwrap();
/// assert_eq!((flow.spec.planes, flow.shards.len()), (2, 2));
/// # Ok::<(), clipshard::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// Name of the dataset, for people.
    pub dataset: String,
    /// Names of the classes. A label is an index into this list.
    pub classes: Vec<String>,
    /// Names of the splits, for example `1`, `2`, `3`.
    pub splits: Vec<String>,
    /// Everything that decided the content when it was packed: options, versions of encoders and
    /// decoders.
    pub build: BTreeMap<String, Value>,
    /// The streams.
    pub streams: Vec<Stream>,
    /// The clips, in the order that numbers them.
    pub clips: Vec<Clip>,
    /// Name of the group of a clip, by clip id. The clips of a group have, for example, the same
    /// actor, and belong on the same side of a split.
    #[serde(default, deserialize_with = "unique_names")]
    pub groups: BTreeMap<String, String>,
    /// Anything else that is worth knowing about the dataset, such as a licence or a citation.
    #[serde(default)]
    pub attributes: Attributes,
}

/// The keys of a manifest that decide whether the other keys can be read.
#[derive(Deserialize)]
struct Envelope {
    clipshard: String,
    #[serde(default)]
    required_features: Vec<String>,
}

impl Manifest {
    /// Creates the manifest of a dataset without streams and clips.
    pub fn new(dataset: impl Into<String>, classes: Vec<String>, splits: Vec<String>) -> Self {
        Self { dataset: dataset.into(), classes, splits, ..Self::default() }
    }

    /// Reads and checks the manifest of the dataset in `dir`.
    pub fn read(dir: impl AsRef<Path>) -> Result<Self> {
        Self::read_in(dir.as_ref())
    }

    fn read_in(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST_FILE);
        let bytes = match read_regular(&path, MAX_MANIFEST_BYTES) {
            Ok(bytes) => bytes,
            Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                return Err(Error::NoManifest { dir: dir.to_owned() });
            }
            Err(e) => return Err(Error::io(&path, "read it")(e)),
        };
        Self::parse(&path, &bytes)
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let fault = |fault: String| Error::Manifest { path: path.to_owned(), fault };
        let json = |e: serde_json::Error| fault(format!("not a manifest: {e}"));
        let envelope: Envelope = serde_json::from_slice(bytes).map_err(json)?;
        let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let (major, minor) = envelope.clipshard.split_once('.').unwrap_or_default();
        match (number(major), number(minor)) {
            (Some(VERSION_MAJOR), Some(_)) => {}
            (Some(major), Some(minor)) => return Err(Error::Version { path: path.to_owned(), major, minor }),
            _ => return Err(fault(format!("format version {:?} is not MAJOR.MINOR", envelope.clipshard))),
        }
        if !envelope.required_features.is_empty() {
            return Err(Error::Feature { path: path.to_owned(), unknown: envelope.required_features.join(", ") });
        }
        let (stated, found) =
            checksums(bytes).ok_or_else(|| fault("it has no \"checksum\":\"crc32:xxxxxxxx\"".to_owned()))?;
        if stated != found {
            return Err(Error::ManifestChecksum { path: path.to_owned(), stated, found });
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(json)?;
        manifest.check().map_err(fault)?;
        Ok(manifest)
    }

    /// Checks the rules between the parts of a manifest.
    pub(crate) fn check(&self) -> Result<(), String> {
        let (mut names, mut files) = (HashSet::new(), HashSet::new());
        for stream in &self.streams {
            if stream.unknown_features().is_empty() {
                stream.spec.check()?;
            } else {
                stream.spec.check_name()?;
            }
            if !names.insert(&stream.spec.name) {
                return Err(format!("stream {:?} is listed twice", stream.spec.name));
            }
            for shard in &stream.shards {
                if !is_plain(&shard.file) {
                    return Err(format!("shard {:?} is not a plain file name", shard.file));
                }
                if !files.insert(&shard.file) {
                    return Err(format!("shard {:?} is listed twice", shard.file));
                }
            }
        }
        let mut ids = HashSet::with_capacity(self.clips.len());
        for clip in &self.clips {
            if clip.id.is_empty() || clip.id.len() > u16::MAX.into() || !ids.insert(clip.id.as_str()) {
                return Err(format!("clip id {:?} is empty, too long or listed twice", clip.id));
            }
            if let Some(label) = clip.label.filter(|&label| label as usize >= self.classes.len()) {
                let (id, classes) = (&clip.id, self.classes.len());
                return Err(format!(
                    "clip {id} has label {label}, but labels must be below {classes}, the number of classes"
                ));
            }
            if clip.subsets.len() != self.splits.len() {
                let (n, m) = (clip.subsets.len(), self.splits.len());
                return Err(format!("clip {} has {n} subsets for {m} splits", clip.id));
            }
            for subset in &clip.subsets {
                subset.check().map_err(|fault| format!("clip {}: {fault}", clip.id))?;
            }
            if let Some(name) = clip.frames.keys().find(|name| self.stream(name).is_none()) {
                return Err(format!("clip {} has frames in stream {name:?}, which is not listed", clip.id));
            }
        }
        check_groups(&self.groups, |id| ids.contains(id))
    }

    /// Returns the stream of this name.
    pub fn stream(&self, name: &str) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.spec.name == name)
    }

    /// Formats the manifest as JSON with its checksum, one clip per line.
    pub fn to_json(&self) -> String {
        let json = |value: &dyn erased::Json| value.json();
        let mut text = format!(
            "{{\"clipshard\":\"{}.{}\",\n {CHECKSUM_KEY}00000000\",\n \"required_features\":[],\n \"dataset\":{},\n \
             \"classes\":{},\n \"splits\":{},\n \"build\":{},\n",
            VERSION_MAJOR,
            VERSION_MINOR,
            json(&self.dataset),
            json(&self.classes),
            json(&self.splits),
            json(&self.build),
        );
        let list = |items: Vec<String>| items.join(",\n  ");
        let streams = list(self.streams.iter().map(|s| json(s)).collect());
        let clips = list(self.clips.iter().map(|c| json(c)).collect());
        if !self.groups.is_empty() {
            let _ = writeln!(text, " \"groups\":{},", json(&self.groups));
        }
        if !self.attributes.is_empty() {
            let _ = writeln!(text, " \"attributes\":{},", json(&self.attributes));
        }
        let _ = writeln!(text, " \"streams\":[\n  {streams}],\n \"clips\":[\n  {clips}]}}");
        let crc32 = crc32fast::hash(text.as_bytes());
        text.replacen(&format!("{CHECKSUM_KEY}00000000"), &format!("{CHECKSUM_KEY}{crc32:08x}"), 1)
    }

    /// Writes `DIR/manifest.json` completely or not at all.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Manifest`] if the parts contradict each other, or if two classes or two
    /// splits have the same name.
    #[cfg(feature = "write")]
    pub fn write(&self, dir: impl AsRef<Path>) -> Result<()> {
        self.write_in(&Disk, dir.as_ref())
    }

    /// Writes the manifest to any storage.
    #[doc(hidden)]
    #[cfg(feature = "write")]
    pub fn write_in(&self, storage: &dyn Storage, dir: &Path) -> Result<()> {
        let path = dir.join(MANIFEST_FILE);
        self.check()
            .and_then(|()| check_names(&self.classes, &self.splits))
            .map_err(|fault| Error::Manifest { path: path.clone(), fault })?;
        if let Some(stream) = self.streams.iter().find(|stream| !stream.unknown_features().is_empty()) {
            // Only the name of the stream was read, so its shards would be lost.
            let (stream, unknown) = (stream.spec.name.clone(), stream.unknown_features().join(", "));
            return Err(Error::StreamFeature { path, stream, unknown });
        }
        let json = self.to_json();
        if json.len() as u64 > MAX_MANIFEST_BYTES {
            let fault = format!("it would have {} bytes, but readers accept {MAX_MANIFEST_BYTES}", json.len());
            return Err(Error::Manifest { path, fault });
        }
        write_whole(storage, &path, ".manifest-", json.as_bytes())
    }
}

/// Checks that the names of classes and of splits are unique. Readers accept other manifests, but
/// this crate does not write them.
#[cfg(feature = "write")]
pub(crate) fn check_names(classes: &[String], splits: &[String]) -> Result<(), String> {
    for (what, names) in [("class", classes), ("split", splits)] {
        let mut seen = HashSet::new();
        if let Some(name) = names.iter().find(|name| !seen.insert(*name)) {
            return Err(format!("{what} {name:?} is listed twice"));
        }
    }
    Ok(())
}

/// Checks that groups belong to existing clips and have names of 1 to 65535 bytes.
pub(crate) fn check_groups(groups: &BTreeMap<String, String>, is_clip: impl Fn(&str) -> bool) -> Result<(), String> {
    for (id, group) in groups {
        if !is_clip(id) {
            return Err(format!("group {group:?} belongs to clip {id:?}, which does not exist"));
        }
        if group.is_empty() || group.len() > u16::MAX.into() {
            return Err(format!("the group of clip {id} has {} bytes, not 1 to 65535", group.len()));
        }
    }
    Ok(())
}

/// Returns the stated checksum and the computed one, or `None` if none is stated. The computed
/// checksum is that of the bytes with zeros for the stated digits.
fn checksums(bytes: &[u8]) -> Option<(u32, u32)> {
    let key = CHECKSUM_KEY.as_bytes();
    let head = &bytes[..bytes.len().min(4096)];
    let at = head.windows(key.len()).position(|w| w == key)? + key.len();
    let digits = std::str::from_utf8(bytes.get(at..at + 8)?).ok()?;
    if !digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) || bytes.get(at + 8) != Some(&b'"') {
        return None;
    }
    let stated = u32::from_str_radix(digits, 16).ok()?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..at]);
    hasher.update(b"00000000");
    hasher.update(&bytes[at + 8..]);
    Some((stated, hasher.finalize()))
}

/// Serialisation of plain data to a string, which cannot fail.
mod erased {
    use serde::Serialize;

    pub(super) trait Json {
        fn json(&self) -> String;
    }

    impl<T: Serialize> Json for T {
        fn json(&self) -> String {
            serde_json::to_string(self).expect("plain data serialises")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn example() -> Manifest {
        let clip =
            |id: &str, label: u32, subsets: &[Subset]| Clip::new(id, label, subsets.to_vec()).with_frames("rgb", 12);
        Manifest {
            dataset: "example".into(),
            classes: vec!["Wave".into(), "Jump".into()],
            splits: vec!["1".into(), "2".into()],
            build: BTreeMap::from([("rgb-codec".into(), "jpeg".into())]),
            streams: vec![Stream::new(
                StreamSpec::rgb(),
                vec![ShardInfo {
                    file: "rgb-00000.clipshard".into(),
                    bytes: 4096,
                    clips: 2,
                    records: 24,
                    trailer_crc32: 7,
                }],
            )],
            clips: vec![
                clip("v_Wave_g01_c01", 0, &[Subset::Train, Subset::Test]),
                clip("v_Jump_g02_c01", 1, &[Subset::Unused, Subset::Train]),
            ],
            groups: BTreeMap::new(),
            attributes: Attributes::new(),
        }
    }

    #[cfg(feature = "write")]
    #[test]
    fn a_manifest_comes_back_as_written() {
        let dir = tempfile::tempdir().unwrap();
        example().write(dir.path()).unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), example());
    }

    #[test]
    fn groups_come_back_and_are_of_listed_clips() {
        assert!(!example().to_json().contains("groups"));
        let group_of = |id: &str, group: &str| Manifest {
            groups: BTreeMap::from([(id.to_owned(), group.to_owned())]),
            ..example()
        };
        let parse = |manifest: &Manifest| Manifest::parse(Path::new("m"), manifest.to_json().as_bytes());
        for group in ["7", "Jürgen, \"2nd\"", &"x".repeat(65535)] {
            let manifest = group_of("v_Jump_g02_c01", group);
            assert_eq!(parse(&manifest).unwrap(), manifest);
        }
        let broken = |id, group| parse(&group_of(id, group)).unwrap_err().to_string();
        assert!(broken("v_Other_g01_c01", "7").contains("clip \"v_Other_g01_c01\", which does not exist"));
        assert!(broken("v_Jump_g02_c01", "").contains("has 0 bytes, not 1 to 65535"));
        assert!(broken("v_Jump_g02_c01", &"x".repeat(65536)).contains("has 65536 bytes"));
    }

    #[test]
    fn attributes_labels_and_subsets_come_back() {
        let text = example().to_json();
        assert!(!text.contains("attributes"));
        let mut manifest = example();
        manifest.attributes = Attributes::from_json(r#"{"licence":"CC0","year":1.50}"#).unwrap();
        manifest.clips[0].attributes =
            Attributes::from_json(r#"{"fps":29.970,"labels":[0,1],"x":{"y":null}}"#).unwrap();
        manifest.clips[1].label = None;
        manifest.clips[1].subsets = vec![Subset::Val, Subset::from("test-hard")];
        let text = manifest.to_json();
        assert!(text.contains(r#""attributes":{"fps":29.970,"labels":[0,1],"x":{"y":null}}"#), "{text}");
        let back = Manifest::parse(Path::new("m"), text.as_bytes()).unwrap();
        assert_eq!(back, manifest);
        assert_eq!(back.to_json(), text);
        manifest.clips[1].subsets[0] = Subset::from("");
        let error = Manifest::parse(Path::new("m"), manifest.to_json().as_bytes()).unwrap_err().to_string();
        assert!(error.contains("subset has 0 bytes, not 1 to 255"), "{error}");
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let text = example().to_json();
        let edited = text.replace("\"Jump\"", "\"Dive\"");
        let error = Manifest::parse(Path::new("m"), edited.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::ManifestChecksum { .. }), "{error}");
    }

    #[test]
    fn each_rule_of_a_manifest_is_enforced() {
        let broken = |change: fn(&mut Manifest)| {
            let mut manifest = example();
            change(&mut manifest);
            Manifest::parse(Path::new("m"), manifest.to_json().as_bytes()).unwrap_err().to_string()
        };
        assert!(broken(|m| m.clips[1].id = m.clips[0].id.clone()).contains("twice"));
        assert!(broken(|m| m.clips[0].label = Some(2)).contains("label 2, but labels must be below 2"));
        assert!(broken(|m| m.clips[0].subsets.clear()).contains("0 subsets for 2 splits"));
        assert!(broken(|m| m.streams[0].shards[0].file = "../x".into()).contains("plain file name"));
        assert!(broken(|m| m.streams[0].spec.name = "rgb colour".into()).contains("stream name"));
        assert!(broken(|m| m.streams[0].spec.planes = 0).contains("0 planes"));
        assert!(broken(|m| m.streams[0].spec.name = "depth".into()).contains("not listed"));
    }

    #[cfg(feature = "write")]
    #[test]
    fn no_class_and_no_split_is_written_twice() {
        let refused = |change: fn(&mut Manifest)| {
            let dir = tempfile::tempdir().unwrap();
            let mut manifest = example();
            change(&mut manifest);
            manifest.write(dir.path()).unwrap_err().to_string()
        };
        assert!(refused(|m| m.classes[1] = "Wave".into()).contains("class \"Wave\" is listed twice"));
        assert!(refused(|m| m.splits[1] = "1".into()).contains("split \"1\" is listed twice"));
    }

    #[test]
    fn later_versions_and_unknown_features_are_refused() {
        let parse = |text: String| Manifest::parse(Path::new("m"), text.as_bytes()).unwrap_err();
        let text = example().to_json();
        assert!(matches!(parse(text.replacen("1.0", "2.0", 1)), Error::Version { major: 2, .. }));
        assert!(matches!(parse(text.replacen("features\":[]", "features\":[\"x\"]", 1)), Error::Feature { .. }));
        assert!(matches!(parse("{}".into()), Error::Manifest { .. }));
    }
}
