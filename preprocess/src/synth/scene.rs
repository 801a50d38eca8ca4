//! A clip as a scene: a body of the class, two small distracting bodies, a background, a shaking
//! camera and changing light.

use clipshard::order::Draws;

use super::motion::{Motion, Path, Pose};
use super::texture::{Texture, hsl};

/// Smallest number of frames of a clip. It has up to [`MORE_FRAMES`] more.
const MIN_FRAMES: usize = 22;
const MORE_FRAMES: u64 = 5;
/// Amplitudes of the two waves on an outline, relative to the radius.
const WAVES: (f32, f32) = (0.13, 0.09);

/// The properties of a scene that the class decides.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    pub texture: Texture,
    /// Central hue of the class, in turns.
    pub hue: f32,
    /// Largest difference of a clip's hue from it.
    pub hue_spread: f32,
    pub motion: Motion,
}

/// The random numbers of a scene, separate for each topic, so that the motion does not depend on
/// the appearance.
#[derive(Debug, Clone)]
pub struct Look {
    pub background: Draws,
    pub geometry: Draws,
    pub colour: Draws,
    pub noise_key: u64,
}

/// A clip before it is drawn.
#[derive(Debug, Clone)]
pub struct Scene {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Number of RGB frames. Flow has one less.
    pub frames: usize,
    /// Bodies from bottom to top. The last one is the body of the class.
    pub(super) bodies: Vec<Body>,
    pub(super) background: Background,
    /// Position of the camera in each frame, in pixels.
    pub(super) camera: Vec<(f32, f32)>,
    /// Brightness of each frame, around 1.
    pub(super) light: Vec<f32>,
    pub(super) noise_key: u64,
}

/// A moving blob.
#[derive(Debug, Clone)]
pub(super) struct Body {
    /// Mean radius of its outline at scale 1, in pixels.
    pub radius: f32,
    /// Phases of two waves on the outline, its 2nd and 3rd harmonic.
    pub outline: (f32, f32),
    pub path: Path,
    pub texture: Texture,
    pub shades: [[f32; 3]; 2],
}

/// Smooth colour noise of the image's size, which wraps around at the edges.
#[derive(Debug, Clone)]
pub(super) struct Background {
    width: usize,
    height: usize,
    pixels: Vec<[f32; 3]>,
}

impl Scene {
    /// Creates a random scene.
    pub(super) fn new(size: (u16, u16), subject: Subject, look: &mut Look) -> Self {
        let geometry = &mut look.geometry;
        let frames = MIN_FRAMES + geometry.below(MORE_FRAMES + 1) as usize;
        let unit = f32::from(size.0.min(size.1)) / 72.0;
        let mut bodies = Vec::new();
        for _ in 0..2 {
            let direction = within(geometry, 0.0, std::f32::consts::TAU);
            let speed = within(geometry, 0.5, 2.5) * unit;
            let still = Motion::Still.path(size, frames, geometry);
            let path = Path { velocity: (speed * direction.cos(), speed * direction.sin()), ..still };
            let texture = Texture::ALL[look.colour.below(Texture::ALL.len() as u64) as usize];
            let hue = within(&mut look.colour, 0.0, 1.0);
            bodies.push(Body::new(within(geometry, 4.0, 6.0) * unit, path, texture, hue, geometry, &mut look.colour));
        }
        let path = subject.motion.path(size, frames, geometry);
        let radius = within(geometry, 14.0, 18.0) * unit;
        let hue = subject.hue + within(&mut look.colour, -subject.hue_spread, subject.hue_spread);
        bodies.push(Body::new(radius, path, subject.texture, hue, geometry, &mut look.colour));
        let (mut camera, mut at) = (Vec::new(), (0.0, 0.0));
        let (mut light, mut gain) = (Vec::new(), within(&mut look.colour, 0.85, 1.1));
        for _ in 0..frames {
            camera.push(at);
            at = (0.6 * at.0 + 0.7 * unit * normal(geometry), 0.6 * at.1 + 0.7 * unit * normal(geometry));
            light.push(gain);
            gain = (gain + 0.02 * normal(&mut look.colour)).clamp(0.75, 1.2);
        }
        Self {
            width: size.0.into(),
            height: size.1.into(),
            frames,
            bodies,
            background: Background::new(size, unit, &mut look.background),
            camera,
            light,
            noise_key: look.noise_key,
        }
    }

