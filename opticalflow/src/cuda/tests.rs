//! Tests the arithmetic of the kernel without a GPU.
//!
//! A C compiler compiles the kernel to a program in which a block has one thread.

use std::path::Path;
use std::process::Command;

use super::plan::Plan;
use crate::{Flow, TvL1, TvL1Params};

/// Computes the flow from each frame to the next with the kernel.
fn by_kernel(width: usize, height: usize, params: &TvL1Params, frames: &[u8]) -> Vec<Flow> {
    let folder = tempfile::tempdir().unwrap();
    let [program, input, output] = ["kernel", "in", "out"].map(|name| folder.path().join(name));
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let source = Path::new("src/cuda/one_thread.c");
    let mut compile = Command::new(compiler);
    compile.args(["-std=c11", "-O2", "-ffp-contract=off", "-o"]).arg(&program).arg(source).arg("-lm");
    assert!(compile.status().unwrap().success(), "a C compiler");

    let plan = Plan::new(width, height, params);
    let pairs = frames.len() / (width * height) - 1;
    let sizes = [pairs, plan.levels.len() / 7, plan.taps.len() / 3, plan.pair_memory];
    let mut bytes: Vec<u8> = sizes.into_iter().flat_map(|size| (size as i64).to_ne_bytes()).collect();
    bytes.extend(plan.setup.iter().flat_map(|word| word.to_ne_bytes()));
    bytes.extend(plan.levels.iter().flat_map(|word| word.to_ne_bytes()));
    bytes.extend(plan.taps.iter().flat_map(|word| word.to_ne_bytes()));
    bytes.extend(plan.weights.iter().flat_map(|weight| weight.to_ne_bytes()));
    bytes.extend(frames);
    std::fs::write(&input, bytes).unwrap();
    assert!(Command::new(program).arg(&input).arg(&output).status().unwrap().success());
    let bytes = std::fs::read(output).unwrap();
    let values: Vec<f32> = bytes.chunks_exact(4).map(|value| f32::from_ne_bytes(value.try_into().unwrap())).collect();
    assert_eq!(values.len(), 2 * pairs * width * height);
    let flows = values.chunks_exact(2 * width * height).map(|flow| {
        let (x, y) = flow.split_at(width * height);
        Flow { width, height, x: x.to_vec(), y: y.to_vec() }
    });
    flows.collect()
}

/// Returns three frames of a synthetic scene that moves.
fn moments(width: usize, height: usize) -> Vec<u8> {
    let pixel = |moment: usize, i: usize| {
        let (x, y, t) = ((i % width) as f32, (i / width) as f32, moment as f32);
        let wave = (0.3 * x + 0.5 * t).sin() * 60.0 + (0.21 * y - 0.13 * x - 0.3 * t * t).cos() * 50.0;
        // A moving square covers and uncovers the background.
        let square = (x - 3.0 * t - 9.0).abs() < 5.0 && (y - 12.0).abs() < 6.0;
        (128.0 + wave + if square { 15.0 } else { 0.0 }) as u8
    };
    (0..3).flat_map(|moment| (0..width * height).map(move |i| pixel(moment, i))).collect()
}

#[test]
fn the_kernel_and_the_cpu_code_give_the_same_bits() {
    // With epsilon 0, the sum of changes, which is added in another order, does not end the
    // iterations.
    let exact =
        TvL1Params { epsilon: 0.0, warps: 3, inner_iterations: 7, outer_iterations: 3, ..TvL1Params::default() };
    for (width, height, params) in [
        (61, 44, exact),
        (90, 71, TvL1Params { scales: 3, scale_step: 0.5, ..exact }),
        (17, 50, TvL1Params { median: false, ..exact }),
        (3, 2, exact),
        (1, 1, exact),
    ] {
        let frames = moments(width, height);
        let mut solver = TvL1::new(width, height, params).unwrap();
        let flows = by_kernel(width, height, &params, &frames);
        for (pair, found) in flows.iter().enumerate() {
            let image = |i: usize| &frames[i * width * height..(i + 1) * width * height];
            let mut expected = Flow::default();
            solver.compute(image(pair), image(pair + 1), &mut expected).unwrap();
            assert_eq!(found, &expected, "{width}x{height}, pair {pair}");
            assert!(width < 10 || found.x.iter().any(|x| x.abs() > 0.5), "something moves");
        }
    }
}

#[test]
fn with_the_default_epsilon_results_differ_by_less_than_a_level() {
    let (width, height) = (150, 117);
    let frames = moments(width, height);
    let mut solver = TvL1::new(width, height, TvL1Params::default()).unwrap();
    for (pair, found) in by_kernel(width, height, &TvL1Params::default(), &frames).iter().enumerate() {
        let image = |i: usize| &frames[i * width * height..(i + 1) * width * height];
        let mut expected = Flow::default();
        solver.compute(image(pair), image(pair + 1), &mut expected).unwrap();
        let error = found.end_point_error(&expected).unwrap();
        println!("pair {pair}: {error:.6} pixels");
        // A level is 40/255 pixels.
        assert!(error < 0.01, "pair {pair}: {error} pixels");
    }
}
