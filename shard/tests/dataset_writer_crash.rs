//! Tests that simulate a failure at every step of a `DatasetWriter`: a reader finds the old dataset
//! or the new one, and a resumed writer finishes the new one.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod faulty;
mod written;

use clipshard::{Dataset, DatasetInfo, DatasetWriter, Error, Manifest, NewClip, Result, WriteOptions};
use faulty::{Fault, Faulty, copy_tree};
use std::path::Path;
use written::{Source, add_streams, assert_holds, assert_whole, files};

fn sources(ids: std::ops::Range<usize>) -> Vec<Source> {
    let streams = [&["rgb", "flow"][..], &["flow"], &["rgb", "flow", "poses"], &["rgb"]];
    ids.map(|number| Source::new(&format!("v_{number}"), (number % 2) as u32, streams[number % 4])).collect()
}

/// Returns options for shards of this size.
fn sized(shard_bytes: u64, faulty: Option<&Faulty>) -> WriteOptions {
    let options = WriteOptions::new().with_shard_bytes(shard_bytes).with_threads(1);
    match faulty {
        Some(faulty) => options.with_storage(faulty.storage()),
        None => options,
    }
}

fn options(faulty: Option<&Faulty>) -> WriteOptions {
    sized(1500, faulty)
}

fn info() -> DatasetInfo {
    DatasetInfo::new("waves", ["Wave", "Jump"], ["1"])
}

fn resume_or(
    dir: &Path,
    options: &WriteOptions,
    start: impl Fn(&Path, &WriteOptions) -> Result<DatasetWriter>,
) -> Result<DatasetWriter> {
    if DatasetWriter::is_interrupted(dir) { DatasetWriter::resume_with(dir, options) } else { start(dir, options) }
}

fn add_missing(writer: &mut DatasetWriter, sources: &[Source]) -> Result<()> {
    for source in sources {
        if !writer.contains(&source.clip.id) {
            source.add_to(writer)?;
        }
    }
    Ok(())
}

/// Writes a new dataset, or continues. A dataset that is there already is finished.
fn create(dir: &Path, faulty: Option<&Faulty>) -> Result<Manifest> {
    let start = |dir: &Path, options: &WriteOptions| {
        if dir.join("manifest.json").exists() {
            return DatasetWriter::append_with(dir, options);
        }
        DatasetWriter::create_with(dir, info(), options)
    };
    let mut writer = resume_or(dir, &options(faulty), start)?;
    add_streams(&mut writer);
    add_missing(&mut writer, &sources(0..9))?;
    writer.finish()
}

/// Changes the dataset that `create` made, or continues.
fn change(dir: &Path, faulty: Option<&Faulty>) -> Result<Manifest> {
    // Most shards are small compared with this size, so they are merged.
    let mut writer = resume_or(dir, &sized(9000, faulty), |dir, options| DatasetWriter::append_with(dir, options))?;
    add_streams(&mut writer);
    let label = writer.add_class("Dive")?;
    let mut added = sources(9..14);
    added[0].clip.label = Some(label);
    add_missing(&mut writer, &added)?;
    let removed = ["v_1", "v_2", "v_8"];
    let left: Vec<&str> = removed.into_iter().filter(|id| writer.contains(id)).collect();
    writer.remove_clips(left)?;
    writer.compact()?;
    writer.finish()
}

fn changed() -> Vec<Source> {
    let mut sources = sources(0..14);
    sources[9].clip.label = Some(2);
    sources.retain(|source| !["v_1", "v_2", "v_8"].contains(&source.clip.id.as_str()));
    sources
}

fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    files(dir).into_iter().map(|file| (file.clone(), std::fs::read(dir.join(file)).unwrap())).collect()
}

/// Lets each step of `write` fail, and checks the folder before and after `write` is run again.
/// Returns the number of steps.
fn fail_at_every_step(
    fault: Fault,
    prepare: impl Fn(&Path),
    write: impl Fn(&Path, Option<&Faulty>) -> Result<Manifest>,
    check: impl Fn(&Path, bool),
) -> u64 {
    for at in 1.. {
        let home = tempfile::tempdir().unwrap();
        let (place, aside) = (home.path().join("place"), home.path().join("aside"));
        prepare(&place);
        let faulty = Faulty::new(fault, at, &place, &aside);
        let written = write(&place, Some(&faulty));
        if faulty.steps() < at {
            written.unwrap();
            check(&place, true);
            return at - 1;
        }
        let error = written.expect_err("a failed step went unnoticed");
        assert!(matches!(&error, Error::Io { .. }), "step {at}: {error}");
        let left = if fault == Fault::PowerCut { &aside } else { &place };
        check(left, false);
        write(left, None).unwrap_or_else(|error| panic!("step {at}: {error}"));
        check(left, true);
    }
    unreachable!()
}

#[test]
fn cut_off_at_every_step_a_new_dataset_continues_to_the_same_bytes() {
    let home = tempfile::tempdir().unwrap();
    let reference = create(home.path(), None).unwrap();
    assert_eq!(assert_whole(home.path()), reference);
    assert!(files(home.path()).len() > 8, "{:?}", files(home.path()));
    let reference = contents(home.path());
    let check = |dir: &Path, is_finished: bool| {
        if is_finished {
            assert!(contents(dir) == reference);
        } else if dir.join("manifest.json").exists() {
            assert_holds(&Dataset::open(dir).unwrap(), &sources(0..9));
        } else {
            assert!(matches!(Dataset::open(dir), Err(Error::NoManifest { .. })));
            assert!(contents(dir).iter().all(|file| !file.0.ends_with(".clipshard") || reference.contains(file)));
        }
    };
    let nothing = |dir: &Path| std::fs::create_dir(dir).unwrap();
    for fault in [Fault::PowerCut, Fault::Once] {
        let steps = fail_at_every_step(fault, nothing, create, check);
        assert!(steps > 60, "{steps} steps");
    }
}

