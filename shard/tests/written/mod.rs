//! Synthetic clips for tests of `DatasetWriter`, and the check that a dataset holds them.
#![allow(dead_code, reason = "not every test uses everything")]

use clipshard::order::{Draws, bits};
use clipshard::{
    Attributes, ClipRecords, Dataset, DatasetWriter, Decoder, EncodeOptions, ImageSize, Images, Manifest, NewClip,
    SampleType, Shape, StreamSpec, Subset, VerifyDepth, verify,
};
use std::collections::BTreeMap;
use std::path::Path;

pub const STREAMS: [&str; 4] = ["rgb", "depth", "flow", "poses"];

pub fn spec(stream: &str) -> StreamSpec {
    match stream {
        "rgb" => StreamSpec::rgb(),
        "flow" => StreamSpec::flow(),
        "depth" => StreamSpec::new("depth", 1, 1).with_samples(SampleType::U16),
        "poses" => StreamSpec::arrays("poses", SampleType::F32, &[3]),
        other => panic!("{other}"),
    }
}

pub fn options(stream: &str) -> EncodeOptions {
    match stream {
        "flow" => EncodeOptions::lz4(3),
        "rgb" => EncodeOptions::raw(),
        other => EncodeOptions::zstd(1).for_samples(spec(other).samples),
    }
}

pub fn add_streams(writer: &mut DatasetWriter) {
    for stream in STREAMS {
        writer.add_stream(spec(stream), options(stream)).unwrap();
    }
}

/// A clip, and the number that its samples depend on. `frames` has the number of frames by stream.
#[derive(Clone, Debug)]
pub struct Source {
    pub clip: NewClip,
    pub seed: u64,
    pub frames: BTreeMap<&'static str, usize>,
}

impl Source {
    /// Creates a clip with two frames in some streams.
    pub fn new(id: &str, label: impl Into<Option<u32>>, streams: &[&'static str]) -> Self {
        let seed = id.bytes().fold(7, |seed, byte| bits(seed, byte.into(), 0, 0));
        Self {
            clip: NewClip::new(id, label, vec![Subset::Train]),
            seed,
            frames: streams.iter().map(|&stream| (stream, 2)).collect(),
        }
    }

    /// Makes a random clip for a dataset with these numbers of classes and splits.
    pub fn random(id: String, classes: u64, splits: usize, draws: &mut Draws) -> Self {
        let label = (classes > 0 && draws.below(4) > 0).then(|| draws.below(classes) as u32);
        let names = ["train", "val", "test", "unused", "test hard", "über"];
        let subsets = (0..splits).map(|_| Subset::from(names[draws.below(6) as usize])).collect();
        let mut clip = NewClip::new(id, label, subsets);
        if draws.coin() {
            clip = clip.with_group(["g01", "\"", "Jürgen\n2"][draws.below(3) as usize]);
        }
        if draws.coin() {
            let text = ["{\"fps\":29.970}", "{ \"b\" : [1, {}] , \"a\":null}", "{\"n\":12345678901234567890123}"];
            clip = clip.with_attributes(Attributes::from_json(text[draws.below(3) as usize]).unwrap());
        }
        let mut frames = BTreeMap::new();
        while frames.is_empty() {
            for stream in STREAMS {
                if draws.below(3) > 0 {
                    frames.insert(stream, draws.between(1, 3) as usize);
                }
            }
        }
        Self { clip, seed: draws.bits(), frames }
    }

    /// Returns the samples of all records of a stream.
    pub fn records(&self, stream: &str) -> Vec<(Shape, Vec<u8>)> {
        let (spec, number) = (spec(stream), STREAMS.iter().position(|name| *name == stream).unwrap() as u64);
        let record = |record: u64| {
            let mut draws = Draws::new(self.seed, number, record);
            let shape = if let Some(inner) = &spec.array {
                Shape::array(&[draws.below(3) as u32, inner[0]], spec.samples).unwrap()
            } else {
                let (width, height) = (draws.between(1, 20) as u16, draws.between(1, 20) as u16);
                Shape::image(ImageSize { width, height, channels: spec.channels }, spec.samples)
            };
            (shape, (0..shape.bytes()).map(|_| draws.below(7) as u8).collect())
        };
        (0..self.frames[stream] as u64 * u64::from(spec.planes)).map(record).collect()
    }

    pub fn add_to(&self, writer: &mut DatasetWriter) -> clipshard::Result<()> {
        let records: Vec<_> = self.frames.keys().map(|&stream| (stream, self.records(stream))).collect();
        let images: Vec<_> = records.iter().map(|(stream, records)| (*stream, images(records))).collect();
        writer.add_images(&self.clip, &images)
    }
}

pub fn images(records: &[(Shape, Vec<u8>)]) -> Images<'_> {
    records.iter().fold(Images::default(), |images, (shape, pixels)| images.with(*shape, pixels))
}

