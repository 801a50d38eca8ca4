//! Tests that a dataset opens only if manifest and shards match, and that `verify` lists all
//! faults.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod sample;

use clipshard::layout::{INDEX_ENTRY_BYTES, Trailer};
use clipshard::{Dataset, Error, Manifest, ShardWriter, Subset, VerifyDepth, VerifyReport, verify};
use sample::{JUMP, WAVE, build};
use std::path::Path;
use zerocopy::FromBytes;

fn open_error(dir: &Path) -> Error {
    Dataset::open(dir).map(|_| ()).expect_err("it must not open")
}

#[track_caller]
fn assert_manifest(error: &Error, expected: &str) {
    assert!(matches!(error, Error::Manifest { fault, .. } if fault.contains(expected)), "{error}");
}

#[track_caller]
fn assert_foreign(error: &Error, file: &str) {
    assert!(matches!(error, Error::ForeignShard { path } if path.ends_with(file)), "{error}");
}

/// Builds a dataset whose manifest has a change.
fn with_manifest(change: impl FnOnce(&mut Manifest)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut manifest = build(dir.path());
    change(&mut manifest);
    manifest.write(dir.path()).unwrap();
    dir
}

fn message<T: std::fmt::Debug>(result: clipshard::Result<T>) -> String {
    result.unwrap_err().to_string()
}

fn check(dir: &Path, depth: VerifyDepth) -> VerifyReport {
    verify(dir, depth, &|_| ()).unwrap()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_folder_without_a_manifest_says_so() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(open_error(dir.path()), Error::NoManifest { .. }));
    assert!(matches!(open_error(&dir.path().join("absent")), Error::NoManifest { .. }));
}

#[test]
fn a_missing_shard_is_named() {
    let dir = with_manifest(|_| ());
    std::fs::remove_file(dir.path().join("flow-00001.clipshard")).unwrap();
    let error = open_error(dir.path());
    let Error::MissingShard { path, stream } = &error else { panic!("{error}") };
    assert!(path.ends_with("flow-00001.clipshard") && stream == "flow", "{error}");
}

#[test]
fn a_shard_of_another_build_is_refused() {
    let dir = with_manifest(|_| ());
    let shard = dir.path().join("flow-00001.clipshard");
    let mut writer = ShardWriter::create(&shard, &sample::flow()).unwrap();
    let plane = |n| sample::encoded(clipshard::Codec::Raw, clipshard::Filter::None, sample::FLOW_SIZE, n);
    writer.add_clip(JUMP, &[plane(0), plane(1), plane(2), plane(3)]).unwrap();
    let manifest = Manifest::read(dir.path()).unwrap();
    writer.finish(&sample::metadata(&manifest.clips[1..])).unwrap();
    assert_foreign(&open_error(dir.path()), "flow-00001.clipshard");
}

#[test]
fn each_number_of_the_manifest_about_a_shard_is_compared() {
    let changes: [fn(&mut Manifest); 5] = [
        |m| m.streams[1].shards[0].bytes += 1,
        |m| m.streams[1].shards[0].clips += 1,
        |m| m.streams[1].shards[0].records += 2,
        |m| m.streams[1].shards[0].trailer_crc32 ^= 1,
        |m| m.streams[1].spec.planes = 1,
    ];
    for change in changes {
        assert_foreign(&open_error(with_manifest(change).path()), "flow-00000.clipshard");
    }
    // The file names of two shards are exchanged.
    let swapped = with_manifest(|m| {
        let shards = &mut m.streams[1].shards;
        let file = std::mem::replace(&mut shards[0].file, "flow-00001.clipshard".into());
        shards[1].file = file;
    });
    assert_foreign(&open_error(swapped.path()), "flow-00001.clipshard");
}

#[test]
fn a_clip_that_no_shard_holds_is_named() {
    let lost = with_manifest(|m| drop(m.streams[1].shards.pop()));
    assert_manifest(
        &open_error(lost.path()),
        "clip v_Jump_g02_c01 is listed with flow frames, but no shard holds them",
    );
}

#[test]
fn a_clip_whose_frames_the_manifest_does_not_list_is_named() {
    let removed = with_manifest(|m| drop(m.clips.pop()));
    assert_manifest(&open_error(removed.path()), "clip v_Jump_g02_c01 of rgb-00000.clipshard is not listed");
    let shorter = with_manifest(|m| *m.clips[1].frames.get_mut("flow").unwrap() = 1);
    let fault = "clip v_Jump_g02_c01 has 2 flow frames in flow-00001.clipshard, but 1 are listed";
    assert_manifest(&open_error(shorter.path()), fault);
    let without = with_manifest(|m| m.clips[0].frames.retain(|stream, _| stream != "rgb"));
    let fault = "clip v_Wave_g01_c01 has 3 rgb frames in rgb-00000.clipshard, but 0 are listed";
    assert_manifest(&open_error(without.path()), fault);
}