#[test]
fn cut_off_at_every_step_a_change_leaves_the_old_dataset_or_the_new_one() {
    let home = tempfile::tempdir().unwrap();
    let old = create(home.path(), None).unwrap();
    let check = |dir: &Path, is_finished: bool| {
        let data = Dataset::open(dir).unwrap();
        if is_finished {
            assert_whole(dir);
            assert_holds(&data, &changed());
        } else if *data.manifest() == old {
            assert_holds(&data, &sources(0..9));
        } else {
            assert_holds(&data, &changed());
        }
    };
    for fault in [Fault::PowerCut, Fault::Once] {
        let steps = fail_at_every_step(fault, |dir| copy_tree(home.path(), dir), change, check);
        assert!(steps > 60, "{steps} steps");
    }
}

#[test]
fn after_a_failed_write_a_writer_refuses_everything() {
    let home = tempfile::tempdir().unwrap();
    let faulty = Faulty::new(Fault::Once, 8, home.path(), home.path());
    let mut writer = DatasetWriter::create_with(home.path(), info(), &options(Some(&faulty))).unwrap();
    add_streams(&mut writer);
    let failed = sources(0..9).iter().map(|source| source.add_to(&mut writer)).find_map(Result::err);
    assert!(matches!(failed, Some(Error::Io { .. })), "{failed:?}");
    let refused = |result: Result<()>| assert!(result.unwrap_err().to_string().contains("an earlier write failed"));
    refused(sources(8..9)[0].add_to(&mut writer));
    refused(writer.add_clip(&NewClip::new("x", None, Vec::new()), &[]));
    refused(writer.remove_clips(["v_0"]));
    refused(writer.compact());
    refused(writer.add_class("x").map(drop));
    refused(writer.finish().map(drop));
    create(home.path(), None).unwrap();
    assert_holds(&Dataset::open(home.path()).unwrap(), &sources(0..9));
}

#[test]
fn resuming_removes_only_the_files_of_the_interrupted_writer() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    create(dir, None).unwrap();
    let before = contents(dir);
    let mut writer = DatasetWriter::append_with(dir, &options(None)).unwrap();
    add_streams(&mut writer);
    add_missing(&mut writer, &sources(20..23)).unwrap();
    drop(writer);
    let journal = std::fs::read_to_string(dir.join(".writing.json")).unwrap();
    let others = ["notes.txt", ".shard-x", "rgb-1.clipshard.bak", "other-00099.clipshard"];
    let unfinished = ["rgb-00099.clipshard", ".shard-1.partial", ".manifest-1.partial", ".writing-1.partial"];
    for name in others.iter().chain(&unfinished) {
        std::fs::write(dir.join(name), "x").unwrap();
    }
    let writer = DatasetWriter::resume(dir).unwrap();
    let left = files(dir);
    assert!(others.iter().all(|name| left.iter().any(|file| file == name)), "{left:?}");
    assert!(!unfinished.iter().any(|name| left.iter().any(|file| file == name)), "{left:?}");
    writer.discard().unwrap();
    for name in others {
        std::fs::remove_file(dir.join(name)).unwrap();
    }
    assert!(contents(dir) == before);
    // Without a journal there is nothing to resume, and a journal of another manifest is refused.
    let error = DatasetWriter::resume(dir).unwrap_err().to_string();
    assert!(error.contains("no interrupted writer left a journal here"), "{error}");
    let refused = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut changed = serde_json::from_str(&journal).unwrap();
        change(&mut changed);
        std::fs::write(dir.join(".writing.json"), changed.to_string()).unwrap();
        match DatasetWriter::resume(dir).unwrap_err() {
            Error::Journal { fault, .. } => fault,
            other => panic!("{other}"),
        }
    };
    assert!(refused(&|journal| *journal = 1.into()).contains("not a journal"));
    assert!(refused(&|journal| journal["version"] = 2.into()).contains("its version is 2"));
    for name in ["../x.clipshard", "manifest.json"] {
        assert!(refused(&|journal| journal["obsolete"] = vec![name].into()).contains("is not the name of a shard"));
    }
    for name in ["../rgb-00099.clipshard", "rgb-00000.clipshard", "flow-00099.clipshard"] {
        let fault = refused(&|journal| {
            journal["shards"][0]["stream"] = "rgb".into();
            journal["shards"][0]["file"] = name.into();
        });
        assert!(fault.contains("is not the name of a new shard of stream \"rgb\""), "{fault}");
    }
    assert!(refused(&|journal| journal["streams"][0]["encode"] = vec![9, 9, 9].into()).contains("unknown codec 9"));
    assert!(refused(&|journal| journal["base"] = 1.into()).contains("has changed manifest.json"));
    // So is the journal of a writer that was stopped before its first shards were finished.
    let fault = refused(&|journal| {
        journal["base"] = 1.into();
        journal["first"] = 0.into();
        journal["shards"] = Vec::<u8>::new().into();
    });
    assert!(fault.contains("has changed manifest.json"), "{fault}");
    assert!(contents(dir).iter().filter(|(file, _)| file != ".writing.json").eq(&before));
}
