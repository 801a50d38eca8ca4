//! Against OpenCV's `DualTVL1OpticalFlow` on made-up pairs (`scripts/make_flow_goldens.py`).
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use clip_flow::{Flow, Params, TvL1, quantise};

struct Golden {
    first: Vec<u8>,
    second: Vec<u8>,
    truth: Flow,
    opencv: Flow,
}

fn golden(bytes: &[u8], width: usize, height: usize) -> Golden {
    let pixels = width * height;
    assert_eq!(bytes.len(), pixels * (2 + 4 * 4));
    let (images, flows) = bytes.split_at(2 * pixels);
    let values: Vec<f32> = flows.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let plane = |i: usize| values[i * pixels..(i + 1) * pixels].to_vec();
    let flow = |i: usize| Flow { width, height, x: plane(i), y: plane(i + 1) };
    Golden { first: images[..pixels].to_vec(), second: images[pixels..].to_vec(), truth: flow(0), opencv: flow(2) }
}

fn goldens() -> [(&'static str, Golden); 3] {
    [
        ("shift", golden(include_bytes!("goldens/shift_61x44.bin"), 61, 44)),
        ("turn", golden(include_bytes!("goldens/turn_56x47.bin"), 56, 47)),
        ("zoom", golden(include_bytes!("goldens/zoom_57x40.bin"), 57, 40)),
    ]
}

fn compute(golden: &Golden) -> Flow {
    let mut flow = Flow::default();
    let Flow { width, height, .. } = golden.truth;
    TvL1::new(width, height, Params::default()).unwrap().compute(&golden.first, &golden.second, &mut flow).unwrap();
    flow
}

#[test]
fn flow_is_that_of_opencv_within_a_level() {
    for (name, golden) in goldens() {
        let flow = compute(&golden);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let mut levels: Vec<u8> = Vec::new();
        for (a, b) in [(&flow.x, &golden.opencv.x), (&flow.y, &golden.opencv.y)] {
            quantise(a, &mut ours);
            quantise(b, &mut theirs);
            levels.extend(ours.iter().zip(&theirs).map(|(a, b)| a.abs_diff(*b)));
        }
        let mean = levels.iter().map(|&level| f64::from(level)).sum::<f64>() / levels.len() as f64;
        let near = levels.iter().filter(|&&level| level <= 2).count() as f64 / levels.len() as f64;
        println!(
            "{name}: {mean:.3} levels in the mean, {near:.4} within 2, {:.4} pixels",
            flow.end_point_error(&golden.opencv)
        );
        assert!(mean <= 0.5, "{name}: {mean}");
        assert!(near >= 0.97, "{name}: {near}");
    }
}

#[test]
fn motion_is_found_as_well_as_by_opencv() {
    for (name, golden) in goldens() {
        let ours = compute(&golden).end_point_error(&golden.truth);
        let theirs = golden.opencv.end_point_error(&golden.truth);
        println!("{name}: {ours:.4} pixels, OpenCV {theirs:.4}");
        assert!(ours <= 1.02 * theirs, "{name}: {ours} against {theirs}");
    }
}
