//! The sources of the hostile files in `attacks/` and of the unusual files in `unusual/`.

mod json;
mod records;
mod shards;

use crate::sample::{self, Parts, record};
use clipshard::layout::Trailer;
use clipshard::{Codec, EncodedRecord, Filter, ImageSize, SampleType, Shape, ShardWriter, StreamSpec};
use std::collections::BTreeMap;

/// Files by name.
pub type Files = BTreeMap<&'static str, Vec<u8>>;

/// Builds every hostile file. Each breaks one rule of the format.
pub fn hostile() -> Files {
    let mut files = shards::hostile();
    files.extend(records::hostile());
    files.extend(json::hostile());
    files
}

/// Builds every unusual file. Each keeps all rules of the format.
pub fn unusual() -> Files {
    let mut files = records::unusual();
    files.extend(json::unusual());
    files
}

const SIZE: ImageSize = ImageSize { width: 3, height: 2, channels: 1 };

fn grey() -> StreamSpec {
    StreamSpec::new("grey", 1, 1)
}

fn depth() -> StreamSpec {
    StreamSpec::new("depth", 1, 1).with_samples(SampleType::U16)
}

fn boxes() -> StreamSpec {
    StreamSpec::arrays("boxes", SampleType::F32, &[4])
}

/// Writes a shard of clips with records that the writer accepts.
fn shard_of(spec: &StreamSpec, clips: &[(&str, Vec<EncodedRecord>)]) -> Parts {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.clipshard");
    let mut writer = ShardWriter::create(&path, spec).unwrap();
    for (id, records) in clips {
        writer.add_clip(id, records).unwrap();
    }
    let described = clipshard::ShardClip::new(None, Vec::new());
    let metadata = clipshard::ShardMetadata::default().with_clips(vec![described; clips.len()]);
    writer.finish(&metadata).unwrap();
    Parts::of(&path)
}

/// Writes a shard of clip `a` with two raw images and clip `b` with one.
fn parts() -> Parts {
    let image = |n: u8| record(Codec::Raw, Filter::None, SIZE, vec![n, 1, 2, 3, 4, 5]);
    shard_of(&grey(), &[("a", vec![image(1), image(2)]), ("b", vec![image(3)])])
}

fn changed(change: impl FnOnce(&mut Parts)) -> Vec<u8> {
    let mut parts = parts();
    change(&mut parts);
    parts.seal(|_| ())
}

fn trailer(change: impl FnOnce(&mut Trailer)) -> Vec<u8> {
    parts().seal(change)
}

/// Writes a shard of one record with these stored bytes, and changes it.
fn stored_in(
    spec: &StreamSpec,
    shape: Shape,
    (codec, filter, bytes): (Codec, Filter, &[u8]),
    change: impl FnOnce(&mut Parts),
) -> Vec<u8> {
    let mut parts = shard_of(spec, &[("a", vec![record(codec, filter, shape, bytes.to_vec())])]);
    change(&mut parts);
    parts.seal(|_| ())
}

/// Writes a shard of one image of [`SIZE`] with these stored bytes.
fn stored(codec: Codec, filter: Filter, bytes: &[u8]) -> Vec<u8> {
    stored_in(&grey(), SIZE.into(), (codec, filter, bytes), |_| ())
}

/// Writes a shard of one JPEG file.
fn jpeg(file: &[u8]) -> Vec<u8> {
    stored_in(&StreamSpec::rgb(), sample::RGB_SIZE.into(), (Codec::Jpeg, Filter::None, file), |_| ())
}

fn zstd(samples: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(samples, 1).unwrap()
}

fn lz4(samples: &[u8]) -> Vec<u8> {
    lz4::block::compress(samples, None, false).unwrap()
}

fn array(dims: &[u32], samples: SampleType) -> Shape {
    Shape::array(dims, samples).unwrap()
}
