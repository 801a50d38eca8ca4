//! Tests of the batches that the input pipeline makes from a packed dataset.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use clip_loader::{Loader, Samples, TestCrop, TestSamples, TrainSamples};
use clipshard::{Access, Dataset, Decoder, ImageSize};
use std::sync::Arc;
use tempfile::TempDir;
use ucftrain::testing::{Choices, Stream, View, split, test_options, test_samples, training_samples};
use whole_program_tests::{Squash, args, run};

/// Returns all bytes of a pass from batch `first_batch` on, in batches of seven, for rank `rank` of
/// `world`.
fn pixels(samples: Arc<dyn Samples>, threads: usize, first_batch: usize, (rank, world): (usize, usize)) -> Vec<u8> {
    let loader = Loader::builder(samples).batch_size(7).threads(threads).rank(rank, world).start_at(7 * first_batch);
    loader.start().unwrap().flat_map(|batch| batch.unwrap().bytes().to_vec()).collect()
}

const ALONE: (usize, usize) = (0, 1);

/// Makes a synthetic dataset `packed` of two classes in a temporary folder. `more` are options of its build.
fn packed(clips: usize, more: &str) -> TempDir {
    let temp = tempfile::tempdir().unwrap();
    let line = format!("synth --out {{}}/tree --classes 2 --clips {clips} --size 44x36 --seed 5");
    run("ucfpack", &args(temp.path(), &line)).ok();
    let line = format!("build --tree {{}}/tree --lists {{}}/tree/lists --out {{}}/packed --flow-size 32 {more}");
    run("ucfpack", &args(temp.path(), line.trim())).ok();
    temp
}

/// Returns the samples of epoch 2 with seed 1.
fn training(data: &Arc<Dataset>, stream: Stream, view: View, side: usize) -> Arc<TrainSamples> {
    let clips = split(data, "1", stream).unwrap().train;
    let choices = Choices { seed: 1, epoch: 2, ..Choices::default() };
    training_samples(data, &clips, (stream, view, side), choices).unwrap()
}

fn testing(data: &Arc<Dataset>, stream: Stream, view: View, side: usize, shares_frames: bool) -> Arc<TestSamples> {
    let clips = split(data, "1", stream).unwrap().test;
    test_samples(data, &clips, (stream, view, side), test_options(view).shares_frames(shares_frames)).unwrap()
}

#[test]
fn batches_are_the_same_for_any_threads_way_of_reading_and_place_to_start() {
    let temp = packed(6, "");
    let [mapped, read] = [Access::Map, Access::Read]
        .map(|access| Arc::new(Dataset::open_with(temp.path().join("packed"), access).unwrap()));
    for stream in Stream::ALL {
        let seed = View::seed(stream);
        let alone = pixels(testing(&mapped, stream, seed, 32, false), 1, 0, ALONE);
        let samples = training(&mapped, stream, seed, 32);
        let each = samples.sample_bytes();
        let epoch = pixels(samples.clone(), 1, 0, ALONE);
        assert_eq!(epoch.len(), split(&mapped, "1", stream).unwrap().train.len() * each);
        for threads in [1, 2, 16] {
            for data in [&mapped, &read] {
                // Test samples that share frames decode each frame once, but have the same pixels.
                assert!(pixels(testing(data, stream, seed, 32, true), threads, 0, ALONE) == alone);
                assert!(pixels(training(data, stream, seed, 32), threads, 0, ALONE) == epoch);
                assert!(pixels(training(data, stream, seed, 32), threads, 1, ALONE) == epoch[7 * each..]);
            }
        }
        let tsn = |threads| pixels(training(&mapped, stream, View::tsn(), 28), threads, 0, ALONE);
        assert!(tsn(1) == tsn(16));
        let three = View { test_crop: TestCrop::Three, ..View::tsn() };
        let tested = |shares_frames| pixels(testing(&mapped, stream, three, 28, shares_frames), 2, 0, ALONE);
        assert!(tested(true) == tested(false));
        // Two ranks, taken in turns, give the epoch of a single rank.
        let shares = [0, 1].map(|rank| pixels(samples.clone(), 2, 0, (rank, 2)));
        for (i, sample) in epoch.chunks(each).take(samples.len() / 2 * 2).enumerate() {
            assert!(shares[i % 2].chunks(each).nth(i / 2) == Some(sample));
        }
    }
}

