//! The order of a network's input channels for optical flow.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Order of the first convolution's channels for optical flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum FlowOrder {
    /// x1 y1 x2 y2 .. x10 y10.
    Natural,
    /// x2 y2 .. x10 y10 x1 y1, as the reference code stacks flow.
    Rotated,
}

/// Reorders a first convolution `[out, 20, ..]` from the natural to the rotated order.
pub fn rotated(conv1: &Tensor) -> candle_core::Result<Tensor> {
    let channels = conv1.dim(1)?;
    Tensor::cat(&[conv1.narrow(1, 2, channels - 2)?, conv1.narrow(1, 0, 2)?], 1)
}

/// Reorders a first convolution from the rotated to the natural order: the inverse of [`rotated`].
pub fn natural_order(conv1: &Tensor) -> candle_core::Result<Tensor> {
    let channels = conv1.dim(1)?;
    Tensor::cat(&[conv1.narrow(1, channels - 2, 2)?, conv1.narrow(1, 0, channels - 2)?], 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn natural_order_is_the_inverse_of_rotated() {
        let conv1 = Tensor::arange(0_f32, 20., &Device::Cpu).unwrap().reshape((1, 20, 1, 1)).unwrap();
        let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let rotated = rotated(&conv1).unwrap();
        let mut expected: Vec<f32> = (2..20).map(|i| i as f32).collect();
        expected.extend([0., 1.]);
        assert_eq!(values(&rotated), expected);
        assert_eq!(values(&natural_order(&rotated).unwrap()), values(&conv1));
    }
}
