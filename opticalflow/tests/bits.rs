//! Tests that results are reproducible, and that unusual images and parameters are handled.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use clip_flow::{Dis, DisParams, Error, Flow, TvL1, TvL1Params};

/// Returns a smooth synthetic image. A change of `phase` moves it.
fn image(width: usize, height: usize, phase: f32) -> Vec<u8> {
    let pixel = |i: usize| {
        let (x, y) = ((i % width) as f32, (i / width) as f32);
        (128.0 + 60.0 * (0.3 * x + phase).sin() + 50.0 * (0.21 * y - 0.13 * x - 0.5 * phase).cos()) as u8
    };
    (0..width * height).map(pixel).collect()
}

fn bits(flow: &Flow) -> Vec<u32> {
    flow.x.iter().chain(&flow.y).map(|value| value.to_bits()).collect()
}

fn changed(change: impl FnOnce(&mut TvL1Params)) -> TvL1Params {
    let mut params = TvL1Params::default();
    change(&mut params);
    params
}

fn dis(change: impl FnOnce(&mut DisParams)) -> DisParams {
    let mut params = DisParams::MEDIUM;
    change(&mut params);
    params
}

fn few_warps() -> TvL1Params {
    changed(|p| (p.warps, p.outer_iterations) = (2, 3))
}

#[test]
fn simd_and_portable_code_give_the_same_bits() {
    for (width, height) in [(53, 41), (64, 48), (16, 17), (7, 90)] {
        let (first, second) = (image(width, height, 0.0), image(width, height, 0.4));
        let solver = TvL1::new(width, height, few_warps()).unwrap();
        let mut flows = [Flow::default(), Flow::default()];
        solver.clone().compute(&first, &second, &mut flows[0]).unwrap();
        solver.portable().compute(&first, &second, &mut flows[1]).unwrap();
        assert!(flows[0].x.iter().any(|x| x.abs() > 0.1), "something moves");
        assert_eq!(bits(&flows[0]), bits(&flows[1]), "{width}x{height}");
    }
}

#[test]
fn dis_gives_the_same_bits_with_and_without_simd() {
    for (width, height) in [(53, 41), (130, 97), (16, 17), (9, 90), (8, 8)] {
        for params in [DisParams::MEDIUM, DisParams::FAST, dis(|p| p.finest_scale = 0)] {
            let (first, second) = (image(width, height, 0.0), image(width, height, 0.4));
            let solver = Dis::new(width, height, params).unwrap();
            let mut flows = [Flow::default(), Flow::default(), Flow::default()];
            solver.clone().compute(&first, &second, &mut flows[0]).unwrap();
            solver.clone().portable().compute(&first, &second, &mut flows[1]).unwrap();
            assert!(flows[0].x.iter().any(|x| x.abs() > 0.1), "{width}x{height}: something moves");
            assert_eq!(bits(&flows[0]), bits(&flows[1]), "{width}x{height}");
            // Earlier pairs do not change the result either.
            let mut used = solver;
            used.compute(&second, &first, &mut flows[2]).unwrap();
            used.compute(&first, &second, &mut flows[2]).unwrap();
            assert_eq!(bits(&flows[0]), bits(&flows[2]), "{width}x{height}");
        }
    }
}

#[test]
fn dis_takes_images_of_any_size() {
    for (width, height) in [(1, 1), (3, 40), (8, 7), (8, 8), (9, 8), (17, 16), (33, 31), (400, 8)] {
        let mut flow = Flow::default();
        let mut solver = Dis::new(width, height, DisParams::MEDIUM).unwrap();
        solver.compute(&image(width, height, 0.0), &image(width, height, 0.5), &mut flow).unwrap();
        assert_eq!(
            (flow.width, flow.height, flow.x.len(), flow.y.len()),
            (width, height, width * height, width * height)
        );
        assert!(flow.x.iter().chain(&flow.y).all(|v| v.is_finite()), "{width}x{height}");
        solver.compute(&vec![7; width * height], &vec![7; width * height], &mut flow).unwrap();
        assert!(flow.x.iter().chain(&flow.y).all(|&v| v == 0.0), "{width}x{height}");
    }
    let wrong = dis(|p| p.stride = 9);
    assert!(matches!(Dis::new(20, 20, wrong), Err(Error::Parameter { name: "stride", .. })));
    assert!(Dis::new(20, 20, dis(|p| p.stride = 0)).is_err());
    assert!(Dis::new(20, 20, dis(|p| p.finest_scale = 17)).is_err());
    assert_eq!(Dis::new(0, 20, DisParams::MEDIUM).err(), Some(Error::Size { width: 0, height: 20 }));
}

