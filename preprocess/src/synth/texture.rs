//! Textures of a body: the part of a class that only single frames show.

use std::f32::consts::{PI, TAU};

/// A kind of texture. It is a pattern of two shades in the body's own coordinates, so it moves,
/// rotates and grows with the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Texture {
    /// Parallel stripes.
    Striped,
    /// A grid of round dots.
    Spotted,
    /// Rings around the centre.
    Ringed,
    /// A checkerboard.
    Checked,
    /// Rays from the centre.
    Rayed,
    /// A single shade with a rim.
    Rimmed,
    /// A grid of thin lines.
    Gridded,
    /// Wavy stripes.
    Wavy,
    /// A spiral.
    Spiralled,
    /// Two halves.
    Halved,
    /// Diamonds.
    Quilted,
    /// A single shade.
    Plain,
}

impl Texture {
    /// All kinds, the most distinct ones first.
    pub const ALL: [Self; 12] = [
        Self::Striped,
        Self::Spotted,
        Self::Ringed,
        Self::Checked,
        Self::Rayed,
        Self::Rimmed,
        Self::Gridded,
        Self::Wavy,
        Self::Spiralled,
        Self::Halved,
        Self::Quilted,
        Self::Plain,
    ];

    /// Returns the name, as in class names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Striped => "Striped",
            Self::Spotted => "Spotted",
            Self::Ringed => "Ringed",
            Self::Checked => "Checked",
            Self::Rayed => "Rayed",
            Self::Rimmed => "Rimmed",
            Self::Gridded => "Gridded",
            Self::Wavy => "Wavy",
            Self::Spiralled => "Spiralled",
            Self::Halved => "Halved",
            Self::Quilted => "Quilted",
            Self::Plain => "Plain",
        }
    }

    /// Returns whether a point has the second shade. `x` and `y` are in units of the body's radius.
    pub fn is_marked(self, x: f32, y: f32) -> bool {
        let radius = x.hypot(y);
        let cell = |v: f32, size: f32| (v / size).rem_euclid(1.0) - 0.5;
        match self {
            Self::Striped => (x * TAU * 1.6).sin() > 0.0,
            Self::Spotted => cell(x + 0.25, 0.5).hypot(cell(y + 0.25, 0.5)) < 0.3,
            Self::Ringed => (radius * TAU * 1.7).sin() > 0.0,
            Self::Checked => ((x * TAU * 1.1).sin() > 0.0) != ((y * TAU * 1.1).sin() > 0.0),
            Self::Rayed => (y.atan2(x) * 4.0).sin() > 0.0,
            Self::Rimmed => radius > 0.68,
            Self::Gridded => cell(x, 0.45).abs() > 0.36 || cell(y, 0.45).abs() > 0.36,
            Self::Wavy => ((x + 0.16 * (y * TAU * 1.3).sin()) * TAU * 1.3).sin() > 0.0,
            Self::Spiralled => (y.atan2(x) * 2.0 + radius * PI * 2.6).sin() > 0.0,
            Self::Halved => y > 0.0,
            Self::Quilted => cell(x + y, 0.7).abs() > 0.36 || cell(x - y, 0.7).abs() > 0.36,
            Self::Plain => false,
        }
    }
}

/// Converts hue (in turns), saturation and lightness to RGB in 0..=1.
pub fn hsl(hue: f32, saturation: f32, lightness: f32) -> [f32; 3] {
    let chroma = saturation * lightness.min(1.0 - lightness);
    [0.0, 8.0, 4.0].map(|n: f32| {
        let k = (n + hue.rem_euclid(1.0) * 12.0).rem_euclid(12.0);
        lightness - chroma * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn textures_differ_and_most_have_both_shades() {
        let grid = |t: Texture| -> Vec<bool> {
            (0..1600).map(|i| t.is_marked((i % 40) as f32 / 20.0 - 0.99, (i / 40) as f32 / 20.0 - 0.99)).collect()
        };
        let grids: Vec<_> = Texture::ALL.iter().map(|&t| grid(t)).collect();
        for (i, a) in grids.iter().enumerate() {
            let marked = a.iter().filter(|&&m| m).count();
            assert!(
                Texture::ALL[i] == Texture::Plain || (250..1350).contains(&marked),
                "{:?}: {marked}",
                Texture::ALL[i]
            );
            for (j, b) in grids.iter().enumerate().skip(i + 1) {
                let differ = a.iter().zip(b).filter(|(x, y)| x != y).count();
                assert!(differ > 250, "{:?} and {:?} differ in {differ}", Texture::ALL[i], Texture::ALL[j]);
            }
        }
    }

    #[test]
    fn hues_are_the_usual_ones() {
        for (hue, rgb) in [(0.0, [1.0, 0.0, 0.0]), (1.0 / 3.0, [0.0, 1.0, 0.0]), (2.0 / 3.0, [0.0, 0.0, 1.0])] {
            for (a, b) in hsl(hue, 1.0, 0.5).iter().zip(rgb) {
                assert!((a - b).abs() < 1e-5);
            }
        }
    }
}
