//! The data term of one warp: the linear form of the brightness difference (IPOL 2013, eq. 11).
//!
//! The warp reads the second image and its gradient at the positions to which the current flow
//! points. It interpolates as OpenCV's `remap` with `INTER_CUBIC`: positions are rounded to 1/32
//! pixel, weights are those of Keys (1981) with a = -0.75, and pixels outside the image are zero.
#![allow(unsafe_code, reason = "calls into functions that are compiled for AVX2")]

#[cfg(target_arch = "x86_64")]
use crate::lanes::Avx;
use crate::lanes::{Lanes, Portable, Simd};
use crate::plane::Plane;

/// Number of positions per pixel that the warp distinguishes.
const STEPS: usize = 1 << STEP_BITS;
const STEP_BITS: u32 = 5;
const STEP_MASK: i32 = (1 << STEP_BITS) - 1;
/// Largest squared gradient that counts as no gradient, as in OpenCV.
const NO_GRADIENT: f32 = f32::EPSILON;

/// Number of values per pixel: grey value, d/dx, d/dy and a zero.
const CHANNELS: usize = 4;

/// An image with its gradient. The values of a pixel are adjacent, so that one load gets all of
/// them.
#[derive(Debug, Clone, Default)]
pub(super) struct GradientImage {
    width: usize,
    height: usize,
    /// [`CHANNELS`] values per pixel.
    values: Vec<f32>,
}

impl GradientImage {
    /// Allocates memory for `pixels` pixels.
    pub fn with_capacity(pixels: usize) -> Self {
        Self { values: Vec::with_capacity(CHANNELS * pixels), ..Self::default() }
    }

    /// Copies an image and computes its central differences. At the border, uses half the
    /// difference to the only neighbour.
    pub fn set(&mut self, image: &Plane) {
        (self.width, self.height) = (image.width, image.height);
        self.values.clear();
        let (right, bottom) = (self.width - 1, self.height - 1);
        for y in 0..self.height {
            let (row, above, below) = (image.row(y), image.row(y.saturating_sub(1)), image.row((y + 1).min(bottom)));
            for x in 0..self.width {
                let dx = 0.5 * (row[(x + 1).min(right)] - row[x.saturating_sub(1)]);
                self.values.extend([row[x], dx, 0.5 * (below[x] - above[x]), 0.0]);
            }
        }
    }
}

/// The linear form of the brightness difference: rho + dx * u + dy * v for the flow (u, v).
#[derive(Debug, Clone)]
pub(super) struct DataTerm {
    pub dx: Plane,
    pub dy: Plane,
    /// 1 / (dx^2 + dy^2), or 0 if the gradient is (almost) zero.
    pub inverse: Plane,
    pub rho: Plane,
}

impl DataTerm {
    pub fn new(width: usize, height: usize) -> Self {
        let plane = Plane::new(width, height);
        Self { dx: plane.clone(), dy: plane.clone(), inverse: plane.clone(), rho: plane }
    }

