//! TV-L1 optical flow.
//!
//! The method is by Zach, Pock and Bischof, "A Duality Based Approach for Realtime TV-L1 Optical
//! Flow" (2007), as described by Sánchez Pérez, Meinhardt-Llopis and Facciolo (IPOL 2013). The
//! details follow OpenCV's `DualTVL1OpticalFlow`: grey values from 0 to 255, no smoothing of the
//! images, a bilinear pyramid, and a median filter of the flow.

mod fixed_point;
mod median;
mod warp;

use crate::error::{Error, Result, check_images};
use crate::field::Flow;
use crate::lanes::Simd;
use crate::plane::Plane;
use crate::pyramid::{Bilinear, level_sizes};

use fixed_point::{State, Steps};
use median::Columns;
#[cfg(any(test, feature = "cuda"))]
pub(crate) use warp::cubic_weights;
use warp::{DataTerm, GradientImage, Weights};

/// Shortest side of a level in pixels. Only the first level may be smaller.
pub(crate) const SHORTEST_SIDE: usize = 16;

/// Parameters of [`TvL1`]. The defaults are OpenCV's.
///
/// # Example
///
/// ```
/// use clip_flow::TvL1Params;
///
/// let mut params = TvL1Params::default();
/// params.warps = 2;
/// assert_eq!(params.lambda, 0.15);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct TvL1Params {
    /// Time step of the dual variables. The default is 0.25.
    pub tau: f32,
    /// Weight of the data term. A smaller weight makes the flow smoother. The default is 0.15.
    pub lambda: f32,
    /// Tightness of the coupling between data term and smoothness. The default is 0.3.
    pub theta: f32,
    /// Largest number of pyramid levels. Levels after the first have no side shorter than 16
    /// pixels. The default is 5.
    pub scales: usize,
    /// Size of a level divided by the size of the next larger level, between 0 and 1. The default
    /// is 0.8.
    pub scale_step: f64,
    /// Number of warps per level. The default is 5.
    pub warps: usize,
    /// Stopping threshold in pixels. The iterations of a warp end when the root mean square change
    /// of the flow is not larger. The default is 0.01.
    pub epsilon: f32,
    /// Number of iterations between two median filters. The default is 30.
    pub inner_iterations: usize,
    /// Largest number of median filters per warp. The default is 10.
    pub outer_iterations: usize,
    /// Whether a median filter of 5 x 5 pixels is applied to the flow. The default is true.
    pub median: bool,
}

impl Default for TvL1Params {
    fn default() -> Self {
        Self {
            tau: 0.25,
            lambda: 0.15,
            theta: 0.3,
            scales: 5,
            scale_step: 0.8,
            warps: 5,
            epsilon: 0.01,
            inner_iterations: 30,
            outer_iterations: 10,
            median: true,
        }
    }
}

impl TvL1Params {
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |name, value: String, expected| Err(Error::Parameter { name, value, expected });
        for (name, value) in [("tau", self.tau), ("lambda", self.lambda), ("theta", self.theta)] {
            if !(value > 0.0 && value.is_finite()) {
                return wrong(name, value.to_string(), "a finite number above 0");
            }
        }
        if !(self.epsilon >= 0.0 && self.epsilon.is_finite()) {
            return wrong("epsilon", self.epsilon.to_string(), "a finite number, 0 or above");
        }
        if !(self.scale_step > 0.0 && self.scale_step < 1.0) {
            return wrong("scale_step", self.scale_step.to_string(), "a number between 0 and 1");
        }
        if self.scales == 0 {
            return wrong("scales", "0".into(), "1 or more");
        }
        Ok(())
    }
}

/// A solver that computes TV-L1 flow between images of one size.
///
/// It runs on the thread that calls it, and reuses its memory for each pair. To use more threads,
/// make one solver per thread.
///
/// The result depends only on the two images and the parameters. It does not depend on earlier
/// pairs or on the CPU.
///
/// # Example
///
/// ```
/// use clip_flow::{Flow, TvL1, TvL1Params};
///
/// let first: Vec<u8> = (0..64 * 48).map(|i| (128.0 + 90.0 * ((i % 64) as f32 * 0.4).sin()) as u8).collect();
/// let mut solver = TvL1::new(64, 48, TvL1Params::default())?;
/// let mut flow = Flow::default();
/// solver.compute(&first, &first, &mut flow)?;
/// assert!(flow.x.iter().chain(&flow.y).all(|&motion| motion == 0.0));
/// # Ok::<(), clip_flow::Error>(())
/// ```
#[derive(Clone)]
pub struct TvL1 {
    params: TvL1Params,
    /// The levels, the largest first.
    levels: Vec<Level>,
    gradient: GradientImage,
    columns: Columns,
    weights: Weights,
    simd: Simd,
}

