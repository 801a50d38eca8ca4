//! Draws a scene: RGB frames, and the true optical flow in the format of frame trees.

use clipshard::order::mix64;

use super::scene::{Body, Scene};

/// Largest flow component that can be stored, in pixels per frame.
const FLOW_BOUND: f32 = 20.0;
/// Offsets of the samples of a pixel.
const SAMPLES: [(f32, f32); 4] = [(-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)];
const MIDDLE: [(f32, f32); 1] = [(0.0, 0.0)];
/// Amplitude of the camera noise, in grey levels.
const RGB_NOISE: f32 = 5.0;
/// Amplitude of the flow noise, in pixels per frame. It is constant in blocks of [`NOISE_BLOCK`]
/// pixels, like the errors of flow estimators.
const FLOW_NOISE: f32 = 0.25;
const NOISE_BLOCK: usize = 4;

/// Returns the grey level of a flow component in pixels per frame. It maps -20..=20 to 0..=255, so
/// no motion is 128.
pub fn flow_level(pixels: f32) -> u8 {
    ((pixels.clamp(-FLOW_BOUND, FLOW_BOUND) + FLOW_BOUND) * 255.0 / (2.0 * FLOW_BOUND)).round() as u8
}

/// Returns the pixels of a frame, `height * width * 3`.
pub(super) fn rgb_pixels(scene: &Scene, frame: usize) -> Vec<u8> {
    let poses = scene.poses(frame);
    let (cx, cy) = scene.camera[frame];
    let light = scene.light[frame] * 255.0;
    let mut pixels = Vec::with_capacity(scene.width * scene.height * 3);
    for y in 0..scene.height {
        for x in 0..scene.width {
            let mut sum = [0.0; 3];
            // The background is smooth, so one sample is enough far from bodies.
            let samples = if scene.is_near_body(&poses, x as f32, y as f32) { &SAMPLES[..] } else { &MIDDLE[..] };
            for (dx, dy) in samples {
                let (px, py) = (x as f32 + dx, y as f32 + dy);
                let colour = match scene.body_at(&poses, px, py) {
                    Some((i, offset)) => scene.bodies[i].colour(&poses[i], offset),
                    None => scene.background.sample(px - cx, py - cy),
                };
                for (sum, c) in sum.iter_mut().zip(colour) {
                    *sum += c;
                }
            }
            let bits = mix64(scene.noise_key ^ pixel_key(frame, y, x));
            for (channel, sum) in sum.into_iter().enumerate() {
                let noise = ((bits >> (16 * channel)) & 0xffff) as f32 / 65_535.0 - 0.5;
                pixels.push(
                    (sum / samples.len() as f32 * light + 2.0 * RGB_NOISE * noise).round().clamp(0.0, 255.0) as u8
                );
            }
        }
    }
    pixels
}

/// Returns the flow from a frame to the next as grey levels: x and y components, `height * width`
/// each.
pub fn flow_pixels(scene: &Scene, frame: usize) -> [Vec<u8>; 2] {
    let (poses, next) = (scene.poses(frame), scene.poses(frame + 1));
    let (now_camera, next_camera) = (scene.camera[frame], scene.camera[frame + 1]);
    let pan = (next_camera.0 - now_camera.0, next_camera.1 - now_camera.1);
    let moves: Vec<(f32, f32)> =
        poses.iter().zip(&next).map(|(now, next)| scene.offset(now.center, next.center)).collect();
    let mut planes = [Vec::new(), Vec::new()];
    for y in 0..scene.height {
        for x in 0..scene.width {
            let flow = match scene.body_at(&poses, x as f32, y as f32) {
                Some((i, offset)) => Body::shift(&poses[i], &next[i], moves[i], offset),
                None => pan,
            };
            let bits = mix64(!scene.noise_key ^ pixel_key(frame, y / NOISE_BLOCK, x / NOISE_BLOCK));
            for (plane, (component, shift)) in planes.iter_mut().zip([(flow.0, 0), (flow.1, 16)]) {
                let noise = ((bits >> shift) & 0xffff) as f32 / 65_535.0 - 0.5;
                plane.push(flow_level(component + 2.0 * FLOW_NOISE * noise));
            }
        }
    }
    planes
}

