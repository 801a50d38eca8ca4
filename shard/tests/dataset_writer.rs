//! Tests of `DatasetWriter`: what it writes, and what it refuses.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod sample;
mod written;

use clipshard::{
    Attributes, Codec, Dataset, DatasetInfo, DatasetWriter, EncodeOptions, EncodedRecord, Error, Filter, ImageSize,
    Images, Manifest, NewClip, SampleType, Shape, Shard, StreamSpec, Subset, WriteOptions,
};
use sample::{FLOW_SIZE, RGB_SIZE, encoded, pixels};
use std::path::Path;
use written::{Source, add_streams, assert_holds, assert_whole, files};

fn info() -> DatasetInfo {
    DatasetInfo::new("waves", ["Wave", "Jump"], ["1"])
}

fn writer(dir: &Path) -> DatasetWriter {
    let mut writer = DatasetWriter::create(dir, info()).unwrap();
    writer.add_stream(StreamSpec::rgb(), EncodeOptions::zstd(3)).unwrap();
    writer.add_stream(StreamSpec::flow(), None).unwrap();
    writer
}

fn clip(id: &str) -> NewClip {
    NewClip::new(id, 1, vec![Subset::Train])
}

/// Returns the text of an [`Error::Usage`].
fn usage<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result.unwrap_err() {
        Error::Usage(text) => text,
        other => panic!("not a usage error: {other}"),
    }
}

#[test]
fn shards_of_all_streams_rotate_together() {
    let dir = tempfile::tempdir().unwrap();
    let options = WriteOptions::new().with_shard_bytes(1500);
    let mut writer = DatasetWriter::create_with(dir.path(), info(), &options).unwrap();
    add_streams(&mut writer);
    let streams = [&["rgb", "flow"][..], &["depth"], &["rgb", "flow"], &["rgb", "depth", "flow"]];
    let sources: Vec<_> = (0..12).map(|n| Source::new(&format!("v_{n}"), 0, streams[n % 4])).collect();
    for source in &sources {
        source.add_to(&mut writer).unwrap();
    }
    let manifest = writer.finish().unwrap();
    assert_eq!(assert_whole(dir.path()), manifest);
    assert_holds(&Dataset::open(dir.path()).unwrap(), &sources);
    // Stream poses has no records, so it is not listed.
    let names: Vec<_> = manifest.streams.iter().map(|stream| stream.spec.name.as_str()).collect();
    assert_eq!(names, ["rgb", "depth", "flow"]);
    let rgb = &manifest.streams[0].shards;
    assert!(rgb.len() > 2 && rgb[0].file == "rgb-00000.clipshard" && rgb[1].file == "rgb-00001.clipshard");
    for shard in rgb {
        let shard = Shard::open(dir.path().join(&shard.file)).unwrap();
        let flow =
            Shard::open(dir.path().join(shard.path().file_name().unwrap().to_str().unwrap().replace("rgb", "flow")));
        assert!(shard.clip_ids().eq(flow.unwrap().clip_ids()));
    }
}

#[test]
fn the_bytes_do_not_depend_on_the_threads() {
    let written = [1, 3].map(|threads| {
        let dir = tempfile::tempdir().unwrap();
        let options = WriteOptions::new().with_threads(threads).with_shard_bytes(8000);
        let mut writer = DatasetWriter::create_with(dir.path(), info(), &options).unwrap();
        writer.add_stream(StreamSpec::rgb(), EncodeOptions::zstd(9)).unwrap();
        for number in 0..5 {
            let frames: Vec<_> = (0..20).map(|frame| pixels(RGB_SIZE, 100 * number + frame)).collect();
            writer.add_images(&clip(&format!("v_{number}")), &[("rgb", Images::new(RGB_SIZE, &frames))]).unwrap();
        }
        writer.finish().unwrap();
        files(dir.path()).into_iter().map(|file| std::fs::read(dir.path().join(file)).unwrap()).collect::<Vec<_>>()
    });
    assert!(written[0].len() > 2 && written[0] == written[1]);
}