#[test]
fn a_clip_in_two_shards_is_refused() {
    let dir = with_manifest(|_| ());
    std::fs::copy(dir.path().join("flow-00001.clipshard"), dir.path().join("flow-00002.clipshard")).unwrap();
    let mut manifest = Manifest::read(dir.path()).unwrap();
    let mut copy = manifest.streams[1].shards[1].clone();
    copy.file = "flow-00002.clipshard".into();
    manifest.streams[1].shards.push(copy);
    manifest.write(dir.path()).unwrap();
    assert_manifest(
        &open_error(dir.path()),
        "clip v_Jump_g02_c01 is in flow-00002.clipshard and in another flow shard",
    );
}

#[test]
fn a_shard_is_listed_once_and_by_a_plain_name() {
    for name in ["", ".", "..", "a/b", "/etc/passwd", "a\\b", "C:x", "flow-00000.clipshard"] {
        let dir = tempfile::tempdir().unwrap();
        let mut manifest = build(dir.path());
        manifest.streams[0].shards[0].file = name.into();
        assert!(matches!(manifest.write(dir.path()), Err(Error::Manifest { .. })), "{name:?}");
    }
}

#[test]
fn clips_streams_and_splits_that_are_not_there_are_named_with_those_that_are() {
    let dir = with_manifest(|m| m.streams.truncate(2));
    let data = Dataset::open(dir.path()).unwrap();
    let no_stream = "no stream \"depth\" in this dataset; it has rgb, flow";
    assert!(message(data.clip("depth", 0)).contains(no_stream));
    assert!(message(data.shards("depth")).contains(no_stream));
    assert!(message(data.place("depth", 0)).contains(no_stream));
    assert!(message(data.clip("rgb", 2)).contains("no clip number 2; it has 2 clips"));
    assert!(message(data.place("flow", 2)).contains("no clip number 2; it has 2 clips"));
    assert!(message(data.clips_of("3", Subset::Train)).contains("no split \"3\" in this dataset; it has 1, 2"));
    assert_eq!((data.find_clip(WAVE), data.find_clip(JUMP), data.find_clip("v_Run")), (Some(0), Some(1), None));
    let place = data.place("flow", 1).unwrap();
    assert_eq!((place.shard, place.clip), (1, 0));
    let shard = &data.shards("rgb").unwrap()[0];
    assert!(matches!(shard.clip(2), Err(Error::NoClip { clip: 2, clips: 2, .. })));
    assert_eq!((shard.clip_id(1), shard.clip_id(2), shard.frame_count(2)), (Some(JUMP), None, None));
}

#[test]
fn frames_and_buffers_that_do_not_fit_are_usage_errors() {
    let data = Dataset::open(sample::golden()).unwrap();
    let mut decoder = clipshard::Decoder::new().unwrap();
    let flow = data.clip("flow", 0).unwrap();
    let plane = sample::FLOW_SIZE.bytes();
    let mut refused = |start, frames, bytes| {
        let error = flow.decode_stack(start, frames, &mut decoder, &mut vec![0; bytes]).unwrap_err();
        assert!(matches!(error, Error::Usage(_)), "{error}");
    };
    refused(0, 0, 0);
    refused(0, 4, 8 * plane);
    refused(2, 2, 4 * plane);
    refused(usize::MAX, 2, 4 * plane);
    refused(0, usize::MAX, 4 * plane);
    refused(0, 2, 4 * plane - 1);
    assert!(matches!(flow.size(3, 0), Err(Error::Usage(_))));
    assert!(matches!(flow.info(0, 2), Err(Error::Usage(_))));
    assert!(matches!(flow.record(3, 0), Err(Error::Usage(_))));
    assert!(matches!(flow.record(0, 2), Err(Error::Usage(_))));
    assert!(matches!(flow.decode(0, 0, &mut decoder, &mut [0; 3]), Err(Error::Usage(_))));
}