fn pixel_key(frame: usize, y: usize, x: usize) -> u64 {
    (frame as u64) << 32 | (y as u64) << 16 | x as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::motion::Motion;
    use crate::synth::scene::{Look, Subject};
    use crate::synth::texture::Texture;
    use clipshard::order::Draws;

    fn scene(texture: Texture, hue: f32, motion: Motion) -> Scene {
        let mut look = Look {
            background: Draws::new(7, 1, 5),
            geometry: Draws::new(7, 2, 5),
            colour: Draws::new(7, 3, 5),
            noise_key: 99,
        };
        Scene::new((96, 72), Subject { texture, hue, hue_spread: 0.1, motion }, &mut look)
    }

    #[test]
    fn grey_128_is_no_motion() {
        assert_eq!(flow_level(0.0), 128);
        assert_eq!((flow_level(-20.0), flow_level(20.0), flow_level(99.0)), (0, 255, 255));
    }

    /// Returns the mean difference between a frame and the next frame, which is warped back along
    /// the flow. The edges of the image do not count.
    fn warp_error(scene: &Scene, frame: usize, along_flow: bool) -> f32 {
        let (now, next) = (rgb_pixels(scene, frame), rgb_pixels(scene, frame + 1));
        let [u, v] = flow_pixels(scene, frame);
        let gain = scene.light[frame] / scene.light[frame + 1];
        let (mut sum, mut count) = (0.0, 0);
        for y in 8..scene.height - 8 {
            for x in 8..scene.width - 8 {
                let i = y * scene.width + x;
                let component = |level: u8| if along_flow { (f32::from(level) - 127.5) * 40.0 / 255.0 } else { 0.0 };
                let (fx, fy) = (x as f32 + component(u[i]), y as f32 + component(v[i]));
                let (x0, y0) = (fx.floor(), fy.floor());
                let at = |x: f32, y: f32, c: usize| f32::from(next[(y as usize * scene.width + x as usize) * 3 + c]);
                for c in 0..3 {
                    let upper = at(x0, y0, c) + (at(x0 + 1.0, y0, c) - at(x0, y0, c)) * (fx - x0);
                    let lower = at(x0, y0 + 1.0, c) + (at(x0 + 1.0, y0 + 1.0, c) - at(x0, y0 + 1.0, c)) * (fx - x0);
                    sum += ((upper + (lower - upper) * (fy - y0)) * gain - f32::from(now[i * 3 + c])).abs();
                    count += 1;
                }
            }
        }
        sum / count as f32
    }

    #[test]
    fn frames_follow_their_flow() {
        for motion in Motion::ALL {
            let scene = scene(Texture::Checked, 0.2, motion);
            let (mut along, mut still) = (0.0, 0.0);
            for frame in [1, 8, 15] {
                along += warp_error(&scene, frame, true);
                still += warp_error(&scene, frame, false);
            }
            assert!(along < 0.75 * still, "{motion:?}: {along} along the flow, {still} without");
        }
    }

    #[test]
    fn flow_does_not_depend_on_the_appearance() {
        let (a, b) = (scene(Texture::Striped, 0.1, Motion::Spin), scene(Texture::Plain, 0.8, Motion::Spin));
        for frame in [0, 10, 20] {
            assert_eq!(flow_pixels(&a, frame), flow_pixels(&b, frame));
            assert_ne!(rgb_pixels(&a, frame), rgb_pixels(&b, frame));
        }
    }

    #[test]
    fn the_first_frame_does_not_depend_on_the_motion_but_for_the_size() {
        let (a, b) = (scene(Texture::Striped, 0.1, Motion::Up), scene(Texture::Striped, 0.1, Motion::Sideways));
        assert_eq!(rgb_pixels(&a, 0), rgb_pixels(&b, 0));
        assert_ne!(rgb_pixels(&a, 9), rgb_pixels(&b, 9));
    }
}
