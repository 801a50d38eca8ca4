//! Tests that the programs in `examples/` run and print the stored content.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod sample;

use clipshard::{Clip, Codec, Filter, Manifest, ShardWriter, Stream, StreamSpec, Subset};
use std::path::Path;
use std::process::Command;

/// Writes a dataset with one clip per subset and 12 frames per clip. All pixels of frame `i` are
/// `i`, in both streams.
fn build(dir: &Path) {
    let clip = |id, subset| Clip::new(id, 0, vec![subset]).with_frames("flow", 12).with_frames("rgb", 12);
    let clips = vec![clip("v_Test_g01_c01", Subset::Test), clip("v_Train_g02_c01", Subset::Train)];
    let stream = |spec: StreamSpec, size: clipshard::ImageSize| {
        let image = |i| sample::record(Codec::Raw, Filter::None, size, vec![i / spec.planes; size.bytes()]);
        let records: Vec<_> = (0..12 * spec.planes).map(image).collect();
        let path = dir.join(format!("{}-00000.clipshard", spec.name));
        let mut writer = ShardWriter::create(&path, &spec).unwrap();
        for clip in &clips {
            writer.add_clip(&clip.id, &records).unwrap();
        }
        Stream::new(spec, vec![writer.finish(&sample::metadata(&clips)).unwrap()])
    };
    let streams = vec![stream(sample::rgb(), sample::RGB_SIZE), stream(sample::flow(), sample::FLOW_SIZE)];
    let mut manifest = Manifest::new("", vec!["Wave".into()], vec!["1".into()]);
    (manifest.streams, manifest.clips) = (streams, clips);
    manifest.write(dir).unwrap();
}

#[test]
fn the_example_reads_the_training_clips_of_a_split() {
    // Cargo builds the examples before it runs tests, in a folder next to that of the test
    // programs.
    let tests = std::env::current_exe().unwrap();
    let example = tests.parent().unwrap().with_file_name("examples").join("read_clips");
    let program = example.with_extension(std::env::consts::EXE_EXTENSION);
    assert!(program.exists(), "{} is not there; run cargo build --examples", program.display());
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    let output = Command::new(&program).arg(dir.path()).output().unwrap();
    let expected = "v_Train_g02_c01: class Wave\n  rgb  [12, 16, 3] mean 0.00\n  flow [20, 10, 14] mean 4.50\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    let output = Command::new(&program).arg(dir.path().join("absent")).output().unwrap();
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("NoManifest"));
}