    /// Returns the topmost body at a pixel and the offset of the pixel from its centre. `None` is
    /// the background.
    pub(super) fn body_at(&self, poses: &[Pose], x: f32, y: f32) -> Option<(usize, (f32, f32))> {
        for (i, (body, pose)) in self.bodies.iter().zip(poses).enumerate().rev() {
            let offset = self.offset(pose.center, (x, y));
            if body.covers(pose, offset) {
                return Some((i, offset));
            }
        }
        None
    }

    /// Returns whether a body may cover part of a pixel.
    pub(super) fn is_near_body(&self, poses: &[Pose], x: f32, y: f32) -> bool {
        self.bodies.iter().zip(poses).any(|(body, pose)| {
            let reach = (1.0 + WAVES.0 + WAVES.1) * body.radius * pose.scale + 1.0;
            square(self.offset(pose.center, (x, y))) < reach * reach
        })
    }

    /// Returns the poses of all bodies as the camera sees them.
    pub(super) fn poses(&self, frame: usize) -> Vec<Pose> {
        let (cx, cy) = self.camera[frame];
        let (width, height) = (self.width as f32, self.height as f32);
        let seen = |pose: Pose| {
            let center = ((pose.center.0 + cx).rem_euclid(width), (pose.center.1 + cy).rem_euclid(height));
            Pose { center, ..pose }
        };
        self.bodies.iter().map(|body| seen(body.path.pose(frame))).collect()
    }

    /// Returns the shortest offset between two points of an image that wraps around.
    pub(super) fn offset(&self, from: (f32, f32), to: (f32, f32)) -> (f32, f32) {
        let wrap = |d: f32, n: usize| {
            let (n, half) = (n as f32, n as f32 / 2.0);
            if d >= half {
                d - n
            } else if d < -half {
                d + n
            } else {
                d
            }
        };
        (wrap(to.0 - from.0, self.width), wrap(to.1 - from.1, self.height))
    }
}

impl Body {
    fn new(radius: f32, path: Path, texture: Texture, hue: f32, geometry: &mut Draws, colour: &mut Draws) -> Self {
        let phase = |draws: &mut Draws| within(draws, 0.0, std::f32::consts::TAU);
        let outline = (phase(geometry), phase(geometry));
        let (mut light, mut dark) = (within(colour, 0.62, 0.78), within(colour, 0.2, 0.34));
        if colour.coin() {
            std::mem::swap(&mut light, &mut dark);
        }
        let saturation = within(colour, 0.6, 0.95);
        Self { radius, outline, path, texture, shades: [hsl(hue, saturation, light), hsl(hue, saturation, dark)] }
    }

    /// Returns an offset in the body's own coordinates: rotated back, in units of its radius.
    fn local(&self, pose: &Pose, (x, y): (f32, f32)) -> (f32, f32) {
        let (sin, cos) = pose.angle.sin_cos();
        let size = self.radius * pose.scale;
        ((cos * x + sin * y) / size, (cos * y - sin * x) / size)
    }

    fn covers(&self, pose: &Pose, offset: (f32, f32)) -> bool {
        // Most points are clearly inside or outside. Only points near the outline need the exact
        // test.
        let (size, distance) = (self.radius * pose.scale, square(offset));
        let (inner, outer) = ((1.0 - WAVES.0 - WAVES.1) * size, (1.0 + WAVES.0 + WAVES.1) * size);
        if distance < inner * inner || distance > outer * outer {
            return distance < inner * inner;
        }
        let (x, y) = self.local(pose, offset);
        let angle = y.atan2(x);
        let edge =
            1.0 + WAVES.0 * (2.0 * angle + self.outline.0).sin() + WAVES.1 * (3.0 * angle + self.outline.1).sin();
        square((x, y)) < edge * edge
    }

    pub fn colour(&self, pose: &Pose, offset: (f32, f32)) -> [f32; 3] {
        let (x, y) = self.local(pose, offset);
        self.shades[usize::from(self.texture.is_marked(x, y))]
    }

