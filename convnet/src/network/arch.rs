//! Names of architectures.

use super::config::Depth;
use std::fmt;
use std::str::FromStr;

/// An architecture of this crate. Its text is torchvision's name.
///
/// ```
/// # use candle_convnet::{Arch, Depth};
/// assert_eq!("resnet50".parse(), Ok(Arch::ResNet(Depth::R50)));
/// assert_eq!(Arch::MobileNetV3Small.to_string(), "mobilenet_v3_small");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Arch {
    /// A residual network; see [`ResNet`](crate::ResNet).
    ResNet(Depth),
    /// MobileNetV3-small; see [`MobileNetV3`](crate::MobileNetV3).
    MobileNetV3Small,
}

impl Arch {
    /// All architectures.
    pub const ALL: [Self; 6] = [
        Self::ResNet(Depth::R18),
        Self::ResNet(Depth::R34),
        Self::ResNet(Depth::R50),
        Self::ResNet(Depth::R101),
        Self::ResNet(Depth::R152),
        Self::MobileNetV3Small,
    ];

    /// Returns the name of the first convolution's weights.
    pub fn first_weights(self) -> &'static str {
        match self {
            Self::ResNet(_) => "conv1.weight",
            Self::MobileNetV3Small => "features.0.0.weight",
        }
    }

    /// Returns the name of the last layer, which computes the logits.
    pub fn last_layer(self) -> &'static str {
        match self {
            Self::ResNet(_) => "fc",
            Self::MobileNetV3Small => "classifier.3",
        }
    }

    /// Returns all names, separated by commas.
    fn names() -> String {
        let names = Self::ALL.map(|arch| arch.to_string());
        let (last, others) = names.split_last().map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
        format!("{} or {last}", others.join(", "))
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ResNet(depth) => depth.fmt(f),
            Self::MobileNetV3Small => f.write_str("mobilenet_v3_small"),
        }
    }
}

/// The error for a name that is not an [`Arch`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown network \"{name}\"; expected {}", Arch::names())]
#[non_exhaustive]
pub struct ParseArchError {
    /// The name that was parsed.
    pub name: String,
}

impl FromStr for Arch {
    type Err = ParseArchError;

    fn from_str(name: &str) -> Result<Self, ParseArchError> {
        let found = Self::ALL.into_iter().find(|arch| arch.to_string() == name);
        found.ok_or_else(|| ParseArchError { name: name.to_owned() })
    }
}
