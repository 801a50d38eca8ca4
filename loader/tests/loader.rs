//! Tests of the loader with a synthetic dataset.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use clip_loader::{
    Batch, Crop, Damage, Error, Loader, Result, Samples, Sampling, Split, SplitClip, State, TestCrop, TestOptions,
    TestSamples, TrainOptions, TrainSamples, View, Worker,
};
use clipshard::{
    Access, Dataset, Decoder, EncodeOptions, Encoder, Manifest, SampleType, Shape, ShardClip, ShardMetadata,
    ShardWriter, Stream, StreamSpec,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

mod synthetic;

use synthetic::synthetic_dataset;

fn open(dir: &Path) -> Arc<Dataset> {
    Arc::new(Dataset::open(dir).unwrap())
}

fn bytes(loader: Loader) -> Vec<u8> {
    loader.flat_map(|batch| batch.unwrap().bytes().to_vec()).collect()
}

/// Returns the bytes of all samples, made one by one in the current thread.
fn one_by_one(samples: &dyn Samples) -> Vec<u8> {
    let (mut worker, mut all) = (Worker::default(), Vec::new());
    for i in 0..samples.len() {
        let mut out = vec![0; samples.sample_bytes()];
        samples.fill(i, &mut worker, None, &mut [&mut out]).unwrap();
        all.extend(out);
    }
    all
}

fn training(data: &Arc<Dataset>, view: &View, options: TrainOptions) -> Arc<TrainSamples> {
    let split = Split::of(data, "1", view).unwrap();
    Arc::new(TrainSamples::new(data, split.train, view, options).unwrap())
}

fn testing(data: &Arc<Dataset>, view: &View, options: TestOptions) -> Arc<TestSamples> {
    let split = Split::of(data, "1", view).unwrap();
    Arc::new(TestSamples::new(data, split.test, view, options).unwrap())
}

#[test]
fn batches_are_the_samples_in_order_for_any_threads_slots_and_access() {
    let folder = synthetic_dataset();
    let read = Arc::new(Dataset::open_with(folder.path(), Access::Read).unwrap());
    for data in [open(folder.path()), read] {
        let (frame, stack) = (View::frame("rgb").side(30), View::stack("flow", 10).side(32));
        let augmented = |view: &View| view.clone().crop(Crop::Corners).flip(true);
        let options = TrainOptions::new().segments(2).seed(3).epoch(1);
        let all: [Arc<dyn Samples>; 4] = [
            training(&data, &augmented(&frame).jitter(0.4), options.clone()),
            training(&data, &augmented(&stack), options),
            testing(&data, &frame, TestOptions::new().samples(6).crop(TestCrop::Ten)),
            testing(&data, &stack, TestOptions::new().samples(7).sampling(Sampling::Seed)),
        ];
        for samples in all {
            let expected = one_by_one(&*samples);
            for (threads, slots, batch_size) in [(1, 1, 1), (2, 3, 4), (7, 2, 3), (3, 50, 100)] {
                let loader = Loader::builder(samples.clone()).threads(threads).slots(slots).batch_size(batch_size);
                let loader = loader.start().unwrap();
                assert_eq!(loader.batches(), samples.len().div_ceil(batch_size));
                assert!(bytes(loader) == expected);
            }
        }
    }
}

#[test]
fn test_stacks_are_the_stored_frames_from_the_middle_of_equal_parts() {
    let folder = synthetic_dataset();
    let data = open(folder.path());
    let view = View::stack("flow", 5).side(32);
    let samples = testing(&data, &view, TestOptions::new().samples(4));
    assert_eq!(samples.shape(), [1, 5, 2, 32, 32, 1]);
    let test = Split::of(&data, "1", &view).unwrap().test;
    let found = bytes(Loader::builder(samples.clone()).batch_size(3).start().unwrap());
    assert_eq!(found.len(), 4 * test.len() * samples.sample_bytes());
    for (i, found) in found.chunks(samples.sample_bytes()).enumerate() {
        let clip = &test[samples.clip_number(i)];
        let starts = clip.frames as usize - 4;
        let start = starts * (2 * (i % 4) + 1) / 8;
        assert_eq!(samples.starts(samples.clip_number(i)).nth(i % 4), Some(start as u32));
        let mut expected = vec![0; samples.sample_bytes()];
        let records = data.clip("flow", clip.clip).unwrap();
        records.decode_stack(start, 5, &mut Decoder::new().unwrap(), &mut expected).unwrap();
        assert!(found == expected, "sample {i}");
    }
}

#[test]
fn an_epoch_has_each_clip_once_and_its_own_order() {
    let folder = synthetic_dataset();
    let data = open(folder.path());
    let clips = |seed, epoch| {
        let samples = training(&data, &View::frame("rgb").side(32), TrainOptions::new().seed(seed).epoch(epoch));
        (0..samples.len()).map(|i| samples.clip(i).id.clone()).collect::<Vec<_>>()
    };
    let mut sorted = clips(1, 0);
    assert_eq!(clips(1, 0), sorted);
    assert!(clips(1, 1) != sorted || clips(1, 2) != sorted);
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), 5);
}

