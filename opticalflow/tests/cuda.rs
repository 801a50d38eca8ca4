//! TV-L1 on an NVIDIA card beside the processor's, which other tests hold against OpenCV.
//!
//! They need a card: `cargo test -p clip-flow --features cuda --test cuda -- --ignored --nocapture`, or `scripts/gpu_check.sh` where
//! there is no Rust.
#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use std::time::Instant;

use clip_flow::{CudaTvL1, Error, Flow, TvL1, TvL1Params};

/// So many moments of an image that moves, `[moments, height, width]`.
fn moments(width: usize, height: usize, count: usize) -> Vec<u8> {
    let pixel = |moment: usize, i: usize| {
        let (x, y, t) = ((i % width) as f32, (i / width) as f32, moment as f32);
        let wave = (0.3 * x + 0.5 * t).sin() * 60.0 + (0.21 * y - 0.13 * x - 0.3 * t).cos() * 50.0;
        // A square that covers and uncovers.
        let square = (x - 3.0 * t - 20.0).abs() < 9.0 && (y - 25.0).abs() < 12.0;
        (128.0 + wave + if square { 15.0 } else { 0.0 }) as u8
    };
    (0..count).flat_map(|moment| (0..width * height).map(move |i| pixel(moment, i))).collect()
}

/// Flow of each frame to the next by the processor.
fn by_processor(width: usize, height: usize, params: TvL1Params, frames: &[u8]) -> Vec<Flow> {
    let mut solver = TvL1::new(width, height, params).unwrap();
    let frames: Vec<&[u8]> = frames.chunks_exact(width * height).collect();
    let flow = |pair: &[&[u8]]| {
        let mut flow = Flow::default();
        solver.compute(pair[0], pair[1], &mut flow).unwrap();
        flow
    };
    frames.windows(2).map(flow).collect()
}

#[test]
#[ignore = "needs a card"]
fn without_an_early_end_of_iterations_every_bit_is_the_processors() {
    let mut params = TvL1Params::default();
    (params.epsilon, params.outer_iterations) = (0.0, 3);
    for (width, height, count) in [(90, 71, 4), (341, 256, 3), (33, 20, 9), (3, 2, 2), (1, 1, 2)] {
        let frames = moments(width, height, count);
        let mut card = CudaTvL1::new(0, width, height, params, 8).unwrap();
        // Twice, since nothing may be left over from the first time.
        for _ in 0..2 {
            assert_eq!(
                card.compute(&frames).unwrap(),
                by_processor(width, height, params, &frames),
                "{width}x{height}"
            );
        }
    }
}

#[test]
#[ignore = "needs a card"]
fn with_the_usual_parameters_it_differs_by_a_small_part_of_a_level() {
    let (width, height, count) = (341, 256, 6);
    let frames = moments(width, height, count);
    let mut card = CudaTvL1::new(0, width, height, TvL1Params::default(), count).unwrap();
    let found = card.compute(&frames).unwrap();
    let expected = by_processor(width, height, TvL1Params::default(), &frames);
    assert_eq!(found.len(), expected.len());
    for (pair, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let error = found.end_point_error(expected).unwrap();
        println!("pair {pair}: {error:.6} pixels");
        // A level is 40/255 of a pixel.
        assert!(error < 0.01, "pair {pair}: {error} pixels");
    }
    // A batch of fewer pairs, and what is no batch.
    assert_eq!(card.compute(&frames[width * height..3 * width * height]).unwrap(), found[1..2]);
    for wrong in [&frames[..width * height], &frames[..=width * height], &frames[..0]] {
        assert!(matches!(card.compute(wrong), Err(Error::Frames { .. })));
    }
}

#[test]
#[ignore = "needs a card"]
fn speed_beside_the_processor() {
    let (width, height, pairs) = (341, 256, 256);
    let frames = moments(width, height, pairs + 1);
    let mut card = CudaTvL1::new(0, width, height, TvL1Params::default(), pairs).unwrap();
    card.compute(&frames).unwrap();
    let start = Instant::now();
    card.compute(&frames).unwrap();
    let on_card = start.elapsed().as_secs_f64() / pairs as f64;
    let few = 4;
    let start = Instant::now();
    by_processor(width, height, TvL1Params::default(), &frames[..(few + 1) * width * height]);
    let on_processor = start.elapsed().as_secs_f64() / few as f64;
    println!(
        "{pairs} pairs of {width}x{height}: {:.3} ms a pair on the card, {:.1} ms on one core",
        1e3 * on_card,
        1e3 * on_processor
    );
}

#[test]
fn a_card_that_is_not_there_is_told() {
    let error = CudaTvL1::new(1000, 20, 20, TvL1Params::default(), 1).err().unwrap();
    assert!(matches!(&error, Error::Card { ordinal: 1000, .. }), "{error}");
}
