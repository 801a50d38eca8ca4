//! Stores any samples with any type, shape, codec and filter, and reads them again.
//!
//! The samples must come back, and `ShardWriter` must write what `Shard` reads. Records that do not
//! fit must be refused before they are written.
#![no_main]

use clipshard::{
    Access, Clip, Codec, Decoder, EncodeOptions, EncodedRecord, Encoder, Filter, ImageSize, Manifest, SampleType,
    Shape, Shard, ShardClip, ShardMetadata, ShardWriter, Stream, StreamSpec, VerifyDepth, verify,
};
use clipshard_fuzz::Place;
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::LazyLock;

static PLACE: LazyLock<Place> = LazyLock::new(Place::new);

thread_local! {
    static DECODER: RefCell<Decoder> = RefCell::new(Decoder::new().expect("cannot allocate a decoder"));
    /// Encoders by codec, filter and level. It takes long to create those of zstd.
    static ENCODERS: RefCell<HashMap<[u8; 3], Encoder>> = RefCell::default();
}

/// Returns the stream and the shape of its record `number`.
fn form(samples: SampleType, planes: u8, [kind, a, b, c]: [u8; 4], number: u32) -> (StreamSpec, Shape) {
    if kind % 2 == 0 {
        let size = ImageSize {
            width: u16::from(a) % 70 + 1 + number as u16 % 3,
            height: u16::from(b) % 70 + 1,
            channels: c % 4 + 1,
        };
        let spec = StreamSpec::new("x", planes, size.channels).with_samples(samples).with_planes(planes);
        return (spec, Shape::image(size, samples));
    }
    let inner = [u32::from(b % 9) + 1, u32::from(b / 9 % 9) + 1, u32::from(c % 9) + 1];
    let inner = &inner[..usize::from(kind / 2) % 4];
    let spec = StreamSpec::arrays("x", samples, inner).with_planes(planes);
    let dims = [&[u32::from(a).wrapping_mul(number + 1) % 150], inner].concat();
    (spec, Shape::array(&dims, samples).expect("1 to 4 dimensions"))
}

fuzz_target!(|input: &[u8]| {
    let Some((&[codec, filter, level, kind, a, b, c, count], content)) = input.split_first_chunk::<8>() else { return };
    let samples = SampleType::from_byte(codec / 4 % 5).expect("there are five types");
    let filter = Filter::from_byte(filter % 4).expect("there are four filters");
    let options = match codec % 4 {
        0 => EncodeOptions::raw(),
        1 => EncodeOptions::lz4(i32::from(level % 12) + 1),
        // Higher levels of zstd are slow.
        _ => EncodeOptions::zstd(i32::from(level % 9) + 1),
    };
    let options = options.with_filter(filter);
    let key = [options.codec as u8, filter as u8, options.level as u8];
    let encoder = ENCODERS.with_borrow_mut(|encoders| encoders.remove(&key));
    let Some(mut encoder) = encoder.or_else(|| Encoder::new(options).ok()) else {
        assert!(options.codec == Codec::Raw && filter != Filter::None);
        return;
    };
    let planes = count / 4 % 3 + 1;
    let count = u32::from(count % 4 + 1) * u32::from(planes);
    let (spec, _) = form(samples, planes, [kind, a, b, c], 0);
    let mut records: Vec<(Vec<u8>, EncodedRecord)> = Vec::new();
    for number in 0..count {
        let (_, shape) = form(samples, planes, [kind, a, b, c], number);
        // The content is repeated with changes, so that there is something to compress and to predict.
        let byte = |i: usize| match content {
            [] => (i / 5 * i) as u8,
            _ => content[i % content.len()].wrapping_add((i / content.len()) as u8),
        };
        let bytes: Vec<u8> = (0..shape.bytes()).map(|i| byte(i + number as usize)).collect();
        match encoder.encode(&bytes, shape) {
            Ok(record) => {
                assert_eq!(record.shape(), shape);
                records.push((bytes, record));
            }
            Err(error) => {
                assert!(!filter.fits(options.codec, samples), "{error}");
                return;
            }
        }
    }
    ENCODERS.with_borrow_mut(|encoders| encoders.insert(key, encoder));
    let path = PLACE.put("round-trip.clipshard", &[]);
    let encoded: Vec<EncodedRecord> = records.iter().map(|(_, record)| record.clone()).collect();
    let mut writer = ShardWriter::create(&path, &spec).expect("the stream has an allowed form");
    writer.add_clip("a", &encoded).expect("the records fit the stream");
    writer.add_clip("b", &encoded[..usize::from(planes)]).expect("the records fit the stream");
    let metadata = ShardMetadata::default().with_clips(vec![ShardClip::new(None, Vec::new()); 2]);
    let info = writer.finish(&metadata).expect("the metadata describes the clips");
    for access in [Access::Map, Access::Read] {
        let shard = Shard::open_with(&path, access).expect("cannot read the shard that was written");
        assert_eq!((shard.info(), shard.spec()), (info.clone(), &spec));
        assert_eq!(shard.metadata().expect("cannot read the metadata that was written"), metadata);
        for records_of_clip in shard.clips() {
            let clip = records_of_clip.expect("cannot read the index that was written");
            for (number, (bytes, record)) in records.iter().enumerate().take(clip.frame_count() * clip.planes()) {
                let (frame, plane) = (number / usize::from(planes), number % usize::from(planes));
                assert_eq!(clip.shape(frame, plane).expect("the record exists"), record.shape());
                let mut out = vec![0xaa; bytes.len()];
                DECODER
                    .with_borrow_mut(|decoder| clip.decode(frame, plane, decoder, &mut out))
                    .expect("cannot decode what was encoded");
                assert!(out == *bytes, "{options:?} {}", record.shape());
                assert_eq!(clip.record(frame, plane).expect("the record exists").bytes, record.bytes());
            }
        }
    }
    // A whole dataset is valid too, and its manifest can be rebuilt. That is slow.
    if level < 224 {
        return;
    }
    let clip = |id: &str, frames| Clip::new(id, None, Vec::new()).with_frames("x", frames);
    let mut manifest = Manifest::new("", Vec::new(), Vec::new());
    manifest.streams = vec![Stream::new(spec, vec![info])];
    manifest.clips = vec![clip("a", count / u32::from(planes)), clip("b", 1)];
    let folder = path.parent().expect("the file is in a folder");
    manifest.write(folder).expect("cannot write the manifest");
    assert!(verify(folder, VerifyDepth::Deep, &|_| ()).expect("there is a manifest").damage.is_empty());
    assert_eq!(Manifest::rebuild(folder).expect("cannot rebuild the manifest"), manifest);
});