#[test]
fn aligned_segments_have_the_choices_of_the_first() {
    let temp = synthetic_dataset();
    let data = open(temp.path());
    let (plain, view) = (View::stack("rgb", 1).side(20), View::stack("rgb", 1).side(20).flip(true));
    let options = |aligned| TrainOptions::new().seed(1).segments(3).repeat(8).aligned(aligned);
    let segments = |view: &View, aligned| {
        let bytes = one_by_one(&*training(&data, view, options(aligned)));
        bytes.chunks_exact(20 * 20 * 3).map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let upright = segments(&plain, false);
    let mirrored = |aligned| -> Vec<bool> {
        segments(&view, aligned).iter().zip(&upright).map(|(found, upright)| found != upright).collect()
    };
    let (own, aligned) = (mirrored(false), mirrored(true));
    assert!(own.chunks_exact(3).any(|of| of[0] != of[1] || of[1] != of[2]));
    assert!(aligned.chunks_exact(3).all(|of| of[0] == of[1] && of[1] == of[2]));
    assert!(aligned.contains(&true) && aligned.contains(&false));
    // The first segment has the same choices in both cases.
    assert!(own.iter().step_by(3).eq(aligned.iter().step_by(3)));
    // Parts of frames are aligned, too.
    let cut = View::stack("rgb", 1).side(20).crop(Crop::Random);
    let (own, aligned) = (segments(&cut, false), segments(&cut, true));
    assert!(own.iter().step_by(3).eq(aligned.iter().step_by(3)) && own != aligned);
    let fingerprint = |aligned| training(&data, &view, options(aligned)).fingerprint();
    assert_ne!(fingerprint(true), fingerprint(false));
}

#[test]
fn ranks_follow_the_order_of_one_process_and_any_number_of_them_resumes() {
    let folder = synthetic_dataset();
    let data = open(folder.path());
    let view = View::frame("rgb").side(32);
    let samples = testing(&data, &view, TestOptions::new().samples(9));
    let each = samples.sample_bytes();
    let whole = one_by_one(&*samples);
    assert_eq!(whole.len(), 18 * each);
    for world in [1, 2, 4] {
        let ranks: Vec<Vec<u8>> = (0..world)
            .map(|rank| bytes(Loader::builder(samples.clone()).batch_size(2).rank(rank, world).start().unwrap()))
            .collect();
        for (i, expected) in whole.chunks(each).take(18 / world * world).enumerate() {
            assert!(ranks[i % world].chunks(each).nth(i / world) == Some(expected));
        }
        assert!(ranks.iter().all(|rank| rank.len() == 18 / world * each));
        // Each rank sees two batches. Another number of ranks makes the rest.
        let mut first = Loader::builder(samples.clone()).batch_size(2).rank(0, world).start().unwrap();
        assert_eq!(first.next_batch().unwrap().unwrap().samples().collect::<Vec<_>>(), [0, world]);
        first.next_batch().unwrap().unwrap();
        let state = first.state();
        assert_eq!(state.seen, 4 * world as u64);
        let text = serde_json::to_string(&state).unwrap();
        let state: State = serde_json::from_str(&text).unwrap();
        for others in [1, 2] {
            let rest: Vec<Vec<u8>> = (0..others)
                .map(|rank| {
                    let builder = Loader::builder(samples.clone()).batch_size(3).threads(2).rank(rank, others);
                    bytes(builder.resume(&state).unwrap().start().unwrap())
                })
                .collect();
            for (i, expected) in whole.chunks(each).skip(4 * world).enumerate().take((18 - 4 * world) / others * others)
            {
                assert!(rest[i % others].chunks(each).nth(i / others) == Some(expected));
            }
        }
    }
}

#[test]
fn a_state_of_other_samples_or_behind_the_end_is_refused() {
    let folder = synthetic_dataset();
    let data = open(folder.path());
    let view = View::frame("rgb").side(32);
    let of = |options| Loader::builder(training(&data, &view, options));
    let state = of(TrainOptions::new().seed(1)).start().unwrap().state();
    assert!(of(TrainOptions::new().seed(1)).resume(&state).is_ok());
    for other in [TrainOptions::new().seed(2), TrainOptions::new().seed(1).epoch(1)] {
        assert!(matches!(of(other).resume(&state), Err(Error::OtherSamples)));
    }
    for other in [view.clone().flip(true), view.clone().stride(2), view.clone().offset(1)] {
        let other = Loader::builder(training(&data, &other, TrainOptions::new().seed(1)));
        assert!(matches!(other.resume(&state), Err(Error::OtherSamples)));
    }
    let far: State = serde_json::from_str(&format!("{{\"samples\":{},\"seen\":6}}", state.samples)).unwrap();
    assert!(matches!(of(TrainOptions::new().seed(1)).resume(&far), Err(Error::BehindTheEnd { seen: 6, samples: 5 })));
}

#[test]
fn options_that_make_no_sense_are_refused_by_name() {
    let folder = synthetic_dataset();
    let data = open(folder.path());
    let frame = View::frame("rgb").side(32);
    let split = Split::of(&data, "1", &frame).unwrap();
    let train = |view: &View, options| TrainSamples::new(&data, split.train.clone(), view, options).map(drop);
    let fault = |result: Result<()>| result.unwrap_err().to_string();
    let new = TrainOptions::new;
    assert_eq!(fault(train(&frame, new().segments(17))), "segments 17 is not between 1 and 16");
    assert_eq!(fault(train(&frame, new().sampling(Sampling::Seed).segments(4))), "segments 4 is not between 1 and 3");
    assert_eq!(fault(train(&frame.clone().jitter(f64::NAN), new())), "jitter NaN is not between 0 and 1000");
    assert_eq!(fault(train(&frame.clone().side(0), new())), "side 0 is not between 1 and 16384");
    let small = fault(train(&frame.clone().side(37).crop(Crop::Random), new()));
    assert!(small.ends_with("frames of 44x36 are too small to crop 37x37"), "{small}");
    let long = fault(train(&View::stack("rgb", 13), new()));
    assert!(long.contains("has 12 frames, but a view needs 13"), "{long}");
    assert!(fault(train(&View::frame("depth"), new())).contains("depth"));
    let split = |name| Split::of(&data, name, &frame).map(drop);
    assert!(fault(split("7")).ends_with("has no split 7; it has 1"));
    let samples = training(&data, &frame, new());
    let start = |threads, rank| {
        Loader::builder(samples.clone()).threads(threads).rank(rank, 2).start().map(drop).unwrap_err().to_string()
    };
    assert_eq!(start(0, 0), "threads 0 is not between 1 and 16384");
    assert_eq!(start(1, 2), "rank 2 is not below the number of ranks, 2");
}

#[test]
fn groups_move_whole_from_train_to_val() {
    let folder = synthetic_dataset();
    let data = open(folder.path());
    let mut split = Split::of(&data, "1", &View::frame("rgb")).unwrap();
    assert_eq!((split.validation().len(), split.val.len()), (2, 0), "without val clips, the test clips choose");
    let unknown = split.hold_out(&data, &["g09".to_owned()]).unwrap_err().to_string();
    assert_eq!(unknown, "no training clip belongs to group g09; the groups are g01, g02, g03");
    split.hold_out(&data, &["g02".to_owned()]).unwrap();
    assert!(split.val.iter().all(|clip| clip.id.contains("_g02_")));
    assert_eq!((split.train.len(), split.validation().len(), split.test.len()), (3, 2, 2));
    let all = ["g01".to_owned(), "g03".to_owned()];
    assert!(matches!(split.hold_out(&data, &all), Err(Error::NothingToTrain)));
    assert_eq!((split.train.len(), split.val.len()), (3, 2));
}

#[test]
fn all_streams_hold_out_the_same_share_of_groups() {
    let folder = synthetic_dataset();
    let data = open(folder.path());
    // Clips 0 and 1 have 11 and 14 flow frames. A view that is too long for clip 0 still counts it.
    let views = [View::frame("rgb"), View::stack("flow", 10), View::stack("flow", 13)];
    let held_out = |view: &View, share: f64| {
        let mut split = Split::of(&data, "1", view).unwrap();
        let lacking = split.hold_out_share(&data, share).unwrap();
        let numbers = |clips: &[SplitClip]| clips.iter().map(|clip| clip.clip).collect::<Vec<_>>();
        (numbers(&split.train), numbers(&split.val), lacking)
    };
    // An independent implementation visits g03, g01 and g02, in this order. For a third, g03 alone is
    // nearest, although Right has no clip in it.
    assert_eq!(held_out(&views[0], 0.34), (vec![0, 1, 2, 3], vec![4], vec![1]));
    assert_eq!(held_out(&views[0], 0.5), (vec![2, 3], vec![0, 1, 4], vec![]));
    assert_eq!(held_out(&views[1], 0.5), (vec![2, 3], vec![0, 1, 4], vec![]));
    assert_eq!(held_out(&views[2], 0.5), (vec![2, 3], vec![1, 4], vec![]));
    // Right keeps its last group.
    assert_eq!(held_out(&views[0], 0.9), (vec![2, 3], vec![0, 1, 4], vec![]));
    assert_eq!(held_out(&views[0], 0.0), (vec![0, 1, 2, 3, 4], vec![], vec![]));

    let mut split = Split::of(&data, "1", &views[0]).unwrap();
    let mut fault = |share| split.hold_out_share(&data, share).unwrap_err().to_string();
    assert_eq!(fault(1.0), "share 1 is not at least 0 and less than 1");
    assert_eq!(fault(f64::NAN), "share NaN is not at least 0 and less than 1");
    let nothing = fault(0.1);
    assert!(nothing.starts_with("no group can be held out for a share of 0.1: "), "{nothing}");
    assert_eq!((split.train.len(), split.val.len()), (5, 0));

    // The only usable training clip, clip 4, is of g03.
    let mut long = Split::of(&data, "1", &View::stack("flow", 21)).unwrap();
    assert!(matches!(long.hold_out_share(&data, 0.18), Err(Error::NothingToTrain)));
    assert_eq!((long.train.len(), long.val.len()), (1, 0));
}

#[test]
fn groups_of_the_manifest_win_over_those_in_the_names() {
    let folder = synthetic_dataset();
    let mut manifest = Manifest::read(folder.path()).unwrap();
    let groups = ["x", "x", "y", "y", "y"].into_iter().zip(&manifest.clips);
    manifest.groups = groups.map(|(group, clip)| (clip.id.clone(), group.to_owned())).collect();
    manifest.write(folder.path()).unwrap();
    let data = open(folder.path());
    let mut split = Split::of(&data, "1", &View::frame("rgb")).unwrap();
    assert_eq!(split.hold_out_share(&data, 0.4).unwrap(), Vec::<u32>::new());
    assert_eq!(split.val.iter().map(|clip| clip.clip).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_split_lists_train_val_and_test_and_other_subsets_are_listed_by_name() {
    let folder = synthetic_dataset();
    let mut manifest = Manifest::read(folder.path()).unwrap();
    for (clip, subset) in manifest.clips.iter_mut().zip(["test", "train", "val", "train", "hard", "unused", "val"]) {
        clip.subsets = vec![subset.into()];
    }
    manifest.clips[3].label = None;
    manifest.write(folder.path()).unwrap();
    let data = open(folder.path());
    let numbers = |clips: &[SplitClip]| clips.iter().map(|clip| clip.clip).collect::<Vec<_>>();
    let of = |split: &Split| [&split.train, &split.val, &split.test, &split.omitted].map(|clips| numbers(clips));
    let view = View::frame("rgb");
    let mut split = Split::of(&data, "1", &view).unwrap();
    assert_eq!(of(&split), [vec![1, 3], vec![2, 6], vec![0], vec![]]);
    assert_eq!(numbers(split.validation()), [2, 6]);
    assert_eq!((split.train[0].label, split.train[1].label), (Some(1), None));

    // Clip 0 has 12 frames, and clip 3 has no label.
    let labelled = Split::of_clips(&data, "1", &View::stack("rgb", 13), |clip| clip.label.is_some()).unwrap();
    assert_eq!(of(&labelled), [vec![1], vec![2, 6], vec![], vec![0, 3]]);

    // Groups that are held out come to the val clips of the dataset: clip 3 is of g02.
    split.hold_out(&data, &["g02".to_owned()]).unwrap();
    assert_eq!(of(&split), [vec![1], vec![2, 3, 6], vec![0], vec![]]);

    let subset = |name: &str| SplitClip::of_subset(&data, "1", &name.into(), "flow").unwrap();
    assert_eq!(numbers(&subset("hard")), [4]);
    assert_eq!((subset("hard")[0].frames, subset("unused")[0].frames), (11 + 3 * 4, 11 + 3 * 5));
    assert_eq!(numbers(&subset("harder")), [0; 0]);
    let fault = |split, stream| SplitClip::of_subset(&data, split, &"val".into(), stream).unwrap_err().to_string();
    assert!(fault("2", "flow").ends_with("has no split 2; it has 1"));
    assert!(fault("1", "depth").contains("depth"));
}

/// Adds a stream with one record per frame to a dataset.
fn add_stream(dir: &Path, spec: StreamSpec, shape: Shape) {
    let mut manifest = Manifest::read(dir).unwrap();
    let path = dir.join(format!("{}-00000.clipshard", spec.name));
    let mut writer = ShardWriter::create(path, &spec).unwrap();
    let mut encoder = Encoder::new(EncodeOptions::zstd(1).for_samples(spec.samples)).unwrap();
    for clip in &mut manifest.clips {
        let record = encoder.encode(&vec![7; shape.bytes()], shape).unwrap();
        writer.add_clip(&clip.id, &vec![record; 3]).unwrap();
        clip.frames.insert(spec.name.clone(), 3);
    }
    let metadata = ShardMetadata::new(&manifest.dataset, manifest.classes.clone(), manifest.splits.clone());
    let clips = manifest.clips.iter().map(ShardClip::from).collect();
    let shard = writer.finish(&metadata.with_clips(clips)).unwrap();
    manifest.streams.push(Stream::new(spec, vec![shard]));
    manifest.write(dir).unwrap();
}

#[test]
fn streams_of_arrays_are_refused_by_name_and_form() {
    let folder = synthetic_dataset();
    let poses = StreamSpec::arrays("poses", SampleType::F32, &[17, 3]);
    add_stream(folder.path(), poses, Shape::array(&[2, 17, 3], SampleType::F32).unwrap());
    let data = open(folder.path());
    let fault = |stream: &str| {
        let view = View::frame(stream).side(32);
        let split = Split::of(&data, "1", &view).unwrap();
        assert_eq!(split.train.len(), 5, "the clips are listed all the same");
        let train = TrainSamples::new(&data, split.train, &view, TrainOptions::new()).unwrap_err();
        let test = TestSamples::new(&data, split.test, &view, TestOptions::new()).unwrap_err().to_string();
        assert_eq!(train.to_string(), test);
        assert!(!train.is_damage());
        test.replace(&folder.path().display().to_string(), "DIR")
    };
    let form = "f32 arrays [n, 17, 3], but a loader needs images";
    assert_eq!(fault("poses"), format!("DIR: the records of stream poses are {form}; use another stream"));
    // The other streams are not affected.
    training(&data, &View::frame("rgb").side(32), TrainOptions::new());
}

#[test]
fn a_dataset_that_was_opened_without_flow_gives_samples_of_rgb() {
    let folder = synthetic_dataset();
    let view = View::frame("rgb").side(32);
    let whole = one_by_one(&*training(&open(folder.path()), &view, TrainOptions::new()));
    std::fs::remove_file(folder.path().join("flow-00000.clipshard")).unwrap();
    let data = Arc::new(Dataset::open_streams(folder.path(), &["rgb"], Access::Map).unwrap());
    let split = Split::of(&data, "1", &view).unwrap();
    assert_eq!(split.train[1].flow_frames, 14, "from the manifest");
    assert!(one_by_one(&*training(&data, &view, TrainOptions::new())) == whole);
    let flow = View::stack("flow", 10).side(32);
    let split = Split::of(&data, "1", &flow).unwrap();
    let error = TrainSamples::new(&data, split.train, &flow, TrainOptions::new()).unwrap_err().to_string();
    assert!(error.ends_with("stream flow is not open; name it when you open the dataset"), "{error}");
}

/// Damages the first flow record of clip `number`.
fn damage(dir: &Path, number: usize) {
    let data = Dataset::open(dir).unwrap();
    let stored = data.clip("flow", number).unwrap().record(0, 0).unwrap().bytes.into_owned();
    drop(data);
    let path = dir.join("flow-00000.clipshard");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(stored.len()).position(|window| window == stored).unwrap();
    bytes[at + stored.len() / 2] ^= 1;
    std::fs::write(&path, bytes).unwrap();
}

#[test]
fn damage_is_an_error_or_is_replaced_and_counted() {
    let folder = synthetic_dataset();
    damage(folder.path(), 0);
    let data = open(folder.path());
    // The first clip has eleven flow frames, so its only stack is damaged.
    let view = View::stack("flow", 11).side(32);
    let samples = training(&data, &view, TrainOptions::new());
    let error = Loader::builder(samples).start().unwrap().next_batch().unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("v_Wave_g01_c01"), "{error}");

    let reports = Arc::new(AtomicUsize::new(0));
    let counted = reports.clone();
    let replace = Damage::replace().on_first(move |error| {
        assert!(error.is_damage());
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let samples = training(&data, &view, TrainOptions::new().damage(replace));
    let place = (0..5).find(|&i| samples.clip(i).clip == 0).unwrap();
    let batch = Loader::builder(samples.clone()).start().unwrap().next_batch().unwrap().unwrap();
    assert_eq!(batch.len(), 5);
    assert!(samples.was_damaged(place) && samples.damaged() == 1);
    // The next clip replaces it.
    let next = (place + 1) % 5;
    assert_eq!(samples.clip(place), samples.clip(next));
    assert_eq!(batch.sample(place), batch.sample(next));
    assert_eq!(reports.load(Ordering::Relaxed), 1);
}

struct Numbers {
    fails_at: Option<usize>,
    panics_at: Option<usize>,
}

impl Samples for Numbers {
    fn len(&self) -> usize {
        1000
    }
    fn part_bytes(&self) -> Vec<usize> {
        vec![3]
    }
    fn fill(&self, i: usize, _: &mut Worker, _: Option<&[&[u8]]>, out: &mut [&mut [u8]]) -> Result<()> {
        assert_ne!(Some(i), self.panics_at, "sample {i} panics");
        if Some(i) == self.fails_at {
            return Err(Error::other(format!("sample {i} fails")));
        }
        out[0].fill(i as u8);
        Ok(())
    }
}

fn loader(samples: Numbers) -> Loader {
    Loader::builder(Arc::new(samples)).batch_size(4).threads(3).start().unwrap()
}

#[test]
fn an_error_or_a_panic_of_a_thread_ends_the_pass_with_its_message() {
    let mut failing = loader(Numbers { fails_at: Some(17), panics_at: None });
    let found: Vec<_> = failing.by_ref().take_while(Result::is_ok).collect();
    assert!(found.len() <= 4);
    assert!(failing.next().is_none());
    let messages = |samples| loader(samples).filter_map(Result::err).map(|e| e.to_string()).collect::<Vec<_>>();
    assert_eq!(messages(Numbers { fails_at: Some(17), panics_at: None }), ["sample 17 fails"]);
    let panics = messages(Numbers { fails_at: None, panics_at: Some(9) });
    assert!(panics.len() == 1 && panics[0].contains("panicked") && panics[0].contains("sample 9 panics"), "{panics:?}");
}

#[test]
fn a_consumer_may_leave_early_and_batches_outlive_their_loader() {
    let mut early = loader(Numbers { fails_at: None, panics_at: None });
    let batches: Vec<Batch> = early.by_ref().take(9).map(Result::unwrap).collect();
    drop(early);
    let values = std::thread::spawn(move || batches.iter().map(|batch| batch.sample(3)[0]).collect::<Vec<_>>());
    assert_eq!(values.join().unwrap(), [3, 7, 11, 15, 19, 23, 27, 31, 35]);
}
