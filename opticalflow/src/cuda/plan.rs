//! The kernel's tables for an image size: pyramid levels, their places in memory, and resize taps.

use crate::pyramid::{Bilinear, level_sizes};
use crate::tvl1::{SHORTEST_SIDE, TvL1Params, cubic_weights};

/// Number of planes of the largest level per pair, without the images.
///
/// The gradient image has four planes. The others are the flow (2), the flow of the next level (2),
/// the filtered flow (1), the data term (4) and the dual variables (4).
const PLANES: usize = 4 + 13;

/// The tables in the layout of the kernel. `tvl1.cu` defines the structures named below.
#[derive(Debug)]
pub(super) struct Plan {
    /// Number of floats in the memory of a pair.
    pub pair_memory: usize,
    /// One `Setup`: five `int`, five `float`.
    pub setup: Vec<u32>,
    /// `Level` structures: seven `int64_t` each.
    pub levels: Vec<i64>,
    /// `Tap` structures: two `int` and a `float` each.
    pub taps: Vec<u32>,
    /// Weights of cubic convolution: four for each of the 32 positions per pixel.
    pub weights: Vec<f32>,
}

impl Plan {
    pub fn new(width: usize, height: usize, params: &TvL1Params) -> Self {
        let sizes = level_sizes(width, height, params.scales, params.scale_step, SHORTEST_SIDE);
        let mut taps = Vec::new();
        let mut add = |resize: Option<Bilinear>| -> [i64; 2] {
            let Some(resize) = resize else { return [0, 0] };
            resize.axes().map(|axis| {
                let start = taps.len() / 3;
                axis.for_each(|(first, next, weight)| taps.extend([first, next, weight.to_bits()]));
                start as i64
            })
        };
        let (mut levels, mut images) = (Vec::new(), PLANES * width * height);
        for (level, &(width, height)) in sizes.iter().enumerate() {
            let larger = level.checked_sub(1).map(|larger| sizes[larger]);
            let shrink = add(larger.map(|larger| Bilinear::by_scale(larger, (width, height), 1.0 / params.scale_step)));
            let grow = add(sizes.get(level + 1).map(|&smaller| Bilinear::by_size(smaller, (width, height))));
            levels.extend([width as i64, height as i64, images as i64]);
            levels.extend(shrink.into_iter().chain(grow));
            images += 2 * width * height;
        }
        let counts = [sizes.len(), params.warps, params.outer_iterations, params.inner_iterations];
        let TvL1Params { tau, lambda, theta, epsilon, .. } = *params;
        let floats = [lambda * theta, theta, tau / theta, epsilon * epsilon, (1.0 / params.scale_step) as f32];
        let mut setup: Vec<u32> = counts.map(|count| count.min(i32::MAX as usize) as u32).to_vec();
        setup.push(params.median.into());
        setup.extend(floats.map(f32::to_bits));
        // A multiple of four floats aligns the gradient image of each pair to 16 bytes.
        let pair_memory = images.next_multiple_of(4);
        Self { pair_memory, setup, levels, taps, weights: cubic_weights() }
    }
}