fn assert_records(records: ClipRecords<'_>, source: &Source, stream: &str, decoder: &mut Decoder) {
    let expected = source.records(stream);
    assert_eq!(records.frame_count() * records.planes(), expected.len());
    for (number, (shape, pixels)) in expected.iter().enumerate() {
        let (frame, plane) = (number / records.planes(), number % records.planes());
        assert_eq!(records.shape(frame, plane).unwrap(), *shape);
        let mut found = vec![0; shape.bytes()];
        records.decode(frame, plane, decoder, &mut found).unwrap();
        assert!(found == *pixels, "{} {stream} {number}", source.clip.id);
    }
}

/// Checks that an open dataset has exactly these clips with their samples, and nothing else.
pub fn assert_holds<'a>(data: &Dataset, sources: impl IntoIterator<Item = &'a Source>) {
    let (manifest, mut decoder, mut clips) = (data.manifest(), Decoder::new().unwrap(), 0);
    for source in sources {
        let NewClip { id, label, subsets, group, attributes, .. } = &source.clip;
        let number = data.find_clip(id).unwrap_or_else(|| panic!("{id} is missing"));
        let clip = &manifest.clips[number];
        assert_eq!((clip.label, &clip.subsets, &clip.attributes), (*label, subsets, attributes), "{id}");
        assert_eq!(manifest.groups.get(id), group.as_ref(), "{id}");
        let frames: BTreeMap<&str, usize> = clip.frames.iter().map(|(k, &v)| (k.as_str(), v as usize)).collect();
        assert_eq!(frames, source.frames, "{id}");
        for &stream in source.frames.keys() {
            assert_records(data.clip(stream, number).unwrap(), source, stream, &mut decoder);
        }
        clips += 1;
    }
    assert_eq!(manifest.clips.len(), clips);
    assert!(manifest.groups.keys().all(|id| data.find_clip(id).is_some()));
}

/// Checks that a finished folder has only the files of the dataset, that its manifest can be
/// rebuilt, and that nothing is damaged.
pub fn assert_whole(dir: &Path) -> Manifest {
    let manifest = Manifest::read(dir).unwrap();
    assert_eq!(Manifest::rebuild(dir).unwrap(), manifest);
    let report = verify(dir, VerifyDepth::Deep, &|_| ()).unwrap();
    assert!(report.damage.is_empty(), "{:#?}", report.damage);
    let mut listed: Vec<_> =
        manifest.streams.iter().flat_map(|stream| &stream.shards).map(|info| info.file.clone()).collect();
    assert!(manifest.streams.iter().all(|stream| !stream.shards.is_empty()));
    listed.push("manifest.json".into());
    listed.sort_unstable();
    assert_eq!(files(dir), listed);
    manifest
}

/// Returns the names of the files in a folder, sorted.
pub fn files(dir: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = std::fs::read_dir(dir).unwrap().map(name).collect();
    names.sort_unstable();
    names
}
