//! What the kernel is told of a size: the levels of the pyramid, where they lie in memory, the taps of its resizes.

use crate::pyramid::{Bilinear, level_sizes};
use crate::tvl1::{SHORTEST_SIDE, TvL1Params, cubic_weights};

/// Planes of the largest level that a pair holds beside its images: four of the gradient image, then flow here and on the next
/// level, the filtered flow, the data term's four and the dual variables' four.
const PLANES: usize = 4 + 13;

/// Tables as the kernel reads them, see the structures of the same names in `tvl1.cu`.
#[derive(Debug)]
pub(super) struct Plan {
    /// Floats of a pair's memory.
    pub pair_memory: usize,
    /// `Setup`: five `int`, five `float`.
    pub setup: Vec<u32>,
    /// `Level`: seven `int64_t` each.
    pub levels: Vec<i64>,
    /// `Tap`: two `int` and a `float` each.
    pub taps: Vec<u32>,
    /// Cubic convolution, four for each 32nd of a pixel.
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
        // Of four floats, so that every pair's gradient image starts at 16 bytes.
        let pair_memory = images.next_multiple_of(4);
        Self { pair_memory, setup, levels, taps, weights: cubic_weights() }
    }
}
