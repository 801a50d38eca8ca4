//! Packs with the options that most tests use.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clipshard::{Attributes, Codec, Filter};
use ucfpack::Error;
use ucfpack::pack::{BuildOptions, BuildReport, DatasetKind, build};
use ucfpack::progress::{Progress, Watch};
use ucfpack::source::Location;
use ucfpack::stored::{Check, Geometry, StreamOptions};
use ucfpack::video::VideoOptions;

/// Returns options that store RGB unchanged, and flow as small zstd images.
pub fn options(tree: &Path, lists: &Path, out: &Path) -> BuildOptions {
    let stream = |codec, filter, geometry| StreamOptions { codec, filter, level: 9, geometry };
    BuildOptions {
        out: out.into(),
        dataset: DatasetKind::Ucf101,
        lists: Some(lists.into()),
        location: Location::Tree(tree.into()),
        video: VideoOptions::default(),
        layout: None,
        attributes: Attributes::new(),
        classes: None,
        rgb: stream(Codec::Jpeg, Filter::None, Geometry::Source),
        flow: stream(Codec::Zstd, Filter::Up, Geometry::Square(28)),
        check: Check::Header,
        shard_bytes: 1 << 30,
        jobs: 2,
        readers: 2,
        part: None,
        keep_going: false,
        overwrite: false,
        resume: false,
        dry_run: false,
    }
}

pub fn pack(options: &BuildOptions) -> Result<BuildReport, Error> {
    build(options, Watch { progress: &Progress::hidden(), cancel: &AtomicBool::new(false) })
}

/// Returns the files of a folder with their bytes.
pub fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|p| (p.file_name().unwrap().into(), fs::read(p).unwrap()))
        .collect()
}
