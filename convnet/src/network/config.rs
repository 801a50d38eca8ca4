//! Depth, channels and classes of a network.

use std::fmt;

/// The depth of a ResNet: its number of layers with weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names say it")]
pub enum Depth {
    R18,
    R34,
    R50,
    R101,
    R152,
}

impl Depth {
    /// All depths, from shallow to deep.
    pub const ALL: [Self; 5] = [Self::R18, Self::R34, Self::R50, Self::R101, Self::R152];

    /// Returns the number of blocks in `layer1` to `layer4`.
    pub fn blocks(self) -> [usize; 4] {
        match self {
            Self::R18 => [2, 2, 2, 2],
            Self::R34 | Self::R50 => [3, 4, 6, 3],
            Self::R101 => [3, 4, 23, 3],
            Self::R152 => [3, 8, 36, 3],
        }
    }

    /// Returns whether blocks are bottlenecks (1x1, 3x3, 1x1) instead of two 3x3 convolutions.
    pub fn bottleneck(self) -> bool {
        !matches!(self, Self::R18 | Self::R34)
    }

    /// Returns the number of features that the last layer receives: 512, or 2048 with bottlenecks.
    pub fn features(self) -> usize {
        if self.bottleneck() { 2048 } else { 512 }
    }
}

impl fmt::Display for Depth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::R18 => "resnet18",
            Self::R34 => "resnet34",
            Self::R50 => "resnet50",
            Self::R101 => "resnet101",
            Self::R152 => "resnet152",
        })
    }
}

/// Depth, input channels and classes of a [`ResNet`](crate::ResNet).
///
/// ```
/// # use candle_convnet::{Depth, ResNetConfig};
/// // Ten frames of optical flow, x and y components, and the classes of UCF101.
/// let config = ResNetConfig::new(Depth::R18, 20, 101);
/// assert_eq!(config.depth.to_string(), "resnet18");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResNetConfig {
    /// Number of weight layers.
    pub depth: Depth,
    /// Channels of the input: 3 for RGB, 20 for ten frames of optical flow (x and y components).
    pub in_channels: usize,
    /// Number of classes, which is the number of logits.
    pub classes: usize,
}

impl ResNetConfig {
    /// Returns the settings for a network of `depth` that maps `in_channels` channels to `classes`
    /// logits.
    pub const fn new(depth: Depth, in_channels: usize, classes: usize) -> Self {
        Self { depth, in_channels, classes }
    }
}