/// One level of the pyramid.
#[derive(Debug, Clone)]
struct Level {
    images: [Plane; 2],
    state: State,
    data: DataTerm,
    /// The result of the median filter.
    filtered: Plane,
    /// The resize from the next larger level to this level.
    shrink: Option<Bilinear>,
    /// The resize from the next smaller level to this level.
    grow: Option<Bilinear>,
}

impl std::fmt::Debug for TvL1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TvL1").field("params", &self.params).finish_non_exhaustive()
    }
}

impl TvL1 {
    /// Largest number of pixels of an image: 8192 x 8192. A solver needs about 150 bytes per pixel.
    pub const MAX_PIXELS: usize = 1 << 26;

    /// Makes a solver for images of `width` x `height` pixels.
    ///
    /// # Errors
    /// Returns [`Error::Parameter`] or [`Error::Size`].
    pub fn new(width: usize, height: usize, params: TvL1Params) -> Result<Self> {
        params.check()?;
        let pixels = width.checked_mul(height).filter(|pixels| (1..=Self::MAX_PIXELS).contains(pixels));
        let Some(pixels) = pixels else { return Err(Error::Size { width, height }) };
        let sizes = level_sizes(width, height, params.scales, params.scale_step, SHORTEST_SIDE);
        let levels = (0..sizes.len()).map(|level| {
            let (width, height) = sizes[level];
            let plane = || Plane::new(width, height);
            Level {
                images: [plane(), plane()],
                state: State::new(width, height),
                data: DataTerm::new(width, height),
                filtered: plane(),
                shrink: level
                    .checked_sub(1)
                    .map(|larger| Bilinear::by_scale(sizes[larger], sizes[level], 1.0 / params.scale_step)),
                grow: sizes.get(level + 1).map(|&smaller| Bilinear::by_size(smaller, sizes[level])),
            }
        });
        Ok(Self {
            params,
            levels: levels.collect(),
            gradient: GradientImage::with_capacity(pixels),
            columns: Columns::new(width),
            weights: Weights::new(),
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
        let (width, height) = (self.levels[0].filtered.width, self.levels[0].filtered.height);
        check_images([first, second], width, height)?;
        self.set_images([first, second]);
        for level in (0..self.levels.len()).rev() {
            let (finer, coarser) = self.levels.split_at_mut(level + 1);
            let this = &mut finer[level];
            for axis in 0..2 {
                match (coarser.first(), &this.grow) {
                    (Some(coarser), Some(grow)) => {
                        let factor = (1.0 / self.params.scale_step) as f32;
                        grow.resize(&coarser.state.flow[axis], &mut this.state.flow[axis], factor);
                    }
                    _ => this.state.flow[axis].clear(),
                }
            }
            self.refine(level);
        }
        (flow.width, flow.height) = (width, height);
        let [x, y] = &self.levels[0].state.flow;
        for (from, to) in [(x, &mut flow.x), (y, &mut flow.y)] {
            to.clear();
            (0..height).for_each(|row| to.extend_from_slice(from.row(row)));
        }
        Ok(())
    }

    /// Computes the pyramids of both images.
    fn set_images(&mut self, images: [&[u8]; 2]) {
        for (index, image) in images.into_iter().enumerate() {
            self.levels[0].images[index].set_grey(image);
            for level in 1..self.levels.len() {
                let (larger, smaller) = self.levels.split_at_mut(level);
                let level = &mut smaller[0];
                if let Some(shrink) = &level.shrink {
                    shrink.resize(&larger[larger.len() - 1].images[index], &mut level.images[index], 1.0);
                }
            }
        }
    }

    /// Improves the flow of a level, starting from its current value.
    fn refine(&mut self, level: usize) {
        let Level { images, state, data, filtered, .. } = &mut self.levels[level];
        let TvL1Params { tau, lambda, theta, epsilon, .. } = self.params;
        let steps = Steps { threshold: lambda * theta, theta, dual: tau / theta };
        let enough = epsilon * epsilon * (filtered.width * filtered.height) as f32;
        self.gradient.set(&images[1]);
        state.clear_dual();
        for _ in 0..self.params.warps {
            data.linearise(&images[0], &self.gradient, &state.flow, &self.weights, self.simd);
            let mut error = f32::MAX;
            for _ in 0..self.params.outer_iterations {
                if error <= enough {
                    break;
                }
                if self.params.median {
                    for flow in &mut state.flow {
                        self.columns.filter(flow, filtered, self.simd);
                        std::mem::swap(flow, filtered);
                    }
                }
                let mut left = self.params.inner_iterations;
                while left > 0 && error > enough {
                    error = state.iterate(data, steps, self.simd);
                    left -= 1;
                }
            }
        }
    }
}
