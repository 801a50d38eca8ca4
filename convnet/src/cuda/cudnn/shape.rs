//! The shape of a convolution.

use crate::cuda::device::Cost;
use crate::geometry::{Conv2dConfig, Hw};
use std::fmt;

/// The operand that a convolution computes from the other two: output, images or weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Direction {
    Forward,
    Data,
    Weights,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ConvShape {
    pub(crate) direction: Direction,
    /// [N, C, H, W], although the memory layout is NHWC.
    pub(crate) input: [usize; 4],
    pub(crate) output: [usize; 4],
    pub(crate) kernel: Hw,
    pub(crate) config: Conv2dConfig,
    pub(crate) bf16: bool,
    /// Whether cuDNN may round f32 images and weights to TF32.
    pub(crate) tf32: bool,
}

impl ConvShape {
    /// Returns the arithmetic of all outputs, and the bytes of all three operands.
    pub(crate) fn cost(&self) -> Cost {
        let Self { input, output, kernel, config, bf16, .. } = *self;
        let count = |dims: [usize; 4]| dims.iter().product::<usize>() as f64;
        let taps = (kernel.product() * input[1] / config.groups) as f64;
        let values = count(input) + count(output) + taps * output[1] as f64;
        Cost { flops: 2.0 * count(output) * taps, bytes: values * if bf16 { 2.0 } else { 4.0 } }
    }
}

impl fmt::Display for ConvShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { direction, input, output, kernel, config, bf16, tf32 } = self;
        let Conv2dConfig { stride, padding, dilation, groups } = config;
        let direction = match direction {
            Direction::Forward => "forward",
            Direction::Data => "data gradient",
            Direction::Weights => "weight gradient",
        };
        let dtype = match (bf16, tf32) {
            (true, _) => "bf16",
            (false, true) => "tf32",
            (false, false) => "f32",
        };
        write!(f, "{direction} {kernel} /{stride} +{padding} {input:?} -> {output:?} {dtype}")?;
        if *dilation != Hw::from(1) {
            write!(f, " dilation {dilation}")?;
        }
        if *groups != 1 {
            write!(f, " {groups} groups")?;
        }
        Ok(())
    }
}
