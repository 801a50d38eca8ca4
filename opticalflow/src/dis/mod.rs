//! Optical flow by dense inverse search (DIS).
//!
//! The method is by Kroeger, Timofte, Dai and Van Gool, "Fast Optical Flow using Dense Inverse
//! Search" (2016). The details follow OpenCV's `DISOpticalFlow`:
//!
//! * Patches have 8 x 8 pixels. Their mean brightness is removed before they are compared.
//! * A patch also tries the motions of its neighbours.
//! * A variational refinement follows on each level.

mod dense;
mod level;
mod refine;
mod relax;
mod search;
mod system;

use crate::error::{Error, Result, check_images};
use crate::field::Flow;
use crate::lanes::Simd;
use crate::plane::Plane;
use crate::pyramid::{Area, Bilinear};

use level::{Extended, sobel};
use refine::Refiner;
use search::{Grid, Images, PATCH};

/// Parameters of [`Dis`].
///
/// # Example
///
/// ```
/// use clip_flow::DisParams;
///
/// let mut params = DisParams::MEDIUM;
/// params.refinements = 0;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DisParams {
    /// Binary logarithm of the scale at which flow is computed, 0 to 16. With 1, images are halved
    /// and the flow is enlarged.
    pub finest_scale: u32,
    /// Distance between two patches in pixels, 1 to 8.
    pub stride: usize,
    /// Number of gradient descent steps per patch, in both sweeps together.
    pub iterations: usize,
    /// Number of rounds of the variational refinement. 0 disables it.
    pub refinements: usize,
}

impl DisParams {
    /// The parameters of OpenCV's `PRESET_MEDIUM`.
    pub const MEDIUM: Self = Self { finest_scale: 1, stride: 3, iterations: 25, refinements: 5 };
    /// The parameters of OpenCV's `PRESET_FAST`.
    pub const FAST: Self = Self { finest_scale: 2, stride: 4, iterations: 16, refinements: 5 };
}

impl Default for DisParams {
    fn default() -> Self {
        Self::MEDIUM
    }
}

/// A solver that computes flow by dense inverse search between images of one size.
///
/// It runs on the thread that calls it, and reuses its memory for each pair.
///
/// # Example
///
/// ```
/// use clip_flow::{Dis, DisParams, Flow};
///
/// let image = |shift: usize| -> Vec<u8> {
///     (0..64 * 48).map(|i| (128.0 + 90.0 * ((i % 64 - shift) as f32 * 0.4).sin()) as u8).collect()
/// };
/// let mut flow = Flow::default();
/// Dis::new(64, 48, DisParams::MEDIUM)?.compute(&image(0), &image(0), &mut flow)?;
/// assert_eq!((flow.width, flow.height), (64, 48));
/// assert!(flow.x.iter().all(|x| x.abs() < 0.1));
/// # Ok::<(), clip_flow::Error>(())
/// ```
#[derive(Clone)]
pub struct Dis {
    params: DisParams,
    images: [Plane; 2],
    /// The levels, the largest first. Empty if the images are smaller than a patch.
    levels: Vec<Level>,
    grid: Grid,
    /// The resize from the largest level to the images.
    grow: Option<Bilinear>,
    /// The result of `grow`.
    grown: Plane,
    simd: Simd,
}

/// One level of the pyramid.
#[derive(Debug, Clone)]
struct Level {
    images: [Plane; 2],
    second: Extended,
    dx: Plane,
    dy: Plane,
    flow: [Plane; 2],
    weights: Plane,
    refiner: Refiner,
    /// The resize from the next larger level, or from the images, to this level.
    shrink: Area,
    /// The resize from the next smaller level to this level.
    grow: Option<Bilinear>,
}

impl std::fmt::Debug for Dis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dis")
            .field("width", &self.grown.width)
            .field("height", &self.grown.height)
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
}

impl Dis {
    /// Makes a solver for images of `width` x `height` pixels, at most [`crate::TvL1::MAX_PIXELS`].
    ///
    /// The flow of images with a side shorter than a patch of 8 pixels is zero.
    ///
    /// # Errors
    /// Returns [`Error::Parameter`] or [`Error::Size`].
    pub fn new(width: usize, height: usize, params: DisParams) -> Result<Self> {
        let wrong = |name, value: String, expected| Err(Error::Parameter { name, value, expected });
        if !(1..=PATCH).contains(&params.stride) {
            return wrong("stride", params.stride.to_string(), "1 to 8");
        }
        if params.finest_scale > 16 {
            return wrong("finest_scale", params.finest_scale.to_string(), "0 to 16");
        }
        let pixels = width.checked_mul(height);
        if !pixels.is_some_and(|pixels| (1..=crate::TvL1::MAX_PIXELS).contains(&pixels)) {
            return Err(Error::Size { width, height });
        }
        let sizes = level_sizes(width, height, params.finest_scale);
        let mut levels = Vec::new();
        for (index, &size) in sizes.iter().enumerate() {
            let plane = || Plane::new(size.0, size.1);
            let larger = index.checked_sub(1).map_or((width, height), |larger| sizes[larger]);
            levels.push(Level {
                images: [plane(), plane()],
                second: Extended::new(size.0, size.1),
                dx: plane(),
                dy: plane(),
                flow: [plane(), plane()],
                weights: plane(),
                refiner: Refiner::new(size.0, size.1),
                shrink: Area::new(larger, size),
                grow: sizes.get(index + 1).map(|&smaller| Bilinear::by_size(smaller, size)),
            });
        }
        let grid = sizes.first().map_or_else(Grid::default, |size| Grid::new(size.0, size.1, params.stride));
        Ok(Self {
            params,
            images: [Plane::new(width, height), Plane::new(width, height)],
            levels,
            grid,
            grow: sizes.first().map(|&size| Bilinear::by_size(size, (width, height))),
            grown: Plane::new(width, height),
            simd: Simd::detect(),
        })
    }

