//! The dataset with samples of all types, which is also the golden one in `tests/golden-wide`.

use clipshard::{
    Attributes, Clip, EncodeOptions, EncodedRecord, Encoder, Filter, ImageSize, Manifest, SampleType, Shape, ShardClip,
    ShardMetadata, ShardWriter, Stream, StreamSpec, Subset,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub const DEPTH_SIZE: ImageSize = ImageSize { width: 18, height: 11, channels: 1 };
/// The options with which the records of a stream are stored, in turn.
pub type Options = Vec<EncodeOptions>;

pub fn golden_wide() -> PathBuf {
    "tests/golden-wide".into()
}

/// Returns the streams and the options of their records.
pub fn streams() -> Vec<(StreamSpec, Options)> {
    let raw = EncodeOptions::raw();
    let zstd = |filter| EncodeOptions::zstd(9).with_filter(filter);
    let lz4 = |filter| EncodeOptions::lz4(9).with_filter(filter);
    let integers =
        || vec![zstd(Filter::UpShuffle), lz4(Filter::Shuffle), raw, zstd(Filter::Up), lz4(Filter::UpShuffle)];
    let floats = || vec![zstd(Filter::Shuffle), raw, lz4(Filter::None), lz4(Filter::Shuffle)];
    vec![
        (StreamSpec::arrays("audio", SampleType::I16, &[2]), integers()),
        (StreamSpec::arrays("boxes", SampleType::F32, &[4]), floats()),
        (StreamSpec::new("depth", 1, 1).with_samples(SampleType::U16), integers()),
        (StreamSpec::arrays("features", SampleType::F16, &[3, 2, 5]), floats()),
        (StreamSpec::arrays("tokens", SampleType::U8, &[]), vec![raw, zstd(Filter::Up)]),
        (StreamSpec::new("vectors", 2, 3).with_samples(SampleType::F32), floats()),
    ]
}

/// Returns the shape of record `number` of a clip in a stream.
pub fn shape(spec: &StreamSpec, number: usize) -> Shape {
    match &spec.array {
        None => Shape::image(ImageSize { channels: spec.channels, ..DEPTH_SIZE }, spec.samples),
        Some(inner) => {
            // Some arrays have no samples, and one has more than 65535 rows.
            let length = if spec.name == "tokens" && number == 1 { 70_000 } else { number as u32 % 7 * 4 };
            Shape::array(&[&[length], &inner[..]].concat(), spec.samples).unwrap()
        }
    }
}

/// Returns the bytes of a record: a rising slope with texture, for which every type has its own
/// numbers.
pub fn samples(shape: Shape, number: usize) -> Vec<u8> {
    let row = shape.row_bytes() / shape.samples().bytes();
    let count = shape.bytes() / shape.samples().bytes();
    let value = |i: usize| (300 * (i / row) + 7 * (i % row) + 1000 * number + i * i % 5) as u16;
    let values = (0..count).map(value);
    match shape.samples() {
        SampleType::U8 => values.map(|v| v as u8).collect(),
        SampleType::I16 => values.flat_map(|v| v.wrapping_sub(900).to_le_bytes()).collect(),
        SampleType::F32 => values.flat_map(|v| (f32::from(v) / 8.0 - 100.0).to_le_bytes()).collect(),
        // Any bits are a number of 16 bits.
        _ => values.flat_map(u16::to_le_bytes).collect(),
    }
}

/// Writes the dataset of three clips: a clip without a label, a clip without boxes, and a whole one.
pub fn build(dir: &Path) -> Manifest {
    let attributes = |text: &str| Attributes::from_json(text).unwrap();
    let all = streams();
    let mut clips = vec![
        Clip::new("a b#&%\"\u{e9}", 1, vec![Subset::Train]),
        Clip::new("second", 0, vec![Subset::Val]),
        Clip::new("third", None, vec![Subset::from("test-hard")]),
    ];
    clips[0].attributes =
        attributes(r#"{"fps":29.970,"labels":[1,0],"caption":"zwei B\u00e4ume","id":12345678901234567890123}"#);
    clips[2].attributes = attributes(r#"{"x":{"y":[null,true,-0.0]}}"#);
    let of_dataset = attributes(r#"{"licence":"CC0-1.0","revision":1.50}"#);
    let build = BTreeMap::from([
        ("lz4".to_owned(), lz4::version().into()),
        ("zstd".to_owned(), ::zstd::zstd_safe::version_string().into()),
    ]);
    let mut manifest = Manifest::new("golden-wide", vec!["Wave".into(), "Jump".into()], vec!["1".into()]);
    (manifest.build, manifest.attributes) = (build, of_dataset);
    for (spec, options) in &all {
        // The stream "boxes" lacks the second clip.
        let held: Vec<usize> = (0..clips.len()).filter(|&clip| spec.name != "boxes" || clip != 1).collect();
        let mut writer = ShardWriter::create(dir.join(format!("{}-00000.clipshard", spec.name)), spec).unwrap();
        for &clip in &held {
            let frames = clip + 6;
            let records: Vec<EncodedRecord> = (0..frames * usize::from(spec.planes))
                .map(|number| {
                    let shape = shape(spec, number);
                    let mut encoder = Encoder::new(options[number % options.len()]).unwrap();
                    encoder.encode(&samples(shape, number + clip), shape).unwrap()
                })
                .collect();
            writer.add_clip(&clips[clip].id, &records).unwrap();
            clips[clip].frames.insert(spec.name.clone(), frames as u32);
        }
        let mut metadata = ShardMetadata::new("golden-wide", manifest.classes.clone(), manifest.splits.clone());
        (metadata.build, metadata.attributes) = (manifest.build.clone(), manifest.attributes.clone());
        metadata.clips = held.iter().map(|&clip| ShardClip::from(&clips[clip])).collect();
        manifest.streams.push(Stream::new(spec.clone(), vec![writer.finish(&metadata).unwrap()]));
    }
    manifest.clips = clips;
    manifest.write(dir).unwrap();
    manifest
}
