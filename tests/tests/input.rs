//! The batches of the input pipeline on a packed data set.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use candle_core::Device;
use clipshard::{Access, Dataset};
use ucftrain::input::{Plan, SampleSource, TestSource, TrainSource, with_batches};
use ucftrain::stream::Stream;
use ucftrain::videos::Videos;
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
        [Access::Map, Access::Read].map(|access| Dataset::open_with(&temp.path().join("packed"), access).unwrap());
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
        // Two ranks in turns are the epoch of one that is alone.
        let ranks = [0, 1].map(|rank| TrainSource::new(&mapped, &train, stream, 32, 1, 2).share(rank, 2));
        let shares = ranks.each_ref().map(|rank| pixels(rank, 2, 0));
        for (i, sample) in epoch.chunks(source.sample_bytes()).take(2 * ranks[0].len()).enumerate() {
            assert!(shares[i % 2].chunks(source.sample_bytes()).nth(i / 2) == Some(sample));
        }
    }
}
