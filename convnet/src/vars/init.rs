//! Random initial weights as a pure function of (seed, parameter name, index).
//!
//! candle's CPU generator cannot be seeded. Here, seed and name give a key, and draw i of a
//! parameter is `SplitMix64` (Steele, Lea and Flood 2014, finaliser by Stafford) of this key at
//! counter i. The draws therefore do not depend on threads, on the order of the parameters, or on
//! other parameters.

use candle_core::{DType, Device, Result, Shape, Tensor, Var};
use candle_nn::Init;
use candle_nn::init::NormalOrUniform;
use rayon::prelude::*;

/// A sequence of independent draws, addressed by index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draws {
    key: u64,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Draws {
    /// Returns the draws of the parameter `name` for `seed`.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        // The hash is FNV-1a with 64 bits.
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        Self { key: mix(mix(seed.wrapping_add(GOLDEN)) ^ hash) }
    }

    /// Returns a draw that is uniform in [0, 1), with 53 bits.
    pub(crate) fn uniform(self, index: u64) -> f64 {
        let bits = mix(self.key.wrapping_add(index.wrapping_add(1).wrapping_mul(GOLDEN)));
        (bits >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns a standard normal draw, by Box and Muller from the uniform draws `2 · index` and
    /// `2 · index + 1`.
    pub(crate) fn normal(self, index: u64) -> f64 {
        let radius = (-2. * (1. - self.uniform(2 * index)).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform(2 * index + 1)).cos()
    }
}

/// Creates an f32 variable of `shape` with the distribution `init`.
pub(crate) fn variable(shape: &Shape, name: &str, init: Init, seed: u64, device: &Device) -> Result<Var> {
    let draws = Draws::new(seed, name);
    let count = shape.elem_count();
    let indices = (0..count).into_par_iter().with_min_len(1 << 12);
    let normal =
        |mean: f64, stdev: f64| indices.clone().map(|i| (mean + stdev * draws.normal(i as u64)) as f32).collect();
    let uniform =
        |lo: f64, up: f64| indices.clone().map(|i| (lo + (up - lo) * draws.uniform(i as u64)) as f32).collect();
    let values: Vec<f32> = match init {
        Init::Const(value) => vec![value as f32; count],
        Init::Randn { mean, stdev } => normal(mean, stdev),
        Init::Uniform { lo, up } => uniform(lo, up),
        Init::Kaiming { dist, fan, non_linearity } => {
            let stdev = non_linearity.gain() / (fan.for_shape(shape) as f64).sqrt();
            match dist {
                NormalOrUniform::Normal => normal(0., stdev),
                NormalOrUniform::Uniform => uniform(-3f64.sqrt() * stdev, 3f64.sqrt() * stdev),
            }
        }
    };
    let tensor = Tensor::from_vec(values, shape, device)?;
    debug_assert_eq!(tensor.dtype(), DType::F32);
    Var::from_tensor(&tensor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_stated_moments() {
        let draws = Draws::new(7, "layer1.0.conv1.weight");
        let n = 100_000u64;
        let normal: Vec<f64> = (0..n).map(|i| draws.normal(i)).collect();
        let mean = normal.iter().sum::<f64>() / n as f64;
        let variance = normal.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n as f64;
        let kurtosis = normal.iter().map(|x| (x - mean).powi(4)).sum::<f64>() / n as f64 / variance.powi(2);
        assert!(mean.abs() < 0.01 && (variance - 1.).abs() < 0.02 && (kurtosis - 3.).abs() < 0.1);
        let uniform = (0..n).map(|i| draws.uniform(i)).sum::<f64>() / n as f64;
        assert!((uniform - 0.5).abs() < 0.005);
    }

    #[test]
    fn draws_are_fixed_for_ever() {
        let draws = Draws::new(42, "fc.weight");
        let found: Vec<u64> = (0..3).map(|i| (draws.uniform(i) * 1e12) as u64).collect();
        assert_eq!(found, [287_071_463_295, 774_790_742_448, 71_239_198_706]);
        let bits = |seed, name| Draws::new(seed, name).uniform(0).to_bits();
        assert_ne!(bits(42, "fc.weight"), bits(43, "fc.weight"));
        assert_ne!(bits(42, "fc.weight"), bits(42, "fc.bias"));
    }
}