#[test]
fn encoded_records_and_pixels_form_one_clip() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path());
    writer.add_stream(StreamSpec::flow(), EncodeOptions::lz4(1)).unwrap();
    let planes = [1, 2].map(|number| pixels(FLOW_SIZE, number));
    let flow = writer.encode(&clip("v"), "flow", &Images::new(FLOW_SIZE, &planes)).unwrap();
    writer.add_clip(&clip("v"), &[("rgb", &[sample::jpeg()]), ("flow", &flow)]).unwrap();
    writer.finish().unwrap();
    assert_whole(dir.path());
    let data = Dataset::open(dir.path()).unwrap();
    let jpeg = data.clip("rgb", 0).unwrap().record(0, 0).unwrap();
    assert_eq!((jpeg.codec, &*jpeg.bytes), (Codec::Jpeg, sample::JPEG));
    let plane = data.clip("flow", 0).unwrap().record(0, 1).unwrap();
    assert_eq!(EncodedRecord::from(plane), flow[1]);
}

#[test]
fn samples_of_wide_types_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = DatasetWriter::create(dir.path(), DatasetInfo::new("d", [""; 0], [""; 0])).unwrap();
    let spec = StreamSpec::new("depth", 1, 1).with_samples(SampleType::U16);
    writer.add_stream(spec, EncodeOptions::zstd(3).for_samples(SampleType::U16)).unwrap();
    let shape = Shape::image(ImageSize { width: 3, height: 2, channels: 1 }, SampleType::U16);
    let frames = [[1_u16, 500, 65_535, 7, 8, 9], [2; 6]];
    let images = Images::of_samples(shape, &frames).unwrap();
    assert_eq!(images.len(), 2);
    writer.add_images(&NewClip::new("v", None, Vec::new()), &[("depth", images)]).unwrap();
    assert!(usage(Images::of_samples(shape, [&[1_u8; 12][..]])).contains("u8 samples cannot be"));
    writer.finish().unwrap();
    let mut found = [0_u16; 6];
    let data = Dataset::open(dir.path()).unwrap();
    let mut decoder = clipshard::Decoder::new().unwrap();
    data.clip("depth", 0).unwrap().decode_samples(0, 0, &mut decoder, &mut found).unwrap();
    assert_eq!(found, frames[0]);
}

#[test]
fn a_clip_that_breaks_a_rule_is_refused_by_name_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path());
    let rgb = [encoded(Codec::Zstd, Filter::Up, RGB_SIZE, 0)];
    writer.add_clip(&clip("good"), &[("rgb", &rgb)]).unwrap();
    let mut refused = |clip: &NewClip| usage(writer.add_clip(clip, &[("rgb", &rgb)]));
    assert_eq!(refused(&clip("good")), "clip good: the dataset has a clip with this id already");
    assert_eq!(refused(&clip("")), "clip \"\": its id has 0 bytes, not 1 to 65535");
    assert!(refused(&clip(&"é".repeat(40_000))).ends_with("é\": its id has 80000 bytes, not 1 to 65535"));
    let labelled = NewClip::new("a", 2, vec![Subset::Train]);
    assert!(refused(&labelled).starts_with("clip a: label 2 of 2 classes"), "{}", refused(&labelled));
    assert_eq!(refused(&NewClip::new("a", 0, vec![])), "clip a: 0 subsets for 1 splits; give one subset per split");
    let unnamed = NewClip::new("a", 0, vec![Subset::from("")]);
    assert_eq!(refused(&unnamed), "clip a: the name of a subset has 0 bytes, not 1 to 255");
    assert_eq!(refused(&clip("a").with_group("")), "clip \"a\": its group has 0 bytes, not 1 to 65535");
    let mut nested = serde_json::Value::Null;
    for _ in 0..70 {
        nested = serde_json::Value::from(vec![nested]);
    }
    let mut attributes = Attributes::new();
    attributes.set("x", nested);
    assert_eq!(refused(&clip("a").with_attributes(attributes)), "clip a: attributes nest deeper than 64 levels");
    assert_eq!(writer.clip_count(), 1);
    writer.finish().unwrap();
    assert_eq!(assert_whole(dir.path()).clips.len(), 1);
}

