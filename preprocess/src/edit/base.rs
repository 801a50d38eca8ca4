//! How a dataset was packed, so that more clips can be packed alike.

use std::collections::BTreeMap;
use std::path::Path;

use clipshard::{Codec, Filter, Manifest};
use serde_json::Value;

use super::copy::SHARD_BYTES;
use super::stream_description::{is_recoded, options, short_side};
use crate::error::{Error, Problem, Result, Setting};
use crate::pack::difference::build_difference;
use crate::source::{Input, Location};
use crate::stored::{Check, Geometry, StreamOptions};
use crate::stream::StreamKind;
use crate::video::{FlowMethod, VideoOptions};

/// Members of `build` that name a program or a version, not an option.
const VERSIONS: [&str; 3] = ["packer", "layout", "video_decoder"];
/// Members of a stream's description that name a program or a version.
const STREAM_VERSIONS: [&str; 3] = ["encoder", "jpeg_decoder", "flow"];

/// The options that a dataset was packed with.
#[derive(Debug)]
pub(super) struct Base<'a> {
    dir: &'a Path,
    build: &'a BTreeMap<String, Value>,
    /// The streams, RGB before flow.
    pub streams: Vec<(StreamKind, StreamOptions)>,
    pub check: Check,
    pub shard_bytes: u64,
}

impl<'a> Base<'a> {
    /// Reads the options from the manifest of the dataset in `dir`.
    pub fn read(dir: &'a Path, manifest: &'a Manifest) -> Result<Self> {
        let shown = dir.display();
        let mut streams = Vec::new();
        for stream in &manifest.streams {
            let name = &stream.spec.name;
            let fault = |what: String| Error::input(format!("{shown}: {what}"));
            let kinds = [StreamKind::Rgb, StreamKind::Flow];
            let Some(kind) = kinds.into_iter().find(|kind| kind.spec() == stream.spec) else {
                return Err(fault(format!(
                    "clips cannot be added, because stream {name} is neither rgb nor flow from frames or videos"
                )));
            };
            let Some(described) = manifest.build.get(name) else {
                return Err(fault(format!(
                    "clips cannot be added, because its manifest does not say how stream {name} was packed"
                )));
            };
            if is_recoded(described) {
                return Err(fault(format!(
                    "clips cannot be added, because stream {name} was recoded from other pixels; add them to the \
                     dataset that it was made from, and recode that"
                )));
            }
            let Some(options) = options(described) else {
                return Err(fault(format!(
                    "clips cannot be added, because this version does not know how stream {name} was packed: \
                     {described}"
                )));
            };
            streams.push((kind, options));
        }
        if streams.is_empty() {
            return Err(Error::input(format!("{shown} has no streams, so no clips can be added")));
        }
        streams.sort_by_key(|(kind, _)| *kind);
        let text = |key: &str| manifest.build.get(key).and_then(Value::as_str);
        let check = if text("check") == Some("decode") { Check::Decode } else { Check::Header };
        let shard_bytes = manifest.build.get("shard_bytes").and_then(Value::as_u64).unwrap_or(SHARD_BYTES);
        Ok(Self { dir, build: &manifest.build, streams, check, shard_bytes })
    }

    fn is_of_videos(&self) -> bool {
        self.build.get("layout").is_some_and(|name| name == "videos")
    }

    fn kinds(&self) -> Vec<StreamKind> {
        self.streams.iter().map(|(kind, _)| *kind).collect()
    }

    /// Returns how a stream is stored. For a stream that the dataset lacks, the options mean
    /// nothing.
    pub fn stored(&self, kind: StreamKind) -> StreamOptions {
        let own = self.streams.iter().find(|(stream, _)| *stream == kind);
        let unused = StreamOptions { codec: Codec::Raw, filter: Filter::None, level: 0, geometry: Geometry::Source };
        own.map_or(unused, |(_, options)| *options)
    }

    /// Returns how videos become images, if the dataset was packed from videos.
    pub fn video(&self, gpu: Option<usize>) -> Result<VideoOptions> {
        let mut options = VideoOptions { flow: None, gpu, ..VideoOptions::default() };
        if !self.is_of_videos() {
            return Ok(options);
        }
        for (kind, _) in &self.streams {
            let Some(described) = self.build.get(kind.name()) else { continue };
            options.short_side = short_side(described).unwrap_or(options.short_side);
            let impossible = |what: &str, value: &dyn std::fmt::Display| {
                Error::input(format!(
                    "{}: clips cannot be added, because stream {} in its manifest has an impossible {what} ({value})",
                    self.dir.display(),
                    kind.name()
                ))
            };
            if options.short_side == 0 {
                return Err(impossible("shorter side", &0));
            }
            if let Some(quality) = described.get("quality") {
                let number = quality.as_u64().and_then(|quality| u8::try_from(quality).ok());
                let possible = number.filter(|quality| (1..=100).contains(quality));
                options.quality = possible.ok_or_else(|| impossible("JPEG quality", quality))?;
            }
            if *kind == StreamKind::Flow {
                let name = described.get("method").and_then(Value::as_str).unwrap_or_default();
                let methods = [FlowMethod::TvL1, FlowMethod::Dis];
                options.flow = methods.into_iter().find(|method| method.name() == name);
                if options.flow.is_none() {
                    return Err(Error::input(format!(
                        "{}: clips cannot be added, because this version does not know the flow method `{name}`",
                        self.dir.display()
                    )));
                }
            }
        }
        Ok(options)
    }