#[test]
fn hints_about_frames_that_are_not_there_are_ignored() {
    let data = Dataset::open(sample::golden()).unwrap();
    let flow = data.clip("flow", 0).unwrap();
    #[allow(clippy::reversed_empty_ranges, reason = "the ranges are wrong on purpose")]
    for frames in [0..3, 2..9, 3..4, 7..usize::MAX, usize::MAX..usize::MAX, 2..1, 0..0] {
        flow.will_need(frames);
    }
}

#[test]
fn clips_and_frames_come_in_order_with_what_the_index_says() {
    let data = Dataset::open(sample::golden()).unwrap();
    let found: Vec<_> = data
        .clips("flow")
        .unwrap()
        .map(|(number, clip)| {
            let clip = clip.unwrap();
            (number, clip.id(), clip.frames().len(), clip.frames().map(|frame| frame.number()).collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(found, [(0, WAVE, 3, vec![0, 1, 2]), (1, JUMP, 2, vec![0, 1])]);
    let clip = data.clip("flow", 1).unwrap();
    let mut stored = clip.byte_range().start;
    let mut decoder = clipshard::Decoder::new().unwrap();
    for frame in clip.frames() {
        for plane in 0..clip.planes() {
            let (info, record) = (frame.info(plane).unwrap(), frame.record(plane).unwrap());
            assert_eq!((info.offset, info.stored_bytes as usize), (stored, record.bytes.len()));
            assert_eq!((info.shape, info.codec, info.filter), (record.shape, record.codec, record.filter));
            assert_eq!(info.crc32, crc32fast::hash(&record.bytes));
            let mut pixels = vec![0; frame.size(plane).unwrap().bytes()];
            frame.decode(plane, &mut decoder, &mut pixels).unwrap();
            assert_eq!(pixels, sample::pixels(sample::FLOW_SIZE, 10 + 2 * frame.number() + plane));
            stored += u64::from(info.stored_bytes);
        }
        assert!(matches!(frame.record(2), Err(Error::Usage(_))));
    }
    assert_eq!(stored, clip.byte_range().end);
}

#[test]
fn a_handle_keeps_its_data_set_open_and_moves_to_another_thread() {
    let data = std::sync::Arc::new(Dataset::open(sample::golden()).unwrap());
    let handle = clipshard::ClipHandle::new(&data, "flow", 1).unwrap();
    let no_clip = clipshard::ClipHandle::new(&data, "flow", 2);
    assert!(matches!(no_clip, Err(Error::NoClip { clip: 2, .. })));
    assert_eq!(std::sync::Arc::strong_count(&data), 2);
    drop(data);
    let frames = std::thread::spawn(move || (handle.id().to_owned(), handle.number(), handle.records().frame_count()));
    assert_eq!(frames.join().unwrap(), (JUMP.to_owned(), 1, 2));
}

#[test]
fn a_handle_of_a_clip_with_a_damaged_index_is_not_made() {
    let dir = with_manifest(|_| ());
    let path = dir.path().join("flow-00001.clipshard");
    let bytes = std::fs::read(&path).unwrap();
    let (_, trailer) = Trailer::read_from_suffix(&bytes).unwrap();
    flip(&path, trailer.index_offset.get() as usize + 12);
    let data = std::sync::Arc::new(Dataset::open(dir.path()).unwrap());
    assert!(matches!(clipshard::ClipHandle::new(&data, "flow", 1), Err(Error::ClipIndex { clip, .. }) if clip == JUMP));
    assert!(clipshard::ClipHandle::new(&data, "flow", 0).is_ok());
    let damaged: Vec<_> = data.clips("flow").unwrap().map(|(number, clip)| (number, clip.is_err())).collect();
    assert_eq!(damaged, [(0, false), (1, true)]);
}

#[test]
fn frames_of_different_sizes_are_no_stack() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sizes.clipshard");
    let turned = clipshard::ImageSize { width: 12, height: 16, channels: 3 };
    let image = |size| sample::encoded(clipshard::Codec::Raw, clipshard::Filter::None, size, 0);
    let mut writer = ShardWriter::create(&path, &sample::rgb()).unwrap();
    writer.add_clip(WAVE, &[image(sample::RGB_SIZE), image(turned)]).unwrap();
    writer.finish(&sample::metadata(&build(dir.path()).clips[..1])).unwrap();
    let shard = clipshard::Shard::open(&path).unwrap();
    let mut out = vec![0; 2 * turned.bytes()];
    let mut decoder = clipshard::Decoder::new().unwrap();
    let error = shard.clip(0).unwrap().decode_stack(0, 2, &mut decoder, &mut out).unwrap_err();
    assert!(error.to_string().contains("frame 1 is 12x16x3 and frame 0 is 16x12x3"), "{error}");
}

#[test]
fn verify_finds_nothing_in_a_whole_data_set_and_counts_it() {
    for depth in [VerifyDepth::Quick, VerifyDepth::Deep] {
        let report = check(&sample::golden(), depth);
        let shards = Manifest::read(sample::golden()).unwrap().streams.into_iter().flat_map(|s| s.shards);
        let bytes = shards.map(|shard| shard.bytes).sum();
        assert_eq!((report.records, report.bytes), (15, bytes));
        assert!(report.damage.is_empty(), "{:?}", report.damage);
    }
}

#[test]
fn verify_lists_every_damage() {
    let dir = with_manifest(|_| ());
    let rgb = dir.path().join("rgb-00000.clipshard");
    let second_record =
        64 + clipshard::Shard::open(&rgb).unwrap().clip(0).unwrap().info(0, 0).unwrap().stored_bytes as usize;
    let bytes = std::fs::read(&rgb).unwrap();
    let (_, trailer) = Trailer::read_from_suffix(&bytes).unwrap();
    // The checksum in the fifth index entry, which belongs to the last clip.
    let last_entry = trailer.index_offset.get() as usize + 4 * INDEX_ENTRY_BYTES + 12;
    for at in [64, second_record, last_entry] {
        flip(&rgb, at);
    }
    std::fs::remove_file(dir.path().join("flow-00000.clipshard")).unwrap();
    flip(&dir.path().join("flow-00001.clipshard"), 10);
    let named = |depth, expected: &[&str]| {
        let damage = check(dir.path(), depth).damage;
        assert_eq!(damage.len(), expected.len(), "{damage:#?}");
        for (found, expected) in damage.iter().zip(expected) {
            assert!(found.to_string().contains(expected), "{found}");
        }
    };
    let records = [
        "record 0 (clip v_Wave_g01_c01, stream rgb, frame 0, plane 0)",
        "record 1 (clip v_Wave_g01_c01, stream rgb, frame 1, plane 0)",
    ];
    let others =
        ["index of clip v_Jump_g02_c01 (records 3 to 4)", "flow-00000.clipshard", "flow-00001.clipshard: header"];
    named(VerifyDepth::Quick, &others);
    named(VerifyDepth::Checksums, &[&records[..], &others].concat());
    named(VerifyDepth::Deep, &[&records[..], &others].concat());
}

#[test]
fn only_a_deep_check_finds_a_record_whose_checksum_fits_and_that_cannot_be_decoded() {
    let dir = with_manifest(|_| ());
    let path = dir.path().join("rgb-00000.clipshard");
    let mut writer = ShardWriter::create(&path, &sample::rgb()).unwrap();
    let record = sample::record(clipshard::Codec::Jpeg, clipshard::Filter::None, sample::RGB_SIZE, b"none".to_vec());
    writer.add_clip(WAVE, &[record]).unwrap();
    let mut manifest = Manifest::read(dir.path()).unwrap();
    manifest.streams.truncate(1);
    manifest.clips.truncate(1);
    manifest.clips[0].frames = [("rgb".to_owned(), 1)].into();
    manifest.streams[0].shards = vec![writer.finish(&sample::metadata(&manifest.clips)).unwrap()];
    manifest.write(dir.path()).unwrap();
    assert!(check(dir.path(), VerifyDepth::Checksums).damage.is_empty());
    let damage = check(dir.path(), VerifyDepth::Deep).damage;
    let [Error::Record { record: 0, clip, stream, frame: 0, plane: 0, fault, .. }] = &damage[..] else {
        panic!("{damage:#?}")
    };
    assert_eq!((clip.as_str(), stream.as_str()), (WAVE, "rgb"));
    assert!(fault.contains("its checksum matches, but it cannot be decoded"), "{fault}");
}

#[test]
fn verify_names_shards_of_another_build_with_other_damage() {
    let dir = with_manifest(|m| m.streams[1].shards[1].trailer_crc32 ^= 1);
    flip(&dir.path().join("rgb-00000.clipshard"), 64);
    let damage = check(dir.path(), VerifyDepth::Deep).damage;
    assert!(damage.len() == 2 && damage[0].to_string().contains("record 0"), "{damage:#?}");
    assert!(
        damage[1].to_string().contains("flow-00001.clipshard: not the shard that the manifest lists"),
        "{damage:#?}"
    );
}

#[test]
fn verify_finds_a_lost_clip() {
    let dir = with_manifest(|m| drop(m.streams[1].shards.pop()));
    let damage = check(dir.path(), VerifyDepth::Quick).damage;
    assert_eq!(damage.len(), 1, "{damage:#?}");
    assert_manifest(&damage[0], "clip v_Jump_g02_c01 is listed with flow frames");
}

#[test]
fn a_lost_manifest_is_rebuilt_from_the_shards_byte_for_byte() {
    let dir = with_manifest(|_| ());
    let path = dir.path().join("manifest.json");
    let lost = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    Manifest::rebuild(dir.path()).unwrap().write(dir.path()).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap().into_bytes(), lost);
    // The clips of a lost shard lack its stream.
    std::fs::remove_file(dir.path().join("flow-00001.clipshard")).unwrap();
    let rest = Manifest::rebuild(dir.path()).unwrap();
    let streams: Vec<_> = rest.clips.iter().map(|clip| clip.frames.keys().cloned().collect::<Vec<_>>()).collect();
    assert_eq!(streams, [vec!["flow", "rgb"], vec!["rgb"]]);
}

#[test]
fn groups_are_rebuilt_from_the_shards_and_agree_in_all_streams() {
    let write = |groups_of_flow: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        for (file, spec, groups) in [
            ("rgb-00000.clipshard", sample::rgb(), &["a 1"][..]),
            ("flow-00000.clipshard", sample::flow(), groups_of_flow),
        ] {
            let mut writer = ShardWriter::create(dir.path().join(file), &spec).unwrap();
            for id in ["a", "b"] {
                let plane = || sample::encoded(clipshard::Codec::Raw, clipshard::Filter::None, sample::FLOW_SIZE, 0);
                let records = if spec.planes == 1 { vec![sample::jpeg()] } else { vec![plane(), plane()] };
                writer.add_clip(id, &records).unwrap();
            }
            let described = clipshard::ShardClip::new(0, Vec::new());
            let groups = groups.iter().map(|group| (group[..1].to_owned(), group[2..].to_owned())).collect();
            let mut metadata = clipshard::ShardMetadata::new("", vec!["Wave".into()], Vec::new());
            (metadata.clips, metadata.groups) = (vec![described.clone(), described], groups);
            writer.finish(&metadata).unwrap();
        }
        dir
    };
    let dir = write(&["a 1"]);
    let manifest = Manifest::rebuild(dir.path()).unwrap();
    assert_eq!(manifest.groups, [("a".to_owned(), "1".to_owned())].into());
    manifest.write(dir.path()).unwrap();
    assert_eq!(Dataset::open(dir.path()).unwrap().manifest(), &manifest);
    assert!(check(dir.path(), VerifyDepth::Deep).damage.is_empty());
    for other in [&["a 2"][..], &[], &["a 1", "b 1"]] {
        let error = Manifest::rebuild(write(other).path()).unwrap_err().to_string();
        assert!(error.contains("has another group than in another shard"), "{error}");
    }
}

