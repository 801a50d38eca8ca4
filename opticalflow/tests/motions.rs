//! Tests with synthetic images whose motion is known. The second image is the first one under a
//! known motion.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use clip_flow::{Dis, DisParams, Flow, TvL1, TvL1Params};

const WIDTH: usize = 150;
const HEIGHT: usize = 117;

type Texture = fn(f64, f64) -> f64;

/// Returns the grey value of a texture of a few long waves.
fn waves(x: f64, y: f64) -> f64 {
    128.0 + 40.0 * (0.31 * x + 0.1 * y).sin() + 35.0 * (0.23 * y - 0.17 * x).cos() + 30.0 * (0.19 * x + 0.47 * y).sin()
}

/// Returns the grey value of a texture of many waves in all directions, with lengths down to seven
/// pixels.
fn grain(x: f64, y: f64) -> f64 {
    let mut value = 128.0;
    for i in 0..40 {
        let (angle, length) = (f64::from(i) * 2.399_963, 0.08 + 0.02 * f64::from(i));
        value += 11.0 * (length * (angle.cos() * x + angle.sin() * y) + f64::from(i * i)).sin();
    }
    value
}

/// Returns the grey value of a soft checkerboard with fields of nine pixels. It has edges and flat
/// areas.
fn checks(x: f64, y: f64) -> f64 {
    let soft = |t: f64| (4.0 * t.sin()).tanh();
    128.0 + 90.0 * soft(0.35 * x) * soft(0.3 * y + 0.05 * x)
}

/// The motion p -> centre + matrix (p - centre) + shift.
struct Motion {
    matrix: [[f64; 2]; 2],
    shift: [f64; 2],
}

impl Motion {
    fn shift(x: f64, y: f64) -> Self {
        Self { matrix: [[1.0, 0.0], [0.0, 1.0]], shift: [x, y] }
    }

    fn turn_and_zoom(degrees: f64, zoom: f64) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Self { matrix: [[zoom * cos, -zoom * sin], [zoom * sin, zoom * cos]], shift: [0.0, 0.0] }
    }

    const CENTRE: [f64; 2] = [(WIDTH - 1) as f64 / 2.0, (HEIGHT - 1) as f64 / 2.0];

    fn forward(&self, x: f64, y: f64) -> (f64, f64) {
        let ([cx, cy], [[a, b], [c, d]], [sx, sy]) = (Self::CENTRE, self.matrix, self.shift);
        let (x, y) = (x - cx, y - cy);
        (a * x + b * y + cx + sx, c * x + d * y + cy + sy)
    }

    fn backward(&self, x: f64, y: f64) -> (f64, f64) {
        let ([cx, cy], [[a, b], [c, d]], [sx, sy]) = (Self::CENTRE, self.matrix, self.shift);
        let (x, y, determinant) = (x - cx - sx, y - cy - sy, a * d - b * c);
        ((d * x - b * y) / determinant + cx, (a * y - c * x) / determinant + cy)
    }

    /// Returns the first image, the second image and the true flow.
    fn pair(&self, texture: Texture) -> (Vec<u8>, Vec<u8>, Flow) {
        let (mut right, mut down) = (Vec::new(), Vec::new());
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                let (x, y) = (x as f64, y as f64);
                let grey = |(x, y)| texture(x, y).round().clamp(0.0, 255.0) as u8;
                first.push(grey((x, y)));
                second.push(grey(self.backward(x, y)));
                let (to_x, to_y) = self.forward(x, y);
                right.push((to_x - x) as f32);
                down.push((to_y - y) as f32);
            }
        }
        (first, second, Flow::new(WIDTH, HEIGHT, right, down).unwrap())
    }
}

/// Returns the end-point errors of TV-L1 and DIS in pixels.
fn errors(motion: &Motion, texture: Texture) -> [f64; 2] {
    let (first, second, truth) = motion.pair(texture);
    let mut flow = Flow::default();
    TvL1::new(WIDTH, HEIGHT, TvL1Params::default()).unwrap().compute(&first, &second, &mut flow).unwrap();
    let tvl1 = flow.end_point_error(&truth).unwrap();
    Dis::new(WIDTH, HEIGHT, DisParams::MEDIUM).unwrap().compute(&first, &second, &mut flow).unwrap();
    [tvl1, flow.end_point_error(&truth).unwrap()]
}

#[test]
fn known_motions_are_found_on_several_textures() {
    // The bounds are a fifth above the measured errors. Errors occur at the border, where new
    // content enters the image.
    let motions = [
        ("no motion", Motion::shift(0.0, 0.0), [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        ("half a pixel", Motion::shift(0.5, -0.25), [[0.072, 0.069, 0.090], [0.026, 0.061, 0.070]]),
        ("four pixels", Motion::shift(-3.2, 2.4), [[0.069, 0.098, 0.108], [0.030, 0.039, 0.085]]),
        ("a turn of 3 degrees", Motion::turn_and_zoom(3.0, 1.0), [[0.098, 0.088, 0.116], [0.149, 0.139, 0.143]]),
        ("a zoom of 5 percent", Motion::turn_and_zoom(0.0, 1.05), [[0.136, 0.213, 0.202], [0.158, 0.121, 0.156]]),
    ];
    let mut worse = Vec::new();
    for (name, motion, bounds) in motions {
        let textures: [(&str, Texture); 3] = [("waves", waves), ("grain", grain), ("checks", checks)];
        for (i, (texture_name, texture)) in textures.into_iter().enumerate() {
            for ((method, error), bounds) in ["TV-L1", "DIS"].into_iter().zip(errors(&motion, texture)).zip(bounds) {
                println!("{name}, {texture_name}, {method}: {error:.4} pixels");
                if error > bounds[i] {
                    worse.push(format!("{name}, {texture_name}, {method}: {error:.4} > {}", bounds[i]));
                }
            }
        }
    }
    assert!(worse.is_empty(), "{worse:#?}");
}