    /// Returns the part of a location that holds the streams of the dataset.
    pub fn located(&self, location: &Location) -> Result<Location> {
        let shown = self.dir.display();
        let (is_of_videos, is_videos) = (self.is_of_videos(), matches!(location, Location::Videos(_)));
        let names = |videos: bool| if videos { "videos" } else { "a frame tree" };
        if is_of_videos != is_videos {
            return Err(Error::input(format!(
                "{} holds {}, but {shown} was packed from {}; add clips of the same kind",
                location.shown(),
                names(is_videos),
                names(is_of_videos)
            )));
        }
        let kinds = self.kinds();
        let keep = |kind: StreamKind, root: &Option<_>| root.clone().filter(|_| kinds.contains(&kind));
        Ok(match location {
            Location::Tree(root) if kinds.len() == 1 => {
                let root = Some(root.clone());
                Location::Apart { rgb: keep(StreamKind::Rgb, &root), flow: keep(StreamKind::Flow, &root) }
            }
            Location::Apart { rgb, flow } => {
                let (rgb, flow) = (keep(StreamKind::Rgb, rgb), keep(StreamKind::Flow, flow));
                self.check_streams(
                    &location.shown(),
                    &[(StreamKind::Rgb, rgb.is_some()), (StreamKind::Flow, flow.is_some())],
                )?;
                Location::Apart { rgb, flow }
            }
            other => other.clone(),
        })
    }

    /// Checks that a source has all streams of the dataset.
    pub fn check_source(&self, source: &Input) -> Result<()> {
        let there = source.streams();
        let has = |kind| (kind, there.contains(&kind));
        self.check_streams(source.shown(), &[has(StreamKind::Rgb), has(StreamKind::Flow)])
    }

    fn check_streams(&self, source: &str, there: &[(StreamKind, bool)]) -> Result<()> {
        let missing = self.kinds().into_iter().find(|kind| there.contains(&(*kind, false)));
        missing.map_or(Ok(()), |kind| {
            let name = kind.name();
            Err(Error::input(format!(
                "{source} has no {name}, but {} has the stream {name}; each new clip needs all streams of the dataset",
                self.dir.display()
            )))
        })
    }

    /// Compares the options and versions of new clips with those of the dataset. Returns the other
    /// versions if `accept` allows them.
    ///
    /// # Errors
    /// Returns [`Error::Input`] if something differs that is not allowed.
    pub fn compare(&self, made: BTreeMap<String, Value>, accept: bool) -> Result<BTreeMap<String, Value>> {
        let known =
            |key: &str| made.contains_key(key) || VERSIONS.contains(&key) || ["check", "shard_bytes"].contains(&key);
        let mut was = self.build.clone();
        was.retain(|key, _| known(key));
        let Some(difference) = build_difference(&was, &made) else { return Ok(BTreeMap::new()) };
        let mut others = BTreeMap::new();
        let alike = align(&was, made, &mut others);
        let refused = |difference: Problem| {
            Problem::from(format!("cannot add clips to {}: ", self.dir.display())).with(difference)
        };
        match build_difference(&was, &alike) {
            Some(difference) => Err(Error::Input(
                refused(difference.named(&plain_name).into())
                    .then("; all clips of a dataset must be packed with the same options"),
            )),
            None if accept => Ok(others),
            None => Err(Error::Input(
                refused(difference)
                    .then("; to add them nevertheless, and to keep the versions in their attributes, use ")
                    .name(Setting::OtherVersions),
            )),
        }
    }
}

/// Returns plain words for an option of the dataset. Clips are added without such options.
fn plain_name(setting: Setting) -> String {
    let name = match setting {
        Setting::Check => "the check of source files",
        Setting::FlowCodec => "the codec of flow",
        Setting::FlowMethod => "the method of flow",
        Setting::FlowSize => "the size of flow",
        Setting::Level => "the compression level",
        Setting::RgbCodec => "the codec of RGB",
        Setting::RgbQuality => "the JPEG quality of RGB",
        Setting::ShardSize => "the size of a shard",
        Setting::ShortSide => "the size of RGB frames",
        other => return other.to_string(),
    };
    name.to_owned()
}

