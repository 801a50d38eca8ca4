//! Tests of `recode`: a stream in another codec, level or size.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clipshard::{Codec, Dataset, Decoder, Filter};
use serde_json::json;
use ucfpack::Error;
use ucfpack::edit::{RecodeOptions, SubsetOptions, recode};
use ucfpack::pack::{BuildOptions, BuildReport};
use ucfpack::progress::{Progress, Watch};
use ucfpack::stored::{Geometry, StreamOptions};

use crate::pack::{files, options, pack};
use crate::subset::{copied, packed, records, various, whole};
use crate::tree::{CLIPS, Tree};

fn recode_options(out: &Path, stream: &str, codec: Codec) -> RecodeOptions {
    RecodeOptions {
        out: out.into(),
        stream: stream.into(),
        codec,
        filter: None,
        level: 9,
        geometry: Geometry::Source,
        jobs: 3,
        overwrite: false,
    }
}

fn recoded(dir: &Path, options: &RecodeOptions) -> Result<BuildReport, Error> {
    recode(dir, options, Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) })
}

/// Returns the decoded records of a clip.
fn pixels(data: &Dataset, stream: &str, id: &str) -> Vec<Vec<u8>> {
    let clip = data.clip(stream, data.find_clip(id).unwrap()).unwrap();
    let (mut decoder, mut all) = (Decoder::new().unwrap(), Vec::new());
    for frame in 0..clip.frame_count() {
        for plane in 0..clip.planes() {
            let mut out = vec![0; clip.shape(frame, plane).unwrap().bytes()];
            clip.decode(frame, plane, &mut decoder, &mut out).unwrap();
            all.push(out);
        }
    }
    all
}

#[test]
fn a_recoded_stream_equals_a_build_with_the_new_options() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let path = |name: &str| place.path().join(name);
    let build = |name: &str, change: fn(&mut BuildOptions)| -> PathBuf {
        let mut options = options(tree.root(), &tree.lists(), &path(name));
        change(&mut options);
        pack(&options).unwrap();
        path(name)
    };
    let old = build("old", |_| ());
    // Flow was resized when it was packed, and stays so.
    let lz4 = build("lz4", |options| {
        options.flow = StreamOptions { codec: Codec::Lz4, filter: Filter::None, level: 3, ..options.flow };
    });
    let options = RecodeOptions {
        filter: Some(Filter::None),
        level: 3,
        ..recode_options(&path("recoded lz4"), "flow", Codec::Lz4)
    };
    let report = recoded(&old, &options).unwrap();
    assert!(files(&path("recoded lz4")) == files(&lz4), "flow");
    assert_eq!((report.clips, report.records["flow"], report.shards["flow"]), (6, 6 * 26, 1));
    // RGB was stored as files, which are decoded and resized now.
    let small = build("small", |options| {
        let geometry = Geometry::ShortSide(20);
        options.rgb = StreamOptions { codec: Codec::Zstd, filter: Filter::Up, level: 9, geometry };
    });
    let geometry = Geometry::ShortSide(20);
    recoded(&old, &RecodeOptions { geometry, ..recode_options(&path("recoded small"), "rgb", Codec::Zstd) }).unwrap();
    assert!(files(&path("recoded small")) == files(&small), "rgb");
    let raw = build("raw", |options| {
        options.flow = StreamOptions { codec: Codec::Raw, filter: Filter::None, ..options.flow };
    });
    for jobs in [1, 4] {
        let out = path(&format!("recoded raw {jobs}"));
        recoded(&lz4, &RecodeOptions { jobs, ..recode_options(&out, "flow", Codec::Raw) }).unwrap();
        assert!(files(&out) == files(&raw), "raw with {jobs} threads");
    }
}

#[test]
fn pixels_stay_and_shards_keep_their_size() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let dir = place.path().join("all");
    let mut build = BuildOptions { shard_bytes: 100_000, ..options(tree.root(), &tree.lists(), &dir) };
    build.flow.geometry = Geometry::Source;
    pack(&build).unwrap();
    let (all, out) = (whole(&dir), place.path().join("raw"));
    recoded(&dir, &recode_options(&out, "flow", Codec::Raw)).unwrap();
    let raw = whole(&out);
    let sizes: Vec<u64> = raw.manifest().streams[1].shards.iter().map(|shard| shard.bytes).collect();
    // A clip has 26 x 2 planes of 42x32 pixels.
    assert!(sizes.len() == 3 && sizes.iter().all(|bytes| (70_000..100_000).contains(bytes)), "{sizes:?}");
    for clip in &all.manifest().clips {
        assert_eq!(pixels(&raw, "flow", &clip.id), pixels(&all, "flow", &clip.id));
        assert_eq!(records(&raw, "rgb", &clip.id), records(&all, "rgb", &clip.id), "copied");
        let records = raw.clip("flow", raw.find_clip(&clip.id).unwrap()).unwrap();
        assert_eq!(records.info(3, 1).unwrap().codec, Codec::Raw);
    }
    assert_eq!(raw.manifest().clips, all.manifest().clips);
    assert_eq!(raw.manifest().build["rgb"], all.manifest().build["rgb"]);
    assert_eq!(raw.manifest().build["flow"]["codec"], "raw");
    // Resized once more, the stream is described by both steps.
    let small = place.path().join("small");
    let options = RecodeOptions { geometry: Geometry::Square(16), ..recode_options(&small, "flow", Codec::Zstd) };
    recoded(&out, &options).unwrap();
    let small = whole(&small);
    assert_eq!(small.clip("flow", 0).unwrap().size(0, 0).unwrap().to_string(), "16x16x1");
    let build = &small.manifest().build["flow"];
    assert_eq!((&build["size"], &build["recoded_from"]["codec"]), (&json!("16x16"), &json!("raw")));
}

