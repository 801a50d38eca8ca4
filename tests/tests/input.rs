//! The batches of the input pipeline on a packed data set.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use candle_core::Device;
use clipshard::{Access, Dataset, Decoder, ImageSize};
use fast_image_resize::Resizer;
use ucftrain::input::{Plan, SampleSource, TestSource, TrainSource, with_batches};
use ucftrain::pixels::squash;
use ucftrain::stream::Stream;
use ucftrain::videos::Videos;
use ucftrain::view::{TestCrop, View};
use whole_program_tests::{args, run};

fn pixels(source: &dyn SampleSource, threads: usize, first_batch: usize) -> Vec<u8> {
    let plan = Plan { batch_size: 7, first_batch, threads, ring: 3 };
    with_batches(source, plan, &Device::Cpu, |batches| {
        let mut all = Vec::new();
        while let Some(batch) = batches.next_batch()? {
            (0..batch.samples.len()).for_each(|i| all.extend_from_slice(&batch.pixels(i)));
        }
        Ok(all)
    })
    .unwrap()
}

#[test]
fn batches_are_the_same_for_any_threads_way_of_reading_and_place_to_start() {
    let temp = tempfile::tempdir().unwrap();
    run("ucfpack", &args(temp.path(), "synth --out {}/tree --classes 2 --clips 6 --size 44x36 --seed 5")).ok();
    let build = "build --tree {}/tree --lists {}/tree/lists --out {}/packed --flow-size 32";
    run("ucfpack", &args(temp.path(), build)).ok();
    let [mapped, read] =
        [Access::Map, Access::Read].map(|access| Dataset::open_with(temp.path().join("packed"), access).unwrap());
    for stream in [Stream::Spatial, Stream::Temporal] {
        let Videos { train, test, .. } = Videos::of(&mapped, "1", stream).unwrap();
        let alone = pixels(&TestSource::new(&mapped, &test, stream, 32).each_alone(), 1, 0);
        let source = TrainSource::new(&mapped, &train, stream, 32, 1, 2);
        let epoch = pixels(&source, 1, 0);
        assert_eq!(epoch.len(), train.len() * source.sample_bytes());
        for threads in [1, 2, 16] {
            for data in [&mapped, &read] {
                // Test samples that share frames decode each once, and have the pixels of those that decode all of theirs.
                assert!(pixels(&TestSource::new(data, &test, stream, 32), threads, 0) == alone);
                let source = TrainSource::new(data, &train, stream, 32, 1, 2);
                assert!(pixels(&source, threads, 0) == epoch);
                assert!(pixels(&source, threads, 1) == epoch[7 * source.sample_bytes()..]);
            }
        }
        let tsn = |threads| {
            let source = TrainSource::new(&mapped, &train, stream, 28, 1, 2).with_view(View::tsn());
            pixels(&source, threads, 0)
        };
        assert!(tsn(1) == tsn(16));
        let samples = |alone: bool| {
            let source = TestSource::new(&mapped, &test, stream, 28)
                .with_view(View { test_crop: TestCrop::Three, ..View::tsn() });
            pixels(&if alone { source.each_alone() } else { source }, 2, 0)
        };
        assert!(samples(true) == samples(false));
        // Two ranks in turns are the epoch of one that is alone.
        let ranks = [0, 1].map(|rank| TrainSource::new(&mapped, &train, stream, 32, 1, 2).share(rank, 2));
        let shares = ranks.each_ref().map(|rank| pixels(rank, 2, 0));
        for (i, sample) in epoch.chunks(source.sample_bytes()).take(2 * ranks[0].len()).enumerate() {
            assert!(shares[i % 2].chunks(source.sample_bytes()).nth(i / 2) == Some(sample));
        }
    }
}

#[test]
fn the_views_of_a_recipe_are_the_stored_frames_cut_resized_and_mirrored() {
    let temp = tempfile::tempdir().unwrap();
    run("ucfpack", &args(temp.path(), "synth --out {}/tree --classes 2 --clips 4 --size 44x36 --seed 5")).ok();
    let build = "build --tree {}/tree --lists {}/tree/lists --out {}/packed --flow-size 32 --rgb-codec zstd";
    run("ucfpack", &args(temp.path(), build)).ok();
    let data = Dataset::open(temp.path().join("packed")).unwrap();
    let (side, view) = (28, View { test_crop: TestCrop::Ten, test_samples: 5, ..View::tsn() });
    for stream in [Stream::Spatial, Stream::Temporal] {
        let Videos { test, .. } = Videos::of(&data, "1", stream).unwrap();
        let source = TestSource::new(&data, &test, stream, side).with_view(view);
        let found = pixels(&source, 2, 0);
        assert_eq!(source.len(), 5 * test.len());
        let (channels, records) = (if stream == Stream::Spatial { 3 } else { 1 }, stream.records());
        let image = side * side * channels;
        // Short side 36 or 32: squares of 32 (31.5) and 28. The stored size decides, so flow needs no resizing.
        for (sample, found) in found.chunks(source.sample_bytes()).enumerate().step_by(7) {
            let video = &test[source.video(sample)];
            let clip = data.clip(records, video.clip).unwrap();
            let starts = if stream == Stream::Spatial { video.rgb_frames } else { video.flow_frames - 9 };
            let start = (starts as usize * (2 * (sample % 5) + 1)) / 10;
            let size = clip.size(start, 0).unwrap();
            let square = if stream == Stream::Spatial { 32 } else { 28 };
            for (number, found) in found.chunks(image).enumerate() {
                let per_view = stream.channels() / channels;
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
                squash(&mut Resizer::new(), &cut, cut_size, side, &mut expected).unwrap();
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