/// Replaces versions in `made` by those of the dataset, and collects the replaced ones.
fn align(
    was: &BTreeMap<String, Value>,
    mut made: BTreeMap<String, Value>,
    others: &mut BTreeMap<String, Value>,
) -> BTreeMap<String, Value> {
    for (key, value) in &mut made {
        let Some(earlier) = was.get(key) else { continue };
        if VERSIONS.contains(&key.as_str()) && value != earlier {
            others.insert(key.clone(), std::mem::replace(value, earlier.clone()));
            continue;
        }
        let (Some(members), Some(earlier)) = (value.as_object_mut(), earlier.as_object()) else { continue };
        for (member, value) in members {
            let earlier = earlier.get(member).filter(|earlier| *earlier != value);
            if let Some(earlier) = earlier.filter(|_| STREAM_VERSIONS.contains(&member.as_str())) {
                others.insert(format!("{key}.{member}"), std::mem::replace(value, earlier.clone()));
            }
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest(build: Value) -> Manifest {
        let mut manifest = Manifest::new("x", vec![], vec![]);
        manifest.build = serde_json::from_value(build).unwrap();
        manifest.streams = vec![clipshard::Stream::new(StreamKind::Rgb.spec(), vec![])];
        manifest
    }

    #[test]
    fn other_options_are_refused_and_other_versions_on_demand_accepted() {
        let jpeg = json!({"codec": "jpeg", "size": "short side 256", "quality": 90, "encoder": "e 1"});
        let there = manifest(json!({"packer": "ucfpack 0.1.0", "layout": "videos", "rgb": jpeg, "flow": 1, "x": 2}));
        let base = Base::read(Path::new("d"), &there).unwrap();
        let made = |build: Value| serde_json::from_value::<BTreeMap<String, Value>>(build).unwrap();
        let same = made(json!({"packer": "ucfpack 0.1.0", "layout": "videos", "rgb": jpeg}));
        assert!(base.compare(same.clone(), false).unwrap().is_empty(), "streams that are not there do not matter");
        let newer = json!({"codec": "jpeg", "size": "short side 256", "quality": 90, "encoder": "e 2"});
        let newer = made(json!({"packer": "ucfpack 9", "layout": "videos", "rgb": newer}));
        let error = base.compare(newer.clone(), false).unwrap_err().to_string();
        assert!(error.starts_with("cannot add clips to d: the version of ucfpack is ucfpack 9, but was"), "{error}");
        assert!(error.ends_with("use `other_versions`"), "{error}");
        let others = base.compare(newer, true).unwrap();
        assert_eq!(json!(others), json!({"packer": "ucfpack 9", "rgb.encoder": "e 2"}));
        let mut other = same;
        other.get_mut("rgb").unwrap()["quality"] = json!(80);
        let error = base.compare(other, true).unwrap_err().to_string();
        assert!(error.contains("to d: the JPEG quality of RGB is 80, but was 90; all clips of a dataset"), "{error}");
    }

    #[test]
    fn impossible_numbers_are_refused() {
        let video = |change: fn(&mut Value)| {
            let mut jpeg = json!({"codec": "jpeg", "size": "source", "quality": 90, "frames": "short side 256, x"});
            change(&mut jpeg);
            let there = manifest(json!({"layout": "videos", "rgb": jpeg}));
            Base::read(Path::new("d"), &there)?.video(None)
        };
        assert_eq!(video(|_| ()).unwrap().quality, 90);
        for (value, shown) in [(json!(0), "0"), (json!(255), "255"), (json!(300), "300"), (json!("x"), "\"x\"")] {
            let jpeg = json!({"codec": "jpeg", "size": "source", "quality": value});
            let there = manifest(json!({"layout": "videos", "rgb": jpeg}));
            let error = Base::read(Path::new("d"), &there).unwrap().video(None).unwrap_err().to_string();
            let wanted = format!("stream rgb in its manifest has an impossible JPEG quality ({shown})");
            assert!(error.ends_with(&wanted), "{error}");
        }
        let error = video(|jpeg| jpeg["frames"] = json!("short side 0, x")).unwrap_err().to_string();
        assert!(error.ends_with("stream rgb in its manifest has an impossible shorter side (0)"), "{error}");
        for size in ["0x0", "short side 0"] {
            let there = manifest(json!({"rgb": {"codec": "zstd", "size": size, "level": 9, "filter": "up"}}));
            let error = Base::read(Path::new("d"), &there).unwrap_err().to_string();
            assert!(error.contains("does not know how stream rgb was packed") && error.contains(size), "{error}");
        }
    }

    #[test]
    fn datasets_of_unknown_origin_are_refused() {
        let refused = |manifest: &Manifest| Base::read(Path::new("d"), manifest).unwrap_err().to_string();
        assert!(refused(&manifest(json!({}))).contains("does not say how stream rgb was packed"));
        assert!(
            refused(&manifest(json!({"rgb": {"codec": "x"}}))).contains("this version does not know how stream rgb")
        );
        let recoded = json!({"rgb": {"codec": "raw", "size": "source", "recoded_from": {}}});
        assert!(refused(&manifest(recoded)).contains("stream rgb was recoded from other pixels"));
        let mut depth = manifest(json!({}));
        depth.streams[0].spec.name = "depth".into();
        assert!(refused(&depth).contains("stream depth is neither rgb nor flow"));
        depth.streams.clear();
        assert!(refused(&depth).contains("has no streams"));
    }
}