#[test]
fn a_part_of_a_dataset_can_be_recoded() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let dir = packed(&tree, &place.path().join("all"));
    let (some, fast) = (place.path().join("some"), place.path().join("fast"));
    let classes = Some(vec!["Rowing".to_owned()]);
    copied(&dir, &SubsetOptions { out: some.clone(), classes, ..SubsetOptions::default() }).unwrap();
    recoded(&some, &recode_options(&fast, "rgb", Codec::Lz4)).unwrap();
    let (all, fast) = (whole(&dir), whole(&fast));
    assert_eq!(fast.manifest().classes, ["Rowing"]);
    for id in [CLIPS[4], CLIPS[5]] {
        assert_eq!(pixels(&fast, "rgb", id), pixels(&all, "rgb", id));
        assert_eq!(records(&fast, "flow", id), records(&all, "flow", id));
    }
}

#[test]
fn streams_of_other_samples_change_their_codec_but_not_their_size() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("all");
    various(&dir);
    let all = whole(&dir);
    for (stream, codec, filter) in
        [("depth", Codec::Lz4, "up-shuffle"), ("poses", Codec::Zstd, "shuffle"), ("depth", Codec::Raw, "none")]
    {
        let out = place.path().join(format!("{stream}-{codec}"));
        recoded(&dir, &recode_options(&out, stream, codec)).unwrap();
        let data = whole(&out);
        assert_eq!(data.manifest().clips, all.manifest().clips);
        let records = data.clip(stream, 0).unwrap();
        let info = records.info(2, 0).unwrap();
        assert_eq!((info.codec, info.filter.name()), (codec, filter));
        assert_eq!(pixels(&data, stream, "one"), pixels(&all, stream, "one"));
    }
    let refused = |options: RecodeOptions| {
        let error = recoded(&dir, &options).unwrap_err();
        assert!(error.is_usage(), "{error}");
        error.to_string()
    };
    let out = place.path().join("none");
    let small = RecodeOptions { geometry: Geometry::Square(4), ..recode_options(&out, "depth", Codec::Zstd) };
    let error = refused(small);
    assert!(error.contains("stream depth has u16 images of 1 channel, but only u8 images can be resized"), "{error}");
    let up = RecodeOptions { filter: Some(Filter::Up), ..recode_options(&out, "poses", Codec::Zstd) };
    assert!(
        refused(up).contains("`filter` up does not fit codec zstd and f32 samples of stream poses; use none, shuffle")
    );
    assert!(!out.exists());
}

#[test]
fn what_cannot_be_done_is_explained() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let dir = packed(&tree, &place.path().join("all"));
    let out = place.path().join("out");
    let error = recoded(&dir, &recode_options(&out, "flow", Codec::Jpeg)).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("only stores existing JPEG files"), "{error}");
    let error = recoded(&dir, &recode_options(&out, "depth", Codec::Raw)).unwrap_err();
    assert!(error.is_usage(), "{error}");
    let error = error.to_string();
    assert!(error.starts_with("`stream`: ") && error.contains("depth") && error.contains("rgb, flow"), "{error}");
    let error = recoded(&dir, &RecodeOptions { level: 23, ..recode_options(&out, "flow", Codec::Zstd) });
    assert!(error.unwrap_err().to_string().contains("level 23"));
    let large = RecodeOptions { geometry: Geometry::Square(65_535), ..recode_options(&out, "rgb", Codec::Raw) };
    let error = recoded(&dir, &large).unwrap_err().to_string();
    assert!(error.contains("frame 0: an image of 42x32x3 cannot become one of 65535x65535x3"), "{error}");
    // A file whose data end early is not filled with grey.
    let shard = dir.join("rgb-00000.clipshard");
    let file = fs::read(tree.path(&format!("jpegs_256/{}/frame000001.jpg", CLIPS[0]))).unwrap();
    let start =
        files(&dir)[Path::new("rgb-00000.clipshard")].windows(file.len()).position(|bytes| bytes == file).unwrap();
    let mut bytes = fs::read(&shard).unwrap();
    bytes[start + 700] ^= 0x40;
    fs::write(&shard, bytes).unwrap();
    let error = recoded(&dir, &recode_options(&out, "rgb", Codec::Raw)).unwrap_err().to_string();
    assert!(error.contains(CLIPS[0]) && error.contains("checksum"), "{error}");
    let watch = Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(true) };
    let outcome = recode(&dir, &recode_options(&out, "flow", Codec::Raw), watch);
    assert!(matches!(outcome, Err(Error::Interrupted)));
    assert!(!out.exists());
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "nothing is left");
}
