//! Tests of datasets in which one stream is missing, or is not of 8-bit images.

use super::subsets::{copy_of_packed, train_stream};
use clipshard::{
    EncodeOptions, Encoder, ImageSize, Manifest, SampleType, Shape, ShardClip, ShardMetadata, ShardWriter, Stream,
    StreamSpec, Subset,
};
use std::fs;
use whole_program_tests::{args, run};

#[test]
fn the_shards_of_the_other_stream_may_be_missing() {
    let temp = tempfile::tempdir().unwrap();
    for (stream, missing, other, missing_shard) in
        [("spatial", "flow", "temporal", "flow-00000.clipshard"), ("temporal", "rgb", "spatial", "rgb-00000.clipshard")]
    {
        let dir = temp.path().join(stream);
        fs::create_dir(&dir).unwrap();
        let data = copy_of_packed(&dir);
        for entry in fs::read_dir(&data).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_str().unwrap().starts_with(missing) {
                fs::remove_file(path).unwrap();
            }
        }
        train_stream(&dir, &data, stream, "run", "").ok();
        let page = fs::read_to_string(dir.join("run/report.html")).unwrap();
        assert!(page.contains("<img src=\"data:image/jpeg;base64,") && !page.contains("Pictures are missing"));
        let with = |command: &str| {
            run("ucftrain", &args(&dir, &format!("{command} --run {{}}/run --data {} --json", data.display())))
        };
        assert!(with("eval").json()["top1"].is_number());
        let clip = &Manifest::read(&data).unwrap().clips[0].id;
        assert_eq!(with(&format!("predict --clip {clip}")).json()["clip"], **clip);
        let records = if stream == "spatial" { "rgb" } else { "flow" };
        let line = format!("bench loader --data {} --stream {records} --input-size 32 --seconds 0.1", data.display());
        run("ucftrain", &args(&dir, &line)).ok();
        let error = train_stream(&dir, &data, other, "other", "").error(1);
        assert!(error.contains(missing_shard), "{error}");
        assert!(!dir.join("other").exists());
    }
}

#[test]
fn a_stream_of_16_bit_images_is_refused_with_its_form() {
    let temp = tempfile::tempdir().unwrap();
    let data = copy_of_packed(temp.path());
    let mut manifest = Manifest::read(&data).unwrap();
    let spec = StreamSpec::rgb().with_samples(SampleType::U16);
    let shape = Shape::image(ImageSize { width: 44, height: 36, channels: 3 }, SampleType::U16);
    let mut encoder = Encoder::new(EncodeOptions::zstd(1)).unwrap();
    let mut writer = ShardWriter::create(data.join("rgb-wide.clipshard"), &spec).unwrap();
    for clip in &manifest.clips {
        let record = encoder.encode(&vec![3; shape.bytes()], shape).unwrap();
        writer.add_clip(&clip.id, &vec![record; clip.frames["rgb"] as usize]).unwrap();
    }
    let metadata = ShardMetadata::new(&manifest.dataset, manifest.classes.clone(), manifest.splits.clone());
    let shard = writer.finish(&metadata.with_clips(manifest.clips.iter().map(ShardClip::from).collect())).unwrap();
    manifest.streams.retain(|stream| stream.spec.name != "rgb");
    manifest.streams.push(Stream::new(spec, vec![shard]));
    manifest.write(&data).unwrap();

    let form = "the records of stream rgb are u16 images of 3 channels, but the network needs u8 images";
    let error = train_stream(temp.path(), &data, "spatial", "run", "").error(1);
    assert!(error.contains(form) && !temp.path().join("run").exists(), "{error}");
    let line = format!("bench loader --data {} --stream rgb --input-size 32", data.display());
    let error = run("ucftrain", &args(temp.path(), &line)).error(1);
    assert!(error.contains(form), "{error}");
    train_stream(temp.path(), &data, "temporal", "run", "").ok();
}

#[test]
fn clips_that_lost_their_rgb_frames_are_not_called_short() {
    let temp = tempfile::tempdir().unwrap();
    let data = copy_of_packed(temp.path());
    let mut manifest = Manifest::read(&data).unwrap();
    let spec = StreamSpec::rgb();
    let shape = Shape::image(ImageSize { width: 44, height: 36, channels: 3 }, SampleType::U8);
    let mut encoder = Encoder::new(EncodeOptions::zstd(1)).unwrap();
    let mut writer = ShardWriter::create(data.join("rgb-some.clipshard"), &spec).unwrap();
    // Every fourth clip has lost its frames.
    for (_, clip) in manifest.clips.iter_mut().enumerate().filter(|(number, _)| number % 4 == 0) {
        clip.frames.remove("rgb");
    }
    let lost: Vec<String> = manifest.clips.iter().step_by(4).map(|clip| clip.id.clone()).collect();
    let kept: Vec<_> = manifest.clips.iter().filter(|clip| clip.frames.contains_key("rgb")).collect();
    for clip in &kept {
        let record = encoder.encode(&vec![3; shape.bytes()], shape).unwrap();
        writer.add_clip(&clip.id, &vec![record; clip.frames["rgb"] as usize]).unwrap();
    }
    let metadata = ShardMetadata::new(&manifest.dataset, manifest.classes.clone(), manifest.splits.clone());
    let shard = writer.finish(&metadata.with_clips(kept.into_iter().map(ShardClip::from).collect())).unwrap();
    manifest.streams.retain(|stream| stream.spec.name != "rgb");
    manifest.streams.push(Stream::new(spec, vec![shard]));
    manifest.write(&data).unwrap();

    let done = train_stream(temp.path(), &data, "spatial", "run", "");
    let note = format!("note: omitted 12 clips without RGB frames: {}, ", lost[0]);
    assert!(done.stderr.contains(&note) && !done.stderr.contains("flow frames"), "{}", done.stderr);
    done.ok();
    let line = format!("predict --run {{}}/run --data {} --clip {}", data.display(), lost[0]);
    let error = run("ucftrain", &args(temp.path(), &line)).error(1);
    assert!(error.contains(&format!("clip {} has no RGB frames, which the network needs", lost[0])), "{error}");

    // Only the clips that lost their frames are test clips.
    for clip in &mut manifest.clips {
        let subset = if clip.frames.contains_key("rgb") { Subset::Train } else { Subset::Test };
        clip.subsets = vec![subset; manifest.splits.len()];
    }
    manifest.write(&data).unwrap();
    let error = train_stream(temp.path(), &data, "spatial", "other", "").error(1);
    let words = "has 36 usable training clips, 0 val clips and 0 test clips (12 have no RGB frames, 0 have no label, \
                 0 are too short); restore lost shards, or pack the dataset again with both streams";
    assert!(error.contains(words), "{error}");
    let line = format!("eval --run {{}}/run --data {}", data.display());
    let error = run("ucftrain", &args(temp.path(), &line)).error(1);
    assert!(error.contains("all 12 test clips of split 1 have no RGB frames; name another --subset"), "{error}");
}