#[test]
fn records_that_do_not_fit_their_stream_are_refused_by_place() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path());
    let (image, plane) =
        (encoded(Codec::Raw, Filter::None, RGB_SIZE, 0), encoded(Codec::Raw, Filter::None, FLOW_SIZE, 0));
    let mut refused = |records: &[(&str, &[EncodedRecord])]| usage(writer.add_clip(&clip("a"), records));
    let (images, planes) = (std::slice::from_ref(&image), [plane.clone(), plane.clone(), plane.clone()]);
    assert_eq!(refused(&[]), "clip a: it has no records; give the records of at least one stream");
    assert_eq!(refused(&[("rgb", &[])]), "clip a: 0 records are not one or more frames of 1 planes of stream rgb");
    assert_eq!(
        refused(&[("flow", &planes)]),
        "clip a: 3 records are not one or more frames of 2 planes of stream flow"
    );
    assert_eq!(refused(&[("rgb", images), ("rgb", images)]), "clip a: stream rgb is given twice");
    let unknown = refused(&[("rgb", images), ("depth", images)]);
    assert_eq!(unknown, "clip a: stream depth was not added with add_stream; added: flow, rgb");
    let other = refused(&[("flow", &[plane.clone(), image.clone()])]);
    assert!(other.starts_with("clip a: stream flow, frame 0, plane 1: an image of 16x12x3 cannot be in"), "{other}");
    let wide = Shape::image(FLOW_SIZE, SampleType::U16);
    let wide = EncodedRecord::from_stored(vec![0; wide.bytes()], wide, Codec::Raw, Filter::None);
    assert!(refused(&[("flow", &[wide.clone(), wide])]).contains("an image of 14x10x1 u16 cannot be in"));
    let without_options = usage(writer.add_images(&clip("a"), &[("flow", Images::new(FLOW_SIZE, [&[0; 140][..]]))]));
    assert!(without_options.contains("stream flow was added without EncodeOptions"), "{without_options}");
    let short = usage(writer.add_images(&clip("a"), &[("rgb", Images::new(RGB_SIZE, [&vec![0; 576], &vec![0; 5]]))]));
    assert_eq!(short, "clip a: stream rgb, frame 1, plane 0: cannot encode 5 bytes as an image of 16x12x3");
    let other = usage(writer.add_images(&clip("a"), &[("rgb", Images::new(FLOW_SIZE, [&[0; 140][..]]))]));
    assert!(other.starts_with("clip a: stream rgb, frame 0, plane 0: 14x10x1 does not fit the stream"), "{other}");
    // Nothing was written, so nothing is there.
    assert_eq!(
        usage(writer.finish()).rsplit(": ").next().unwrap(),
        "a dataset needs at least one clip; add one before you finish"
    );
    assert!(files(dir.path()).is_empty());
}

#[test]
fn records_that_are_not_what_they_say_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path());
    let good = encoded(Codec::Zstd, Filter::Up, RGB_SIZE, 0);
    let stored = |bytes: &[u8], codec, filter| EncodedRecord::from_stored(bytes.to_vec(), RGB_SIZE, codec, filter);
    let mut refused = |record: EncodedRecord| usage(writer.add_clip(&clip("a"), &[("rgb", &[good.clone(), record])]));
    let start = "clip a: stream rgb, frame 1, plane 0 is not what it says: ";
    let cut = &good.bytes()[..good.bytes().len() - 1];
    for (bytes, codec, filter) in [
        (&b"not zstd"[..], Codec::Zstd, Filter::Up),
        (cut, Codec::Zstd, Filter::Up),
        (b"x", Codec::Lz4, Filter::None),
        (b"\xff\xd8\xff\xd9", Codec::Jpeg, Filter::None),
    ] {
        let error = refused(stored(bytes, codec, filter));
        assert!(error.starts_with(start), "{error}");
    }
    let half = [&sample::JPEG[..sample::JPEG.len() - 40], b"\xff\xd9"].concat();
    let error = refused(EncodedRecord::from_jpeg(half).unwrap());
    assert!(error.starts_with(start), "{error}");
    let other = ImageSize { width: 15, ..RGB_SIZE };
    let error = refused(EncodedRecord::from_stored(sample::JPEG.to_vec(), other, Codec::Jpeg, Filter::None));
    assert!(error.starts_with(start), "{error}");
    writer.add_clip(&clip("a"), &[("rgb", &[stored(good.bytes(), Codec::Zstd, Filter::Up), sample::jpeg()])]).unwrap();
    writer.finish().unwrap();
    assert_whole(dir.path());
    // A copy of a stored record is trusted, but not after a change.
    let data = Dataset::open(dir.path()).unwrap();
    let mut record = data.clip("rgb", 0).unwrap().record(0, 0).unwrap();
    record.bytes = record.bytes[..9].to_vec().into();
    let copy = tempfile::tempdir().unwrap();
    let mut writer = self::writer(copy.path());
    assert!(usage(writer.add_clip(&clip("a"), &[("rgb", &[record.into()])])).contains("frame 0, plane 0 is not what"));
}

