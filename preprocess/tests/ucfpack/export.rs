//! Tests of exporting: files that were stored unchanged come back byte for byte, other images come
//! back pixel for pixel as PNG.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clipshard::{Codec, Dataset, Decoder, Manifest};
use ucfpack::Error;
use ucfpack::export::{ExportOptions, ExportReport, PixelFormat, export};
use ucfpack::pack::BuildOptions;
use ucfpack::progress::{Progress, Watch};
use ucfpack::stored::Geometry;
use ucfpack::verify::{Rebuilt, rebuild_manifest};

use crate::pack::{files, options, pack};
use crate::tree::{CLIPS, Tree};

fn exported(data: &Path, out: &Path, clips: &[&str], pixels: PixelFormat) -> Result<ExportReport, Error> {
    let clips = clips.iter().map(|&clip| clip.to_owned()).collect();
    let options = ExportOptions { out: out.into(), clips, pixels, overwrite: false };
    export(data, &options, Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) })
}

/// Returns all files under a folder, by relative path.
fn all_files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn without_lists(mut files: BTreeMap<PathBuf, Vec<u8>>) -> BTreeMap<PathBuf, Vec<u8>> {
    files.retain(|path, _| !path.starts_with("lists"));
    files
}

#[test]
fn jpeg_records_come_back_byte_for_byte_and_pack_again_to_the_same_shards() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let packed = |root: &Path, name: &str| {
        let out = place.path().join(name);
        let mut options = options(root, &root.join("lists"), &out);
        (options.flow.codec, options.flow.geometry) = (Codec::Jpeg, Geometry::Source);
        pack(&options).unwrap();
        out
    };
    let first = packed(tree.root(), "first");
    let back = place.path().join("back");
    let report = exported(&first, &back, &[], PixelFormat::Jpeg).unwrap();
    assert_eq!((report.clips, report.untouched, report.encoded, report.notes), (6, 6 * 14 + 6 * 26, 0, vec![]));
    assert!(without_lists(all_files(&back)) == without_lists(all_files(tree.root())));
    assert!(files(&packed(&back, "second")) == files(&first));
    assert!(exported(&first, &back, &[], PixelFormat::Jpeg).unwrap_err().is_usage());
}

#[test]
fn chosen_clips_come_back_alone_and_pixels_exactly_as_png() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    pack(&options(tree.root(), &tree.lists(), &out)).unwrap();
    let back = place.path().join("back");
    let report = exported(&out, &back, &[CLIPS[2], "rowing/V_Rowing_g08_c01.avi", CLIPS[2]], PixelFormat::Png).unwrap();
    assert_eq!((report.clips, report.untouched, report.encoded), (2, 28, 52));
    let names: Vec<_> = fs::read_dir(back.join("tvl1_flow/v")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let data = Dataset::open(&out).unwrap();
    let clip = data.clip("flow", 2).unwrap();
    let mut pixels = vec![0; clip.size(4, 1).unwrap().bytes()];
    clip.decode(4, 1, &mut Decoder::new().unwrap(), &mut pixels).unwrap();
    let png = image::open(back.join(format!("tvl1_flow/v/{}/frame000005.png", CLIPS[2]))).unwrap();
    assert_eq!(png.to_luma8().into_raw(), pixels);
    let error = exported(&out, &place.path().join("none"), &["v_None"], PixelFormat::Png).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("there is no clip"), "{error}");
}

#[test]
fn jpegs_of_pixels_are_near_them() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    pack(&options(tree.root(), &tree.lists(), &out)).unwrap();
    let back = place.path().join("back");
    exported(&out, &back, &[CLIPS[0]], PixelFormat::Jpeg).unwrap();
    let clip = Dataset::open(&out).unwrap();
    let clip = clip.clip("flow", 0).unwrap();
    let mut pixels = vec![0; clip.size(4, 0).unwrap().bytes()];
    clip.decode(4, 0, &mut Decoder::new().unwrap(), &mut pixels).unwrap();
    let jpeg = image::open(back.join(format!("tvl1_flow/u/{}/frame000005.jpg", CLIPS[0]))).unwrap().to_luma8();
    let worst = jpeg.as_raw().iter().zip(&pixels).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    assert!(worst <= 8, "{worst}");
}

#[test]
fn an_id_that_is_a_path_is_not_followed() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    pack(&BuildOptions { shard_bytes: 1, ..options(tree.root(), &tree.lists(), &out) }).unwrap();
    // A forged dataset, in which the id of a clip is a path that leaves the tree.
    let mut manifest = Manifest::read(&out).unwrap();
    let forged = "../../../escape";
    let path = out.join("rgb-00000.clipshard");
    let record = clipshard::EncodedRecord::from_jpeg(
        fs::read(tree.path(&format!("jpegs_256/{}/frame000001.jpg", CLIPS[0]))).unwrap(),
    );
    let mut writer = clipshard::ShardWriter::create(&path, &manifest.streams[0].spec).unwrap();
    writer.add_clip(forged, &[record.unwrap()]).unwrap();
    let told = clipshard::ShardClip::from(&manifest.clips[0]);
    let classes = manifest.classes.clone();
    let metadata = clipshard::ShardMetadata::new("ucf101", classes, manifest.splits.clone());
    let shard = writer.finish(&metadata.with_clips(vec![told])).unwrap();
    manifest.streams.truncate(1);
    manifest.streams[0].shards = vec![shard];
    manifest.clips.truncate(1);
    manifest.clips[0].id = forged.into();
    manifest.clips[0].frames = [("rgb".to_owned(), 1)].into();
    manifest.write(&out).unwrap();
    let error = exported(&out, &place.path().join("a/b/c/back"), &[], PixelFormat::Jpeg).unwrap_err();
    assert!(error.to_string().contains("its id is not a plain folder name"), "{error}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
}

#[test]
fn a_lost_manifest_is_made_again_byte_for_byte() {
    let tree = Tree::new();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    pack(&BuildOptions { shard_bytes: 5_000, ..options(tree.root(), &tree.lists(), &out) }).unwrap();
    let whole = files(&out);
    assert!(whole.len() > 4);
    assert_eq!(rebuild_manifest(&out).unwrap(), Rebuilt::Whole);
    fs::remove_file(out.join("manifest.json")).unwrap();
    assert_eq!(rebuild_manifest(&out).unwrap(), Rebuilt::Written { notes: vec![] });
    assert!(files(&out) == whole);
    let damaged = b"{\"clipshard\":\"1.0\"".to_vec();
    fs::write(out.join("manifest.json"), &damaged).unwrap();
    rebuild_manifest(&out).unwrap();
    let mut now = files(&out);
    assert_eq!(now.remove(Path::new("manifest.json.damaged")), Some(damaged));
    assert!(now == whole);
    fs::remove_file(out.join("manifest.json")).unwrap();
    fs::remove_file(out.join("flow-00000.clipshard")).unwrap();
    let Rebuilt::Written { notes } = rebuild_manifest(&out).unwrap() else { panic!("it was lost") };
    assert!(notes[0].contains("have no flow records; a flow shard may be missing"), "{notes:?}");
}