#[test]
fn results_do_not_depend_on_what_was_computed_before() {
    let moments: Vec<_> = [0.0, 0.3, 0.5].into_iter().map(|phase| image(50, 38, phase)).collect();
    let fresh = TvL1::new(50, 38, few_warps()).unwrap();
    let mut used = fresh.clone();
    for (first, second) in [(0, 1), (2, 1), (1, 2), (0, 1)] {
        let (mut expected, mut flow) = (Flow::default(), Flow::default());
        flow.x = vec![9.0; 7];
        fresh.clone().compute(&moments[first], &moments[second], &mut expected).unwrap();
        used.compute(&moments[first], &moments[second], &mut flow).unwrap();
        assert_eq!(bits(&flow), bits(&expected));
    }
}

#[test]
fn images_without_texture_or_motion_do_not_move() {
    let mut flow = Flow::default();
    let mut solver = TvL1::new(40, 30, TvL1Params::default()).unwrap();
    for (first, second) in [(7, 7), (0, 0), (10, 11)] {
        solver.compute(&[first; 1200], &[second; 1200], &mut flow).unwrap();
        assert!(flow.x.iter().chain(&flow.y).all(|&v| v == 0.0), "{first} {second}");
    }
    let still = image(40, 30, 0.0);
    solver.compute(&still, &still, &mut flow).unwrap();
    assert!(flow.x.iter().chain(&flow.y).all(|&v| v == 0.0));
}

#[test]
fn images_of_any_size_can_be_computed() {
    for (width, height) in [(1, 1), (2, 1), (1, 2), (3, 3), (1, 40), (40, 1), (5, 4), (17, 16), (33, 31)] {
        let mut flow = Flow::default();
        let mut solver = TvL1::new(width, height, few_warps()).unwrap();
        solver.compute(&image(width, height, 0.0), &image(width, height, 0.5), &mut flow).unwrap();
        assert_eq!(
            (flow.width, flow.height, flow.x.len(), flow.y.len()),
            (width, height, width * height, width * height)
        );
        assert!(flow.x.iter().chain(&flow.y).all(|v| v.is_finite()), "{width}x{height}");
    }
}

#[test]
fn fields_whose_sizes_differ_are_refused() {
    let field = |width, height| Flow::new(width, height, vec![1.0; width * height], vec![0.0; width * height]).unwrap();
    assert!(matches!(Flow::new(3, 2, vec![0.0; 6], vec![0.0; 5]), Err(Error::Field { motions: (6, 5), .. })));
    assert_eq!(field(3, 2).end_point_error(&field(3, 2)), Ok(0.0));
    assert!(matches!(field(3, 2).end_point_error(&field(2, 3)), Err(Error::Field { got: (2, 3), .. })));
    let mut cut = field(3, 2);
    cut.y.pop();
    assert!(cut.end_point_error(&field(3, 2)).is_err() && field(3, 2).end_point_error(&cut).is_err());
}

#[test]
fn hard_noise_stays_finite() {
    let mut state = 5_u32;
    let mut noise = || -> Vec<u8> {
        (0..64 * 48)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if state >> 31 == 0 { 0 } else { 255 }
            })
            .collect()
    };
    let mut flow = Flow::default();
    TvL1::new(64, 48, TvL1Params::default()).unwrap().compute(&noise(), &noise(), &mut flow).unwrap();
    assert!(flow.x.iter().chain(&flow.y).all(|v| v.is_finite()));
}

#[test]
fn wrong_parameters_and_sizes_are_refused() {
    let refused = |params: TvL1Params| matches!(TvL1::new(20, 20, params), Err(Error::Parameter { .. }));
    let usual = TvL1Params::default();
    for tau in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(refused(changed(|p| p.tau = tau)) && refused(changed(|p| p.lambda = tau)), "{tau}");
        assert!(refused(changed(|p| p.theta = tau)), "{tau}");
    }
    for scale_step in [0.0, 1.0, 1.5, f64::NAN] {
        assert!(refused(changed(|p| p.scale_step = scale_step)), "{scale_step}");
    }
    assert!(refused(changed(|p| p.scales = 0)) && refused(changed(|p| p.epsilon = -0.1)));
    for (width, height) in [(0, 5), (5, 0), (8193, 8192), (usize::MAX, 2)] {
        assert_eq!(TvL1::new(width, height, usual).err(), Some(Error::Size { width, height }));
    }
    let wrong = TvL1::new(4, 3, usual).unwrap().compute(&[0; 12], &[0; 11], &mut Flow::default());
    assert_eq!(wrong.unwrap_err().to_string(), "an image has 11 bytes, but a grey image of 4x3 has 12");
}