#[test]
fn the_views_of_a_recipe_are_the_stored_frames_cut_resized_and_mirrored() {
    let temp = packed(4, "--rgb-codec zstd");
    let data = Arc::new(Dataset::open(temp.path().join("packed")).unwrap());
    let (side, view) = (28, View { test_crop: TestCrop::Ten, test_samples: 5, ..View::tsn() });
    for stream in Stream::ALL {
        let test = split(&data, "1", stream).unwrap().test;
        let source = testing(&data, stream, view, side, true);
        let found = pixels(source.clone(), 2, 0, ALONE);
        assert_eq!(source.len(), 5 * test.len());
        let (channels, records) = (if stream == Stream::Temporal { 1 } else { 3 }, stream.records());
        let image = side * side * channels;
        // The short sides of 36 and 32 pixels give squares of 32 (31.5) and 28. The stored size
        // decides, so flow needs no resizing.
        for (sample, found) in found.chunks(source.sample_bytes()).enumerate().step_by(7) {
            let video = &test[source.clip_number(sample)];
            let clip = data.clip(records, video.clip).unwrap();
            let starts = match stream {
                Stream::Spatial => video.frames,
                Stream::Temporal => video.flow_frames - 9,
                Stream::Difference => video.frames - 5,
            };
            let start = (starts as usize * (2 * (sample % 5) + 1)) / 10;
            let size = clip.size(start, 0).unwrap();
            let square = if stream == Stream::Temporal { 28 } else { 32 };
            for (number, found) in found.chunks(image).enumerate() {
                let per_view = source.sample_bytes() / image / view.test_views();
                let (view, frame, plane) =
                    (number / per_view, start + number % per_view / clip.planes(), number % per_view % clip.planes());
                let mut whole = vec![0; size.bytes()];
                clip.decode(frame, plane, &mut Decoder::new().unwrap(), &mut whole).unwrap();
                let room = [size.width as usize - square, size.height as usize - square];
                let [x, y] = [[0, 0], [room[0], 0], [0, room[1]], room, [room[0] / 2, room[1] / 2]][view % 5];
                let mut cut = Vec::new();
                for row in y..y + square {
                    let at = (row * size.width as usize + x) * channels;
                    cut.extend_from_slice(&whole[at..at + square * channels]);
                }
                let cut_size = ImageSize { width: square as u16, height: square as u16, ..size };
                let mut expected = vec![0; image];
                Squash::default().apply(&cut, cut_size, side, &mut expected);
                if view >= 5 {
                    let rows = expected.chunks(side * channels);
                    let mirrored =
                        rows.flat_map(|row| row.chunks(channels).rev().flatten().copied().collect::<Vec<_>>());
                    let is_x = stream == Stream::Temporal && plane == 0;
                    expected = mirrored.map(|v| if is_x { 255 - v } else { v }).collect();
                }
                assert!(found == expected, "{stream}, sample {sample}, view {view}, frame {frame}, plane {plane}");
            }
        }
    }
}

#[test]
fn a_stack_that_is_longer_than_its_clip_repeats_the_last_frame() {
    let temp = packed(4, "");
    let data = Arc::new(Dataset::open(temp.path().join("packed")).unwrap());
    let (stream, side) = (Stream::Temporal, 32);
    let clips = split(&data, "1", stream).unwrap().test;
    let frames = clips[0].flow_frames as usize;
    let view = View { stack: Some(frames + 3), test_samples: 1, test_crop: TestCrop::Whole, ..View::tsn() };
    let samples = testing(&data, stream, view, side, true);
    let found = pixels(samples.clone(), 1, 0, ALONE);
    let (sample, frame) = (samples.sample_bytes(), 2 * side * side);
    assert_eq!(sample, (frames + 3) * frame);
    let mut expected = Vec::new();
    for number in (0..frames).chain([frames - 1; 3]) {
        for plane in 0..2 {
            let mut image = vec![0; side * side];
            let clip = data.clip("flow", clips[0].clip).unwrap();
            clip.decode(number, plane, &mut Decoder::new().unwrap(), &mut image).unwrap();
            expected.extend(image);
        }
    }
    assert!(found[..sample] == expected);
}