#[test]
fn streams_and_datasets_that_no_reader_accepts_are_not_started() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path());
    assert!(usage(writer.add_stream(StreamSpec::new("a b", 1, 1), None)).contains("stream name"));
    let other = usage(writer.add_stream(StreamSpec::new("rgb", 1, 1), None));
    assert!(other.contains("stream rgb exists as rgb: u8 images of 3 channels"), "{other}");
    let depth = StreamSpec::new("depth", 1, 1).with_samples(SampleType::F32);
    let filter = usage(writer.add_stream(depth, EncodeOptions::zstd(3)));
    assert!(filter.contains("stream depth: codec zstd with filter up does not fit"), "{filter}");
    assert!(usage(writer.add_stream(StreamSpec::rgb(), EncodeOptions::zstd(23))).contains("zstd has no level 23"));
    drop(writer);
    let create = |info: DatasetInfo| usage(DatasetWriter::create(dir.path(), info));
    assert_eq!(create(DatasetInfo::new("d", ["a", "a"], ["1"])), "class \"a\" is listed twice");
    assert_eq!(create(DatasetInfo::new("d", ["a"], ["1", "1"])), "split \"1\" is listed twice");
    let mut deep = DatasetInfo::new("d", ["a"], ["1"]);
    let nested = (0..200).fold(serde_json::Value::Null, |inner, _| vec![inner].into());
    deep.build.insert("x".into(), nested);
    assert!(create(deep).contains("the build cannot be written as JSON and read again"));
    assert!(files(dir.path()).is_empty());
}

#[test]
fn a_folder_that_is_not_empty_or_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = writer(dir.path());
    if cfg!(unix) {
        let used = usage(DatasetWriter::create(dir.path(), info()));
        assert!(used.contains("another writer is using this folder"), "{used}");
    }
    first.add_clip(&clip("a"), &[("rgb", &[sample::jpeg()])]).unwrap();
    drop(first);
    // A dropped writer leaves its journal, but no half file and no manifest.
    assert_eq!(files(dir.path()), [".writing.json"]);
    for interrupted in [DatasetWriter::create(dir.path(), info()), DatasetWriter::append(dir.path())] {
        assert!(usage(interrupted).contains("writing was interrupted here; continue with DatasetWriter::resume"));
    }
    let rebuilt = Manifest::rebuild(dir.path()).unwrap_err().to_string();
    assert!(rebuilt.contains(".writing.json is here, so the shards are still being written"), "{rebuilt}");
    let mut resumed = DatasetWriter::resume(dir.path()).unwrap();
    assert!(!resumed.contains("a") && resumed.clip_count() == 0);
    resumed.add_clip(&clip("a"), &[("rgb", &[sample::jpeg()])]).unwrap();
    resumed.finish().unwrap();
    assert!(usage(DatasetWriter::create(dir.path(), info())).contains("there is a dataset here already"));
    std::fs::remove_file(dir.path().join("manifest.json")).unwrap();
    let shards = usage(DatasetWriter::create(dir.path(), info()));
    assert!(shards.contains("rgb-00000.clipshard is here without a manifest"), "{shards}");
    assert!(matches!(DatasetWriter::append(dir.path()), Err(Error::NoManifest { .. })));
    assert!(matches!(DatasetWriter::append(dir.path().join("absent")), Err(Error::NoManifest { .. })));
}

#[test]
fn a_discarded_writer_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = WriteOptions::new().with_shard_bytes(0);
    let mut writer = DatasetWriter::create_with(dir.path(), info(), &options).unwrap();
    writer.add_stream(StreamSpec::rgb(), None).unwrap();
    writer.add_clip(&clip("a"), &[("rgb", &[sample::jpeg()])]).unwrap();
    assert_eq!(files(dir.path()), [".writing.json", "rgb-00000.clipshard"]);
    writer.discard().unwrap();
    assert!(files(dir.path()).is_empty());
}