    /// Returns the motion of a point from one pose to the next, in pixels. The centre moves by
    /// `(dx, dy)`, and `(x, y)` is the offset of the point from the centre.
    pub fn shift(now: &Pose, next: &Pose, (dx, dy): (f32, f32), (x, y): (f32, f32)) -> (f32, f32) {
        let (sin, cos) = (next.angle - now.angle).sin_cos();
        let grown = next.scale / now.scale;
        (grown * (cos * x - sin * y) - x + dx, grown * (sin * x + cos * y) - y + dy)
    }
}

impl Background {
    /// Creates noise of three octaves around a dull colour.
    fn new((width, height): (u16, u16), unit: f32, draws: &mut Draws) -> Self {
        let (width, height) = (usize::from(width), usize::from(height));
        let hue = within(draws, 0.0, 1.0);
        let (a, b) =
            (hsl(hue, 0.3, within(draws, 0.25, 0.4)), hsl(hue + within(draws, 0.1, 0.4), 0.3, within(draws, 0.5, 0.7)));
        let mut shade = vec![0.0; width * height];
        for (cell, weight) in [(16.0, 0.5), (8.0, 0.3), (4.0, 0.3)] {
            add_noise(&mut shade, width, height, cell * unit, weight, draws);
        }
        let mix = |s: f32| [0, 1, 2].map(|c| a[c] + (b[c] - a[c]) * s.clamp(0.0, 1.0));
        Self { width, height, pixels: shade.into_iter().map(mix).collect() }
    }

    /// Returns a bilinear sample. Coordinates wrap around.
    pub fn sample(&self, x: f32, y: f32) -> [f32; 3] {
        let (left, top) = (x.floor(), y.floor());
        let (fx, fy) = (x - left, y - top);
        let wrap = |i: i32, n: usize| {
            let n = n as i32;
            let i = if i < 0 { i + n } else { i };
            (if i >= n { i % n } else { i.max(0) }) as usize
        };
        let (x, y) = (left as i32, top as i32);
        let (x, right) = (wrap(x, self.width), wrap(x + 1, self.width));
        let (y, below) = (wrap(y, self.height) * self.width, wrap(y + 1, self.height) * self.width);
        let at = |x: usize, row: usize| &self.pixels[row + x];
        let (p, q, r, s) = (at(x, y), at(right, y), at(x, below), at(right, below));
        [0, 1, 2].map(|c| {
            let upper = p[c] + (q[c] - p[c]) * fx;
            let lower = r[c] + (s[c] - r[c]) * fx;
            upper + (lower - upper) * fy
        })
    }
}

/// Adds value noise with cells of about `cell` pixels. It wraps around at the edges of the image.
fn add_noise(shade: &mut [f32], width: usize, height: usize, cell: f32, weight: f32, draws: &mut Draws) {
    let cells = |n: usize| ((n as f32 / cell).round() as usize).max(1);
    let (columns, rows) = (cells(width), cells(height));
    let nodes: Vec<f32> = (0..columns * rows).map(|_| draws.unit() as f32).collect();
    for (i, shade) in shade.iter_mut().enumerate() {
        let x = (i % width) as f32 * columns as f32 / width as f32;
        let y = (i / width) as f32 * rows as f32 / height as f32;
        let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
        let (fx, fy) = (smooth(x.fract()), smooth(y.fract()));
        let at = |dx: usize, dy: usize| nodes[(y as usize + dy) % rows * columns + (x as usize + dx) % columns];
        let upper = at(0, 0) + (at(1, 0) - at(0, 0)) * fx;
        let lower = at(0, 1) + (at(1, 1) - at(0, 1)) * fx;
        *shade += weight * (upper + (lower - upper) * fy);
    }
}

/// Returns the squared length.
fn square((x, y): (f32, f32)) -> f32 {
    x * x + y * y
}

fn within(draws: &mut Draws, low: f32, high: f32) -> f32 {
    low + (high - low) * draws.unit() as f32
}

/// Returns an approximately normal number with variance 1: the sum of twelve uniform numbers, minus
/// six.
fn normal(draws: &mut Draws) -> f32 {
    (0..12).map(|_| draws.unit() as f32).sum::<f32>() - 6.0
}