    /// Linearises the brightness difference around `flow` (x and y). All images must have the same
    /// size.
    pub fn linearise(
        &mut self,
        first: &Plane,
        second: &GradientImage,
        flow: &[Plane; 2],
        weights: &Weights,
        simd: Simd,
    ) {
        match simd {
            Simd::Portable => self.linearise_any::<Portable>(first, second, flow, weights),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Simd::Avx2` exists only if the CPU has AVX2.
            Simd::Avx2 => unsafe { self.linearise_avx2(first, second, flow, weights) },
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn linearise_avx2(&mut self, first: &Plane, second: &GradientImage, flow: &[Plane; 2], weights: &Weights) {
        self.linearise_any::<Avx>(first, second, flow, weights);
    }

    #[inline(always)]
    fn linearise_any<V: Lanes>(&mut self, first: &Plane, second: &GradientImage, flow: &[Plane; 2], weights: &Weights) {
        for y in 0..first.height {
            let (grey, u, v) = (first.row(y), flow[0].row(y), flow[1].row(y));
            let (dx_row, dy_row) = (self.dx.row_mut(y), self.dy.row_mut(y));
            let (inverse_row, rho_row) = (self.inverse.row_mut(y), self.rho.row_mut(y));
            for x in 0..grey.len() {
                let (u, v) = (u[x], v[x]);
                let [there, there_dx, there_dy, _] = second.at::<V>(x as f32 + u, y as f32 + v, weights);
                let square = there_dx * there_dx + there_dy * there_dy;
                (dx_row[x], dy_row[x]) = (there_dx, there_dy);
                inverse_row[x] = if square > NO_GRADIENT { 1.0 / square } else { 0.0 };
                rho_row[x] = there - there_dx * u - there_dy * v - grey[x];
            }
        }
    }
}

impl GradientImage {
    /// Interpolates the image and its gradient at a position in pixels.
    #[inline(always)]
    fn at<V: Lanes>(&self, x: f32, y: f32, weights: &Weights) -> [f32; CHANNELS] {
        let (x, y) = (fine(x), fine(y));
        let (across, down) = (&weights.pairs[(x & STEP_MASK) as usize], &weights.single[(y & STEP_MASK) as usize]);
        let (left, top) = ((x >> STEP_BITS) - 1, (y >> STEP_BITS) - 1);
        let across = (V::load(across, 0), V::load(across, 8));
        let inside = left >= 0 && top >= 0 && left + 4 <= self.width as i32 && top + 4 <= self.height as i32;
        let mut sum = V::splat(0.0);
        for (i, &down) in down.iter().enumerate() {
            let (row, start);
            let outside;
            if inside {
                (row, start) = (&self.values[..], CHANNELS * ((top as usize + i) * self.width + left as usize));
            } else {
                outside = self.window_row(left, top + i as i32);
                (row, start) = (&outside[..], 0);
            }
            let pairs = V::load(row, start).mul(across.0).add(V::load(row, start + 8).mul(across.1));
            sum = sum.add(pairs.mul(V::splat(down)));
        }
        let mut halves = [0.0; 8];
        sum.store(&mut halves, 0);
        let [a, b, c, d, e, f, g, h] = halves;
        [a + e, b + f, c + g, d + h]
    }

    /// Returns four pixels of a row, with zeros outside the image.
    #[cold]
    fn window_row(&self, left: i32, y: i32) -> [f32; 4 * CHANNELS] {
        let mut pixels = [0.0; 4 * CHANNELS];
        let inside = |at: i32, size: usize| usize::try_from(at).ok().filter(|&at| at < size);
        let Some(y) = inside(y, self.height) else { return pixels };
        for (i, pixel) in pixels.chunks_exact_mut(CHANNELS).enumerate() {
            if let Some(x) = inside(left + i as i32, self.width) {
                let start = CHANNELS * (y * self.width + x);
                pixel.copy_from_slice(&self.values[start..start + CHANNELS]);
            }
        }
        pixels
    }
}

/// Returns a position in steps. The cast saturates, so positions far outside stay outside.
#[inline(always)]
fn fine(position: f32) -> i32 {
    (position * STEPS as f32).round_ties_even() as i32
}

/// The weights of the four pixels around a position, for each fraction of a pixel.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    single: [[f32; 4]; STEPS],
    /// The same weights, each repeated for every channel.
    pairs: [[f32; 4 * CHANNELS]; STEPS],
}

impl Weights {
    pub fn new() -> Self {
        let single: [[f32; 4]; STEPS] = std::array::from_fn(|step| {
            let fraction = step as f64 / STEPS as f64;
            std::array::from_fn(|tap| keys((tap as f64 - 1.0 - fraction).abs()) as f32)
        });
        Self { single, pairs: single.map(|weights| std::array::from_fn(|i| weights[i / CHANNELS])) }
    }
}

/// Returns the weights of the four pixels around a position, for each fraction of a pixel, as one
/// list.
#[cfg(any(test, feature = "cuda"))]
pub(crate) fn cubic_weights() -> Vec<f32> {
    Weights::new().single.concat()
}

/// Returns the kernel of cubic convolution (Keys 1981) at a distance in pixels.
fn keys(distance: f64) -> f64 {
    const A: f64 = -0.75;
    let d = distance;
    if d <= 1.0 {
        ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0
    } else if d < 2.0 {
        ((A * d - 5.0 * A) * d + 8.0 * A) * d - 4.0 * A
    } else {
        0.0
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact values")]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_opencv_and_sum_to_one() {
        let weights = Weights::new();
        assert_eq!(weights.single[0], [0.0, 1.0, 0.0, 0.0]);
        // The result of cv2.remap for a unit impulse with INTER_CUBIC at half a pixel.
        assert_eq!(weights.single[16], [-0.093_75, 0.593_75, 0.593_75, -0.093_75]);
        for row in weights.single {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn at_whole_pixels_the_image_is_itself_and_beyond_it_is_zero() {
        let mut image = Plane::new(5, 4);
        for y in 0..4 {
            for x in 0..5 {
                image.row_mut(y)[x] = (1 + x * x + 10 * y) as f32;
            }
        }
        let mut gradient = GradientImage::default();
        gradient.set(&image);
        let weights = Weights::new();
        for y in 0..4 {
            for x in 0..5 {
                assert_eq!(gradient.at::<Portable>(x as f32, y as f32, &weights)[0], image.row(y)[x]);
            }
        }
        // d/dx of x^2 is 2x, and d/dy is 10. At the border, both are half the difference to the
        // neighbour.
        assert_eq!(gradient.at::<Portable>(3.0, 1.0, &weights)[1..], [6.0, 10.0, 0.0]);
        assert_eq!(gradient.at::<Portable>(0.0, 0.0, &weights)[1..], [0.5, 5.0, 0.0]);
        for (x, y) in [(-3.0, 1.0), (1.0, 7.0), (1e20, 0.0), (0.0, -1e20), (f32::NAN, 1e9)] {
            assert_eq!(gradient.at::<Portable>(x, y, &weights), [0.0; 4], "{x} {y}");
        }
        // Half a pixel outside the right border, the last two pixels have the weights 0.59375 and
        // -0.09375.
        let [value, ..] = gradient.at::<Portable>(4.5, 0.0, &weights);
        assert_eq!(value, 17.0 * 0.593_75 + 10.0 * -0.093_75);
    }
}
