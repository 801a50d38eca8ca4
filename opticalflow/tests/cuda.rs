//! Compares TV-L1 on an NVIDIA GPU with TV-L1 on the CPU. Other tests compare the CPU code with
//! OpenCV.
//!
//! These tests need a GPU:
//! `cargo test -p clip-flow --features cuda --test cuda -- --ignored --nocapture`.
//! On a machine without Rust, use `scripts/gpu_check.sh`.
#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use std::time::Instant;

use clip_flow::{CudaTvL1, Error, Flow, TvL1, TvL1Params};

/// Returns `count` frames of a synthetic scene that moves, `[count, height, width]`.
fn moments(width: usize, height: usize, count: usize) -> Vec<u8> {
    let pixel = |moment: usize, i: usize| {
        let (x, y, t) = ((i % width) as f32, (i / width) as f32, moment as f32);
        let wave = (0.3 * x + 0.5 * t).sin() * 60.0 + (0.21 * y - 0.13 * x - 0.3 * t).cos() * 50.0;
        // A moving square covers and uncovers the background.
        let square = (x - 3.0 * t - 20.0).abs() < 9.0 && (y - 25.0).abs() < 12.0;
        (128.0 + wave + if square { 15.0 } else { 0.0 }) as u8
    };
    (0..count).flat_map(|moment| (0..width * height).map(move |i| pixel(moment, i))).collect()
}

/// Computes the flow from each frame to the next on the CPU.
fn on_cpu(width: usize, height: usize, params: TvL1Params, frames: &[u8]) -> Vec<Flow> {
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
#[ignore = "needs a GPU"]
fn with_epsilon_0_gpu_and_cpu_give_the_same_bits() {
    let mut params = TvL1Params::default();
    (params.epsilon, params.outer_iterations) = (0.0, 3);
    for (width, height, count) in [(90, 71, 4), (341, 256, 3), (33, 20, 9), (3, 2, 2), (1, 1, 2)] {
        let frames = moments(width, height, count);
        let mut gpu = CudaTvL1::new(0, width, height, params, 8).unwrap();
        // The second result must not depend on the first.
        for _ in 0..2 {
            assert_eq!(gpu.compute(&frames).unwrap(), on_cpu(width, height, params, &frames), "{width}x{height}");
        }
    }
}

#[test]
#[ignore = "needs a GPU"]
fn with_default_parameters_gpu_and_cpu_differ_by_a_small_part_of_a_level() {
    let (width, height, count) = (341, 256, 6);
    let frames = moments(width, height, count);
    let mut gpu = CudaTvL1::new(0, width, height, TvL1Params::default(), count).unwrap();
    let found = gpu.compute(&frames).unwrap();
    let expected = on_cpu(width, height, TvL1Params::default(), &frames);
    assert_eq!(found.len(), expected.len());
    for (pair, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let error = found.end_point_error(expected).unwrap();
        println!("pair {pair}: {error:.6} pixels");
        // A level is 40/255 pixels.
        assert!(error < 0.01, "pair {pair}: {error} pixels");
    }
    // A batch of fewer pairs, then wrong numbers of bytes.
    assert_eq!(gpu.compute(&frames[width * height..3 * width * height]).unwrap(), found[1..2]);
    for wrong in [&frames[..width * height], &frames[..=width * height], &frames[..0]] {
        assert!(matches!(gpu.compute(wrong), Err(Error::Frames { .. })));
    }
}

#[test]
#[ignore = "needs a GPU"]
fn speed_of_gpu_and_cpu() {
    let (width, height, pairs) = (341, 256, 256);
    let frames = moments(width, height, pairs + 1);
    let mut gpu = CudaTvL1::new(0, width, height, TvL1Params::default(), pairs).unwrap();
    gpu.compute(&frames).unwrap();
    let start = Instant::now();
    gpu.compute(&frames).unwrap();
    let gpu_seconds = start.elapsed().as_secs_f64() / pairs as f64;
    let few = 4;
    let start = Instant::now();
    on_cpu(width, height, TvL1Params::default(), &frames[..(few + 1) * width * height]);
    let cpu_seconds = start.elapsed().as_secs_f64() / few as f64;
    println!(
        "{pairs} pairs of {width}x{height}: {:.3} ms per pair on the GPU, {:.1} ms on one CPU core",
        1e3 * gpu_seconds,
        1e3 * cpu_seconds
    );
}

#[test]
fn a_missing_gpu_is_an_error() {
    let error = CudaTvL1::new(1000, 20, 20, TvL1Params::default(), 1).err().unwrap();
    assert!(matches!(&error, Error::Gpu { ordinal: 1000, .. }), "{error}");
}
