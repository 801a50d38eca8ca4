//! Compares TV-L1 and DIS with OpenCV's `DualTVL1OpticalFlow` and `DISOpticalFlow` on synthetic
//! pairs.
//!
//! `scripts/make_flow_goldens.py` makes the goldens.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use clip_flow::{Dis, DisParams, Flow, TvL1, TvL1Params, quantise};

struct Golden {
    first: Vec<u8>,
    second: Vec<u8>,
    truth: Flow,
    opencv: [Flow; 2],
}

fn golden(bytes: &[u8], width: usize, height: usize) -> Golden {
    let pixels = width * height;
    assert_eq!(bytes.len(), pixels * (2 + 6 * 4));
    let (images, flows) = bytes.split_at(2 * pixels);
    let values: Vec<f32> = flows.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let plane = |i: usize| values[i * pixels..(i + 1) * pixels].to_vec();
    let flow = |i: usize| Flow::new(width, height, plane(i), plane(i + 1)).unwrap();
    Golden {
        first: images[..pixels].to_vec(),
        second: images[pixels..].to_vec(),
        truth: flow(0),
        opencv: [flow(2), flow(4)],
    }
}

fn goldens() -> [(&'static str, Golden); 3] {
    [
        ("shift", golden(include_bytes!("goldens/shift_61x44.bin"), 61, 44)),
        ("turn", golden(include_bytes!("goldens/turn_56x47.bin"), 56, 47)),
        ("zoom", golden(include_bytes!("goldens/zoom_57x40.bin"), 57, 40)),
    ]
}

/// Computes TV-L1 and DIS flow with this crate, in the order of the goldens.
fn compute(golden: &Golden) -> [Flow; 2] {
    let mut flows = [Flow::default(), Flow::default()];
    let Flow { width, height, .. } = golden.truth;
    let (mut tvl1, mut dis) =
        (TvL1::new(width, height, TvL1Params::default()).unwrap(), Dis::new(width, height, DisParams::MEDIUM).unwrap());
    tvl1.compute(&golden.first, &golden.second, &mut flows[0]).unwrap();
    dis.compute(&golden.first, &golden.second, &mut flows[1]).unwrap();
    flows
}

const METHODS: [&str; 2] = ["TV-L1", "DIS"];

#[test]
fn flow_is_that_of_opencv_within_a_level() {
    for (name, golden) in goldens() {
        for ((method, flow), opencv) in METHODS.into_iter().zip(compute(&golden)).zip(&golden.opencv) {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            let mut levels: Vec<u8> = Vec::new();
            for (a, b) in [(&flow.x, &opencv.x), (&flow.y, &opencv.y)] {
                quantise(a, &mut ours);
                quantise(b, &mut theirs);
                levels.extend(ours.iter().zip(&theirs).map(|(a, b)| a.abs_diff(*b)));
            }
            let mean = levels.iter().map(|&level| f64::from(level)).sum::<f64>() / levels.len() as f64;
            let near = levels.iter().filter(|&&level| level <= 2).count() as f64 / levels.len() as f64;
            println!("{name}, {method}: mean difference {mean:.3} levels, {near:.4} within 2 levels");
            assert!(mean <= 0.5, "{name}, {method}: {mean}");
            assert!(near >= 0.97, "{name}, {method}: {near}");
        }
    }
}

#[test]
fn motion_is_found_as_well_as_by_opencv() {
    for (name, golden) in goldens() {
        for ((method, flow), opencv) in METHODS.into_iter().zip(compute(&golden)).zip(&golden.opencv) {
            let (ours, theirs) =
                (flow.end_point_error(&golden.truth).unwrap(), opencv.end_point_error(&golden.truth).unwrap());
            println!("{name}, {method}: {ours:.4} pixels, OpenCV {theirs:.4}");
            // Rounding changes the error by thousandths of a pixel.
            assert!(ours <= theirs + 0.005, "{name}, {method}: {ours} against {theirs}");
        }
    }
}