    /// Disables instructions that are detected at run time, such as AVX2. The results are the same,
    /// but slower.
    #[must_use]
    pub fn portable(mut self) -> Self {
        self.simd = Simd::Portable;
        self
    }

    /// Computes the flow from `first` to `second`, which are grey images `[height, width]`.
    /// Replaces the content of `flow`.
    ///
    /// # Errors
    /// Returns [`Error::Image`] if an image does not have the size of the solver.
    pub fn compute(&mut self, first: &[u8], second: &[u8], flow: &mut Flow) -> Result<()> {
        let (width, height) = (self.grown.width, self.grown.height);
        check_images([first, second], width, height)?;
        for (plane, image) in self.images.iter_mut().zip([first, second]) {
            plane.set_grey(image);
        }
        for index in 0..self.levels.len() {
            let (larger, smaller) = self.levels.split_at_mut(index);
            let from = larger.last().map_or(&self.images, |level| &level.images);
            let Level { images, second, dx, dy, shrink, .. } = &mut smaller[0];
            shrink.shrink(&from[0], &mut images[0]);
            shrink.shrink(&from[1], &mut images[1]);
            second.set(&images[1]);
            sobel(&images[0], dx, dy);
        }
        for index in (0..self.levels.len()).rev() {
            let (finer, coarser) = self.levels.split_at_mut(index + 1);
            let Level { images, second, dx, dy, flow, weights, refiner, grow, .. } = &mut finer[index];
            for (axis, flow) in flow.iter_mut().enumerate() {
                match (coarser.first(), &*grow) {
                    (Some(coarser), Some(grow)) => grow.resize(&coarser.flow[axis], flow, 2.0),
                    _ => flow.clear(),
                }
            }
            let images_read = Images { first: &images[0], dx, dy, second };
            self.grid.search(&images_read, flow, self.params.iterations, self.simd);
            dense::spread(&self.grid, &images[0], second, flow, weights, self.simd);
            if self.params.refinements > 0 {
                refiner.refine(&images[0], &images[1], flow, self.params.refinements, self.simd);
            }
        }
        (flow.width, flow.height) = (width, height);
        let factor = self.levels.first().map_or(1.0, |level| (width as f32 / level.weights.width as f32).round());
        for (axis, out) in [&mut flow.x, &mut flow.y].into_iter().enumerate() {
            out.clear();
            match (self.levels.first(), &self.grow) {
                (Some(level), Some(grow)) => grow.resize(&level.flow[axis], &mut self.grown, factor),
                _ => self.grown.clear(),
            }
            (0..height).for_each(|row| out.extend_from_slice(self.grown.row(row)));
        }
        Ok(())
    }
}

/// Returns the sizes of the levels, the largest first.
///
/// The first level is the image size divided by a power of two. Each further level is half of the
/// previous one, rounded down. On the smallest level, a patch can move by about a quarter of the
/// longer side. No level is smaller than a patch.
fn level_sizes(width: usize, height: usize, finest_scale: u32) -> Vec<(usize, usize)> {
    let short = width.min(height) / PATCH;
    if short == 0 {
        return Vec::new();
    }
    let by_motion = ((width.max(height) as f64 / (4 * PATCH) as f64).log2() + 0.5).max(0.0) as u32;
    let coarsest = by_motion.min(short.ilog2());
    let finest = finest_scale.min(coarsest);
    let mut size = (width >> finest, height >> finest);
    let mut sizes = vec![size];
    for _ in finest..coarsest {
        size = (size.0 / 2, size.1 / 2);
        sizes.push(size);
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_opencv() {
        // floor(log2(342 / 32) + 0.5) = 3, floor(log2(256 / 8)) = 5.
        assert_eq!(level_sizes(342, 256, 1), [(171, 128), (85, 64), (42, 32)]);
        assert_eq!(level_sizes(64, 48, 2), [(32, 24)]);
        assert_eq!(level_sizes(8, 8, 1), [(8, 8)]);
        assert!(level_sizes(300, 7, 1).is_empty());
    }
}