#[test]
fn shards_that_do_not_belong_together_give_no_manifest() {
    let error = |change: &dyn Fn(&Path)| {
        let dir = with_manifest(|_| ());
        change(dir.path());
        Manifest::rebuild(dir.path()).unwrap_err().to_string()
    };
    let copied = error(&|dir| {
        std::fs::copy(dir.join("rgb-00000.clipshard"), dir.join("rgb-00001.clipshard")).unwrap();
    });
    assert!(copied.contains("rgb-00001.clipshard: clip v_Wave_g01_c01 is also in another rgb shard"), "{copied}");
    let damaged = error(&|dir| flip(&dir.join("flow-00000.clipshard"), 30));
    assert!(damaged.contains("flow-00000.clipshard: header is damaged"), "{damaged}");
    let other = error(&|dir| {
        let mut writer = ShardWriter::create(dir.join("rgb-00001.clipshard"), &sample::rgb()).unwrap();
        writer.add_clip("v_Other_g01_c01", &[sample::jpeg()]).unwrap();
        let described = clipshard::ShardClip::new(None, Vec::new());
        let metadata = clipshard::ShardMetadata::new("other", Vec::new(), Vec::new()).with_clips(vec![described]);
        writer.finish(&metadata).unwrap();
    });
    assert!(other.contains("has another dataset name than"), "{other}");
    let empty = tempfile::tempdir().unwrap();
    assert!(Manifest::rebuild(empty.path()).unwrap_err().to_string().contains("no *.clipshard here"));
}
